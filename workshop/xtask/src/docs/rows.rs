//! The ledger of divergences: every row that must differ is obeyed by a line of code and kept by a test.
//!
//! Code cites a row by its id in a comment or by its name in the enum; a test has the id in its name, with
//! underscores. What the table of refusals or of quotas turns is cited there.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use dialect::{DIVERGENCES, Divergence, DivergenceRow, Stance, State};

use crate::Complaints;
use crate::docs::switches::is_read;

/// Rows that need no test of their own, each with the reason. A row that has one must not stand here.
const EXCEPTIONS: &[(Divergence, &str)] = &[];

/// The crates that obey rows.
const OBEYING: [&str; 9] =
    ["session", "router", "standing", "broker", "gateway", "services", "access", "api", "mqtt"];

/// What is known of each row: files that cite it, and tests that keep it.
pub(super) struct Ledger(BTreeMap<Divergence, Entry>);

#[derive(Default)]
struct Entry {
    cited: Vec<String>,
    tests: Vec<String>,
}

/// Rows that must differ and nobody obeys or keeps.
pub fn check(root: &Path) -> Result<Complaints, String> {
    let ledger = Ledger::read(root)?;
    let mut complaints = Complaints::new();
    for row in
        DIVERGENCES.iter().filter(|row| row.stance == Stance::MustDiffer && row.state != State::Pending)
    {
        let entry = ledger.of(row.divergence);
        let excepted = EXCEPTIONS.iter().any(|(divergence, _)| *divergence == row.divergence);
        if entry.cited.is_empty() {
            complaints.push(format!("divergence {}: no line of code cites it", row.id()));
        }
        if entry.tests.is_empty() && !excepted {
            let name = underscored(row);
            complaints.push(format!("divergence {}: no test has {name} in its name", row.id()));
        }
        if excepted && !entry.tests.is_empty() {
            complaints.push(format!("divergence {}: has a test; take its exception away", row.id()));
        }
    }
    Ok(complaints)
}

fn underscored(row: &DivergenceRow) -> String {
    row.id().replace('-', "_")
}

impl Ledger {
    /// Reads the source below `root`.
    pub fn read(root: &Path) -> Result<Self, String> {
        let mut files = Vec::new();
        for folder in ["crates", "tests/blackbox"] {
            source(&root.join(folder), &mut files)?;
        }
        files.sort();
        let mut ledger = Self(DIVERGENCES.iter().map(|row| (row.divergence, Entry::default())).collect());
        for path in &files {
            let text = fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
            let name = path.strip_prefix(root).unwrap_or(path).display().to_string();
            ledger.take_in(&name, &text);
        }
        for row in &DIVERGENCES {
            ledger.take_in_tables(row);
        }
        Ok(ledger)
    }

    /// The cells of the generated page.
    pub fn cells(&self) -> Vec<Vec<String>> {
        let list = |names: &[String]| match names {
            [] => "–".to_owned(),
            names => names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(" "),
        };
        let cells = |row: &DivergenceRow| {
            let Entry { cited, tests } = self.of(row.divergence);
            let tests = match EXCEPTIONS.iter().find(|(excepted, _)| *excepted == row.divergence) {
                Some((_, reason)) => (*reason).to_owned(),
                None => list(tests),
            };
            vec![row.id().to_owned(), row.stance.to_string(), row.state.to_string(), list(cited), tests]
        };
        DIVERGENCES.iter().map(cells).collect()
    }

    fn of(&self, divergence: Divergence) -> &Entry {
        static NOTHING: Entry = Entry { cited: Vec::new(), tests: Vec::new() };
        self.0.get(&divergence).unwrap_or(&NOTHING)
    }

    fn take_in(&mut self, name: &str, text: &str) {
        let functions: Vec<&str> = text.lines().filter_map(function).collect();
        let obeys = OBEYING.iter().any(|one| name.starts_with(&format!("crates/{one}/src")))
            && !name.contains("/tests");
        let code = text.split("#[cfg(test)]").next().unwrap_or_default();
        for (divergence, entry) in &mut self.0 {
            let id = divergence.row().id();
            let wanted = id.replace('-', "_");
            let tests = functions.iter().filter(|function| holds(function, &wanted, '_'));
            entry.tests.extend(tests.map(|function| (*function).to_owned()));
            if obeys && (holds(code, id, '-') || code.contains(&format!("Divergence::{divergence:?}"))) {
                entry.cited.push(name.to_owned());
            }
        }
    }

    /// What the tables of refusals and quotas turn is obeyed wherever they are read.
    fn take_in_tables(&mut self, row: &DivergenceRow) {
        let Some(entry) = self.0.get_mut(&row.divergence) else { return };
        if entry.cited.is_empty() && is_read(row.divergence, "") {
            let table = if row.divergence.quotas().is_empty() { "refusal.rs" } else { "limits.rs" };
            entry.cited.push(format!("crates/dialect/src/{table}"));
        }
    }
}

/// Whether the text has the word, and not only as part of a longer one that is joined by `joint`.
fn holds(text: &str, word: &str, joint: char) -> bool {
    // In names of functions a word is always joined to others, so only what would go on as another id is told apart.
    let goes_on = |rest: &str| {
        let mut next = rest.chars();
        joint == '-' && next.next() == Some(joint) && next.next().is_some_and(char::is_alphanumeric)
    };
    text.match_indices(word).any(|(at, _)| !text.get(at + word.len()..).is_some_and(goes_on))
}

/// The name of a function that begins on this line, in Rust or Python.
fn function(line: &str) -> Option<&str> {
    let line = line.trim_start();
    let rest = line.strip_prefix("async ").unwrap_or(line);
    let rest = rest.strip_prefix("fn ").or_else(|| rest.strip_prefix("def "))?;
    rest.split(['(', '<']).next()
}

fn source(folder: &Path, out: &mut Vec<std::path::PathBuf>) -> Result<(), String> {
    let failed = |error: std::io::Error| format!("{}: {error}", folder.display());
    for entry in fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if path.is_dir() {
            source(&path, out)?;
        } else if path.extension().is_some_and(|end| end == "rs" || end == "py") {
            out.push(path);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_told_from_longer_ones() {
        assert!(holds("obeys no-qos2: none", "no-qos2", '-'));
        assert!(!holds("will-delay-ignored-ever", "will-delay-ignored", '-'));
        assert!(holds("the_end_no_qos2", "no_qos2", '_'));
    }

    #[test]
    fn functions_of_both_languages_are_found() {
        assert_eq!(function("    async fn a_b(x: u8) {"), Some("a_b"));
        assert_eq!(function("def test_x(y):"), Some("test_x"));
        assert_eq!(function("let fn_ = 1;"), None);
    }
}
