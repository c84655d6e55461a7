//! What the broker itself counts of things that must not happen, or have a name when they do: from its metrics.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpStream};
use std::time::Duration;

use serde_json::{Value, json};

use crate::soak::books::FlowReading;
use crate::soak::verdict::Rule;

/// Families that are kept. The broker tells all of them, also those in which nothing has been counted.
const FAMILIES: [&str; 6] = [
    "thingcore_deliveries_dropped_total",
    "thingcore_refusals_total",
    "thingcore_handshake_failures_total",
    "thingcore_store_failures_total",
    "thingcore_log_lines_dropped_total",
    "thingcore_disconnects_total",
];
const PATIENCE: Duration = Duration::from_secs(10);
/// QoS 0 has no promise: a client that gets no processor reads late, and its outbox has a bound. So much of it may be dropped.
const QOS0_DROPPED: f64 = 0.001;

/// Counters by name and labels.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Said(BTreeMap<String, f64>);

impl Said {
    /// Asks the administration port. `None` if nobody answers, or not with these counters: no count is not a count of none.
    pub fn ask(port: Option<u16>) -> Option<Self> {
        Self::parse(&metrics(port?).ok()?)
    }

    fn parse(text: &str) -> Option<Self> {
        let lines = || text.lines().filter(|line| FAMILIES.iter().any(|family| line.starts_with(family)));
        let split = lines().filter_map(|line| {
            let (name, value) = line.rsplit_once(' ')?;
            Some((name.to_owned(), value.parse().ok()?))
        });
        let all: BTreeMap<String, f64> = split.collect();
        let told = |family: &&str| all.keys().any(|name| name.starts_with(*family));
        FAMILIES.iter().all(told).then_some(Self(all))
    }

    /// What has been added since.
    pub fn since(&self, before: &Self) -> Self {
        let more = |(name, value): (&String, &f64)| {
            let more = value - before.0.get(name).copied().unwrap_or(0.0);
            (more > 0.0).then(|| (name.clone(), more))
        };
        Self(self.0.iter().filter_map(more).collect())
    }

    /// The sum of a family.
    pub fn sum(&self, family: &str) -> f64 {
        let of_it = self.0.iter().filter(|(name, _)| name.starts_with(family));
        of_it.fold(0.0, |sum, (_, value)| sum + value)
    }

    /// What was refused to a client. That a new connection takes the place of one whose end the broker has not seen yet is
    /// counted there, too, and is no refusal: it happens when a device comes back as fast as it left.
    pub fn refusals(&self) -> f64 {
        let taken_over = "thingcore_refusals_total{fault=\"TakenOver\"}";
        self.sum("thingcore_refusals_total") - self.sum(taken_over)
    }

    /// Messages that did not reach a subscriber, under a name.
    pub fn dropped(&self) -> f64 {
        self.sum("thingcore_deliveries_dropped_total")
    }

    /// Messages of QoS 0 that came to the broker and to no subscriber: beyond a quota when they came, or when they were to go, or
    /// there was no room in an outbox. Nothing of QoS 1 has one of these names.
    pub fn qos0_discarded(&self) -> f64 {
        [
            "thingcore_refusals_total{fault=\"PublishThrottledQos0\"}",
            "thingcore_deliveries_dropped_total{reason=\"THROTTLED\"}",
            "thingcore_deliveries_dropped_total{reason=\"OUTBOX_FULL\"}",
        ]
        .iter()
        .fold(0.0, |sum, name| sum + self.sum(name))
    }

    /// By name.
    pub fn to_json(&self) -> Value {
        json!(self.0)
    }
}

/// The rules of a soak that need the broker's own count. Without it they have no value, and are not met.
pub fn rules(said: Option<&Said>, qos0: &FlowReading) -> [Rule; 3] {
    let known = |of: &dyn Fn(&Said) -> f64| said.map_or(f64::NAN, of);
    [
        Rule::at_most(
            "QoS 0 messages lost that the broker did not drop under a name",
            known(&|said| (qos0.missing() as f64 - said.qos0_discarded()).max(0.0)),
            0.0,
            "messages",
        ),
        Rule::at_most(
            "QoS 0 messages that the broker dropped under a name, by those sent",
            known(&|said| said.dropped() * 100.0 / qos0.sent.max(1) as f64),
            QOS0_DROPPED * 100.0,
            "%",
        ),
        Rule::at_most(
            "actions that the broker refused, by its own count",
            known(&Said::refusals),
            0.0,
            "refusals",
        ),
    ]
}

fn metrics(port: u16) -> std::io::Result<String> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As the broker tells it: all families, and these lines.
    fn said(lines: &str) -> Said {
        let zeros: String = FAMILIES.iter().map(|family| format!("{family}{{of=\"zero\"}} 0\n")).collect();
        Said::parse(&format!("# TYPE x counter\nthingcore_other 9\n{zeros}{lines}")).unwrap()
    }

    #[test]
    fn what_was_added_is_told_by_name() {
        let before = said("thingcore_refusals_total{reason=\"a\"} 3\n");
        let after = said(
            "thingcore_refusals_total{reason=\"a\"} 5\nthingcore_refusals_total{reason=\"b\"} 1\n\
             thingcore_store_failures_total 0\n",
        );
        let more = after.since(&before);
        assert_eq!(more.sum("thingcore_refusals_total"), 3.0);
        assert_eq!(more.to_json().as_object().unwrap().len(), 2);
        let taken = said(
            "thingcore_refusals_total{fault=\"TakenOver\"} 3\nthingcore_refusals_total{fault=\"x\"} 1\n",
        );
        assert_eq!(taken.refusals(), 1.0);
    }

    #[test]
    fn no_count_is_not_a_count_of_none() {
        assert_eq!(Said::ask(None), None);
        assert_eq!(Said::parse("HTTP/1.1 503 Service Unavailable\r\n\r\n"), None);
        assert_eq!(
            Said::parse("thingcore_refusals_total{fault=\"x\"} 0\n"),
            None,
            "the others are not there"
        );
        let sent = FlowReading { sent: 9, delivered: 9, ..FlowReading::default() };
        for rule in rules(None, &sent) {
            assert!(!rule.met && rule.to_json()["value"].is_null(), "{rule:?}");
        }
        assert!(rules(Some(&said("")), &sent).iter().all(|rule| rule.met));
        assert!(!rules(Some(&said("thingcore_refusals_total{fault=\"x\"} 1\n")), &sent)[2].met);
    }

    #[test]
    fn what_was_lost_is_what_has_no_name() {
        let some = said("thingcore_deliveries_dropped_total{reason=\"OUTBOX_FULL\"} 2\n");
        let flow = |delivered| FlowReading { sent: 10_000, delivered, ..FlowReading::default() };
        let [lost, dropped, _] = rules(Some(&some), &flow(9_998));
        assert!(lost.met && dropped.met && (dropped.value - 0.02).abs() < 1e-9, "{dropped:?}");
        assert_eq!(rules(Some(&some), &flow(9_997))[0].value, 1.0);
        let full = said("thingcore_deliveries_dropped_total{reason=\"QUEUE_FULL\"} 9\n");
        assert!(!rules(Some(&full), &flow(9_999))[0].met, "no queue holds QoS 0");
        let all = said(
            "thingcore_deliveries_dropped_total{reason=\"THROTTLED\"} 3\n\
             thingcore_deliveries_dropped_total{reason=\"THROTTLED_WHILE_QUEUEING\"} 100\n\
             thingcore_deliveries_dropped_total{reason=\"QUEUE_FULL\"} 100\n\
             thingcore_deliveries_dropped_total{reason=\"OUTBOX_FULL\"} 4\n\
             thingcore_refusals_total{fault=\"PublishThrottledQos0\"} 5\n\
             thingcore_refusals_total{fault=\"PublishThrottledQos1\"} 100\n",
        );
        assert_eq!(all.qos0_discarded(), 12.0);
    }
}
