//! The file under redb: how it is opened, and a backend that counts and remembers what the disk said.

use std::fs::{File, OpenOptions};
use std::io;
use std::ops::Bound;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use redb::backends::FileBackend;
use redb::{BackendError, StorageBackend};

use crate::error::contradiction;

/// What the disk was asked to do so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Activity {
    /// Times that the disk was asked to make everything durable.
    pub syncs: u64,
    /// Bytes written.
    pub bytes_written: u64,
    /// Groups committed.
    pub groups: u64,
    /// Writes (batches, appends, trims) in those groups.
    pub writes: u64,
    /// Microseconds that those groups took, from the first write to the disk's confirmation.
    pub commit_microseconds: u64,
}

#[derive(Debug, Default)]
pub(crate) struct Watch {
    syncs: AtomicU64,
    bytes_written: AtomicU64,
    pub(crate) groups: AtomicU64,
    pub(crate) writes: AtomicU64,
    pub(crate) commit_microseconds: AtomicU64,
    sync_failed: AtomicBool,
}

impl Watch {
    /// Whether the disk ever refused to confirm. What it holds then is unknown until it is read afresh after a
    /// restart of the machine: the system may forget which pages it failed to write.
    pub(crate) fn sync_failed(&self) -> bool {
        self.sync_failed.load(Ordering::Acquire)
    }

    pub(crate) fn activity(&self) -> Activity {
        Activity {
            syncs: self.syncs.load(Ordering::Relaxed),
            bytes_written: self.bytes_written.load(Ordering::Relaxed),
            groups: self.groups.load(Ordering::Relaxed),
            writes: self.writes.load(Ordering::Relaxed),
            commit_microseconds: self.commit_microseconds.load(Ordering::Relaxed),
        }
    }
}

/// Passes everything on and keeps a [`Watch`].
#[derive(Debug)]
pub(crate) struct Watched<B> {
    inner: B,
    watch: Arc<Watch>,
}

impl<B> Watched<B> {
    pub(crate) fn new(inner: B, watch: Arc<Watch>) -> Self {
        Self { inner, watch }
    }
}

impl<B: StorageBackend> StorageBackend for Watched<B> {
    fn len(&self) -> io::Result<u64> {
        self.inner.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.inner.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.inner.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.watch.syncs.fetch_add(1, Ordering::Relaxed);
        self.inner.sync_data().inspect_err(|_| self.watch.sync_failed.store(true, Ordering::Release))
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.watch.bytes_written.fetch_add(data.len() as u64, Ordering::Relaxed);
        self.inner.write(offset, data)
    }

    fn close(&self) -> io::Result<()> {
        self.inner.close()
    }

    fn try_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.inner.try_lock_range(start, end)
    }

    fn try_lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.inner.try_lock_shared_range(start, end)
    }

    fn lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.inner.lock_range(start, end)
    }

    fn lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.inner.lock_shared_range(start, end)
    }

    fn unlock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.inner.unlock_range(start, end)
    }

    fn query_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.inner.query_lock_range(start, end)
    }
}

/// Opens the file, or makes an empty one, readable by its owner only: it holds names, policies and messages.
pub(crate) fn open(path: &Path) -> io::Result<FileBackend> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    owner_only(&mut options);
    let file = options.open(path)?;
    restrict(&file)?;
    FileBackend::new(file).map_err(io::Error::other)
}

/// Makes the store, unless it is there: prepared under another name first, so that a first start that is cut short
/// leaves no half-made file under the real one.
pub(crate) fn create(
    path: &Path,
    prepare: impl Fn(&Path) -> Result<(), redb::Error>,
) -> Result<(), redb::Error> {
    if path.exists() {
        return Ok(());
    }
    let draft = path.with_extension("new");
    match prepare(&draft) {
        Err(redb::Error::Io(error)) if error.kind() == io::ErrorKind::InvalidData => {
            std::fs::remove_file(&draft)?;
            prepare(&draft)?;
        }
        prepared => prepared?,
    }
    Ok(publish(&draft, path)?)
}

/// A store is never empty: the engine would take the rest of a file that was cut off for a new one, and fill it.
pub(crate) fn refuse_empty(path: &Path) -> Result<(), redb::Error> {
    match std::fs::metadata(path)?.len() {
        0 => Err(contradiction("it is empty")),
        _ => Ok(()),
    }
}

/// Gives the draft its real name, durably, and never in the place of another file.
fn publish(draft: &Path, path: &Path) -> io::Result<()> {
    match std::fs::hard_link(draft, path) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(_) => return std::fs::rename(draft, path).and_then(|()| sync_folder(path)),
    }
    match std::fs::remove_file(draft) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => sync_folder(path),
    }
}

#[cfg(unix)]
fn owner_only(options: &mut OpenOptions) {
    use std::os::unix::fs::OpenOptionsExt;
    options.mode(0o600);
}

#[cfg(not(unix))]
fn owner_only(_options: &mut OpenOptions) {}

#[cfg(unix)]
fn restrict(file: &File) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    file.set_permissions(std::fs::Permissions::from_mode(0o600))
}

#[cfg(not(unix))]
fn restrict(_file: &File) -> io::Result<()> {
    Ok(())
}

/// Makes the new file's name durable; otherwise a power cut could take the whole file with it.
fn sync_folder(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if cfg!(unix) { File::open(folder)?.sync_all() } else { Ok(()) }
}
