//! The data folder: all that survives the process, made at the first start, reused at every later one.
//!
//! Invariants: the folder is 0700 and every file that this module writes 0600; one server at a time.

mod account;
mod api_key;
mod certificates;
mod complete;
mod session_key;

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use account::Account;
pub use certificates::{ServerCertificate, ServerSource};
pub use complete::{COMPLETE_FILE, problems_of};
pub use ready::{Lock, write_secret};

use ready::RUNTIME_FILE;

use crate::config::{AccessKey, Settings};

/// The embedded store.
pub const STORE_FILE: &str = "store.redb";
/// The counters of the bill.
pub const BILL_FILE: &str = "bill.jsonl";

/// An open, locked data folder and what was found or made in it.
pub struct DataDir {
    path: PathBuf,
    /// Whom the broker plays.
    pub account: Account,
    /// The generated key pair.
    pub api_key: AccessKey,
    /// What session tokens are made with.
    pub session_key: access::SessionKey,
    /// The private CA.
    pub authority: Arc<pki::CertificateAuthority>,
    /// What the TLS ports show.
    pub server: ServerCertificate,
    /// Where that comes from.
    pub server_source: ServerSource,
    first_start: bool,
    /// Keeps other servers out; to be held until the store is closed.
    pub lock: Lock,
}

/// The data folder cannot be used.
#[derive(Debug)]
pub struct DataDirProblem(String);

impl fmt::Display for DataDirProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for DataDirProblem {}

impl DataDirProblem {
    fn io(path: &Path, doing: &str, error: &io::Error) -> Self {
        Self(format!("{}: cannot {doing}: {error}", path.display()))
    }

    fn damaged(path: &Path, what: impl fmt::Display) -> Self {
        Self(format!(
            "{}: {what}; restore it from a backup, or start with another --data-dir",
            path.display()
        ))
    }
}

impl DataDir {
    /// Opens the folder of `settings`, making what is missing.
    pub fn open(settings: &Settings) -> Result<Self, DataDirProblem> {
        let path = settings.data_dir.clone();
        make_folder(&path)?;
        let lock = Lock::take(&path).map_err(|problem| DataDirProblem(problem.to_string()))?;
        complete::refuse_incomplete(&path)?;
        let first_start = !path.join(account::FILE).exists();
        let account = Account::open(&path, settings)?;
        let api_key = api_key::open(&path)?;
        let session_key = session_key::open(&path)?;
        let authority = Arc::new(certificates::open_authority(&path)?);
        let names = certificates::wanted_names(settings, &account);
        let server_source = match &settings.own_certificate {
            Some((chain, key)) => ServerSource::Own { chain: chain.clone(), key: key.clone() },
            None => ServerSource::Issued { folder: path.clone(), authority: Arc::clone(&authority), names },
        };
        let server = server_source.read()?;
        Ok(Self { path, account, api_key, session_key, authority, server, server_source, first_start, lock })
    }

    /// The embedded store's file.
    pub fn store_file(&self) -> PathBuf {
        self.path.join(STORE_FILE)
    }

    /// The counters of the bill.
    pub fn bill_file(&self) -> PathBuf {
        self.path.join(BILL_FILE)
    }

    /// The private CA's certificate: what devices must trust.
    pub fn ca_file(&self) -> PathBuf {
        absolute(&self.path.join(certificates::CA_CERTIFICATE))
    }

    /// The folder, without what is in it.
    pub fn place(&self) -> Place {
        Place { folder: self.path.clone(), first_start: self.first_start }
    }
}

/// Which folder a server runs on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The data folder.
    pub folder: PathBuf,
    /// True if this start made its content.
    pub first_start: bool,
}

impl Place {
    /// Notes that everything in the folder was made: what is missing later is damage, and is not made anew.
    pub fn mark_complete(&self) -> Result<(), DataDirProblem> {
        complete::mark(&self.folder)
    }

    /// Where a running server is announced to commands on this machine.
    pub fn runtime_file(&self) -> PathBuf {
        self.folder.join(RUNTIME_FILE)
    }
}

fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

/// Makes the folder, durably, or makes one that is there private.
fn make_folder(path: &Path) -> Result<(), DataDirProblem> {
    let missing: Vec<&Path> = path.ancestors().take_while(|folder| !is_there(folder)).collect();
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    let failed = |error| DataDirProblem::io(path, "make the data folder", &error);
    builder.create(path).map_err(failed)?;
    // A power cut must not take the folder with all that was acknowledged in it.
    missing.into_iter().try_for_each(ready::sync_folder).map_err(failed)?;
    make_private(path)
}

fn is_there(folder: &Path) -> bool {
    folder.as_os_str().is_empty() || folder.exists()
}

/// Whoever can write to the folder can put another key in the place of ours, whatever the mode of that file.
#[cfg(unix)]
fn make_private(path: &Path) -> Result<(), DataDirProblem> {
    use std::os::unix::fs::PermissionsExt;
    const OTHERS: u32 = 0o077;
    let failed = |error| DataDirProblem::io(path, "look at it", &error);
    let mut permissions = fs::metadata(path).map_err(failed)?.permissions();
    if permissions.mode() & OTHERS == 0 {
        return Ok(());
    }
    permissions.set_mode(0o700);
    fs::set_permissions(path, permissions).map_err(|error| {
        DataDirProblem(format!(
            "{}: others can read this folder, and it cannot be made private ({error}): it will hold private keys. \
             Choose a folder inside it as --data-dir, or run as its owner",
            path.display()
        ))
    })
}

#[cfg(not(unix))]
fn make_private(_path: &Path) -> Result<(), DataDirProblem> {
    Ok(())
}

/// Reads a file that may not be there yet.
fn read_optional(path: &Path) -> Result<Option<String>, DataDirProblem> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(DataDirProblem::io(path, "read it", &error)),
    }
}

fn write(path: &Path, content: &str) -> Result<(), DataDirProblem> {
    write_secret(path, content.as_bytes()).map_err(|error| DataDirProblem::io(path, "write it", &error))
}

#[cfg(test)]
mod tests;
