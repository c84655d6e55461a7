//! What a session remembers of QoS 2 beside the messages on their way: identifiers of the client that it has not
//! released, and identifiers of ours that it has not completed.
//!
//! Of a journaled session this is stored before it is spoken of, so that a restart neither loses nor repeats a message:
//! [`ExactlyOnce`] is what the store keeps; the client's identifiers are also logged in the journal, in one write with
//! the messages that they stand for. Towards the client a restart also needs the same packet identifier for the
//! same message, so a journaled message of QoS 2 has one that follows from its place in the journal.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use mqtt::{PacketId, QoS};

use super::rarely::{Rare, Rarely};
use super::window::Sent;
use super::{Offer, Place, Session};
use crate::Conversation;
use crate::mutation::{self, Mutation};

/// How many numbers of messages that the client has are remembered at most while the journal can't be trimmed past an
/// older one. Beyond that the oldest may be sent again after a restart.
const MOST_FINISHED: usize = 4096;

/// What outlives a restart.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExactlyOnce {
    /// Identifiers of the client's messages that were taken and that it has not released.
    pub received: Vec<u16>,
    /// Up to which place of the log of the client's identifiers `received` is right.
    pub seen: u64,
    /// Our identifiers that were released and that the client has not completed, in the order of its PUBRECs.
    pub released: Vec<u16>,
    /// Places in the journal of messages that the client has.
    pub finished: Vec<u64>,
}

/// A message that the client has received; a PUBCOMP ends it.
#[derive(Debug)]
pub(super) struct Released {
    pub(super) packet_id: PacketId,
    place: Option<Place>,
    /// Its PUBREL is to be sent.
    due: bool,
}

impl Released {
    /// A message that is given up although the client may have it.
    pub(super) fn unsent(packet_id: PacketId, place: Option<Place>) -> Self {
        Self { packet_id, place, due: true }
    }
}

/// How far a message of the client is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Received {
    /// It was taken in.
    Fresh,
    /// It was taken in on a connection that has ended, and nobody here knows what became of it.
    Orphan,
    /// It is on disk.
    Sealed,
}

#[derive(Debug, Default)]
pub(super) struct Memory {
    /// The client's identifiers, and how far the messages are for which they stand.
    received: BTreeMap<u16, Received>,
    /// The last place of the log of the client's identifiers, and up to where it was trimmed.
    seen: u64,
    log_trimmed: u64,
    pub(super) released: VecDeque<Released>,
    finished: BTreeSet<u64>,
}

static NOTHING: Memory = Memory {
    received: BTreeMap::new(),
    seen: 0,
    log_trimmed: 0,
    released: VecDeque::new(),
    finished: BTreeSet::new(),
};

impl Rare for Memory {
    fn nothing() -> &'static Self {
        &NOTHING
    }
}

impl Memory {
    pub(super) fn release(&mut self, released: Released) {
        if let Some(place) = released.place {
            self.finished.insert(place.number);
            if self.finished.len() > MOST_FINISHED {
                self.finished.pop_first();
            }
        }
        self.released.push_back(released);
    }

    /// The journal does not bring these again.
    pub(super) fn trimmed(&mut self, upto: u64) {
        self.finished = self.finished.split_off(&upto.saturating_add(1));
    }

    pub(super) fn is_finished(&self, number: u64) -> bool {
        self.finished.contains(&number)
    }
}

/// What a PUBREC was about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Recorded {
    /// A message that is to be released.
    Release,
    /// The client refused the message: it is over.
    Over,
    /// Nothing that we sent.
    Unknown,
}

impl Session {
    /// The client's message with this identifier was taken and not released: a PUBLISH with it is the same message
    /// [MQTT-4.3.3-10].
    pub fn has_received(&self, packet_id: PacketId) -> bool {
        self.exact.received.contains_key(&packet_id.get()) && !mutation::is(Mutation::TakesRepeatedAsNew)
    }

    /// The same, and what it stands for is on disk; of a session without a journal nothing has to be.
    pub fn has_sealed(&self, packet_id: PacketId) -> bool {
        !self.is_journaled() || self.exact.received.get(&packet_id.get()) == Some(&Received::Sealed)
    }

    /// It was taken in on an earlier connection, and is not known to be on disk.
    pub(crate) fn is_orphan(&self, packet_id: PacketId) -> bool {
        self.exact.received.get(&packet_id.get()) == Some(&Received::Orphan)
    }

    /// The connection on which they were taken in has ended.
    pub(super) fn orphan_received(&mut self) {
        if self.exact.is_there() {
            let fresh = self.exact.received.values_mut().filter(|received| **received == Received::Fresh);
            fresh.for_each(|received| *received = Received::Orphan);
        }
    }

    /// How many identifiers of the client wait for its PUBREL.
    pub fn unreleased(&self) -> usize {
        self.exact.received.len()
    }

    pub(crate) fn note_received(&mut self, packet_id: PacketId) {
        self.exact.received.insert(packet_id.get(), Received::Fresh);
    }

    /// The client's message with this identifier is on disk.
    pub fn seal_received(&mut self, packet_id: PacketId) {
        if self.exact.is_there()
            && let Some(received) = self.exact.received.get_mut(&packet_id.get())
        {
            *received = Received::Sealed;
        }
    }

    /// The log of the client's identifiers has entries up to this place.
    pub fn logged(&mut self, place: u64) {
        if place > self.exact.seen {
            self.exact.seen = place;
        }
    }

    /// Up to where the log of the client's identifiers is not needed any more, once a record of this state is stored.
    pub fn trim_log(&mut self) -> Option<u64> {
        if !self.exact.is_there() {
            return None;
        }
        let seen = self.exact.seen;
        (std::mem::replace(&mut self.exact.log_trimmed, seen) < seen).then_some(seen)
    }

    /// Releases an identifier, or forgets one whose message was refused [MQTT-4.3.3-9] [MQTT-4.3.3-12]. False if it is
    /// not known.
    pub fn forget_received(&mut self, packet_id: PacketId) -> bool {
        self.exact.is_there() && self.exact.received.remove(&packet_id.get()).is_some()
    }

    /// A PUBREC came. [MQTT-4.3.3-6] what is released is not sent again: only its identifier is kept.
    pub(crate) fn record(&mut self, packet_id: PacketId, accepted: bool) -> Recorded {
        if self.exact.released.iter().any(|released| released.packet_id == packet_id) {
            return Recorded::Release;
        }
        let Some(Sent::Whole(sent)) = self.take_in_flight(packet_id, QoS::ExactlyOnce) else {
            return Recorded::Unknown;
        };
        self.settled.extend(sent.offer.group.clone());
        if !accepted {
            self.settle(sent.offer.place);
            return Recorded::Over;
        }
        self.exact.release(Released { due: false, ..Released::unsent(packet_id, sent.offer.place) });
        Recorded::Release
    }

    /// A PUBCOMP came: the identifier is free. False if it was not released.
    pub(crate) fn complete(&mut self, packet_id: PacketId) -> bool {
        let released = self.exact.released.iter().position(|released| released.packet_id == packet_id);
        let Some(released) = released.and_then(|at| self.exact.released.remove(at)) else { return false };
        self.settle(released.place);
        true
    }

    /// On a new connection: every PUBREL without a PUBCOMP, in the order of the PUBRECs [MQTT-4.4.0-1] [MQTT-4.6.0-4].
    pub(super) fn release_again(&mut self, live: &mut Conversation) {
        if self.exact.is_there() {
            self.exact.released.iter_mut().for_each(|released| released.due = true);
        }
        self.release_dropped(live);
    }

    /// Sends the PUBRELs that are due.
    pub(super) fn release_dropped(&mut self, live: &mut Conversation) {
        if !self.exact.is_there() {
            return;
        }
        for released in self.exact.released.iter_mut().filter(|released| released.due) {
            released.due = false;
            live.release(released.packet_id, true);
        }
    }

    /// The identifier that a journaled message of QoS 2 always has. It waits while another message has it.
    pub(super) fn fixed_packet_id(offer: &Offer) -> Option<PacketId> {
        let place = offer.place.filter(|_| offer.qos == QoS::ExactlyOnce)?;
        PacketId::new(u16::try_from(place.number % u64::from(u16::MAX)).ok()?.checked_add(1)?)
    }

    /// True if a record of the journal was sent before and must not be sent as a new message.
    pub(super) fn is_under_way(&self, number: u64) -> bool {
        let same = |place: Option<Place>| place.is_some_and(|place| place.number == number);
        let exact = |offer: &Offer| offer.qos == QoS::ExactlyOnce && same(offer.place);
        self.in_flight.whole().any(|sent| exact(&sent.offer))
            || self.exact.released.iter().any(|released| same(released.place))
    }

    /// What the store keeps.
    pub fn exactly_once(&self) -> ExactlyOnce {
        let sealed = self.exact.received.iter().filter(|(_, received)| **received == Received::Sealed);
        ExactlyOnce {
            received: sealed.map(|(id, _)| *id).collect(),
            seen: self.exact.seen,
            released: self.exact.released.iter().map(|released| released.packet_id.get()).collect(),
            finished: self.exact.finished.iter().copied().collect(),
        }
    }

    /// After a restart.
    pub fn restore_exactly_once(&mut self, stored: &ExactlyOnce) {
        let released = stored.released.iter().filter_map(|id| PacketId::new(*id));
        if *stored == ExactlyOnce::default() {
            self.exact = Rarely::default();
            return;
        }
        self.exact = Rarely::from(Memory {
            received: stored.received.iter().map(|id| (*id, Received::Sealed)).collect(),
            seen: stored.seen,
            log_trimmed: 0,
            released: released.map(|packet_id| Released::unsent(packet_id, None)).collect(),
            finished: stored.finished.iter().copied().collect(),
        });
    }
}

#[cfg(test)]
mod tests;
