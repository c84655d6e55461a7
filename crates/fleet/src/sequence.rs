//! Which messages of one publisher have arrived at one subscriber: a sliding window of bits, so that memory stays
//! bounded however long the run is.

/// Messages back from the newest that can still be told apart. More than any publisher has on its way.
const REACH: u64 = 1024;
const WORD: u64 = u64::BITS as u64;

/// What an arrival means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrival {
    /// Newer than all before. `advance`: how far the newest moved; more than 1 = messages are missing in between.
    Newest {
        /// At least 1.
        advance: u64,
    },
    /// One of the missing, out of order.
    Late,
    /// Arrived before.
    Duplicate,
    /// Too old to know.
    Forgotten,
}

/// The arrivals of one publisher's messages, numbered from 0.
#[derive(Clone, Debug, Default)]
pub struct Sequence {
    /// One more than the newest; 0 = nothing has arrived.
    next: u64,
    /// Bit `n % REACH` belongs to message n.
    seen: [u64; (REACH / WORD) as usize],
}

impl Sequence {
    /// Records an arrival and says what it means.
    pub fn arrive(&mut self, number: u64) -> Arrival {
        if number >= self.next {
            let advance = number.saturating_sub(self.next).saturating_add(1);
            self.forget(advance);
            self.next = number.saturating_add(1);
            self.mark(number);
            return Arrival::Newest { advance };
        }
        if self.next - number > REACH {
            return Arrival::Forgotten;
        }
        if self.mark(number) { Arrival::Late } else { Arrival::Duplicate }
    }

    /// Clears the bits of the messages that come into reach.
    fn forget(&mut self, advance: u64) {
        if advance >= REACH {
            self.seen = Default::default();
            return;
        }
        for number in self.next..self.next.saturating_add(advance) {
            let (word, bit) = place(number);
            if let Some(word) = self.seen.get_mut(word) {
                *word &= !bit;
            }
        }
    }

    /// Sets the bit; true if it was clear.
    fn mark(&mut self, number: u64) -> bool {
        let (word, bit) = place(number);
        let Some(word) = self.seen.get_mut(word) else { return false };
        let fresh = *word & bit == 0;
        *word |= bit;
        fresh
    }
}

const fn place(number: u64) -> (usize, u64) {
    let slot = number % REACH;
    ((slot / WORD) as usize, 1 << (slot % WORD))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn in_order() {
        let mut sequence = Sequence::default();
        for number in 0..5_000 {
            assert_eq!(sequence.arrive(number), Arrival::Newest { advance: 1 });
        }
        assert_eq!(sequence.arrive(4_999), Arrival::Duplicate);
        assert_eq!(sequence.arrive(4_999 - REACH + 1), Arrival::Duplicate);
        assert_eq!(sequence.arrive(4_999 - REACH), Arrival::Forgotten);
    }

    #[test]
    fn a_gap_is_told_and_may_be_filled_once() {
        let mut sequence = Sequence::default();
        assert_eq!(sequence.arrive(2), Arrival::Newest { advance: 3 });
        assert_eq!(sequence.arrive(0), Arrival::Late);
        assert_eq!(sequence.arrive(0), Arrival::Duplicate);
        assert_eq!(sequence.arrive(1), Arrival::Late);
        assert_eq!(sequence.arrive(3), Arrival::Newest { advance: 1 });
    }

    #[test]
    fn a_leap_forgets_everything() {
        let mut sequence = Sequence::default();
        sequence.arrive(0);
        assert_eq!(sequence.arrive(10 * REACH), Arrival::Newest { advance: 10 * REACH });
        assert_eq!(sequence.arrive(10 * REACH - 1), Arrival::Late);
        assert_eq!(sequence.arrive(0), Arrival::Forgotten);
        assert_eq!(sequence.arrive(u64::MAX), Arrival::Newest { advance: u64::MAX - 10 * REACH });
    }

    /// Against a set that remembers everything.
    #[test]
    fn agrees_with_a_set() {
        let (mut sequence, mut set, mut newest) = (Sequence::default(), HashSet::new(), 0_u64);
        let mut state = 42_u64;
        for _ in 0..100_000 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let number = (newest + (state >> 33) % 40).saturating_sub(30);
            let fresh = set.insert(number);
            match sequence.arrive(number) {
                Arrival::Newest { .. } => newest = number,
                Arrival::Late => assert!(fresh),
                Arrival::Duplicate => assert!(!fresh),
                Arrival::Forgotten => panic!("{number} is within reach of {newest}"),
            }
        }
    }
}
