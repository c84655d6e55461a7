//! [`RedbStore`]: opening, closing, and the two ports over the parts of this crate.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};

use parking_lot::Mutex;
use redb::{Database, ReadTransaction, StorageBackend};
use store::recent::{Follower, Recent};
use store::{
    Append, Batch, Boxed, CommitError, Entry, Feed, Journal, Key, Position, Record, Revision, Space, Store,
    StoreError, Versioned,
};

use crate::answer::{self, Answer};
use crate::backlog::Backlog;
use crate::copy::Copy;
use crate::disk::{self, Activity, Watch, Watched};
use crate::error::{OpenError, database_error, reason};
use crate::layout::{self, Marks};
use crate::options::Options;
use crate::slot::Slot;
use crate::verify::{self, Left};
use crate::writer::{Job, Reopen, Shared, Writer};
use crate::{queues, records};

/// Records and queues in one file, for one process.
///
/// Writes are answered when the disk confirmed them; waiting for that costs no thread. Reads run on the caller's
/// thread, on a snapshot of what is durable; they are short (a point or a page) but read the file when it is not
/// cached, so a task that reads a lot should not be one that serves devices.
///
/// Dropping it closes it and waits for the writes in flight.
pub struct RedbStore {
    shared: Arc<Shared>,
    writer: Mutex<Option<JoinHandle<()>>>,
    left: Left,
}

impl RedbStore {
    /// Opens the file, or creates it, readable by its owner only. A file that was not closed cleanly is checked
    /// first, which takes time in proportion to its size.
    ///
    /// # Errors
    /// [`OpenError`]: in use by another process, unusable, of another layout, damaged.
    pub fn open(path: &Path, options: Options) -> Result<Self, OpenError> {
        disk::create(path, |draft| make(draft, &options))
            .map_err(|error| OpenError::from_redb(path.to_owned(), error))?;
        disk::refuse_empty(path).map_err(|error| OpenError::from_redb(path.to_owned(), error))?;
        let file = path.to_owned();
        Self::start(path.to_owned(), move || disk::open(&file), options)
    }

    /// Opens a store on storage of the caller's making: `connect` is called now, and again after a failed write.
    /// For tests that make the storage fail.
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn with_backend<B: StorageBackend>(
        connect: impl Fn() -> io::Result<B> + Send + 'static,
        options: Options,
    ) -> Result<Self, OpenError> {
        Self::start(PathBuf::from("(storage of the caller)"), connect, options)
    }

    fn start<B: StorageBackend>(
        path: PathBuf,
        connect: impl Fn() -> io::Result<B> + Send + 'static,
        options: Options,
    ) -> Result<Self, OpenError> {
        let watch = Arc::new(Watch::default());
        let open = opener(connect, Arc::clone(&watch), &options);
        let Opened { database, left, format, marks } =
            prepare(&open, &options).map_err(|error| OpenError::from_redb(path.clone(), error))?;
        if format != layout::FORMAT {
            return Err(OpenError::Format { path, found: format });
        }
        let shared = Arc::new(Shared {
            backlog: Backlog::new(options.backlog, options.backlog_bytes),
            slot: Slot::new(database),
            recent: Mutex::new(Recent::new(options.feed, marks.revision)),
            refused: Mutex::default(),
            watch,
        });
        let writer = Writer::new(Arc::clone(&shared), options, open, marks);
        let thread = thread::Builder::new().name("store-writer".to_owned());
        let thread = thread.spawn(move || writer.run()).map_err(|error| OpenError::Io { path, error })?;
        Ok(Self { shared, writer: Mutex::new(Some(thread)), left })
    }

    /// Finishes what is waiting, flushes and closes the file. Blocks until that is done; later operations fail as
    /// unavailable and feeds end. Closing twice is no fault.
    pub fn close(&self) {
        self.shared.backlog.close();
        let writer = self.writer.lock().take();
        if let Some(writer) = writer {
            // A writer that panicked has left its word in the slot.
            let _ = writer.join();
        }
    }

    /// How the file had been left when it was opened.
    #[must_use]
    pub fn left(&self) -> Left {
        self.left
    }

    /// Everything in the store as it is durable now, to be read in the caller's time. Space that is freed meanwhile
    /// is not used again before the copy is dropped, so the file grows: read it, and let go.
    ///
    /// # Errors
    /// When nothing can be read now.
    pub fn copy(&self) -> Result<Copy, StoreError> {
        Ok(Copy::of(self.shared.slot.snapshot()?))
    }

    /// What the disk was asked to do so far.
    #[must_use]
    pub fn activity(&self) -> Activity {
        self.shared.watch.activity()
    }

    /// Writes that wait for the writer now.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.shared.backlog.len()
    }

    /// Why the store refuses reads or refused the last write, if so: for a health check. Never waits for the disk.
    #[must_use]
    pub fn problem(&self) -> Option<String> {
        let down = self.shared.slot.down().map(StoreError::unavailable);
        down.or_else(|| self.shared.refused.lock().clone()).map(|error| error.to_string())
    }

    async fn look<T>(
        &self,
        look: impl FnOnce(&ReadTransaction) -> Result<T, redb::Error>,
    ) -> Result<T, StoreError> {
        let snapshot = self.snapshot().await?;
        look(&snapshot).map_err(|error| StoreError::unavailable(reason(&error)))
    }

    async fn snapshot(&self) -> Result<ReadTransaction, StoreError> {
        if let Ok(snapshot) = self.shared.slot.snapshot() {
            return Ok(snapshot);
        }
        self.open_again().await?;
        self.shared.slot.snapshot()
    }

    /// Of a store that is down the writer is asked whether the file can be opened again. Otherwise whoever reads
    /// before it writes would be refused for ever.
    async fn open_again(&self) -> Result<(), StoreError> {
        self.submit(0, |answer| Job::Append(Vec::new(), answer)).await.map(drop)
    }

    async fn submit<T, E: From<StoreError>>(
        &self,
        bytes: usize,
        job: impl FnOnce(Answer<Result<T, E>>) -> Job,
    ) -> Result<T, E> {
        let (answer, awaited) = answer::pair();
        self.shared.backlog.push(job(answer), bytes).await;
        awaited.await.unwrap_or_else(|| Err(self.gone().into()))
    }

    /// Why the writer went away without an answer.
    fn gone(&self) -> StoreError {
        StoreError::unavailable(
            self.shared.slot.down().unwrap_or_else(|| Arc::from("its writer went away; restart")),
        )
    }
}

impl Drop for RedbStore {
    fn drop(&mut self) {
        self.close();
    }
}

fn opener<B: StorageBackend>(
    connect: impl Fn() -> io::Result<B> + Send + 'static,
    watch: Arc<Watch>,
    options: &Options,
) -> Reopen {
    let cache = options.cache_bytes;
    let verify = AtomicBool::new(options.verify);
    Box::new(move || {
        let backend = Watched::new(connect()?, Arc::clone(&watch));
        let verify = verify.swap(false, Ordering::Relaxed);
        verify::open(backend, verify, cache)
    })
}

/// A new file with the tables in it.
fn make(path: &Path, options: &Options) -> Result<(), redb::Error> {
    let path = path.to_owned();
    let open = opener(move || disk::open(&path), Arc::default(), options);
    prepare(&open, options)?.database.close().map_err(database_error)
}

/// A file that can be used.
struct Opened {
    database: Database,
    left: Left,
    format: u64,
    marks: Marks,
}

fn prepare(open: &Reopen, options: &Options) -> Result<Opened, redb::Error> {
    let (mut database, left) = open()?;
    if options.compact {
        database.compact()?;
    }
    let format = layout::prepare(&database)?;
    let marks = Marks::of(&database)?;
    Ok(Opened { database, left, format, marks })
}

impl Store for RedbStore {
    fn get<'a>(&'a self, space: Space, key: &'a [u8]) -> Boxed<'a, Result<Option<Versioned>, StoreError>> {
        Box::pin(async move { self.look(|snapshot| records::get(snapshot, space, key)).await })
    }

    fn scan<'a>(
        &'a self,
        space: Space,
        prefix: &'a [u8],
        after: Option<&'a [u8]>,
        limit: usize,
    ) -> Boxed<'a, Result<Vec<Entry>, StoreError>> {
        Box::pin(
            async move { self.look(|snapshot| records::page(snapshot, space, prefix, after, limit)).await },
        )
    }

    fn commit(&self, batch: Batch) -> Boxed<'_, Result<Revision, CommitError>> {
        Box::pin(async move {
            let batch = batch.seal()?;
            self.submit(batch.bytes(), |answer| Job::Commit(batch, answer)).await
        })
    }

    fn revision(&self) -> Boxed<'_, Result<Revision, StoreError>> {
        Box::pin(async move {
            if self.shared.slot.down().is_some() {
                self.open_again().await?;
            }
            Ok(self.shared.recent.lock().latest())
        })
    }

    fn feed(&self, after: Revision) -> Box<dyn Feed> {
        Box::new(Follower::new(Arc::clone(&self.shared), after))
    }
}

impl Journal for RedbStore {
    fn append(&self, appends: Vec<Append>) -> Boxed<'_, Result<Position, StoreError>> {
        Box::pin(async move {
            Append::admit(&appends)?;
            let bytes = appends.iter().map(Append::bytes).sum();
            self.submit(bytes, |answer| Job::Append(appends, answer)).await
        })
    }

    fn read<'a>(
        &'a self,
        session: &'a Key,
        after: Position,
        limit: usize,
    ) -> Boxed<'a, Result<Vec<Record>, StoreError>> {
        Box::pin(async move { self.look(|snapshot| queues::page(snapshot, session, after, limit)).await })
    }

    fn queues<'a>(&'a self, after: Option<&'a Key>, limit: usize) -> Boxed<'a, Result<Vec<Key>, StoreError>> {
        Box::pin(async move { self.look(|snapshot| queues::names(snapshot, after, limit)).await })
    }

    fn trim<'a>(&'a self, session: &'a Key, upto: Position) -> Boxed<'a, Result<(), StoreError>> {
        Box::pin(async move {
            while self.submit(session.len(), |answer| Job::Trim(session.clone(), upto, answer)).await? {}
            Ok(())
        })
    }
}
