//! What has been counted, by all clients together.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Shared counters. Clients add a batch at a time.
#[derive(Debug, Default)]
pub struct Tally {
    delivered: AtomicU64,
    duplicated: AtomicU64,
    late: AtomicU64,
    foreign: AtomicU64,
    acknowledged: AtomicU64,
    refused: AtomicU64,
}

/// What one subscriber counted in one batch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Batch {
    /// Arrived for the first time.
    pub delivered: u64,
    /// Arrived again.
    pub duplicated: u64,
    /// Of the delivered: out of order.
    pub late: u64,
    /// Not of this run, or too old to tell.
    pub foreign: u64,
}

impl Tally {
    /// Adds what a subscriber counted.
    pub fn add(&self, batch: Batch) {
        self.delivered.fetch_add(batch.delivered, Relaxed);
        self.duplicated.fetch_add(batch.duplicated, Relaxed);
        self.late.fetch_add(batch.late, Relaxed);
        self.foreign.fetch_add(batch.foreign, Relaxed);
    }

    /// A publish was acknowledged, well or with a failure.
    pub fn acknowledge(&self, failed: bool) {
        if failed { &self.refused } else { &self.acknowledged }.fetch_add(1, Relaxed);
    }

    /// The counts now. `sent` and `expected` are counted by the windows.
    pub fn snapshot(&self, sent: u64, expected: u64) -> Snapshot {
        let delivered = self.delivered.load(Relaxed);
        Snapshot {
            sent,
            delivered,
            lost: expected.saturating_sub(delivered),
            duplicated: self.duplicated.load(Relaxed),
            late: self.late.load(Relaxed),
            foreign: self.foreign.load(Relaxed),
            acknowledged: self.acknowledged.load(Relaxed),
            refused: self.refused.load(Relaxed),
        }
    }
}

/// The counts at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// Publishes sent.
    pub sent: u64,
    /// Messages that arrived, each subscriber's copy counted once.
    pub delivered: u64,
    /// Copies that have not arrived (while messages are on their way, these count, too).
    pub lost: u64,
    /// Copies that arrived again.
    pub duplicated: u64,
    /// Of the delivered: those that came out of order.
    pub late: u64,
    /// Messages of another run, or too old to tell.
    pub foreign: u64,
    /// PUBACKs that say success.
    pub acknowledged: u64,
    /// PUBACKs that say no.
    pub refused: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_did_not_arrive_is_lost_and_duplicates_do_not_hide_it() {
        let tally = Tally::default();
        tally.add(Batch { delivered: 7, duplicated: 3, late: 1, foreign: 0 });
        tally.add(Batch { duplicated: 2, ..Batch::default() });
        tally.acknowledge(false);
        tally.acknowledge(true);
        let counts = tally.snapshot(5, 10);
        assert_eq!((counts.sent, counts.delivered, counts.lost), (5, 7, 3));
        assert_eq!((counts.duplicated, counts.late), (5, 1));
        assert_eq!((counts.acknowledged, counts.refused), (1, 1));
    }
}
