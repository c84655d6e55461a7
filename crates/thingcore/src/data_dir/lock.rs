//! One server per data folder.

use std::fs::{File, OpenOptions, TryLockError};
use std::path::Path;

use super::DataDirProblem;

const FILE: &str = "lock";

/// Held while the server lives; the system releases it with the process, however that ends.
pub struct Lock {
    _file: File,
}

impl Lock {
    pub(super) fn take(folder: &Path) -> Result<Self, DataDirProblem> {
        let path = folder.join(FILE);
        let file = open(&path).map_err(|error| DataDirProblem::io(&path, "open it", &error))?;
        match file.try_lock() {
            Ok(()) => Ok(Self { _file: file }),
            Err(TryLockError::WouldBlock) => Err(DataDirProblem(format!(
                "{}: another thingcore is running on this data folder; stop it, or choose another --data-dir",
                folder.display()
            ))),
            Err(TryLockError::Error(error)) => Err(DataDirProblem::io(&path, "lock it", &error)),
        }
    }
}

/// True if a server holds the lock now.
pub(super) fn is_held(folder: &Path) -> bool {
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
