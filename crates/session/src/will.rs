//! The last will: what is checked at CONNECT and what is published when the client goes without goodbye.

use std::time::Duration;

use bytes::Bytes;
use dialect::{Dialect, Divergence, Fault};
use identity::Timestamp;
use mqtt::{Carried, Message, QoS, TopicName, Version, Will};

use crate::mutation::{self, Mutation};
use crate::{Note, Notes, Violation, check, terms};

/// A will that passed the checks.
#[derive(Clone, Debug)]
pub struct WillPlan {
    /// Where it will be published.
    pub topic: TopicName,
    /// 0 or 1; 2 where the dialect has it.
    pub qos: QoS,
    /// Whether it will replace the topic's retained message.
    pub retain: bool,
    /// How long after the connection's end it is published.
    pub delay: Duration,
    payload: Bytes,
    properties: Carried,
    expiry: Option<u32>,
    from_v5: bool,
}

impl WillPlan {
    pub(crate) fn agree(
        will: &Will,
        version: Version,
        dialect: &Dialect,
        notes: &mut Notes,
    ) -> Result<Self, Violation> {
        if will.qos == QoS::ExactlyOnce && dialect.has(Divergence::NoQos2) {
            return Err(Violation::new(Fault::WillQosNotSupported, "the will asks for QoS 2"));
        }
        let topic = check::publish_topic(will.topic.clone(), will.retain, dialect).map_err(|violation| {
            Violation::new(Fault::WillTopicInvalid, format!("will: {}", violation.detail))
        })?;
        terms::message_limits(will.payload.len(), &will.properties, dialect).map_err(|violation| {
            Violation::new(Fault::ConnectTooLarge, format!("will: {}", violation.detail))
        })?;
        let mut delay = will.delay_interval.unwrap_or(0);
        if delay > 0 && dialect.has(Divergence::WillDelayIgnored) {
            let detail = format!("asked for a will delay of {delay} s");
            notes.push(Note::new(Divergence::WillDelayIgnored, "CONNECT", detail));
            delay = 0;
        }
        Ok(Self {
            topic,
            qos: will.qos,
            retain: will.retain,
            delay: Duration::from_secs(delay.into()),
            payload: will.payload.clone(),
            properties: will.properties.clone().into(),
            expiry: will.message_expiry_interval,
            from_v5: version == Version::V5,
        })
    }

    /// A will that was stored: its message, and delay and expiry that count from the disconnect, the latter in seconds.
    pub fn restored(message: Message, delay: Duration, expiry: Option<u32>) -> Self {
        Self {
            topic: message.topic,
            qos: message.qos,
            retain: message.retain,
            delay,
            payload: message.payload,
            properties: message.properties,
            expiry,
            from_v5: message.published_by_v5,
        }
    }

    /// The expiry that counts from the disconnect, in seconds.
    pub fn expiry(&self) -> Option<u32> {
        self.expiry
    }

    /// The message; its expiry counts from the disconnect.
    pub fn message(&self, now: Timestamp, dialect: &Dialect) -> Message {
        Message {
            topic: self.topic.clone(),
            payload: self.payload.clone(),
            qos: self.qos,
            retain: self.retain && !mutation::is(Mutation::ForgetsToRetainWill),
            properties: self.properties.clone(),
            expires_at: check::expires_at(self.expiry, now, dialect),
            published_by_v5: self.from_v5,
        }
    }
}
