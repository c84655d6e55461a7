//! The files of evidence, read as they are: lines of JSON, whole files of JSON, and the table of docs/attackers.md.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;

use fleet::BenchError;
use serde_json::Value;

/// All that was found.
#[derive(Debug, Default)]
pub(super) struct Sources {
    /// simulator.jsonl, a line for each soak.
    pub worlds: Vec<Value>,
    /// Worlds under "Open" on the page of bugs beside that of attacks: what broke in them is not mended.
    pub open: usize,
    /// flaws.json.
    pub flaws: Option<Value>,
    /// kills.jsonl, a line for each run.
    pub kills: Vec<Value>,
    /// fuzz.jsonl, a line for each run.
    pub fuzz: Vec<Value>,
    /// The rows of the table of costs: cells without blanks.
    pub attacks: Vec<Vec<String>>,
    /// soak.json, overload.json, capacity.json, by name without the ending.
    pub load: BTreeMap<String, Value>,
    /// The names of all pictures in the folder.
    pub pictures: Vec<String>,
}

impl Sources {
    /// Reads a folder of evidence and the page of attacks.
    ///
    /// # Errors
    /// A file is there and cannot be read, or holds something else.
    pub fn read(folder: &Path, attacks: &Path) -> Result<Self, BenchError> {
        let mut load = BTreeMap::new();
        for name in ["soak", "overload", "capacity"] {
            if let Some(found) = whole(&folder.join(format!("{name}.json")))? {
                load.insert(name.to_owned(), found);
            }
        }
        Ok(Self {
            worlds: lines(&folder.join("simulator.jsonl"))?,
            open: open(&text(&attacks.with_file_name("bugs-found.md"))?.unwrap_or_default()),
            flaws: whole(&folder.join("flaws.json"))?,
            kills: lines(&folder.join("kills.jsonl"))?,
            fuzz: lines(&folder.join("fuzz.jsonl"))?,
            attacks: costs(&text(attacks)?.unwrap_or_default()),
            load,
            pictures: pictures(folder),
        })
    }
}

/// The worlds that are named in the section "Open".
fn open(page: &str) -> usize {
    let section = page.lines().skip_while(|line| *line != "## Open").skip(1);
    section.take_while(|line| !line.starts_with("## ")).map(|line| line.matches("run --seed ").count()).sum()
}

fn unusable(path: &Path, error: &dyn std::fmt::Display) -> BenchError {
    BenchError::Option(format!("{}: {error}", path.display()))
}

fn text(path: &Path) -> Result<Option<String>, BenchError> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(unusable(path, &error)),
    }
}

fn lines(path: &Path) -> Result<Vec<Value>, BenchError> {
    let text = text(path)?.unwrap_or_default();
    let parse = |line: &str| serde_json::from_str(line).map_err(|error| unusable(path, &error));
    text.lines().filter(|line| !line.trim().is_empty()).map(parse).collect()
}

fn whole(path: &Path) -> Result<Option<Value>, BenchError> {
    let parse = |text: String| serde_json::from_str(&text).map_err(|error| unusable(path, &error));
    text(path)?.map(parse).transpose()
}

/// The rows of the table that has a column of cases.
fn costs(page: &str) -> Vec<Vec<String>> {
    let cells = |line: &str| -> Vec<String> {
        line.trim().trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect()
    };
    let rows = page.lines().skip_while(|line| !line.starts_with("| attack | cases |")).skip(2);
    rows.take_while(|line| line.starts_with('|')).map(cells).collect()
}

fn pictures(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
    let mut names: Vec<String> = names.filter(|name| name.ends_with(".svg")).collect();
    names.sort();
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_of_costs_is_found_and_no_other() {
        let page = "| attack | what |\n|---|---|\n| a | b |\n\n| attack | cases | honest clients |\n|---|---|---|\n| x y | 6 | 9 |\n\
                    | z | 1 | 100 |\n\nEnd\n| no | 1 | 2 |\n";
        assert_eq!(costs(page), [["x y", "6", "9"], ["z", "1", "100"]]);
        assert!(costs("").is_empty());
    }

    #[test]
    fn a_bad_line_is_named_with_its_file() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("fuzz.jsonl"), "{\"target\": \"a\"}\n\n{").unwrap();
        let error = Sources::read(folder.path(), &folder.path().join("none")).unwrap_err().to_string();
        assert!(error.contains("fuzz.jsonl"), "{error}");
    }
}
