//! Files for the owner's eyes only, whole or not at all.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

/// Bytes that are written at once.
const PIECE: usize = 64 * 1024;

/// Writes `content` to a new file of mode 0600 and moves it over `path`: a reader sees the old content or the new.
/// On disk when this returns.
///
/// # Errors
/// Those of the file system; nothing is left behind then.
pub fn write_secret(path: &Path, content: &[u8]) -> io::Result<()> {
    write_secret_with(path, |file| file.write_all(content))
}

/// The same with what `write` writes, in pieces: what is long need not be in memory as a whole.
///
/// # Errors
/// Those of `write` and of the file system; nothing is left behind then.
pub fn write_secret_with(
    path: &Path,
    write: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>,
) -> io::Result<()> {
    let fresh = sibling(path);
    let written = write_new(&fresh, write).and_then(|()| fs::rename(&fresh, path));
    if written.is_err() {
        let _ = fs::remove_file(&fresh);
    }
    written?;
    sync_folder(path)
}

fn write_new(path: &Path, write: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = BufWriter::with_capacity(PIECE, options.open(path)?);
    write(&mut file)?;
    file.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()
}

fn sibling(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.new", uuid::Uuid::new_v4().simple()));
    path.with_file_name(name)
}

/// Makes the entry `path` of its folder durable.
///
/// # Errors
/// Those of the file system.
pub fn sync_folder(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if cfg!(unix) { File::open(folder)?.sync_all() } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_written_leaves_what_was_there_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        write_secret(&path, b"old").unwrap();
        let failed = write_secret_with(&path, |file| {
            // More than is held back, so that some of it is in the new file.
            file.write_all(&[b'x'; 3 * PIECE])?;
            Err(io::Error::other("no more"))
        });
        assert_eq!(failed.unwrap_err().to_string(), "no more");
        assert_eq!(fs::read(&path).unwrap(), b"old");
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 1);
        write_secret_with(&path, |file| (0..3).try_for_each(|_| file.write_all(&[b'y'; PIECE / 2 + 1])))
            .unwrap();
        assert_eq!(fs::read(&path).unwrap(), vec![b'y'; 3 * (PIECE / 2 + 1)]);
        #[cfg(unix)]
        assert_eq!(
            std::os::unix::fs::PermissionsExt::mode(&fs::metadata(&path).unwrap().permissions()) & 0o777,
            0o600
        );
    }
}
