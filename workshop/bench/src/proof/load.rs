//! Soak, overload and capacity: each file says its rules and whether they are met, and has its pictures beside it.

use std::fmt::Write;

use serde_json::Value;

use super::Part;
use super::sources::Sources;
use crate::results::{number, text};

/// A kind of load.
pub(super) struct Kind {
    file: &'static str,
    title: &'static str,
    goal: &'static str,
    command: &'static str,
    about: &'static str,
}

pub(super) const SOAK: Kind = Kind {
    file: "soak",
    title: "Soak",
    goal: "an hour at 70 % of capacity with churn, flat and without an error",
    command: "thingcore-bench soak",
    about: "A share of the capacity for an hour, with connect storms, subscriptions, edits of policies, sessions that are away and \
            retained messages.",
};

pub(super) const OVERLOAD: Kind = Kind {
    file: "overload",
    title: "Overload",
    goal: "three times the capacity, no collapse, well again within seconds",
    command: "thingcore-bench overload",
    about: "More than the broker can carry, and what comes after.",
};

pub(super) const CAPACITY: Kind = Kind {
    file: "capacity",
    title: "Idle connections",
    goal: "how many with mutual TLS fit in 8 GiB",
    command: "thingcore-bench capacity",
    about: "Connections that do nothing, each with a certificate of its own.",
};

pub(super) fn part(kind: &Kind, found: &Sources) -> Part {
    let Some(file) = found.load.get(kind.file) else {
        return Part::not_run(kind.title, kind.goal, kind.command);
    };
    let rules: Vec<&Value> = file.get("verdict").and_then(Value::as_array).into_iter().flatten().collect();
    let kept = rules.iter().filter(|rule| is_met(rule)).count();
    Part {
        title: kind.title,
        measured: format!("{kept} of {} rules met", rules.len()),
        goal: kind.goal,
        met: Some(!rules.is_empty() && kept == rules.len()),
        text: text_of(kind, file, &rules) + &pictures(kind, found),
        pictures: Vec::new(),
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
        assert_eq!((part.met, part.measured.as_str()), (Some(false), "1 of 3 rules met"));
        assert!(part.text.contains("| errors | 1.50 | 2.00 | errors | **missed** |"), "{}", part.text);
        assert!(part.text.contains("| x | not known | 1.00 | s |") && part.text.contains("A busy machine."));
        assert!(part.text.ends_with("\n![Soak](evidence/soak-latency.svg)\n"), "{}", part.text);
        assert_eq!(self::part(&OVERLOAD, &found).met, None);
    }
}
