//! The list of exceptions: `rule | place | reason`, one a line. It may only shrink.

use std::path::Path;

use super::Finding;
use crate::Complaints;

const FILE: &str = "workshop/xtask/exceptions.txt";

struct Exception {
    rule: String,
    place: String,
    line: usize,
}

/// Turns findings into complaints, leaving out those with an exception, and complains of exceptions no one needs.
pub(super) fn apply(root: &Path, findings: Vec<Finding>) -> Result<Complaints, String> {
    let text = std::fs::read_to_string(root.join(FILE)).map_err(|error| format!("{FILE}: {error}"))?;
    judge(&text, findings)
}

fn judge(text: &str, findings: Vec<Finding>) -> Result<Complaints, String> {
    let exceptions = parse(text)?;
    let mut used = vec![false; exceptions.len()];
    let mut complaints = Complaints::new();
    for finding in findings {
        let excused = exceptions.iter().position(|e| e.rule == finding.rule && e.place == finding.place);
        match excused.and_then(|index| used.get_mut(index)) {
            Some(used) => *used = true,
            None => complaints.push(line(&finding)),
        }
    }
    let idle = exceptions.iter().zip(used).filter(|(_, used)| !used);
    complaints.extend(idle.map(|(exception, _)| {
        let Exception { rule, place, line } = exception;
        format!("{FILE}:{line}: nothing breaks `{rule}` at {place} any more: delete the exception")
    }));
    Ok(complaints)
}

fn line(finding: &Finding) -> String {
    let Finding { rule, place, line, text } = finding;
    if *line == 0 { format!("{place}: [{rule}] {text}") } else { format!("{place}:{line}: [{rule}] {text}") }
}

fn parse(text: &str) -> Result<Vec<Exception>, String> {
    let mut exceptions = Vec::new();
    for (index, row) in text.lines().enumerate() {
        if row.trim().is_empty() || row.starts_with('#') {
            continue;
        }
        let fields: Vec<&str> = row.split('|').map(str::trim).collect();
        match fields.as_slice() {
            [rule, place, reason] if !reason.is_empty() => {
                exceptions.push(Exception { rule: (*rule).into(), place: (*place).into(), line: index + 1 });
            }
            _ => return Err(format!("{FILE}:{}: expected `rule | place | reason`", index + 1)),
        }
    }
    Ok(exceptions)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finding(place: &str) -> Finding {
        Finding { rule: "file-lines", place: place.into(), line: 0, text: "is long".into() }
    }

    #[test]
    fn an_exception_excuses_its_finding_and_no_other() {
        let complaints =
            judge("file-lines | a.rs | a table", vec![finding("a.rs"), finding("b.rs")]).unwrap();
        assert_eq!(complaints, ["b.rs: [file-lines] is long"]);
    }

    #[test]
    fn an_exception_that_excuses_nothing_is_a_complaint() {
        let complaints = judge("# a comment\n\nfile-lines | a.rs | a table", Vec::new()).unwrap();
        assert_eq!(complaints.len(), 1);
    }

    #[test]
    fn an_exception_needs_a_reason() {
        assert!(judge("file-lines | a.rs |", Vec::new()).is_err());
    }
}
