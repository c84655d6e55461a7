//! Rows of counters found by a hash, without a lock: what the threads that carry traffic write to. Only a key that was never
//! seen takes a lock.
//!
//! A key lives in the first segment that had room for it when it came, and stays there for ever. The last segment is kept
//! for those that turn out to be heavy when the others have no room: who belongs there the meter decides. A bucket is one cache
//! line of keys; rows stand apart from them, close together. Two keys with the same 64 bits of a seeded hash would share a row: one chance in 400 million with all
//! rows in use.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Acquire, Ordering::Relaxed, Ordering::Release};

use parking_lot::Mutex;

use crate::usage::Counts;

const BUCKET: usize = 8;
/// Places of the segments; each is made when the ones before have no room for a key.
const SEGMENTS: [usize; 4] = [512, 4096, 32_768, 262_144];
/// Rows of all segments together.
pub(crate) const MOST_ROWS: usize = SEGMENTS[0] + SEGMENTS[1] + SEGMENTS[2] + SEGMENTS[3];
/// Rows beside these, for the heavy that come late.
const RESERVE: usize = 65_536;
/// Rows that are made at a time.
const CHUNK: usize = 1024;

/// The counters of a row.
#[derive(Default)]
pub(crate) struct Counters {
    units: AtomicU64,
    bytes: AtomicU64,
    extra: AtomicU64,
    spill: AtomicU64,
    near: AtomicU64,
    /// What an item needs to remember beside its counters.
    pub aux: AtomicU64,
}

impl Counters {
    /// Two additions for an ordinary message; more only for what is larger than a step. Whoever reads them sees what
    /// the thread did before.
    #[inline]
    pub fn add(&self, counts: Counts) {
        self.units.fetch_add(counts.units, Release);
        self.bytes.fetch_add(counts.bytes, Release);
        if counts.extra > 0 {
            self.extra.fetch_add(counts.extra, Release);
            self.spill.fetch_add(counts.spill, Release);
            self.near.fetch_add(counts.near, Release);
        }
    }

    /// The same by the only thread that writes to them: plain additions.
    #[inline]
    pub fn add_alone(&self, counts: Counts) {
        let add = |counter: &AtomicU64, more: u64| counter.store(counter.load(Relaxed) + more, Relaxed);
        add(&self.units, counts.units);
        add(&self.bytes, counts.bytes);
        if counts.extra > 0 {
            add(&self.extra, counts.extra);
            add(&self.spill, counts.spill);
            add(&self.near, counts.near);
        }
    }

    /// One unit of `bytes`, by the only thread that writes to them.
    #[inline]
    pub fn add_one_alone(&self, bytes: u64) {
        self.units.store(self.units.load(Relaxed) + 1, Relaxed);
        self.bytes.store(self.bytes.load(Relaxed) + bytes, Relaxed);
    }

    /// Sets them to 0, by the only thread that writes to them.
    pub fn take(&self) -> Counts {
        let counts = self.read();
        for counter in [&self.units, &self.bytes, &self.extra, &self.spill, &self.near] {
            counter.store(0, Relaxed);
        }
        counts
    }

    /// What they say.
    pub fn read(&self) -> Counts {
        Counts {
            units: self.units.load(Acquire),
            bytes: self.bytes.load(Acquire),
            extra: self.extra.load(Acquire),
            spill: self.spill.load(Acquire),
            near: self.near.load(Acquire),
        }
    }
}

/// Places for keys, each with the number of its row.
struct Segment {
    keys: Box<[AtomicU64]>,
    rows: Box<[AtomicU32]>,
}

/// Where a key is in a segment.
enum Sought {
    /// Here.
    At(usize),
    /// It is not there, and would be here.
    Room(usize),
    /// It is not there, and there is no room for it.
    Full,
}

impl Segment {
    fn new(places: usize) -> Self {
        Self {
            keys: (0..places).map(|_| AtomicU64::new(0)).collect(),
            rows: (0..places).map(|_| AtomicU32::new(0)).collect(),
        }
    }

    /// Looks into the key's bucket, and into the next one if that is full: most of a segment is taken before it has no
    /// room for some key.
    fn seek(&self, key: u64) -> Sought {
        let buckets = (self.keys.len() / BUCKET).max(1) as u64;
        let first = key % buckets;
        for bucket in [first, (first + 1) % buckets] {
            let start = bucket as usize * BUCKET;
            let Some(keys) = self.keys.get(start..start + BUCKET) else { return Sought::Full };
            for (at, slot) in keys.iter().enumerate() {
                match slot.load(Acquire) {
                    0 => return Sought::Room(start + at),
                    known if known == key => return Sought::At(start + at),
                    _ => {}
                }
            }
        }
        Sought::Full
    }

    fn row(&self, at: usize) -> Option<u32> {
        self.rows.get(at).map(|row| row.load(Relaxed))
    }

    /// Whoever sees the key sees its row.
    fn put(&self, at: usize, key: u64, row: u32) {
        self.rows.get(at).into_iter().for_each(|place| place.store(row, Relaxed));
        self.keys.get(at).into_iter().for_each(|place| place.store(key, Release));
    }
}

/// A row that was found.
pub(crate) struct Found<'a> {
    pub counters: &'a Counters,
    /// Its number, below [`MOST_ROWS`] and [`RESERVE`] together.
    pub id: u32,
    /// Nobody had asked for it before.
    pub new: bool,
}

/// The rows.
pub(crate) struct Table {
    segments: [OnceLock<Segment>; SEGMENTS.len()],
    reserve: OnceLock<Segment>,
    /// In the order in which they were asked for, so that only those that are used take room.
    chunks: Box<[OnceLock<Box<[Counters]>>]>,
    /// How many there are. Who adds one holds it.
    count: Mutex<u32>,
}

impl Table {
    pub fn new() -> Self {
        let chunks = (MOST_ROWS + RESERVE).div_ceil(CHUNK);
        Self {
            segments: Default::default(),
            reserve: OnceLock::new(),
            chunks: (0..chunks).map(|_| OnceLock::new()).collect(),
            count: Mutex::new(0),
        }
    }

    /// The row of a key. `None`: there is no room for one more.
    #[inline]
    pub fn find(&self, key: u64) -> Option<Found<'_>> {
        // 0 marks an empty place.
        let key = key.max(1);
        for cell in &self.segments {
            match cell.get().map(|segment| (segment, segment.seek(key))) {
                Some((segment, Sought::At(at))) => return self.known(segment, at),
                Some((_, Sought::Full)) => {}
                Some((_, Sought::Room(_))) | None => return self.add(key),
            }
        }
        let reserve = self.reserve.get()?;
        match reserve.seek(key) {
            Sought::At(at) => self.known(reserve, at),
            Sought::Room(_) | Sought::Full => None,
        }
    }

    /// The row in the reserve for a key that has none. `None`: there is no room there either.
    pub fn admit(&self, key: u64) -> Option<Found<'_>> {
        let reserve = self.reserve.get_or_init(|| Segment::new(RESERVE));
        let mut count = self.count.lock();
        match reserve.seek(key.max(1)) {
            Sought::At(at) => self.known(reserve, at),
            Sought::Room(at) => self.fill((reserve, at), key.max(1), &mut count),
            Sought::Full => None,
        }
    }

    /// Adds a key where none was seen: meanwhile somebody else may have.
    #[cold]
    fn add(&self, key: u64) -> Option<Found<'_>> {
        let mut count = self.count.lock();
        for (cell, size) in self.segments.iter().zip(SEGMENTS) {
            let segment = cell.get_or_init(|| Segment::new(size));
            match segment.seek(key) {
                Sought::At(at) => return self.known(segment, at),
                Sought::Room(at) => return self.fill((segment, at), key, &mut count),
                Sought::Full => {}
            }
        }
        None
    }

    fn known(&self, segment: &Segment, at: usize) -> Option<Found<'_>> {
        let id = segment.row(at)?;
        Some(Found { counters: self.row(id)?, id, new: false })
    }

    fn fill(&self, (segment, at): (&Segment, usize), key: u64, count: &mut u32) -> Option<Found<'_>> {
        let id = *count;
        let fresh = || (0..CHUNK).map(|_| Counters::default()).collect();
        let counters = self.chunks.get(id as usize / CHUNK)?.get_or_init(fresh).get(id as usize % CHUNK)?;
        *count += 1;
        segment.put(at, key, id);
        Some(Found { counters, id, new: true })
    }

    /// The row of this number.
    pub fn row(&self, id: u32) -> Option<&Counters> {
        self.chunks.get(id as usize / CHUNK)?.get()?.get(id as usize % CHUNK)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    #[test]
    fn a_key_keeps_its_row() {
        let table = Table::new();
        let mut rows = HashMap::new();
        for key in 1..5000u64 {
            let key = key.wrapping_mul(0x9E37_79B9_7F4A_7C15);
            let found = table.find(key).unwrap();
            assert!(found.new);
            assert_eq!(rows.insert(found.id, key), None);
        }
        for (id, key) in rows {
            let found = table.find(key).unwrap();
            assert!(!found.new && found.id == id && std::ptr::eq(found.counters, table.row(id).unwrap()));
        }
    }

    #[test]
    fn threads_that_come_at_once_share_a_row() {
        let table = Table::new();
        let one = Counts { units: 1, bytes: 2, ..Counts::default() };
        let news: usize = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8)
                .map(|_| {
                    scope.spawn(|| {
                        (1..200u64)
                            .filter(|key| {
                                let found = table.find(*key).unwrap();
                                found.counters.add(one);
                                found.new
                            })
                            .count()
                    })
                })
                .collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        assert_eq!(news, 199);
        assert!((1..200).all(|key| table.find(key).unwrap().counters.read().units == 8));
    }

    #[test]
    fn a_full_bucket_ends_it() {
        let table = Table::new();
        // These all fall into bucket 0 of every segment, and then into bucket 1.
        let step = 262_144u64;
        let taken = (1..100).filter(|n| table.find(n * step).is_some()).count();
        assert_eq!(taken, 2 * BUCKET * SEGMENTS.len());
        assert!(table.find(step).is_some_and(|found| !found.new));
        let late = 99 * step;
        let found = table.admit(late).unwrap();
        assert!(found.new && found.id as usize == taken, "rows stand in the order in which they came");
        let again = table.find(late).unwrap();
        assert!(!again.new && again.id == found.id);
        assert!(std::ptr::eq(again.counters, table.row(found.id).unwrap()));
        let admitted = (100..200).filter(|n| table.admit(n * step).is_some()).count();
        assert_eq!(admitted, 2 * BUCKET - 1, "the reserve ends, too");
    }
}
