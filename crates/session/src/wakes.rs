//! Whom to wake when a publisher's wake is carried out: a receiver that is woken at its first message would come for each
//! message by itself, while the publisher still holds the next one for it.

use std::task::Waker;

/// Receivers of one wake; all are woken when it is dropped.
#[derive(Debug, Default)]
pub struct Wakes(Vec<Waker>);

/// Beyond so many some are woken early, so that a large fan-out begins to be written while it goes on.
const MOST: usize = 64;

impl Wakes {
    /// Its receiver has something to write.
    #[inline]
    pub fn add(&mut self, waker: Option<Waker>) {
        if self.0.len() >= MOST {
            self.now();
        }
        self.0.extend(waker);
    }

    fn now(&mut self) {
        self.0.drain(..).for_each(Waker::wake);
    }
}

impl Drop for Wakes {
    #[inline]
    fn drop(&mut self) {
        self.now();
    }
}
