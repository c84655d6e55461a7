//! The counters with their names, as whoever shows them sees them: the page for Prometheus and the export by OTLP.

use std::sync::PoisonError;

use dialect::{DisconnectReason, Divergence, Fault, Metric};
use events::DropReason;

use super::{
    API, AUTHN_REASONS, BYTES_IN, BYTES_OUT, DIVERGENCES, DROPS, ENDINGS, HANDSHAKES, MetricsObserver,
    PROTOCOLS, REFUSALS, STATUSES, STORE, aws,
};

/// One metric at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Sample {
    /// A legal name, without the ending `_total` of Prometheus' counters.
    pub name: String,
    /// What it means, without a full stop.
    pub help: String,
    /// Whether it only grows; else it is a gauge.
    pub counter: bool,
    /// What its values differ by; `None`: it has one value.
    pub label: Option<&'static str>,
    /// Values with what the label says of each.
    pub values: Vec<(&'static str, i64)>,
}

impl Sample {
    fn one(name: &str, help: &str, counter: bool, value: i64) -> Self {
        Self { name: name.to_owned(), help: help.to_owned(), counter, label: None, values: vec![("", value)] }
    }
}

impl MetricsObserver {
    /// Every metric with its values now, in the order of the page.
    pub(crate) fn samples(&self) -> Vec<Sample> {
        let mut samples: Vec<_> = Metric::ALL.iter().map(|metric| self.of_aws(*metric)).collect();
        samples.extend(groups().into_iter().map(|group| self.of_group(group)));
        let sum = |counter| signed(self.counters.sum(counter));
        samples.extend([
            Sample::one("thingcore_publish_out_bytes", "Payload bytes sent to clients", true, sum(BYTES_OUT)),
            Sample::one("thingcore_store_failures", "Failures of the store", true, sum(STORE)),
            Sample::one("thingcore_connections", "Connections open now", false, self.connections()),
        ]);
        // Read outside of the lock: whoever keeps the number may take locks of its own.
        let watched = self.watched.lock().unwrap_or_else(PoisonError::into_inner).clone();
        samples.extend(watched.iter().map(|w| Sample::one(w.name, w.help, w.counter, (w.read)())));
        let families = self.families.lock().unwrap_or_else(PoisonError::into_inner).clone();
        samples.extend(families.iter().map(|family| Sample {
            name: family.name.to_owned(),
            help: family.help.to_owned(),
            counter: true,
            label: Some(family.label),
            values: (family.read)().into_iter().map(|(value, count)| (value, signed(count))).collect(),
        }));
        samples
    }

    fn of_aws(&self, metric: Metric) -> Sample {
        let values = PROTOCOLS.iter().enumerate();
        Sample {
            name: metric.prometheus_name(),
            help: format!("AWS/IoT {}: {}", metric.name(), metric.help().trim_end_matches('.')),
            counter: true,
            label: Some("protocol"),
            values: values
                .map(|(place, protocol)| (*protocol, signed(self.counters.sum(aws(metric, place)))))
                .collect(),
        }
    }

    fn of_group(&self, group: Group) -> Sample {
        let values = group.values.into_iter().enumerate();
        Sample {
            name: group.name.to_owned(),
            help: group.help.to_owned(),
            counter: true,
            label: Some(group.label),
            values: values
                .map(|(place, value)| (value, signed(self.counters.sum(group.start + place))))
                .collect(),
        }
    }
}

fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// A group of counters that differ by one label.
struct Group {
    name: &'static str,
    help: &'static str,
    label: &'static str,
    start: usize,
    values: Vec<&'static str>,
}

fn groups() -> [Group; 7] {
    let group = |name, help, label, start, values| Group { name, help, label, start, values };
    let endings = DisconnectReason::ALL.iter().map(|reason| reason.as_str()).collect();
    let divergences = Divergence::ALL.iter().map(|divergence| divergence.id()).collect();
    [
        group(
            "thingcore_publish_in_bytes",
            "Payload bytes of accepted publishes",
            "protocol",
            BYTES_IN,
            PROTOCOLS.to_vec(),
        ),
        group(
            "thingcore_handshake_failures",
            "Connections that could not be authenticated, by AWS's reason",
            "reason",
            HANDSHAKES,
            AUTHN_REASONS.to_vec(),
        ),
        group(
            "thingcore_refusals",
            "What clients were refused for, by fault",
            "fault",
            REFUSALS,
            Fault::ALL.iter().map(|fault| fault.name()).collect(),
        ),
        group("thingcore_disconnects", "Connections ended, by AWS's reason", "reason", ENDINGS, endings),
        group(
            "thingcore_deliveries_dropped",
            "Messages that did not reach a subscriber, by reason",
            "reason",
            DROPS,
            DropReason::ALL.iter().map(|reason| reason.as_str()).collect(),
        ),
        group(
            "thingcore_divergences_observed",
            "Times that a difference from OASIS MQTT changed what a client saw",
            "divergence",
            DIVERGENCES,
            divergences,
        ),
        group(
            "thingcore_api_calls",
            "Answered API calls by class of status",
            "status",
            API,
            STATUSES.to_vec(),
        ),
    ]
}
