//! `thingcore backup`, `restore` and `check`: the data folder in one file, and back, and whether it is sound.
//!
//! Invariants: a backup is one moment of the store, and a file that was cut short or changed is not restored; whatever
//! holds keys is 0600, and what a run does not finish goes away with it, or with the next run; `check` changes nothing.

mod archive;
mod check;
mod draft;
mod interrupt;
mod restore;
mod source;
mod take;
mod unpacked;

use std::fmt;
use std::path::Path;

pub use check::check;
pub use restore::restore;
pub use source::{WirePage, WireRow};
pub use take::backup;

/// What is copied beside the store. The first ones are there in every folder.
const FILES: [&str; 8] = [
    "account.json",
    "access-key.json",
    "ca.cert.pem",
    "ca.key.pem",
    "session-key",
    "server.json",
    "bill.jsonl",
    crate::data_dir::COMPLETE_FILE,
];

/// Without these there is no folder to speak of.
const NEEDED: usize = 4;

/// The command could not be carried out; says what, why, and what to do.
#[derive(Debug)]
pub struct BackupProblem(String);

impl fmt::Display for BackupProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for BackupProblem {}

impl BackupProblem {
    fn new(text: impl fmt::Display) -> Self {
        Self(text.to_string())
    }

    fn io(path: &Path, doing: &str, error: &std::io::Error) -> Self {
        use std::io::ErrorKind::{QuotaExceeded, StorageFull};
        let remedy = match error.kind() {
            StorageFull | QuotaExceeded => "; free some space, or write to another disk",
            _ => "",
        };
        Self(format!("{}: cannot {doing}: {error}{remedy}", path.display()))
    }
}

/// Standard input or output.
fn is_pipe(file: &Path) -> bool {
    file.as_os_str() == "-"
}

/// What lies in a folder, by name.
#[cfg(test)]
fn names(folder: &std::path::Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}
