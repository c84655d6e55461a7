//! Faults of the file, told to the operator.

use std::fmt;
use std::io::ErrorKind;
use std::path::PathBuf;
use std::sync::Arc;

use redb::DatabaseError;

/// Why a store could not be opened.
#[derive(Debug)]
pub enum OpenError {
    /// Another process has the file.
    InUse {
        /// The file.
        path: PathBuf,
    },
    /// The file or its folder cannot be used.
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        error: std::io::Error,
    },
    /// The file was written by a version with another layout.
    Format {
        /// The file.
        path: PathBuf,
        /// The layout's number in the file.
        found: u64,
    },
    /// The file is damaged, or not a store at all.
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        detail: String,
    },
}

impl OpenError {
    pub(crate) fn from_redb(path: PathBuf, error: redb::Error) -> Self {
        match error {
            redb::Error::DatabaseAlreadyOpen | redb::Error::LockProtocolMismatch => Self::InUse { path },
            redb::Error::Io(error) if error.kind() == ErrorKind::InvalidData => {
                Self::Damaged { path, detail: error.to_string() }
            }
            redb::Error::Io(error) if error.kind() == ErrorKind::UnexpectedEof => {
                Self::Damaged { path, detail: "it is cut short".to_owned() }
            }
            redb::Error::Io(error) => Self::Io { path, error },
            error => Self::Damaged { path, detail: error.to_string() },
        }
    }
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InUse { path } => write!(
                f,
                "another thingcore uses this data folder ({} is locked): stop it, or choose another folder",
                path.display()
            ),
            Self::Io { path, error } => write!(f, "cannot open the store {}: {error}", path.display()),
            Self::Format { path, found } => write!(
                f,
                "the store {} has layout {found} and this version reads layout {}: use the version that wrote it",
                path.display(),
                crate::layout::FORMAT
            ),
            Self::Damaged { path, detail } => write!(
                f,
                "the store {} is damaged or is not a store ({detail}): restore it from a backup",
                path.display()
            ),
        }
    }
}

impl std::error::Error for OpenError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io { error, .. } => Some(error),
            _ => None,
        }
    }
}

pub(crate) fn database_error(error: DatabaseError) -> redb::Error {
    error.into()
}

/// What failed, and what the operator can do, in one line.
pub(crate) fn reason(error: &redb::Error) -> Arc<str> {
    match error {
        redb::Error::Io(io) if matches!(io.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded) => {
            Arc::from(format!("the disk is full ({io}): free some space"))
        }
        redb::Error::Io(io) => Arc::from(format!("the disk failed ({io})")),
        redb::Error::PreviousIo | redb::Error::DatabaseClosed => {
            Arc::from("the disk failed a moment ago and the file is being reopened")
        }
        error => Arc::from(format!("the file cannot be used ({error})")),
    }
}

/// The file contradicts itself; only a defect of this program or of the disk does that.
pub(crate) fn contradiction(detail: &str) -> redb::Error {
    redb::Error::Corrupted(detail.to_owned())
}
