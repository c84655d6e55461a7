//! Soak, overload and capacity: each file says its rules and whether they are met, and has its pictures beside it. Rules alone show
//! nothing of a run that was too short or too light: what the goal asks for is asked of the file, too.

mod capacity;
mod overload;
mod soak;

use std::fmt::Write;

use serde_json::Value;

use super::sources::Sources;
use super::{Part, spaced};
use crate::results::{number, text};

pub(super) use capacity::CAPACITY;
pub(super) use overload::OVERLOAD;
pub(super) use soak::SOAK;

/// A kind of load.
pub(super) struct Kind {
    file: &'static str,
    title: &'static str,
    goal: &'static str,
    command: &'static str,
    about: &'static str,
    /// The numbers that matter, for the table at the top.
    numbers: fn(&Value) -> String,
    /// What else a reader must know, for below the heading.
    told: fn(&Value) -> String,
    /// What the goal asks for and this file has not.
    short: fn(&Value) -> Vec<String>,
}

pub(super) fn part(kind: &Kind, found: &Sources) -> Part {
    let Some(file) = found.load.get(kind.file) else {
        return Part::not_run(kind.title, kind.goal, kind.command);
    };
    let rules: Vec<&Value> = file.get("verdict").and_then(Value::as_array).into_iter().flatten().collect();
    let kept = rules.iter().filter(|rule| is_met(rule)).count();
    let short = (kind.short)(file);
    let mut measured = format!("{}; {kept} of {} rules met", (kind.numbers)(file), rules.len());
    if !short.is_empty() {
        let _ = write!(measured, "; **short of the goal**: {}", short.join(", "));
    }
    Part {
        title: kind.title,
        measured,
        goal: kind.goal,
        met: Some(!rules.is_empty() && kept == rules.len() && short.is_empty()),
        text: text_of(kind, file, &rules) + &pictures(kind, found),
        pictures: Vec::new(),
    }
}

/// A number of the file; 0 if there is none.
fn at(file: &Value, pointer: &str) -> f64 {
    number(file, pointer).unwrap_or(0.0)
}

/// What is missing where a number is less than this, or not there.
fn least(file: &Value, pointer: &str, asked: f64, what: &str) -> Option<String> {
    match number(file, pointer) {
        Some(found) if found >= asked => None,
        Some(found) => Some(format!("{what}: {found} of {asked}")),
        None => Some(format!("{what}: not known")),
    }
}

fn is_met(rule: &Value) -> bool {
    rule.get("met").and_then(Value::as_bool) == Some(true)
}

fn text_of(kind: &Kind, file: &Value, rules: &[&Value]) -> String {
    let mut out = format!("{} Commit {}, {}.", kind.about, text(file, "/commit"), text(file, "/date"));
    let note = match text(file, "/note") {
        "" => text(file, "/settings/note"),
        note => note,
    };
    if !note.is_empty() {
        let _ = write!(out, " {note}");
    }
    let _ = write!(out, "\n\n{}", (kind.told)(file));
    out += "\n\n| rule | found | bound | unit | |\n|---|---:|---:|---|---|\n";
    for rule in rules {
        // What JSON has no number for was not known.
        let at =
            |name: &str| number(rule, name).map_or("not known".to_owned(), |value| format!("{value:.2}"));
        let verdict = if is_met(rule) { "met" } else { "**missed**" };
        let words = text(rule, "/rule").replace('|', "/");
        let _ = writeln!(
            out,
            "| {words} | {} | {} | {} | {verdict} |",
            at("/value"),
            at("/bound"),
            text(rule, "/unit")
        );
    }
    out
}

/// Whatever pictures were drawn with it.
fn pictures(kind: &Kind, found: &Sources) -> String {
    let own = |name: &&String| {
        name.starts_with(&format!("{}-", kind.file)) || **name == format!("{}.svg", kind.file)
    };
    let all = found.pictures.iter().filter(own);
    all.map(|name| format!("\n![{}](evidence/{name})\n", kind.title)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// The part of a file that has all rules met.
    pub(super) fn judged(kind: &Kind, mut file: Value) -> Part {
        file["verdict"] =
            json!([{"rule": "errors", "value": 0.0, "bound": 0.0, "met": true, "unit": "errors"}]);
        let found = Sources { load: [(kind.file.to_owned(), file)].into(), ..Sources::default() };
        part(kind, &found)
    }

    /// Each of these changes alone makes the part miss its goal, and what is short is told.
    pub(super) fn missed_without(kind: &Kind, whole: &Value, changes: &[(&str, Value)]) {
        assert_eq!(judged(kind, whole.clone()).met, Some(true));
        for (pointer, value) in changes {
            let mut file = whole.clone();
            *file.pointer_mut(pointer).unwrap_or_else(|| panic!("{pointer}")) = value.clone();
            let part = judged(kind, file);
            assert_eq!(part.met, Some(false), "{pointer}: {value}");
            assert!(part.measured.contains("**short of the goal**: "), "{}", part.measured);
        }
    }

    #[test]
    fn each_rule_is_told_with_its_bound_and_pictures_are_found() {
        let rule =
            |met: bool| json!({"rule": "errors", "value": 1.5, "bound": 2.0, "met": met, "unit": "errors"});
        let file = json!({"date": "d", "commit": "c", "settings": {"note": "A busy machine."}, "verdict": [rule(true), rule(false),
            {"rule": "x", "value": null, "bound": 1.0, "met": false, "unit": "s"}]});
        let found = Sources {
            load: [("soak".to_owned(), file)].into(),
            pictures: vec!["fuzz.svg".into(), "soak-latency.svg".into()],
            ..Sources::default()
        };
        let part = self::part(&SOAK, &found);
        assert_eq!(part.met, Some(false));
        assert!(part.measured.contains("; 1 of 3 rules met; **short of"), "{}", part.measured);
        assert!(part.text.contains("| errors | 1.50 | 2.00 | errors | **missed** |"), "{}", part.text);
        assert!(part.text.contains("| x | not known | 1.00 | s |") && part.text.contains("A busy machine."));
        assert!(part.text.ends_with("\n![Soak](evidence/soak-latency.svg)\n"), "{}", part.text);
        assert_eq!(self::part(&OVERLOAD, &found).met, None);
    }

    #[test]
    fn the_goal_is_no_substitute_for_the_rules() {
        let all = json!({"short": []});
        let kind =
            Kind { numbers: |_| String::new(), told: |_| String::new(), short: |_| Vec::new(), ..SOAK };
        let with = |verdict: Value| {
            let mut file = all.clone();
            file["verdict"] = verdict;
            part(&kind, &Sources { load: [("soak".to_owned(), file)].into(), ..Sources::default() }).met
        };
        assert_eq!(with(json!([])), Some(false), "no rule was judged");
        assert_eq!(with(json!([{"met": true}, {"met": null}])), Some(false));
        assert_eq!(with(json!([{"met": true}])), Some(true));
    }
}
