//! Export by OpenTelemetry's protocol: metrics and log entries to a collector, as JSON over HTTP (OTLP 1, *OTLP/HTTP*).
//!
//! Invariant: nobody waits for the collector. A thread of its own reads the counters and takes what the log left in a
//! bounded queue. Counters are cumulative, so a lost export of metrics loses nothing; log entries are kept while the
//! collector is away, until there is no room, and are counted when they are lost.

mod configured;
mod encode;
mod queue;
mod send;

#[cfg(test)]
mod tests;

use std::fmt;
use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use identity::Timestamp;
use serde_json::Value;

use crate::MetricsObserver;
use crate::log::now;

pub use configured::{OtlpExport, OtlpSection};
pub use queue::{LogRecords, MOST_RECORD_BYTES, MOST_RECORDS};
pub use send::OtlpProblem;
use send::{Outcome, Way};

/// Log entries wait so long for others before they are sent together.
const GATHER: Duration = Duration::from_secs(1);
/// The first pause after a collector that did not take something; it doubles.
const PAUSE: Duration = Duration::from_secs(1);
/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// How long the end of the program may wait for the last export.
const FAREWELL: Duration = Duration::from_secs(3);
/// Log entries in one request at most.
const BATCH: usize = 512;

/// Where to and how often.
#[derive(Clone)]
pub struct OtlpSettings {
    /// The collector's base URL, for example `http://127.0.0.1:4318`; `/v1/metrics` and `/v1/logs` are added.
    pub endpoint: String,
    /// Time between two exports of the metrics.
    pub interval: Duration,
    /// Time that the collector has for an answer.
    pub timeout: Duration,
    /// Headers of each request, for example an `authorization`. They are never shown.
    pub headers: Vec<(String, String)>,
    /// What is said of the broker itself: `service.name` and the like.
    pub resource: Vec<(String, String)>,
    /// The certificates (PEM) that an `https://` endpoint is trusted by.
    pub trusted: Option<Vec<u8>>,
}

impl fmt::Debug for OtlpSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OtlpSettings").field("endpoint", &self.endpoint).finish_non_exhaustive()
    }
}

/// What the operator should hear of. A collector that stays away is told of once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ExportNews {
    /// The collector did not take an export.
    Failed(String),
    /// It takes them again.
    Resumed,
}

/// The exporting thread. Dropping it ends the export without a last one.
#[derive(Debug)]
pub struct OtlpThread {
    stop: Sender<()>,
    ended: Receiver<()>,
}

impl OtlpThread {
    /// Begins to export the metrics, and the log entries if there are to be any. `tell` is called on the thread.
    ///
    /// # Errors
    /// The endpoint, a header or the certificates cannot be used; there is no thread to be had.
    pub fn start(
        settings: &OtlpSettings,
        metrics: Arc<MetricsObserver>,
        records: Option<Arc<LogRecords>>,
        tell: impl Fn(ExportNews) + Send + 'static,
    ) -> Result<Self, OtlpProblem> {
        let way = Way::new(settings)?;
        let counts = way.counts();
        metrics.watch_counter("thingcore_otlp_exports", "Exports that the collector took", move || {
            counts.taken()
        });
        let counts = way.counts();
        metrics.watch_counter(
            "thingcore_otlp_failures",
            "Exports that the collector did not take",
            move || counts.failed(),
        );
        if let Some(records) = records.clone() {
            let help = "Log entries that did not reach the collector";
            metrics.watch_counter("thingcore_otlp_log_records_dropped", help, move || records.dropped());
        }
        let (stop, stopped) = channel();
        let (end, ended) = channel();
        let exporter = Exporter {
            metrics,
            records,
            way,
            resource: settings.resource.clone(),
            interval: settings.interval,
            began: now(),
            held: Vec::new(),
            away: None,
            tell: Box::new(tell),
        };
        let run = move || {
            exporter.run(&stopped);
            // Nobody may be waiting any more.
            let _ = end.send(());
        };
        let thread = std::thread::Builder::new().name("otlp".into()).spawn(run);
        thread.map_err(|error: io::Error| OtlpProblem::thread(&error))?;
        Ok(Self { stop, ended })
    }

    /// Exports once more what there is, and waits some seconds for it at most.
    pub fn finish(self) {
        if self.stop.send(()).is_ok() {
            // A collector that does not answer is left behind.
            let _ = self.ended.recv_timeout(FAREWELL);
        }
    }
}

/// The collector is away.
struct Away {
    pause: Duration,
    until: Instant,
}

struct Exporter {
    metrics: Arc<MetricsObserver>,
    records: Option<Arc<LogRecords>>,
    way: Way,
    resource: Vec<(String, String)>,
    interval: Duration,
    began: Timestamp,
    /// Entries that the collector was away for.
    held: Vec<(Timestamp, String)>,
    away: Option<Away>,
    tell: Box<dyn Fn(ExportNews) + Send>,
}

impl Exporter {
    fn run(mut self, stopped: &Receiver<()>) {
        let mut due = Instant::now();
        loop {
            let last = match stopped.recv_timeout(GATHER.min(self.interval)) {
                Ok(()) => true,
                Err(RecvTimeoutError::Timeout) => false,
                Err(RecvTimeoutError::Disconnected) => return,
            };
            if !last && self.away.as_ref().is_some_and(|away| Instant::now() < away.until) {
                continue;
            }
            if last || Instant::now() >= due {
                due = Instant::now() + self.interval;
                self.export_metrics();
            }
            self.export_records();
            if last {
                return;
            }
        }
    }

    fn export_metrics(&mut self) {
        let body = encode::metrics(&self.metrics.samples(), &self.resource, (self.began, now()));
        let outcome = self.way.send("metrics", &body);
        self.judge(&outcome);
    }

    /// Sends what waits, a request after the other, until nothing is left or the collector does not take it.
    fn export_records(&mut self) {
        let Some(records) = self.records.clone() else { return };
        loop {
            let room = BATCH.saturating_sub(self.held.len());
            records.take(room, &mut self.held);
            if self.held.is_empty() {
                return;
            }
            let outcome = self.way.send("logs", &encode::logs(&self.held, &self.resource));
            self.judge(&outcome);
            match outcome {
                Outcome::Taken => self.held.clear(),
                Outcome::Partly { rejected, .. } => {
                    records.lose(rejected);
                    self.held.clear();
                }
                Outcome::Refused(_) => {
                    records.lose(self.held.len() as u64);
                    self.held.clear();
                    return;
                }
                Outcome::Away(_) => return,
            }
        }
    }

    /// Tells of the first failure and of the first success after it, and makes the pauses longer.
    fn judge(&mut self, outcome: &Outcome) {
        let why = match outcome {
            Outcome::Taken => {
                if self.away.take().is_some() {
                    (self.tell)(ExportNews::Resumed);
                }
                return;
            }
            Outcome::Partly { why, .. } | Outcome::Refused(why) | Outcome::Away(why) => why,
        };
        let pause = match &self.away {
            Some(away) => (away.pause * 2).min(LONGEST_PAUSE),
            None => {
                (self.tell)(ExportNews::Failed(why.clone()));
                PAUSE
            }
        };
        self.away = Some(Away { pause, until: Instant::now() + pause });
    }
}

/// A body as it goes over the wire.
fn text(body: &Value) -> String {
    body.to_string()
}
