//! `kill -9` under load: what was acknowledged, and what was lost of it.

use std::fmt::Write;

use serde_json::Value;

use super::{Part, spaced, time};
use crate::results::{number, text};

const TITLE: &str = "Kills under load";
const GOAL: &str = "500 kills of a release build, nothing lost";
const ASKED: f64 = 500.0;
/// What must not be: acknowledged messages that did not come to a device or to a shared group, retained ones that are not there,
/// things that are not. Older runs did not look at all of it.
const LOST: [&str; 4] = ["/lost", "/shared_lost", "/retained_lost", "/things_lost"];

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
    let measured = format!(
        "{} kills, {} acknowledged messages and {} things, {} lost",
        spaced(sum("/kills")),
        spaced(sum("/acknowledged")),
        spaced(sum("/things")),
        spaced(lost)
    );
    let released = runs.iter().filter(|run| text(run, "/binary") == "release");
    let released: f64 = released.filter_map(|run| number(run, "/kills")).sum();
    let met = Some(lost == 0.0 && sound && released >= ASKED);
    Part { title: TITLE, measured, goal: GOAL, met, text: table(runs), pictures: Vec::new() }
}

fn table(runs: &[Value]) -> String {
    let mut out = String::from(
        "The server is killed with `kill -9` at random moments while paho-mqtt publishes with QoS 1, some of it retained, and boto3 \
         makes things; a device and a member of a shared group with sessions that last come and go, half of the connections over \
         mutual TLS. At the end everything that was acknowledged must be there, and `thingcore check` must find the folder sound \
         (`workshop/kills.py`). A message that came more than once is allowed by QoS 1. Runs without a number for the group and \
         retained messages had neither, nor TLS.\n\n\
         | run | commit | build | kills | over TLS | acknowledged | lost | lost of the group | retained | lost | came more than once \
         | things | lost | folder | took |\n\
         |---|---|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---|---:|\n",
    );
    for run in runs {
        let at = |name: &str| number(run, name).map_or_else(|| "–".to_owned(), spaced);
        let sound = run.get("folder_sound").and_then(Value::as_bool) == Some(true);
        let _ = writeln!(
            out,
            "| {} | {} | {} | {} | {} | {} | {} | {} | {} | {} | {} | {} | {} | {} | {} |",
            text(run, "/date"),
            text(run, "/commit"),
            text(run, "/binary"),
            at("/kills"),
            at("/kills_over_tls"),
            at("/acknowledged"),
            at("/lost"),
            at("/shared_lost"),
            at("/retained"),
            at("/retained_lost"),
            at("/duplicated"),
            at("/things"),
            at("/things_lost"),
            if sound { "sound" } else { "**damaged**" },
            time(number(run, "/seconds").unwrap_or(0.0))
        );
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn run(kills: u64, lost: u64, binary: &str, sound: bool) -> Value {
        json!({"date": "d", "commit": "c", "kills": kills, "acknowledged": 12_000, "lost": lost, "duplicated": 3, "things": 40,
               "things_lost": 0, "folder_sound": sound, "seconds": 90.0, "binary": binary})
    }

    #[test]
    fn only_release_builds_count_and_nothing_may_be_lost() {
        let both = part(&[run(300, 0, "release", true), run(200, 0, "release", true)]);
        assert_eq!(both.met, Some(true));
        assert_eq!(both.measured, "500 kills, 24 000 acknowledged messages and 80 things, 0 lost");
        assert_eq!(part(&[run(500, 0, "debug", true)]).met, Some(false));
        assert_eq!(part(&[run(500, 1, "release", true)]).met, Some(false));
        for what in ["shared_lost", "retained_lost"] {
            let mut lost = run(500, 0, "release", true);
            lost[what] = json!(1);
            assert_eq!(part(&[lost]).met, Some(false), "{what}");
        }
        let damaged = part(&[run(500, 0, "release", false)]);
        assert_eq!(damaged.met, Some(false));
        assert!(damaged.text.contains("| **damaged** | 2 min |"), "{}", damaged.text);
    }
}
