//! `thingcore backup`: one moment of the store, and the files beside it, into one file.

use std::fs::File;
use std::io::{self, BufWriter, Read, Write};
use std::path::Path;

use super::archive::{FILE, Writer};
use super::draft::{self, Draft};
use super::source::Source;
use super::{BackupProblem, FILES, NEEDED, interrupt, is_pipe};
use crate::cli::BackupArgs;

/// So much of a file stands in one piece.
const CHUNK: usize = 1 << 20;

/// Writes the backup: to standard output, or to a file of mode 0600 that gets its name when it is whole.
pub fn backup(args: &BackupArgs) -> Result<(), BackupProblem> {
    let folder = &args.data_dir;
    if !folder.is_dir() {
        return Err(BackupProblem::new(format!(
            "{}: there is no such data folder; name the server's with --data-dir",
            folder.display()
        )));
    }
    let source = Source::of(folder)?;
    if is_pipe(&args.file) {
        let failed = |error| BackupProblem::io(Path::new("standard output"), "write the backup", &error);
        return write(folder, &source, io::stdout().lock(), &failed).map(drop);
    }
    interrupt::catch();
    for left in draft::clear_up(&args.file) {
        let _ = writeln!(
            io::stderr(),
            "thingcore: {}: a backup that was killed left this, unless one is written there now: remove it",
            left.display()
        );
    }
    let bytes = to_file(folder, &source, &args.file)?;
    // The backup is there, whether anybody reads this or not.
    let _ = writeln!(
        io::stdout(),
        "{}: {bytes} bytes; it holds the keys of the data folder: keep it as safe as that",
        args.file.display()
    );
    Ok(())
}

fn to_file(folder: &Path, source: &Source, file: &Path) -> Result<u64, BackupProblem> {
    let failed = |error| BackupProblem::io(file, "write the backup", &error);
    let draft = Draft::make(file).map_err(failed)?;
    write(folder, source, BufWriter::new(&draft.out), &failed).map(drop)?;
    draft.publish(file).map_err(failed)
}

/// Writes the backup into whatever takes it.
pub fn write<W: Write>(
    folder: &Path,
    source: &Source,
    out: W,
    failed: &impl Fn(io::Error) -> BackupProblem,
) -> Result<W, BackupProblem> {
    let mut writer = Writer::new(out).map_err(failed)?;
    for (place, name) in FILES.into_iter().enumerate() {
        let path = folder.join(name);
        match File::open(&path) {
            Ok(file) => add(&mut writer, name, &path, file, failed)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound && place >= NEEDED => {}
            Err(error) => return Err(BackupProblem::io(&path, "read it", &error)),
        }
    }
    source.each(|row| writer.put(row.part.letter() as u8, &row.key, &row.value).map_err(failed))?;
    writer.finish().map_err(failed)
}

fn add<W: Write>(
    writer: &mut Writer<W>,
    name: &str,
    path: &Path,
    mut file: File,
    failed: &impl Fn(io::Error) -> BackupProblem,
) -> Result<(), BackupProblem> {
    let mut first = true;
    loop {
        let mut chunk = Vec::new();
        let read = Read::by_ref(&mut file).take(CHUNK as u64).read_to_end(&mut chunk);
        read.map_err(|error| BackupProblem::io(path, "read it", &error))?;
        if chunk.is_empty() && !first {
            return Ok(());
        }
        first = false;
        writer.put(FILE, name.as_bytes(), &chunk).map_err(failed)?;
    }
}
