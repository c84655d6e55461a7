//! What can be chosen when a store is opened.

use std::time::Duration;

/// How a store behaves. The defaults suit a broker on a small machine.
#[derive(Clone, Debug)]
pub struct Options {
    /// Bytes of the file kept in memory.
    pub cache_bytes: usize,
    /// The most writes that wait for the writer thread; further ones wait with their callers.
    pub backlog: usize,
    /// The most bytes of writes that wait for the writer thread.
    pub backlog_bytes: usize,
    /// The most writes in one group commit.
    pub group: usize,
    /// How long a group is filled, as long as writes keep coming.
    pub group_time: Duration,
    /// After a failed write the file is reopened; when that fails too, not again before this time.
    pub retry_after: Duration,
    /// How many changes the feed remembers.
    pub feed: store::recent::Memory,
    /// Gives unused space back to the file system while opening, which takes time in proportion to the file.
    pub compact: bool,
    /// Compares every page of the file with its checksum when it is opened the first time, which takes time in
    /// proportion to the file. Otherwise only a file that was not closed cleanly is looked at.
    pub verify: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            cache_bytes: 64 << 20,
            backlog: 4_096,
            backlog_bytes: 64 << 20,
            group: 4_000,
            group_time: Duration::from_millis(2),
            retry_after: Duration::from_secs(1),
            feed: store::recent::Memory::default(),
            compact: false,
            verify: false,
        }
    }
}
