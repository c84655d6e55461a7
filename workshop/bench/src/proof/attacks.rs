//! Attackers: the table of docs/attackers.md, judged by the bounds of the same page.

use std::collections::BTreeSet;
use std::fmt::Write;

use fleet::{Chart, Line, Scale};

use super::costs::{self, Costs, Row};
use super::{Part, spaced};

const TITLE: &str = "Attackers";
const GOAL: &str = "honest clients see no error, and costs are bounded";

/// `page`: the whole of it, if there is one.
pub(super) fn part(page: Option<&str>) -> Part {
    match page.and_then(costs::read) {
        None => Part::not_run(TITLE, GOAL, "pytest tests/blackbox/test_attackers.py"),
        Some(Err(why)) => Part {
            title: TITLE,
            measured: format!("cannot be told: {why}"),
            goal: GOAL,
            met: Some(false),
            text: "The page is [attackers.md](attackers.md).\n".into(),
            pictures: Vec::new(),
        },
        Some(Ok(costs)) => judged(&costs),
    }
}

fn judged(costs: &Costs) -> Part {
    let rows = &costs.rows;
    let broken: Vec<String> = rows.iter().flat_map(|row| costs.bounds.broken_by(row)).collect();
    let attacks: BTreeSet<&str> = rows.iter().map(|row| row.attack.as_str()).collect();
    let mut measured = format!(
        "{} attacks with {} cases beside up to {} honest clients: their longest wait {:.0} ms, before the attacks {:.0} ms",
        attacks.len(),
        spaced(rows.iter().map(|row| row.cases).sum()),
        spaced(most(rows, |row| row.honest)),
        most(rows, |row| row.longest),
        most(rows, |row| row.longest_before)
    );
    if !broken.is_empty() {
        let _ = write!(measured, "; {} costs beyond their bounds", broken.len());
    }
    Part {
        title: TITLE,
        measured,
        goal: GOAL,
        met: Some(broken.is_empty()),
        text: text(costs, &broken),
        pictures: vec![("attacks.svg", vec![chart(rows)])],
    }
}

fn text(costs: &Costs, broken: &[String]) -> String {
    let (rows, bounds) = (&costs.rows, &costs.bounds);
    let mut out = match &costs.measured {
        Some((date, Some(commit))) => format!("Commit {commit}, {date}. "),
        Some((date, None)) => format!("Measured on {date}; the page does not tell of which commit. "),
        None => "The page does not tell when its table was measured, nor of which commit. ".to_owned(),
    };
    let _ = writeln!(
        out,
        "What each attack does, what it cost and by which rule it is judged: [attackers.md](attackers.md). {} messages of honest \
         clients came back while attacks went on, none with an error, as such a run leaves no row; the worst median of an attack was \
         {:.1} ms ({} ms, and {} ms more than before, are allowed), the longest wait of any message {:.0} ms ({} ms, and {} ms more than \
         before, are allowed); resident memory grew by at most {:.0} MiB ({} MiB are \
         allowed, and {} KiB for each socket of the attacker), and an attack took at most {:.1} s of processor time ({} s).",
        spaced(rows.iter().map(|row| row.messages).sum()),
        most(rows, |row| row.median),
        spaced(bounds.median),
        spaced(bounds.median_later),
        most(rows, |row| row.longest),
        spaced(bounds.longest),
        spaced(bounds.longest_later),
        most(rows, |row| row.memory),
        spaced(bounds.memory),
        spaced(bounds.of_socket),
        most(rows, |row| row.processor),
        spaced(bounds.processor)
    );
    if !broken.is_empty() {
        let _ = writeln!(out, "\nBeyond its bounds: {}.", broken.join("; "));
    }
    out
}

fn most(rows: &[Row], of: fn(&Row) -> f64) -> f64 {
    rows.iter().map(of).fold(0.0, f64::max)
}

/// The waits of honest clients, the attacks in order of the longest.
fn chart(rows: &[Row]) -> Chart {
    let mut rows: Vec<&Row> = rows.iter().collect();
    rows.sort_by(|one, other| one.longest.total_cmp(&other.longest));
    let line = |name: &str, of: fn(&Row) -> f64| {
        let points = rows.iter().enumerate().map(|(at, row)| ((at + 1) as f64, of(row).max(0.1)));
        Line { name: name.into(), points: points.collect() }
    };
    let lines = [
        line("longest", |row| row.longest),
        line("median", |row| row.median),
        line("longest before the attack", |row| row.longest_before),
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
    use super::super::costs::tests::{HEAD, page};
    use super::*;

    const FLOODS: [&str; 3] = [
        "floods | 6 | 9 | 270 | 0.2 | 0.1 | 1.5 | 1.8 | 0 | 1 | 0.0",
        "floods | 2 | 100 | 1000 | 0.3 | 0.1 | 4.0 | 227.9 | 90 | 6000 | 1.5",
        "bombs | 3 | 9 | 30 | 0.1 | 0.1 | 2.0 | 3.0 | 0 | 1 | 0.0",
    ];

    #[test]
    fn cases_add_up_an_attack_counts_once_and_the_worst_is_told() {
        let part = part(Some(&page(HEAD, &FLOODS)));
        assert_eq!(part.met, Some(true));
        assert_eq!(
            part.measured,
            "2 attacks with 11 cases beside up to 100 honest clients: their longest wait 228 ms, before the attacks 4 ms"
        );
        assert!(part.text.starts_with("Commit 0123456789, 2026-01-02. "), "{}", part.text);
        assert!(
            part.text.contains("1 300 messages") && part.text.contains("at most 90 MiB (64 MiB"),
            "{}",
            part.text
        );
        assert_eq!(part.pictures[0].1[0].lines.len(), 3);
    }

    #[test]
    fn a_wait_beyond_the_bound_of_the_page_is_missed() {
        let slow = FLOODS[1].replace("4.0 | 227.9", "4000.2 | 8000.1");
        let part = part(Some(&page(HEAD, &[FLOODS[0], &slow])));
        assert_eq!(part.met, Some(false));
        assert!(part.measured.ends_with("4000 ms; 1 costs beyond their bounds"), "{}", part.measured);
        assert!(
            part.text.ends_with("\nBeyond its bounds: floods: 8000.1 ms at the longest.\n"),
            "{}",
            part.text
        );
    }

    #[test]
    fn without_a_table_nothing_is_met() {
        assert_eq!(part(None).met, None);
        assert_eq!(part(Some("# Attackers\n")).met, None);
        let torn = part(Some(&page(HEAD, &["a | 1"])));
        assert_eq!(torn.met, Some(false));
        assert!(torn.measured.starts_with("cannot be told: a: "), "{}", torn.measured);
        let undated = page(HEAD, &FLOODS).replace("Measured", "Once");
        assert!(part(Some(&undated)).text.starts_with("The page does not tell when"));
    }
}
