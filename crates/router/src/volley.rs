//! Messages that follow each other and go to the same receivers, so that each receiver is entered once for all of them.

use smallvec::SmallVec;

use crate::matches::{Matches, Route, Target};

/// What waits, and where all of it goes.
#[derive(Debug)]
pub struct Volley<T, M> {
    matches: Matches<T>,
    /// Where the next message goes, if something waits that may go elsewhere.
    next: Matches<T>,
    messages: SmallVec<[M; 4]>,
}

impl<T, M> Default for Volley<T, M> {
    fn default() -> Self {
        Self::new(Matches::default())
    }
}

impl<T, M> Volley<T, M> {
    /// With an outcome that is known from before.
    pub fn new(matches: Matches<T>) -> Self {
        Self { matches, next: Matches::default(), messages: SmallVec::new() }
    }

    /// What may be known from now on.
    pub fn end(mut self) -> Matches<T> {
        self.matches.release();
        self.matches
    }

    /// True if something waits.
    pub fn is_loaded(&self) -> bool {
        !self.messages.is_empty()
    }

    /// Where what waits goes.
    pub const fn matches(&self) -> &Matches<T> {
        &self.matches
    }

    /// What waits, in its order.
    pub fn messages(&self) -> &[M] {
        &self.messages
    }

    /// Where the next match is to be put.
    pub fn ahead(&mut self) -> &mut Matches<T> {
        if self.is_loaded() { &mut self.next } else { &mut self.matches }
    }

    /// What was found for the next message counts, now that nothing waits.
    pub fn turn(&mut self) {
        std::mem::swap(&mut self.matches, &mut self.next);
    }

    /// One more message that waits; how many there are.
    pub fn load(&mut self, message: M) -> usize {
        self.messages.push(message);
        self.messages.len()
    }

    /// All is delivered.
    pub fn clear(&mut self) {
        self.messages.clear();
    }
}

impl<T: Target, M> Volley<T, M> {
    /// Whether the next message may wait with the others: nothing waits, or all go to one receiver, by subscriptions that
    /// differ in nothing.
    pub fn goes_the_same_way(&self) -> bool {
        if !self.is_loaded() {
            return true;
        }
        match (&*self.matches.direct, &*self.next.direct) {
            ([one], [other]) => {
                self.matches.shared.is_empty() && self.next.shared.is_empty() && is_same(one, other)
            }
            _ => false,
        }
    }
}

fn is_same<T: Target>(one: &Route<T>, other: &Route<T>) -> bool {
    one.target.is_same(&other.target)
        && (one.qos, one.no_local, one.retain_as_published)
            == (other.qos, other.no_local, other.retain_as_published)
        && one.identifiers == other.identifiers
}
