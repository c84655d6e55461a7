//! What operators see: log lines, metrics and health, all told by events.
//!
//! Invariant: observing never waits. A log line that finds the queue full is counted and dropped, a counter is one
//! relaxed addition; nothing here is called by, or calls, anything but events.

mod admin;
mod divergences;
mod flight;
mod log;
mod metrics;
mod otlp;
mod pulse;
mod tail;
mod top;
mod traffic;

pub use admin::{Admin, Health};
pub use divergences::{
    ClientSummary, DivergenceReport, DivergenceSummary, MOST_CLIENTS, MOST_DETAIL, MOST_ROWS, RowSummary,
};
pub use flight::{EventView, FlightRecorder, FlightSettings, MOST_TEXT, Why, WhyCause, WhyEntry};
pub use log::{Format, LogLevels, LogObserver, LogSettings, LogThread, Threshold, plain};
pub use metrics::{AUTHN_REASONS, MetricsObserver, Totals};
pub use otlp::{
    ExportNews, LogRecords, MOST_RECORD_BYTES, MOST_RECORDS, OtlpExport, OtlpProblem, OtlpSection,
    OtlpSettings, OtlpThread,
};
pub use pulse::{LoopLag, resident_bytes};
pub use tail::{
    LONGEST_WAIT, MOST_READERS, MOST_WAITING, MOST_WAITING_BYTES, ReadyFilter, Tail, TailAnswer, TailFilter,
    TailRefused, UnknownKind,
};
pub use top::TopSnapshot;
pub use traffic::{Busy, Counts, Traffic, TrafficSummary};
