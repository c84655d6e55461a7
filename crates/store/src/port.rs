//! The record store's port: versioned keys, conditional batches, an ordered feed of changes.
//!
//! Written so that an embedded file and a replicated stream can both stand behind it. What that costs the caller:
//! the keys of one batch may get different revisions (take the token for the next condition from a read, not from
//! the commit), a deletion of something absent may or may not be reported, and revisions have gaps.

use std::future::Future;
use std::pin::Pin;

use bytes::Bytes;

use crate::{Batch, Change, CommitError, Entry, FeedError, Revision, Space, StoreError, Versioned};

/// The future of an object-safe async method.
pub type Boxed<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Keeps records by space and key.
///
/// Reads see every batch whose commit was acknowledged before they began. Nothing happens before a future is
/// polled; a commit whose future is dropped half-way may or may not have happened.
pub trait Store: Send + Sync {
    /// The record under exactly this key.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    fn get<'a>(&'a self, space: Space, key: &'a [u8]) -> Boxed<'a, Result<Option<Versioned>, StoreError>>;

    /// A page of records whose keys begin with `prefix` and are greater than `after`, in ascending order of bytes.
    ///
    /// A page holds at most `limit` records, at most [`PAGE_RECORDS`], and ends early when it has more than
    /// [`PAGE_BYTES`] of values; so a short page is not the end, an empty page is. Continue with the last key.
    /// Pages are read one after the other, not from one snapshot.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    fn scan<'a>(
        &'a self,
        space: Space,
        prefix: &'a [u8],
        after: Option<&'a [u8]>,
        limit: usize,
    ) -> Boxed<'a, Result<Vec<Entry>, StoreError>>;

    /// Writes the whole batch, if all its conditions hold, and answers when it is durable.
    ///
    /// The answer is the store's revision with this batch in it: a feed that starts there does not repeat it. A
    /// batch without writes only checks, and answers the current revision.
    ///
    /// # Errors
    /// [`CommitError::Conflict`] with the first condition that failed; limits; unavailability, after which the
    /// batch may or may not have been written.
    fn commit(&self, batch: Batch) -> Boxed<'_, Result<Revision, CommitError>>;

    /// The revision of the last committed batch.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    fn revision(&self) -> Boxed<'_, Result<Revision, StoreError>>;

    /// Every change after `after`, for ever.
    ///
    /// To follow from the beginning: take [`Store::revision`], open the feed there, scan, then apply the feed;
    /// what the scan already saw comes again and is harmless.
    fn feed(&self, after: Revision) -> Box<dyn Feed>;
}

/// The most records in one page of a scan.
pub const PAGE_RECORDS: usize = 1_000;
/// A page of a scan ends once its values exceed this many bytes.
pub const PAGE_BYTES: usize = 4 << 20;

/// Whether a page with `records` rows and `bytes` of values takes another row, when `limit` were asked for.
#[must_use]
pub fn page_takes_more(limit: usize, records: usize, bytes: usize) -> bool {
    records < limit.min(PAGE_RECORDS) && bytes <= PAGE_BYTES
}

/// A follower's place in the change stream.
pub trait Feed: Send {
    /// Waits for changes and answers them in the order of their commits, whole batches at a time, never empty.
    ///
    /// To resume later, even over another feed, remember the last change's revision.
    ///
    /// # Errors
    /// [`FeedError::Lagged`]: scan again and go on; [`FeedError::Closed`]: stop.
    fn next(&mut self) -> Boxed<'_, Result<Vec<Change>, FeedError>>;
}

/// The bytes of a change that a bounded buffer has to count.
#[must_use]
pub fn change_bytes(change: &Change) -> usize {
    change.key.len() + change.value.as_ref().map_or(0, Bytes::len)
}
