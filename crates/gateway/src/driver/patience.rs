//! Whether a small output waits until the tasks that are ready now had their turn.
//!
//! A receiver is woken by each of its publishers, and would write what one of them has for it before the next one is
//! read: a system call and a TLS record for a handful of messages. If it lets the others go first, all that they have goes
//! out at once. Whether that is so is not known beforehand, so it is tried: a connection whose output grew while it
//! waited waits again, one that waited in vain stops, and tries it once in a while. To wait costs one turn of the
//! scheduler and no time: with nothing else to do the task goes on at once.

use super::OUTPUT_BYTES;

/// How often it is waited in vain after it was worth it.
const TRUST: u8 = 8;
/// Where it is not worth it, one output of so many tries it all the same.
const TRY: u8 = 64;

/// What a connection remembers of it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Patience {
    /// Bytes that wait already; 0 if none do.
    held: u16,
    /// The others have not had their turn yet.
    asleep: bool,
    trust: u8,
    untried: u8,
}

impl Patience {
    /// The task has its turn.
    pub(super) fn wakes(&mut self) {
        self.asleep = false;
    }

    /// True if this output is not to be written before the task's next turn, to which it must see.
    pub(super) fn waits(&mut self, bytes: usize) -> bool {
        if self.asleep {
            return true;
        }
        let held = usize::from(std::mem::take(&mut self.held));
        if bytes == 0 {
            return false;
        }
        if held > 0 {
            self.trust = if bytes > held { TRUST } else { self.trust.saturating_sub(1) };
            return false;
        }
        let small = u16::try_from(bytes).ok().filter(|_| bytes < OUTPUT_BYTES);
        let Some(small) = small.filter(|_| self.is_worth_it()) else { return false };
        (self.held, self.asleep) = (small, true);
        true
    }

    fn is_worth_it(&mut self) -> bool {
        self.untried = (self.untried + 1) % TRY;
        self.trust > 0 || self.untried == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What waits at the next turn of the task.
    fn turn(patience: &mut Patience, bytes: usize) -> bool {
        patience.wakes();
        patience.waits(bytes)
    }

    #[test]
    fn who_gains_by_waiting_waits_again_and_who_does_not_hardly_ever() {
        let mut patience = Patience::default();
        let tried = (0..640).filter(|_| turn(&mut patience, 100) && !turn(&mut patience, 100)).count();
        assert_eq!(tried, 10, "one of sixty-four");
        while !turn(&mut patience, 100) {}
        assert!(!turn(&mut patience, 200), "written, however little it is");
        for _ in 0..100 {
            assert!(turn(&mut patience, 100));
            assert!(!turn(&mut patience, 101));
        }
        let vain =
            (0..usize::from(TRUST)).filter(|_| turn(&mut patience, 100) && !turn(&mut patience, 100)).count();
        assert_eq!(vain, usize::from(TRUST));
        assert!(!turn(&mut patience, 100), "it gave up");
    }

    #[test]
    fn nothing_waits_for_nothing_and_what_is_much_does_not_wait() {
        let mut patience = Patience { trust: TRUST, ..Patience::default() };
        assert!(!turn(&mut patience, 0));
        assert!(!turn(&mut patience, OUTPUT_BYTES));
        assert!(!turn(&mut patience, 1 << 20));
        assert!(turn(&mut patience, 1));
        assert!(!turn(&mut patience, 0), "what was held went away");
        assert!(turn(&mut patience, 1), "and is no reason not to wait");
    }

    #[test]
    fn within_one_turn_nothing_changes() {
        let mut patience = Patience { trust: TRUST, ..Patience::default() };
        assert!(turn(&mut patience, 10));
        assert!(patience.waits(20) && patience.waits(OUTPUT_BYTES), "the others have not been there");
        assert!(!turn(&mut patience, 20));
    }
}
