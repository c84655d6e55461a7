//! What can go wrong at a port, named by fault.

use std::fmt;
use std::sync::Arc;

use crate::{Key, Space};

/// Which bound of the ports a request broke. The request was not executed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Limit {
    /// A key's length, at most [`Key::MAX_BYTES`].
    KeyBytes,
    /// A key without bytes.
    EmptyKey,
    /// A value's length, at most [`Batch::MAX_VALUE_BYTES`](crate::Batch::MAX_VALUE_BYTES).
    ValueBytes,
    /// Writes of one batch, at most [`Batch::MAX_WRITES`](crate::Batch::MAX_WRITES); conditions likewise.
    BatchWrites,
    /// Keys and values of one batch together, at most [`Batch::MAX_BYTES`](crate::Batch::MAX_BYTES).
    BatchBytes,
    /// A journal body's length, at most [`Append::MAX_BODY_BYTES`](crate::Append::MAX_BODY_BYTES).
    BodyBytes,
    /// A recipient's tag, at most [`Recipient::MAX_TAG_BYTES`](crate::Recipient::MAX_TAG_BYTES).
    TagBytes,
    /// Records of one journal append, counted per recipient, at most [`Append::MAX_RECORDS`](crate::Append::MAX_RECORDS).
    AppendRecords,
    /// Bodies of one journal append together, at most [`Append::MAX_BYTES`](crate::Append::MAX_BYTES).
    AppendBytes,
    /// A topic or filter on the bus, at most 1 KiB.
    TopicBytes,
}

/// Why a port did not do as asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoreError {
    /// The backend cannot serve now. A write that got this answer may or may not have happened: read before retrying.
    Unavailable {
        /// For the operator: what failed and what to do.
        reason: Arc<str>,
    },
    /// The request is larger than the ports allow. Nothing happened.
    Limit {
        /// Which bound.
        what: Limit,
        /// What was asked for.
        size: usize,
        /// What is allowed.
        limit: usize,
    },
    /// A stored record does not have the shape its keyspace expects, or a value has no JSON form.
    Unreadable {
        /// The record's space.
        space: Space,
        /// The record's key.
        key: Key,
        /// What the decoder said.
        detail: Arc<str>,
    },
}

impl StoreError {
    /// An [`StoreError::Unavailable`].
    pub fn unavailable(reason: impl Into<Arc<str>>) -> Self {
        Self::Unavailable { reason: reason.into() }
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unavailable { reason } => write!(f, "the store is unavailable: {reason}"),
            Self::Limit { what, size, limit } => {
                write!(f, "the store refused a request: {} {size}, at most {limit}", what.noun())
            }
            Self::Unreadable { space, key, detail } => {
                write!(f, "record {key} of {space} is not what this version expects: {detail}")
            }
        }
    }
}

impl std::error::Error for StoreError {}

impl Limit {
    fn noun(self) -> &'static str {
        match self {
            Self::KeyBytes | Self::EmptyKey => "key bytes",
            Self::ValueBytes => "value bytes",
            Self::BatchWrites => "writes in one batch",
            Self::BatchBytes => "bytes in one batch",
            Self::BodyBytes => "message body bytes",
            Self::TagBytes => "recipient tag bytes",
            Self::AppendRecords => "records in one append",
            Self::AppendBytes => "bytes in one append",
            Self::TopicBytes => "topic bytes",
        }
    }

    /// `Ok` when `size` is within `limit`.
    ///
    /// # Errors
    /// [`StoreError::Limit`] when it is not.
    pub fn admit(self, size: usize, limit: usize) -> Result<(), StoreError> {
        if size > limit { Err(StoreError::Limit { what: self, size, limit }) } else { Ok(()) }
    }
}

/// Why a batch was not committed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CommitError {
    /// A condition does not hold: somebody else was there first. Nothing was written. Read again and decide again.
    Conflict {
        /// The space of the first condition that failed, in the order in which they were added.
        space: Space,
        /// Its key.
        key: Key,
    },
    /// The store failed.
    Store(StoreError),
}

impl fmt::Display for CommitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Conflict { space, key } => {
                write!(f, "record {key} of {space} was changed by someone else; nothing was written")
            }
            Self::Store(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for CommitError {}

impl From<StoreError> for CommitError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// Why a feed has no next change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FeedError {
    /// Changes were lost to this follower, which asked too late or for a revision this store does not remember.
    /// The feed has moved to the present: scan everything again, then call `next` again.
    Lagged,
    /// The store is closed; there will be no more changes.
    Closed,
}

impl fmt::Display for FeedError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Lagged => "the follower of the store's feed fell behind and must read everything again",
            Self::Closed => "the store is closed",
        })
    }
}

impl std::error::Error for FeedError {}
