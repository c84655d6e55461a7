//! The counters as numbers for `thingcore top`.

use std::collections::BTreeMap;
use std::sync::PoisonError;

use dialect::{DisconnectReason, Fault, Metric};
use events::DropReason;
use serde::{Deserialize, Serialize};

use super::{
    AUTHN_REASONS, BYTES_IN, BYTES_OUT, DROPS, ENDINGS, HANDSHAKES, MetricsObserver, PROTOCOLS, REFUSALS,
};

/// The counters since the start. A rate is the difference of two of them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Totals {
    /// Connections open now.
    pub connections: i64,
    /// AWS's metrics that are not zero, both protocols together.
    pub aws: BTreeMap<String, u64>,
    /// Payload bytes of accepted publishes.
    pub bytes_in: u64,
    /// Payload bytes sent to clients.
    pub bytes_out: u64,
    /// What clients were refused for: rows of the table of refusals that are not zero.
    pub refusals: BTreeMap<String, u64>,
    /// Connections that could not be authenticated, by AWS's reason, where not zero.
    pub handshake_failures: BTreeMap<String, u64>,
    /// Messages that did not reach a subscriber, by reason, where not zero.
    pub drops: BTreeMap<String, u64>,
    /// Connections that ended, by AWS's reason, where not zero.
    pub endings: BTreeMap<String, u64>,
    /// What others keep: queue depths, memory and the like, by the names of the metrics.
    pub watched: BTreeMap<String, i64>,
}

impl MetricsObserver {
    /// The counters as they are now.
    pub fn totals(&self) -> Totals {
        let sum = |counter| self.counters.sum(counter);
        let by = |start: usize, names: Vec<&str>| -> BTreeMap<String, u64> {
            let counted =
                names.into_iter().enumerate().map(|(place, name)| (name.to_owned(), sum(start + place)));
            counted.filter(|(_, count)| *count > 0).collect()
        };
        let aws = Metric::ALL.iter().map(|metric| (metric.name().to_owned(), self.count(*metric)));
        let watched = self.watched.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Totals {
            connections: self.connections(),
            aws: aws.filter(|(_, count)| *count > 0).collect(),
            bytes_in: (0..PROTOCOLS.len()).map(|protocol| sum(BYTES_IN + protocol)).sum(),
            bytes_out: sum(BYTES_OUT),
            refusals: by(REFUSALS, Fault::ALL.iter().map(|fault| fault.name()).collect()),
            handshake_failures: by(HANDSHAKES, AUTHN_REASONS.to_vec()),
            drops: by(DROPS, DropReason::ALL.iter().map(|reason| reason.as_str()).collect()),
            endings: by(ENDINGS, DisconnectReason::ALL.iter().map(|reason| reason.as_str()).collect()),
            watched: watched.iter().map(|watched| (watched.name.to_owned(), (watched.read)())).collect(),
        }
    }
}
