//! The one clock of the process.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use identity::Timestamp;
use tokio::time::Instant;

/// Wall-clock time read once at the start, moved on by the monotone clock: it never runs backwards and never jumps, so
/// that timers, expiry and durations agree whatever happens to the system's clock.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    epoch: Timestamp,
    started: Instant,
}

impl Clock {
    /// Reads the wall clock.
    pub fn start() -> Self {
        Self { epoch: wall(), started: Instant::now() }
    }

    /// Now, monotone. This is the time that engines are told.
    pub fn now(&self) -> Timestamp {
        self.epoch + self.started.elapsed()
    }

    /// What the system's clock says. For comparing with times that others wrote: validity of certificates, signatures.
    pub fn wall(&self) -> Timestamp {
        wall()
    }

    /// The moment for tokio's timers at which [`Self::now`] reaches `time`. Times beyond a year are a year away.
    pub fn instant(&self, time: Timestamp) -> Instant {
        const FAR: Duration = Duration::from_secs(365 * 24 * 3600);
        let now = Instant::now();
        let at = self.started.checked_add(time.since(self.epoch));
        at.map_or(now + FAR, |at| at.min(now + FAR))
    }
}

fn wall() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_clock_and_the_timers_agree() {
        let clock = Clock::start();
        let due = clock.now() + Duration::from_millis(1500);
        tokio::time::sleep_until(clock.instant(due)).await;
        assert!(clock.now() >= due);
        assert!(clock.now().since(due) < Duration::from_millis(5));
    }

    #[tokio::test(start_paused = true)]
    async fn never_is_far_away_and_no_overflow() {
        let clock = Clock::start();
        assert!(clock.instant(Timestamp::NEVER) > Instant::now() + Duration::from_secs(3600));
    }
}
