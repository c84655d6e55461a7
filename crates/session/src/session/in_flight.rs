//! Messages on their way to the client: acknowledgements, sending again, packet identifiers.

use std::sync::Arc;
use std::time::Duration;

use dialect::{Dialect, Divergence};
use identity::Timestamp;
use mqtt::{PacketId, QoS, Version};

use super::exactly_once::Released;
use super::window::{NEVER, Sent};
use super::{Delivered, Dropped, Gate, Offer, Session};
use crate::Conversation;
use crate::mutation::{self, Mutation};
use crate::terms::NARROW_WINDOW;
use crate::throttle::Exceeded;

/// A message that was sent and that the client has not answered.
#[derive(Debug)]
pub(super) struct InFlight {
    pub(super) packet_id: PacketId,
    pub(super) offer: Offer,
    first_sent: Timestamp,
    last_sent: Timestamp,
    attempts: u32,
    /// It waits for the new connection's window: the old one's was wider.
    pub(super) parked: bool,
    /// It belongs to this connection alone: it is not sent again, and goes with the connection.
    direct: bool,
    /// There since it was sent again: what of that still waits in the outbox goes out only as long as this lives.
    again: Option<Arc<()>>,
}

/// Why a message that may not wait was not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unsent {
    /// The client owes as many acknowledgements as it may.
    WindowFull,
    /// The client takes its messages too slowly.
    OutboxFull,
    /// The client's Maximum Packet Size is smaller [MQTT-3.1.2-25].
    TooLarge,
    /// More in a second than the client or the account may be sent.
    Rate(Exceeded),
}

impl Session {
    /// Sends a message of QoS 1 or 2 if the window and the outbox have room, else keeps it.
    pub(super) fn send(&mut self, live: &mut Conversation, offer: &Offer, now: Timestamp) -> Delivered {
        if live.is_too_large(offer) {
            return Delivered::Dropped(Dropped::TooLargeForClient);
        }
        self.try_send(live, offer, now).unwrap_or_else(|| self.keep(offer))
    }

    /// Sends it, if there is room for it now.
    pub(super) fn try_send(
        &mut self,
        live: &mut Conversation,
        offer: &Offer,
        now: Timestamp,
    ) -> Option<Delivered> {
        if !self.may_send(live, offer, now) {
            return None;
        }
        let packet_id = Self::fixed_packet_id(offer).or_else(|| self.next_packet_id())?;
        // Another connection may have been faster at what was left of the account's rate.
        live.pace_out.take(now).ok()?;
        // [MQTT-4.3.3-2] [MQTT-4.3.2-2]
        if self.in_flight.copy(packet_id, offer, now) {
            live.outbox.publish(offer, Some(packet_id));
        } else {
            let offer = offer.waiting();
            live.outbox.publish(&offer, Some(packet_id));
            self.in_flight.add(Box::new(InFlight::new(packet_id, offer, now)));
        }
        Some(Delivered::Sent)
    }

    /// Sends a message now or not at all: it is not queued, not sent again, and forgotten with the connection. One of
    /// QoS 1 gives the identifier whose acknowledgement confirms it.
    ///
    /// # Errors
    /// Why it was not sent.
    pub fn send_direct(
        &mut self,
        live: &mut Conversation,
        offer: Offer,
        now: Timestamp,
    ) -> Result<Option<PacketId>, Unsent> {
        if live.is_too_large(&offer) {
            return Err(Unsent::TooLarge);
        }
        let confirmed = offer.qos != QoS::AtMostOnce;
        let is_full = self.in_flight() >= usize::from(live.terms().send_window);
        if confirmed && (is_full || !self.bears_in_flight(live, &offer)) {
            return Err(Unsent::WindowFull);
        }
        if !live.outbox.has_room(offer.qos, offer.parcel.weight()) {
            return Err(Unsent::OutboxFull);
        }
        let packet_id = if confirmed { Some(self.next_packet_id().ok_or(Unsent::WindowFull)?) } else { None };
        live.pace_out.take(now).map_err(Unsent::Rate)?;
        live.outbox.publish(&offer, packet_id);
        if let Some(packet_id) = packet_id {
            let offer = offer.waiting();
            let sent = InFlight { direct: true, ..InFlight::new(packet_id, offer, now) };
            self.in_flight.add(Box::new(sent));
        }
        Ok(packet_id)
    }

    /// Forgets what belonged to the connection that ended.
    pub(super) fn forget_direct(&mut self) {
        self.in_flight.retain_whole(|sent| !sent.direct);
    }

    /// True if a message of QoS 1 with this identifier waits for its acknowledgement.
    pub fn awaits(&self, packet_id: PacketId) -> bool {
        self.in_flight.find(packet_id, QoS::AtLeastOnce).is_some()
    }

    /// Messages that the client has and owes an acknowledgement for.
    fn in_window(&self) -> usize {
        self.in_flight() - self.in_flight.parked()
    }

    /// A window that is wide is bounded by the bytes on their way.
    fn bears_in_flight(&self, live: &Conversation, offer: &Offer) -> bool {
        self.in_flight() < NARROW_WINDOW || live.outbox.bears(self.in_flight.weight() + offer.parcel.weight())
    }

    pub(super) fn has_room(&self, live: &Conversation, offer: &Offer) -> bool {
        let more = usize::from(mutation::is(Mutation::WindowOffByOne));
        self.in_flight() < usize::from(live.terms().send_window) + more
            && self.bears_in_flight(live, offer)
            && live.outbox.has_room(offer.qos, offer.parcel.weight())
            && Self::fixed_packet_id(offer).is_none_or(|fixed| !self.uses(fixed))
    }

    /// The client acknowledged a message of QoS 1. False if it never got it.
    pub fn acknowledge(&mut self, packet_id: PacketId) -> bool {
        if mutation::is(Mutation::SendsAcknowledgedAgain) && self.awaits(packet_id) {
            return true;
        }
        match self.take_in_flight(packet_id, QoS::AtLeastOnce) {
            Some(Sent::Whole(sent)) => self.settle_offer(sent.offer),
            Some(Sent::Copied(_)) => {}
            None => return false,
        }
        true
    }

    /// Takes a message with this identifier and QoS out of those on their way.
    pub(super) fn take_in_flight(&mut self, packet_id: PacketId, qos: QoS) -> Option<Sent> {
        let at = self.in_flight.find(packet_id, qos)?;
        self.in_flight.remove(at)
    }

    /// True if a message on its way has this identifier.
    fn uses(&self, packet_id: PacketId) -> bool {
        self.in_flight.uses(packet_id)
            || self.exact.released.iter().any(|released| released.packet_id == packet_id)
    }

    /// The next free packet identifier [MQTT-2.2.1-4] [MQTT-4.3.3-1].
    fn next_packet_id(&mut self) -> Option<PacketId> {
        if mutation::is(Mutation::ReusesPacketIds) {
            return Some(PacketId::FIRST);
        }
        for _ in 0..=self.in_flight() {
            self.last_packet_id = self.last_packet_id.checked_add(1).unwrap_or(1);
            let candidate = PacketId::new(self.last_packet_id)?;
            if !self.uses(candidate) {
                return Some(candidate);
            }
        }
        None
    }

    /// Sends what is unacknowledged again, on a new connection [MQTT-4.4.0-1], as far as its window goes; the rest
    /// follows with [`Session::resend_parked`].
    pub fn resend_all(
        &mut self,
        live: &mut Conversation,
        dialect: &Dialect,
        gate: &mut dyn Gate,
        now: Timestamp,
    ) {
        self.release_again(live);
        self.in_flight.park(now);
        self.resend_parked(live, dialect, gate, now);
    }

    /// Sends what waits for the window since the last connection.
    pub fn resend_parked(
        &mut self,
        live: &mut Conversation,
        dialect: &Dialect,
        gate: &mut dyn Gate,
        now: Timestamp,
    ) {
        if self.in_flight.parked() == 0 {
            return;
        }
        let dup = !dialect.has(Divergence::DupUnsupported);
        let expires = self.expires;
        let mut room = usize::from(live.terms().send_window).saturating_sub(self.in_window());
        self.retain(|sent| {
            if !sent.parked {
                return true;
            }
            if live.is_too_large(&sent.offer) {
                gate.dropped(&sent.offer, Dropped::TooLargeForClient);
                return false;
            }
            if room == 0 || !live.outbox.has_room(sent.offer.qos, sent.offer.parcel.weight()) {
                return true;
            }
            sent.is_wanted(expires, gate, now) && {
                room -= 1;
                sent.parked = false;
                sent.resend(live, dup, gate, now)
            }
        });
        self.release_dropped(live);
    }

    /// Keeps the messages on their way that `keep` says; the others are settled. The client may have got one of QoS 2
    /// already: its identifier is free only after a PUBREL.
    fn retain(&mut self, mut keep: impl FnMut(&mut InFlight) -> bool) {
        let (tape, exact, settled) = (&mut self.tape, &mut self.exact, &mut self.settled);
        self.in_flight.retain(|sent| {
            let kept = keep(sent);
            settled.extend(sent.offer.group.clone().filter(|_| !kept));
            if !kept && sent.offer.qos == QoS::ExactlyOnce {
                exact.release(Released::unsent(sent.packet_id, sent.offer.place));
            } else if let (false, Some(tape), Some(place)) = (kept, tape.as_mut(), sent.offer.place) {
                tape.settle(place.number);
            }
            kept
        });
    }

    /// Sends again what the client has owed an acknowledgement for too long, on the same connection
    /// (retry-while-connected), and gives up on what is past the window (retry-gives-up).
    pub fn retry(&mut self, live: &mut Conversation, dialect: &Dialect, gate: &mut dyn Gate, now: Timestamp) {
        let (again, gives_up) =
            (dialect.has(Divergence::RetryWhileConnected), dialect.has(Divergence::RetryGivesUp));
        let dup = !dialect.has(Divergence::DupUnsupported);
        let (wait, window) = retry_times(dialect, self.version);
        let expires = self.expires;
        self.retain(|sent| {
            if gives_up && !sent.parked && now.since(sent.first_sent) >= window {
                gate.dropped(&sent.offer, Dropped::RetryWindow);
                return false;
            }
            let due = again
                && !sent.parked
                && !sent.direct
                && now.since(sent.last_sent) >= wait
                && live.outbox.has_room(sent.offer.qos, sent.offer.parcel.weight());
            !due || (sent.is_wanted(expires, gate, now) && sent.resend(live, dup, gate, now))
        });
        self.release_dropped(live);
    }

    /// Gives a message that waits to go out again a new packet identifier (redelivery-new-packet-id). False if none
    /// waits.
    pub fn renumber(&mut self, live: &mut Conversation) -> bool {
        let Some(fresh) = self.next_packet_id() else { return false };
        let waits_again = |sent: &InFlight| {
            sent.attempts > 1 && !sent.parked && live.outbox.renumber(sent.packet_id, fresh)
        };
        self.in_flight.renumber(fresh, waits_again)
    }

    /// When [`Session::retry`] or the replay of the backlog has something to do next, at the earliest. While the outbox has
    /// no room they have not: the write that makes room asks again.
    pub fn next_moment(&self, live: &Conversation, dialect: &Dialect) -> Timestamp {
        if !live.outbox.has_room(QoS::AtLeastOnce, 0) {
            return Timestamp::NEVER;
        }
        let (wait, window) = retry_times(dialect, self.version);
        // What waits for the window is not due: an acknowledgement opens it.
        let (first_sent, last_sent) = self.in_flight.since();
        let due = |since: Timestamp, after: Duration, divergence| {
            if since != Timestamp::NEVER && dialect.has(divergence) {
                since + after
            } else {
                Timestamp::NEVER
            }
        };
        let again = due(last_sent, wait, Divergence::RetryWhileConnected);
        let end = due(first_sent, window, Divergence::RetryGivesUp);
        again.min(end).min(self.next_paced(live))
    }
}

impl InFlight {
    /// Sent for the first time.
    pub(super) fn new(packet_id: PacketId, offer: Offer, now: Timestamp) -> Self {
        let (first_sent, last_sent, attempts) = (now, now, 1);
        Self { packet_id, offer, first_sent, last_sent, attempts, parked: false, direct: false, again: None }
    }

    /// When it was sent for the first time, and the last time; one that is not sent again, never the last time, and one
    /// that is parked, never.
    pub(super) fn times(&self) -> (Timestamp, Timestamp) {
        if self.parked {
            return NEVER;
        }
        (self.first_sent, if self.direct { Timestamp::NEVER } else { self.last_sent })
    }

    /// It waits for the window of a new connection.
    pub(super) fn park(&mut self, now: Timestamp) {
        self.parked = true;
        self.first_sent = now;
    }

    /// False if it has expired or may not be received any more. [MQTT-4.3.3-7] one of QoS 2 does not expire once it was
    /// sent.
    fn is_wanted(&self, expires: bool, gate: &mut dyn Gate, now: Timestamp) -> bool {
        let expires = expires && self.offer.qos != QoS::ExactlyOnce;
        if expires && self.offer.parcel.is_expired(now) {
            gate.dropped(&self.offer, Dropped::Expired);
            return false;
        }
        gate.allows(&self.offer)
    }

    fn resend(&mut self, live: &mut Conversation, dup: bool, gate: &mut dyn Gate, now: Timestamp) -> bool {
        self.last_sent = now;
        self.attempts = self.attempts.saturating_add(1);
        let wanted = Arc::downgrade(self.again.get_or_insert_default());
        live.outbox.publish_again(&self.offer, self.packet_id, dup, wanted);
        gate.sent_again(&self.offer, self.attempts);
        true
    }
}

fn retry_times(dialect: &Dialect, version: Version) -> (Duration, Duration) {
    let limits = dialect.limits();
    let window = if version == Version::V5 { limits.retry_window_v5 } else { limits.retry_window_v3 };
    (limits.retry_first, window)
}
