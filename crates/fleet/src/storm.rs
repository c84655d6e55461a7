//! `connect`: clients that connect and disconnect as fast as the broker answers.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::cli::StormArgs;
use crate::client::Client;
use crate::crowd::descriptors;
use crate::fault::{BenchError, Fault};
use crate::latency::{Recorder, Summary};
use crate::process::{Usage, per_cpu_second, per_second};
use crate::progress::Progress;
use crate::report::{BrokerUse, Lines, bytes, cpu, told};
use crate::stamp::unique_run;
use crate::target::Target;

/// After a failure a client waits: a broker that is down shall not be counted as a fast one.
const PAUSE: Duration = Duration::from_millis(20);

/// The outcome of a connect storm.
#[derive(Debug)]
pub struct StormReport {
    wall: Duration,
    connected: u64,
    /// Failures by kind, each with an example.
    failures: BTreeMap<&'static str, (u64, String)>,
    /// TCP, TLS and CONNACK together.
    latency: Option<Summary>,
    /// The same by percentile, in microseconds.
    pub curve: Vec<(f64, u64)>,
    broker: Option<BrokerUse>,
    own_cpu: Duration,
}

/// What one client counted.
#[derive(Debug, Default)]
struct Outcome {
    connected: u64,
    failures: BTreeMap<&'static str, (u64, String)>,
}

/// Runs the storm.
///
/// # Errors
/// `/proc` does not tell about the broker.
pub async fn run(args: &StormArgs, target: Target, progress: Progress) -> Result<StormReport, BenchError> {
    descriptors(u64::from(args.in_flight))?;
    target.enough_for(u64::from(args.in_flight))?;
    let storm = Arc::new(Storm {
        target,
        run: unique_run(),
        until: Instant::now() + Duration::from_secs(args.seconds),
        latencies: Recorder::new(),
        connected: Arc::default(),
    });
    let _watched = progress.watch("connected", &storm.connected);
    let (begin, begin_use) = (Instant::now(), Usage::of_broker(args.target.broker_pid)?);
    let own = Usage::of_broker(Some(std::process::id()))?;
    let mut clients = JoinSet::new();
    for number in 0..args.in_flight {
        clients.spawn(Arc::clone(&storm).client(number));
    }
    let mut all = Outcome::default();
    while let Some(outcome) = clients.join_next().await {
        all.add(outcome.unwrap_or_default());
    }
    let (wall, end_use) = (begin.elapsed(), Usage::of_broker(args.target.broker_pid)?);
    let own_now = Usage::of_broker(Some(std::process::id()))?;
    let latencies = storm.latencies.merged();
    Ok(StormReport {
        wall,
        connected: all.connected,
        failures: all.failures,
        latency: latencies.summary(),
        curve: latencies.curve(),
        broker: BrokerUse::between(begin_use, end_use),
        own_cpu: BrokerUse::between(own, own_now).map_or(Duration::ZERO, |own| own.cpu),
    })
}

struct Storm {
    target: Target,
    run: u64,
    until: Instant,
    latencies: Recorder,
    connected: Arc<AtomicU64>,
}

impl Storm {
    async fn client(self: Arc<Self>, number: u32) -> Outcome {
        let mut outcome = Outcome::default();
        for turn in 0_u64.. {
            if Instant::now() >= self.until {
                break;
            }
            match self.once(number, turn).await {
                Ok(()) => outcome.connected += 1,
                Err(fault) => {
                    outcome.fail(&fault);
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
        outcome
    }

    async fn once(&self, number: u32, turn: u64) -> Result<(), Fault> {
        let begin = Instant::now();
        let role = format!("c{turn}-");
        let client_id = self.target.client_id(self.run, &role, number, number as usize);
        let client = Client::open(&self.target, number as usize, &client_id).await?;
        let nanoseconds = u64::try_from(begin.elapsed().as_nanos()).unwrap_or(u64::MAX);
        self.latencies.shard(number as usize).record(nanoseconds);
        self.connected.fetch_add(1, Relaxed);
        client.close().await
    }
}

impl Outcome {
    fn fail(&mut self, fault: &Fault) {
        self.failures.entry(fault.kind()).or_insert_with(|| (0, fault.to_string())).0 += 1;
    }

    fn add(&mut self, other: Self) {
        self.connected += other.connected;
        for (kind, (count, example)) in other.failures {
            self.failures.entry(kind).or_insert((0, example)).0 += count;
        }
    }
}

impl StormReport {
    /// For programs.
    pub fn to_json(&self) -> Value {
        let failures: BTreeMap<_, _> = self.failures.iter().map(|(kind, (count, _))| (kind, count)).collect();
        json!({
            "pattern": "connect",
            "measured_seconds": self.wall.as_secs_f64(),
            "connected": self.connected,
            "connected_per_second": per_second(self.connected, self.wall),
            "connected_per_broker_cpu_second":
                self.broker.and_then(|broker| per_cpu_second(self.connected, broker.cpu)),
            "latency": self.latency.map(Summary::to_json),
            "failures": failures,
            "broker_cpu_seconds": self.broker.map(|broker| broker.cpu.as_secs_f64()),
            "broker_resident_bytes": self.broker.map(|broker| broker.resident),
            "generator_cpu_seconds": self.own_cpu.as_secs_f64(),
        })
    }

    /// For people.
    pub fn to_text(&self) -> String {
        let mut out = Lines::titled("connect storm");
        out.line("measured", &format!("{:.1} s", self.wall.as_secs_f64()));
        out.line("connected", &self.connected.to_string());
        out.line("rate", &told(per_second(self.connected, self.wall), "connections/s"));
        if let Some(broker) = self.broker {
            let rate = per_cpu_second(self.connected, broker.cpu);
            out.line("per CPU second", &told(rate, "connections/broker CPU s"));
            out.line(
                "broker",
                &format!("{}, {} resident", cpu(broker.cpu, self.wall), bytes(broker.resident)),
            );
        }
        out.line("generator", &cpu(self.own_cpu, self.wall));
        out.line("latency", &self.latency.map_or_else(|| "none".into(), Summary::to_text));
        for (kind, (count, example)) in &self.failures {
            out.line("failed", &format!("{count} {kind} (first: {example})"));
        }
        out.text
    }

    /// Whether the numbers may be trusted.
    ///
    /// # Errors
    /// Nobody connected.
    pub fn verdict(&self) -> Result<(), BenchError> {
        if self.connected > 0 {
            return Ok(());
        }
        let first = self.failures.values().next().map(|(_, example)| format!(" (first: {example})"));
        let first = first.unwrap_or_default();
        Err(BenchError::NothingDelivered(format!("nobody connected: there is no rate to tell{first}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_are_counted_by_kind() {
        let mut all = Outcome::default();
        for _ in 0..2 {
            let mut one = Outcome { connected: 1, ..Outcome::default() };
            one.fail(&Fault::Closed);
            one.fail(&Fault::Closed);
            one.fail(&Fault::Timeout("CONNACK"));
            all.add(one);
        }
        assert_eq!(all.connected, 2);
        assert_eq!(all.failures["closed-by-broker"].0, 4);
        assert_eq!(all.failures["timeout"], (2, Fault::Timeout("CONNACK").to_string()));
    }
}
