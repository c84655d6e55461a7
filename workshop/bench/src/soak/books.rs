//! What everybody of a soak has seen, in counters that only grow: an interval is the difference of two readings.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};

use fleet::Recorder;
use serde_json::{Map, Value, json};

/// Kinds of errors that are kept apart; what comes after that counts as `other`.
const KINDS_MAX: usize = 64;

/// A counter of something.
#[derive(Debug, Default)]
pub struct Count(AtomicU64);

impl Count {
    /// So many more.
    pub fn add(&self, more: u64) {
        self.0.fetch_add(more, Relaxed);
    }

    /// So many so far.
    pub fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// Messages of one quality of service, counted by those who send and receive them.
#[derive(Debug, Default)]
pub struct Flow {
    /// Written to the broker.
    pub sent: Count,
    /// Arrived for the first time.
    pub delivered: Count,
    /// Arrived again.
    pub duplicated: Count,
    /// Not of this run, or too old to tell.
    pub foreign: Count,
    /// QoS 1: the broker said success.
    pub acknowledged: Count,
    /// QoS 1: the broker said no.
    pub refused: Count,
}

impl Flow {
    /// All of it now.
    pub fn reading(&self) -> FlowReading {
        FlowReading {
            sent: self.sent.get(),
            delivered: self.delivered.get(),
            duplicated: self.duplicated.get(),
            foreign: self.foreign.get(),
            acknowledged: self.acknowledged.get(),
            refused: self.refused.get(),
        }
    }
}

/// A [`Flow`] at one moment, or between two.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FlowReading {
    /// Written to the broker.
    pub sent: u64,
    /// Arrived for the first time.
    pub delivered: u64,
    /// Arrived again.
    pub duplicated: u64,
    /// Not of this run, or too old to tell.
    pub foreign: u64,
    /// QoS 1: the broker said success.
    pub acknowledged: u64,
    /// QoS 1: the broker said no.
    pub refused: u64,
}

impl FlowReading {
    /// What has happened since an earlier reading.
    pub const fn since(&self, before: &Self) -> Self {
        Self {
            sent: self.sent.saturating_sub(before.sent),
            delivered: self.delivered.saturating_sub(before.delivered),
            duplicated: self.duplicated.saturating_sub(before.duplicated),
            foreign: self.foreign.saturating_sub(before.foreign),
            acknowledged: self.acknowledged.saturating_sub(before.acknowledged),
            refused: self.refused.saturating_sub(before.refused),
        }
    }

    /// Sent, not refused, and not arrived. While messages are on their way these count, too.
    pub const fn missing(&self) -> u64 {
        self.sent.saturating_sub(self.refused).saturating_sub(self.delivered)
    }

    /// By name.
    pub fn to_json(self) -> Value {
        json!({
            "sent": self.sent, "delivered": self.delivered, "missing": self.missing(), "duplicated": self.duplicated,
            "foreign": self.foreign, "acknowledged": self.acknowledged, "refused": self.refused,
        })
    }
}

/// What the churn did.
#[derive(Debug, Default)]
pub struct Churn {
    /// Devices that left and came back.
    pub returns: Count,
    /// Filters subscribed to and given back.
    pub subscriptions: Count,
    /// Changes of policies.
    pub policy_edits: Count,
    /// Messages that were queued for absent devices: acknowledged to their publishers.
    pub queued: Count,
    /// Of these, those that a device got when it came back.
    pub drained: Count,
    /// Those that it got twice.
    pub drained_again: Count,
    /// Retained messages that were replaced.
    pub retained_updates: Count,
    /// New subscribers that looked at one.
    pub retained_reads: Count,
    /// QoS 1 messages outside of the measured flows that were acknowledged and never came.
    pub lost: Count,
}

impl Churn {
    /// By name.
    pub fn to_json(&self) -> Value {
        json!({
            "returns": self.returns.get(), "subscriptions": self.subscriptions.get(),
            "policy_edits": self.policy_edits.get(), "queued": self.queued.get(), "drained": self.drained.get(),
            "drained_again": self.drained_again.get(), "retained_updates": self.retained_updates.get(),
            "retained_reads": self.retained_reads.get(), "lost": self.lost.get(),
        })
    }
}

/// All counters and histograms of a run.
#[derive(Debug, Default)]
pub struct Books {
    /// QoS 0 and QoS 1.
    pub flows: [Flow; 2],
    /// From when a message was due to its arrival: QoS 0 and QoS 1.
    pub latencies: [Recorder; 2],
    /// TCP, TLS, CONNACK of those that come back.
    pub connects: Recorder,
    /// What the churn did.
    pub churn: Churn,
    /// Errors by kind, each with the first example.
    errors: Mutex<BTreeMap<String, (u64, String)>>,
}

impl Books {
    /// Something that must not happen: who met it, its kind, and what it says.
    pub fn error(&self, who: &str, kind: &str, text: &str) {
        let mut errors = self.errors.lock().unwrap_or_else(PoisonError::into_inner);
        let mut key = format!("{who}: {kind}");
        if errors.len() >= KINDS_MAX && !errors.contains_key(&key) {
            key = "other".into();
        }
        let entry = errors.entry(key).or_insert_with(|| (0, text.to_owned()));
        entry.0 += 1;
    }

    /// Both flows now.
    pub fn readings(&self) -> [FlowReading; 2] {
        let [qos0, qos1] = &self.flows;
        [qos0.reading(), qos1.reading()]
    }

    /// All errors so far.
    pub fn errors(&self) -> u64 {
        self.errors.lock().unwrap_or_else(PoisonError::into_inner).values().map(|(count, _)| count).sum()
    }

    /// Errors by kind: how many, and the first.
    pub fn errors_json(&self) -> Value {
        let errors = self.errors.lock().unwrap_or_else(PoisonError::into_inner);
        let entries = errors
            .iter()
            .map(|(kind, (count, first))| (kind.clone(), json!({ "count": count, "first": first })));
        Value::Object(entries.collect::<Map<_, _>>())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_refused_is_not_missing() {
        let flow = Flow::default();
        flow.sent.add(10);
        flow.delivered.add(6);
        flow.refused.add(3);
        let before = flow.reading();
        assert_eq!(before.missing(), 1);
        flow.sent.add(5);
        flow.delivered.add(5);
        assert_eq!(
            flow.reading().since(&before),
            FlowReading { sent: 5, delivered: 5, ..Default::default() }
        );
    }

    #[test]
    fn errors_are_counted_by_kind_and_bounded() {
        let books = Books::default();
        books.error("publisher", "closed", "first");
        books.error("publisher", "closed", "second");
        for kind in 0..2 * KINDS_MAX {
            books.error("x", &kind.to_string(), "");
        }
        assert_eq!(books.errors(), 2 + 2 * KINDS_MAX as u64);
        let json = books.errors_json();
        assert_eq!(json.pointer("/publisher: closed").unwrap(), &json!({ "count": 2, "first": "first" }));
        assert!(json.as_object().unwrap().len() <= KINDS_MAX + 1);
    }
}
