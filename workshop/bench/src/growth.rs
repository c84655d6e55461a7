//! `growth`: what a message costs as something else grows. Each point starts the broker anew; the rounds go through all
//! points, so that a busy hour disturbs all of them.

use fleet::{BenchError, told};
use serde_json::{Value, json};

use crate::broker::{Broker, Make, Running};
use crate::cli::{Grown, GrowthArgs};
use crate::compare::{tls_words, trimmed};
use crate::figures::Spread;
use crate::machine;
use crate::prepared::Prepared;
use crate::results::keep;
use crate::rows::Row;

/// Pairs in the load beside growing policies: the fewest devices are ten.
const POLICY_PAIRS: u32 = 5;

impl Grown {
    /// Its name on the command line and in the file.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Subscriptions => "subscriptions",
            Self::Policies => "policies",
            Self::Connections => "connections",
        }
    }

    fn points(self) -> Vec<u32> {
        match self {
            Self::Subscriptions => vec![1_000, 10_000, 100_000, 1_000_000],
            Self::Policies => vec![10, 100, 1_000, 10_000],
            Self::Connections => vec![1_000, 10_000, 100_000],
        }
    }

    fn load(self, point: u32) -> String {
        match self {
            Self::Subscriptions => format!(
                "pairs --clients 50 --size 64 --topics 100 --ballast-filters {point} --ballast-clients 100"
            ),
            Self::Policies => format!(
                "pairs --clients {POLICY_PAIRS} --size 64 --ballast-clients {}",
                point.saturating_sub(2 * POLICY_PAIRS)
            ),
            Self::Connections => format!("pairs --clients 50 --size 64 --ballast-clients {point}"),
        }
    }
}

/// Measures all points and prints.
///
/// # Errors
/// thingcore does not start. A point that fails is kept without values, with its reason: a limit of descriptors, say.
pub async fn run(args: &GrowthArgs) -> Result<(), BenchError> {
    // A million filters would need 20 000 connections, if none might have more than 50.
    let broker = Broker::new(Make::Thingcore, &args.thingcore, None);
    let points = if args.points.is_empty() { args.of.points() } else { args.points.clone() };
    let mut found: Vec<Point> = points.iter().map(|point| Point::new(*point)).collect();
    for round in 1..=args.rounds {
        for point in &mut found {
            if args.of == Grown::Policies && point.prepared.is_none() {
                let binary = args.devices_by.as_ref().unwrap_or(&args.thingcore);
                point.prepared = Some(Prepared::new(binary, point.size).await?);
            }
            let outcome = one(args, &broker, point.size, point.prepared.as_ref()).await;
            let value = outcome
                .as_ref()
                .ok()
                .and_then(|finding| finding.get("delivered_per_broker_cpu_second").and_then(Value::as_f64));
            println!("{} {}: {round} {}", args.of.name(), point.size, told(value, "msg/cpu-s"));
            if let Err(error) = outcome {
                println!("  {error}");
                point.failed = Some(error.to_string());
            }
            point.values.push(value);
        }
    }
    let curve: Vec<Value> = found.iter().map(Point::entry).collect();
    match &args.out {
        None => Ok(()),
        Some(path) => keep(
            path,
            "growth",
            args.of.name(),
            json!({
                "load": args.of.load(points.first().copied().unwrap_or(0)),
                "rounds": args.rounds, "seconds": args.seconds,
                "load_average_after": machine::busy(), "points": curve,
            }),
        ),
    }
}

async fn one(
    args: &GrowthArgs,
    broker: &Broker,
    point: u32,
    prepared: Option<&Prepared>,
) -> Result<Value, BenchError> {
    let running = Running::start(broker, prepared.is_some(), prepared).await?;
    let mut words: Vec<String> = vec!["--port".into(), running.port().to_string(), "--broker-pid".into()];
    words.extend([running.pid().to_string(), "--quiet".into(), "--version".into(), "3".into()]);
    words.extend(["--seconds".into(), args.seconds.to_string()]);
    words.extend(prepared.map(tls_words).unwrap_or_default());
    let finding = fleet::measure(&Row::own(&args.of.load(point), false).typed(&words)?).await?;
    finding.verdict?;
    Ok(trimmed(finding.json))
}

/// One point of a curve.
struct Point {
    size: u32,
    /// Devices, made once.
    prepared: Option<Prepared>,
    /// Messages a second of broker CPU time, by round.
    values: Vec<Option<f64>>,
    failed: Option<String>,
}

impl Point {
    const fn new(size: u32) -> Self {
        Self { size, prepared: None, values: Vec::new(), failed: None }
    }

    /// What a message costs, not what a second delivers: costs are what must stay flat.
    fn entry(&self) -> Value {
        let costs: Vec<Option<f64>> =
            self.values.iter().map(|value| value.map(|per_cpu| 1e9 / per_cpu)).collect();
        let spread = Spread::of(&costs);
        json!({
            "point": self.size,
            "nanoseconds_per_message": spread.map(|spread| spread.median),
            "min": spread.map(|spread| spread.min),
            "max": spread.map(|spread| spread.max),
            "rounds": spread.map_or(0, |spread| spread.count),
            "failed": self.failed,
        })
    }
}
