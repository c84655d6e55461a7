//! The messages on their way to the client, in the order in which they were sent.
//!
//! A small plain message is kept by copy, one behind the other in one buffer: to send and to acknowledge it allocates
//! nothing, and holds on to nothing that belongs to its publisher. It becomes a message again when it is needed as one:
//! to be sent again, or to be looked at by a change of the connection. Identifiers stand in a row of their own, mostly in
//! rising order, so that looking for one reads a few bytes.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::{Buf, BytesMut};
use identity::Timestamp;
use mqtt::{Carried, Message, PacketId, QoS, Text, TopicName};
use smallvec::SmallVec;

use super::Offer;
use super::in_flight::InFlight;
use crate::{Parcel, spare};

/// Bytes of topic and payload up to which a message is kept by copy. More than that is shared by all who wait for it.
const COPIED_UP_TO: usize = 256;

/// Sent and not answered.
#[derive(Debug)]
pub(super) struct Window {
    sent: VecDeque<Sent>,
    /// The identifiers of `sent`, in the same order.
    ids: VecDeque<PacketId>,
    /// Each identifier is later than the one before, seen from the first one.
    rising: bool,
    /// Topic and payload of each copied message, in the order of `sent`.
    ink: BytesMut,
    /// How many of `sent` are whole, and what those weigh.
    whole: usize,
    whole_weight: usize,
    /// How many of `sent` wait for the new connection's window.
    parked: usize,
    /// No message that is not parked was sent earlier: for the first time, and the last time.
    since: (Timestamp, Timestamp),
}

/// One message.
#[derive(Debug)]
pub(super) enum Sent {
    /// It stands in the ink, and was sent once.
    Copied(Copied),
    /// It is of QoS 2, large, or has something that a copy does not keep.
    Whole(Box<InFlight>),
}

/// What a small plain message of QoS 1 is besides its topic and payload.
#[derive(Clone, Copy, Debug)]
pub(super) struct Copied {
    sent: Timestamp,
    topic: u16,
    payload: u16,
    /// With which RETAIN flag it was sent.
    retain: bool,
    /// As it was published.
    retained: bool,
    qos: QoS,
    published_by_v5: bool,
}

impl Default for Window {
    fn default() -> Self {
        Self {
            sent: VecDeque::new(),
            ids: VecDeque::new(),
            rising: true,
            ink: BytesMut::new(),
            whole: 0,
            whole_weight: 0,
            parked: 0,
            since: NEVER,
        }
    }
}

/// Of no message.
pub(super) const NEVER: (Timestamp, Timestamp) = (Timestamp::NEVER, Timestamp::NEVER);

impl Window {
    pub(super) fn len(&self) -> usize {
        self.sent.len()
    }

    /// About the bytes that it keeps in memory.
    pub(super) fn weight(&self) -> usize {
        self.ink.len() + self.whole_weight
    }

    pub(super) fn parked(&self) -> usize {
        self.parked
    }

    /// No message that is not parked was sent earlier, for the first and for the last time. It may be less than what is
    /// true after acknowledgements; [`Window::retain`] makes it true.
    pub(super) fn since(&self) -> (Timestamp, Timestamp) {
        self.since
    }

    /// Those that are not kept by copy: all of QoS 2, all with a place in a journal.
    pub(super) fn whole(&self) -> impl Iterator<Item = &InFlight> {
        self.sent.iter().filter_map(|sent| match sent {
            Sent::Whole(whole) => Some(&**whole),
            Sent::Copied(_) => None,
        })
    }

    /// True if a message has this identifier.
    pub(super) fn uses(&self, packet_id: PacketId) -> bool {
        match self.rising {
            true => self.place(packet_id).is_some(),
            false => self.ids.contains(&packet_id),
        }
    }

    /// The first message with this identifier and QoS.
    pub(super) fn find(&self, packet_id: PacketId, qos: QoS) -> Option<usize> {
        let is_one = |at: &usize| self.sent.get(*at).is_some_and(|sent| sent.qos() == qos);
        if self.rising {
            return self.place(packet_id).filter(is_one);
        }
        let same = |(at, id): (usize, &PacketId)| (*id == packet_id).then_some(at);
        self.ids.iter().enumerate().filter_map(same).find(is_one)
    }

    /// Where an identifier stands in a row that rises.
    fn place(&self, packet_id: PacketId) -> Option<usize> {
        let (first, last) = (*self.ids.front()?, *self.ids.back()?);
        if first == packet_id {
            return Some(0);
        }
        if distance(first, packet_id) > distance(first, last) {
            // The next one to be given, mostly.
            return None;
        }
        self.ids.binary_search_by_key(&distance(first, packet_id), |id| distance(first, *id)).ok()
    }

    /// Keeps a message by copy, if it is small and plain. It was sent now.
    pub(super) fn copy(&mut self, packet_id: PacketId, offer: &Offer, now: Timestamp) -> bool {
        let message = &offer.parcel.message;
        let (topic, payload) = (message.topic.as_text().as_bytes(), &message.payload);
        let is_plain = offer.qos == QoS::AtLeastOnce
            && (offer.place.is_none() && offer.group.is_none() && offer.share_name.is_none())
            && (offer.identifiers.is_empty() && message.properties.is_empty())
            && message.expires_at.is_none()
            && topic.len() + payload.len() <= COPIED_UP_TO;
        let (Ok(topic_len), Ok(payload_len)) = (u16::try_from(topic.len()), u16::try_from(payload.len()))
        else {
            return false;
        };
        if !is_plain {
            return false;
        }
        if self.ink.capacity() == 0 {
            self.ink = spare::take();
        }
        spare::widen(&mut self.ink, topic.len() + payload.len());
        self.ink.extend_from_slice(topic);
        self.ink.extend_from_slice(payload);
        let copied = Copied {
            sent: now,
            topic: topic_len,
            payload: payload_len,
            retain: offer.retain,
            retained: message.retain,
            qos: message.qos,
            published_by_v5: message.published_by_v5,
        };
        self.note(packet_id, (now, now));
        self.sent.push_back(Sent::Copied(copied));
        true
    }

    pub(super) fn add(&mut self, sent: Box<InFlight>) {
        self.note(sent.packet_id, sent.times());
        self.parked += usize::from(sent.parked);
        self.whole += 1;
        self.whole_weight += sent.offer.parcel.weight();
        self.sent.push_back(Sent::Whole(sent));
    }

    /// One more.
    fn note(&mut self, packet_id: PacketId, (first, last): (Timestamp, Timestamp)) {
        if let (Some(front), Some(back)) = (self.ids.front(), self.ids.back()) {
            self.rising &= distance(*front, packet_id) > distance(*front, *back);
        } else {
            (self.rising, self.since) = (true, NEVER);
        }
        self.ids.push_back(packet_id);
        self.since = (self.since.0.min(first), self.since.1.min(last));
    }

    pub(super) fn remove(&mut self, at: usize) -> Option<Sent> {
        self.ids.remove(at)?;
        let sent = match at {
            0 => self.sent.pop_front()?,
            _ => self.sent.remove(at)?,
        };
        match &sent {
            Sent::Copied(copied) => self.blot(at, copied.bytes()),
            Sent::Whole(whole) => {
                self.parked -= usize::from(whole.parked);
                self.whole -= 1;
                self.whole_weight -= whole.offer.parcel.weight();
            }
        }
        match self.sent.front() {
            // All were sent once, and in this order.
            Some(Sent::Copied(first)) if self.whole == 0 => self.since = (first.sent, first.sent),
            None => self.since = NEVER,
            _ => {}
        }
        Some(sent)
    }

    /// Takes the bytes of the message that stood at `at` out of the ink.
    fn blot(&mut self, at: usize, bytes: usize) {
        if at == 0 {
            self.ink.advance(bytes.min(self.ink.len()));
        } else {
            let start: usize = self.sent.iter().take(at).map(Sent::bytes).sum();
            let (end, len) = (start + bytes, self.ink.len());
            if end <= len {
                self.ink.copy_within(end.., start);
                self.ink.truncate(len - bytes);
            }
        }
        if self.ink.is_empty() {
            spare::give(std::mem::take(&mut self.ink));
        }
    }

    /// Keeps those that `keep` says; it may change all of them but for their identifiers.
    pub(super) fn retain(&mut self, keep: impl FnMut(&mut InFlight) -> bool) {
        self.unfold();
        self.retain_whole(keep);
    }

    /// The same, asked only about those that are not kept by copy: the others stay as they are.
    pub(super) fn retain_whole(&mut self, mut keep: impl FnMut(&mut InFlight) -> bool) {
        let mut ids = std::mem::take(&mut self.ids).into_iter();
        self.sent.retain_mut(|sent| {
            let id = ids.next();
            let stays = match sent {
                Sent::Whole(whole) => keep(whole),
                Sent::Copied(_) => true,
            };
            self.ids.extend(id.filter(|_| stays));
            stays
        });
        self.recount();
    }

    /// All wait for the window of a new connection.
    pub(super) fn park(&mut self, now: Timestamp) {
        self.retain(|sent| {
            sent.park(now);
            true
        });
    }

    /// Offers each message that was sent again to `change`, until it says that it gave one this new identifier.
    pub(super) fn renumber(&mut self, to: PacketId, mut change: impl FnMut(&InFlight) -> bool) -> bool {
        let at = self.sent.iter().position(|sent| matches!(sent, Sent::Whole(whole) if change(whole)));
        let Some(at) = at else { return false };
        if let (Some(Sent::Whole(sent)), Some(id)) = (self.sent.get_mut(at), self.ids.get_mut(at)) {
            (sent.packet_id, *id) = (to, to);
        }
        self.rising = false;
        true
    }

    /// Makes messages of the copies.
    fn unfold(&mut self) {
        if self.whole == self.sent.len() {
            return;
        }
        let mut ink = std::mem::take(&mut self.ink);
        let (sent, ids) = (std::mem::take(&mut self.sent), std::mem::take(&mut self.ids));
        for (sent, id) in sent.into_iter().zip(ids) {
            let whole = match sent {
                Sent::Copied(copied) => copied.unfold(id, &mut ink),
                Sent::Whole(whole) => Some(whole),
            };
            debug_assert!(whole.is_some(), "what was a topic is one");
            self.ids.extend(whole.is_some().then_some(id));
            self.sent.extend(whole.map(Sent::Whole));
        }
        spare::give(ink);
        self.recount();
    }

    fn recount(&mut self) {
        self.whole = self.whole().count();
        self.whole_weight = self.whole().map(|sent| sent.offer.parcel.weight()).sum();
        self.parked = self.whole().filter(|sent| sent.parked).count();
        let waiting = self.sent.iter().map(Sent::times);
        self.since = waiting.fold(NEVER, |since, (first, last)| (since.0.min(first), since.1.min(last)));
        let first = self.ids.front().copied().unwrap_or(PacketId::FIRST);
        self.rising =
            self.ids.iter().is_sorted_by(|one, next| distance(first, **one) < distance(first, **next));
    }
}

/// How many identifiers later one is, round the end.
fn distance(from: PacketId, to: PacketId) -> u16 {
    to.get().wrapping_sub(from.get())
}

impl Sent {
    fn qos(&self) -> QoS {
        match self {
            Self::Copied(_) => QoS::AtLeastOnce,
            Self::Whole(whole) => whole.offer.qos,
        }
    }

    /// When it was sent, for the first and for the last time; never, while it waits for the window.
    fn times(&self) -> (Timestamp, Timestamp) {
        match self {
            Self::Copied(copied) => (copied.sent, copied.sent),
            Self::Whole(whole) => whole.times(),
        }
    }

    /// In the ink.
    fn bytes(&self) -> usize {
        match self {
            Self::Copied(copied) => copied.bytes(),
            Self::Whole(_) => 0,
        }
    }
}

impl Copied {
    fn bytes(&self) -> usize {
        usize::from(self.topic) + usize::from(self.payload)
    }

    /// The message, whose topic and payload stand first in the ink. `None` never happens: what was a topic is one.
    fn unfold(self, packet_id: PacketId, ink: &mut BytesMut) -> Option<Box<InFlight>> {
        let topic = ink.split_to(usize::from(self.topic).min(ink.len())).freeze();
        let payload = ink.split_to(usize::from(self.payload).min(ink.len())).freeze();
        let message = Message {
            topic: TopicName::try_from(Text::try_from(topic).ok()?).ok()?,
            payload,
            qos: self.qos,
            retain: self.retained,
            properties: Carried::default(),
            expires_at: None,
            published_by_v5: self.published_by_v5,
        };
        let offer = Offer {
            parcel: Arc::new(Parcel::lasting(&message)),
            qos: QoS::AtLeastOnce,
            retain: self.retain,
            share_name: None,
            place: None,
            group: None,
            identifiers: SmallVec::new(),
        };
        Some(Box::new(InFlight::new(packet_id, offer, self.sent)))
    }
}

#[cfg(test)]
mod tests;
