//! A data folder before it has its name, or one that is only looked at. It is made new, for its owner only; while it is
//! filled it is locked, so that the next run tells what killed runs have left, and removes it.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use super::draft::{numbered, others};
use super::interrupt::Unfinished;

/// The folder is called so, with the run's own number in between, until it is whole.
const END: &str = ".restoring";
/// Folders that are only looked at are called so, in the system's folder for temporary files.
const PASSING: &str = "thingcore-check";

/// It goes away unless it is published.
pub struct Unpacked {
    path: PathBuf,
    unfinished: Unfinished,
    is_published: bool,
    _lock: Option<File>,
}

impl Unpacked {
    /// One that is only looked at.
    pub fn passing() -> io::Result<Self> {
        Self::make(&std::env::temp_dir().join(PASSING))
    }

    /// One that is to become `folder`. What killed runs have left of such goes away first.
    pub fn make(folder: &Path) -> io::Result<Self> {
        let parent = folder.parent().filter(|parent| !parent.as_os_str().is_empty());
        if let Some(parent) = parent {
            private(fs::DirBuilder::new().recursive(true)).create(parent)?;
        }
        // Who clears up may look at one before it is locked. It does not look again at once.
        let made = Self::locked(folder)?.map_or_else(|| Self::locked(folder), |made| Ok(Some(made)))?;
        let made = made.ok_or_else(|| io::Error::other("other runs got in the way; try again"))?;
        clear_up(folder, &made.path);
        Ok(made)
    }

    /// `None`: somebody was quicker, and took it for one that a killed run had left.
    fn locked(folder: &Path) -> io::Result<Option<Self>> {
        let path = numbered(folder, END);
        // Not one that is there already: whoever made it could look into it, and put something of his into it.
        let (unfinished, ()) =
            Unfinished::begin(&path, || private(&mut fs::DirBuilder::new()).create(&path))?;
        let lock = File::open(&path);
        let mut made = Self { path, unfinished, is_published: false, _lock: None };
        let locked = lock.map_err(TryLockError::Error).and_then(|lock| lock.try_lock().map(|()| lock));
        let is_ours = match locked {
            Ok(lock) => {
                made._lock = Some(lock);
                made.path.exists()
            }
            Err(TryLockError::WouldBlock) => false,
            // A file system without locks: nobody clears up there.
            Err(TryLockError::Error(_)) => made.path.exists(),
        };
        Ok(is_ours.then_some(made))
    }

    /// Where it is filled.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Gives it its name. An empty folder gives way, another one does not.
    pub fn publish(mut self, folder: &Path) -> io::Result<()> {
        ready::sync_folder(&self.path.join(crate::data_dir::STORE_FILE))?;
        self.unfinished.end(|| fs::rename(&self.path, folder))?;
        self.is_published = true;
        ready::sync_folder(folder)
    }
}

impl Drop for Unpacked {
    fn drop(&mut self) {
        if !self.is_published {
            self.unfinished.end(|| drop(fs::remove_dir_all(&self.path)));
        }
    }
}

/// For its owner only, from the first moment.
fn private(builder: &mut fs::DirBuilder) -> &mut fs::DirBuilder {
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(builder, 0o700);
    builder
}

/// Removes what killed runs have left beside `own`. What another user made is that one's.
fn clear_up(folder: &Path, own: &Path) {
    for (path, kind) in others(folder, END) {
        if !kind.is_dir() || path == own || !is_of_owner(&path, own) {
            continue;
        }
        if let Ok(left) = File::open(&path)
            && left.try_lock().is_ok()
        {
            let _ = fs::remove_dir_all(&path);
        }
    }
}

#[cfg(unix)]
fn is_of_owner(path: &Path, own: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let owner = |path: &Path| fs::symlink_metadata(path).ok().map(|found| found.uid());
    owner(path).is_some_and(|user| owner(own) == Some(user))
}

#[cfg(not(unix))]
fn is_of_owner(_path: &Path, _own: &Path) -> bool {
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backup::names;

    #[test]
    fn what_a_killed_run_left_is_removed_and_nothing_else() {
        let parent = tempfile::tempdir().unwrap();
        let folder = parent.path().join("deep/data");
        let running = Unpacked::make(&folder).unwrap();
        let place = folder.parent().unwrap();
        let number = "0123456789abcdef0123456789abcdef";
        let others = ["data.4711.restoring", &format!("other.{number}.restoring"), &format!("data.{number}")];
        for name in others.iter().map(|name| (*name).to_owned()).chain([format!("data.{number}.restoring")]) {
            fs::create_dir(place.join(&name)).unwrap();
            fs::write(place.join(&name).join("ca.key.pem"), "secret").unwrap();
        }
        let next = Unpacked::make(&folder).unwrap();
        let mut wanted: Vec<_> = others.iter().map(|name| (*name).to_owned()).collect();
        for made in [&running, &next] {
            wanted.push(made.path().file_name().unwrap().to_str().unwrap().to_owned());
        }
        wanted.sort();
        assert_eq!(names(place), wanted);
        drop(running);
        next.publish(&folder).unwrap();
        wanted.retain(|name| others.contains(&name.as_str()));
        wanted.insert(0, "data".to_owned());
        assert_eq!(names(place), wanted);
    }

    #[cfg(unix)]
    #[test]
    fn it_is_for_its_owner_only() {
        use std::os::unix::fs::PermissionsExt;
        let parent = tempfile::tempdir().unwrap();
        let made = Unpacked::make(&parent.path().join("data")).unwrap();
        assert_eq!(fs::metadata(made.path()).unwrap().permissions().mode() & 0o777, 0o700);
    }
}
