//! The counters as OpenMetrics text.

use std::fmt;
use std::sync::{Arc, PoisonError};

use dialect::{DisconnectReason, Divergence, Fault, Metric};
use events::DropReason;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;

use super::{
    API, AUTHN_REASONS, BYTES_IN, BYTES_OUT, DIVERGENCES, DROPS, ENDINGS, HANDSHAKES, MetricsObserver,
    PROTOCOLS, REFUSALS, STATUSES, STORE, aws,
};

/// A whole scrape.
pub(super) fn render(observer: &Arc<MetricsObserver>) -> String {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(Scrape(observer.clone())));
    let mut out = String::with_capacity(32 * 1024);
    // Writing to a String cannot fail.
    let _ = text::encode(&mut out, &registry);
    out
}

#[derive(Debug)]
struct Scrape(Arc<MetricsObserver>);

impl Collector for Scrape {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let observer = &self.0;
        encode_aws(observer, &mut encoder)?;
        encode_own(observer, &mut encoder)?;
        encode_watched(observer, &mut encoder)
    }
}

fn encode_aws(observer: &MetricsObserver, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
    for metric in Metric::ALL {
        let name = metric.prometheus_name();
        let help = format!("AWS/IoT {}: {}", metric.name(), metric.help().trim_end_matches('.'));
        let mut family = encoder.encode_descriptor(&name, &help, None, MetricType::Counter)?;
        for (protocol, label) in PROTOCOLS.iter().enumerate() {
            labelled(&mut family, ("protocol", label), observer.counters.sum(aws(*metric, protocol)))?;
        }
    }
    Ok(())
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

fn encode_own(observer: &MetricsObserver, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
    for group in groups() {
        let mut family = encoder.encode_descriptor(group.name, group.help, None, MetricType::Counter)?;
        for (place, value) in group.values.iter().enumerate() {
            labelled(&mut family, (group.label, value), observer.counters.sum(group.start + place))?;
        }
    }
    let sum = |counter| i64::try_from(observer.counters.sum(counter)).unwrap_or(i64::MAX);
    let plain = [
        ("thingcore_publish_out_bytes", "Payload bytes sent to clients", true, sum(BYTES_OUT)),
        ("thingcore_store_failures", "Failures of the store", true, sum(STORE)),
        ("thingcore_connections", "Connections open now", false, observer.connections()),
    ];
    plain
        .into_iter()
        .try_for_each(|(name, help, counter, value)| unlabelled(encoder, name, help, counter, value))
}

fn encode_watched(observer: &MetricsObserver, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
    let watched = observer.watched.lock().unwrap_or_else(PoisonError::into_inner).clone();
    watched.iter().try_for_each(|w| unlabelled(encoder, w.name, w.help, w.counter, (w.read)()))?;
    let families = observer.families.lock().unwrap_or_else(PoisonError::into_inner).clone();
    for family in &families {
        let mut encoder = encoder.encode_descriptor(family.name, family.help, None, MetricType::Counter)?;
        for (value, count) in (family.read)() {
            labelled(&mut encoder, (family.label, value), count)?;
        }
    }
    Ok(())
}

fn labelled(family: &mut MetricEncoder<'_>, label: (&str, &str), value: u64) -> fmt::Result {
    family.encode_family(&[label])?.encode_counter::<NoLabelSet, u64, u64>(&value, None)
}

fn unlabelled(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    counter: bool,
    value: i64,
) -> fmt::Result {
    let kind = if counter { MetricType::Counter } else { MetricType::Gauge };
    let mut metric = encoder.encode_descriptor(name, help, None, kind)?;
    if counter {
        metric.encode_counter::<NoLabelSet, u64, u64>(&u64::try_from(value).unwrap_or(0), None)
    } else {
        metric.encode_gauge(&value)
    }
}
