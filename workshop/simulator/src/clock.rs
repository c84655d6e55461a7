//! Virtual time: it stands still until the world moves it. As in the product there are two clocks: the wall's, which somebody
//! may set back, and that of a process, which reads the wall when it starts, follows it forwards and never runs back.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use identity::Timestamp;

/// When every world begins.
pub const START: Timestamp = Timestamp(1_800_000_000_000);

/// The clock of a world. Clones are the same clock.
#[derive(Clone, Debug)]
pub struct Clock(Arc<Hands>);

#[derive(Debug)]
struct Hands {
    /// Of the process.
    now: AtomicU64,
    /// How far the wall is behind, milliseconds.
    behind: AtomicU64,
    /// Milliseconds that were lived through, whatever the clocks said.
    lived: AtomicU64,
}

impl Default for Clock {
    fn default() -> Self {
        Self(Arc::new(Hands {
            now: AtomicU64::new(START.millis()),
            behind: AtomicU64::new(0),
            lived: AtomicU64::new(0),
        }))
    }
}

impl Clock {
    /// What time it is for the process.
    pub fn now(&self) -> Timestamp {
        Timestamp(self.0.now.load(Ordering::Relaxed))
    }

    /// Moves it forward; it never runs back.
    pub fn move_to(&self, then: Timestamp) {
        let before = self.0.now.fetch_max(then.millis(), Ordering::Relaxed);
        self.0.lived.fetch_add(then.millis().saturating_sub(before), Ordering::Relaxed);
    }

    /// How much time went by, whatever the clocks said.
    pub fn lived(&self) -> Duration {
        Duration::from_millis(self.0.lived.load(Ordering::Relaxed))
    }

    /// Moves it forward by so much, and nobody lives through it.
    pub fn skip(&self, time: Duration) {
        self.0.now.fetch_add(millis(time), Ordering::Relaxed);
    }

    /// Moves it forward by so much.
    pub fn pass(&self, time: Duration) {
        self.move_to(self.now() + time);
    }

    /// The wall's clock jumps forward. The process follows it as far as it is ahead of it then.
    pub fn jump(&self, time: Duration) {
        let (ahead, behind) = (millis(time), self.0.behind.load(Ordering::Relaxed));
        self.0.behind.store(behind.saturating_sub(ahead), Ordering::Relaxed);
        self.pass(Duration::from_millis(ahead.saturating_sub(behind)));
    }

    /// The wall's clock is set back. A process that runs does not follow.
    pub fn set_back(&self, time: Duration) {
        self.0.behind.fetch_add(millis(time), Ordering::Relaxed);
    }

    /// A process starts and reads the wall: true if that is behind where the last one was.
    pub fn read_wall(&self) -> bool {
        let behind = self.0.behind.swap(0, Ordering::Relaxed);
        self.0.now.fetch_sub(behind, Ordering::Relaxed);
        behind > 0
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_follows_the_wall_forwards_and_only_the_next_one_is_behind() {
        let (clock, hour) = (Clock::default(), Duration::from_secs(3600));
        clock.set_back(hour);
        assert_eq!(clock.now(), START);
        clock.jump(hour / 2);
        assert_eq!(clock.now(), START, "the wall is still behind");
        clock.jump(hour);
        assert_eq!(clock.now(), START + hour / 2);
        assert!(!clock.read_wall());
        clock.set_back(hour);
        assert!(clock.read_wall());
        assert_eq!(clock.now() + hour / 2, START);
    }
}
