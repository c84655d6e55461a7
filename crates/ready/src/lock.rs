//! One server per data folder.

use std::fmt;
use std::fs::{File, OpenOptions, TryLockError};
use std::path::Path;
use std::time::Duration;

const FILE: &str = "lock";

/// Held while the server lives; the system releases it with the process, however that ends.
pub struct Lock {
    _file: File,
}

/// The folder cannot be locked: says why, and what to do.
#[derive(Debug)]
pub struct LockProblem(String);

impl fmt::Display for LockProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for LockProblem {}

impl LockProblem {
    fn io(path: &Path, doing: &str, error: &std::io::Error) -> Self {
        Self(format!("{}: cannot {doing}: {error}", path.display()))
    }
}

/// Longer than [`is_held`] takes.
const GLANCE: Duration = Duration::from_millis(100);

impl Lock {
    /// Takes the lock of a data folder.
    ///
    /// # Errors
    /// When another server has it, and when the file system refuses.
    pub fn take(folder: &Path) -> Result<Self, LockProblem> {
        Self::take_after(folder, || std::thread::sleep(GLANCE))
    }

    /// Who finds the lock taken tries again after `pause`: a command that only looked has let go by then.
    fn take_after(folder: &Path, pause: impl FnOnce()) -> Result<Self, LockProblem> {
        let path = folder.join(FILE);
        let file = open(&path).map_err(|error| LockProblem::io(&path, "open it", &error))?;
        let locked = file.try_lock().or_else(|error| match error {
            TryLockError::WouldBlock => {
                pause();
                file.try_lock()
            }
            TryLockError::Error(_) => Err(error),
        });
        match locked {
            Ok(()) => Ok(Self { _file: file }),
            Err(TryLockError::WouldBlock) => Err(LockProblem(format!(
                "{}: another thingcore is running on this data folder; stop it, or choose another --data-dir",
                folder.display()
            ))),
            Err(TryLockError::Error(error)) => Err(LockProblem::io(&path, "lock it", &error)),
        }
    }
}

/// True if a server holds the lock now.
pub fn is_held(folder: &Path) -> bool {
    let Ok(file) = File::open(folder.join(FILE)) else { return false };
    matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock))
}

fn open(path: &Path) -> std::io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_glance_at_the_lock_stops_no_start() {
        let folder = tempfile::tempdir().unwrap();
        let glance = open(&folder.path().join(FILE)).unwrap();
        glance.try_lock_shared().unwrap();
        let lock = Lock::take_after(folder.path(), || drop(glance)).map_err(|problem| problem.to_string());
        let _lock = lock.unwrap();
        assert!(is_held(folder.path()));
        assert!(Lock::take_after(folder.path(), || ()).is_err(), "a server does not let go");
    }
}
