//! A backup before it has its name. Two runs may write to one file at once: each has a draft of its own, and the system
//! lets go of a draft's lock with the run, so what killed runs have left is told from what is being written.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File, FileType, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use super::interrupt::Unfinished;

/// The file is called so, with the run's own number in between, until it is whole.
const END: &str = ".partial";
/// Digits of that number.
const DIGITS: usize = 32;

/// A new file for its owner only. It goes away unless it is published.
pub struct Draft {
    /// What is written.
    pub out: File,
    path: PathBuf,
    unfinished: Unfinished,
    is_published: bool,
}

impl Draft {
    /// Makes one for `file`.
    pub fn make(file: &Path) -> io::Result<Self> {
        // Who clears up may look at one before it is locked. It does not look again at once.
        let made = Self::locked(file)?.map_or_else(|| Self::locked(file), |draft| Ok(Some(draft)))?;
        made.ok_or_else(|| io::Error::other("other backups to this file got in the way; try again"))
    }

    /// `None`: somebody was quicker, and took it for one that a killed run had left.
    fn locked(file: &Path) -> io::Result<Option<Self>> {
        let path = numbered(file, END);
        let (unfinished, out) = Unfinished::begin(&path, || create(&path))?;
        let draft = Self { out, path, unfinished, is_published: false };
        let is_ours = match draft.out.try_lock() {
            Ok(()) => draft.path.exists(),
            Err(TryLockError::WouldBlock) => false,
            // A file system without locks: nobody clears up there.
            Err(TryLockError::Error(_)) => true,
        };
        Ok(is_ours.then_some(draft))
    }

    /// Gives it its name once it is on disk; answers its length.
    pub fn publish(mut self, file: &Path) -> io::Result<u64> {
        self.out.sync_all()?;
        self.unfinished.end(|| fs::rename(&self.path, file))?;
        self.is_published = true;
        ready::sync_folder(file)?;
        Ok(self.out.metadata()?.len())
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if !self.is_published {
            self.unfinished.end(|| drop(fs::remove_file(&self.path)));
        }
    }
}

/// A new file for its owner only.
pub fn create(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// Removes the drafts for `file` that killed runs have left. Answers those that are still there and may be such: whose
/// they are, the system does not say, or it does not let them go.
pub fn clear_up(file: &Path) -> Vec<PathBuf> {
    let drafts = others(file, END).filter(|(_, kind)| kind.is_file());
    drafts.map(|(draft, _)| draft).filter(|draft| !is_settled(draft)).collect()
}

/// A name beside `file` that nobody else has: its own, a number, and `end`.
pub fn numbered(file: &Path, end: &str) -> PathBuf {
    let mut name = start(file);
    name.push(format!("{}{end}", uuid::Uuid::new_v4().simple()));
    file.with_file_name(name)
}

/// What there is of such names.
pub fn others(file: &Path, end: &str) -> impl Iterator<Item = (PathBuf, FileType)> {
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let start = start(file);
    // A folder into which one may write and not look: there is nothing to be found out.
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let named = entries.filter(move |entry| is_numbered(&entry.file_name(), &start, end));
    named.filter_map(|entry| Some((file.with_file_name(entry.file_name()), entry.file_type().ok()?)))
}

/// How the names of the drafts for `file` begin.
fn start(file: &Path) -> OsString {
    let mut name = file.file_name().unwrap_or_default().to_owned();
    name.push(".");
    name
}

fn is_numbered(name: &OsStr, start: &OsStr, end: &str) -> bool {
    let number = name.as_encoded_bytes().strip_prefix(start.as_encoded_bytes());
    let number = number.and_then(|rest| rest.strip_suffix(end.as_bytes()));
    number.is_some_and(|number| number.len() == DIGITS && number.iter().all(u8::is_ascii_hexdigit))
}

/// It is gone, or somebody writes it.
fn is_settled(draft: &Path) -> bool {
    let settled = OpenOptions::new().write(true).open(draft).and_then(|file| match file.try_lock() {
        Ok(()) => fs::remove_file(draft),
        Err(TryLockError::WouldBlock) => Ok(()),
        Err(TryLockError::Error(error)) => Err(error),
    });
    settled.is_ok() || !draft.exists()
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;
    use crate::backup::names;

    /// As a backup that begins does it.
    fn begun(file: &Path) -> Draft {
        assert_eq!(clear_up(file), Vec::<PathBuf>::new());
        Draft::make(file).unwrap()
    }

    #[test]
    fn two_that_are_written_at_once_do_not_know_each_other() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("b");
        let mut first = begun(&file);
        first.out.write_all(b"all of the first").unwrap();
        let mut second = begun(&file);
        second.out.write_all(b"half of").unwrap();
        assert_eq!(first.publish(&file).unwrap(), 16);
        assert_eq!(fs::read(&file).unwrap(), b"all of the first");
        second.out.write_all(b" the second").unwrap();
        assert_eq!(second.publish(&file).unwrap(), 18);
        assert_eq!(fs::read(&file).unwrap(), b"half of the second");
        assert_eq!(names(folder.path()), ["b"]);
    }

    #[test]
    fn one_that_fails_leaves_the_others_and_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("b");
        fs::write(&file, "old").unwrap();
        let first = begun(&file);
        drop(begun(&file));
        assert_eq!(fs::read(&file).unwrap(), b"old");
        assert_eq!(first.publish(&file).unwrap(), 0);
        assert_eq!(names(folder.path()), ["b"]);
    }

    #[test]
    fn what_a_killed_run_left_is_removed_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("b");
        let number = "0123456789abcdef0123456789abcdef";
        fs::write(folder.path().join(format!("b.{number}.partial")), "half").unwrap();
        let others =
            ["b.monday.partial", "b.partial", &format!("b.{number}"), &format!("c.{number}.partial")];
        others.iter().for_each(|name| fs::write(folder.path().join(name), "mine").unwrap());
        let running = begun(&file);
        let mut wanted: Vec<_> = others.iter().map(|name| (*name).to_owned()).collect();
        wanted.push(running.path.file_name().unwrap().to_str().unwrap().to_owned());
        wanted.sort();
        assert_eq!(clear_up(&file), Vec::<PathBuf>::new());
        assert_eq!(names(folder.path()), wanted);
    }

    #[cfg(unix)]
    #[test]
    fn a_draft_is_for_its_owner_only() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let draft = begun(&folder.path().join("b"));
        assert_eq!(draft.out.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    }
}
