//! `tidy`: the limits that keep files, functions and names from rotting. Exceptions stand in
//! `workshop/xtask/exceptions.txt`, each with a reason, and one that is not needed any more is a complaint itself.

mod exceptions;
mod files;
mod rust;
mod words;

use std::collections::BTreeMap;
use std::path::Path;

use crate::Complaints;

/// Lines of a source file that are not tests.
const FILE_LINES: usize = 700;
/// Lines of a crate that are neither tests nor generated.
const CRATE_LINES: usize = 8_000;

/// One broken rule. `rule` and `place` together name it in the exceptions file.
#[derive(Debug)]
struct Finding {
    rule: &'static str,
    /// `path`, or `path::item` for what concerns one item.
    place: String,
    line: usize,
    text: String,
}

/// Checks every source file of the checkout at `root`.
///
/// # Errors
/// When the checkout cannot be read.
pub fn check(root: &Path) -> Result<Complaints, String> {
    let mut findings = Vec::new();
    let mut crate_lines: BTreeMap<String, usize> = BTreeMap::new();
    for path in files::tracked(root)? {
        let Some(text) = files::read(root, &path)? else { continue };
        findings.extend(words::machine_places(&path, &text));
        if !path.ends_with(".rs") || files::is_generated(&path) {
            continue;
        }
        let lines = check_rust(&path, &text, &mut findings);
        if let Some(name) = files::crate_of(&path) {
            *crate_lines.entry(name).or_default() += lines;
        }
    }
    findings.extend(crate_lines.into_iter().filter(|&(_, lines)| lines > CRATE_LINES).map(
        |(name, lines)| Finding {
            rule: "crate-lines",
            place: name,
            line: 0,
            text: format!("has {lines} lines without tests, the limit is {CRATE_LINES}: split it"),
        },
    ));
    exceptions::apply(root, findings)
}

/// Checks one Rust file and returns how many of its lines count for its crate.
fn check_rust(path: &str, text: &str, findings: &mut Vec<Finding>) -> usize {
    findings.extend(words::left_over_marks(path, text));
    findings.extend(words::file_name(path));
    let tests = files::is_test(path);
    let survey = match rust::survey(path, text, tests) {
        Ok(survey) => survey,
        Err(problem) => {
            findings.push(Finding { rule: "syntax", place: path.into(), line: 0, text: problem });
            return 0;
        }
    };
    findings.extend(survey.findings);
    if tests {
        return 0;
    }
    if !text.trim_start().starts_with("//!") {
        findings.push(Finding {
            rule: "module-docs",
            place: path.into(),
            line: 1,
            text: "does not begin with `//!`: say in a line or two where the reader is".into(),
        });
    }
    let lines = text.lines().count().saturating_sub(survey.test_lines);
    if lines > FILE_LINES {
        let text = format!("has {lines} lines without tests, the limit is {FILE_LINES}: split it");
        findings.push(Finding { rule: "file-lines", place: path.into(), line: 0, text });
    }
    lines
}
