//! What the clients of one run share: its names, windows, counters and histograms.

use std::sync::Mutex;
use std::time::Instant;

use crate::latency::Recorder;
use crate::load::tally::{Snapshot, Tally};
use crate::load::{Pattern, Plan};
use crate::schedule::Schedule;
use crate::sequence::Sequence;
use crate::stamp::unique_run;
use crate::window::Window;

/// What publishers and subscribers share.
#[derive(Debug)]
pub struct Shared {
    /// The run by number.
    pub run: u64,
    /// When the stamps' time began.
    pub origin: Instant,
    /// One for each publisher.
    pub windows: Box<[Window]>,
    /// The clock of a fixed rate.
    pub schedule: Option<Schedule>,
    /// The arrivals of each publisher's messages, where members of a group share them.
    pub group: Box<[Mutex<Sequence>]>,
    /// Counters.
    pub tally: Tally,
    /// Histograms.
    pub latencies: Recorder,
}

impl Shared {
    /// For a run of this plan.
    pub fn new(plan: &Plan) -> Self {
        let receivers = if plan.pattern == Pattern::FanOut { plan.clients } else { 1 };
        let publishers = plan.pattern.publishers(plan.clients);
        let members = if plan.pattern == Pattern::Shared { publishers } else { 0 };
        Self {
            run: unique_run(),
            origin: Instant::now(),
            windows: (0..publishers).map(|_| Window::new(plan.in_flight, receivers)).collect(),
            schedule: plan.rate.map(|rate| Schedule::new(rate, publishers)),
            group: (0..members).map(|_| Mutex::default()).collect(),
            tally: Tally::default(),
            latencies: Recorder::new(),
        }
    }

    /// Nanoseconds since the run began.
    pub fn now(&self) -> u64 {
        u64::try_from(self.origin.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    /// Topic `turn` of a publisher: of its own in pairs, else of all publishers.
    pub fn topic(&self, plan: &Plan, number: u32, turn: u32) -> String {
        let (prefix, run) = (&plan.target.prefix, self.run);
        let number = if plan.pattern.own_topics() { number } else { 0 };
        if plan.own_filters {
            return format!("{prefix}/{run:016x}/{number}/{turn}/it");
        }
        if plan.topics > 1 {
            return format!("{prefix}/{run:016x}/{turn}/{number}");
        }
        format!("{prefix}/{run:016x}/{number}")
    }

    /// Where the answers to a requester go.
    pub fn answers(&self, plan: &Plan, number: u32) -> String {
        format!("{}/{:016x}/answers/{number}", plan.target.prefix, self.run)
    }

    /// The filter that takes all topics ending with this level.
    pub fn filter(&self, plan: &Plan, last: &str) -> String {
        format!("{}/{:016x}/+/{last}", plan.target.prefix, self.run)
    }

    /// What a subscriber subscribes to.
    pub fn subscriptions(&self, plan: &Plan, number: u32) -> Vec<String> {
        let number = if plan.pattern.own_topics() { number } else { 0 };
        if plan.own_filters {
            let filter = |turn| format!("{}/{:016x}/{number}/{turn}/+", plan.target.prefix, self.run);
            return (0..plan.topics).map(filter).collect();
        }
        let filter = match plan.topics {
            1 => self.topic(plan, number, 0),
            _ => self.filter(plan, &number.to_string()),
        };
        vec![if plan.pattern == Pattern::Shared { format!("$share/bench/{filter}") } else { filter }]
    }

    /// The name of a client: its role and number, and its place among all clients of the run.
    pub fn client_id(&self, plan: &Plan, role: &str, number: u32, client: usize) -> String {
        plan.target.client_id(self.run, role, number, client)
    }

    /// Deliveries that are still to come.
    pub fn outstanding(&self) -> u64 {
        self.windows.iter().map(Window::outstanding).sum()
    }

    /// All counters now.
    pub fn snapshot(&self) -> Snapshot {
        let sent = self.windows.iter().map(Window::sent).sum();
        self.tally.snapshot(sent, self.windows.iter().map(Window::expected).sum())
    }
}
