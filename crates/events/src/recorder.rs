//! An observer for tests: it remembers what it was told.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use identity::Timestamp;

use crate::{Event, Kind, Observer};

/// One remembered event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// When.
    pub at: Timestamp,
    /// What kind.
    pub kind: Kind,
    /// The sentence.
    pub text: String,
}

/// Remembers the last events, as sentences. For tests: it formats everything.
#[derive(Debug)]
pub struct Recorder {
    seen: Mutex<VecDeque<Seen>>,
    most: usize,
}

impl Recorder {
    /// Remembers at most the last `most` events.
    pub fn new(most: usize) -> Self {
        Self { seen: Mutex::default(), most }
    }

    /// What is remembered, oldest first.
    pub fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }

    /// The kinds of what is remembered.
    pub fn kinds(&self) -> Vec<Kind> {
        self.seen().into_iter().map(|seen| seen.kind).collect()
    }

    /// The sentences of one kind.
    pub fn texts(&self, kind: Kind) -> Vec<String> {
        self.seen().into_iter().filter(|seen| seen.kind == kind).map(|seen| seen.text).collect()
    }

    /// Forgets everything.
    pub fn clear(&self) {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

impl Observer for Recorder {
    fn observe(&self, at: Timestamp, event: &Event<'_>) {
        let seen = Seen { at, kind: event.kind(), text: event.to_string() };
        let mut list = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if list.len() >= self.most {
            list.pop_front();
        }
        list.push_back(seen);
    }
}
