//! Records in ordered maps behind one lock.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::port::page_takes_more;
use crate::recent::{Follower, Memory, Recent, Remembers};
use crate::{
    Batch, Boxed, Change, CommitError, Entry, Feed, Key, Revision, Sealed, Space, Store, StoreError,
    Versioned, Write,
};

/// A [`Store`] in memory. Cheap to clone; clones share the records.
#[derive(Clone)]
pub struct MemoryStore {
    shared: Arc<Shared>,
}

struct Shared {
    state: Mutex<State>,
    capacity: usize,
}

struct State {
    spaces: BTreeMap<Space, BTreeMap<Key, Versioned>>,
    bytes: usize,
    recent: Recent,
    down: Option<Arc<str>>,
}

impl MemoryStore {
    /// The bytes of keys and values that [`MemoryStore::new`] has room for.
    pub const DEFAULT_CAPACITY: usize = 1 << 30;

    /// An empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::with_limits(Self::DEFAULT_CAPACITY, Memory::default())
    }

    /// An empty store with room for `capacity` bytes of keys and values and a feed that remembers `memory`.
    #[must_use]
    pub fn with_limits(capacity: usize, memory: Memory) -> Self {
        let recent = Recent::new(memory, Revision::ZERO);
        let state = State { spaces: BTreeMap::new(), bytes: 0, recent, down: None };
        Self { shared: Arc::new(Shared { state: Mutex::new(state), capacity }) }
    }

    /// From now on every operation fails with this reason, until [`MemoryStore::recover`]: to test what callers do.
    pub fn fail(&self, reason: &str) {
        self.shared.state.lock().down = Some(Arc::from(reason));
    }

    /// Ends what [`MemoryStore::fail`] began. The records are still there.
    pub fn recover(&self) {
        self.shared.state.lock().down = None;
    }

    /// Ends the store: operations fail, feeds end.
    pub fn close(&self) {
        let waiting = {
            let mut state = self.shared.state.lock();
            state.down = Some(Arc::from("it is closed"));
            state.recent.close()
        };
        waiting.into_iter().for_each(std::task::Waker::wake);
    }

    fn read<T>(&self, look: impl FnOnce(&State) -> T) -> Result<T, StoreError> {
        let state = self.shared.state.lock();
        state.available()?;
        Ok(look(&state))
    }

    fn commit_now(&self, batch: Batch) -> Result<Revision, CommitError> {
        let sealed = batch.seal()?;
        let (revision, waiting) = {
            let mut state = self.shared.state.lock();
            state.available()?;
            state.holds(&sealed)?;
            state.apply(sealed, self.shared.capacity)?
        };
        waiting.into_iter().for_each(std::task::Waker::wake);
        Ok(revision)
    }
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new()
    }
}

impl State {
    fn available(&self) -> Result<(), StoreError> {
        self.down.clone().map_or(Ok(()), |reason| Err(StoreError::Unavailable { reason }))
    }

    fn find(&self, space: Space, key: &[u8]) -> Option<&Versioned> {
        self.spaces.get(&space)?.get(key)
    }

    fn holds(&self, batch: &Sealed) -> Result<(), CommitError> {
        for check in batch.checks() {
            let current = self.find(check.space, check.key.as_bytes()).map(|found| found.revision);
            if !check.condition.holds(current) {
                return Err(CommitError::Conflict { space: check.space, key: check.key.clone() });
            }
        }
        Ok(())
    }

    fn apply(
        &mut self,
        batch: Sealed,
        capacity: usize,
    ) -> Result<(Revision, Vec<std::task::Waker>), StoreError> {
        if batch.writes().is_empty() {
            return Ok((self.recent.latest(), Vec::new()));
        }
        if self.bytes + batch.bytes() > capacity {
            return Err(StoreError::unavailable(format!("the in-memory store is full ({capacity} bytes)")));
        }
        let revision = Revision(self.recent.latest().0 + 1);
        let writes = batch.into_writes();
        let changes = writes.into_iter().map(|write| self.write(revision, write)).collect();
        Ok((revision, self.recent.publish(revision, changes)))
    }

    fn write(&mut self, revision: Revision, write: Write) -> Change {
        let Write { space, key, value } = write;
        let records = self.spaces.entry(space).or_default();
        let before = match value.clone() {
            Some(value) => {
                self.bytes += key.len() + value.len();
                records.insert(key.clone(), Versioned { revision, value })
            }
            None => records.remove(&key),
        };
        self.bytes -= before.map_or(0, |before| key.len() + before.value.len());
        Change { revision, space, key, value }
    }

    fn page(&self, space: Space, prefix: &[u8], after: Option<&[u8]>, limit: usize) -> Vec<Entry> {
        let start = match after {
            Some(after) if after >= prefix => Bound::Excluded(after),
            _ => Bound::Included(prefix),
        };
        let mut page = Vec::new();
        let mut bytes = 0;
        let rows = self
            .spaces
            .get(&space)
            .into_iter()
            .flat_map(|records| records.range::<[u8], _>((start, Bound::Unbounded)));
        for (key, found) in rows.take_while(|(key, _)| key.as_bytes().starts_with(prefix)) {
            if !page_takes_more(limit, page.len(), bytes) {
                break;
            }
            bytes += found.value.len();
            let Versioned { revision, value } = found.clone();
            page.push(Entry { key: key.clone(), revision, value });
        }
        page
    }
}

impl Remembers for Shared {
    fn with_recent<R>(&self, look: impl FnOnce(&mut Recent) -> R) -> R {
        look(&mut self.state.lock().recent)
    }
}

impl Store for MemoryStore {
    fn get<'a>(&'a self, space: Space, key: &'a [u8]) -> Boxed<'a, Result<Option<Versioned>, StoreError>> {
        Box::pin(async move { self.read(|state| state.find(space, key).cloned()) })
    }

    fn scan<'a>(
        &'a self,
        space: Space,
        prefix: &'a [u8],
        after: Option<&'a [u8]>,
        limit: usize,
    ) -> Boxed<'a, Result<Vec<Entry>, StoreError>> {
        Box::pin(async move { self.read(|state| state.page(space, prefix, after, limit)) })
    }

    fn commit(&self, batch: Batch) -> Boxed<'_, Result<Revision, CommitError>> {
        Box::pin(async move { self.commit_now(batch) })
    }

    fn revision(&self) -> Boxed<'_, Result<Revision, StoreError>> {
        Box::pin(async move { self.read(|state| state.recent.latest()) })
    }

    fn feed(&self, after: Revision) -> Box<dyn Feed> {
        Box::new(Follower::new(Arc::clone(&self.shared), after))
    }
}
