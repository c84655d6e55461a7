//! `Message`: what an application published, without the packet that carried it.

use bytes::Bytes;

use crate::packet::Carried;
use crate::topic::TopicName;
use crate::version::QoS;

/// The version-neutral application message. The broker shares one per PUBLISH among all receivers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Where it was published.
    pub topic: TopicName,
    /// The application's bytes.
    pub payload: Bytes,
    /// The quality of service it was published with.
    pub qos: QoS,
    /// Whether the publisher asked to retain it.
    pub retain: bool,
    /// What travels end to end.
    pub properties: Carried,
    /// When it expires, in milliseconds since the Unix epoch; absent = never.
    pub expires_at: Option<u64>,
    /// Whether an MQTT 5 client published it.
    pub published_by_v5: bool,
}

impl Message {
    /// Whether it has expired at `now` (milliseconds since the Unix epoch).
    #[must_use]
    pub fn is_expired(&self, now: u64) -> bool {
        self.expires_at.is_some_and(|at| at <= now)
    }

    /// The Message Expiry Interval to send at `now`: the whole seconds left, rounded up so that a message that is
    /// still alive never says 0 `[MQTT-3.3.2-6]`.
    #[must_use]
    pub fn seconds_left(&self, now: u64) -> Option<u32> {
        let left = self.expires_at?.saturating_sub(now).div_ceil(1000);
        Some(u32::try_from(left).unwrap_or(u32::MAX))
    }

    /// A copy that keeps no read buffer alive: for what is stored longer than the moment (retained, queued).
    #[must_use]
    pub fn detached(&self) -> Self {
        Self {
            topic: self.topic.detached(),
            payload: Bytes::copy_from_slice(&self.payload),
            properties: self.properties.detached(),
            ..*self
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(expires_at: Option<u64>) -> Message {
        Message {
            topic: TopicName::try_from("a/b").unwrap(),
            payload: Bytes::from_static(b"x"),
            qos: QoS::AtLeastOnce,
            retain: false,
            properties: Carried::default(),
            expires_at,
            published_by_v5: true,
        }
    }

    /// `[MQTT-3.3.2-5]`, `[MQTT-3.3.2-6]`
    #[test]
    fn expiry_counts_down_in_seconds() {
        let message = message(Some(10_000));
        assert_eq!(message.seconds_left(0), Some(10));
        assert_eq!(message.seconds_left(9_001), Some(1));
        assert!(!message.is_expired(9_999));
        assert!(message.is_expired(10_000));
        assert_eq!(message.seconds_left(10_001), Some(0));
    }

    #[test]
    fn a_message_without_expiry_lives_on() {
        assert!(!message(None).is_expired(u64::MAX));
        assert_eq!(message(None).seconds_left(0), None);
        assert_eq!(message(Some(u64::MAX)).seconds_left(0), Some(u32::MAX));
    }

    #[test]
    fn a_detached_copy_is_equal() {
        assert_eq!(message(Some(5)).detached(), message(Some(5)));
    }
}
