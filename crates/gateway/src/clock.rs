//! The one clock of the process.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use identity::Timestamp;
use tokio::time::Instant;

/// Wall-clock time read at the start, moved on by the monotone clock: it never runs backwards, so that timers, expiry
/// and durations agree whatever happens to the system's clock. Clones share it.
#[derive(Clone, Debug)]
pub struct Clock {
    /// What the wall showed when `started` was, in milliseconds since the epoch.
    epoch: Arc<AtomicU64>,
    started: Instant,
}

/// How far the wall clock may be ahead before [`Clock::follow_wall`] follows.
const SLACK: Duration = Duration::from_secs(2);

impl Clock {
    /// Reads the wall clock.
    pub fn start() -> Self {
        Self { epoch: Arc::new(AtomicU64::new(Self::wall().millis())), started: Instant::now() }
    }

    /// Now, monotone. This is the time that engines are told.
    pub fn now(&self) -> Timestamp {
        self.epoch() + self.started.elapsed()
    }

    /// What the system's clock says. For comparing with times that others wrote: validity of certificates, signatures.
    pub fn wall() -> Timestamp {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp::default() + since
    }

    /// Jumps forward if the wall clock is ahead: the machine slept, or learned the time after the start. To be called
    /// about once a second. Never jumps back.
    pub fn follow_wall(&self) {
        self.follow(Self::wall());
    }

    fn follow(&self, wall: Timestamp) {
        let ahead = wall.since(self.now());
        if ahead > SLACK {
            self.epoch.store((self.epoch() + ahead).millis(), Ordering::Relaxed);
        }
    }

    /// The moment for tokio's timers at which [`Self::now`] reaches `time`. Times beyond a year are a year away.
    pub fn instant(&self, time: Timestamp) -> Instant {
        const FAR: Duration = Duration::from_secs(365 * 24 * 3600);
        let now = Instant::now();
        let at = self.started.checked_add(time.since(self.epoch()));
        at.map_or(now + FAR, |at| at.min(now + FAR))
    }

    fn epoch(&self) -> Timestamp {
        Timestamp(self.epoch.load(Ordering::Relaxed))
    }
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
    async fn it_follows_the_wall_forwards_only() {
        let clock = Clock::start();
        let before = clock.now();
        clock.follow(Timestamp(before.millis() - 3_600_000));
        assert!(clock.now() >= before);
        clock.follow(before + Duration::from_secs(3600));
        assert_eq!(clock.now(), before + Duration::from_secs(3600));
        let due = clock.now() + Duration::from_secs(5);
        assert_eq!(clock.instant(due), Instant::now() + Duration::from_secs(5));
    }

    #[tokio::test(start_paused = true)]
    async fn never_is_far_away_and_no_overflow() {
        let clock = Clock::start();
        assert!(clock.instant(Timestamp::NEVER) > Instant::now() + Duration::from_secs(3600));
    }
}
