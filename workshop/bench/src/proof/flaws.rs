//! Mistakes on purpose: each must be seen by a checker.

use std::fmt::Write;

use fleet::{Chart, Line, Scale};
use serde_json::Value;

use super::Part;
use crate::results::{number, text};

const TITLE: &str = "Mistakes on purpose";
const GOAL: &str = "each is seen";

pub(super) fn part(found: Option<&Value>) -> Part {
    let rows: Vec<&Value> =
        found.and_then(|found| found.get("flaws")?.as_array()).into_iter().flatten().collect();
    let Some(found) = found.filter(|_| !rows.is_empty()) else {
        return Part::not_run(TITLE, GOAL, "thingcore-sim flaws --record docs/evidence/flaws.json");
    };
    let mut worlds: Vec<f64> = rows.iter().filter_map(|row| number(row, "/worlds")).collect();
    worlds.sort_by(f64::total_cmp);
    let most = worlds.last().copied().unwrap_or(0.0);
    let measured = format!("{} of {} seen, within {most:.0} worlds", worlds.len(), rows.len());
    Part {
        title: TITLE,
        measured,
        goal: GOAL,
        met: Some(worlds.len() == rows.len()),
        text: table(found, &rows),
        pictures: vec![("flaws.svg", vec![chart(&worlds)])],
    }
}

fn table(found: &Value, rows: &[&Value]) -> String {
    let mut out = format!(
        "To show that the checkers can fail, the broker, its disk or its meter is made to do something wrong, and worlds are run until \
         a checker that watches it complains; the same world without the mistake is in order (`tests/flaws.rs`). Some need much \
         to come together, so their search begins at a seed that is known. Commit {}, {}.\n\n\
         | mistake | seen by | worlds | seed |\n|---|---|---:|---:|\n",
        text(found, "/commit"),
        text(found, "/date")
    );
    for row in rows {
        let name = text(row, "/flaw");
        let _ = match (number(row, "/worlds"), number(row, "/seed")) {
            (Some(worlds), Some(seed)) => {
                writeln!(out, "| `{name}` | {} | {worlds:.0} | {seed:.0} |", text(row, "/checker"))
            }
            _ => writeln!(out, "| `{name}` | **not seen** | | |"),
        };
    }
    out
}

/// How many mistakes are seen after so many worlds.
fn chart(worlds: &[f64]) -> Chart {
    let points = worlds.iter().enumerate().map(|(at, worlds)| (*worlds, (at + 1) as f64)).collect();
    Chart {
        title: "Mistakes seen within so many worlds".into(),
        x: ("worlds".into(), Scale::Log),
        y: ("mistakes".into(), Scale::Linear),
        lines: vec![Line { name: "seen".into(), points }],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn one_that_is_not_seen_is_told() {
        let seen = json!({"flaw": "A", "first_seed": 1, "seed": 12, "worlds": 12, "checker": "loss"});
        let hidden = json!({"flaw": "B", "first_seed": 1, "seed": null, "worlds": null, "checker": null});
        let all = part(Some(&json!({"date": "d", "commit": "c", "flaws": [seen]})));
        assert_eq!((all.met, all.measured.as_str()), (Some(true), "1 of 1 seen, within 12 worlds"));
        let some = part(Some(&json!({"date": "d", "commit": "c", "flaws": [seen, hidden]})));
        assert_eq!((some.met, some.measured.as_str()), (Some(false), "1 of 2 seen, within 12 worlds"));
        assert!(
            some.text.contains("| `A` | loss | 12 | 12 |\n| `B` | **not seen** | | |\n"),
            "{}",
            some.text
        );
    }
}
