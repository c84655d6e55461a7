//! The test command, as CI runs it: what it took from a fresh clone, and that nothing of it failed.

use std::fmt::Write;

use serde_json::Value;

use super::{Part, commit, time};
use crate::results::{number, text};

const TITLE: &str = "Test command";
const GOAL: &str = "every step from a fresh clone in less than 30 minutes";
const MOST_SECONDS: f64 = 1_800.0;
/// Without these it was not the whole: the steps of `workshop/test.py`, in which a test looks for each.
const STEPS: [&str; 11] = [
    "toolchain",
    "python packages",
    "node packages",
    "mosquitto clients",
    "rustfmt",
    "clippy",
    "fuzz targets",
    "cargo test",
    "instruction counts",
    "build",
    "black-box tests",
];

pub(super) fn part(run: Option<&Value>) -> Part {
    let Some(run) = run else {
        return Part::not_run(TITLE, GOAL, "python3 workshop/test.py --record docs/evidence/test.json");
    };
    let steps: Vec<&Value> = run.get("steps").and_then(Value::as_array).into_iter().flatten().collect();
    let passed = |step: &&&Value| step.get("problem").is_some_and(Value::is_null);
    let count = steps.iter().filter(passed).count();
    let seconds = number(run, "/seconds").unwrap_or(f64::INFINITY);
    let missing: Vec<&str> =
        STEPS.into_iter().filter(|name| !steps.iter().any(|step| text(step, "/name") == *name)).collect();
    let is_fresh = run.get("fresh").and_then(Value::as_bool) == Some(true);
    let mut measured = format!("{count} of {} steps passed in {}", steps.len(), time(seconds));
    if !missing.is_empty() {
        let _ = write!(measured, "; **without {}**", missing.join(", "));
    }
    Part {
        title: TITLE,
        measured,
        goal: GOAL,
        met: Some(missing.is_empty() && is_fresh && count == steps.len() && seconds < MOST_SECONDS),
        text: table(run, &steps),
        pictures: Vec::new(),
    }
}

fn table(run: &Value, steps: &[&Value]) -> String {
    let mut out = format!(
        "`workshop/test.py` at commit {}, {}, on {} processors with a load of {:.1} at its beginning{}.\n\n\
         | step | seconds | |\n|---|---:|---|\n",
        commit(run),
        text(run, "/date"),
        number(run, "/processors").unwrap_or(0.0),
        number(run, "/load_average").unwrap_or(0.0),
        match run.get("fresh").and_then(Value::as_bool) {
            Some(true) => ", in a clone without a virtual environment and without anything built",
            _ => "; something was built before",
        }
    );
    for step in steps {
        let problem = step.get("problem").and_then(Value::as_str);
        let _ = writeln!(
            out,
            "| {} | {:.0} | {} |",
            text(step, "/name"),
            number(step, "/seconds").unwrap_or(0.0),
            problem.unwrap_or("passed")
        );
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn run(change: impl FnOnce(&mut Value)) -> Option<bool> {
        let step = |name: &&str| json!({"name": name, "seconds": 400.0, "problem": null});
        let steps: Vec<Value> = STEPS.iter().map(step).collect();
        let mut run = json!({"commit": "c", "date": "d", "seconds": 1_600.0, "fresh": true, "steps": steps});
        change(&mut run);
        part(Some(&run)).met
    }

    #[test]
    fn it_is_met_by_the_whole_in_time_and_by_nothing_less() {
        assert_eq!(run(|_| {}), Some(true));
        assert_eq!(run(|run| run["seconds"] = json!(1_801.0)), Some(false));
        assert_eq!(run(|run| run["fresh"] = json!(false)), Some(false));
        assert_eq!(run(|run| run["steps"][1]["problem"] = json!("one failed")), Some(false));
        assert_eq!(run(|run| run["steps"][1]["name"] = json!("another")), Some(false));
        assert_eq!(run(|run| drop(run.as_object_mut().unwrap().remove("seconds"))), Some(false));
        assert_eq!(part(None).met, None);
        let older = json!({"seconds": 1.0, "fresh": true, "steps": [{"name": "build", "seconds": 1.0, "problem": null}]});
        assert!(part(Some(&older)).measured.contains("; **without toolchain, python packages"));
    }

    #[test]
    fn the_steps_are_those_of_the_command() {
        let command = include_str!("../../../test.py");
        let yields = command.lines().filter_map(|line| line.trim().strip_prefix("yield \""));
        let names: Vec<&str> = yields.filter_map(|rest| rest.split('"').next()).collect();
        let sorted = |names: &[&str]| {
            let mut names = names.to_vec();
            names.sort_unstable();
            names.join(", ")
        };
        assert_eq!(sorted(&names), sorted(&STEPS));
    }
}
