//! What waits to be written to one client, in order. Messages are shared; they are encoded when the socket has room.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::BytesMut;
use dialect::{Dialect, Divergence};
use identity::Timestamp;
use mqtt::{Packet, PacketId, Publish, PublishFlags, QoS, Text, Version};
use smallvec::SmallVec;

use crate::aliases::{Aliases, Form};
use crate::{Offer, Parcel, Terms};

/// How many packets wait at most before messages are refused (QoS 0) or kept back (QoS 1).
const MOST_PACKETS: usize = 1024;
/// From how many waiting packets on a client counts as slow.
const SLOW: usize = 64;
/// Above this many waiting packets the client's input is not read any further.
const CONGESTED: usize = 2 * MOST_PACKETS;

#[derive(Debug)]
enum Outgoing {
    Packet(Packet),
    Publish(Delivery),
}

/// A message on its way to this client.
#[derive(Debug)]
struct Delivery {
    parcel: Arc<Parcel>,
    qos: QoS,
    packet_id: Option<PacketId>,
    flags: PublishFlags,
    identifiers: SmallVec<[u32; 1]>,
}

/// The bounded queue of one connection.
#[derive(Debug)]
pub struct Outbox {
    waiting: VecDeque<Outgoing>,
    bytes: usize,
    most_bytes: usize,
    zero_out: bool,
    expires: bool,
    aliases: Aliases,
}

impl Outbox {
    /// An empty outbox by the rules of the dialect for a client with these terms.
    pub fn new(terms: &Terms, dialect: &Dialect) -> Self {
        Self {
            waiting: VecDeque::new(),
            bytes: 0,
            most_bytes: dialect.limits().outbox_bytes,
            zero_out: dialect.has(Divergence::ExpiryZeroOut),
            aliases: Aliases::new(terms.topic_aliases),
            expires: terms.version == Version::V5 || dialect.has(Divergence::ExpiryCrossesVersions),
        }
    }

    /// True if a message may be added.
    pub fn has_room(&self, weight: usize) -> bool {
        self.waiting.is_empty()
            || (self.waiting.len() < MOST_PACKETS && self.bytes + weight <= self.most_bytes)
    }

    /// True if the client makes more answers than it takes.
    pub fn is_congested(&self) -> bool {
        self.waiting.len() > CONGESTED
    }

    /// True if the client is slow enough for messages to wait for a while.
    pub fn is_slow(&self) -> bool {
        self.waiting.len() > SLOW
    }

    /// True if nothing waits.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Adds an answer. Answers are bounded by the input that causes them, which stops at [`Outbox::is_congested`].
    pub(crate) fn packet(&mut self, packet: Packet) {
        self.waiting.push_back(Outgoing::Packet(packet));
    }

    pub(crate) fn publish(&mut self, offer: &Offer, packet_id: Option<PacketId>, dup: bool) {
        self.bytes += offer.parcel.weight();
        let (parcel, qos, flags) =
            (offer.parcel.clone(), offer.qos, PublishFlags { dup, retain: offer.retain });
        let identifiers = offer.identifiers.clone();
        self.waiting.push_back(Outgoing::Publish(Delivery { parcel, qos, packet_id, flags, identifiers }));
    }

    /// Exchanges the last two entries if both are messages.
    pub(crate) fn overtake(&mut self) -> bool {
        let last = self.waiting.len().wrapping_sub(1);
        let is_publish = |at: usize| matches!(self.waiting.get(at), Some(Outgoing::Publish(_)));
        let two = self.waiting.len() > 1 && is_publish(last) && is_publish(last - 1);
        if two {
            self.waiting.swap(last, last - 1);
        }
        two
    }

    /// Gives the message that waits under one packet identifier another one. False if there is none.
    pub(crate) fn renumber(&mut self, from: PacketId, to: PacketId) -> bool {
        for entry in &mut self.waiting {
            if let Outgoing::Publish(Delivery { packet_id: Some(packet_id), .. }) = entry
                && *packet_id == from
            {
                *packet_id = to;
                return true;
            }
        }
        false
    }

    /// Throws away what waits; the connection is ending.
    pub(crate) fn clear(&mut self) {
        // [MQTT-3.2.0-1] a CONNACK that was not written yet is still the first word.
        let first = self.waiting.pop_front();
        self.waiting = VecDeque::new();
        self.waiting.extend(first.filter(|first| matches!(first, Outgoing::Packet(Packet::ConnAck(_)))));
        self.bytes = 0;
    }

    /// Encodes up to about `budget` bytes. Returns false if nothing was written.
    pub fn write(&mut self, version: Version, out: &mut BytesMut, budget: usize, now: Timestamp) -> bool {
        let start = out.len();
        while out.len() - start < budget {
            match self.waiting.pop_front() {
                Some(Outgoing::Packet(packet)) => {
                    // A packet of our own making is never too long to encode.
                    let _too_long = mqtt::encode(&packet, version, out);
                }
                Some(Outgoing::Publish(delivery)) => {
                    self.bytes = self.bytes.saturating_sub(delivery.parcel.weight());
                    self.encode(delivery, version, out, now);
                }
                None => break,
            }
        }
        out.len() > start
    }

    fn encode(&mut self, delivery: Delivery, version: Version, out: &mut BytesMut, now: Timestamp) {
        let Delivery { parcel, qos, packet_id, flags, identifiers } = delivery;
        // [MQTT-3.3.2-5]; one of QoS 1 has been promised a place in the window and keeps it.
        if qos == QoS::AtMostOnce && self.expires && parcel.is_expired(now) {
            return;
        }
        let expiry = parcel.remaining_expiry(now, self.zero_out);
        // What is particular to this client has no shared form.
        if version == Version::V5 && (!identifiers.is_empty() || self.aliases.are_used()) {
            let publish = parcel.identified(qos, identifiers, flags, expiry);
            let publish = self.by_alias(Publish { packet_id, ..publish });
            // It is as long as the message that came, and a few bytes.
            let _too_long = mqtt::encode(&Packet::Publish(Box::new(publish)), version, out);
        } else if let Some(frame) = parcel.frame(version, qos) {
            frame.write_into(out, packet_id, flags, expiry);
        }
    }

    fn by_alias(&mut self, publish: Publish) -> Publish {
        match self.aliases.form(&publish.topic) {
            Form::Name => publish,
            Form::Both(alias) => Publish { topic_alias: Some(alias), ..publish },
            Form::Alias(alias) => Publish { topic_alias: Some(alias), topic: Text::EMPTY, ..publish },
        }
    }
}
