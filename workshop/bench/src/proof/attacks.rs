//! Attackers: docs/evidence/attacks.json, each number judged by the bound beside it, and each attack that the tests have looked for.

use std::fmt::Write;

use fleet::{Chart, Line, Scale};
use serde_json::Value;

use super::costs::{Attack, Costs};
use super::{Part, commit, spaced};
use crate::results::{number, text};

const TITLE: &str = "Attackers";
const GOAL: &str =
    "every attack passes: honest clients see no error, newcomers come in, and costs are bounded";

/// `file`: what the last run left, if there is one; `there`: every attack that there is, as `file::test`.
pub(super) fn part(file: Option<&Value>, there: &[String]) -> Part {
    let command = "ATTACKS_REPORT=FILE pytest tests/blackbox/test_attackers*.py";
    let Some(file) = file else { return Part::not_run(TITLE, GOAL, command) };
    match Costs::read(file) {
        Err(why) => Part {
            title: TITLE,
            measured: format!("cannot be told: {why}"),
            goal: GOAL,
            met: Some(false),
            text: "The page is [attackers.md](attackers.md).\n".into(),
            pictures: Vec::new(),
        },
        Ok(costs) => judged(file, &costs, &costs.faults(there)),
    }
}

fn judged(file: &Value, costs: &Costs, faults: &[String]) -> Part {
    let attacks = &costs.attacks;
    let sum = |of: fn(&Attack) -> f64| spaced(attacks.iter().map(of).sum());
    let mut measured = format!(
        "{} attacks with {} cases, {} passed, beside {} honest clients: their longest wait {:.0} ms, before the attacks {:.0} ms; {} \
         newcomers beside floods, the longest {:.0} ms",
        attacks.len(),
        sum(|attack| attack.cases),
        sum(|attack| attack.passed),
        spaced(attacks.iter().map(|attack| attack.honest).fold(f64::INFINITY, f64::min)),
        most(attacks, "longest_ms"),
        attacks.iter().map(|attack| attack.longest_before).fold(0.0, f64::max),
        sum(|attack| attack.newcomers.values().map(|(connects, _)| connects).sum()),
        most(attacks, "newcomers_longest_ms")
    );
    if !faults.is_empty() {
        let _ = write!(measured, "; **{} things not as they should be**", faults.len());
    }
    Part {
        title: TITLE,
        measured,
        goal: GOAL,
        met: Some(faults.is_empty()),
        text: told(file, costs, faults),
        pictures: vec![("attacks.svg", vec![chart(attacks)])],
    }
}

fn told(file: &Value, costs: &Costs, faults: &[String]) -> String {
    let load = |at: &str| number(file, &format!("/machine/load_average/{at}")).unwrap_or(0.0);
    let mut out = format!(
        "A {} build of commit {}, {}, on a machine with a load average of {:.1} to {:.1}. {} What each attack does and what it cost: \
         [attackers.md](attackers.md). {} messages of honest clients came back while attacks went on.\n",
        text(file, "/build"),
        commit(file),
        text(file, "/date"),
        load("0"),
        load("1"),
        text(file, "/note"),
        spaced(costs.attacks.iter().map(|attack| attack.messages).sum())
    );
    if !faults.is_empty() {
        let _ = write!(out, "\n**Not as it should be:**\n\n");
        faults.iter().for_each(|fault| out += &format!("- {fault}\n"));
    }
    out + &table(costs) + &limits(costs)
}

const ROWS: [(&str, &str); 9] = [
    ("median_ms", "half of the messages are back, ms"),
    ("longest_ms", "all messages are back, ms"),
    ("median_later_ms", "half of them later than before the attack, ms"),
    ("longest_later_ms", "any of them later than the latest before it, ms"),
    ("newcomers_longest_ms", "a newcomer beside a flood has its CONNACK, ms"),
    ("memory_mib", "growth of resident memory, MiB"),
    ("processor_s", "processor time, s"),
    ("threads", "threads more than before"),
    ("descriptors", "descriptors that are kept afterwards"),
];

/// Each number of the attack that came nearest to its bound.
fn table(costs: &Costs) -> String {
    let mut out = String::from(
        "\n| beside each attack | nearest to its bound | bound | attack |\n|---|---:|---:|---|\n",
    );
    for (name, words) in ROWS {
        let found = costs.attacks.iter().filter_map(|attack| Some((attack, attack.measured.get(name)?)));
        let share = |(_, (value, bound)): &(&Attack, &(f64, f64))| value / bound;
        let _ = match found.max_by(|one, other| share(one).total_cmp(&share(other))) {
            Some((attack, (value, bound))) => {
                writeln!(out, "| {words} | {value:.1} | {bound:.0} | {} |", attack.name)
            }
            None => writeln!(out, "| {words} | – | | |"),
        };
    }
    let bound = |name: &str| costs.bounds.get(name).copied().unwrap_or(0.0);
    let (memory, socket) = (bound("memory_mib"), bound("memory_of_a_socket_kib"));
    out + &format!(
        "\nThe bound of memory is {memory} MiB and {socket} KiB for each socket of the attacker.\n"
    )
}

/// The server has less patience than by default.
fn limits(costs: &Costs) -> String {
    let rows = costs
        .limits
        .iter()
        .map(|(name, (short, default))| format!("`{name}` {short} s (by default {default} s)"));
    let rows: Vec<String> = rows.collect();
    if rows.is_empty() {
        return "\nThe file does not tell under which limits the server was.\n".to_owned();
    }
    let times = || costs.limits.values().map(|(short, default)| default / short);
    format!(
        "\nThe server under attack has shorter limits than by default: {}. By default an attacker holds each of its sockets {} to {} \
         times longer, and as many times more of them at once if it opens them at the same rate.\n",
        rows.join(", "),
        times().fold(f64::INFINITY, f64::min),
        times().fold(0.0, f64::max)
    )
}

fn most(attacks: &[Attack], name: &str) -> f64 {
    attacks.iter().map(|attack| attack.value(name)).fold(0.0, f64::max)
}

/// The waits of honest clients, the attacks in order of the longest.
fn chart(attacks: &[Attack]) -> Chart {
    let mut attacks: Vec<&Attack> = attacks.iter().collect();
    attacks.sort_by(|one, other| one.value("longest_ms").total_cmp(&other.value("longest_ms")));
    let line = |name: &str, of: fn(&Attack) -> f64| {
        let points = attacks.iter().enumerate().map(|(at, attack)| ((at + 1) as f64, of(attack).max(0.1)));
        Line { name: name.into(), points: points.collect() }
    };
    let lines = [
        line("longest", |attack| attack.value("longest_ms")),
        line("median", |attack| attack.value("median_ms")),
        line("longest before the attack", |attack| attack.longest_before),
    ];
    Chart {
        title: "Waits of honest clients beside each attack, in order of the longest".into(),
        x: ("attack".into(), Scale::Linear),
        y: ("ms".into(), Scale::Log),
        lines: lines.into(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::costs::tests::{attack, file, places};
    use super::*;

    const BOTH: [&str; 2] = ["test_tcp_floods", "test_bombs"];

    #[test]
    fn cases_add_up_and_the_worst_is_told_beside_its_bound() {
        let file = file(&[attack(BOTH[0], 2, 227.9), attack(BOTH[1], 9, 3.0)]);
        let part = part(Some(&file), &places(&BOTH));
        assert_eq!(part.met, Some(true), "{}", part.text);
        assert_eq!(
            part.measured,
            "2 attacks with 11 cases, 11 passed, beside 100 honest clients: their longest wait 228 ms, before the attacks 4 ms; 210 \
             newcomers beside floods, the longest 77 ms"
        );
        let start = "A debug build of commit 0123456789, 2026-01-02T03:04:05+00:00, on a machine with a load average of 1.5 to 4.2. A note.";
        assert!(part.text.starts_with(start), "{}", part.text);
        for words in [
            "2 000 messages",
            "| all messages are back, ms | 227.9 | 4000 | tcp floods |",
            "| growth of resident memory, MiB | 80.0 | 88 | ",
            "is 64 MiB and 24 KiB for each socket",
            "`handshake_seconds` 2 s (by default 10 s)",
            "5 to 30 times longer",
        ] {
            assert!(part.text.contains(words), "{words}: {}", part.text);
        }
        assert_eq!(part.pictures[0].1[0].lines.len(), 3);
    }

    #[test]
    fn a_red_run_is_missed_and_says_why() {
        let mut red = attack(BOTH[0], 2, 90.0);
        red["passed"] = json!(1);
        red["not_passed"] = json!({"test_tcp_floods[9]": "failed: call: let in"});
        let part = part(Some(&file(&[red])), &places(&BOTH));
        assert_eq!(part.met, Some(false));
        assert!(part.measured.ends_with("; **2 things not as they should be**"), "{}", part.measured);
        let why = "\n- test_tcp_floods[9]: failed: call: let in\n- test_attackers.py::test_bombs: not run\n";
        assert!(part.text.contains(why), "{}", part.text);
    }

    #[test]
    fn without_a_run_nothing_is_met() {
        assert_eq!(part(None, &places(&BOTH)).met, None);
        let empty = part(Some(&json!({})), &places(&BOTH));
        assert_eq!(empty.met, Some(false));
        assert!(empty.measured.starts_with("cannot be told: "), "{}", empty.measured);
        let mut silent = file(&[attack(BOTH[1], 1, 1.0)]);
        silent["limits"] = json!({});
        assert!(part(Some(&silent), &[]).text.contains("does not tell under which limits"));
    }
}
