//! A write on its way to the disk, and the answer that somebody waits for.

use std::task::{Poll, Waker};

use store::memory::{MemoryJournal, MemoryStore};
use store::{
    Append, Batch, CommitError, Journal, Key, Position, Revision, Space, Store, StoreError, block_on,
};

/// A write.
#[derive(Clone)]
pub(super) enum Operation {
    /// Of records.
    Commit(Batch, Vec<Space>),
    /// Of messages.
    Append(Vec<Append>),
    /// Forgets messages.
    Trim(Key, Position),
}

/// What came of it.
pub(super) enum Outcome {
    Committed(Result<Revision, CommitError>),
    Appended(Result<Position, StoreError>),
    Trimmed(Result<(), StoreError>),
}

fn refusal() -> StoreError {
    StoreError::unavailable("the simulated disk failed")
}

impl Operation {
    pub(super) fn spaces(&self) -> Vec<Space> {
        match self {
            Self::Commit(_, spaces) => spaces.clone(),
            Self::Append(_) | Self::Trim(..) => Vec::new(),
        }
    }

    pub(super) fn refused(&self) -> Outcome {
        match self {
            Self::Commit(..) => Outcome::Committed(Err(refusal().into())),
            Self::Append(_) => Outcome::Appended(Err(refusal())),
            Self::Trim(..) => Outcome::Trimmed(Err(refusal())),
        }
    }

    pub(super) fn carry_out(self, store: &MemoryStore, journal: &MemoryJournal) -> Outcome {
        match self {
            Self::Commit(batch, _) => Outcome::Committed(block_on(store.commit(batch))),
            Self::Append(appends) => Outcome::Appended(block_on(journal.append(appends))),
            Self::Trim(key, upto) => Outcome::Trimmed(block_on(journal.trim(&key, upto))),
        }
    }
}

/// Somebody waits for an answer.
#[derive(Default)]
pub(super) struct Ticket {
    outcome: Option<Outcome>,
    /// It may be read.
    open: bool,
    waker: Option<Waker>,
}

impl Ticket {
    /// The write has landed.
    pub(super) fn fill(&mut self, outcome: Outcome) {
        self.outcome = Some(outcome);
    }

    /// The answer may be read.
    pub(super) fn open(&mut self) -> Option<Waker> {
        self.open = true;
        self.waker.take()
    }

    pub(super) fn poll(&mut self, waker: &Waker) -> Poll<Option<Outcome>> {
        if self.open {
            return Poll::Ready(self.outcome.take());
        }
        self.waker = Some(waker.clone());
        Poll::Pending
    }
}
