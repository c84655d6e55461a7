//! Counters that threads do not share: each thread adds in a shard of its own, a reader sums the shards. The first threads
//! that count (those that carry the traffic) have theirs alone, so that they add without locking the bus; later ones share.

use std::cell::Cell;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};

/// Shards that belong to one thread for good.
const OWN: usize = 16;
/// Shards that any number of threads share.
const COMMON: usize = 16;
const SHARDS: usize = OWN + COMMON;
/// Counters between the last used one and the next shard, so that no cache line (nor its prefetched neighbour) is shared.
const PADDING: usize = 16;

static NEXT: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    static SHARD: Cell<usize> = Cell::new(shard_of(NEXT.fetch_add(1, Relaxed)));
}

/// The shard of the nth thread that counts.
const fn shard_of(nth: usize) -> usize {
    if nth < OWN { nth } else { OWN + nth % COMMON }
}

/// A fixed number of counters.
pub(super) struct Sharded {
    cells: Box<[AtomicU64]>,
    stride: usize,
}

impl Sharded {
    pub fn new(counters: usize) -> Self {
        let stride = counters + PADDING;
        Self { cells: (0..SHARDS * stride).map(|_| AtomicU64::new(0)).collect(), stride }
    }

    #[inline]
    pub fn add(&self, counter: usize, amount: u64) {
        debug_assert!(counter < self.stride - PADDING);
        let shard = SHARD.with(Cell::get);
        let Some(cell) = self.cells.get(shard * self.stride + counter) else { return };
        if shard < OWN {
            // Nobody else writes here.
            cell.store(cell.load(Relaxed).wrapping_add(amount), Relaxed);
        } else {
            cell.fetch_add(amount, Relaxed);
        }
    }

    pub fn sum(&self, counter: usize) -> u64 {
        let cells = (0..SHARDS).filter_map(|shard| self.cells.get(shard * self.stride + counter));
        cells.map(|cell| cell.load(Relaxed)).fold(0, u64::wrapping_add)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_threads_are_counted() {
        let counters = Sharded::new(3);
        std::thread::scope(|scope| {
            for _ in 0..40 {
                scope.spawn(|| (0..100).for_each(|_| counters.add(1, 2)));
            }
        });
        assert_eq!([0, 1, 2].map(|counter| counters.sum(counter)), [0, 8000, 0]);
    }
}
