//! Who listens to events: the log, the metrics, the report of divergences, and those whom `why`, `tail` and `top` ask.

use std::io::{self, IsTerminal};
use std::sync::Arc;

use events::{Level, Observer, Observers};
use telemetry::{
    DivergenceReport, FlightRecorder, Format, LogObserver, LogRecords, LogSettings, LogThread,
    MetricsObserver, Tail, Traffic,
};

use super::metering::Metering;
use crate::cli::{LogFormat, LogLevel};
use crate::config::Settings;

/// The observers, and what has to be kept of them.
pub struct Listeners {
    /// For the broker, the gateway and the API.
    pub observers: Observers,
    /// For the administration port.
    pub metrics: Arc<MetricsObserver>,
    /// Sums up what clients met.
    pub divergences: Arc<DivergenceReport>,
    /// Answers `why`, `tail` and `top`.
    pub witnesses: Witnesses,
    /// Decides what is logged.
    pub writer: Arc<LogObserver>,
    /// Writes log lines to standard error until it is dropped.
    pub log: LogThread,
    /// What the log leaves for a collector, if it is to.
    pub records: Option<Arc<LogRecords>>,
}

impl Listeners {
    /// Starts the log's thread.
    pub fn start(settings: &Settings, account: &str, metering: Option<&Arc<Metering>>) -> io::Result<Self> {
        let stderr = io::stderr();
        let format = match settings.log {
            LogFormat::Human => Format::Human { colour: stderr.is_terminal() && !no_colour() },
            LogFormat::Json => Format::Json,
        };
        let level = match settings.log_level {
            LogLevel::Error => Level::Error,
            LogLevel::Warn => Level::Warn,
            LogLevel::Info => Level::Info,
            LogLevel::Debug => Level::Debug,
        };
        let records = settings.otlp.as_ref().filter(|otlp| otlp.logs).map(|_| LogRecords::new());
        let (account, export) = (account.to_owned(), records.clone());
        let log = LogSettings { format, level, account, export, ..LogSettings::default() };
        let (writer, log) = LogObserver::start(log, Box::new(stderr))?;
        let metrics = MetricsObserver::new();
        let lines = Arc::clone(&writer);
        metrics.watch_counter(
            "thingcore_log_lines_dropped",
            "Log lines dropped because the queue was full",
            move || lines.dropped(),
        );
        let divergences = DivergenceReport::new();
        let witnesses = Witnesses {
            flight: FlightRecorder::new(settings.recorder),
            tail: Tail::new(),
            traffic: Traffic::new(),
            metrics: Arc::clone(&metrics),
        };
        witnesses.show_size();
        let Witnesses { flight, tail, traffic, .. } = witnesses.clone();
        let mut list: Vec<Arc<dyn Observer>> =
            vec![writer.clone(), metrics.clone(), divergences.clone(), flight, tail, traffic];
        list.extend(metering.map(|metering| metering.meter().clone() as Arc<dyn Observer>));
        Ok(Self { observers: Observers::new(list), metrics, divergences, witnesses, writer, log, records })
    }
}

/// Those who saw what happened and can be asked.
#[derive(Clone)]
pub struct Witnesses {
    /// The last facts of each client.
    pub flight: Arc<FlightRecorder>,
    /// Live events.
    pub tail: Arc<Tail>,
    /// The busiest clients and topics.
    pub traffic: Arc<Traffic>,
    /// The counters.
    pub metrics: Arc<MetricsObserver>,
}

impl Witnesses {
    /// Puts what they cost among the metrics.
    fn show_size(&self) {
        let count = |number: usize| i64::try_from(number).unwrap_or(i64::MAX);
        let (subjects, bytes, tail) = (self.flight.clone(), self.flight.clone(), self.tail.clone());
        let waiting = self.tail.clone();
        let metrics = &self.metrics;
        metrics.watch_gauge(
            "thingcore_recorder_subjects",
            "Subjects that the flight recorder knows",
            move || count(subjects.size().0),
        );
        metrics.watch_gauge("thingcore_recorder_bytes", "Bytes that the flight recorder holds", move || {
            count(bytes.size().1)
        });
        metrics.watch_gauge("thingcore_tail_readers", "Readers that follow events", move || {
            count(tail.readers())
        });
        metrics.watch_gauge(
            "thingcore_tail_waiting",
            "Calls of such readers that wait for something to happen",
            move || count(waiting.waiting()),
        );
    }
}

/// The convention of <https://no-color.org>.
fn no_colour() -> bool {
    std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
}
