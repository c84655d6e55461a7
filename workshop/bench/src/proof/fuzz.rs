//! Fuzzing: processor time, executions and coverage of each target.

use std::collections::BTreeMap;
use std::fmt::Write;

use fleet::{Chart, Line, Scale};
use serde_json::Value;

use super::{Part, spaced, time};
use crate::results::{number, text};

/// What is asked for each target, in seconds of processor time.
const ASKED: f64 = 3_600.0;
const TITLE: &str = "Fuzzing";
const GOAL: &str =
    "each target an hour in all since it was extended or a finding of it mended last, no finding open";
/// When a target was last made to reach other code, by the date of the commit: an hour of the smaller one before says nothing of what
/// came to it, so only runs that began since count. Dates are UTC, as those of the lines are, so that their texts compare.
const SINCE: [(&str, &str); 2] = [
    // b4b77e0: all keyspaces of the store and what every start reads; the gateway's HTTP.
    ("records", "2026-11-26T13:47:09+00:00"),
    ("requests", "2026-11-26T13:47:09+00:00"),
];

/// Findings that are mended: the target, the input, and the date of the commit that mends it. The target's hour begins anew then.
/// How each was mended: `docs/bugs-found.md`.
const MENDED: [(&str, &str, &str); 1] =
    [("reach", "crash-ff0e513049d3a20ce48bae484d6a4dffd6c047ec", "2026-11-26T19:02:20+00:00")];

/// All runs of one target that count.
#[derive(Debug, Default, PartialEq)]
struct Target {
    runs: usize,
    seconds: f64,
    executions: f64,
    edges: f64,
    all: f64,
    corpus: f64,
    /// Not mended.
    findings: Vec<String>,
    mended: usize,
    /// Runs of what it was before.
    older: usize,
    /// The commits at which the binaries were built, empty where nobody knows, and the seconds of each.
    built: Vec<(String, f64)>,
    /// Processor seconds so far, and edges, after each run.
    curve: Vec<(f64, f64)>,
}

impl Target {
    fn add(&mut self, run: &Value) {
        let at = |name: &str| number(run, name).unwrap_or(0.0);
        // What was found is found, whatever the target was, until it is mended; and if it is found after that it is not.
        let found = run.get("findings").and_then(Value::as_array).into_iter().flatten();
        for found in found.filter_map(Value::as_str) {
            match is_mended(text(run, "/target"), found, text(run, "/date")) {
                true => self.mended += 1,
                false => self.findings.push(found.to_owned()),
            }
        }
        if since(text(run, "/target")).is_some_and(|since| text(run, "/date") < since) {
            self.older += 1;
            return;
        }
        self.runs += 1;
        self.seconds += at("/cpu_seconds");
        self.executions += at("/executions");
        (self.edges, self.all, self.corpus) = (at("/edges"), at("/edges_in_all"), at("/corpus"));
        let dirty =
            if run.get("dirty").and_then(Value::as_bool) == Some(true) { " with changes" } else { "" };
        let built = text(run, "/built").to_owned() + dirty;
        match self.built.iter_mut().find(|(commit, _)| *commit == built) {
            Some((_, seconds)) => *seconds += at("/cpu_seconds"),
            None => self.built.push((built, at("/cpu_seconds"))),
        }
        self.curve.push((self.seconds, self.edges));
    }
}

fn is_mended(target: &str, finding: &str, found: &str) -> bool {
    MENDED.iter().any(|(of, input, date)| (*of, *input) == (target, finding) && found < *date)
}

/// From when on runs of a target count, if not all do.
fn since(target: &str) -> Option<&'static str> {
    let mended = MENDED.iter().map(|(of, _, date)| (*of, *date));
    SINCE.into_iter().chain(mended).filter(|(of, _)| *of == target).map(|(_, since)| since).max()
}

/// By name: those that there are, and whatever else ran once.
fn targets<'a>(runs: &'a [Value], names: &'a [String]) -> BTreeMap<&'a str, Target> {
    let mut all: BTreeMap<&str, Target> =
        names.iter().map(|name| (name.as_str(), Target::default())).collect();
    for run in runs {
        all.entry(text(run, "/target")).or_default().add(run);
    }
    all
}

/// `names`: all targets that there are, whether they ran or not.
pub(super) fn part(runs: &[Value], names: &[String]) -> Part {
    if runs.is_empty() {
        return Part::not_run(TITLE, GOAL, "python3 fuzz/run.py");
    }
    let all = targets(runs, names);
    let (seconds, executions) =
        all.values().fold((0.0, 0.0), |sum, target| (sum.0 + target.seconds, sum.1 + target.executions));
    // Nothing is known of a target that is not there any more, and nothing of any if none is found.
    let each = || names.iter().filter_map(|name| all.get(name.as_str()));
    let least = each().map(|target| target.seconds).reduce(f64::min).unwrap_or(0.0);
    // Time in which nothing was executed, or nothing was seen of it, is none.
    let alive = each().all(|target| target.executions > 0.0 && target.edges > 0.0);
    let findings: usize = all.values().map(|target| target.findings.len()).sum();
    let mended: usize = all.values().map(|target| target.mended).sum();
    let measured = format!(
        "{} targets, {} of processor time in all and {} at least each, {} executions, {findings} findings open and {mended} mended",
        names.len(),
        time(seconds),
        time(least),
        spaced(executions)
    );
    Part {
        title: TITLE,
        measured,
        goal: GOAL,
        met: Some(least >= ASKED && alive && findings == 0),
        text: table(&all),
        pictures: vec![("fuzz.svg", charts(&all))],
    }
}

fn table(all: &BTreeMap<&str, Target>) -> String {
    let mut out = String::from(
        "What each target reads and what must hold: [fuzz/README.md](../fuzz/README.md). Optimised builds with assertions and \
         checks of overflow; `fuzz/run.py` adds a line to `evidence/fuzz.jsonl` for each run. Time is processor time. Edges in all are \
         those of the target and everything it links, much of which no input can reach. *Built* are the commits \
         at which the binaries of these runs were built, and the time of each; older lines do not tell it. What counts is an hour in \
         all of these builds: a target is not begun anew for each commit, but when it is extended and when a finding of it is mended.",
    );
    for (name, target) in all {
        if let Some(since) = since(name).filter(|_| target.older > 0) {
            let _ = write!(
                out,
                " `{name}` was extended since it first ran, or a finding of it mended: only runs from {since} on count, and {} \
                 before do not.",
                target.older
            );
        }
    }
    out += "\n\n| target | processor time | of an hour | runs | executions | edges found | of all | corpus | built | findings |\n\
            |---|---:|---:|---:|---:|---:|---:|---:|---|---|\n";
    for (name, target) in all {
        let part = if target.all > 0.0 { target.edges / target.all * 100.0 } else { 0.0 };
        let findings = match (target.runs, target.findings.is_empty()) {
            (_, false) => target.findings.join(", "),
            (0, true) => "**not run**".into(),
            (_, true) if target.mended > 0 => format!("none, {} mended", target.mended),
            (_, true) => "none".into(),
        };
        let builds = target.built.iter().map(|(built, seconds)| match built.trim() {
            "" => format!("not told ({})", time(*seconds)),
            built => format!("{built} ({})", time(*seconds)),
        });
        let built = builds.collect::<Vec<_>>().join(", ");
        let _ = writeln!(
            out,
            "| `{name}` | {} | {:.0} % | {} | {} | {} | {part:.1} % | {} | {built} | {findings} |",
            time(target.seconds),
            target.seconds / ASKED * 100.0,
            target.runs,
            spaced(target.executions),
            spaced(target.edges),
            spaced(target.corpus)
        );
    }
    out
}

/// Five targets a chart, so that colours tell them apart.
fn charts(all: &BTreeMap<&str, Target>) -> Vec<Chart> {
    let ran = all.iter().filter(|(_, target)| target.runs > 0);
    let lines: Vec<Line> =
        ran.map(|(name, target)| Line { name: (*name).into(), points: target.curve.clone() }).collect();
    let chart = |lines: &[Line]| Chart {
        title: "Edges found by processor time".into(),
        x: ("processor seconds".into(), Scale::Log),
        y: ("edges".into(), Scale::Linear),
        lines: lines.to_vec(),
    };
    lines.chunks(5).map(chart).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn run(target: &str, seconds: f64, edges: u64, findings: &[&str]) -> Value {
        json!({"target": target, "cpu_seconds": seconds, "executions": 1_000_000, "edges": edges, "edges_in_all": 20_000,
               "corpus": 12, "findings": findings})
    }

    fn named(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn runs_of_a_target_add_up_and_the_least_counts() {
        let runs = [run("a", 1_800.0, 900, &[]), run("b", 4_000.0, 50, &[]), run("a", 1_900.0, 1_000, &[])];
        let part = part(&runs, &named(&["a", "b"]));
        assert_eq!(part.met, Some(true));
        assert_eq!(
            part.measured,
            "2 targets, 2.1 h of processor time in all and 1.0 h at least each, 3 000 000 executions, 0 findings open and 0 mended"
        );
        assert!(
            part.text.contains(
                "| `a` | 1.0 h | 103 % | 2 | 2 000 000 | 1 000 | 5.0 % | 12 | not told (1.0 h) | none |"
            ),
            "{}",
            part.text
        );
        assert_eq!(targets(&runs, &[])["a"].curve, [(1_800.0, 900.0), (3_700.0, 1_000.0)]);
    }

    #[test]
    fn too_short_or_with_a_finding_is_missed() {
        let names = named(&["a"]);
        assert_eq!(part(&[run("a", 3_599.0, 1, &[])], &names).met, Some(false));
        let found = part(&[run("a", 3_601.0, 1, &["crash-1"])], &names);
        assert_eq!(found.met, Some(false));
        assert!(found.text.contains("| crash-1 |"));
    }

    #[test]
    fn an_hour_of_nothing_is_missed() {
        let names = named(&["a"]);
        assert_eq!(part(&[run("a", 4_000.0, 0, &[])], &names).met, Some(false), "no edge was seen");
        let mut idle = run("a", 4_000.0, 9, &[]);
        idle["executions"] = json!(0);
        assert_eq!(part(&[idle], &names).met, Some(false), "nothing was executed");
    }

    #[test]
    fn what_ran_before_a_target_was_extended_does_not_count() {
        let dated = |seconds: f64, date: &str, findings: &[&str]| {
            let mut run = run("records", seconds, 50, findings);
            (run["date"], run["built"]) = (json!(date), json!("abc"));
            run
        };
        let names = named(&["records"]);
        let before = dated(4_000.0, "2026-11-26T13:47:08+00:00", &[]);
        let short = part(&[before.clone(), dated(60.0, "2026-11-26T13:47:09+00:00", &[])], &names);
        assert_eq!(short.met, Some(false));
        assert!(
            short.measured.starts_with("1 targets, 1 min of processor time in all"),
            "{}",
            short.measured
        );
        assert!(short.text.contains("on count, and 1 before do not."), "{}", short.text);
        assert!(short.text.contains("| `records` | 1 min | 2 % | 1 |"), "{}", short.text);
        let long = part(&[before.clone(), dated(3_600.0, "2026-11-27T00:00:00+00:00", &[])], &names);
        assert_eq!(long.met, Some(true));
        assert!(long.text.contains("| 12 | abc (1.0 h) | none |"), "{}", long.text);
        let found = dated(1.0, "2026-11-26T02:00:00+00:00", &["crash-1"]);
        let open = part(&[found, dated(3_600.0, "2026-11-27T00:00:00+00:00", &[])], &names);
        assert_eq!(open.met, Some(false), "what was found before is found");
    }

    #[test]
    fn a_finding_that_is_mended_does_not_count_and_the_hour_begins_anew() {
        let (target, input, mended) = MENDED[0];
        let dated = |seconds: f64, date: &str, findings: &[&str]| {
            let mut run = run(target, seconds, 50, findings);
            run["date"] = json!(date);
            run
        };
        let names = named(&[target]);
        let before = dated(9_000.0, "2026-11-26T00:00:00+00:00", &[input]);
        let after = |seconds: f64, findings: &[&str]| dated(seconds, mended, findings);
        assert_eq!(
            part(&[before.clone(), after(60.0, &[])], &names).met,
            Some(false),
            "the hour begins anew"
        );
        let met = part(&[before.clone(), after(3_600.0, &[])], &names);
        assert_eq!(met.met, Some(true));
        assert!(met.measured.ends_with("0 findings open and 1 mended"), "{}", met.measured);
        assert!(met.text.contains("| none, 1 mended |"), "{}", met.text);
        assert_eq!(part(&[before.clone(), after(3_600.0, &[input])], &names).met, Some(false), "it is back");
        let other = dated(1.0, "2026-11-26T00:00:00+00:00", &["crash-2"]);
        assert_eq!(part(&[before, other, after(3_600.0, &[])], &names).met, Some(false), "another is open");
    }

    #[test]
    fn a_target_that_never_ran_is_missed_and_one_that_is_gone_is_not() {
        let runs = [run("a", 4_000.0, 1, &[]), run("gone", 10.0, 1, &[])];
        assert_eq!(part(&runs, &named(&["a"])).met, Some(true));
        let never = part(&runs, &named(&["a", "never"]));
        assert_eq!(never.met, Some(false));
        assert!(
            never.measured.starts_with("2 targets, 1.1 h of processor time in all and 0 s at least each")
        );
        assert!(
            never.text.contains("| `never` | 0 s | 0 % | 0 | 0 | 0 | 0.0 % | 0 |  | **not run** |"),
            "{}",
            never.text
        );
        assert_eq!(never.pictures[0].1[0].lines.len(), 2, "it has no curve");
        assert_eq!(part(&runs, &[]).met, Some(false), "nobody knows which targets there are");
        assert_eq!(part(&[], &named(&["a"])).met, None);
    }
}
