//! Retained messages: one for each topic, the last writer wins, an empty payload deletes [MQTT-3.3.1-6].

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use dialect::{Divergence, QuotaId};
use identity::Timestamp;
use mqtt::{Message, TopicFilter};
use policy::Permit;
use records::{RETAINED, RetainedRecord};
use session::mutation::{self, Mutation};
use session::{Parcel, Violation};
use store::{Batch, Key};

use super::{Kept, Outcome};
use crate::broker::{Inner, match_rules};
use crate::durable::Job;
use session::throttle::retain_fault;

/// How long at least between two looks through all retained messages.
const SWEEP_PAUSE: Duration = Duration::from_secs(10);

/// How many retained messages one wildcard filter brings (only where the dialect lets wildcards bring any).
const MOST: usize = 10_000;
/// How many topics are looked at to tell that a wildcard filter would have brought some.
const MOST_LOOKED_AT: usize = 1_000;

impl Inner {
    /// The quotas of retaining: rates, and at the cap of retained messages only deletions and replacements pass
    /// (retained-cap-throttle). What breaks them is not published either.
    pub fn admit_retained(&self, message: &Message, now: Timestamp) -> Result<(), Violation> {
        if !message.retain {
            return Ok(());
        }
        let (topic, limits) = (message.topic.as_str(), self.dialect.limits());
        self.throttles.retain(topic, message.qos, limits, now)?;
        let full = || self.retained.len() >= limits.retained_messages;
        let adds = !message.payload.is_empty() && full() && self.retained.get(topic).is_none();
        if adds && (!self.sweep_retained(now) || full()) {
            let fault = retain_fault(message.qos);
            return Err(session::throttle::violation(fault, QuotaId::RetainedMessages, limits));
        }
        Ok(())
    }

    /// Stores or deletes the topic's retained message. What is there when it is written goes to the disk.
    pub fn retain(
        &self,
        _permit: Permit<policy::RetainPublish>,
        parcel: &Arc<Parcel>,
        outcome: &mut Outcome,
        now: Timestamp,
    ) {
        let topic = parcel.message.topic.as_str();
        let weight = parcel.weight();
        let mut changed = || outcome.retained.extend(self.journal.is_some().then(|| (topic.into(), weight)));
        if parcel.message.payload.is_empty() {
            changed();
            if self.retained.delete(topic) {
                self.report_retained_deleted(topic, now);
            }
            return;
        }
        if mutation::is(Mutation::KeepsOldRetained) && self.retained.get(topic).is_some() {
            return;
        }
        // Kept for long: it must not hold on to the buffer that it came in.
        let kept = Kept { parcel: parcel.to_lasting(), stored: now, qos: parcel.message.qos };
        let kept = Arc::new(kept);
        let mut stored = self.retained.store(topic, kept.clone());
        if stored.is_err() && self.sweep_retained(now) {
            stored = self.retained.store(topic, kept);
        }
        match stored {
            Ok(()) => {
                changed();
                self.report_retained_stored(topic, parcel.message.payload.len(), now);
            }
            Err(router::Full) => self.report_retained_full(topic, now),
        }
    }

    /// The retained messages of topics as they are now, as they go to the disk: in as many batches as the store wants.
    pub fn retained_records(&self, topics: &[(Box<str>, usize)]) -> Vec<Batch> {
        let (mut batches, mut batch) = (Vec::new(), Batch::new());
        for (topic, _) in topics {
            let (key, kept) = (Key::of(&[topic]), self.retained.get(topic));
            let record = kept.as_ref().map(|kept| RetainedRecord::encode(&kept.parcel.message, kept.stored));
            let weight = topic.len() + record.as_ref().map_or(0, Bytes::len);
            if batch.bytes() + weight > Batch::MAX_BYTES / 2 {
                batches.push(std::mem::take(&mut batch));
            }
            match record {
                Some(_) if mutation::is(Mutation::ForgetsRetained) => {}
                Some(record) => {
                    batch.put(RETAINED, key, record);
                }
                None => {
                    batch.delete(RETAINED, key);
                }
            }
        }
        batches.push(batch);
        batches
    }

    /// Lets go of what has expired, when there is no room. Looks through everything, so not more often than in a while.
    fn sweep_retained(&self, now: Timestamp) -> bool {
        let last = self.swept.swap(now.millis(), Ordering::Relaxed);
        if now.since(Timestamp(last)) < SWEEP_PAUSE {
            self.swept.store(last, Ordering::Relaxed);
            return false;
        }
        let gone = self.retained.sweep(|kept| !kept.parcel.is_expired(now));
        let any = !gone.is_empty();
        self.write_retained(gone);
        any
    }

    /// The retained messages of topics are gone, and still on the disk.
    fn write_retained(&self, gone: Vec<Box<str>>) {
        if self.journal.is_some() {
            let topics = gone.into_iter().map(|topic| (topic, 0)).collect();
            Job::retained(topics).for_each(|job| self.committer.submit(job));
        }
    }

    /// The retained message of a topic, unless it has expired.
    pub fn retained_at(&self, topic: &str, now: Timestamp) -> Option<Arc<Kept>> {
        let kept = self.retained.get(topic)?;
        if kept.parcel.is_expired(now) {
            if self.retained.delete_if_same(topic, &kept) {
                self.write_retained(vec![topic.into()]);
            }
            return None;
        }
        Some(kept)
    }

    /// True if the standard would send retained messages here and the dialect does not (retained-exact-only). It is asked
    /// for a report only, so it looks at [`MOST_LOOKED_AT`] topics: among more it may miss the one that matches.
    pub fn withholds_retained(&self, filter: &TopicFilter, now: Timestamp) -> bool {
        if !self.observers.wants(events::Kind::DivergenceObserved)
            || !self.dialect.has(Divergence::RetainedExactOnly)
            || !filter.has_wildcard()
            || filter.share_name().is_some()
        {
            return false;
        }
        let wanted = |kept: &Kept| !kept.parcel.is_expired(now);
        self.retained.finds(filter.as_str(), match_rules(&self.dialect), MOST_LOOKED_AT, wanted)
    }

    /// What a new subscription brings: AWS sends retained messages for exact filters only (retained-exact-only), and
    /// none for shared subscriptions [MQTT-3.3.1-9 ff.].
    pub fn retained_for(&self, filter: &TopicFilter, now: Timestamp) -> Vec<Arc<Kept>> {
        if filter.share_name().is_some() {
            return Vec::new();
        }
        if !filter.has_wildcard() {
            return self.retained_at(filter.as_str(), now).into_iter().collect();
        }
        if self.dialect.has(Divergence::RetainedExactOnly) {
            return Vec::new();
        }
        let mut found = self.retained.matching(filter.as_str(), match_rules(&self.dialect), MOST);
        found.retain(|kept| !kept.parcel.is_expired(now));
        found
    }
}
