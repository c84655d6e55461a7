//! Counters under AWS's metric names, in Prometheus form.

mod exposition;
mod samples;
mod sharded;
mod totals;

#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::atomic::{AtomicI64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};

use dialect::{DisconnectReason, Divergence, Fault, Metric};
use events::{DropReason, Event, Kind, KindSet, Observer};
use identity::Timestamp;

pub(crate) use samples::Sample;
use sharded::Sharded;
pub use totals::Totals;

/// The reasons of failed authentication that AWS's logs know, and one for all others.
pub const AUTHN_REASONS: [&str; 15] = [
    "CUSTOM_AUTHORIZER_LAMBDA_EXECUTION_ERROR",
    "CUSTOM_AUTHORIZER_NOT_FOUND",
    "CUSTOM_AUTHORIZER_PARAMETER_INVALID",
    "DEVICE_CERTIFICATE_INACTIVE",
    "DEVICE_CERTIFICATE_NOT_REGISTERED",
    "DEVICE_CERTIFICATE_REVOKED",
    "DOMAIN_CONFIGURATION_DISABLED",
    "DOMAIN_CONFIGURATION_INVALID",
    "INTERNAL_SERVER_ERROR",
    "NOT_AUTHENTICATED",
    "SECURITY_TOKEN_EXPIRED",
    "SECURITY_TOKEN_INVALID",
    "SECURITY_TOKEN_SIGNATURE_MISMATCH",
    "SNI_MISUSED",
    "OTHER",
];

/// The protocols that AWS's dimension `Protocol` knows.
const PROTOCOLS: [&str; 2] = ["MQTT", "HTTP"];

// Where each group of counters starts in a shard.
const AWS: usize = 0;
const BYTES_IN: usize = AWS + Metric::COUNT * PROTOCOLS.len();
const BYTES_OUT: usize = BYTES_IN + PROTOCOLS.len();
const HANDSHAKES: usize = BYTES_OUT + 1;
const REFUSALS: usize = HANDSHAKES + AUTHN_REASONS.len();
const ENDINGS: usize = REFUSALS + Fault::COUNT;
const DROPS: usize = ENDINGS + DisconnectReason::ALL.len();
const DIVERGENCES: usize = DROPS + DropReason::ALL.len();
const STORE: usize = DIVERGENCES + Divergence::COUNT;
const API: usize = STORE + 1;
const TOTAL: usize = API + STATUSES.len();

/// Classes of HTTP status.
const STATUSES: [&str; 3] = ["2xx", "4xx", "5xx"];

/// A number that somebody else keeps.
struct Watched {
    name: &'static str,
    help: &'static str,
    counter: bool,
    read: Box<dyn Fn() -> i64 + Send + Sync>,
}

/// Counters with one label that somebody else keeps.
struct Family {
    name: &'static str,
    help: &'static str,
    label: &'static str,
    read: Box<dyn Fn() -> Vec<(&'static str, u64)> + Send + Sync>,
}

/// Counts events.
pub struct MetricsObserver {
    counters: Sharded,
    connections: AtomicI64,
    watched: Mutex<Vec<Arc<Watched>>>,
    families: Mutex<Vec<Arc<Family>>>,
}

impl MetricsObserver {
    /// All counters at zero.
    pub fn new() -> Arc<Self> {
        let counters = Sharded::new(TOTAL);
        Arc::new(Self {
            counters,
            connections: AtomicI64::new(0),
            watched: Mutex::default(),
            families: Mutex::default(),
        })
    }

    /// Shows a gauge that somebody else keeps, read at each scrape. The name must be a legal metric name.
    pub fn watch_gauge(
        &self,
        name: &'static str,
        help: &'static str,
        read: impl Fn() -> i64 + Send + Sync + 'static,
    ) {
        self.watch(Watched { name, help, counter: false, read: Box::new(read) });
    }

    /// Shows a counter that somebody else keeps, read at each scrape; `_total` is added to the name.
    pub fn watch_counter(
        &self,
        name: &'static str,
        help: &'static str,
        read: impl Fn() -> u64 + Send + Sync + 'static,
    ) {
        let read = move || i64::try_from(read()).unwrap_or(i64::MAX);
        self.watch(Watched { name, help, counter: true, read: Box::new(read) });
    }

    /// Shows counters that differ by one label and that somebody else keeps, read at each scrape.
    pub fn watch_counters(
        &self,
        name: &'static str,
        help: &'static str,
        label: &'static str,
        read: impl Fn() -> Vec<(&'static str, u64)> + Send + Sync + 'static,
    ) {
        let family = Family { name, help, label, read: Box::new(read) };
        self.families.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::new(family));
    }

    fn watch(&self, watched: Watched) {
        self.watched.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::new(watched));
    }

    /// Connections open now.
    pub fn connections(&self) -> i64 {
        self.connections.load(Relaxed)
    }

    /// The count of an AWS metric over both protocols.
    pub fn count(&self, metric: Metric) -> u64 {
        (0..PROTOCOLS.len()).map(|protocol| self.counters.sum(aws(metric, protocol))).sum()
    }

    /// The metrics in OpenMetrics text form.
    pub fn render(self: &Arc<Self>) -> String {
        exposition::render(self)
    }

    fn aws_metric(&self, event: &Event<'_>) {
        let protocol = usize::from(event.origin().is_some_and(|origin| origin.protocol() == "HTTP"));
        if let Some(metric) = event.metric() {
            self.counters.add(aws(metric, protocol), 1);
        }
        if let Event::PublishIn(e) = event {
            self.counters.add(BYTES_IN + protocol, e.bytes as u64);
            if e.retain {
                self.counters.add(aws(Metric::PublishRetainedSuccess, protocol), 1);
            }
        }
    }

    fn own_metric(&self, event: &Event<'_>) {
        match event {
            Event::Connected(_) => {
                self.connections.fetch_add(1, Relaxed);
            }
            Event::Disconnected(e) => {
                self.connections.fetch_sub(1, Relaxed);
                self.counters.add(ENDINGS + e.reason as usize, 1);
            }
            Event::PublishOut(e) => self.counters.add(BYTES_OUT, e.bytes as u64),
            Event::HandshakeFailed(e) => self.counters.add(HANDSHAKES + authn_place(e.reason), 1),
            Event::DeliveryDropped(e) => self.counters.add(DROPS + e.why as usize, 1),
            Event::DivergenceObserved(e) => self.counters.add(DIVERGENCES + e.divergence as usize, 1),
            Event::StoreFailed(_) => self.counters.add(STORE, 1),
            Event::ApiCall(e) => self.counters.add(API + status_place(e.status), 1),
            _ => {}
        }
        if let Some(fault) = event.fault() {
            self.counters.add(REFUSALS + fault as usize, 1);
        }
    }
}

impl Observer for MetricsObserver {
    fn observe(&self, _: Timestamp, event: &Event<'_>) {
        self.aws_metric(event);
        self.own_metric(event);
    }

    /// All but what is told for the bill alone.
    fn wanted(&self) -> KindSet {
        KindSet::all().without(Kind::Acknowledged).without(Kind::SubscribeReceived)
    }
}

impl fmt::Debug for MetricsObserver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MetricsObserver({TOTAL} counters)")
    }
}

fn aws(metric: Metric, protocol: usize) -> usize {
    AWS + metric.index() * PROTOCOLS.len() + protocol
}

fn authn_place(reason: &str) -> usize {
    AUTHN_REASONS.iter().position(|known| *known == reason).unwrap_or(AUTHN_REASONS.len() - 1)
}

fn status_place(status: u16) -> usize {
    match status {
        0..=399 => 0,
        400..=499 => 1,
        _ => 2,
    }
}
