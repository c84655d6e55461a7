//! The bytes that a connection is given: a second's worth at once, then as many as its rate brings back. The last of them
//! may be more than there was room for; then nothing follows until that is paid.

use dialect::Rate;
use identity::Timestamp;

/// What one connection was given. Counts in thousandths of a byte, which come back one for each of the rate's bytes and
/// millisecond.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Given {
    since: Timestamp,
    owes: u64,
    /// Given in the moment `since`.
    fresh: u64,
}

impl Given {
    /// So many bytes more, of a packet that is given now. How much was owed, if nothing should have been given.
    pub(super) fn more(&mut self, bytes: usize, rate: Rate, now: Timestamp) -> Result<(), String> {
        let Some(limit) = rate.limit().map(u64::from) else { return Ok(()) };
        if now > self.since {
            let passed = now.millis() - self.since.millis();
            self.owes = (self.owes + self.fresh).saturating_sub(limit.saturating_mul(passed));
            (self.since, self.fresh) = (now, 0);
        }
        self.fresh += bytes as u64 * 1000;
        // What is owed is more than a second's worth. A millisecond is what rounding may make of it.
        match self.owes > (1000 + 1) * limit {
            true => Err(format!("{} bytes beyond a second's worth were not paid", self.owes / 1000 - limit)),
            false => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_given_while_more_than_a_second_is_owed() {
        let (mut given, rate) = (Given::default(), Rate::per_second(2_000));
        let at = |millis: u64| Timestamp(5_000 + millis);
        assert_eq!(given.more(1_900, rate, at(0)), Ok(()));
        assert_eq!(given.more(3_000, rate, at(0)), Ok(()), "the last of them may be too much");
        assert!(given.more(10, rate, at(1_000)).is_err(), "2900 are owed");
        assert_eq!(given.more(10, rate, at(1_455)), Ok(()));
        assert_eq!(given.more(1_990, rate, at(9_000)), Ok(()), "it is all paid");
    }
}
