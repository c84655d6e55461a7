//! A message on its way to its subscribers: for the second of them on, encoded once for each form in which it goes out.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use identity::Timestamp;
use mqtt::{Message, PacketId, PublishFlags, PublishFrame, PublishParts, QoS, Version};

use crate::Paper;
use crate::mutation::{self, Mutation};

/// Bytes that every message costs beside its content.
const OVERHEAD: usize = 256;

/// Messages with a payload up to this many bytes are copied once when they may wait somewhere, so that a small
/// message does not hold on to the large buffer in which it arrived.
const COPY_UP_TO: usize = 16 * 1024;

/// A message, and its encoded forms once it has more than one receiver.
#[derive(Debug)]
pub struct Parcel {
    /// The message.
    pub message: Message,
    /// Stands for its topic; 0 as long as it was not looked for.
    topic_key: AtomicU64,
    weight: usize,
    /// It holds on to nothing but itself.
    detached: bool,
    /// It was encoded for somebody: the next one is worth a form that can be shared.
    encoded: AtomicBool,
    /// The same message, holding on to nothing but itself.
    twin: OnceLock<Arc<Parcel>>,
    /// What only a message with many receivers needs.
    forms: OnceLock<Box<Forms>>,
}

#[derive(Debug, Default)]
struct Forms {
    frames: [OnceLock<Option<PublishFrame>>; 6],
}

/// How one receiver gets a message.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Manner<'a> {
    pub version: Version,
    pub qos: QoS,
    pub packet_id: Option<PacketId>,
    pub flags: PublishFlags,
    /// The Message Expiry Interval, in seconds.
    pub expiry: Option<u32>,
    pub identifiers: &'a [u32],
}

impl Parcel {
    /// Wraps a message.
    pub fn new(message: Message) -> Self {
        let weight = weight(&message);
        let (twin, forms) = (OnceLock::new(), OnceLock::new());
        let (topic_key, encoded) = (AtomicU64::new(0), AtomicBool::new(false));
        Self { message, topic_key, weight, detached: false, encoded, twin, forms }
    }

    /// Notes what stands for its topic, for those who count by it.
    pub fn note_topic(&self, key: u64) {
        self.topic_key.store(key, Ordering::Relaxed);
    }

    /// What stands for its topic; 0 if nobody noted it.
    pub fn topic_key(&self) -> u64 {
        self.topic_key.load(Ordering::Relaxed)
    }

    /// Wraps a copy of a message that holds on to nothing but itself.
    pub fn lasting(message: &Message) -> Self {
        Self { detached: true, ..Self::new(message.detached()) }
    }

    /// Changes the message before anybody else has it.
    pub fn amend<R>(&mut self, change: impl FnOnce(&mut Message) -> R) -> R {
        let result = change(&mut self.message);
        self.weight = weight(&self.message);
        result
    }

    /// The encoded form for a version and QoS; made on first use, then shared. `None` if MQTT can't carry it.
    fn frame(&self, version: Version, qos: QoS) -> Option<&PublishFrame> {
        let [v3_qos0, v3_qos1, v3_qos2, v5_qos0, v5_qos1, v5_qos2] = &self.forms().frames;
        let slot = match (version, qos) {
            (Version::V311, QoS::AtMostOnce) => v3_qos0,
            (Version::V311, QoS::AtLeastOnce) => v3_qos1,
            (Version::V311, QoS::ExactlyOnce) => v3_qos2,
            (Version::V5, QoS::AtMostOnce) => v5_qos0,
            (Version::V5, QoS::AtLeastOnce) => v5_qos1,
            (Version::V5, QoS::ExactlyOnce) => v5_qos2,
        };
        slot.get_or_init(|| PublishFrame::new(&self.template(qos), version).ok()).as_ref()
    }

    fn forms(&self) -> &Forms {
        self.forms.get_or_init(Box::default)
    }

    /// The packet for everybody.
    fn template(&self, qos: QoS) -> PublishParts<'_> {
        PublishParts {
            dup: false,
            qos,
            retain: false,
            topic: self.message.topic.as_text(),
            packet_id: None,
            payload: &self.message.payload,
            topic_alias: None,
            // A place holder: a frame is patched with what remains when it is sent.
            message_expiry_interval: self.message.expires_at.map(|_| 0),
            subscription_identifiers: &[],
            properties: &self.message.properties,
        }
    }

    /// The packet for one receiver, with the identifiers of its subscriptions [MQTT-3.3.4-3].
    pub(crate) fn parts<'a>(&'a self, manner: &Manner<'a>) -> PublishParts<'a> {
        PublishParts {
            dup: manner.flags.dup,
            retain: manner.flags.retain,
            packet_id: manner.packet_id,
            message_expiry_interval: manner.expiry,
            subscription_identifiers: manner.identifiers,
            ..self.template(manner.qos)
        }
    }

    /// Appends the packet for one receiver. The first one gets it straight from the message; from the second on it is
    /// copied from a form that all share. Nothing is written if MQTT can't carry it.
    pub(crate) fn write_into<P: Paper>(&self, manner: &Manner<'_>, out: &mut P) {
        if out.shares(self.message.payload.len()) {
            self.lay_into(&self.parts(manner), manner.version, out);
            return;
        }
        let out = out.ink();
        let is_alike = manner.version == Version::V311 || manner.identifiers.is_empty();
        if is_alike && self.encoded.load(Ordering::Relaxed) {
            if let Some(frame) = self.frame(manner.version, manner.qos) {
                frame.write_into(out, manner.packet_id, manner.flags, manner.expiry);
            }
            return;
        }
        // Two who come first at the same time both do the work: it is the same.
        self.encoded.store(true, Ordering::Relaxed);
        let _too_long = mqtt::encode_publish(&self.parts(manner), manner.version, out);
    }

    /// Appends a packet whose payload is sent from where it is.
    pub(crate) fn lay_into<P: Paper>(&self, parts: &PublishParts<'_>, version: Version, out: &mut P) {
        if mqtt::encode_publish_head(parts, version, out.ink()).is_ok() {
            out.insert(parts.payload);
        }
    }

    /// True if the packet of it is no longer than this, whatever the version and QoS, by what is known of it anyway.
    pub(crate) fn is_surely_within(&self, bytes: usize) -> bool {
        // Without properties a packet has its topic and payload, and less than the overhead besides.
        self.weight <= bytes.min(mqtt::PACKET_MAX) && self.message.properties.is_empty()
    }

    /// How long the packet for a client is, if MQTT can carry it.
    pub(crate) fn packet_len(&self, version: Version, qos: QoS, identifiers: usize) -> Option<usize> {
        // An identifier takes five bytes at most, and makes the two lengths before it longer by three each at most.
        let extra = if version == Version::V5 && identifiers > 0 { 5 * identifiers + 6 } else { 0 };
        mqtt::publish_len(&self.template(qos), version).ok().map(|length| length + extra)
    }

    /// The message for a place where it may wait: it must not hold on to the large buffer in which it came. Copied at
    /// most once for all who wait.
    pub fn to_lasting(self: &Arc<Self>) -> Arc<Self> {
        if self.detached {
            return self.clone();
        }
        self.twin.get_or_init(|| Arc::new(Self::lasting(&self.message))).clone()
    }

    /// The message for a window or a queue in memory: as [`Parcel::to_lasting`], unless it fills most of its buffer anyway.
    pub fn to_waiting(self: &Arc<Self>) -> Arc<Self> {
        if self.message.payload.len() <= COPY_UP_TO { self.to_lasting() } else { self.clone() }
    }

    /// True once the message's expiry has passed.
    pub fn is_expired(&self, now: Timestamp) -> bool {
        let early = if mutation::is(Mutation::ExpiresTooEarly) { 5_000 } else { 0 };
        self.message.expires_at.is_some_and(|end| end <= now.millis().saturating_add(early))
            && !mutation::is(Mutation::IgnoresExpiry)
    }

    /// The Message Expiry Interval to send: the seconds that remain. Whole ones where what is under a second is sent
    /// as 0 (expiry-zero-out), else begun ones.
    pub fn remaining_expiry(&self, now: Timestamp, zero_out: bool) -> Option<u32> {
        let left = self.message.expires_at?.saturating_sub(now.millis());
        let seconds = if zero_out { left / 1000 } else { left.div_ceil(1000) };
        Some(u32::try_from(seconds).unwrap_or(u32::MAX))
    }

    /// About the bytes that it keeps in memory: what bounded buffers count.
    pub fn weight(&self) -> usize {
        self.weight
    }
}

fn weight(message: &Message) -> usize {
    let properties = &message.properties;
    let text = |text: &Option<mqtt::Text>| text.as_ref().map_or(0, |text| text.as_bytes().len());
    OVERHEAD
        + message.payload.len()
        + message.topic.as_str().len()
        + properties.user_properties.byte_len()
        + properties.correlation_data.as_ref().map_or(0, |data| data.len())
        + text(&properties.content_type)
        + text(&properties.response_topic)
}
