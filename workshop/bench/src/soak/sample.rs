//! What a soak looks like every few seconds: the broker's process as `/proc` tells, its files, and the books.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use fleet::{Latencies, Summary, Usage};
use serde_json::{Value, json};

use crate::soak::books::FlowReading;
use crate::soak::world::World;

/// One look.
#[derive(Clone, Debug, Default)]
pub struct Sample {
    /// Seconds since the load began.
    pub second: f64,
    /// Seconds since the look before.
    pub interval: f64,
    /// Bytes of the broker that are resident.
    pub resident: u64,
    /// Descriptors that it holds.
    pub descriptors: u64,
    /// Its threads.
    pub threads: u64,
    /// Bytes of its data folder.
    pub stored: u64,
    /// Cores that the broker took.
    pub broker_cores: f64,
    /// Cores that this generator took.
    pub own_cores: f64,
    /// Cores that others on this machine took.
    pub other_cores: f64,
    /// QoS 0 and QoS 1 in this interval.
    pub flows: [FlowReading; 2],
    /// From due to arrival, both kinds together.
    pub latency: Option<Summary>,
    /// The same as a coarse histogram, of [`fleet::BANDS`] bands.
    pub bands: Vec<u64>,
    /// QoS 1 alone.
    pub latency_qos1: Option<Summary>,
    /// Of those that came back in this interval.
    pub connects: Option<Summary>,
    /// Messages that were due since the load began and are not sent, so far.
    pub unsent: u64,
    /// Errors so far.
    pub errors: u64,
}

impl Sample {
    /// By name.
    pub fn to_json(&self) -> Value {
        let round = |value: f64| (value * 1_000.0).round() / 1_000.0;
        let flow = |flow: &FlowReading| json!([flow.sent, flow.delivered, flow.duplicated, flow.refused]);
        json!({
            "second": round(self.second), "interval": round(self.interval), "resident_bytes": self.resident,
            "descriptors": self.descriptors, "threads": self.threads, "stored_bytes": self.stored,
            "broker_cores": round(self.broker_cores), "generator_cores": round(self.own_cores),
            "other_cores": round(self.other_cores),
            "qos0_sent_delivered_duplicated_refused": self.flows.first().map(flow),
            "qos1_sent_delivered_duplicated_refused": self.flows.last().map(flow),
            "latency": self.latency.map(Summary::to_json),
            "latency_qos1": self.latency_qos1.map(Summary::to_json),
            "connects": self.connects.map(Summary::to_json), "unsent": self.unsent, "errors": self.errors,
        })
    }

    /// Messages that arrived, a second.
    pub fn rate(&self) -> f64 {
        let arrived: u64 = self.flows.iter().map(|flow| flow.delivered).sum();
        arrived as f64 / self.interval.max(0.001)
    }
}

/// Takes samples, and keeps what the next one needs of the last.
pub struct Sampler {
    pid: u32,
    data: PathBuf,
    begun: Instant,
    last: Instant,
    flows: [FlowReading; 2],
    broker: Duration,
    own: Duration,
    machine: Option<Duration>,
    /// Messages that were left unsent before the load began.
    unsent: u64,
    /// All latencies so far, both kinds, and QoS 1 alone.
    pub total: [Latencies; 2],
    /// All connects so far.
    pub connects: Latencies,
}

impl Sampler {
    /// Of this broker process, whose data are there.
    pub fn new(pid: u32, data: &Path, world: &World) -> Self {
        world.books.latencies.iter().for_each(|recorder| drop(recorder.take()));
        drop(world.books.connects.take());
        Self {
            pid,
            data: data.into(),
            begun: Instant::now(),
            last: Instant::now(),
            flows: world.books.readings(),
            broker: Usage::of(pid).unwrap_or_default().cpu,
            own: Usage::own().unwrap_or_default().cpu,
            machine: machine(),
            unsent: world.schedule.unsent(),
            total: Default::default(),
            connects: Latencies::new(),
        }
    }

    /// How it looks now.
    pub fn take(&mut self, world: &World) -> Sample {
        let now = Instant::now();
        let interval = (now - self.last).as_secs_f64().max(0.001);
        self.last = now;
        let usage = Usage::of(self.pid).unwrap_or_default();
        let own = Usage::own().unwrap_or_default().cpu;
        let whole = machine();
        let cores = |now: Duration, before: Duration| now.saturating_sub(before).as_secs_f64() / interval;
        let (broker_cores, own_cores) = (cores(usage.cpu, self.broker), cores(own, self.own));
        let machine_cores = whole.zip(self.machine).map_or(0.0, |(now, before)| cores(now, before));
        (self.broker, self.own, self.machine) = (usage.cpu, own, whole);
        let flows = world.books.readings();
        let since = std::array::from_fn(|at| match (flows.get(at), self.flows.get(at)) {
            (Some(now), Some(before)) => now.since(before),
            _ => FlowReading::default(),
        });
        self.flows = flows;
        let [all, qos1] = self.latencies(world);
        let connects = world.books.connects.take();
        self.connects.add(&connects);
        Sample {
            second: self.begun.elapsed().as_secs_f64(),
            interval,
            resident: usage.resident,
            descriptors: descriptors(self.pid),
            threads: threads(self.pid),
            stored: size(&self.data),
            broker_cores,
            own_cores,
            other_cores: (machine_cores - broker_cores - own_cores).max(0.0),
            flows: since,
            latency: all.summary(),
            bands: all.bands(),
            latency_qos1: qos1.summary(),
            connects: connects.summary(),
            unsent: world.schedule.unsent().saturating_sub(self.unsent),
            errors: world.books.errors(),
        }
    }

    fn latencies(&mut self, world: &World) -> [Latencies; 2] {
        let [qos0, qos1] = &world.books.latencies;
        let (mut all, qos1) = (qos0.take(), qos1.take());
        all.add(&qos1);
        let [total, total_qos1] = &mut self.total;
        total.add(&all);
        total_qos1.add(&qos1);
        [all, qos1]
    }
}

/// Descriptors of a process; 0 if it is gone.
pub fn descriptors(pid: u32) -> u64 {
    fs::read_dir(format!("/proc/{pid}/fd")).map_or(0, |entries| entries.count() as u64)
}

fn threads(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("Threads:"));
    line.and_then(|line| line.trim().parse().ok()).unwrap_or(0)
}

/// Time that all processors were busy, in ticks of 10 ms: everything of the first line but idle and waiting for disks.
fn machine() -> Option<Duration> {
    busy(&fs::read_to_string("/proc/stat").ok()?)
}

fn busy(stat: &str) -> Option<Duration> {
    let line = stat.lines().next()?.strip_prefix("cpu ")?;
    // user nice system idle iowait irq softirq steal; guests are in user.
    let fields: Vec<u64> = line.split_whitespace().take(8).filter_map(|field| field.parse().ok()).collect();
    let ticks: u64 =
        fields.iter().enumerate().filter(|(at, _)| ![3, 4].contains(at)).map(|(_, ticks)| ticks).sum();
    Some(Duration::from_millis(ticks * 10))
}

/// Bytes of all files in a folder.
fn size(folder: &Path) -> u64 {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .map(|entry| match entry.metadata() {
            Ok(metadata) if metadata.is_dir() => size(&entry.path()),
            Ok(metadata) => metadata.len(),
            Err(_) => 0,
        })
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machine_is_busy_when_it_is_not_idle() {
        let busy = busy("cpu  100 10 40 5000 60 1 2 3 9 9\ncpu0 1 1 1\n").unwrap();
        assert_eq!(busy, Duration::from_millis(1_560));
    }

    #[test]
    fn a_process_is_told() {
        let pid = std::process::id();
        assert!(descriptors(pid) > 2 && threads(pid) >= 1);
        assert_eq!(descriptors(u32::MAX), 0);
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("sub")).unwrap();
        fs::write(folder.path().join("sub/a"), "12345").unwrap();
        assert_eq!(size(folder.path()), 5);
    }
}
