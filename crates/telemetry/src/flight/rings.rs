//! The last records of each subject, within bytes: so many for one, so many for all.
//!
//! When all together have too much, the oldest record of whoever has most goes: a client that floods loses its own
//! past, not that of others. Many subjects with little each lose the longest untouched first.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher as _, RandomState};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use events::Event;
use identity::{Principal, Timestamp};

use super::record::{Outline, Record, Whom};

const SHARDS: usize = 16;
/// Subjects that are looked at to find the one with most.
const SAMPLE: usize = 8;
/// Records at the end of a ring among which a repetition is looked for.
const NEAR: usize = 8;
/// Up to here a ring has no room to spare.
const FEW: usize = 4;
/// What a subject costs beside its records: its name twice, its place.
const OVERHEAD: usize = 128;

/// Rings by the name of their subject.
pub(super) struct Rings {
    shards: Vec<Mutex<Shard>>,
    hasher: RandomState,
    each: usize,
    shard: usize,
}

#[derive(Default)]
struct Shard {
    index: HashMap<Arc<str>, usize>,
    places: Vec<Ring>,
    bytes: usize,
    hand: usize,
}

struct Ring {
    name: Arc<str>,
    bytes: usize,
    touched: Timestamp,
    records: VecDeque<Record>,
}

impl Rings {
    /// At most `each` bytes for one subject, and `all` for all of them.
    pub fn new(each: usize, all: usize) -> Self {
        let shards = (0..SHARDS).map(|_| Mutex::default()).collect();
        Self { shards, hasher: RandomState::new(), each, shard: all / SHARDS }
    }

    /// Remembers an event for a subject.
    pub fn add(&self, name: &str, at: Timestamp, event: &Event<'_>, whom: &Whom<'_>) {
        let Some(shard) = self.shards.get(self.hasher.hash_one(name) as usize % SHARDS) else { return };
        let mut shard = lock(shard);
        let outline = Outline::of(event);
        if shard.repeats(name, at, event, (whom, &outline)) {
            return;
        }
        let place = shard.place(name);
        shard.push(place, at, event, (whom, outline), self.each);
        shard.shrink(self.shard);
    }

    /// Shows the records of one subject, oldest first.
    pub fn read(&self, name: &str, show: &mut dyn FnMut(&str, &Record)) {
        let Some(shard) = self.shards.get(self.hasher.hash_one(name) as usize % SHARDS) else { return };
        let shard = lock(shard);
        let ring = shard.index.get(name).and_then(|place| shard.places.get(*place));
        ring.into_iter().flat_map(|ring| &ring.records).for_each(|record| show(name, record));
    }

    /// Shows the records of all subjects that have one that fits.
    pub fn find(&self, fits: &dyn Fn(&Record) -> bool, show: &mut dyn FnMut(&str, &Record)) {
        for shard in &self.shards {
            let shard = lock(shard);
            for ring in &shard.places {
                ring.records.iter().filter(|record| fits(record)).for_each(|record| show(&ring.name, record));
            }
        }
    }

    /// Subjects and bytes that are kept.
    pub fn size(&self) -> (usize, usize) {
        let sizes = self.shards.iter().map(|shard| {
            let shard = lock(shard);
            (shard.places.len(), shard.bytes)
        });
        sizes.fold((0, 0), |(subjects, bytes), (more, room)| (subjects + more, bytes + room))
    }
}

impl Shard {
    /// Counts an event that says what one of the last records says.
    fn repeats(
        &mut self,
        name: &str,
        at: Timestamp,
        event: &Event<'_>,
        (whom, outline): (&Whom<'_>, &Outline),
    ) -> bool {
        let Some(ring) = self.index.get(name).and_then(|place| self.places.get_mut(*place)) else {
            return false;
        };
        let first = ring.records.len().saturating_sub(NEAR);
        let Some(place) = (first..ring.records.len())
            .rev()
            .find(|place| ring.records.get(*place).is_some_and(|record| record.says(event, whom, outline)))
        else {
            return false;
        };
        if let Some(mut record) = ring.records.remove(place) {
            let before = record.size();
            record.again(at, event, whom);
            let grown = |bytes: usize| (bytes + record.size()).saturating_sub(before);
            (ring.bytes, self.bytes) = (grown(ring.bytes), grown(self.bytes));
            ring.records.push_back(record);
        }
        ring.touched = at;
        true
    }

    fn place(&mut self, name: &str) -> usize {
        if let Some(place) = self.index.get(name) {
            return *place;
        }
        let (name, place): (Arc<str>, _) = (name.into(), self.places.len());
        let bytes = OVERHEAD + name.len();
        self.bytes += bytes;
        self.index.insert(Arc::clone(&name), place);
        self.places.push(Ring { name, bytes, touched: Timestamp(0), records: VecDeque::new() });
        place
    }

    fn push(
        &mut self,
        place: usize,
        at: Timestamp,
        event: &Event<'_>,
        (whom, outline): (&Whom<'_>, Outline),
        most: usize,
    ) {
        let Some(ring) = self.places.get_mut(place) else { return };
        let known: Option<Arc<Principal>> = ring.records.back().and_then(|record| record.principal.clone());
        let record = Record::new(at, event, whom, outline, known.as_ref());
        let before = ring.bytes;
        ring.bytes += record.size();
        ring.touched = at;
        if ring.records.len() < FEW {
            // By one: most clients connect and subscribe, and that is all for a long time.
            ring.records.reserve_exact(1);
        }
        ring.records.push_back(record);
        while ring.bytes > most && ring.records.len() > 1 {
            ring.drop_oldest();
        }
        self.bytes = (self.bytes + ring.bytes).saturating_sub(before);
    }

    fn shrink(&mut self, most: usize) {
        while self.bytes > most && !self.places.is_empty() {
            let victim = self.richest();
            let Some(ring) = self.places.get_mut(victim) else { return };
            let before = ring.bytes;
            ring.drop_oldest();
            let (after, empty) = (ring.bytes, ring.records.is_empty());
            self.bytes = self.bytes.saturating_sub(before - after);
            if empty {
                self.remove(victim);
            }
        }
    }

    /// Of the next few subjects the one with most; of equals the one that was touched longest ago.
    fn richest(&mut self) -> usize {
        let count = self.places.len().max(1);
        let sample = (0..SAMPLE.min(count)).map(|step| (self.hand + step) % count);
        let rank = |place: &usize| {
            self.places.get(*place).map(|ring| (ring.bytes / 1024, std::cmp::Reverse(ring.touched)))
        };
        let found = sample.max_by_key(rank).unwrap_or_default();
        self.hand = (self.hand + SAMPLE) % count;
        found
    }

    fn remove(&mut self, place: usize) {
        let gone = self.places.swap_remove(place);
        self.bytes = self.bytes.saturating_sub(gone.bytes);
        self.index.remove(&gone.name);
        if let Some(moved) = self.places.get(place) {
            self.index.insert(Arc::clone(&moved.name), place);
        }
    }
}

impl Ring {
    fn drop_oldest(&mut self) {
        if let Some(record) = self.records.pop_front() {
            self.bytes = self.bytes.saturating_sub(record.size());
        }
    }
}

fn lock(shard: &Mutex<Shard>) -> MutexGuard<'_, Shard> {
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}
