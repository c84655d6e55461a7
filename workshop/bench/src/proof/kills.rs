//! `kill -9` under load: what was acknowledged, and what was lost of it.

use std::fmt::Write;

use serde_json::Value;

use super::{Part, commit, spaced, time};
use crate::results::{number, text};

const TITLE: &str = "Kills under load";
const GOAL: &str = "500 kills of a release build in runs that look at everything, nothing lost";
const ASKED: f64 = 500.0;
/// What must not be: acknowledged messages that did not come to a device or to a shared group, retained ones that are not there,
/// things that are not. Older runs did not look at all of it.
const LOST: [&str; 4] = ["/lost", "/shared_lost", "/retained_lost", "/things_lost"];
/// Of the kills, so many may come before anything was acknowledged.
const BEFORE_ANY: f64 = 0.1;

pub(super) fn part(runs: &[Value]) -> Part {
    if runs.is_empty() {
        return Part::not_run(
            TITLE,
            GOAL,
            "workshop/kills.py --kills 500 --record docs/evidence/kills.jsonl",
        );
    }
    let sum = |name: &str| runs.iter().filter_map(|run| number(run, name)).sum::<f64>();
    let lost = LOST.iter().map(|name| sum(name)).sum::<f64>();
    let sound = runs.iter().all(|run| run.get("folder_sound").and_then(Value::as_bool) == Some(true));
    let counted: f64 = runs.iter().filter(|run| counts(run)).filter_map(|run| number(run, "/kills")).sum();
    let measured = format!(
        "{} kills, {} of them in runs that count; {} acknowledged messages and {} things, {} lost",
        spaced(sum("/kills")),
        spaced(counted),
        spaced(sum("/acknowledged")),
        spaced(sum("/things")),
        spaced(lost)
    );
    let met = Some(lost == 0.0 && sound && counted >= ASKED);
    Part { title: TITLE, measured, goal: GOAL, met, text: table(runs), pictures: Vec::new() }
}

/// Whether a run shows something: a release build, all of the four looked at, and something acknowledged that could be lost.
fn counts(run: &Value) -> bool {
    let at = |name: &str| number(run, name).unwrap_or(0.0);
    text(run, "/binary") == "release"
        && LOST.iter().all(|name| number(run, name).is_some())
        && at("/acknowledged") >= at("/kills")
        && at("/retained") > 0.0
        && at("/things") > 0.0
        && at("/kills_before_any_acknowledgement") <= at("/kills") * BEFORE_ANY
}

fn table(runs: &[Value]) -> String {
    let mut out = String::from(
        "The server is killed with `kill -9` at random moments while paho-mqtt publishes with QoS 1, some of it retained, and boto3 \
         makes things; a device and a member of a shared group with sessions that last come and go, half of the connections over \
         mutual TLS. At the end everything that was acknowledged must be there, and `thingcore check` must find the folder sound \
         (`workshop/kills.py`). A message that came more than once is allowed by QoS 1.\n\n\
         A run counts if it is of a release build, has a number in each of the four columns of what was lost, had a message \
         acknowledged for each kill on average, retained messages and things, and no more than a tenth of its kills before \
         anything was acknowledged. Runs without a number for the group and retained messages had neither, nor TLS.\n\n\
         | run | commit | build | kills | over TLS | before any | acknowledged | lost | lost of the group | retained | lost \
         | came more than once | things | lost | folder | took | counts |\n\
         |---|---|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---|---:|---|\n",
    );
    for run in runs {
        let at = |name: &str| number(run, name).map_or_else(|| "–".to_owned(), spaced);
        let sound = run.get("folder_sound").and_then(Value::as_bool) == Some(true);
        let _ = writeln!(
            out,
            "| {} | {} | {} | {} | {} | {} | {} | {} | {} | {} | {} | {} | {} | {} | {} | {} | {} |",
            text(run, "/date"),
            commit(run),
            text(run, "/binary"),
            at("/kills"),
            at("/kills_over_tls"),
            at("/kills_before_any_acknowledgement"),
            at("/acknowledged"),
            at("/lost"),
            at("/shared_lost"),
            at("/retained"),
            at("/retained_lost"),
            at("/duplicated"),
            at("/things"),
            at("/things_lost"),
            if sound { "sound" } else { "**damaged**" },
            time(number(run, "/seconds").unwrap_or(0.0)),
            if counts(run) { "yes" } else { "no" }
        );
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn run(kills: u64, lost: u64, binary: &str, sound: bool) -> Value {
        json!({"date": "d", "commit": "c", "kills": kills, "acknowledged": 12_000, "lost": lost, "shared_lost": 0, "retained": 90,
               "retained_lost": 0, "duplicated": 3, "things": 40, "things_lost": 0, "kills_before_any_acknowledgement": 9,
               "folder_sound": sound, "seconds": 90.0, "binary": binary})
    }

    fn but(what: &str, value: Value) -> Part {
        let mut changed = run(500, 0, "release", true);
        changed[what] = value;
        part(&[changed])
    }

    #[test]
    fn only_release_builds_count_and_nothing_may_be_lost() {
        let both = part(&[run(300, 0, "release", true), run(200, 0, "release", true)]);
        assert_eq!(both.met, Some(true));
        assert_eq!(
            both.measured,
            "500 kills, 500 of them in runs that count; 24 000 acknowledged messages and 80 things, 0 lost"
        );
        assert_eq!(part(&[run(500, 0, "debug", true)]).met, Some(false));
        assert_eq!(part(&[run(500, 1, "release", true)]).met, Some(false));
        for what in ["shared_lost", "retained_lost", "things_lost"] {
            assert_eq!(but(what, json!(1)).met, Some(false), "{what}");
        }
        let damaged = part(&[run(500, 0, "release", false)]);
        assert_eq!(damaged.met, Some(false));
        assert!(damaged.text.contains("| **damaged** | 2 min | yes |"), "{}", damaged.text);
    }

    #[test]
    fn a_run_that_could_lose_nothing_does_not_count() {
        for (what, value) in [
            ("acknowledged", 0),
            ("acknowledged", 499),
            ("retained", 0),
            ("things", 0),
            ("kills_before_any_acknowledgement", 51),
        ] {
            let hollow = but(what, json!(value));
            assert_eq!(hollow.met, Some(false), "{what}: {value}");
            assert!(hollow.measured.starts_with("500 kills, 0 of them"), "{}", hollow.measured);
            assert!(hollow.text.contains("| sound | 2 min | no |"), "{}", hollow.text);
        }
        for what in ["lost", "shared_lost", "retained_lost", "things_lost"] {
            assert_eq!(but(what, Value::Null).met, Some(false), "{what}: nobody looked");
        }
        let lost_long_ago = [run(500, 1, "debug", true), run(500, 0, "release", true)];
        assert_eq!(part(&lost_long_ago).met, Some(false), "lost is lost, whether the run counts or not");
    }
}
