//! What packets carry beside what they need: the bill counts it, and messages take it along. Drawn apart from all else, so that
//! older worlds stay what they were.

use bytes::Bytes;
use mqtt::{Ack, MessageProperties, Packet, Text, UserProperties, Version};

use super::World;
use super::speech::text;
use crate::rng::Rng;

/// Bytes in a second that a link must be given, so that a message of several steps does not hold everything up.
const FAST: u64 = 100_000;

fn pairs(apart: &mut Rng) -> UserProperties {
    let mut all = UserProperties::default();
    for number in 0..apart.below(3) {
        all.push(&text(&format!("key{number}")), &text(&"v".repeat(apart.place(12))));
    }
    all
}

/// A PUBACK may say more than it has to.
pub(super) fn with_a_note(packet: &Packet, version: Version, number: u64) -> Option<Packet> {
    let Packet::PubAck(ack) = packet else { return None };
    let mut apart = Rng::new(number.wrapping_mul(0x6e6f_7465));
    if version != Version::V5 || !apart.chance(30) {
        return None;
    }
    let reason_string = apart.chance(50).then(|| text("done"));
    Some(Packet::PubAck(Ack { reason_string, user_properties: pairs(&mut apart), ..ack.clone() }))
}

impl World {
    /// A sequence of its own for what comes next.
    fn apart(&self, what: u64) -> Rng {
        let place = (self.messages << 40) ^ (self.written << 16) ^ self.step as u64;
        Rng::new(self.seed ^ place.wrapping_mul(0x6578_7472_6173) ^ what)
    }

    /// The length of a message that takes more than one step of the bill.
    pub(super) fn large(&self) -> Option<usize> {
        let mut apart = self.apart(1);
        let rate = self.settings.dialect.limits().throughput_per_connection;
        let fast = rate.limit().is_none_or(|limit| u64::from(limit) >= FAST);
        let large = self.settings.carries_more && fast && apart.chance(3);
        large.then(|| 5_000 + apart.place(8_000))
    }

    pub(super) fn pairs(&self, is_v5: bool) -> UserProperties {
        let mut apart = self.apart(2);
        let some = self.settings.carries_more && is_v5 && apart.chance(30);
        if some { pairs(&mut apart) } else { UserProperties::default() }
    }

    pub(super) fn user_name(&self) -> Option<Text> {
        let some = self.settings.carries_more && self.apart(3).chance(20);
        some.then(|| text("?SDK=simulated"))
    }

    pub(super) fn message_properties(&self, is_v5: bool) -> MessageProperties {
        let mut apart = self.apart(4);
        if !self.settings.carries_more || !is_v5 || !apart.chance(30) {
            return MessageProperties::default();
        }
        MessageProperties {
            payload_format_utf8: apart.chance(50).then_some(true),
            content_type: apart.chance(40).then(|| text("text/plain")),
            response_topic: apart.chance(40).then(|| text("answers/here")),
            correlation_data: apart.chance(40).then(|| Bytes::from(vec![7; 1 + apart.place(20)])),
            user_properties: pairs(&mut apart),
        }
    }
}
