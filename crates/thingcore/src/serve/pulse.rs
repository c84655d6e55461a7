//! How the house itself fares: what waits to be written, how long the disk takes, how late tasks run, how much memory
//! there is in use.

use std::sync::Arc;

use broker::Broker;
use store_redb::RedbStore;
use telemetry::{LoopLag, MetricsObserver, resident_bytes};

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
    metrics.watch_gauge("thingcore_resident_memory_bytes", "Resident memory of the process", resident_bytes);
    let lag = LoopLag::measure();
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
