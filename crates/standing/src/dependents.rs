//! Which standings were made from which records.

use std::collections::BTreeMap;
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

type Readers = HashMap<u64, Weak<Standing>>;

/// Record or prefix to the standings that read it. A standing takes itself out when it is dropped.
#[derive(Debug, Default)]
pub(crate) struct Dependents {
    index: Mutex<Index>,
}

#[derive(Debug, Default)]
struct Index {
    readers: HashMap<Record, Readers, foldhash::quality::RandomState>,
    /// What each standing is indexed under, and the epoch of the reading that said so.
    records: HashMap<u64, (Epoch, Vec<Record>)>,
}

impl Dependents {
    /// Notes what a standing was made from, in place of what it was made from before; an older reading changes nothing.
    pub(crate) fn index(&self, standing: &Arc<Standing>, epoch: Epoch, records: Vec<Record>) {
        let mut index = self.index.lock();
        if index.records.get(&standing.id).is_some_and(|(known, _)| *known > epoch) {
            return;
        }
        index.take_out(standing.id);
        for record in &records {
            index.readers.entry(record.clone()).or_default().insert(standing.id, Arc::downgrade(standing));
        }
        index.records.insert(standing.id, (epoch, records));
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
                let Some(concerned) = index.readers.get(&Record { space: change.space, key }) else {
                    continue;
                };
                let alive = concerned.iter().filter_map(|(id, standing)| Some((*id, standing.upgrade()?)));
                found.extend(alive);
            }
        }
        found.into_values().collect()
    }

    /// All standings, after a feed lost its place.
    pub(crate) fn everyone(&self) -> Vec<Arc<Standing>> {
        let index = self.index.lock();
        let mut found: BTreeMap<u64, Arc<Standing>> = BTreeMap::new();
        for concerned in index.readers.values() {
            found.extend(concerned.iter().filter_map(|(id, standing)| Some((*id, standing.upgrade()?))));
        }
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
            if let Some(known) = self.readers.get_mut(&record) {
                known.remove(&id);
                if known.is_empty() {
                    self.readers.remove(&record);
                }
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
