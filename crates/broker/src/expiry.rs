//! What happens later: sessions that end, wills that wait. A heap of moments; each is looked at when it comes, and
//! what has changed its mind in the meantime is simply not due.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::{Arc, Weak};

use identity::Timestamp;
use parking_lot::Mutex;

use crate::cell::Cell;

/// How many due cells one call looks at, so that a mass expiry does not hold everybody up.
const AT_ONCE: usize = 1000;

#[derive(Debug)]
struct Moment(Timestamp, Weak<Cell>);

impl PartialEq for Moment {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

impl Eq for Moment {}

impl PartialOrd for Moment {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Moment {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.cmp(&other.0)
    }
}

/// The moments to come.
#[derive(Debug, Default)]
pub(crate) struct Expiry {
    moments: Mutex<BinaryHeap<Reverse<Moment>>>,
}

impl Expiry {
    /// Look at the cell again at `when`.
    pub(crate) fn arm(&self, when: Timestamp, cell: &Arc<Cell>) {
        if when < Timestamp::NEVER {
            self.moments.lock().push(Reverse(Moment(when, Arc::downgrade(cell))));
        }
    }

    /// The cells that are due, at most [`AT_ONCE`].
    pub(crate) fn due(&self, now: Timestamp) -> Vec<Arc<Cell>> {
        let mut moments = self.moments.lock();
        let mut due = Vec::new();
        while due.len() < AT_ONCE && moments.peek().is_some_and(|Reverse(moment)| moment.0 <= now) {
            let Some(Reverse(moment)) = moments.pop() else { break };
            due.extend(moment.1.upgrade());
        }
        due
    }

    /// How many moments there are.
    pub(crate) fn len(&self) -> usize {
        self.moments.lock().len()
    }

    /// When the next one is due.
    pub(crate) fn next(&self) -> Timestamp {
        self.moments.lock().peek().map_or(Timestamp::NEVER, |Reverse(moment)| moment.0)
    }
}
