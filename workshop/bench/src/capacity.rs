//! `capacity`: how many idle connections with mutual TLS fit in a given memory. One broker gets more and more of them, and
//! its resident memory is read at each point. Where descriptors end before the memory does, the line through the points
//! is drawn on, and the result says that it is an extrapolation.

use std::time::Duration;

use fleet::{BenchError, Chart, Client, Fault, Line, Scale, Usage, gather};
use serde_json::{Value, json};

use crate::broker::{Broker, Make, Running};
use crate::cli::CapacityArgs;
use crate::evidence;
use crate::prepared::Prepared;
use crate::soak::picture;
use crate::soak::verdict::{Rule, line};
use crate::soak::world::{Device, World};

/// Of the descriptors that a process may have, so much is taken by connections: the rest is for everything else.
const DESCRIPTORS_TAKEN: f64 = 0.95;
/// The first point; each is twice the one before.
const FIRST: u32 = 1_000;
/// Through two points there is always a line.
const POINTS: usize = 3;
/// How far a point may be from the line, by the memory that the connections take at the last point.
const RESIDUAL: f64 = 0.03;
const GIB: f64 = 1024.0 * 1024.0 * 1024.0;

/// Measures, fits and prints.
///
/// # Errors
/// The broker does not start, a connection fails, or the points are no line.
pub async fn run(args: &CapacityArgs) -> Result<(), BenchError> {
    let most = most(args);
    let points = if args.points.is_empty() { doubling(most) } else { args.points.clone() };
    let devices = points.iter().copied().max().unwrap_or(most);
    fleet::descriptors(u64::from(devices))?;
    let prepared = Prepared::new(&args.thingcore, devices).await?;
    let broker = Broker::new(Make::Thingcore, &args.thingcore, None);
    let running = Running::start(&broker, true, Some(&prepared)).await?;
    let world = World::new(&running, &prepared, 0).await?;
    let memory = args.memory * GIB;
    let (mut clients, mut found) = (Vec::new(), vec![Point::look(args, &running, 0).await?]);
    for point in points {
        connect(&world, &mut clients, point).await?;
        let look = Point::look(args, &running, point).await?;
        println!("{point} connections: {:.1} MiB resident", look.resident as f64 / (1024.0 * 1024.0));
        found.push(look);
        if look.resident as f64 >= memory {
            break;
        }
    }
    let alive = alive(&mut clients).await;
    tell(args, &found, alive, clients.len() as u64)
}

/// As many as the descriptors of this process, and of the broker that inherits them, permit.
fn most(args: &CapacityArgs) -> u32 {
    let allowed = rlimit_of_this_process();
    let permitted = (allowed as f64 * DESCRIPTORS_TAKEN) as u32;
    permitted.min(args.at_most)
}

/// Descriptors that a process may have at most, here.
fn rlimit_of_this_process() -> u64 {
    let text = std::fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let line = text.lines().find(|line| line.starts_with("Max open files"));
    // The second number is the hard limit.
    line.and_then(|line| line.split_whitespace().nth(4)?.parse().ok()).unwrap_or(1_024)
}

/// 1000, 2000, 4000 and so on, and the last.
fn doubling(most: u32) -> Vec<u32> {
    let mut points: Vec<u32> = std::iter::successors(Some(FIRST), |point| point.checked_mul(2))
        .take_while(|point| *point < most)
        .collect();
    points.push(most);
    points
}

/// One reading.
#[derive(Clone, Copy, Debug)]
struct Point {
    connections: u32,
    resident: u64,
}

impl Point {
    async fn look(args: &CapacityArgs, running: &Running, connections: u32) -> Result<Self, BenchError> {
        tokio::time::sleep(Duration::from_secs_f64(args.rest)).await;
        let usage = Usage::of(running.pid()).map_err(|error| BenchError::Process(running.pid(), error))?;
        Ok(Self { connections, resident: usage.resident })
    }
}

/// Connects until there are so many.
async fn connect(
    world: &std::sync::Arc<World>,
    clients: &mut Vec<Client>,
    point: u32,
) -> Result<(), BenchError> {
    let from = clients.len() as u32;
    let more = gather(point.saturating_sub(from), |number| {
        let world = std::sync::Arc::clone(world);
        async move {
            let device = Device::of(&world, from + number);
            let opened = device.open(&world).await;
            opened.map_err(|fault: Fault| BenchError::NotReady(device.name, fault))
        }
    });
    clients.extend(more.await?);
    Ok(())
}

/// Connections that are still there: nothing has come, not even an end.
async fn alive(clients: &mut [Client]) -> u64 {
    let mut alive = 0;
    for client in clients {
        alive += u64::from(tokio::time::timeout(Duration::ZERO, client.fill()).await.is_err());
    }
    alive
}

/// What the points say.
struct Fit {
    start: f64,
    each: f64,
    /// Largest distance of a point from the line, by the memory of all connections.
    residual: f64,
    /// Connections that fit in the memory.
    fit: f64,
    /// Whether so many were there.
    measured: bool,
}

fn fit(points: &[Point], memory: f64) -> Option<Fit> {
    // The process without connections has not met what the first one brings: it is no point of the line.
    let pairs: Vec<(f64, f64)> = points
        .iter()
        .filter(|point| point.connections > 0)
        .map(|point| (f64::from(point.connections), point.resident as f64))
        .collect();
    if pairs.len() < POINTS {
        return None;
    }
    let (start, each, worst) = line(&pairs)?;
    let last = pairs.last()?;
    let measured = last.1 >= memory;
    let fit = if each > 0.0 { ((memory - start) / each).floor() } else { f64::NAN };
    Some(Fit { start, each, residual: worst / (each * last.0), fit, measured })
}

fn tell(args: &CapacityArgs, points: &[Point], alive: u64, asked: u64) -> Result<(), BenchError> {
    let memory = args.memory * GIB;
    let found = fit(points, memory)
        .ok_or_else(|| BenchError::Option("a line needs three points: give more of --points".into()))?;
    let rules = [
        Rule::at_most(
            "the points are a line: largest residual by the memory of all connections",
            found.residual * 100.0,
            RESIDUAL * 100.0,
            "%",
        ),
        Rule::at_most("connections that ended by themselves", (asked - alive) as f64, 0.0, "connections"),
    ];
    let how = if found.measured {
        "measured: so many were connected".to_owned()
    } else {
        format!(
            "an extrapolation: {asked} were connected, as many as the descriptors of a process permit here; the line \
             through the points is drawn on to {} GiB",
            args.memory
        )
    };
    let settings = json!({
        "memory_gib": args.memory, "quotas": "unlimited", "note": args.note,
        "connections": "MQTT 5 over mutual TLS, each with a certificate, a policy and a client id of its own, no subscription",
    });
    let mut head = evidence::head("capacity", args.commit.as_deref(), settings, &rules);
    let shown: Vec<Value> = points
        .iter()
        .map(|point| {
            let expected = found.start + found.each * f64::from(point.connections);
            json!({
                "connections": point.connections, "resident_bytes": point.resident,
                "residual_bytes": (point.connections > 0).then(|| (point.resident as f64 - expected).round()),
            })
        })
        .collect();
    head.insert("points".into(), json!(shown));
    head.insert(
        "line".into(),
        json!({ "bytes_without_connections": found.start.round(), "bytes_each": found.each.round(), "largest_residual": found.residual }),
    );
    head.insert(
        "result".into(),
        json!({ "connections": found.fit, "memory_gib": args.memory, "extrapolated": !found.measured, "how": how }),
    );
    println!("{:.0} B each, {:.0} connections fit in {} GiB ({how})", found.each, found.fit, args.memory);
    evidence::write(&args.out, head, &[])?;
    draw(args, points, &found)?;
    evidence::judge(&rules)
}

fn draw(args: &CapacityArgs, points: &[Point], found: &Fit) -> Result<(), BenchError> {
    const MIB: f64 = 1024.0 * 1024.0;
    let measured =
        points.iter().map(|point| (f64::from(point.connections), point.resident as f64 / MIB)).collect();
    let ends = [0, points.last().map_or(0, |point| point.connections)];
    let line = ends.map(|at| (f64::from(at), (found.start + found.each * f64::from(at)) / MIB));
    let chart = Chart {
        title: format!("Idle connections with mutual TLS: {:.1} KiB each", found.each / 1024.0),
        x: ("connections".into(), Scale::Linear),
        y: ("MiB resident".into(), Scale::Linear),
        lines: vec![
            Line { name: "measured".into(), points: measured },
            Line { name: "line".into(), points: line.to_vec() },
        ],
    };
    picture::write(&args.out.with_extension("svg"), &[chart])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn points(of: &[(u32, u64)]) -> Vec<Point> {
        of.iter()
            .map(|(connections, resident)| Point { connections: *connections, resident: *resident })
            .collect()
    }

    #[test]
    fn a_line_is_drawn_on_and_says_so() {
        let straight = points(&[(0, 1), (1_000, 30_000_000), (2_000, 40_000_000), (4_000, 60_000_000)]);
        let found = fit(&straight, 1e9).unwrap();
        assert!((found.each - 10_000.0).abs() < 1e-6 && found.residual < 1e-9 && !found.measured);
        assert_eq!(found.fit, 98_000.0);
        assert!(fit(&straight, 5e7).unwrap().measured);
        let bent = points(&[(1_000, 30_000_000), (2_000, 60_000_000), (4_000, 61_000_000)]);
        assert!(fit(&bent, 1e9).unwrap().residual > RESIDUAL);
        assert!(fit(&straight[..2], 1e9).is_none());
        assert!(
            fit(&straight[..3], 1e9).is_none(),
            "two points with connections are on a line, whatever they say"
        );
    }

    #[test]
    fn points_double_up_to_the_last() {
        assert_eq!(doubling(5_000), [1_000, 2_000, 4_000, 5_000]);
        assert_eq!(doubling(100), [100]);
        assert!(rlimit_of_this_process() > 0);
    }
}
