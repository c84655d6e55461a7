//! Mistakes on purpose: each must be seen by a checker.

use std::fmt::Write;

use fleet::{Chart, Line, Scale};
use serde_json::Value;

use super::{Part, commit};
use crate::results::{number, text};

const TITLE: &str = "Mistakes on purpose";
const GOAL: &str = "each is seen, of 40 or more";
/// A file of fewer is one of a search for some of them.
const ASKED: usize = 40;

pub(super) fn part(found: Option<&Value>) -> Part {
    let rows: Vec<&Value> =
        found.and_then(|found| found.get("flaws")?.as_array()).into_iter().flatten().collect();
    let Some(found) = found.filter(|_| !rows.is_empty()) else {
        return Part::not_run(TITLE, GOAL, "thingcore-sim flaws --record docs/evidence/flaws.json");
    };
    // The worlds that a search took say little where somebody chose its first seed: what counts is the seed that shows it.
    let mut seeds: Vec<f64> = rows.iter().filter_map(|row| number(row, "/seed")).collect();
    seeds.sort_by(f64::total_cmp);
    let chosen = rows.iter().filter(|row| number(row, "/first_seed").is_none_or(|first| first > 1.0)).count();
    let measured = format!(
        "{} of {} seen, the last at seed {:.0}; the search for {chosen} began at a chosen seed",
        seeds.len(),
        rows.len(),
        seeds.last().copied().unwrap_or(0.0)
    );
    Part {
        title: TITLE,
        measured,
        goal: GOAL,
        met: Some(seeds.len() == rows.len() && rows.len() >= ASKED),
        text: table(found, &rows),
        pictures: vec![("flaws.svg", vec![chart(&seeds)])],
    }
}

fn table(found: &Value, rows: &[&Value]) -> String {
    let mut out = format!(
        "To show that the checkers can fail, the broker, its disk or its meter is made to do something wrong, and worlds are run until \
         a checker that watches it complains; the same world without the mistake is in order (`tests/flaws.rs`). Some need much \
         to come together, so their search begins at a seed that was chosen because it is known to be near: *worlds* counts from there, \
         and from seed 1 on it would be as many as *seed* says, at most. Commit {}, {}.\n\n\
         | mistake | seen by | at seed | search began at | worlds |\n|---|---|---:|---:|---:|\n",
        commit(found),
        text(found, "/date")
    );
    for row in rows {
        let name = text(row, "/flaw");
        let first = number(row, "/first_seed").map_or("not told".to_owned(), |first| format!("{first:.0}"));
        let _ = match (number(row, "/worlds"), number(row, "/seed")) {
            (Some(worlds), Some(seed)) => {
                let checker = text(row, "/checker");
                writeln!(out, "| `{name}` | {checker} | {seed:.0} | {first} | {worlds:.0} |")
            }
            _ => writeln!(out, "| `{name}` | **not seen** | | {first} | |"),
        };
    }
    out
}

/// How many mistakes are seen by the worlds up to a seed.
fn chart(seeds: &[f64]) -> Chart {
    let points = seeds.iter().enumerate().map(|(at, seed)| (*seed, (at + 1) as f64)).collect();
    Chart {
        title: "Mistakes seen by the worlds from seed 1 to this one, at least".into(),
        x: ("seed".into(), Scale::Log),
        y: ("mistakes".into(), Scale::Linear),
        lines: vec![Line { name: "seen".into(), points }],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn many(more: &[Value]) -> Part {
        let seen = json!({"flaw": "A", "first_seed": 1, "seed": 12, "worlds": 12, "checker": "loss"});
        let mut flaws = vec![seen; ASKED];
        flaws.extend(more.iter().cloned());
        part(Some(&json!({"date": "d", "commit": "c", "flaws": flaws})))
    }

    #[test]
    fn one_that_is_not_seen_is_told() {
        let all = many(&[]);
        assert_eq!(all.met, Some(true));
        assert_eq!(
            all.measured,
            "40 of 40 seen, the last at seed 12; the search for 0 began at a chosen seed"
        );
        let hidden = json!({"flaw": "B", "first_seed": 1, "seed": null, "worlds": null, "checker": null});
        let some = many(&[hidden]);
        assert_eq!(some.met, Some(false));
        assert!(some.measured.starts_with("40 of 41 seen, the last at seed 12;"), "{}", some.measured);
        assert!(
            some.text.contains("| `A` | loss | 12 | 1 | 12 |\n| `B` | **not seen** | | 1 | |\n"),
            "{}",
            some.text
        );
    }

    #[test]
    fn a_chosen_seed_is_told_and_a_search_for_few_is_not_enough() {
        let near = json!({"flaw": "C", "first_seed": 1560, "seed": 1563, "worlds": 4, "checker": "order"});
        let chosen = many(std::slice::from_ref(&near));
        assert_eq!(
            chosen.measured,
            "41 of 41 seen, the last at seed 1563; the search for 1 began at a chosen seed"
        );
        assert!(chosen.text.contains("| `C` | order | 1563 | 1560 | 4 |"), "{}", chosen.text);
        assert_eq!(chosen.pictures[0].1[0].lines[0].points.last(), Some(&(1_563.0, 41.0)));
        assert_eq!(part(Some(&json!({"flaws": [near]}))).met, Some(false), "one of them was looked for");
    }
}
