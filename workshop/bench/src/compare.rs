//! `compare`: starts each broker in turn, A B A B, with nothing but its own folder, and reports ratios. Neighbours in
//! time are compared, and the median of the rounds is taken, so that a busy machine disturbs all alike.

use std::path::Path;

use fleet::{BenchError, Finding, told};
use serde_json::{Map, Value, json};

use crate::broker::{Broker, Make, Running};
use crate::cli::CompareArgs;
use crate::figures::{Spread, ratios};
use crate::fsyncs::Counting;
use crate::machine;
use crate::prepared::Prepared;
use crate::results::keep;
use crate::rows::{Goal, Metric, Row};

/// One broker's outcome in one round.
struct Turn {
    make: Make,
    round: u32,
    value: Option<f64>,
    finding: Value,
}

/// Runs all rows and prints.
///
/// # Errors
/// thingcore does not start, or an option is wrong. A turn that fails is kept as one without a value, with its reason.
pub async fn run(args: &CompareArgs) -> Result<(), BenchError> {
    let rows = match &args.load {
        Some(load) => vec![Row::own(load, args.tls)],
        None if args.rows.is_empty() => {
            return Err(BenchError::Option("what to load? --rows all, --rows ID, or --load WORDS".into()));
        }
        None => Row::chosen(&args.rows)?,
    };
    let brokers = args.brokers.brokers();
    let devices = rows.iter().filter(|row| row.tls).map(devices_of).max();
    let prepared = match devices {
        Some(count) => {
            let binary = args.brokers.devices_by.as_ref().unwrap_or(&args.brokers.thingcore);
            Some(Prepared::new(binary, count).await?)
        }
        None => None,
    };
    if let Some(path) = &args.out {
        keep_conditions(path, &brokers)?;
    }
    for row in rows {
        let compared = compare(args, &row, &brokers, prepared.as_ref()).await?;
        print!("{}", summary(&row, &compared));
        if let Some(path) = &args.out {
            keep(path, "rows", &row.id, compared)?;
        }
    }
    Ok(())
}

/// Devices that a row needs: one for each client.
pub fn devices_of(row: &Row) -> u32 {
    let after = |name: &str| {
        let mut words = row.load.split_whitespace().skip_while(|word| *word != name).skip(1);
        words.next().and_then(|number| number.parse::<u32>().ok())
    };
    match row.load.split_whitespace().next() {
        Some("connect") => after("--in-flight").unwrap_or(50),
        Some("idle") => after("--clients").unwrap_or(1_000),
        _ => 2 * after("--clients").unwrap_or(50),
    }
}

fn keep_conditions(path: &Path, brokers: &[Broker]) -> Result<(), BenchError> {
    for broker in brokers {
        let said = json!({ "version": broker.version(), "name": broker.path().file_name().map(|n| n.to_string_lossy()) });
        keep(path, "brokers", broker.make.name(), said)?;
    }
    keep(path, "conditions", "machine", machine::describe())
}

async fn compare(
    args: &CompareArgs,
    row: &Row,
    brokers: &[Broker],
    prepared: Option<&Prepared>,
) -> Result<Value, BenchError> {
    let busy = machine::busy();
    let mut turns = Vec::new();
    for round in 1..=args.rounds {
        for broker in brokers.iter().filter(|broker| takes_part(row, broker.make)) {
            let turn = one(args, row, broker, prepared, round).await?;
            println!("{}", line(row, &turn));
            turns.push(turn);
        }
    }
    let mut compared = comparison(args, row, &turns, busy);
    if row.metric == Metric::Enqueued
        && let (Some(fields), Some(broker)) = (compared.as_object_mut(), brokers.first())
    {
        fields.insert("fsyncs".into(), fsyncs(args, row, broker).await?);
    }
    Ok(compared)
}

/// One more turn of this broker, for the count of its fsyncs; null where that cannot be had.
async fn fsyncs(args: &CompareArgs, row: &Row, broker: &Broker) -> Result<Value, BenchError> {
    let running = Running::start(broker, false, None).await?;
    let Some(counting) = Counting::of(running.pid()).await else { return Ok(Value::Null) };
    let found = fleet::measure(&row.typed(&turn_words(args.seconds, row, &running, None))?).await?;
    let messages = found.json.pointer("/whole_run/acknowledged").and_then(Value::as_u64);
    Ok(json!({ "calls": counting.calls(), "messages": messages }))
}

/// The same binary otherwise configured is a peer in its own row only, and the others are none there.
fn takes_part(row: &Row, make: Make) -> bool {
    match (row.goal, make) {
        (_, Make::Thingcore) | (Goal::None, _) => true,
        (Goal::TimesConfigured(_), make) => make == Make::Configured,
        (Goal::AtLeast(_), _) => false,
        (_, make) => make != Make::Configured,
    }
}

/// A broker's whole life: start, load, stop.
async fn one(
    args: &CompareArgs,
    row: &Row,
    broker: &Broker,
    prepared: Option<&Prepared>,
    round: u32,
) -> Result<Turn, BenchError> {
    let failed =
        |why: String| Turn { make: broker.make, round, value: None, finding: json!({ "failed": why }) };
    let prepared = prepared.filter(|_| row.tls);
    let running = match Running::start(broker, row.tls, prepared).await {
        Ok(running) => running,
        Err(error) => return Ok(failed(error.to_string())),
    };
    let load = row.typed(&turn_words(args.seconds, row, &running, prepared))?;
    Ok(match fleet::measure(&load).await {
        Ok(Finding { json, verdict: Ok(()), .. }) => Turn {
            make: broker.make,
            round,
            value: json.pointer(row.metric.pointer()).and_then(Value::as_f64),
            finding: trimmed(json),
        },
        Ok(Finding { json, verdict: Err(error), .. }) => {
            let finding = json!({ "failed": error.to_string(), "finding": trimmed(json) });
            Turn { finding, ..failed(String::new()) }
        }
        Err(error) => failed(error.to_string()),
    })
}

/// What is typed for this turn besides the row's own words.
pub fn turn_words(seconds: u64, row: &Row, running: &Running, prepared: Option<&Prepared>) -> Vec<String> {
    let mut words = vec!["--port".into(), running.port().to_string(), "--broker-pid".into()];
    words.extend([running.pid().to_string(), "--quiet".into(), "--version".into(), "3".into()]);
    if row.takes_time() {
        words.extend(["--seconds".into(), seconds.to_string()]);
    }
    if let Some(prepared) = prepared {
        words.extend(tls_words(prepared));
    }
    words
}

/// What is typed for mutual TLS with the prepared devices.
pub fn tls_words(prepared: &Prepared) -> Vec<String> {
    let shown = |path: std::path::PathBuf| path.to_string_lossy().into_owned();
    [
        "--host".into(),
        "localhost".into(),
        "--transport".into(),
        "tls".into(),
        "--ca".into(),
        shown(prepared.ca()),
        "--cert".into(),
        shown(prepared.certificates()),
        "--client-ids".into(),
        "device".into(),
    ]
    .into()
}

/// Without the long lists.
pub fn trimmed(mut finding: Value) -> Value {
    if let Some(fields) = finding.as_object_mut() {
        fields.remove("percentiles_us");
        fields.remove("delivered_per_second_by_second");
    }
    finding
}

fn line(row: &Row, turn: &Turn) -> String {
    let more = match turn.finding.get("failed").and_then(Value::as_str) {
        Some(why) => format!("failed: {}", why.lines().next().unwrap_or_default()),
        None => {
            let rate = turn.finding.get("delivered_per_second").and_then(Value::as_f64);
            let p99 = turn.finding.pointer("/latency/p99_us").and_then(Value::as_u64);
            let lost = turn.finding.pointer("/whole_run/lost").and_then(Value::as_u64).unwrap_or(0);
            format!("{}, p99 {} us, lost {lost}", told(rate, "msg/s"), p99.unwrap_or(0))
        }
    };
    format!(
        "{:<12} {} {:<10} {}; {more}",
        row.id,
        turn.round,
        turn.make.name(),
        told(turn.value, row.metric.unit())
    )
}

/// All turns of a row, and what they come to.
fn comparison(args: &CompareArgs, row: &Row, turns: &[Turn], busy: Option<f64>) -> Value {
    let values = |make: Make| -> Vec<Option<f64>> {
        turns.iter().filter(|turn| turn.make == make).map(|turn| turn.value).collect()
    };
    let mut makes: Vec<Make> = Vec::new();
    for turn in turns {
        if !makes.contains(&turn.make) {
            makes.push(turn.make);
        }
    }
    let spread = |spread: Spread| json!({ "median": spread.median, "min": spread.min, "max": spread.max, "count": spread.count });
    let mut brokers = Map::new();
    for make in &makes {
        let own = Spread::of(&values(*make)).map(spread);
        let ratio = Spread::of(&better(row.metric, &values(Make::Thingcore), &values(*make))).map(spread);
        brokers.insert(make.name().into(), json!({ "value": own, "thingcore_by_it": ratio }));
    }
    let turns: Vec<Value> = turns
        .iter()
        .map(|turn| json!({ "round": turn.round, "broker": turn.make.name(), "value": turn.value, "finding": turn.finding }))
        .collect();
    json!({
        "title": row.title, "load": row.load, "mutual_tls": row.tls, "seconds": args.seconds, "rounds": args.rounds,
        "load_average_before": busy, "brokers": brokers, "turns": turns,
    })
}

/// How many times as good ours is, round by round: more than 1 is better, whichever way the metric points.
fn better(metric: Metric, ours: &[Option<f64>], other: &[Option<f64>]) -> Vec<Option<f64>> {
    if metric.less_is_better() { ratios(other, ours) } else { ratios(ours, other) }
}

fn summary(row: &Row, compared: &Value) -> String {
    let mut out = format!("{}: {} ({})\n", row.id, row.title, row.load);
    let brokers = compared.get("brokers").and_then(Value::as_object);
    for (name, broker) in brokers.into_iter().flatten() {
        let number = |pointer: &str| broker.pointer(pointer).and_then(Value::as_f64);
        let value = told(number("/value/median"), row.metric.unit());
        let ratio =
            number("/thingcore_by_it/median").map(|ratio| format!(", thingcore is {ratio:.2} times as good"));
        let ratio = if name == "thingcore" { String::new() } else { ratio.unwrap_or_default() };
        out += &format!("  {name:<10} median {value}{ratio}\n");
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn less_latency_is_better() {
        let (ours, theirs) = ([Some(2.0)], [Some(6.0)]);
        assert_eq!(better(Metric::P99, &ours, &theirs), [Some(3.0)]);
        assert_eq!(better(Metric::PerCpu, &ours, &theirs), [Some(2.0 / 6.0)]);
    }

    #[test]
    fn rows_know_their_devices_and_their_peers() {
        let rows = Row::all();
        let row = |id: &str| rows.iter().find(|row| row.id == id).unwrap();
        assert_eq!([devices_of(row("pairs-tls")), devices_of(row("idle-tls"))], [100, 2_000]);
        assert_eq!(devices_of(row("connects-tls")), 128);
        assert!(takes_part(row("overhead"), Make::Configured) && !takes_part(row("overhead"), Make::Nats));
        assert!(takes_part(row("pairs"), Make::Nats) && !takes_part(row("pairs"), Make::Configured));
        assert!(!takes_part(row("offline"), Make::Mosquitto));
    }
}
