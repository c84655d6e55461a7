//! Attackers: the cases and the bounds that docs/attackers.md has in its table.

use fleet::{Chart, Line, Scale};

use super::{Part, spaced};

const TITLE: &str = "Attackers";
const GOAL: &str = "honest clients see no error, and costs are bounded";

/// The columns of the table.
const CASES: usize = 1;
const HONEST: usize = 2;
const MESSAGES: usize = 3;
const MEDIAN: usize = 4;
const LONGEST: usize = 5;
const MEMORY: usize = 6;
const PROCESSOR: usize = 8;

pub(super) fn part(rows: &[Vec<String>]) -> Part {
    if rows.is_empty() {
        return Part::not_run(TITLE, GOAL, "pytest tests/blackbox/test_attackers.py");
    }
    let sum = |column| rows.iter().map(|row| cell(row, column)).sum::<f64>();
    let most = |column| rows.iter().map(|row| cell(row, column)).fold(0.0, f64::max);
    let measured = format!(
        "{} attacks with {} cases beside up to {} honest clients: their longest wait {:.0} ms",
        rows.len(),
        spaced(sum(CASES)),
        spaced(most(HONEST)),
        most(LONGEST)
    );
    let text = format!(
        "What each attack does, what it cost and by which rule it is judged: [attackers.md](attackers.md). {} messages of honest \
         clients came back while attacks went on, none with an error; the worst median of an attack was {:.1} ms, the longest wait of \
         any message {:.0} ms; resident memory grew by at most {:.0} MiB, and an attack took at most {:.1} s of processor time. A row \
         stands for an attack with nine or with a hundred honest clients.\n",
        spaced(sum(MESSAGES)),
        most(MEDIAN),
        most(LONGEST),
        most(MEMORY),
        most(PROCESSOR)
    );
    // The table is of runs that passed: the test fails on an error of an honest client and beyond its bounds.
    let pictures = vec![("attacks.svg", vec![chart(rows)])];
    Part { title: TITLE, measured, goal: GOAL, met: Some(true), text, pictures }
}

/// A number of a row; 0 if there is none.
fn cell(row: &[String], column: usize) -> f64 {
    row.get(column).and_then(|cell| cell.parse().ok()).unwrap_or(0.0)
}

/// The waits of honest clients, the attacks in order of the longest.
fn chart(rows: &[Vec<String>]) -> Chart {
    let mut waits: Vec<(f64, f64)> = rows.iter().map(|row| (cell(row, LONGEST), cell(row, MEDIAN))).collect();
    waits.sort_by(|one, other| one.0.total_cmp(&other.0));
    let points = |of: fn(&(f64, f64)) -> f64| {
        waits.iter().enumerate().map(|(at, wait)| ((at + 1) as f64, of(wait).max(0.1))).collect()
    };
    Chart {
        title: "Waits of honest clients beside each attack, in order of the longest".into(),
        x: ("attack".into(), Scale::Linear),
        y: ("ms".into(), Scale::Log),
        lines: vec![
            Line { name: "longest".into(), points: points(|wait| wait.0) },
            Line { name: "median".into(), points: points(|wait| wait.1) },
        ],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cases_add_up_and_the_worst_is_told() {
        let row = |text: &str| text.split('|').map(|cell| cell.trim().to_owned()).collect::<Vec<_>>();
        let rows = [
            row("floods | 6 | 9 | 270 | 0.2 | 1.8 | 0 | 1 | 0.0"),
            row("more floods | 2 | 100 | 1000 | 0.3 | 227.9 | 90 | 6000 | 1.5"),
        ];
        let part = part(&rows);
        assert_eq!(
            part.measured,
            "2 attacks with 8 cases beside up to 100 honest clients: their longest wait 228 ms"
        );
        assert!(
            part.text.contains("1 270 messages") && part.text.contains("at most 90 MiB"),
            "{}",
            part.text
        );
    }
}
