//! A message on its way to many subscribers: encoded at most once for each form in which it goes out.

use std::sync::{Arc, OnceLock};

use identity::Timestamp;
use mqtt::{Message, Publish, PublishFlags, PublishFrame, QoS, Version};
use smallvec::SmallVec;

use crate::mutation::{self, Mutation};

/// Bytes that every message costs beside its content.
const OVERHEAD: usize = 256;

/// A message with its encoded forms.
#[derive(Debug)]
pub struct Parcel {
    /// The message.
    pub message: Message,
    weight: usize,
    /// The same, holding on to nothing but itself.
    twin: OnceLock<Arc<Parcel>>,
    frames: [OnceLock<Option<PublishFrame>>; 6],
}

impl Parcel {
    /// Wraps a message.
    pub fn new(message: Message) -> Self {
        let weight = weight(&message);
        Self { message, weight, twin: OnceLock::new(), frames: Default::default() }
    }

    /// The encoded form for a version and QoS; made on first use, then shared. `None` if MQTT can't carry it.
    pub fn frame(&self, version: Version, qos: QoS) -> Option<&PublishFrame> {
        let [v3_qos0, v3_qos1, v3_qos2, v5_qos0, v5_qos1, v5_qos2] = &self.frames;
        let slot = match (version, qos) {
            (Version::V311, QoS::AtMostOnce) => v3_qos0,
            (Version::V311, QoS::AtLeastOnce) => v3_qos1,
            (Version::V311, QoS::ExactlyOnce) => v3_qos2,
            (Version::V5, QoS::AtMostOnce) => v5_qos0,
            (Version::V5, QoS::AtLeastOnce) => v5_qos1,
            (Version::V5, QoS::ExactlyOnce) => v5_qos2,
        };
        slot.get_or_init(|| PublishFrame::new(&self.packet(qos), version).ok()).as_ref()
    }

    fn packet(&self, qos: QoS) -> Publish {
        Publish {
            qos,
            topic: self.message.topic.as_text().clone(),
            payload: self.message.payload.clone(),
            // A place holder: the frame is patched with what remains when it is sent.
            message_expiry_interval: self.message.expires_at.map(|_| 0),
            properties: self.message.properties.clone(),
            ..Publish::default()
        }
    }

    /// The packet for one client, with the identifiers of its subscriptions [MQTT-3.3.4-3]. The packet identifier is
    /// still missing.
    pub(crate) fn identified(
        &self,
        qos: QoS,
        subscription_identifiers: SmallVec<[u32; 1]>,
        flags: PublishFlags,
        message_expiry_interval: Option<u32>,
    ) -> Publish {
        let PublishFlags { dup, retain } = flags;
        Publish { dup, retain, subscription_identifiers, message_expiry_interval, ..self.packet(qos) }
    }

    /// How long the packet for a client is, if MQTT can carry it.
    pub(crate) fn packet_len(&self, version: Version, qos: QoS, identifiers: usize) -> Option<usize> {
        // An identifier takes five bytes at most, and makes the two lengths before it longer by three each at most.
        let extra = if version == Version::V5 && identifiers > 0 { 5 * identifiers + 6 } else { 0 };
        self.frame(version, qos).map(|frame| frame.len() + extra)
    }

    /// The message for a place where it may wait: it must not hold on to the large buffer in which it came. Copied at
    /// most once for all who wait.
    pub fn lasting(&self) -> Arc<Self> {
        self.twin.get_or_init(|| Arc::new(Self::new(self.message.detached()))).clone()
    }

    /// True once the message's expiry has passed.
    pub fn is_expired(&self, now: Timestamp) -> bool {
        self.message.expires_at.is_some_and(|end| end <= now.millis())
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
