//! `report`: docs/performance.md out of the file of results. Every number on the page comes from a turn in that file; the
//! notes say in words what numbers cannot.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use fleet::{BenchError, Chart, Line, Scale};
use serde_json::Value;

use crate::cli::{Grown, ReportArgs};
use crate::figures::{Spread, ratios};
use crate::results::{self, number, text};
use crate::rows::{Goal, Metric, Row};

/// Growth may cost this much: 15 percent.
const FLAT: f64 = 1.15;

/// Writes the page and its pictures.
///
/// # Errors
/// A file cannot be read or written.
pub fn run(args: &ReportArgs) -> Result<(), BenchError> {
    let found = results::read(&args.from)?;
    let notes = fs::read_to_string(&args.notes).map_err(|error| unusable(&args.notes, &error))?;
    let pictures = args.out.with_extension("");
    fs::create_dir_all(&pictures).map_err(|error| unusable(&pictures, &error))?;
    let folder = pictures.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    for grown in GROWN {
        if let Some(chart) = chart(&found, grown) {
            let path = pictures.join(format!("growth-{}.svg", grown.name()));
            fs::write(&path, fleet::svg(&[chart])).map_err(|error| unusable(&path, &error))?;
        }
    }
    fs::write(&args.out, page(&found, &notes, &folder)).map_err(|error| unusable(&args.out, &error))
}

const GROWN: [Grown; 3] = [Grown::Subscriptions, Grown::Policies, Grown::Connections];

fn unusable(path: &Path, error: &std::io::Error) -> BenchError {
    BenchError::Option(format!("{}: {error}", path.display()))
}

fn page(found: &Value, notes: &str, folder: &str) -> String {
    let mut out = String::from(
        "# Performance\n\n<!-- Made by `thingcore-bench report` of performance/results.json and performance/notes.md: \
         change those. -->\n\nEvery figure is of thingcore as it runs by default: policies on publish and on every delivery, \
         metering and its log on. In the rows with mutual TLS each device has a certificate and a policy of its own. The \
         peers authorise nobody. Ratios are of neighbours in time: each round starts every broker once; the median of the \
         rounds is judged, least and most stand beside it. More than 1 is better for thingcore, also where less is better.\n\n",
    );
    out += &targets(found);
    out += &all_brokers(found);
    out += &growth(found, folder);
    out += notes.trim();
    out += "\n\n";
    out += &conditions(found);
    out
}

fn targets(found: &Value) -> String {
    let mut out = String::from(
        "## Targets\n\n| load | thingcore | best peer | ratio: median (min to max) | target | |\n|---|---:|---:|---:|---:|---|\n",
    );
    for row in Row::all() {
        let Some(entry) = found.pointer(&format!("/rows/{}", row.id)) else {
            let _ = writeln!(out, "| {} | not measured | | | {} | |", row.title, goal(&row));
            continue;
        };
        let own = spread(row.metric, entry, "/brokers/thingcore/value");
        let peer = best(row.metric, entry);
        let (name, ratio) = match &peer {
            Some(name) => (
                format!("{name} {}", spread(row.metric, entry, &format!("/brokers/{name}/value"))),
                ratio(entry, &format!("/brokers/{name}/thingcore_by_it")),
            ),
            None => ("none".into(), "–".into()),
        };
        let verdict = match met(&row, entry, peer.as_deref()) {
            Some(true) => "met",
            Some(false) => "**missed**",
            None => "not told",
        };
        let _ = writeln!(out, "| {} | {own} | {name} | {ratio} | {} | {verdict} |", row.title, goal(&row));
    }
    out += "\nFigures are medians with least and most.";
    if let Some(calls) = number(found, "/rows/offline/fsyncs/calls") {
        let messages = number(found, "/rows/offline/fsyncs/messages").unwrap_or(0.0);
        out += &format!(
            " Offline queues: {calls} calls of fsync for {messages} messages put into queues (making and ending the sessions included), counted by perf in a turn of \
             its own; the peers sync nothing, so they have no figure in that row."
        );
    }
    out + "\n\n"
}

fn goal(row: &Row) -> String {
    match row.goal {
        Goal::TimesBest(times) => format!(">= {times} x best"),
        Goal::TimesConfigured(times) => format!(">= {times}"),
        Goal::AtMost(most) => format!("<= {}", figure(row.metric, most)),
        Goal::AtLeast(least) => format!(">= {}", figure(row.metric, least)),
        Goal::None => "–".into(),
    }
}

/// Whether a row has reached its goal; `None` when that was not measured.
fn met(row: &Row, entry: &Value, peer: Option<&str>) -> Option<bool> {
    let own = || number(entry, "/brokers/thingcore/value/median");
    let by = |name: &str| number(entry, &format!("/brokers/{name}/thingcore_by_it/median"));
    match row.goal {
        Goal::TimesBest(times) => Some(by(peer?)? >= times),
        Goal::TimesConfigured(times) => Some(by("configured")? >= times),
        Goal::AtMost(most) => Some(own()? <= most),
        Goal::AtLeast(least) => Some(own()? >= least),
        Goal::None => None,
    }
}

/// The peer with the best median.
fn best(metric: Metric, entry: &Value) -> Option<String> {
    let brokers = entry.get("brokers")?.as_object()?;
    let peers = brokers.iter().filter(|(name, _)| *name != "thingcore");
    let valued = peers.filter_map(|(name, broker)| Some((name, number(broker, "/value/median")?)));
    let better = |(_, one): &(&String, f64), (_, other): &(&String, f64)| {
        if metric.less_is_better() { other.total_cmp(one) } else { one.total_cmp(other) }
    };
    valued.max_by(better).map(|(name, _)| name.clone())
}

fn spread(metric: Metric, entry: &Value, pointer: &str) -> String {
    let at = |name: &str| number(entry, &format!("{pointer}/{name}")).map(|value| figure(metric, value));
    match (at("median"), at("min"), at("max")) {
        (Some(median), Some(min), Some(max)) => format!("{median} ({min} to {max})"),
        _ => "not told".into(),
    }
}

fn ratio(entry: &Value, pointer: &str) -> String {
    let at = |name: &str| number(entry, &format!("{pointer}/{name}"));
    match (at("median"), at("min"), at("max")) {
        (Some(median), Some(min), Some(max)) => format!("**{median:.2}** ({min:.2} to {max:.2})"),
        _ => "not told".into(),
    }
}

fn figure(metric: Metric, value: f64) -> String {
    match metric {
        Metric::Bytes => format!("{:.1} KiB", value / 1_024.0),
        Metric::P99 => format!("{:.2} ms", value / 1_000.0),
        Metric::PerCpu | Metric::Connects | Metric::Enqueued if value >= 1e6 => {
            format!("{:.2} M", value / 1e6)
        }
        Metric::PerCpu | Metric::Connects | Metric::Enqueued if value >= 1e4 => {
            format!("{:.0} k", value / 1e3)
        }
        Metric::PerCpu | Metric::Connects | Metric::Enqueued => format!("{value:.0}"),
    }
}

fn all_brokers(found: &Value) -> String {
    let names: Vec<String> = found
        .get("brokers")
        .and_then(Value::as_object)
        .map(|all| all.keys().cloned().collect())
        .unwrap_or_default();
    let mut out = format!(
        "## All brokers\n\nMedians. *msg/cpu-s*: messages delivered a second of the broker's CPU time, the number to compare; \
         the generator shares the machine, so messages a second say as much about it.\n\n| load | unit | {} |\n|---|---|{}\n",
        names.join(" | "),
        "---:|".repeat(names.len())
    );
    for row in Row::all() {
        let Some(entry) = found.pointer(&format!("/rows/{}", row.id)) else { continue };
        let value = |name: &String| {
            let median = number(entry, &format!("/brokers/{name}/value/median"));
            median.map_or_else(|| "–".into(), |median| figure(row.metric, median))
        };
        let values: Vec<String> = names.iter().map(value).collect();
        let _ = writeln!(out, "| {} | {} | {} |", row.title, row.metric.unit(), values.join(" | "));
    }
    out += &seconds(found, &names);
    out + &failures(found)
}

/// Messages a second and latencies of the rows that have them.
fn seconds(found: &Value, names: &[String]) -> String {
    let mut out = format!(
        "\nMessages (or connects) a second by wall, in brackets how many times as many thingcore has, and p50 / p99 latency in \
         milliseconds (without a fixed rate most of it is waiting behind the window):\n\n| load | {} |\n|---|{}\n",
        names.join(" | "),
        "---:|".repeat(names.len())
    );
    for row in Row::all() {
        let Some(entry) = found.pointer(&format!("/rows/{}", row.id)) else { continue };
        let cells: Vec<String> = names.iter().map(|name| wall(entry, name)).collect();
        if cells.iter().any(|cell| cell != "–") {
            let _ = writeln!(out, "| {} | {} |", row.title, cells.join(" | "));
        }
    }
    out + "\n"
}

/// What one broker did by wall in the turns of a row.
fn wall(entry: &Value, name: &str) -> String {
    let all = |name: &str, pointer: &str| -> Vec<Option<f64>> {
        let turns = entry.get("turns").and_then(Value::as_array).into_iter().flatten();
        turns.filter(|turn| text(turn, "/broker") == name).map(|turn| number(turn, pointer)).collect()
    };
    let middle = |values: &[Option<f64>]| Spread::of(values).map(|spread| spread.median);
    let rates = |name: &str| {
        let delivered = all(name, "/finding/delivered_per_second");
        if middle(&delivered).is_some() { delivered } else { all(name, "/finding/connected_per_second") }
    };
    let (own, ours) = (rates(name), rates("thingcore"));
    let latency = |pointer: &str| middle(&all(name, pointer)).map(|micros| micros / 1_000.0);
    match (middle(&own), latency("/finding/latency/p50_us"), latency("/finding/latency/p99_us")) {
        (Some(rate), Some(p50), Some(p99)) => {
            let ratio = middle(&ratios(&ours, &own)).filter(|_| name != "thingcore");
            let ratio = ratio.map_or_else(String::new, |ratio| format!(" ({ratio:.2})"));
            format!("{}{ratio}; {p50:.2} / {p99:.2}", figure(Metric::PerCpu, rate))
        }
        _ => "–".into(),
    }
}

/// Turns that gave no number, with their reason.
fn failures(found: &Value) -> String {
    let mut lines: Vec<String> = Vec::new();
    for row in Row::all() {
        let turns = found.pointer(&format!("/rows/{}/turns", row.id)).and_then(Value::as_array);
        for turn in turns.into_iter().flatten() {
            let why = text(turn, "/finding/failed").lines().next().unwrap_or_default().to_owned();
            let line = format!("* {}, {}: {why}", row.id, text(turn, "/broker"));
            if !why.is_empty() && !lines.contains(&line) {
                lines.push(line);
            }
        }
    }
    if lines.is_empty() {
        return String::new();
    }
    format!("Turns that gave no number:\n\n{}\n\n", lines.join("\n"))
}

fn growth(found: &Value, folder: &str) -> String {
    let mut out = String::from(
        "## Growth\n\nBroker CPU time of one message, QoS 0, 64 B, as something else grows; the target is within 15 percent \
         of the first point.\n\n",
    );
    for grown in GROWN {
        let Some(entry) = found.pointer(&format!("/growth/{}", grown.name())) else {
            let _ = writeln!(out, "{}: not measured.\n", grown.name());
            continue;
        };
        let _ = writeln!(
            out,
            "| {} | ns per message: median (min to max) | by the first | |\n|---:|---:|---:|---|",
            grown.name()
        );
        let points = entry.get("points").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        let first = points.first().and_then(|point| number(point, "/nanoseconds_per_message"));
        for point in points {
            let at = |name: &str| number(point, name);
            let count = at("/point").unwrap_or(0.0);
            let line = match (at("/nanoseconds_per_message"), at("/min"), at("/max"), first) {
                (Some(median), Some(min), Some(max), Some(first)) => format!(
                    "{median:.0} ({min:.0} to {max:.0}) | {:.2} | {}",
                    median / first,
                    if median / first <= FLAT { "met" } else { "**missed**" }
                ),
                _ => format!("not told | | {}", text(point, "/failed").replace('|', "/")),
            };
            let _ = writeln!(out, "| {count} | {line} |");
        }
        let _ = writeln!(out, "\n![{0}]({folder}/growth-{0}.svg)\n", grown.name());
    }
    out
}

fn chart(found: &Value, grown: Grown) -> Option<Chart> {
    let points = found.pointer(&format!("/growth/{}/points", grown.name()))?.as_array()?;
    let line = |name: &str, pointer: &str| Line {
        name: name.into(),
        points: points
            .iter()
            .filter_map(|point| Some((number(point, "/point")?, number(point, pointer)?)))
            .collect(),
    };
    Some(Chart {
        title: format!("Broker CPU time of one message, by {}", grown.name()),
        x: (grown.name().into(), Scale::Log),
        y: ("ns".into(), Scale::Linear),
        lines: vec![line("median", "/nanoseconds_per_message"), line("least", "/min"), line("most", "/max")],
    })
}

fn conditions(found: &Value) -> String {
    let machine = |name: &str| text(found, &format!("/conditions/machine/{name}")).to_owned();
    let cores = number(found, "/conditions/machine/cores").unwrap_or(0.0);
    let mut out = format!(
        "## Conditions\n\n* Measured on {} (the last row of the file).\n* Machine: {}, {cores} cores, {} of memory, Linux {}. Generator and broker share it; nothing is pinned.\n",
        machine("date"),
        machine("processor"),
        machine("memory"),
        machine("kernel")
    );
    for (name, broker) in found.get("brokers").and_then(Value::as_object).into_iter().flatten() {
        let _ = writeln!(out, "* {name}: {}", text(broker, "/version"));
    }
    out += "* How the peers are set up: [the bench's README](../workshop/bench/README.md#how-compare-starts-brokers).\n\n\
            | row | typed after `thingcore bench` | TLS | rounds x seconds | load average before |\n|---|---|---|---|---:|\n";
    for row in Row::all() {
        let Some(entry) = found.pointer(&format!("/rows/{}", row.id)) else { continue };
        let at = |name: &str| number(entry, name).unwrap_or(0.0);
        let tls = if row.tls { "mutual" } else { "none" };
        let _ = writeln!(
            out,
            "| {} | `{}` | {tls} | {} x {} | {:.1} |",
            row.id,
            text(entry, "/load"),
            at("/rounds"),
            at("/seconds"),
            at("/load_average_before")
        );
    }
    out + "\n## To repeat\n\n```console\n$ cargo build --release -p thingcore -p thingcore-bench\n\
           $ target/release/thingcore-bench compare --rows all --rounds 5 --out docs/performance/results.json \\\n    \
           --thingcore target/release/thingcore --mosquitto /usr/sbin/mosquitto --nats nats-server --rumqttd rumqttd\n\
           $ for what in subscriptions policies connections; do target/release/thingcore-bench growth --of $what \\\n    \
           --thingcore target/release/thingcore --out docs/performance/results.json; done\n\
           $ target/release/thingcore-bench flame --thingcore target/release/thingcore\n\
           $ target/release/thingcore-bench report\n```\n"
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn found() -> Value {
        let spread =
            |median: f64| json!({"median": median, "min": median / 2.0, "max": median * 2.0, "count": 5});
        let turn = |broker: &str| {
            json!({"broker": broker, "finding": {"delivered_per_second": 5.0,
            "latency": {"p50_us": 1_000, "p99_us": 2_500}}})
        };
        json!({
            "rows": {
                "pairs": {"load": "pairs", "rounds": 5, "seconds": 5, "turns": [turn("nats"), turn("thingcore"),
                    {"broker": "flashmq", "finding": {"failed": "did not start\nlog"}}],
                    "brokers": {
                        "thingcore": {"value": spread(2e6)},
                        "nats": {"value": spread(1e6), "thingcore_by_it": spread(2.0)},
                        "mosquitto": {"value": spread(5e5), "thingcore_by_it": spread(4.0)}}},
                "idle": {"brokers": {"thingcore": {"value": spread(5_000.0)}}},
            },
            "brokers": {"thingcore": {"version": "thingcore 0.1.0"}, "nats": {"version": "2"}},
            "growth": {"policies": {"points": [
                {"point": 10, "nanoseconds_per_message": 100.0, "min": 90.0, "max": 110.0},
                {"point": 100, "nanoseconds_per_message": 130.0, "min": 90.0, "max": 140.0},
                {"point": 1000, "failed": "a limit"}]}},
        })
    }

    #[test]
    fn targets_are_judged_by_the_best_peer_of_the_run() {
        let page = page(&found(), "## Notes\n", "performance");
        assert!(
            page.contains("nats 1.00 M (500 k to 2.00 M) | **2.00** (1.00 to 4.00) | >= 1.5 x best | met |"),
            "{page}"
        );
        assert!(
            page.contains("4.9 KiB (2.4 KiB to 9.8 KiB) | none | – | <= 4.0 KiB | **missed** |"),
            "{page}"
        );
        assert!(page.contains("| not measured | | | >= 1.3 x best | |"), "{page}");
        assert!(page.contains("pairs, flashmq: did not start\n"), "{page}");
        assert!(page.contains("| 5 (1.00); 1.00 / 2.50 | 5; 1.00 / 2.50 |"), "{page}");
    }

    #[test]
    fn growth_beyond_fifteen_percent_is_missed() {
        let page = page(&found(), "", "performance");
        assert!(page.contains("| 10 | 100 (90 to 110) | 1.00 | met |"), "{page}");
        assert!(page.contains("| 100 | 130 (90 to 140) | 1.30 | **missed** |"), "{page}");
        assert!(page.contains("| 1000 | not told | | a limit |"), "{page}");
        assert!(chart(&found(), Grown::Policies).is_some() && chart(&found(), Grown::Connections).is_none());
    }
}
