//! How the house itself fares: what waits to be written, how long the disk takes, how late tasks run, how much memory
//! there is in use.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use broker::Broker;
use store_redb::RedbStore;
use telemetry::MetricsObserver;
use tokio::time::Instant;

/// How often the lag of the devices' threads is measured.
const BEAT: Duration = Duration::from_millis(250);
/// Beats of which the slowest is shown.
const BEATS: u32 = 40;

/// Puts these numbers among the metrics.
pub fn show(metrics: &MetricsObserver, broker: &Broker, store: &Arc<RedbStore>) {
    let (jobs, bytes) = (broker.clone(), broker.clone());
    metrics.watch_gauge(
        "thingcore_waiting_writes",
        "Groups of messages and records that wait to be made durable",
        move || signed(jobs.waiting_writes().0 as u64),
    );
    metrics.watch_gauge("thingcore_waiting_write_bytes", "Bytes that wait to be made durable", move || {
        signed(bytes.waiting_writes().1 as u64)
    });
    show_store(metrics, store);
    metrics.watch_gauge("thingcore_resident_memory_bytes", "Resident memory of the process", resident);
    let lag = Lag::measure();
    metrics.watch_gauge(
        "thingcore_loop_lag_microseconds",
        "The latest that a task of the devices' threads ran in the last ten seconds",
        move || signed(lag.slowest()),
    );
}

fn show_store(metrics: &MetricsObserver, store: &Arc<RedbStore>) {
    let (waiting, groups, writes, time) = (store.clone(), store.clone(), store.clone(), store.clone());
    metrics.watch_gauge("thingcore_store_waiting", "Writes that wait for the store", move || {
        signed(waiting.waiting() as u64)
    });
    metrics.watch_counter("thingcore_store_commits", "Groups that the disk confirmed", move || {
        groups.activity().groups
    });
    metrics
        .watch_counter("thingcore_store_writes", "Writes in those groups", move || writes.activity().writes);
    metrics.watch_counter(
        "thingcore_store_commit_microseconds",
        "Time that those groups took, from the first write to the disk's confirmation",
        move || time.activity().commit_microseconds,
    );
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// Resident bytes; 0 where the system does not tell.
fn resident() -> i64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = line.and_then(|line| line.split_whitespace().next()?.parse::<i64>().ok());
    kilobytes.unwrap_or(0).saturating_mul(1024)
}

/// How late a task that wants to run every quarter of a second does run.
struct Lag {
    /// Of the present ten seconds, and of those before, in microseconds.
    slowest: [AtomicU64; 2],
}

impl Lag {
    /// Measures on the runtime that this is called in, for as long as somebody holds it.
    fn measure() -> Arc<Self> {
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

    fn slowest(&self) -> u64 {
        let [present, before] = &self.slowest;
        present.load(Relaxed).max(before.load(Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_slowest_of_two_spans_is_shown() {
        let lag = Lag { slowest: [AtomicU64::new(0), AtomicU64::new(0)] };
        lag.note(Duration::from_micros(9), false);
        lag.note(Duration::from_micros(3), true);
        assert_eq!(lag.slowest(), 9);
        lag.note(Duration::from_micros(1), true);
        assert_eq!(lag.slowest(), 3);
    }

    #[test]
    fn this_process_has_memory() {
        assert!(resident() > 0 || !cfg!(target_os = "linux"));
    }
}
