//! Who listens to events: the log, the metrics and the report of divergences.

use std::io::{self, IsTerminal};
use std::sync::Arc;

use events::{Level, Observer, Observers};
use telemetry::{DivergenceReport, Format, LogObserver, LogSettings, LogThread, MetricsObserver};

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
    /// Writes log lines to standard error until it is dropped.
    pub log: LogThread,
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
        let log = LogSettings { format, level, account: account.to_owned(), ..LogSettings::default() };
        let (writer, log) = LogObserver::start(log, Box::new(stderr))?;
        let metrics = MetricsObserver::new();
        let lines = Arc::clone(&writer);
        metrics.watch_counter(
            "thingcore_log_lines_dropped",
            "Log lines dropped because the queue was full",
            move || lines.dropped(),
        );
        let divergences = DivergenceReport::new();
        let mut list: Vec<Arc<dyn Observer>> = vec![writer, metrics.clone(), divergences.clone()];
        list.extend(metering.map(|metering| metering.meter().clone() as Arc<dyn Observer>));
        Ok(Self { observers: Observers::new(list), metrics, divergences, log })
    }
}

/// The convention of <https://no-color.org>.
fn no_colour() -> bool {
    std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
}
