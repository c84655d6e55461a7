//! The simulator's soaks: worlds, hours, verdicts of the checkers, marks.

use std::collections::BTreeMap;
use std::fmt::Write;

use fleet::{Chart, Line, Scale};
use serde_json::Value;

use super::{Part, commit, spaced, time};
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
    let (cpu, again) = (sum(soaks_since, "/cpu_seconds"), repeated(soaks_since));
    let worlds = sum(soaks_since, "/seeds") - again;
    let marks = marks(soaks, soaks_since);
    let never = marks.values().filter(|(_, since)| *since == 0.0).count();
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
    if again > 0.0 {
        let _ = write!(measured, "; **{} seeds ran more than once**", spaced(again));
    }
    if never > 0 && !soaks_since.is_empty() {
        let _ = write!(measured, "; **{never} marks never hit**");
    }
    Part {
        title: TITLE,
        measured,
        goal: GOAL,
        met: Some(
            open == 0 && never == 0 && !marks.is_empty() && again == 0.0 && cpu >= ASKED_HOURS * 3_600.0,
        ),
        text: text_of(soaks, &marks, !soaks_since.is_empty()),
        pictures: vec![("simulator.svg", vec![chart(soaks)])],
    }
}

fn failed(soak: &Value) -> usize {
    // A line that does not tell is none of a clean soak.
    soak.get("failures").and_then(Value::as_array).map_or(1, Vec::len)
}

/// How many seeds these soaks ran that another of them had run: worlds that are not new.
fn repeated(soaks: &[Value]) -> f64 {
    let range = |soak: &Value| {
        let first = number(soak, "/first_seed")?;
        Some((first, first + number(soak, "/seeds")?))
    };
    let mut ranges: Vec<(f64, f64)> = soaks.iter().filter_map(range).collect();
    ranges.sort_by(|one, other| one.0.total_cmp(&other.0));
    let (mut end, mut again) = (f64::NEG_INFINITY, 0.0);
    for (first, last) in ranges {
        again += (last.min(end) - first).max(0.0);
        end = last.max(end);
    }
    again
}

/// How often each mark was hit in all soaks, and in those since. One that the newest soak does not know cannot be hit any more,
/// whatever older ones say.
fn marks(soaks: &[Value], since: &[Value]) -> BTreeMap<String, (f64, f64)> {
    let (recent, newest) =
        (counts(since, "marks"), counts(soaks.last().map_or(&[], std::slice::from_ref), "marks"));
    let now = |name: &str| newest.get(name).and_then(|_| recent.get(name)).copied().unwrap_or(0.0);
    let all = counts(soaks, "marks").into_iter();
    all.map(|(name, count)| {
        let since = now(&name);
        (name, (count, since))
    })
    .collect()
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

/// `since`: whether there was a soak since a promise was broken last.
fn text_of(soaks: &[Value], marks: &BTreeMap<String, (f64, f64)>, since: bool) -> String {
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
            commit(soak),
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
    out += "How often each kind of fault and each rare branch was met, in all runs and in those since a promise was broken last, which \
            count:\n\n| mark | in all | since |\n|---|---:|---:|\n";
    // Where nothing has run since, nothing is missing yet.
    let none = if since { "**never**" } else { "–" };
    for (name, (count, since)) in marks {
        let since = if *since > 0.0 { spaced(*since) } else { none.to_owned() };
        let _ = writeln!(out, "| {name} | {} | {since} |", spaced(*count));
    }
    out
}

fn verdict(soak: &Value) -> String {
    let failures = soak.get("failures").and_then(Value::as_array).into_iter().flatten();
    let told: Vec<String> =
        failures.map(|one| format!("{}: `{}`", text(one, "/checker"), text(one, "/command"))).collect();
    if told.is_empty() { "none".into() } else { told.join("; ") }
}

/// All runs one after the other, and where in that the promises broke.
fn chart(soaks: &[Value]) -> Chart {
    let (mut hours, mut worlds, mut points) = (0.0, 0.0, vec![(0.0, 0.0)]);
    for soak in soaks {
        hours += number(soak, "/cpu_seconds").unwrap_or(0.0) / 3_600.0;
        worlds += number(soak, "/seeds").unwrap_or(0.0);
        points.push((hours, worlds));
    }
    let since = soaks.iter().rposition(|soak| failed(soak) > 0).map_or(0, |last| last + 1);
    let before = points.get(..=since).unwrap_or_default().to_vec();
    let lines = [("all worlds that ran", points), ("those up to the last broken promise", before)];
    Chart {
        title: "Worlds that ran, by the processor time of all runs".into(),
        x: ("processor hours".into(), Scale::Linear),
        y: ("worlds".into(), Scale::Linear),
        lines: lines.into_iter().map(|(name, points)| Line { name: name.into(), points }).collect(),
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

    /// The same, from this seed on.
    fn from(first: u64, mut soak: Value) -> Value {
        soak["first_seed"] = json!(first);
        soak
    }

    #[test]
    fn soaks_add_up() {
        let part = part(&[soak(3_000.0, &json!([]), 5), from(20_007, soak(900.0, &json!([]), 0))], 0);
        assert_eq!(part.met, Some(true));
        assert_eq!(
            part.measured,
            "40 000 worlds with new seeds, 2 469 virtual hours in 1.1 h of processor time, 0 broken promises"
        );
        assert!(
            part.text.contains("| the process died | 5 | 5 |") && part.text.contains("`loss` 0."),
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
        let lines = &mended.pictures[0].1[0].lines;
        assert_eq!(lines.iter().map(|line| line.points.len()).collect::<Vec<_>>(), [3, 2]);
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

    #[test]
    fn a_seed_that_ran_twice_is_no_new_world() {
        let none = json!([]);
        let again = part(&[soak(4_000.0, &none, 1), from(19_007, soak(900.0, &none, 1))], 0);
        assert_eq!(again.met, Some(false));
        assert!(again.measured.starts_with("39 000 worlds with new seeds"), "{}", again.measured);
        assert!(again.measured.ends_with("; **1 000 seeds ran more than once**"), "{}", again.measured);
        let within =
            [from(1, soak(4_000.0, &none, 1)), from(1, soak(1.0, &none, 1)), from(5, soak(1.0, &none, 1))];
        assert_eq!(repeated(&within), 20_000.0 + 19_996.0);
        let failure = json!([{"checker": "loss", "command": "c"}]);
        assert_eq!(
            part(&[soak(9.0, &failure, 1), soak(4_000.0, &none, 1)], 0).met,
            Some(true),
            "another build since"
        );
    }

    #[test]
    fn a_mark_counts_since_the_last_failure_and_only_while_there_is_one() {
        let (none, failure) = (json!([]), json!([{"checker": "loss", "command": "c"}]));
        let gone = part(&[soak(100.0, &failure, 7), soak(4_000.0, &none, 0)], 0);
        assert_eq!(gone.met, Some(false));
        assert!(gone.measured.ends_with("; **1 marks never hit**"), "{}", gone.measured);
        assert!(gone.text.contains("| the process died | 7 | **never** |"), "{}", gone.text);
        let mut other = from(20_007, soak(100.0, &none, 0));
        other["marks"] = json!({"another": 3});
        let unknown = part(&[soak(4_000.0, &none, 7), other], 0);
        assert_eq!(unknown.met, Some(false), "the newest soak does not know it");
        assert!(
            unknown.text.contains("| another | 3 | 3 |\n| the process died | 7 | **never** |"),
            "{}",
            unknown.text
        );
        let before = part(&[soak(100.0, &failure, 7)], 0);
        assert!(
            before.text.contains("| the process died | 7 | – |") && !before.measured.contains("never hit")
        );
        let mut silent = soak(4_000.0, &none, 1);
        silent["failures"] = Value::Null;
        assert_eq!(part(&[silent], 0).met, Some(false), "nobody knows what broke");
        let mut bare = soak(4_000.0, &none, 1);
        bare["marks"] = json!({});
        assert_eq!(part(&[bare], 0).met, Some(false), "no marks at all");
    }
}
