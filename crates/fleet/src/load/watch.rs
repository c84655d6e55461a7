//! Leads a run through its phases: looks after stalled publishers, reads all counters at both ends of the interval.

use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use crate::course::{Leader, Phase};
use crate::fault::{BenchError, Fault};
use crate::load::{Plan, Shared, Snapshot};
use crate::process::Usage;
use crate::progress::Progress;
use crate::report::{BrokerUse, LoadReport};
use crate::schedule::Schedule;

/// How often the leader looks after stalled publishers.
const LOOK: Duration = Duration::from_millis(500);
/// Looks without progress after which a publisher's outstanding messages are given up.
const STALLED_LOOKS: u32 = 4;
/// How long what is on its way may take to arrive when nothing new is sent.
const DRAIN: Duration = Duration::from_secs(5);

/// Leads a run through its phases.
pub struct Watch<'a> {
    shared: &'a Shared,
    leader: Leader,
    progress: Progress,
    stalls: u64,
    /// For each window: what had settled, and for how many looks it has been that.
    last: Vec<(u64, u32)>,
}

impl<'a> Watch<'a> {
    /// At the beginning of the warm-up.
    pub fn new(shared: &'a Shared, leader: Leader, progress: Progress) -> Self {
        Self { shared, leader, progress, stalls: 0, last: vec![(0, 0); shared.windows.len()] }
    }

    /// From the warm-up to the end.
    ///
    /// # Errors
    /// `/proc` does not tell about the broker.
    pub async fn lead(
        &mut self,
        plan: &Plan,
        clients: &JoinSet<Result<(), Fault>>,
    ) -> Result<LoadReport, BenchError> {
        self.pass("warm-up", plan.warm_up).await;
        let begin = Reading::take(self.shared, plan)?;
        self.leader.enter(Phase::Measure);
        self.pass("measure", plan.measure).await;
        let end = Reading::take(self.shared, plan)?;
        self.leader.enter(Phase::Drain);
        self.drain(clients).await;
        self.leader.enter(Phase::End);
        Ok(begin.report(&end, plan))
    }

    /// What is known only when everybody has gone.
    pub fn complete(&mut self, report: &mut LoadReport) {
        report.total = self.shared.snapshot();
        let latencies = self.shared.latencies.merged();
        report.latency = latencies.summary();
        report.curve = latencies.curve();
        report.stalls = self.stalls;
        report.unsent = self.shared.schedule.as_ref().map_or(0, Schedule::unsent);
        report.samples = self.progress.samples();
    }

    /// Lets time pass and looks after stalled publishers.
    async fn pass(&mut self, phase: &'static str, time: Duration) {
        let until = tokio::time::Instant::now() + time;
        while tokio::time::Instant::now() < until {
            tokio::time::sleep_until(until.min(tokio::time::Instant::now() + LOOK)).await;
            self.look();
            self.progress.look(phase, self.shared);
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
        let broker = Usage::of_broker(plan.broker_pid)?;
        let own = Usage::own().map_err(|error| BenchError::Process(std::process::id(), error))?;
        Ok(Self { at: Instant::now(), counts: shared.snapshot(), own, broker })
    }

    /// What lies between this reading and a later one.
    fn report(&self, end: &Self, plan: &Plan) -> LoadReport {
        LoadReport {
            title: plan.title(),
            pattern: plan.pattern.name(),
            wall: end.at - self.at,
            sent: end.counts.sent - self.counts.sent,
            delivered: end.counts.delivered - self.counts.delivered,
            total: end.counts,
            broker: BrokerUse::between(self.broker, end.broker),
            own_cpu: end.own.cpu.saturating_sub(self.own.cpu),
            rate: plan.rate,
            unsent: 0,
            latency: None,
            curve: Vec::new(),
            samples: Vec::new(),
            stalls: 0,
            losses: Vec::new(),
        }
    }
}
