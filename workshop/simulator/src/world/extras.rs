//! What packets carry beside what they need: the bill counts it, and messages take it along. Drawn apart from all else, so that
//! older worlds stay what they were.

use bytes::Bytes;
use mqtt::{Ack, MessageProperties, Packet, QoS, Text, UserProperties, Version};

use super::World;
use super::speech::text;
use crate::rng::Rng;
use crate::settings::CLIENTS;

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

    /// The largest packet that a client takes.
    pub(super) fn most_bytes(&self, is_v5: bool) -> Option<u32> {
        let mut apart = self.apart(5);
        let some = self.settings.asks_for_more && is_v5 && apart.chance(12);
        some.then(|| apart.between(200, 2_000) as u32)
    }

    pub(super) fn wants_retain_as_published(&self) -> bool {
        self.settings.asks_for_more && self.apart(6).chance(30)
    }

    pub(super) fn is_will_retained(&self) -> bool {
        self.settings.asks_for_more && self.apart(7).chance(30)
    }

    pub(super) fn will_qos(&self) -> QoS {
        let exactly = self.settings.asks_for_more && self.is_oasis() && self.apart(8).chance(30);
        if exactly { QoS::ExactlyOnce } else { QoS::AtLeastOnce }
    }

    /// What a SUBSCRIBE asks for beside the usual: the will of one client, and what comes at the same time.
    pub(super) fn more_filters(&self) -> Vec<String> {
        let mut apart = self.apart(9);
        if !apart.chance(25) {
            return Vec::new();
        }
        let wills = format!("w/c{}", apart.below(CLIENTS as u64));
        let others = [wills, "t/b/+".to_owned(), format!("t/a/{}", apart.below(3))];
        others.into_iter().take(1 + apart.place(3)).collect()
    }

    /// How long a session is to last after a goodbye, if not as long as was agreed. None that was to end begins to last.
    pub(super) fn other_expiry(&self, number: usize) -> Option<u32> {
        let mut apart = self.apart(10);
        let client = self.clients.get(number).filter(|client| client.version.is_v5() && client.lasts())?;
        let _is_there = client.wire?;
        let some = self.settings.asks_for_more && apart.chance(40);
        some.then(|| [20, 300, 3600].get(apart.place(3)).copied()).flatten()
    }
}
