//! Virtual time: it stands still until the world moves it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use identity::Timestamp;

/// When every world begins.
pub const START: Timestamp = Timestamp(1_800_000_000_000);

/// The clock of a world. Clones are the same clock.
#[derive(Clone, Debug)]
pub struct Clock(Arc<AtomicU64>);

impl Default for Clock {
    fn default() -> Self {
        Self(Arc::new(AtomicU64::new(START.millis())))
    }
}

impl Clock {
    /// What time it is.
    pub fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::Relaxed))
    }

    /// Moves it forward; it never runs back.
    pub fn move_to(&self, then: Timestamp) {
        self.0.fetch_max(then.millis(), Ordering::Relaxed);
    }

    /// Moves it forward by so much.
    pub fn pass(&self, time: Duration) {
        self.move_to(self.now() + time);
    }
}
