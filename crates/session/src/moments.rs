//! What happens later: sessions that end, wills that wait. A heap of moments; each is looked at when it comes, and
//! what has changed its mind in the meantime is simply not due.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::{Arc, Weak};

use identity::Timestamp;
use parking_lot::Mutex;

/// How many that are due one call brings, so that a mass expiry does not hold everybody up.
const AT_ONCE: usize = 1000;

/// As many moments as are always kept without looking which of them are still needed.
const FEW: usize = 64;

#[derive(Debug)]
struct Moment<T>(Timestamp, Weak<T>);

impl<T> PartialEq for Moment<T> {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

impl<T> Eq for Moment<T> {}

impl<T> PartialOrd for Moment<T> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> Ord for Moment<T> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.cmp(&other.0)
    }
}

/// The moments to come: at most twice as many as there were for somebody at the last look, or [`FEW`]. A moment keeps the
/// memory of whom it is for after that one has gone, and may have days to go.
#[derive(Debug)]
pub struct Moments<T> {
    waiting: Mutex<Waiting<T>>,
}

#[derive(Debug)]
struct Waiting<T> {
    moments: BinaryHeap<Reverse<Moment<T>>>,
    /// With so many moments those for nobody are thrown out.
    full: usize,
}

impl<T> Default for Moments<T> {
    fn default() -> Self {
        Self { waiting: Mutex::new(Waiting { moments: BinaryHeap::new(), full: FEW }) }
    }
}

impl<T> Waiting<T> {
    fn add(&mut self, moment: Moment<T>) {
        self.moments.push(Reverse(moment));
        if self.moments.len() > self.full {
            self.moments.retain(|Reverse(moment)| moment.1.strong_count() > 0);
            self.full = (self.moments.len() * 2).max(FEW);
        }
    }
}

impl<T> Moments<T> {
    /// Look at it again at `when`.
    pub fn arm(&self, when: Timestamp, whom: &Arc<T>) {
        if when < Timestamp::NEVER {
            self.waiting.lock().add(Moment(when, Arc::downgrade(whom)));
        }
    }

    /// Who is due, at most a thousand; the others at the next call.
    pub fn due(&self, now: Timestamp) -> Vec<Arc<T>> {
        let moments = &mut self.waiting.lock().moments;
        let mut due = Vec::new();
        while due.len() < AT_ONCE && moments.peek().is_some_and(|Reverse(moment)| moment.0 <= now) {
            let Some(Reverse(moment)) = moments.pop() else { break };
            due.extend(moment.1.upgrade());
        }
        due
    }

    /// How many moments there are.
    pub fn len(&self) -> usize {
        self.waiting.lock().moments.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// When the next one is due.
    pub fn next(&self) -> Timestamp {
        self.waiting.lock().moments.peek().map_or(Timestamp::NEVER, |Reverse(moment)| moment.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_due_comes_in_order_and_who_is_gone_does_not() {
        let (moments, [one, other, gone]) = (Moments::default(), ["one", "other", "gone"].map(Arc::new));
        moments.arm(Timestamp(20), &one);
        moments.arm(Timestamp(10), &other);
        moments.arm(Timestamp(5), &gone);
        moments.arm(Timestamp::NEVER, &one);
        drop(gone);
        assert_eq!((moments.len(), moments.next()), (3, Timestamp(5)));
        assert!(moments.due(Timestamp(9)).is_empty());
        assert_eq!(moments.due(Timestamp(20)).iter().map(|who| **who).collect::<Vec<_>>(), ["other", "one"]);
        assert_eq!((moments.is_empty(), moments.next()), (true, Timestamp::NEVER));
    }
    /// A client may come and go as often as it likes, and ask each time for a session of a day.
    #[test]
    fn who_is_gone_takes_no_room_until_its_moment() {
        let moments = Moments::default();
        let stays: Vec<_> = (0..200).map(Arc::new).collect();
        stays.iter().for_each(|who| moments.arm(Timestamp(1_000_000), who));
        for number in 0..10_000 {
            moments.arm(Timestamp(2_000_000 + number), &Arc::new(0));
            assert!(moments.len() <= 2 * (stays.len() + 1), "{} after {number}", moments.len());
        }
        assert_eq!(moments.due(Timestamp(1_000_000)).len(), stays.len());
    }
}
