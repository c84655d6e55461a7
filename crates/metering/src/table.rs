//! Rows of counters found by a hash, without a lock: what the threads that carry traffic write to.
//!
//! A key lives in the first segment whose bucket had room when it came, and stays there for ever. The last segment is kept
//! for those that turn out to be heavy when the others have no room: who belongs there the meter decides. A bucket is one cache
//! line of keys. Two keys with the same 64 bits of a seeded hash would share a row: one chance in 400 million with all
//! rows in use.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering::Acquire, Ordering::Relaxed, Ordering::Release};

use crate::usage::Counts;

const BUCKET: usize = 8;
/// Rows of the segments; each is made when the ones before have no room for a key.
const SEGMENTS: [usize; 4] = [512, 4096, 32_768, 262_144];
/// Rows of all segments together.
pub(crate) const MOST_ROWS: usize = SEGMENTS[0] + SEGMENTS[1] + SEGMENTS[2] + SEGMENTS[3];
/// Rows beside these, for the heavy that come late.
const RESERVE: usize = 65_536;

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

struct Segment {
    keys: Box<[AtomicU64]>,
    rows: Box<[Counters]>,
}

impl Segment {
    fn new(rows: usize) -> Self {
        Self {
            keys: (0..rows).map(|_| AtomicU64::new(0)).collect(),
            rows: (0..rows).map(|_| Counters::default()).collect(),
        }
    }

    /// Where the bucket of a key begins, and the bucket.
    fn bucket(&self, key: u64) -> Option<(usize, &[AtomicU64])> {
        let buckets = (self.keys.len() / BUCKET).max(1) as u64;
        let start = (key % buckets) as usize * BUCKET;
        Some((start, self.keys.get(start..start + BUCKET)?))
    }

    /// The place of a key that is there.
    fn seek(&self, key: u64) -> Option<usize> {
        let (start, bucket) = self.bucket(key)?;
        bucket.iter().position(|slot| slot.load(Relaxed) == key).map(|at| start + at)
    }

    /// The place of a key, and whether it is new there. `None`: its bucket is full.
    fn place(&self, key: u64) -> Option<(usize, bool)> {
        let (start, bucket) = self.bucket(key)?;
        for (at, slot) in bucket.iter().enumerate() {
            let mut found = slot.load(Relaxed);
            if found == 0 {
                match slot.compare_exchange(0, key, Relaxed, Relaxed) {
                    Ok(_) => return Some((start + at, true)),
                    Err(other) => found = other,
                }
            }
            if found == key {
                return Some((start + at, false));
            }
        }
        None
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
}

impl Table {
    pub fn new() -> Self {
        Self { segments: Default::default(), reserve: OnceLock::new() }
    }

    /// The row of a key. `None`: there is no room for one more.
    #[inline]
    pub fn find(&self, key: u64) -> Option<Found<'_>> {
        // 0 marks an empty place.
        let key = key.max(1);
        let mut before = 0;
        for (cell, size) in self.segments.iter().zip(SEGMENTS) {
            let segment = cell.get_or_init(|| Segment::new(size));
            if let Some((at, new)) = segment.place(key) {
                let counters = segment.rows.get(at)?;
                return Some(Found { counters, id: u32::try_from(before + at).ok()?, new });
            }
            before += size;
        }
        let reserve = self.reserve.get()?;
        Self::reserved(reserve, reserve.seek(key)?, false)
    }

    /// The row in the reserve for a key that has none. `None`: there is no room there either.
    pub fn admit(&self, key: u64) -> Option<Found<'_>> {
        let reserve = self.reserve.get_or_init(|| Segment::new(RESERVE));
        let (at, new) = reserve.place(key.max(1))?;
        Self::reserved(reserve, at, new)
    }

    fn reserved(reserve: &Segment, at: usize, new: bool) -> Option<Found<'_>> {
        Some(Found { counters: reserve.rows.get(at)?, id: u32::try_from(MOST_ROWS + at).ok()?, new })
    }

    /// The row of this number.
    pub fn row(&self, id: u32) -> Option<&Counters> {
        let mut at = id as usize;
        for (cell, size) in self.segments.iter().zip(SEGMENTS) {
            if at < size {
                return cell.get()?.rows.get(at);
            }
            at -= size;
        }
        self.reserve.get()?.rows.get(at)
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
        // These all fall into bucket 0 of every segment.
        let step = 262_144u64;
        let taken = (1..100).filter(|n| table.find(n * step).is_some()).count();
        assert_eq!(taken, BUCKET * SEGMENTS.len());
        assert!(table.find(step).is_some_and(|found| !found.new));
        let late = 99 * step;
        let found = table.admit(late).unwrap();
        assert!(found.new && found.id as usize >= MOST_ROWS);
        let again = table.find(late).unwrap();
        assert!(!again.new && again.id == found.id);
        assert!(std::ptr::eq(again.counters, table.row(found.id).unwrap()));
        let admitted = (100..200).filter(|n| table.admit(n * step).is_some()).count();
        assert_eq!(admitted, BUCKET - 1, "the reserve ends, too");
    }
}
