//! For backends: the bounded memory of recent changes from which feeds are served, and the feed itself.

use std::collections::{BTreeMap, VecDeque};
use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use crate::port::change_bytes;
use crate::{Boxed, Change, Feed, FeedError, Revision};

/// How much [`Recent`] remembers for a follower that lags. The oldest whole batches are forgotten first. What every
/// follower has had is forgotten sooner: see [`TAIL`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Memory {
    /// The most changes.
    pub changes: usize,
    /// The most bytes of their keys and values.
    pub bytes: usize,
}

impl Default for Memory {
    fn default() -> Self {
        Self { changes: 16_384, bytes: 32 << 20 }
    }
}

/// So much is remembered although every follower has had it: for one that begins where it has just read.
pub const TAIL: Memory = Memory { changes: 1024, bytes: 1 << 20 };

struct Committed {
    revision: Revision,
    changes: Vec<Change>,
    bytes: usize,
}

/// Recent changes, in order, and who waits for the next. No lock, no clock: the backend puts it behind its own.
pub struct Recent {
    memory: Memory,
    batches: VecDeque<Committed>,
    changes: usize,
    bytes: usize,
    /// Followers at or after this revision have lost nothing.
    floor: Revision,
    latest: Revision,
    waiting: BTreeMap<u64, Waker>,
    /// Up to where each follower has come, by ticket.
    places: BTreeMap<u64, Revision>,
    next_ticket: u64,
    closed: bool,
}

/// The most changes in one answer of a feed, unless a single batch has more.
const ANSWER_CHANGES: usize = 1_000;

impl Recent {
    /// Remembers nothing yet; the store is at `start`.
    #[must_use]
    pub fn new(memory: Memory, start: Revision) -> Self {
        Self {
            memory,
            batches: VecDeque::new(),
            changes: 0,
            bytes: 0,
            floor: start,
            latest: start,
            waiting: BTreeMap::new(),
            places: BTreeMap::new(),
            next_ticket: 0,
            closed: false,
        }
    }

    /// The last revision published.
    #[must_use]
    pub fn latest(&self) -> Revision {
        self.latest
    }

    /// Adds a committed batch; call it in the order of the commits. Wake what it returns, outside your lock.
    #[must_use]
    pub fn publish(&mut self, revision: Revision, changes: Vec<Change>) -> Vec<Waker> {
        let bytes = changes.iter().map(change_bytes).sum();
        self.latest = revision;
        self.changes += changes.len();
        self.bytes += bytes;
        self.batches.push_back(Committed { revision, changes, bytes });
        self.forget();
        self.take_waiting()
    }

    /// The store is at `revision` and how it got there is unknown: every follower that is elsewhere has lagged. Wake
    /// what it returns.
    #[must_use]
    pub fn jump(&mut self, revision: Revision) -> Vec<Waker> {
        if revision == self.latest {
            return Vec::new();
        }
        self.batches.clear();
        (self.changes, self.bytes) = (0, 0);
        (self.floor, self.latest) = (revision, revision);
        self.take_waiting()
    }

    /// No more changes will come. Wake what it returns.
    #[must_use]
    pub fn close(&mut self) -> Vec<Waker> {
        self.closed = true;
        self.take_waiting()
    }

    fn forget(&mut self) {
        let exceeds =
            |changes: usize, bytes: usize, most: Memory| changes > most.changes || bytes > most.bytes;
        let seen = self.places.values().min().copied().unwrap_or(self.latest);
        while let Some(oldest) = self.batches.front() {
            let (changes, bytes) = (self.changes, self.bytes);
            let is_spare = exceeds(changes, bytes, TAIL) && oldest.revision <= seen;
            if !is_spare && !exceeds(changes, bytes, self.memory) {
                return;
            }
            let Some(oldest) = self.batches.pop_front() else { return };
            self.changes -= oldest.changes.len();
            self.bytes -= oldest.bytes;
            self.floor = oldest.revision;
        }
    }

    fn take_waiting(&mut self) -> Vec<Waker> {
        std::mem::take(&mut self.waiting).into_values().collect()
    }

    /// A follower begins after `after`.
    fn enter(&mut self, after: Revision) -> Place {
        self.next_ticket += 1;
        self.places.insert(self.next_ticket, after);
        Place { after, ticket: self.next_ticket }
    }

    fn poll(&mut self, place: &mut Place, context: &Context<'_>) -> Poll<Result<Vec<Change>, FeedError>> {
        let answer = self.answer(place, context);
        self.places.insert(place.ticket, place.after);
        answer
    }

    fn answer(&mut self, place: &mut Place, context: &Context<'_>) -> Poll<Result<Vec<Change>, FeedError>> {
        if place.after < self.floor || place.after > self.latest {
            place.after = self.latest;
            return Poll::Ready(Err(FeedError::Lagged));
        }
        let changes = self.collect(place);
        if !changes.is_empty() {
            return Poll::Ready(Ok(changes));
        }
        if self.closed {
            return Poll::Ready(Err(FeedError::Closed));
        }
        self.wait(place, context);
        Poll::Pending
    }

    fn collect(&self, place: &mut Place) -> Vec<Change> {
        let first = self.batches.partition_point(|batch| batch.revision <= place.after);
        let mut changes = Vec::new();
        for batch in self.batches.range(first..) {
            if !changes.is_empty() && changes.len() + batch.changes.len() > ANSWER_CHANGES {
                break;
            }
            changes.extend(batch.changes.iter().cloned());
            place.after = batch.revision;
        }
        changes
    }

    fn wait(&mut self, place: &Place, context: &Context<'_>) {
        self.waiting
            .entry(place.ticket)
            .and_modify(|waker| waker.clone_from(context.waker()))
            .or_insert_with(|| context.waker().clone());
    }

    /// Answers the waker so that it is dropped outside the lock: dropping one may run anything.
    fn leave(&mut self, place: &Place) -> Option<Waker> {
        self.places.remove(&place.ticket);
        self.waiting.remove(&place.ticket)
    }
}

struct Place {
    after: Revision,
    ticket: u64,
}

/// Where a backend keeps its [`Recent`].
pub trait Remembers: Send + Sync + 'static {
    /// Runs `look` under the backend's lock.
    fn with_recent<R>(&self, look: impl FnOnce(&mut Recent) -> R) -> R;
}

/// The [`Feed`] of any backend that [`Remembers`].
pub struct Follower<S: Remembers> {
    source: Arc<S>,
    place: Place,
}

impl<S: Remembers> Follower<S> {
    /// Follows from `after`.
    #[must_use]
    pub fn new(source: Arc<S>, after: Revision) -> Self {
        let place = source.with_recent(|recent| recent.enter(after));
        Self { source, place }
    }
}

impl<S: Remembers> Feed for Follower<S> {
    fn next(&mut self) -> Boxed<'_, Result<Vec<Change>, FeedError>> {
        let Self { source, place } = self;
        Box::pin(poll_fn(move |context| source.with_recent(|recent| recent.poll(place, context))))
    }
}

impl<S: Remembers> Drop for Follower<S> {
    fn drop(&mut self) {
        drop(self.source.with_recent(|recent| recent.leave(&self.place)));
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::{Key, Space};

    fn change(revision: u64, value: &'static str) -> Change {
        Change {
            revision: Revision(revision),
            space: Space::new("s"),
            key: Key::of(&["k"]),
            value: Some(Bytes::from(value)),
        }
    }

    fn poll(recent: &mut Recent, place: &mut Place) -> Poll<Result<Vec<Change>, FeedError>> {
        recent.poll(place, &Context::from_waker(Waker::noop()))
    }

    #[test]
    fn forgets_by_bytes_as_well() {
        let mut recent = Recent::new(Memory { changes: 100, bytes: 12 }, Revision::ZERO);
        for revision in 1..=3 {
            let _ = recent.publish(Revision(revision), vec![change(revision, "1234")]);
        }
        assert_eq!((recent.changes, recent.bytes, recent.floor), (2, 12, Revision(1)));
        let mut place = recent.enter(Revision(1));
        assert_eq!(
            poll(&mut recent, &mut place),
            Poll::Ready(Ok(vec![change(2, "1234"), change(3, "1234")]))
        );
    }

    #[test]
    fn what_everybody_has_had_is_forgotten_but_for_a_tail() {
        let mut recent = Recent::new(Memory::default(), Revision::ZERO);
        let (mut fast, mut slow) = (recent.enter(Revision::ZERO), recent.enter(Revision::ZERO));
        for revision in 1..=3000 {
            let _ = recent.publish(Revision(revision), vec![change(revision, "a")]);
            assert!(poll(&mut recent, &mut fast).is_ready());
        }
        assert_eq!((recent.changes, recent.floor), (3000, Revision::ZERO), "one has seen nothing yet");
        while slow.after < Revision(3000) {
            assert!(matches!(poll(&mut recent, &mut slow), Poll::Ready(Ok(_))));
        }
        let _ = recent.publish(Revision(3001), vec![change(3001, "b")]);
        assert_eq!((recent.changes, recent.floor), (TAIL.changes, Revision(3001 - TAIL.changes as u64)));
        assert!(poll(&mut recent, &mut fast).is_ready());
        // The other has gone: it holds up nobody.
        assert!(recent.leave(&slow).is_none());
        let _ = recent.publish(Revision(3002), vec![change(3002, "c")]);
        assert_eq!(recent.changes, TAIL.changes);
    }

    #[test]
    fn a_follower_of_another_past_or_future_lags_once() {
        let mut recent = Recent::new(Memory::default(), Revision(10));
        for after in [3, 11] {
            let mut place = recent.enter(Revision(after));
            assert_eq!(poll(&mut recent, &mut place), Poll::Ready(Err(FeedError::Lagged)));
            assert!(poll(&mut recent, &mut place).is_pending());
        }
        assert_eq!(recent.take_waiting().len(), 2);
    }

    #[test]
    fn after_a_jump_everybody_lags() {
        let mut recent = Recent::new(Memory::default(), Revision::ZERO);
        let _ = recent.publish(Revision(1), vec![change(1, "a")]);
        let _ = recent.jump(Revision(5));
        let mut place = recent.enter(Revision(1));
        assert_eq!(poll(&mut recent, &mut place), Poll::Ready(Err(FeedError::Lagged)));
        let _ = recent.publish(Revision(6), vec![change(6, "b")]);
        assert_eq!(poll(&mut recent, &mut place), Poll::Ready(Ok(vec![change(6, "b")])));
        assert!(recent.jump(Revision(6)).is_empty());
    }

    #[test]
    fn answers_are_bounded_but_batches_whole() {
        let mut recent = Recent::new(Memory::default(), Revision::ZERO);
        let mut place = recent.enter(Revision::ZERO);
        let _ = recent.publish(Revision(1), vec![change(1, "a"); 600]);
        let _ = recent.publish(Revision(2), vec![change(2, "b"); 600]);
        for expected in 1..=2 {
            let Poll::Ready(Ok(changes)) = poll(&mut recent, &mut place) else { panic!("nothing came") };
            assert_eq!((changes.len(), changes[0].revision), (600, Revision(expected)));
        }
    }

    #[test]
    fn what_was_published_comes_before_the_end() {
        let mut recent = Recent::new(Memory::default(), Revision::ZERO);
        let _ = recent.publish(Revision(1), vec![change(1, "a")]);
        let _ = recent.close();
        let mut place = recent.enter(Revision::ZERO);
        assert_eq!(poll(&mut recent, &mut place), Poll::Ready(Ok(vec![change(1, "a")])));
        assert_eq!(poll(&mut recent, &mut place), Poll::Ready(Err(FeedError::Closed)));
    }
}
