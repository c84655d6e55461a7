//! Which standings were made from which records.

use std::collections::BTreeMap;
use std::hash::BuildHasher as _;
use std::sync::{Arc, Weak};

use hashbrown::HashMap;
use parking_lot::Mutex;
use policy::Epoch;
use store::{Change, Key, Space};

use crate::Standing;

/// A record that was read, or a prefix that was scanned.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Record {
    /// The kind of record.
    pub space: Space,
    /// Its key, or whole parts from the beginning of it.
    pub key: Key,
}

/// The standings that read a record, by their numbers. A device's own records have one reader.
#[derive(Debug)]
enum Readers {
    One(u64, Weak<Standing>),
    Many(Box<HashMap<u64, Weak<Standing>>>),
}

impl Readers {
    fn add(&mut self, id: u64, standing: Weak<Standing>) {
        match self {
            Self::One(known, _) if *known == id => *self = Self::One(id, standing),
            Self::One(known, first) => {
                *self = Self::Many(Box::new([(*known, first.clone()), (id, standing)].into()));
            }
            Self::Many(readers) => drop(readers.insert(id, standing)),
        }
    }

    /// True if nobody is left.
    fn remove(&mut self, id: u64) -> bool {
        match self {
            Self::One(known, _) => *known == id,
            Self::Many(readers) => {
                readers.remove(&id);
                readers.is_empty()
            }
        }
    }

    fn alive(&self) -> impl Iterator<Item = (u64, Arc<Standing>)> {
        let (one, many) = match self {
            Self::One(id, standing) => (Some((id, standing)), None),
            Self::Many(readers) => (None, Some(readers.iter())),
        };
        let all = one.into_iter().chain(many.into_iter().flatten());
        all.filter_map(|(id, standing)| Some((*id, standing.upgrade()?)))
    }
}

/// Record or prefix to the standings that read it. A standing takes itself out when it is dropped.
///
/// Records are known by hashes, because every connection has some of its own: should two have the same one, a standing
/// is read again once too often.
#[derive(Debug, Default)]
pub(crate) struct Dependents {
    index: Mutex<Index>,
    hasher: foldhash::quality::RandomState,
}

#[derive(Debug, Default)]
struct Index {
    readers: HashMap<u64, Readers>,
    /// What each standing is indexed under, and the epoch of the reading that said so.
    records: HashMap<u64, (Epoch, Box<[u64]>)>,
}

impl Dependents {
    /// Notes what a standing was made from, in place of what it was made from before; an older reading changes nothing.
    pub(crate) fn index(&self, standing: &Arc<Standing>, epoch: Epoch, records: &[Record]) {
        let records: Box<[u64]> = records.iter().map(|record| self.hash(record.space, &record.key)).collect();
        let mut index = self.index.lock();
        if index.records.get(&standing.id).is_some_and(|(known, _)| *known > epoch) {
            return;
        }
        index.take_out(standing.id);
        for record in &records {
            let reader = Arc::downgrade(standing);
            match index.readers.get_mut(record) {
                Some(readers) => readers.add(standing.id, reader),
                None => drop(index.readers.insert(*record, Readers::One(standing.id, reader))),
            }
        }
        index.records.insert(standing.id, (epoch, records));
    }

    fn hash(&self, space: Space, key: &Key) -> u64 {
        self.hasher.hash_one((space, key))
    }

    /// Forgets a standing.
    pub(crate) fn forget(&self, id: u64) {
        self.index.lock().take_out(id);
    }

    /// The standings that any of the changes concerns, each once.
    pub(crate) fn concerned(&self, changes: &[Change]) -> Vec<Arc<Standing>> {
        let index = self.index.lock();
        let mut found: BTreeMap<u64, Arc<Standing>> = BTreeMap::new();
        for change in changes {
            for key in prefixes(&change.key) {
                let concerned = index.readers.get(&self.hash(change.space, &key));
                found.extend(concerned.into_iter().flat_map(Readers::alive));
            }
        }
        found.into_values().collect()
    }

    /// All standings, after a feed lost its place.
    pub(crate) fn everyone(&self) -> Vec<Arc<Standing>> {
        let index = self.index.lock();
        let mut found: BTreeMap<u64, Arc<Standing>> = BTreeMap::new();
        found.extend(index.readers.values().flat_map(Readers::alive));
        found.into_values().collect()
    }

    /// How many records and prefixes it has.
    pub(crate) fn len(&self) -> usize {
        self.index.lock().readers.len()
    }
}

impl Index {
    fn take_out(&mut self, id: u64) {
        for record in self.records.remove(&id).into_iter().flat_map(|(_, records)| records) {
            if self.readers.get_mut(&record).is_some_and(|known| known.remove(id)) {
                self.readers.remove(&record);
            }
        }
    }
}

/// The key itself and each of its prefixes of whole parts.
fn prefixes(key: &Key) -> Vec<Key> {
    let mut growing = Key::EMPTY;
    key.parts()
        .iter()
        .map(|part| {
            growing = growing.then(part);
            growing.clone()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_found_by_its_parts() {
        assert_eq!(prefixes(&Key::of(&["a", "b"])), [Key::of(&["a"]), Key::of(&["a", "b"])]);
    }
}
