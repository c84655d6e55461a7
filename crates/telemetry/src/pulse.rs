//! How the process fares: how late tasks run on a runtime, how much memory there is in use.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use tokio::time::Instant;

/// How often the lag is measured.
const BEAT: Duration = Duration::from_millis(250);
/// Beats of which the slowest is shown.
const BEATS: u32 = 40;

/// Resident bytes of this process; 0 where the system does not tell.
pub fn resident_bytes() -> i64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = line.and_then(|line| line.split_whitespace().next()?.parse::<i64>().ok());
    kilobytes.unwrap_or(0).saturating_mul(1024)
}

/// How late a task that wants to run every quarter of a second does run.
#[derive(Debug)]
pub struct LoopLag {
    /// Of the present ten seconds, and of those before, in microseconds.
    slowest: [AtomicU64; 2],
}

impl LoopLag {
    /// Measures on the runtime that this is called in, for as long as somebody holds it.
    pub fn measure() -> Arc<Self> {
        let lag = Arc::new(Self { slowest: [AtomicU64::new(0), AtomicU64::new(0)] });
        let weak = Arc::downgrade(&lag);
        tokio::spawn(async move {
            let mut beat = 0_u32;
            loop {
                let due = Instant::now() + BEAT;
                tokio::time::sleep_until(due).await;
                let Some(lag) = weak.upgrade() else { return };
                beat = (beat + 1) % BEATS;
                lag.note(due.elapsed(), beat == 0);
            }
        });
        lag
    }

    fn note(&self, late: Duration, turn: bool) {
        let [present, before] = &self.slowest;
        if turn {
            before.store(present.swap(0, Relaxed), Relaxed);
        }
        present.fetch_max(u64::try_from(late.as_micros()).unwrap_or(u64::MAX), Relaxed);
    }

    /// The latest that the task ran in the last ten to twenty seconds, microseconds.
    pub fn slowest(&self) -> u64 {
        let [present, before] = &self.slowest;
        present.load(Relaxed).max(before.load(Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_slowest_of_two_spans_is_shown() {
        let lag = LoopLag { slowest: [AtomicU64::new(0), AtomicU64::new(0)] };
        lag.note(Duration::from_micros(9), false);
        lag.note(Duration::from_micros(3), true);
        assert_eq!(lag.slowest(), 9);
        lag.note(Duration::from_micros(1), true);
        assert_eq!(lag.slowest(), 3);
    }

    #[test]
    fn this_process_has_memory() {
        assert!(resident_bytes() > 0 || !cfg!(target_os = "linux"));
    }
}
