//! What a thread has counted lately, where no other thread writes: most messages cost their thread two plain additions
//! in one cache line, and nothing that threads share.
//!
//! A lane belongs to one thread at a time. Its slots are bound to rows of the table; a slot that is wanted for another row
//! first gives what it counted to the row it had. The ledger reads rows before slots, so that it may miss for a moment
//! what is on its way from a slot to a row, and never sees it twice.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Acquire, Ordering::Relaxed, Ordering::Release, fence};

use parking_lot::Mutex;

use crate::table::Counters;
use crate::usage::Counts;

/// Slots of a lane: a slot is a cache line.
const SLOTS: usize = 1024;
/// Lanes of a meter. Threads beyond these write to the rows.
const MOST_LANES: usize = 64;
/// How often a slot that is being bound anew is looked at again.
const LOOKS: usize = 4;

/// Tells meters apart.
static METERS: AtomicU64 = AtomicU64::new(1);

thread_local! {
    static MINE: RefCell<Option<Mine>> = const { RefCell::new(None) };
}

/// The lane of this thread.
struct Mine {
    meter: u64,
    lane: Arc<Lane>,
}

#[repr(align(64))]
#[derive(Default)]
struct Slot {
    /// What it counts: a hash. Only its thread reads it.
    key: AtomicU64,
    /// How often it was bound (high half), and the row plus 1 (low half; 0: none).
    bound: AtomicU64,
    counters: Counters,
}

impl Slot {
    /// The row and what was counted for it.
    fn read(&self) -> Option<(u32, Counts)> {
        for _ in 0..LOOKS {
            let bound = self.bound.load(Acquire);
            let row = u32::try_from(bound & u64::from(u32::MAX)).ok()?.checked_sub(1)?;
            let counts = self.counters.read();
            fence(Acquire);
            if self.bound.load(Relaxed) == bound {
                return Some((row, counts));
            }
        }
        None
    }

    /// Gives what was counted to `old`, and begins to count for another row.
    fn bind(&self, key: u64, row: u32, old: Option<&Counters>) {
        let times = (self.bound.load(Relaxed) >> 32).wrapping_add(1);
        self.bound.store(times << 32, Relaxed);
        fence(Release);
        let counts = self.counters.take();
        if let Some(old) = old {
            old.add(counts);
        }
        self.key.store(key, Relaxed);
        self.bound.store(times << 32 | (u64::from(row) + 1), Release);
    }

    fn row(&self) -> Option<u32> {
        u32::try_from(self.bound.load(Relaxed) & u64::from(u32::MAX)).ok()?.checked_sub(1)
    }
}

struct Lane {
    slots: Box<[Slot]>,
}

/// What became of a count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Added {
    /// It is in a slot.
    Counted,
    /// There is no row for it.
    NoRow,
    /// There is no slot for it: it must be counted in the row itself.
    NoLane,
}

/// The lanes of a meter.
pub(crate) struct Lanes {
    meter: u64,
    all: Mutex<Vec<Arc<Lane>>>,
}

impl Lanes {
    pub fn new() -> Self {
        Self { meter: METERS.fetch_add(1, Relaxed), all: Mutex::default() }
    }

    /// Counts one unit of `bytes` for what `key` stands for, if this thread has a slot for it already.
    #[inline]
    pub fn add_small(&self, key: u64, bytes: u64) -> bool {
        let added = MINE.try_with(|mine| {
            let mine = mine.try_borrow().ok()?;
            let mine = mine.as_ref().filter(|mine| mine.meter == self.meter)?;
            let slot = mine.lane.slots.get(key as usize % SLOTS)?;
            (slot.key.load(Relaxed) == key).then(|| slot.counters.add_one_alone(bytes))
        });
        added.is_ok_and(|added| added.is_some())
    }

    /// Counts for what `key` stands for. `row` finds its row if no slot has it, `counters` the counters of a row.
    #[inline]
    pub fn add<'a>(
        &self,
        key: u64,
        counts: Counts,
        row: impl FnOnce() -> Option<u32>,
        counters: impl FnOnce(u32) -> Option<&'a Counters>,
    ) -> Added {
        let counted = MINE.try_with(|mine| {
            let mut mine = mine.try_borrow_mut().ok()?;
            if mine.as_ref().is_none_or(|mine| mine.meter != self.meter) {
                // Let go of the other meter's first.
                *mine = None;
                *mine = self.claim().map(|lane| Mine { meter: self.meter, lane });
            }
            let lane = &mine.as_ref()?.lane;
            let slot = lane.slots.get(key as usize % SLOTS)?;
            if slot.key.load(Relaxed) != key {
                let Some(row) = row() else { return Some(Added::NoRow) };
                slot.bind(key, row, slot.row().and_then(counters));
            }
            slot.counters.add_alone(counts);
            Some(Added::Counted)
        });
        counted.ok().flatten().unwrap_or(Added::NoLane)
    }

    /// A lane that nobody has, or a new one.
    fn claim(&self) -> Option<Arc<Lane>> {
        let mut all = self.all.lock();
        // Only threads have the others: with one left, its thread is gone or has let go of it.
        if let Some(free) = all.iter().find(|lane| Arc::strong_count(lane) == 1) {
            fence(Acquire);
            return Some(Arc::clone(free));
        }
        if all.len() >= MOST_LANES {
            return None;
        }
        let lane = Arc::new(Lane { slots: (0..SLOTS).map(|_| Slot::default()).collect() });
        all.push(Arc::clone(&lane));
        Some(lane)
    }

    /// What all threads have counted that is not in the rows yet, by row. To be read after the rows.
    pub fn read(&self) -> HashMap<u32, Counts> {
        let lanes = self.all.lock().clone();
        let mut sums: HashMap<u32, Counts> = HashMap::new();
        for (row, counts) in lanes.iter().flat_map(|lane| lane.slots.iter().filter_map(Slot::read)) {
            *sums.entry(row).or_default() += counts;
        }
        sums
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::Table;

    const ONE: Counts = Counts { units: 1, bytes: 3, extra: 0, spill: 0, near: 0 };

    /// Threads count for more keys than there are slots while somebody reads: sums only grow, and end right.
    #[test]
    fn nothing_is_lost_and_nothing_seen_twice() {
        let (table, lanes) = (Table::new(), Lanes::new());
        let keys: Vec<u64> = (1..=3 * SLOTS as u64).collect();
        let total = || {
            let rows: u64 =
                keys.iter().filter_map(|key| table.find(*key)).map(|found| found.counters.read().units).sum();
            rows + lanes.read().values().map(|counts| counts.units).sum::<u64>()
        };
        let all = 4 * 20 * keys.len() as u64;
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for key in std::iter::repeat_n(&keys, 20).flatten() {
                        let row = || table.find(*key).map(|found| found.id);
                        if lanes.add(*key, ONE, row, |id| table.row(id)) != Added::Counted {
                            table.find(*key).unwrap().counters.add(ONE);
                        }
                    }
                });
            }
            for _ in 0..200 {
                assert!(total() <= all);
            }
        });
        assert_eq!(total(), all);
    }

    #[test]
    fn the_lane_of_a_thread_that_ended_is_used_again() {
        let (table, lanes) = (Table::new(), Lanes::new());
        for _ in 0..3 * MOST_LANES {
            std::thread::scope(|scope| {
                let thread =
                    scope.spawn(|| lanes.add(7, ONE, || Some(table.find(7)?.id), |id| table.row(id)));
                assert_eq!(thread.join().unwrap(), Added::Counted);
            });
        }
        assert!(lanes.all.lock().len() < MOST_LANES);
        let id = table.find(7).unwrap().id;
        let counted = table.row(id).unwrap().read() + lanes.read().remove(&id).unwrap_or_default();
        assert_eq!(counted.units, 3 * MOST_LANES as u64);
    }

    #[test]
    fn two_meters_in_one_thread_do_not_mix() {
        let table = Table::new();
        let (one, two) = (Lanes::new(), Lanes::new());
        for _ in 0..100 {
            for lanes in [&one, &two] {
                let added = lanes.add(7, ONE, || Some(table.find(7)?.id), |id| table.row(id));
                assert_eq!(added, Added::Counted);
            }
        }
        let units = |lanes: &Lanes| lanes.read().values().map(|counts| counts.units).sum::<u64>();
        assert_eq!((units(&one), units(&two), one.all.lock().len()), (100, 100, 1));
    }
}
