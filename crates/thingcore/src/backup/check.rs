//! `thingcore check`: whether a data folder, or a backup, is sound. Exit code 0: it is; 3: it is not; 1: it could not
//! be looked at.

use std::fs;
use std::io;
use std::path::Path;
use std::process::ExitCode;

use events::StoreUnclosed;
use ready::Lock;
use store_redb::{Findings, Left, OpenError};

use super::source::Source;
use super::{BackupProblem, restore};
use crate::cli::CheckArgs;
use crate::data_dir::{self, BILL_FILE, STORE_FILE};

/// The command found something.
const FOUND: u8 = 3;

/// What was found.
#[derive(Debug, Default)]
pub struct Report {
    /// Of the store.
    findings: Findings,
    /// What is wrong.
    pub problems: Vec<String>,
}

impl Report {
    /// What there is, in numbers.
    pub fn summary(&self) -> String {
        let Findings { records, messages, references, .. } = &self.findings;
        format!("{records} records, {messages} messages that wait, {references} places in queues")
    }
}

/// Looks, prints, and gives the exit code.
pub fn check(args: &CheckArgs) -> Result<ExitCode, BackupProblem> {
    let (name, report) = match &args.backup {
        Some(file) => (file, restore::verify(file)?),
        None => (&args.data_dir, look_there(&args.data_dir)?),
    };
    if report.findings.left != Left::Closed {
        let torn = report.findings.left == Left::Torn;
        println!("{}: {}", name.display(), StoreUnclosed { torn });
    }
    if report.problems.is_empty() {
        println!("{}: sound: {}", name.display(), report.summary());
        return Ok(ExitCode::SUCCESS);
    }
    for problem in &report.problems {
        println!("{}: {problem}", name.display());
    }
    let count = report.problems.len().max(usize::try_from(report.findings.wrong).unwrap_or(usize::MAX));
    println!("{}: {count} problems: restore it from a backup (thingcore restore)", name.display());
    Ok(ExitCode::from(FOUND))
}

/// Whether a server has the folder or not.
fn look_there(folder: &Path) -> Result<Report, BackupProblem> {
    if !folder.is_dir() {
        return Err(BackupProblem::new(format!("{}: there is no such data folder", folder.display())));
    }
    let _lock = match Lock::take(folder) {
        Ok(lock) => Some(lock),
        // Nobody can write there, so nobody does.
        Err(_) if !ready::is_held(folder) => None,
        Err(_) => return look_beside(folder),
    };
    look(folder)
}

/// While a server has the folder: what its store holds at one moment, from the server itself.
fn look_beside(folder: &Path) -> Result<Report, BackupProblem> {
    let source = Source::of(folder)?;
    if let Source::Running(_) = &source {
        println!(
            "{}: its server runs: what it holds at this moment is read, and not how that is written; pages of the store are \
             compared when no server runs",
            folder.display()
        );
    }
    let mut report = restore::verify_running(folder, &source)?;
    let own = around(folder)?;
    report.problems.retain(|problem| !own.contains(problem));
    report.problems.splice(0..0, own);
    Ok(report)
}

/// Looks at everything in a folder.
pub fn look(folder: &Path) -> Result<Report, BackupProblem> {
    let mut problems = around(folder)?;
    let findings = match store_redb::check(&folder.join(STORE_FILE), record) {
        Ok(findings) => findings,
        Err(error @ OpenError::InUse { .. }) => return Err(BackupProblem::new(error)),
        Err(error) => {
            problems.push(error.to_string());
            Findings::default()
        }
    };
    problems.extend(findings.problems.iter().cloned());
    Ok(Report { findings, problems })
}

/// Everything beside the store.
fn around(folder: &Path) -> Result<Vec<String>, BackupProblem> {
    let mut problems = data_dir::problems_of(folder);
    problems
        .extend(open_to_others(folder).map_err(|error| BackupProblem::io(folder, "look into it", &error))?);
    problems.extend(bill(&folder.join(BILL_FILE)));
    Ok(problems)
}

/// Records of the registry and of the broker have their shapes; all others are JSON.
fn record(space: &str, _key: &[u8], value: &[u8]) -> Result<(), String> {
    let json = || {
        serde_json::from_slice::<serde::de::IgnoredAny>(value).map(drop).map_err(|error| error.to_string())
    };
    let read = registry::readable(space, value).or_else(|| records::readable(space, value));
    read.unwrap_or_else(json).map_err(|error| format!("it cannot be read: {error}"))
}

fn bill(path: &Path) -> Option<String> {
    let wrong = |problem: &dyn std::fmt::Display| Some(format!("{}: {problem}", path.display()));
    match fs::read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => wrong(&error),
        Ok(text) => match metering::read_records(&String::from_utf8_lossy(&text)) {
            Ok(_) => None,
            Err(error) => wrong(&error),
        },
    }
}

/// Everything there holds keys, or what devices said.
#[cfg(unix)]
fn open_to_others(folder: &Path) -> io::Result<Vec<String>> {
    use std::os::unix::fs::PermissionsExt;
    const OTHERS: u32 = 0o077;
    let mut problems = Vec::new();
    let mut judge = |path: &Path| -> io::Result<()> {
        let mode = fs::metadata(path)?.permissions().mode() & 0o777;
        if mode & OTHERS != 0 {
            problems.push(format!("{}: others can use it (mode {mode:03o}): chmod go= it", path.display()));
        }
        Ok(())
    };
    judge(folder)?;
    for entry in fs::read_dir(folder)? {
        judge(&entry?.path())?;
    }
    Ok(problems)
}

#[cfg(not(unix))]
fn open_to_others(_folder: &Path) -> io::Result<Vec<String>> {
    Ok(Vec::new())
}
