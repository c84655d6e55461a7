//! `thingcore restore`: a data folder out of a backup, whole or not at all.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use store_redb::{Part, Rebuild, Row};

use super::archive::{FILE, Piece, Reader};
use super::check::{Report, look};
use super::draft::create;
use super::source::Source;
use super::unpacked::Unpacked;
use super::{BackupProblem, FILES, NEEDED, interrupt, is_pipe, take};
use crate::cli::RestoreArgs;
use crate::data_dir::STORE_FILE;

/// Makes the folder. It appears under its name when everything is in it, on disk, and was looked at.
pub fn restore(args: &RestoreArgs) -> Result<(), BackupProblem> {
    let folder = &args.data_dir;
    refuse_used(folder)?;
    interrupt::catch();
    let draft =
        Unpacked::make(folder).map_err(|error| BackupProblem::io(folder, "make a folder for it", &error))?;
    if is_pipe(&args.file) {
        fill(draft.path(), io::stdin().lock(), Path::new("standard input"))?;
    } else {
        let file =
            File::open(&args.file).map_err(|error| BackupProblem::io(&args.file, "read it", &error))?;
        fill(draft.path(), BufReader::with_capacity(1 << 20, file), &args.file)?;
    }
    let report = look(draft.path())?;
    if !report.problems.is_empty() {
        return Err(BackupProblem::new(format!(
            "the backup is whole, and what is in it is not sound: {}; nothing was restored",
            report.problems.join("; ")
        )));
    }
    let failed = |error| BackupProblem::io(folder, "give the restored folder its name", &error);
    draft.publish(folder).map_err(failed)?;
    // The folder is there, whether anybody reads this or not.
    let mut out = io::stdout();
    for remark in &report.remarks {
        let _ = writeln!(out, "{}: {remark}; what can be read is restored", folder.display());
    }
    let _ = writeln!(out, "{}: restored; {}", folder.display(), report.summary());
    Ok(())
}

/// A folder that holds something may be somebody's only copy.
fn refuse_used(folder: &Path) -> Result<(), BackupProblem> {
    let found = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(BackupProblem::io(folder, "look into it", &error)),
        Ok(mut entries) => entries.next(),
    };
    match found {
        None => Ok(()),
        Some(_) => Err(BackupProblem::new(format!(
            "{}: this folder is not empty; move it away, or restore into another --data-dir",
            folder.display()
        ))),
    }
}

fn fill(folder: &Path, from: impl Read, name: &Path) -> Result<(), BackupProblem> {
    let failed =
        |error: io::Error| BackupProblem::new(format!("{}: {error}; nothing was restored", name.display()));
    let mut reader = Reader::new(from).map_err(failed)?;
    let mut filling = Filling::new(folder)?;
    while let Some(piece) = reader.next().map_err(failed)? {
        filling.put(piece, name)?;
    }
    filling.finish(name)
}

/// Looks through a backup without keeping anything of it.
pub fn verify(file: &Path) -> Result<Report, BackupProblem> {
    let draft = passing()?;
    let from = File::open(file).map_err(|error| BackupProblem::io(file, "read it", &error))?;
    fill(draft.path(), BufReader::with_capacity(1 << 20, from), file)?;
    look(draft.path())
}

/// Where a backup is unpacked to be looked at, whatever ends this run.
fn passing() -> Result<Unpacked, BackupProblem> {
    interrupt::catch();
    Unpacked::passing()
        .map_err(|error| BackupProblem::io(&std::env::temp_dir(), "make a folder to unpack into", &error))
}

/// Looks through what a backup of a running server would hold, without keeping anything of it.
pub fn verify_running(folder: &Path, source: &Source) -> Result<Report, BackupProblem> {
    let draft = passing()?;
    let piped = |error| BackupProblem::io(draft.path(), "fill it", &error);
    let (from, into) = io::pipe().map_err(piped)?;
    // Who cannot write finds that nobody reads any more: then the reader knows why.
    let unread = AtomicBool::new(false);
    let failed = |error| {
        unread.store(true, Ordering::Relaxed);
        piped(error)
    };
    let (written, filled) = std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            take::write(folder, source, BufWriter::new(into), &failed)
                .and_then(|mut out| out.flush().map_err(&failed))
        });
        let filled = fill(draft.path(), BufReader::new(from), folder);
        (writer.join(), filled)
    });
    let written = written.unwrap_or_else(|_| Err(BackupProblem::new("the copy of the store came to an end")));
    if unread.load(Ordering::Relaxed) { filled.and(written) } else { written.and(filled) }?;
    look(draft.path())
}

/// The folder that grows.
struct Filling {
    folder: PathBuf,
    files: BTreeMap<&'static str, File>,
    store: Rebuild,
}

impl Filling {
    fn new(folder: &Path) -> Result<Self, BackupProblem> {
        let store = Rebuild::create(&folder.join(STORE_FILE)).map_err(BackupProblem::new)?;
        Ok(Self { folder: folder.to_owned(), files: BTreeMap::new(), store })
    }

    fn put(&mut self, piece: Piece, backup: &Path) -> Result<(), BackupProblem> {
        let Piece { kind, key, value } = piece;
        if kind == FILE {
            return self.append(&key, &value, backup);
        }
        let part =
            Part::of(char::from(kind)).ok_or_else(|| unknown(backup, &format!("a piece of kind {kind}")))?;
        self.store.put(Row { part, key, value }).map_err(BackupProblem::new)
    }

    /// Only names that a data folder has: a backup writes nothing anywhere else.
    fn append(&mut self, name: &[u8], value: &[u8], backup: &Path) -> Result<(), BackupProblem> {
        let known = FILES.into_iter().find(|known| known.as_bytes() == name);
        let known = known.ok_or_else(|| unknown(backup, "a file that no data folder has"))?;
        let path = self.folder.join(known);
        let failed = |error| BackupProblem::io(&path, "write it", &error);
        if !self.files.contains_key(known) {
            self.files.insert(known, create(&path).map_err(failed)?);
        }
        let file = self.files.get_mut(known);
        file.map_or(Ok(()), |file| file.write_all(value)).map_err(failed)
    }

    fn finish(self, backup: &Path) -> Result<(), BackupProblem> {
        let missing = FILES.into_iter().take(NEEDED).find(|name| !self.files.contains_key(name));
        if let Some(missing) = missing {
            return Err(unknown(backup, &format!("no {missing}")));
        }
        for (name, file) in &self.files {
            file.sync_all()
                .map_err(|error| BackupProblem::io(&self.folder.join(name), "write it", &error))?;
        }
        self.store.finish().map_err(BackupProblem::new)
    }
}

fn unknown(backup: &Path, what: &str) -> BackupProblem {
    BackupProblem::new(format!(
        "{}: it holds {what}; use the version that wrote it. Nothing was restored",
        backup.display()
    ))
}
