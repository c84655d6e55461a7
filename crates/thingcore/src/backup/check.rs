//! `thingcore check`: whether a data folder, or a backup, is sound. Exit code 0: it is; 3: it is not; 1: it could not
//! be looked at.

use std::fs;
use std::io::{self, Write};
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
    /// What is wrong, and a start puts up with.
    pub remarks: Vec<String>,
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
    Ok(tell(&mut io::stdout(), name, &report))
}

/// The exit code says it, whether anybody reads the words or not.
fn tell(out: &mut impl Write, name: &Path, report: &Report) -> ExitCode {
    let name = name.display();
    if report.findings.left != Left::Closed {
        let torn = report.findings.left == Left::Torn;
        let _ = writeln!(out, "{name}: {}", StoreUnclosed { torn });
    }
    if report.problems.is_empty() && report.remarks.is_empty() {
        let _ = writeln!(out, "{name}: sound: {}", report.summary());
        return ExitCode::SUCCESS;
    }
    for problem in report.problems.iter().chain(&report.remarks) {
        let _ = writeln!(out, "{name}: {problem}");
    }
    let wrong = usize::try_from(report.findings.wrong).unwrap_or(usize::MAX);
    let count = report.problems.len().max(wrong).saturating_add(report.remarks.len());
    let _ = match report.problems.is_empty() {
        true => writeln!(out, "{name}: {count} problems: a server goes on with what can be read"),
        false => writeln!(out, "{name}: {count} problems: restore it from a backup (thingcore restore)"),
    };
    ExitCode::from(FOUND)
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
        let _ = writeln!(
            io::stdout(),
            "{}: its server runs: what it holds at this moment is read, and not how that is written; pages of the store are \
             compared when no server runs",
            folder.display()
        );
    }
    let mut report = restore::verify_running(folder, &source)?;
    let own = around(folder)?;
    report.problems.retain(|problem| !own.problems.contains(problem));
    report.problems.splice(0..0, own.problems);
    // The server's own file, and not the copy of it.
    report.remarks = own.remarks;
    Ok(report)
}

/// Looks at everything in a folder.
pub fn look(folder: &Path) -> Result<Report, BackupProblem> {
    let mut report = around(folder)?;
    report.findings = match store_redb::check(&folder.join(STORE_FILE), record) {
        Ok(findings) => findings,
        Err(error @ OpenError::InUse { .. }) => return Err(BackupProblem::new(error)),
        Err(error) => {
            report.problems.push(error.to_string());
            Findings::default()
        }
    };
    report.problems.extend(report.findings.problems.iter().cloned());
    Ok(report)
}

/// Everything beside the store.
fn around(folder: &Path) -> Result<Report, BackupProblem> {
    let mut report = Report { problems: data_dir::problems_of(folder), ..Report::default() };
    let open = open_to_others(folder).map_err(|error| BackupProblem::io(folder, "look into it", &error))?;
    report.problems.extend(open);
    bill(&folder.join(BILL_FILE), &mut report);
    Ok(report)
}

/// Records of the registry and of the broker have their shapes; all others are JSON.
fn record(space: &str, key: &[u8], value: &[u8]) -> Result<(), String> {
    let json = || {
        serde_json::from_slice::<serde::de::IgnoredAny>(value).map(drop).map_err(|error| error.to_string())
    };
    let read = registry::readable(space, value).or_else(|| records::readable(space, key, value));
    read.unwrap_or_else(json).map_err(|error| format!("it cannot be read: {error}"))
}

fn bill(path: &Path, report: &mut Report) {
    let told = |problem: &dyn std::fmt::Display| format!("{}: {problem}", path.display());
    match fs::read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => report.problems.push(told(&error)),
        Ok(text) => match metering::read_records(&text) {
            Ok(records) => {
                let damage = metering::damage(&records);
                report.remarks.extend(damage.map(|damage| format!("{BILL_FILE}: {damage}")));
            }
            Err(error) => report.problems.push(told(&error)),
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
