//! The files of evidence, read as they are: lines of JSON, whole files of JSON, and the names of the fuzz targets and of the attacks.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;

use fleet::BenchError;
use serde_json::Value;

use crate::cli::EvidenceArgs;

/// All that was found.
#[derive(Debug, Default)]
pub(super) struct Sources {
    /// simulator.jsonl, a line for each soak.
    pub worlds: Vec<Value>,
    /// Worlds under "Open" on the page of bugs beside that of attacks: what broke in them is not mended.
    pub open: usize,
    /// flaws.json.
    pub flaws: Option<Value>,
    /// test.json: the last recorded run of the test command.
    pub suite: Option<Value>,
    /// kills.jsonl, a line for each run.
    pub kills: Vec<Value>,
    /// fuzz.jsonl, a line for each run.
    pub fuzz: Vec<Value>,
    /// All fuzz targets that there are.
    pub targets: Vec<String>,
    /// attacks.json.
    pub attacks: Option<Value>,
    /// All attacks that there are, as `file::test`.
    pub attackers: Vec<String>,
    /// soak.json, overload.json, capacity.json, by name without the ending.
    pub load: BTreeMap<String, Value>,
    /// The names of all pictures in the folder.
    pub pictures: Vec<String>,
}

impl Sources {
    /// Reads a folder of evidence, the folder of fuzz targets, and beside the folder of the page of attacks that of the tests.
    ///
    /// # Errors
    /// A file is there and cannot be read, or holds something else.
    pub fn read(args: &EvidenceArgs) -> Result<Self, BenchError> {
        let (folder, attacks) = (&args.from, &args.attacks);
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
            suite: whole(&folder.join("test.json"))?,
            kills: lines(&folder.join("kills.jsonl"))?,
            fuzz: lines(&folder.join("fuzz.jsonl"))?,
            targets: names(&args.targets, ".rs"),
            attacks: whole(&folder.join("attacks.json"))?,
            attackers: attackers(&attacks.with_file_name("../tests/blackbox"))?,
            load,
            pictures: names(folder, ".svg").iter().map(|name| format!("{name}.svg")).collect(),
        })
    }
}

/// The worlds that are named in the section "Open".
fn open(page: &str) -> usize {
    let section = page.lines().skip_while(|line| *line != "## Open").skip(1);
    section.take_while(|line| !line.starts_with("## ")).map(|line| line.matches("run --seed ").count()).sum()
}

/// The functions that are tests in the files of attackers.
fn attackers(folder: &Path) -> Result<Vec<String>, BenchError> {
    let mut found = Vec::new();
    for file in names(folder, ".py").iter().filter(|name| name.starts_with("test_attackers")) {
        let text = text(&folder.join(format!("{file}.py")))?.unwrap_or_default();
        let tests = text.lines().filter_map(|line| line.strip_prefix("def test_")?.split('(').next());
        found.extend(tests.map(|test| format!("{file}.py::test_{test}")));
    }
    Ok(found)
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

/// The names of all files of a folder that end so, without that end.
fn names(folder: &Path, end: &str) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
    let mut names: Vec<String> = names.filter_map(|name| Some(name.strip_suffix(end)?.to_owned())).collect();
    names.sort();
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attacks_are_the_tests_of_their_files() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
        write("test_attackers_more.py", "@slow\ndef test_b(server):\n    pass\n\ndef other():\n    pass\n");
        write("test_attackers.py", "def test_a(\n        server):\n    def test_inner(): pass\n");
        write("test_floods.py", "def test_other(): pass\n");
        let found = attackers(folder.path()).unwrap();
        assert_eq!(found, ["test_attackers.py::test_a", "test_attackers_more.py::test_b"]);
        assert!(attackers(&folder.path().join("none")).unwrap().is_empty());
    }

    #[test]
    fn a_bad_line_is_named_with_its_file_and_targets_go_by_their_files() {
        let folder = tempfile::tempdir().unwrap();
        let args = EvidenceArgs::of(folder.path());
        fs::create_dir(&args.targets).unwrap();
        fs::create_dir(args.targets.join("records")).unwrap();
        fs::write(args.targets.join("requests.rs"), "").unwrap();
        fs::write(args.targets.join("decode.rs"), "").unwrap();
        assert_eq!(Sources::read(&args).unwrap().targets, ["decode", "requests"]);
        fs::write(args.from.join("fuzz.jsonl"), "{\"target\": \"a\"}\n\n{").unwrap();
        let error = Sources::read(&args).unwrap_err().to_string();
        assert!(error.contains("fuzz.jsonl"), "{error}");
    }
}
