//! Patterns that move messages: what was planned, and the run itself.

mod publisher;
mod subscriber;
mod tally;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::ValueEnum;
use mqtt::{QoS, Version};
use tokio::task::JoinSet;

use crate::cli::TrafficArgs;
use crate::course::{Leader, Phase, course};
use crate::fault::{BenchError, Fault};
use crate::latency::Recorder;
use crate::load::publisher::Publisher;
use crate::load::subscriber::Subscriber;
use crate::load::tally::Tally;
use crate::process::Usage;
use crate::report::{BrokerUse, LoadReport};
use crate::stamp::unique_run;
use crate::target::Target;
use crate::window::Window;

pub use crate::load::tally::Snapshot;

/// How often the leader looks after stalled publishers.
const LOOK: Duration = Duration::from_millis(500);
/// Looks without progress after which a publisher's outstanding messages are given up.
const STALLED_LOOKS: u32 = 4;
/// How long what is on its way may take to arrive when nothing new is sent.
const DRAIN: Duration = Duration::from_secs(5);

/// Who sends to whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Pattern {
    /// N to N, one to one.
    Pairs,
    /// 1 to N.
    FanOut,
    /// N to 1.
    FanIn,
}

impl Pattern {
    /// The name on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pairs => "pairs",
            Self::FanOut => "fan-out",
            Self::FanIn => "fan-in",
        }
    }

    const fn publishers(self, clients: u32) -> u32 {
        if matches!(self, Self::FanOut) { 1 } else { clients }
    }

    const fn subscribers(self, clients: u32) -> u32 {
        if matches!(self, Self::FanIn) { 1 } else { clients }
    }
}

/// Everything that a run needs to know.
#[derive(Debug)]
pub struct Plan {
    /// Who sends to whom.
    pub pattern: Pattern,
    /// The N of the pattern.
    pub clients: u32,
    /// Of publishes and subscriptions.
    pub qos: QoS,
    /// Bytes of a payload.
    pub size: usize,
    /// Messages of one publisher on their way.
    pub in_flight: u32,
    /// Load before the measured interval.
    pub warm_up: Duration,
    /// The measured interval.
    pub measure: Duration,
    /// The broker.
    pub target: Target,
    /// Its process.
    pub broker_pid: Option<u32>,
}

impl Plan {
    /// From the command line.
    pub fn new(pattern: Pattern, traffic: &TrafficArgs, target: Target, broker_pid: Option<u32>) -> Self {
        Self {
            pattern,
            clients: traffic.clients,
            qos: if traffic.qos == 0 { QoS::AtMostOnce } else { QoS::AtLeastOnce },
            size: traffic.size,
            in_flight: traffic.in_flight,
            warm_up: Duration::from_secs(traffic.warm_up),
            measure: Duration::from_secs(traffic.seconds),
            target,
            broker_pid,
        }
    }

    /// One line for people.
    pub fn title(&self) -> String {
        let version = if self.target.version == Version::V5 { "5" } else { "3.1.1" };
        let transport = if self.target.tls.is_some() { "TLS" } else { "plain TCP" };
        format!(
            "{} of {}: MQTT {version} over {transport}, QoS {}, {} B, {} in flight per publisher",
            self.pattern.name(),
            self.clients,
            self.qos,
            self.size,
            self.in_flight,
        )
    }
}

/// What publishers and subscribers share.
#[derive(Debug)]
pub struct Shared {
    run: u64,
    origin: Instant,
    windows: Box<[Window]>,
    tally: Tally,
    latencies: Recorder,
}

impl Shared {
    fn new(plan: &Plan) -> Self {
        let receivers = if plan.pattern == Pattern::FanOut { plan.clients } else { 1 };
        let window = |_| Window::new(plan.in_flight, receivers);
        Self {
            run: unique_run(),
            origin: Instant::now(),
            windows: (0..plan.pattern.publishers(plan.clients)).map(window).collect(),
            tally: Tally::default(),
            latencies: Recorder::new(),
        }
    }

    /// Nanoseconds since the run began.
    fn now(&self) -> u64 {
        u64::try_from(self.origin.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    /// The topic of a publisher: of its own in pairs, else the one there is.
    fn topic(&self, pattern: Pattern, number: u32) -> String {
        let number = if pattern == Pattern::Pairs { number } else { 0 };
        format!("bench/{:016x}/{number}", self.run)
    }

    fn client_id(&self, role: &str, number: u32) -> String {
        format!("bench-{:016x}-{role}{number}", self.run)
    }

    fn outstanding(&self) -> u64 {
        self.windows.iter().map(Window::outstanding).sum()
    }

    fn snapshot(&self) -> Snapshot {
        let sent = self.windows.iter().map(Window::sent).sum();
        self.tally.snapshot(sent, self.windows.iter().map(Window::expected).sum())
    }
}

/// Runs the load from beginning to end.
///
/// # Errors
/// A client could not get ready. What happens later is in the report.
pub async fn run(plan: &Plan) -> Result<LoadReport, BenchError> {
    let shared = Arc::new(Shared::new(plan));
    let (leader, follower) = course();
    let mut clients = JoinSet::new();
    let mut ready = Vec::new();
    for number in 0..plan.pattern.subscribers(plan.clients) {
        let subscriber = Subscriber::open(plan, &shared, number).await.map_err(BenchError::NotReady)?;
        clients.spawn(subscriber.run(follower.clone()));
    }
    for number in 0..plan.pattern.publishers(plan.clients) {
        ready.push(Publisher::open(plan, &shared, number).await.map_err(BenchError::NotReady)?);
    }
    for publisher in ready {
        clients.spawn(publisher.run(follower.clone()));
    }
    let mut watch = Watch { shared: &shared, leader, stalls: 0, last: Vec::new() };
    let mut report = watch.lead(plan, &mut clients).await?;
    report.losses = farewells(clients).await;
    report.total = shared.snapshot();
    report.latency = shared.latencies.merged().summary();
    report.stalls = watch.stalls;
    Ok(report)
}

/// Waits for all clients and tells what became of those that did not reach the end.
async fn farewells(mut clients: JoinSet<Result<(), Fault>>) -> Vec<String> {
    let mut losses = Vec::new();
    while let Some(outcome) = clients.join_next().await {
        match outcome {
            Ok(Ok(())) => {}
            Ok(Err(fault)) => losses.push(fault.to_string()),
            Err(error) => losses.push(error.to_string()),
        }
    }
    losses
}

/// Leads a run through its phases.
struct Watch<'a> {
    shared: &'a Shared,
    leader: Leader,
    stalls: u64,
    /// For each window: what had settled, and for how many looks it has been that.
    last: Vec<(u64, u32)>,
}

impl Watch<'_> {
    async fn lead(
        &mut self,
        plan: &Plan,
        clients: &mut JoinSet<Result<(), Fault>>,
    ) -> Result<LoadReport, BenchError> {
        self.last = vec![(0, 0); self.shared.windows.len()];
        self.pass(plan.warm_up).await;
        let begin = Reading::take(self.shared, plan)?;
        self.leader.enter(Phase::Measure);
        self.pass(plan.measure).await;
        let end = Reading::take(self.shared, plan)?;
        self.leader.enter(Phase::Drain);
        self.drain(clients).await;
        self.leader.enter(Phase::End);
        Ok(begin.report(&end, plan))
    }

    /// Lets time pass and looks after stalled publishers.
    async fn pass(&mut self, time: Duration) {
        let until = tokio::time::Instant::now() + time;
        while tokio::time::Instant::now() < until {
            tokio::time::sleep_until(until.min(tokio::time::Instant::now() + LOOK)).await;
            self.look();
        }
    }

    fn look(&mut self) {
        for (window, last) in self.shared.windows.iter().zip(&mut self.last) {
            let settled = window.settled();
            if settled != last.0 || window.outstanding() == 0 {
                *last = (settled, 0);
                continue;
            }
            last.1 += 1;
            if last.1 >= STALLED_LOOKS {
                window.forgive();
                self.stalls += 1;
                *last = (window.settled(), 0);
            }
        }
    }

    /// Waits for what is on its way, but not for ever.
    async fn drain(&self, clients: &JoinSet<Result<(), Fault>>) {
        let until = Instant::now() + DRAIN;
        while Instant::now() < until && self.shared.outstanding() > 0 && !clients.is_empty() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        // Acknowledgements trail deliveries.
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// All counters at one moment.
struct Reading {
    at: Instant,
    counts: Snapshot,
    own: Usage,
    broker: Option<Usage>,
}

impl Reading {
    fn take(shared: &Shared, plan: &Plan) -> Result<Self, BenchError> {
        let broker = match plan.broker_pid {
            Some(pid) => Some(Usage::of(pid).map_err(|error| BenchError::Process(pid, error))?),
            None => None,
        };
        let own = Usage::own().map_err(|error| BenchError::Process(std::process::id(), error))?;
        Ok(Self { at: Instant::now(), counts: shared.snapshot(), own, broker })
    }

    /// What lies between this reading and a later one.
    fn report(&self, end: &Self, plan: &Plan) -> LoadReport {
        let broker = self
            .broker
            .zip(end.broker)
            .map(|(begin, end)| BrokerUse { cpu: end.cpu.saturating_sub(begin.cpu), resident: end.resident });
        LoadReport {
            title: plan.title(),
            pattern: plan.pattern.name(),
            wall: end.at - self.at,
            sent: end.counts.sent - self.counts.sent,
            delivered: end.counts.delivered - self.counts.delivered,
            total: end.counts,
            broker,
            own_cpu: end.own.cpu.saturating_sub(self.own.cpu),
            latency: None,
            stalls: 0,
            losses: Vec::new(),
        }
    }
}
