//! What the log leaves for the exporter: a bounded queue of lines of JSON.

use std::collections::VecDeque;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use identity::Timestamp;

/// Entries that wait at most; more are counted and lost.
pub const MOST_RECORDS: usize = 4096;
/// Bytes of entries that wait at most; more are counted and lost.
pub const MOST_RECORD_BYTES: usize = 4 * 1024 * 1024;

/// Log entries on their way to a collector.
#[derive(Default)]
pub struct LogRecords {
    waiting: Mutex<Waiting>,
    dropped: AtomicU64,
}

#[derive(Default)]
struct Waiting {
    lines: VecDeque<(Timestamp, String)>,
    bytes: usize,
}

impl LogRecords {
    /// Nothing waits.
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    /// One more, if there is room.
    pub(crate) fn push(&self, at: Timestamp, line: String) {
        let mut waiting = self.lock();
        if waiting.lines.len() >= MOST_RECORDS || waiting.bytes + line.len() > MOST_RECORD_BYTES {
            drop(waiting);
            return self.lose(1);
        }
        waiting.bytes += line.len();
        waiting.lines.push_back((at, line));
    }

    /// Moves the oldest `most` into `into`.
    pub(super) fn take(&self, most: usize, into: &mut Vec<(Timestamp, String)>) {
        let mut waiting = self.lock();
        let count = most.min(waiting.lines.len());
        let before = into.len();
        into.extend(waiting.lines.drain(..count));
        waiting.bytes -=
            into.iter().skip(before).map(|(_, line)| line.len()).sum::<usize>().min(waiting.bytes);
    }

    /// Counts entries that will not reach the collector.
    pub(super) fn lose(&self, count: u64) {
        self.dropped.fetch_add(count, Relaxed);
    }

    /// Entries that did not reach the collector so far.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Relaxed)
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for LogRecords {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LogRecords({} wait)", self.lock().lines.len())
    }
}
