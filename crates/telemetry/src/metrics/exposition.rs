//! The counters as OpenMetrics text.

use std::fmt;
use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;

use super::MetricsObserver;
use super::samples::Sample;

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
        self.0.samples().iter().try_for_each(|sample| encode(sample, &mut encoder))
    }
}

fn encode(sample: &Sample, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
    let kind = if sample.counter { MetricType::Counter } else { MetricType::Gauge };
    let mut family = encoder.encode_descriptor(&sample.name, &sample.help, None, kind)?;
    match sample.label {
        Some(label) => sample.values.iter().try_for_each(|(value, number)| {
            write(family.encode_family(&[(label, *value)])?, sample.counter, *number)
        }),
        None => {
            let number = sample.values.first().map_or(0, |(_, number)| *number);
            write(family, sample.counter, number)
        }
    }
}

fn write(mut metric: MetricEncoder<'_>, counter: bool, number: i64) -> fmt::Result {
    match counter {
        true => {
            metric.encode_counter::<NoLabelSet, u64, u64>(&u64::try_from(number).unwrap_or_default(), None)
        }
        false => metric.encode_gauge(&number),
    }
}
