//! Which standings were made from which records.

use std::sync::{Arc, Weak};

use hashbrown::HashMap;
use parking_lot::Mutex;
use store::{Change, Key, Space};

use super::Standing;

/// A record that was read, or a prefix that was scanned.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Record {
    pub space: Space,
    pub key: Key,
}

type Readers = HashMap<u64, Weak<Standing>>;

/// Record or prefix to the standings that read it.
#[derive(Debug, Default)]
pub(crate) struct Dependents {
    readers: Mutex<HashMap<Record, Readers, foldhash::quality::RandomState>>,
}

impl Dependents {
    /// Notes what a standing was made from, in place of what it was made from before.
    pub(crate) fn index(&self, standing: &Arc<Standing>, records: Vec<Record>) {
        let before = standing.reindex(records.clone());
        let mut readers = self.readers.lock();
        for record in &before {
            drop_reader(&mut readers, record, standing.id);
        }
        for record in records {
            readers.entry(record).or_default().insert(standing.id, Arc::downgrade(standing));
        }
    }

    /// Forgets a standing.
    pub(crate) fn forget(&self, standing: &Standing) {
        let before = standing.reindex(Vec::new());
        let mut readers = self.readers.lock();
        for record in &before {
            drop_reader(&mut readers, record, standing.id);
        }
    }

    /// The standings that any of the changes concerns, each once.
    pub(crate) fn concerned(&self, changes: &[Change]) -> Vec<Arc<Standing>> {
        let readers = self.readers.lock();
        let mut found: HashMap<u64, Arc<Standing>> = HashMap::new();
        for change in changes {
            for key in prefixes(&change.key) {
                let Some(concerned) = readers.get(&Record { space: change.space, key }) else { continue };
                let alive = concerned.iter().filter_map(|(id, standing)| Some((*id, standing.upgrade()?)));
                found.extend(alive);
            }
        }
        found.into_values().collect()
    }

    /// All standings, after a feed lost its place.
    pub(crate) fn everyone(&self) -> Vec<Arc<Standing>> {
        let readers = self.readers.lock();
        let mut found: HashMap<u64, Arc<Standing>> = HashMap::new();
        for concerned in readers.values() {
            found.extend(concerned.iter().filter_map(|(id, standing)| Some((*id, standing.upgrade()?))));
        }
        found.into_values().collect()
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.readers.lock().len()
    }
}

fn drop_reader(
    readers: &mut HashMap<Record, Readers, foldhash::quality::RandomState>,
    record: &Record,
    id: u64,
) {
    if let Some(known) = readers.get_mut(record) {
        known.remove(&id);
        if known.is_empty() {
            readers.remove(record);
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
