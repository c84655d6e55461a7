//! A look at a whole file that no store has open: every page, every row, and whether they agree.

use std::collections::BTreeMap;
use std::path::Path;

use redb::{Database, ReadTransaction, ReadableDatabase, ReadableTable};

use crate::copy::look;
use crate::error::OpenError;
use crate::layout::{self, BLOCKS, BODIES, MARKS, Marks, RECORDS, USES};
use crate::verify::Left;
use crate::{queues, records};

/// The most problems that are told one by one.
const TOLD: usize = 100;

/// What was found in a file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Findings {
    /// Records.
    pub records: u64,
    /// Bodies of messages that wait.
    pub messages: u64,
    /// References of sessions to them.
    pub references: u64,
    /// What is wrong, the first hundred of it.
    pub problems: Vec<String>,
    /// How much is wrong.
    pub wrong: u64,
    /// How the file had been left.
    pub left: Left,
}

impl Findings {
    fn complain(&mut self, problem: impl FnOnce() -> String) {
        self.wrong += 1;
        if self.problems.len() < TOLD {
            self.problems.push(problem());
        }
    }
}

/// Looks at the file and leaves it as it is. `reads` is asked for each record whether it can be read: space, key,
/// value. Memory: some 40 bytes for each message that waits.
///
/// # Errors
/// [`OpenError`]: in use, unusable, of another layout, damaged so that its rows cannot be read.
pub fn check(
    path: &Path,
    reads: impl Fn(&str, &[u8], &[u8]) -> Result<(), String>,
) -> Result<Findings, OpenError> {
    let failed = |error| OpenError::from_redb(path.to_owned(), error);
    let (database, left) = look(path).map_err(failed)?;
    let found = format(&database).map_err(failed)?;
    if found != layout::FORMAT {
        return Err(OpenError::Format { path: path.to_owned(), found });
    }
    let findings = rows(&database, reads).map_err(failed)?;
    Ok(Findings { left, ..findings })
}

fn format(database: &Database) -> Result<u64, redb::Error> {
    let marks = database.begin_read()?.open_table(MARKS)?;
    Ok(marks.get("format")?.map_or(0, |format| format.value()))
}

fn rows(
    database: &Database,
    reads: impl Fn(&str, &[u8], &[u8]) -> Result<(), String>,
) -> Result<Findings, redb::Error> {
    let (snapshot, marks) = (database.begin_read()?, Marks::of(database)?);
    let mut findings = Findings::default();
    check_records(&snapshot, marks, &reads, &mut findings)?;
    check_queues(&snapshot, marks, &mut findings)?;
    Ok(findings)
}

fn check_records(
    snapshot: &ReadTransaction,
    marks: Marks,
    reads: &impl Fn(&str, &[u8], &[u8]) -> Result<(), String>,
    findings: &mut Findings,
) -> Result<(), redb::Error> {
    for row in snapshot.open_table(RECORDS)?.iter()? {
        let (key, value) = row?;
        findings.records += 1;
        let name = String::from_utf8_lossy(key.value()).escape_debug().to_string();
        match records::parts(key.value(), value.value()) {
            Err(error) => findings.complain(|| format!("record {name}: {error}")),
            Ok(row) if row.revision > marks.revision => {
                findings.complain(|| format!("record {name}: it is newer than the store itself"));
            }
            Ok(row) => {
                if let Err(error) = reads(row.space, row.key, row.value) {
                    findings.complain(|| format!("record {name}: {error}"));
                }
            }
        }
    }
    Ok(())
}

/// How many sessions wait for a message.
#[derive(Default)]
struct Waiting {
    sessions: u32,
    /// There is a count of them.
    is_counted: bool,
}

fn check_queues(
    snapshot: &ReadTransaction,
    marks: Marks,
    findings: &mut Findings,
) -> Result<(), redb::Error> {
    let mut awaited: BTreeMap<u64, Waiting> = BTreeMap::new();
    for row in snapshot.open_table(BLOCKS)?.iter()? {
        let (key, block) = row?;
        match queues::positions(key.value(), block.value()) {
            Err(error) => findings.complain(|| format!("a session's queue: {error}")),
            Ok(positions) => {
                findings.references += positions.len() as u64;
                positions
                    .into_iter()
                    .for_each(|position| awaited.entry(position.0).or_default().sessions += 1);
            }
        }
    }
    check_uses(snapshot, &mut awaited, findings)?;
    check_bodies(snapshot, marks, awaited, findings)
}

fn check_uses(
    snapshot: &ReadTransaction,
    awaited: &mut BTreeMap<u64, Waiting>,
    findings: &mut Findings,
) -> Result<(), redb::Error> {
    for row in snapshot.open_table(USES)?.iter()? {
        let (position, uses) = row?;
        let (position, uses) = (position.value(), uses.value());
        let waiting = awaited.get_mut(&position).map_or(0, |waiting| {
            waiting.is_counted = true;
            waiting.sessions
        });
        if waiting != uses {
            findings.complain(|| {
                format!("message {position}: {waiting} sessions wait for it, and {uses} are noted")
            });
        }
    }
    // The first session that has had one of these would take it away from the others.
    for (position, Waiting { sessions, .. }) in awaited.iter().filter(|(_, waiting)| !waiting.is_counted) {
        findings.complain(|| {
            format!("message {position}: {sessions} sessions wait for it, and their number is not noted")
        });
    }
    Ok(())
}

fn check_bodies(
    snapshot: &ReadTransaction,
    marks: Marks,
    mut awaited: BTreeMap<u64, Waiting>,
    findings: &mut Findings,
) -> Result<(), redb::Error> {
    for row in snapshot.open_table(BODIES)?.iter()? {
        let position = row?.0.value();
        findings.messages += 1;
        if awaited.remove(&position).is_none() {
            findings.complain(|| format!("message {position}: nobody waits for it"));
        }
        if position > marks.position.0 {
            findings.complain(|| format!("message {position}: it is newer than the store itself"));
        }
    }
    for position in awaited.into_keys() {
        findings.complain(|| format!("message {position}: a session waits for it, and it is not there"));
    }
    Ok(())
}
