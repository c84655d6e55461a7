//! The simulator's soaks: worlds, hours, verdicts of the checkers, marks.

use std::collections::BTreeMap;
use std::fmt::Write;

use fleet::{Chart, Line, Scale};
use serde_json::Value;

use super::{Part, spaced, time};
use crate::results::{number, text};

const TITLE: &str = "Simulated worlds";
const GOAL: &str =
    "an hour or more of new seeds since a promise was broken last, none of them open, every mark hit";
/// What one soak must have had for "hours".
const ASKED_HOURS: f64 = 1.0;

/// `open`: how many worlds in which a promise broke are not mended.
pub(super) fn part(soaks: &[Value], open: usize) -> Part {
    if soaks.is_empty() {
        return Part::not_run(
            TITLE,
            GOAL,
            "thingcore-sim soak --for 1h --record docs/evidence/simulator.jsonl",
        );
    }
    // What broke and is mended, the broker or a model, does not count: the worlds since do, and what is open.
    let since = soaks.iter().rposition(|soak| failed(soak) > 0).map_or(0, |last| last + 1);
    let (before, soaks_since) = soaks.split_at(since);
    let sum = |of: &[Value], name: &str| {
        of.iter().filter_map(|soak| number(soak, name)).fold(0.0, |sum, one| sum + one)
    };
    let (worlds, cpu) = (sum(soaks_since, "/seeds"), sum(soaks_since, "/cpu_seconds"));
    let marks = counts(soaks, "marks");
    let never = marks.values().filter(|count| **count == 0.0).count();
    let mut measured = format!(
        "{} worlds with new seeds, {} virtual hours in {} of processor time, 0 broken promises",
        spaced(worlds),
        spaced(sum(soaks_since, "/virtual_hours")),
        time(cpu)
    );
    if !before.is_empty() {
        let failures: usize = before.iter().map(failed).sum();
        let _ = write!(measured, "; in {} worlds before, {failures}", spaced(sum(before, "/seeds")));
    }
    if open > 0 {
        let _ = write!(measured, "; {open} of them not mended");
    }
    Part {
        title: TITLE,
        measured,
        goal: GOAL,
        met: Some(open == 0 && never == 0 && cpu >= ASKED_HOURS * 3_600.0),
        text: text_of(soaks, &marks),
        pictures: vec![("simulator.svg", vec![chart(soaks)])],
    }
}

fn failed(soak: &Value) -> usize {
    soak.get("failures").and_then(Value::as_array).map_or(0, Vec::len)
}

/// Counts by name, summed over all soaks.
fn counts(soaks: &[Value], part: &str) -> BTreeMap<String, f64> {
    let mut all = BTreeMap::new();
    let each = soaks.iter().filter_map(|soak| soak.get(part)?.as_object()).flatten();
    for (name, count) in each {
        *all.entry(name.clone()).or_insert(0.0) += count.as_f64().unwrap_or(0.0);
    }
    all
}

fn text_of(soaks: &[Value], marks: &BTreeMap<String, f64>) -> String {
    let mut out = String::from(
        "One seed is one world: random clients, links, disk, policies and clocks around the production broker, with checkers that \
         each watch one promise ([README](../workshop/simulator/README.md)). What it found is in [bugs-found.md](bugs-found.md).\n\n\
         | run | commit | worlds | first seed | steps of each | virtual hours | processor time | broken promises |\n\
         |---|---|---:|---:|---:|---:|---:|---|\n",
    );
    for soak in soaks {
        let at = |name: &str| number(soak, name).unwrap_or(0.0);
        let _ = writeln!(
            out,
            "| {} | {} | {} | {:.0} | {:.0} | {} | {} | {} |",
            text(soak, "/date"),
            text(soak, "/commit"),
            spaced(at("/seeds")),
            at("/first_seed"),
            at("/steps"),
            spaced(at("/virtual_hours")),
            time(at("/cpu_seconds")),
            verdict(soak)
        );
    }
    let checkers: Vec<String> = counts(soaks, "broken_by_checker")
        .iter()
        .map(|(name, broken)| format!("`{name}` {broken:.0}"))
        .collect();
    let _ = writeln!(out, "\nBroken promises by checker: {}.\n", checkers.join(", "));
    out += "How often each kind of fault and each rare branch was met:\n\n| mark | worlds' total |\n|---|---:|\n";
    for (name, count) in marks {
        let _ = writeln!(out, "| {name} | {} |", spaced(*count));
    }
    out
}

fn verdict(soak: &Value) -> String {
    let failures = soak.get("failures").and_then(Value::as_array).into_iter().flatten();
    let told: Vec<String> =
        failures.map(|one| format!("{}: `{}`", text(one, "/checker"), text(one, "/command"))).collect();
    if told.is_empty() { "none".into() } else { told.join("; ") }
}

fn chart(soaks: &[Value]) -> Chart {
    let (mut hours, mut worlds, mut points) = (0.0, 0.0, vec![(0.0, 0.0)]);
    for soak in soaks {
        hours += number(soak, "/cpu_seconds").unwrap_or(0.0) / 3_600.0;
        worlds += number(soak, "/seeds").unwrap_or(0.0);
        points.push((hours, worlds));
    }
    Chart {
        title: "Worlds without a broken promise, and with one, by processor time".into(),
        x: ("processor hours".into(), Scale::Linear),
        y: ("worlds".into(), Scale::Linear),
        lines: vec![Line { name: "worlds".into(), points }],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn soak(cpu: f64, failures: &Value, crashes: u64) -> Value {
        json!({"date": "2026-01-01T00:00:00Z", "commit": "abc", "cpu_seconds": cpu, "virtual_hours": 1234.5, "seeds": 20_000,
               "first_seed": 7, "steps": 150, "failures": failures, "broken_by_checker": {"loss": failures.as_array().unwrap().len()},
               "marks": {"the process died": crashes}})
    }

    #[test]
    fn soaks_add_up() {
        let part = part(&[soak(3_000.0, &json!([]), 5), soak(900.0, &json!([]), 0)], 0);
        assert_eq!(part.met, Some(true));
        assert_eq!(
            part.measured,
            "40 000 worlds with new seeds, 2 469 virtual hours in 1.1 h of processor time, 0 broken promises"
        );
        assert!(
            part.text.contains("| the process died | 5 |") && part.text.contains("`loss` 0."),
            "{}",
            part.text
        );
    }

    #[test]
    fn a_broken_promise_a_missing_mark_or_little_time_is_missed() {
        let failure = json!([{"checker": "loss", "what": "w", "command": "thingcore-sim run --seed 9"}]);
        let broken = part(&[soak(4_000.0, &failure, 1)], 0);
        assert_eq!(broken.met, Some(false));
        assert!(broken.text.contains("| loss: `thingcore-sim run --seed 9` |"), "{}", broken.text);
        assert_eq!(part(&[soak(4_000.0, &json!([]), 0)], 0).met, Some(false));
        let mended = part(&[soak(100.0, &failure, 1), soak(4_000.0, &json!([]), 1)], 0);
        assert_eq!(mended.met, Some(true));
        let open = part(&[soak(100.0, &failure, 1), soak(4_000.0, &json!([]), 1)], 1);
        assert_eq!(open.met, Some(false));
        assert!(open.measured.ends_with("worlds before, 1; 1 of them not mended"), "{}", open.measured);
        assert!(
            mended.measured.ends_with("0 broken promises; in 20 000 worlds before, 1"),
            "{}",
            mended.measured
        );
        let again = part(&[soak(4_000.0, &json!([]), 1), soak(100.0, &failure, 1)], 0);
        assert_eq!(again.met, Some(false), "none since");
        assert_eq!(part(&[soak(100.0, &json!([]), 1)], 0).met, Some(false));
    }
}
