//! What waits to be written to one client, in order. Small messages are encoded at once; the others are shared, and encoded
//! when the socket has room.

use std::collections::VecDeque;
use std::sync::{Arc, Weak};

use bytes::{Buf as _, BytesMut};
use dialect::{Dialect, Divergence};
use identity::Timestamp;
use mqtt::{Packet, PacketId, PublishFlags, PublishParts, QoS, Text, Version};
use smallvec::SmallVec;

use crate::aliases::{Aliases, Form};
use crate::parcel::Manner;
use crate::{Offer, Paper, Parcel, Terms, spare};

/// How many packets wait at most before messages are refused (QoS 0) or kept back (the others). Of those that may be on
/// their way anyway as many wait as the client's window has, if it is wider.
const MOST_PACKETS: u16 = 1024;
/// From how many waiting packets on a client counts as slow.
const SLOW: usize = 64;
/// That many packets more than may wait, and the client's input is not read any further.
const CONGESTED: usize = 1024;

/// Payloads up to this many bytes are copied at once into the receiver's outbox: no two threads share them then, and
/// nothing holds on to the buffer in which they came.
const WRITTEN_UP_TO: usize = 2048;
/// Bytes of a run from which on the next message begins another one: what is written at a time stays near its budget.
const LONG_RUN: usize = 16 * 1024;

/// The topic of a message that an alias stands for.
static NO_NAME: Text = Text::EMPTY;

#[derive(Debug)]
enum Outgoing {
    Packet(Packet),
    Publish(Delivery),
    /// Messages that stand encoded in the ink.
    Written(Run),
    /// Answers that do.
    Said {
        bytes: usize,
        packets: usize,
    },
}

/// A message on its way to this client.
#[derive(Debug)]
struct Delivery {
    parcel: Arc<Parcel>,
    qos: QoS,
    packet_id: Option<PacketId>,
    flags: PublishFlags,
    identifiers: SmallVec<[u32; 1]>,
    /// Of one that went out before: gone when the client has answered or the session has given it up.
    wanted: Option<Weak<()>>,
}

/// Messages that follow each other in the ink.
#[derive(Clone, Copy, Debug, Default)]
struct Run {
    bytes: usize,
    messages: usize,
    /// Bytes of the last message, and of the one before it; 0 if that is not known.
    last: usize,
    before: usize,
}

/// Messages of QoS 0 that expired on their way, before the link took them.
pub type Expired = Vec<Arc<Parcel>>;

/// The bounded queue of one connection.
#[derive(Debug)]
pub struct Outbox {
    waiting: VecDeque<Outgoing>,
    /// What [`Outgoing::Written`] speaks of, in the same order.
    ink: BytesMut,
    /// Packets and messages that wait.
    count: usize,
    bytes: usize,
    most_bytes: usize,
    most_packets: u16,
    version: Version,
    zero_out: bool,
    expires: bool,
    aliases: Aliases,
}

impl Outbox {
    /// An empty outbox by the rules of the dialect for a client with these terms.
    pub fn new(terms: &Terms, dialect: &Dialect) -> Self {
        Self {
            waiting: VecDeque::new(),
            ink: BytesMut::new(),
            count: 0,
            bytes: 0,
            most_bytes: dialect.limits().outbox_bytes,
            most_packets: terms.send_window.max(MOST_PACKETS),
            version: terms.version,
            zero_out: dialect.has(Divergence::ExpiryZeroOut),
            aliases: Aliases::new(terms.topic_aliases),
            expires: terms.version == Version::V5 || dialect.has(Divergence::ExpiryCrossesVersions),
        }
    }

    /// True if a message of this QoS may be added.
    pub fn has_room(&self, qos: QoS, weight: usize) -> bool {
        let most = if qos == QoS::AtMostOnce { MOST_PACKETS } else { self.most_packets };
        self.count == 0 || (self.count < most.into() && self.bytes + weight <= self.most_bytes)
    }

    /// True if so many bytes are no more than may wait for one client.
    pub(crate) fn bears(&self, bytes: usize) -> bool {
        bytes <= self.most_bytes
    }

    /// True if the client makes more answers than it takes.
    pub fn is_congested(&self) -> bool {
        self.count > usize::from(self.most_packets) + CONGESTED
    }

    /// True if nothing waits.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Adds an answer. Answers are bounded by the input that causes them, which stops at [`Outbox::is_congested`].
    pub(crate) fn packet(&mut self, packet: Packet) {
        self.count += 1;
        self.waiting.push_back(Outgoing::Packet(packet));
    }

    /// Adds a PUBACK that says success.
    pub(crate) fn puback(&mut self, packet_id: PacketId) {
        self.count += 1;
        let start = self.ink_end();
        mqtt::encode_puback(packet_id, &mut self.ink);
        let more = self.ink.len() - start;
        match self.waiting.back_mut() {
            Some(Outgoing::Said { bytes, packets }) if *bytes < LONG_RUN => {
                (*bytes, *packets) = (*bytes + more, *packets + 1);
            }
            _ => self.waiting.push_back(Outgoing::Said { bytes: more, packets: 1 }),
        }
    }

    /// Where the next packet in the ink begins.
    fn ink_end(&mut self) -> usize {
        if self.ink.capacity() == 0 {
            self.ink = spare::take();
        }
        self.ink.len()
    }

    /// Adds a message that goes out for the first time.
    pub(crate) fn publish(&mut self, offer: &Offer, packet_id: Option<PacketId>) {
        if self.is_written_at_once(offer) {
            self.write_down(offer, packet_id);
        } else if packet_id.is_some() {
            self.post(&offer.waiting(), packet_id, false, None);
        } else if self.count > SLOW {
            // The client is slow enough for the message to wait for a while.
            self.post(&Offer { parcel: offer.parcel.to_lasting(), ..offer.clone() }, None, false, None);
        } else {
            self.post(offer, None, false, None);
        }
    }

    /// Adds a message that went out before. Until it is written it can get another packet identifier, and the client can
    /// answer what it has: it is not written when `wanted` is gone.
    pub(crate) fn publish_again(&mut self, offer: &Offer, packet_id: PacketId, dup: bool, wanted: Weak<()>) {
        self.post(offer, Some(packet_id), dup, Some(wanted));
    }

    fn post(&mut self, offer: &Offer, packet_id: Option<PacketId>, dup: bool, wanted: Option<Weak<()>>) {
        self.count += 1;
        self.bytes += offer.parcel.weight();
        let (parcel, qos, flags) =
            (offer.parcel.clone(), offer.qos, PublishFlags { dup, retain: offer.retain });
        let identifiers = offer.identifiers.clone();
        let delivery = Delivery { parcel, qos, packet_id, flags, identifiers, wanted };
        self.waiting.push_back(Outgoing::Publish(delivery));
    }

    /// What is small, and would not be written differently later.
    fn is_written_at_once(&self, offer: &Offer) -> bool {
        let message = &offer.parcel.message;
        message.payload.len() <= WRITTEN_UP_TO && message.expires_at.is_none() && !self.aliases.are_used()
    }

    fn write_down(&mut self, offer: &Offer, packet_id: Option<PacketId>) {
        let start = self.ink_end();
        spare::widen(&mut self.ink, offer.parcel.weight());
        let manner = Manner {
            version: self.version,
            qos: offer.qos,
            packet_id,
            flags: PublishFlags { dup: false, retain: offer.retain },
            expiry: None,
            identifiers: &offer.identifiers,
        };
        offer.parcel.write_into(&manner, &mut self.ink);
        let bytes = self.ink.len() - start;
        self.bytes += bytes;
        self.count += 1;
        match self.waiting.back_mut() {
            Some(Outgoing::Written(run)) if run.bytes < LONG_RUN => run.add(bytes),
            _ => self.waiting.push_back(Outgoing::Written(Run::of(bytes))),
        }
    }

    /// Exchanges the last two entries if both are messages.
    pub(crate) fn overtake(&mut self) -> bool {
        let last = self.waiting.pop_back();
        match (last, self.waiting.back_mut()) {
            (Some(Outgoing::Written(mut run)), _) if run.messages > 1 => {
                let done = run.overtake(&mut self.ink);
                self.waiting.push_back(Outgoing::Written(run));
                done
            }
            (Some(last @ Outgoing::Publish(_)), Some(Outgoing::Written(run))) if run.messages > 1 => {
                let one = run.split_last();
                self.waiting.extend([last, Outgoing::Written(one)]);
                true
            }
            (
                Some(last @ (Outgoing::Publish(_) | Outgoing::Written(_))),
                Some(Outgoing::Publish(_) | Outgoing::Written(_)),
            ) => self.exchange(last),
            (last, _) => {
                self.waiting.extend(last);
                false
            }
        }
    }

    /// Puts an entry before the last one, unless both stand in the ink.
    fn exchange(&mut self, last: Outgoing) -> bool {
        let before = self.waiting.pop_back();
        let both_written = matches!((&before, &last), (Some(Outgoing::Written(_)), Outgoing::Written(_)));
        let (first, second) = if both_written { (before, Some(last)) } else { (Some(last), before) };
        self.waiting.extend(first.into_iter().chain(second));
        !both_written
    }

    /// Gives the message that waits to go out again under one packet identifier another one. False if there is none.
    pub(crate) fn renumber(&mut self, from: PacketId, to: PacketId) -> bool {
        for entry in &mut self.waiting {
            if let Outgoing::Publish(Delivery { packet_id: Some(packet_id), wanted: Some(wanted), .. }) =
                entry
                && *packet_id == from
                && wanted.strong_count() > 0
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
        self.count = self.waiting.len();
        self.ink = BytesMut::new();
        self.bytes = 0;
    }

    /// Encodes up to about `budget` bytes. Returns false if nothing was taken out: what is not wanted any more makes room as
    /// well. What of QoS 0 expired while it waited for the link is added to `expired`: it was told of as sent.
    pub fn write<P: Paper>(
        &mut self,
        out: &mut P,
        expired: &mut Expired,
        budget: usize,
        now: Timestamp,
    ) -> bool {
        let (start, before) = (out.len(), self.count);
        while out.len() - start < budget {
            match self.waiting.pop_front() {
                Some(Outgoing::Packet(packet)) => {
                    self.count -= 1;
                    // A packet of our own making is never too long to encode.
                    let _too_long = mqtt::encode(&packet, self.version, out.ink());
                }
                Some(Outgoing::Publish(delivery)) => {
                    self.count -= 1;
                    self.bytes = self.bytes.saturating_sub(delivery.parcel.weight());
                    self.encode(&delivery, out, expired, now);
                }
                Some(first @ (Outgoing::Written(_) | Outgoing::Said { .. })) => {
                    let bytes = self.strike_all(first, budget - (out.len() - start));
                    self.pour(bytes, out);
                }
                None if out.len() == start => {
                    // An idle connection keeps no buffer, nor a queue. A busy one is asked again.
                    self.waiting = VecDeque::new();
                    spare::give(std::mem::take(&mut self.ink));
                    break;
                }
                None => break,
            }
        }
        out.len() > start || self.count < before
    }

    /// Takes an entry that stands in the ink, and those after it, as long as they are less than `room`. Returns their bytes.
    fn strike_all(&mut self, first: Outgoing, room: usize) -> usize {
        let mut bytes = self.strike(&first);
        while bytes < room
            && let Some(next) = self.waiting.pop_front_if(|next| next.is_in_ink())
        {
            bytes += self.strike(&next);
        }
        bytes
    }

    /// An entry does not wait any more; returns how many bytes of it stand in the ink.
    fn strike(&mut self, entry: &Outgoing) -> usize {
        match *entry {
            Outgoing::Written(run) => {
                self.count = self.count.saturating_sub(run.messages);
                self.bytes = self.bytes.saturating_sub(run.bytes);
                run.bytes
            }
            Outgoing::Said { bytes, packets } => {
                self.count = self.count.saturating_sub(packets);
                bytes
            }
            Outgoing::Packet(_) | Outgoing::Publish(_) => 0,
        }
    }

    /// The next so many bytes of the ink go out. All of it, onto a paper on which nothing stands: the two buffers change
    /// places, and the paper's serves for what comes next.
    fn pour<P: Paper>(&mut self, bytes: usize, out: &mut P) {
        if bytes == self.ink.len() && out.is_empty() {
            std::mem::swap(&mut self.ink, out.ink());
            return;
        }
        let bytes = bytes.min(self.ink.len());
        out.ink().extend_from_slice(self.ink.get(..bytes).unwrap_or_default());
        self.ink.advance(bytes);
    }

    fn encode<P: Paper>(&mut self, delivery: &Delivery, out: &mut P, expired: &mut Expired, now: Timestamp) {
        let Delivery { parcel, qos, packet_id, flags, identifiers, wanted } = delivery;
        // [MQTT-4.3.2-2] [MQTT-4.3.3-6] only what is unacknowledged is sent again.
        if wanted.as_ref().is_some_and(|wanted| wanted.strong_count() == 0) {
            return;
        }
        // [MQTT-3.3.2-5]; one of QoS 1 has been promised a place in the window and keeps it.
        if *qos == QoS::AtMostOnce && self.expires && parcel.is_expired(now) {
            return expired.push(parcel.clone());
        }
        let manner = Manner {
            version: self.version,
            qos: *qos,
            packet_id: *packet_id,
            flags: *flags,
            expiry: parcel.remaining_expiry(now, self.zero_out),
            identifiers,
        };
        if self.version == Version::V5 && self.aliases.are_used() {
            let parts = self.by_alias(parcel.parts(&manner));
            parcel.lay_into(&parts, self.version, out);
        } else {
            parcel.write_into(&manner, out);
        }
    }

    fn by_alias<'a>(&mut self, publish: PublishParts<'a>) -> PublishParts<'a> {
        match self.aliases.form(publish.topic) {
            Form::Name => publish,
            Form::Both(alias) => PublishParts { topic_alias: Some(alias), ..publish },
            Form::Alias(alias) => PublishParts { topic_alias: Some(alias), topic: &NO_NAME, ..publish },
        }
    }
}

impl Outgoing {
    fn is_in_ink(&self) -> bool {
        matches!(self, Self::Written(_) | Self::Said { .. })
    }
}

impl Run {
    fn of(bytes: usize) -> Self {
        Self { bytes, messages: 1, last: bytes, before: 0 }
    }

    fn add(&mut self, bytes: usize) {
        self.bytes += bytes;
        self.messages += 1;
        self.before = std::mem::replace(&mut self.last, bytes);
    }

    /// Takes the last message out; it follows in the ink.
    fn split_last(&mut self) -> Self {
        let one = Self::of(self.last);
        self.bytes -= self.last;
        self.messages -= 1;
        self.last = std::mem::take(&mut self.before);
        one
    }

    /// Exchanges the last two messages of the ink, if this run has its end and both are known.
    fn overtake(&mut self, ink: &mut [u8]) -> bool {
        let start = ink.len().checked_sub(self.last + self.before).filter(|_| self.before > 0);
        let Some(two) = start.and_then(|start| ink.get_mut(start..)) else { return false };
        two.rotate_left(self.before);
        std::mem::swap(&mut self.last, &mut self.before);
        true
    }
}

#[cfg(test)]
mod tests;
