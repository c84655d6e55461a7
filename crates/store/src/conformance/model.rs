//! A naive model of a store, and a run of random steps against both.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::{OTHER, SPACE, done};
use crate::{Batch, Change, CommitError, Condition, Key, Revision, Space, Store, block_on};

/// What a random batch does to one key.
#[derive(Debug, Clone)]
pub enum Deed {
    /// Writes.
    Put(Vec<u8>),
    /// Deletes.
    Delete,
    /// Only demands that the record is there (true) or not.
    Demand(bool),
    /// Writes if the revision is the current one (true) or one that never was.
    PutIf(bool, Vec<u8>),
    /// Deletes if the revision is the current one (true) or one that never was.
    DeleteIf(bool),
}

/// A random step.
#[derive(Debug, Clone)]
pub enum Step {
    /// Commits deeds on keys of two spaces (true: the first).
    Commit(Vec<(bool, Vec<u8>, Deed)>),
    /// Scans with prefix, start and limit.
    Scan(bool, Vec<u8>, Option<Vec<u8>>, usize),
}

/// The obvious store.
#[derive(Default)]
struct Model {
    records: BTreeMap<(Space, Key), Bytes>,
}

const NEVER: Revision = Revision(u64::MAX);

fn space(first: bool) -> Space {
    if first { SPACE } else { OTHER }
}

/// Runs the steps on an empty store and on the model and compares every answer, then replays the feed.
///
/// # Panics
/// When they differ.
pub fn run(store: &dyn Store, steps: &[Step]) {
    let mut model = Model::default();
    let start = done(store.revision());
    let mut feed = store.feed(start);
    for step in steps {
        match step {
            Step::Commit(deeds) => model.commit(store, deeds),
            Step::Scan(first, prefix, after, limit) => {
                model.scan(store, space(*first), prefix, after.as_deref(), *limit);
            }
        }
    }
    let end = done(store.revision());
    let mut replayed = Model::default();
    let mut at = start;
    while at < end {
        for change in block_on(feed.next()).unwrap() {
            at = change.revision;
            replayed.apply(change);
        }
    }
    assert_eq!(replayed.records, model.records, "the feed tells another story");
}

impl Model {
    fn apply(&mut self, change: Change) {
        self.write(change.space, change.key, change.value);
    }

    fn write(&mut self, space: Space, key: Key, value: Option<Bytes>) {
        match value {
            Some(value) => drop(self.records.insert((space, key), value)),
            None => drop(self.records.remove(&(space, key))),
        }
    }

    fn commit(&mut self, store: &dyn Store, deeds: &[(bool, Vec<u8>, Deed)]) {
        let mut batch = Batch::new();
        let mut expected = None;
        let mut writes = Vec::new();
        for (first, key, deed) in deeds {
            let (space, key) = (space(*first), Key::from(Bytes::copy_from_slice(key)));
            if !self.holds(space, &key, deed) {
                expected.get_or_insert(CommitError::Conflict { space, key: key.clone() });
            }
            let now = done(store.get(space, key.as_bytes())).map_or(NEVER, |found| found.revision);
            writes.extend(add(&mut batch, space, key, deed, now));
        }
        let committed = block_on(store.commit(batch));
        match expected {
            Some(conflict) => assert_eq!(committed, Err(conflict)),
            None => {
                committed.unwrap();
                writes.into_iter().for_each(|(space, key, value)| self.write(space, key, value));
            }
        }
    }

    fn holds(&self, space: Space, key: &Key, deed: &Deed) -> bool {
        let there = self.records.contains_key(&(space, key.clone()));
        match deed {
            Deed::Put(_) | Deed::Delete => true,
            Deed::Demand(expected) => there == *expected,
            Deed::PutIf(current, _) | Deed::DeleteIf(current) => there && *current,
        }
    }

    fn scan(&self, store: &dyn Store, space: Space, prefix: &[u8], after: Option<&[u8]>, limit: usize) {
        let wanted = self.records.iter().filter(|((of, key), _)| {
            *of == space
                && key.as_bytes().starts_with(prefix)
                && after.is_none_or(|after| key.as_bytes() > after)
        });
        let wanted: Vec<_> =
            wanted.take(limit).map(|((_, key), value)| (key.clone(), value.clone())).collect();
        let page = done(store.scan(space, prefix, after, limit));
        let got: Vec<_> = page.into_iter().map(|entry| (entry.key, entry.value)).collect();
        assert_eq!(got, wanted);
    }
}

/// Adds the deed to the batch; answers what it will have written.
fn add(
    batch: &mut Batch,
    space: Space,
    key: Key,
    deed: &Deed,
    now: Revision,
) -> Option<(Space, Key, Option<Bytes>)> {
    let token = |current: bool| if current { now } else { NEVER };
    let value = match deed {
        Deed::Put(value) | Deed::PutIf(_, value) => Some(Bytes::copy_from_slice(value)),
        Deed::Delete | Deed::DeleteIf(_) | Deed::Demand(_) => None,
    };
    match deed {
        Deed::Put(_) => {
            batch.put(space, key.clone(), value.clone().unwrap());
        }
        Deed::Delete => {
            batch.delete(space, key.clone());
        }
        Deed::PutIf(current, _) => {
            batch.put_if(space, key.clone(), token(*current), value.clone().unwrap());
        }
        Deed::DeleteIf(current) => {
            batch.delete_if(space, key.clone(), token(*current));
        }
        Deed::Demand(there) => {
            let condition = if *there { Condition::Exists } else { Condition::Absent };
            batch.check(space, key, condition);
            return None;
        }
    }
    Some((space, key, value))
}
