//! A store in front of the store: several operations, one batch.
//!
//! What is committed here is remembered, seen by later reads, and handed on as a single batch: all of it happens or none.
//! Conditions on what was written here are judged here; all others go into the batch, so that what every operation
//! checked still holds when all of them are written. Whoever hands the batch on and loses begins again with a new one.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::ops::Bound;
use store::{
    Batch, Boxed, Check, CommitError, Entry, Feed, Key, Revision, Space, Store, StoreError, Versioned,
};

/// See the module.
pub(crate) struct Staged {
    behind: Arc<dyn Store>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    checks: Vec<Check>,
    written: HashMap<Space, BTreeMap<Key, Written>>,
    commits: u64,
}

/// What a key holds by a commit here; `None`: it is deleted.
#[derive(Clone)]
struct Written {
    value: Option<Bytes>,
    revision: Revision,
}

impl Staged {
    /// Nothing staged yet.
    pub fn new(behind: Arc<dyn Store>) -> Self {
        Self { behind, state: Mutex::default() }
    }

    /// Everything that was committed here.
    pub fn batch(&self) -> Batch {
        let state = self.state.lock();
        let mut batch = Batch::new();
        for check in &state.checks {
            batch.check(check.space, check.key.clone(), check.condition);
        }
        for (space, keys) in &state.written {
            for (key, written) in keys {
                match &written.value {
                    Some(value) => batch.put(*space, key.clone(), value.clone()),
                    None => batch.delete(*space, key.clone()),
                };
            }
        }
        batch
    }

    fn staged(&self, space: Space, key: &[u8]) -> Option<Written> {
        self.state.lock().written.get(&space)?.get(key).cloned()
    }

    /// What was written here below `prefix`, after `after`, up to and with `last` if there is one.
    fn staged_range(
        &self,
        space: Space,
        prefix: &[u8],
        after: Option<&[u8]>,
        last: Option<&Key>,
    ) -> Vec<(Key, Written)> {
        let state = self.state.lock();
        let Some(keys) = state.written.get(&space) else { return Vec::new() };
        let from = match after {
            Some(after) if after >= prefix => Bound::Excluded(after),
            _ => Bound::Included(prefix),
        };
        keys.range::<[u8], _>((from, Bound::Unbounded))
            .take_while(|(key, _)| key.as_bytes().starts_with(prefix) && last.is_none_or(|last| *key <= last))
            .map(|(key, written)| (key.clone(), written.clone()))
            .collect()
    }

    /// A page of what is behind, with what was written here in its place. Empty only at the end.
    async fn page(
        &self,
        space: Space,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<Entry>, StoreError> {
        let mut from = after.map(<[u8]>::to_vec);
        loop {
            let behind = self.behind.scan(space, prefix, from.as_deref(), limit).await?;
            let last = behind.last().map(|entry| entry.key.clone());
            let staged = self.staged_range(space, prefix, from.as_deref(), last.as_ref());
            let mut rows: BTreeMap<Key, Entry> =
                behind.into_iter().map(|entry| (entry.key.clone(), entry)).collect();
            for (key, Written { value, revision }) in staged {
                match value {
                    Some(value) => rows.insert(key.clone(), Entry { key, value, revision }),
                    None => rows.remove(&key),
                };
            }
            if let (true, Some(last)) = (rows.is_empty(), last) {
                from = Some(last.as_bytes().to_vec());
                continue;
            }
            return Ok(rows.into_values().take(limit).collect());
        }
    }

    async fn stage(&self, batch: Batch) -> Result<Revision, CommitError> {
        let sealed = batch.seal().map_err(CommitError::Store)?;
        let mut passed_on = Vec::new();
        for check in sealed.checks() {
            let staged = self.staged(check.space, check.key.as_bytes());
            let current = match &staged {
                Some(written) => written.value.as_ref().map(|_| written.revision),
                None => {
                    let found = self.behind.get(check.space, check.key.as_bytes()).await;
                    found.map_err(CommitError::Store)?.map(|found| found.revision)
                }
            };
            if !check.condition.holds(current) {
                return Err(CommitError::Conflict { space: check.space, key: check.key.clone() });
            }
            if staged.is_none() {
                passed_on.push(check.clone());
            }
        }
        let mut state = self.state.lock();
        state.commits += 1;
        // Above every revision that a store has given, and never the same twice.
        let revision = Revision(u64::MAX - u64::from(u32::MAX) + state.commits);
        state.checks.extend(passed_on);
        for write in sealed.into_writes() {
            let keys = state.written.entry(write.space).or_default();
            keys.insert(write.key, Written { value: write.value, revision });
        }
        Ok(revision)
    }
}

impl Store for Staged {
    fn get<'a>(&'a self, space: Space, key: &'a [u8]) -> Boxed<'a, Result<Option<Versioned>, StoreError>> {
        Box::pin(async move {
            match self.staged(space, key) {
                Some(Written { value, revision }) => Ok(value.map(|value| Versioned { value, revision })),
                None => self.behind.get(space, key).await,
            }
        })
    }

    fn scan<'a>(
        &'a self,
        space: Space,
        prefix: &'a [u8],
        after: Option<&'a [u8]>,
        limit: usize,
    ) -> Boxed<'a, Result<Vec<Entry>, StoreError>> {
        Box::pin(self.page(space, prefix, after, limit))
    }

    fn commit(&self, batch: Batch) -> Boxed<'_, Result<Revision, CommitError>> {
        Box::pin(self.stage(batch))
    }

    fn revision(&self) -> Boxed<'_, Result<Revision, StoreError>> {
        self.behind.revision()
    }

    fn feed(&self, after: Revision) -> Box<dyn Feed> {
        self.behind.feed(after)
    }
}

#[cfg(test)]
mod tests {
    use store::memory::MemoryStore;
    use store::{Condition, block_on};

    use super::*;

    const SPACE: Space = Space::new("things");

    fn key(text: &str) -> Key {
        Key::of(&[text])
    }

    fn put(store: &dyn Store, names: &[&str]) {
        let mut batch = Batch::new();
        for name in names {
            batch.put(SPACE, key(name), Bytes::from_static(b"1"));
        }
        block_on(store.commit(batch)).unwrap();
    }

    fn names(store: &dyn Store, limit: usize) -> Vec<String> {
        let (mut names, mut after) = (Vec::new(), None::<Key>);
        loop {
            let page = store.scan(SPACE, b"", after.as_ref().map(Key::as_bytes), limit);
            let page = block_on(page).unwrap();
            let Some(last) = page.last() else { return names };
            assert!(page.len() <= limit);
            after = Some(last.key.clone());
            names.extend(page.iter().flat_map(|entry| entry.key.parts()));
        }
    }

    #[test]
    fn reads_see_what_is_staged_and_the_store_does_not() {
        let behind = MemoryStore::new();
        put(&behind, &["a", "c", "e"]);
        let staged = Staged::new(Arc::new(behind.clone()));
        put(&staged, &["b", "f"]);
        let mut batch = Batch::new();
        batch.delete(SPACE, key("a")).delete(SPACE, key("c"));
        block_on(staged.commit(batch)).unwrap();
        for limit in [1, 2, 100] {
            assert_eq!(names(&staged, limit), ["b", "e", "f"], "pages of {limit}");
        }
        assert_eq!(names(&behind, 10), ["a", "c", "e"]);
        block_on(behind.commit(staged.batch())).unwrap();
        assert_eq!(names(&behind, 10), ["b", "e", "f"]);
    }

    #[test]
    fn conditions_hold_here_or_go_on() {
        let behind = MemoryStore::new();
        put(&behind, &["a"]);
        let staged = Staged::new(Arc::new(behind.clone()));
        let check = |name: &str, condition| {
            let mut batch = Batch::new();
            batch.check(SPACE, key(name), condition).put(SPACE, key("x"), Bytes::new());
            block_on(staged.commit(batch))
        };
        assert!(check("n", Condition::Exists).is_err());
        check("n", Condition::Absent).unwrap();
        put(&staged, &["n"]);
        check("n", Condition::Exists).unwrap();
        let first = block_on(staged.get(SPACE, key("n").as_bytes())).unwrap().unwrap().revision;
        put(&staged, &["n"]);
        assert!(check("n", Condition::Revision(first)).is_err(), "it was written again");
        // Somebody else makes it, before the batch goes on.
        put(&behind, &["n"]);
        assert!(matches!(block_on(behind.commit(staged.batch())), Err(CommitError::Conflict { .. })));
    }
}
