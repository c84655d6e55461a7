//! What survives a connection: subscriptions, messages on their way, messages that wait.
//!
//! In memory. Its size is bounded: by the limits of the dialect for the queue, by the window for the rest.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use dialect::{Dialect, Divergence};
use identity::Timestamp;
use mqtt::{PacketId, QoS, Text, TopicFilter, Version};

use crate::{Conversation, Parcel};

/// One subscription's options.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subscription {
    /// The filter as the client sent it.
    pub filter: TopicFilter,
    /// The QoS granted.
    pub qos: QoS,
}

/// A message offered to a session.
#[derive(Clone, Debug)]
pub struct Offer {
    /// The message.
    pub parcel: Arc<Parcel>,
    /// The lower of the publisher's and the subscription's QoS.
    pub qos: QoS,
    /// The RETAIN flag to send.
    pub retain: bool,
    /// The share name, if the subscription is shared: iot:Receive is asked with it.
    pub share_name: Option<Arc<str>>,
}

/// Who is asked before a message goes out again, and told what became of it.
pub trait Gate {
    /// True if the client may still receive it.
    fn allows(&mut self, offer: &Offer) -> bool;
    /// It is gone.
    fn dropped(&mut self, offer: &Offer, why: Dropped);
    /// It is in the outbox once more, for the `attempt`th time.
    fn sent_again(&mut self, offer: &Offer, attempt: u32);
}

/// What became of an offer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivered {
    /// It is in the outbox.
    Sent,
    /// It waits for the window, for room, or for the client to come back.
    Queued,
    /// It is gone.
    Dropped(Dropped),
}

/// Why a message did not reach a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dropped {
    /// QoS 0, or no persistent session, and the client is away.
    Offline,
    /// QoS 0 and the client takes its messages too slowly.
    OutboxFull,
    /// The session's queue is full.
    QueueFull,
    /// The message's expiry passed.
    Expired,
    /// The client's Maximum Packet Size is smaller [MQTT-3.1.2-25].
    TooLargeForClient,
    /// It was not acknowledged within the retry window.
    RetryWindow,
}

#[derive(Debug)]
struct InFlight {
    packet_id: PacketId,
    offer: Offer,
    first_sent: Timestamp,
    last_sent: Timestamp,
    attempts: u32,
}

/// A client's session.
#[derive(Debug)]
pub struct Session {
    version: Version,
    subscriptions: BTreeMap<Text, Subscription>,
    in_flight: VecDeque<InFlight>,
    queue: VecDeque<Offer>,
    queue_bytes: usize,
    most_messages: usize,
    most_bytes: usize,
    /// Expired messages are dropped for MQTT 3.1.1 clients too (expiry-crosses-versions).
    expires: bool,
    last_packet_id: u16,
    /// How long it outlives its connection, in seconds.
    pub expiry: u32,
}

impl Session {
    /// An empty session of a client that speaks `version`.
    pub fn new(version: Version, expiry: u32, dialect: &Dialect) -> Self {
        Self {
            version,
            subscriptions: BTreeMap::new(),
            in_flight: VecDeque::new(),
            queue: VecDeque::new(),
            queue_bytes: 0,
            most_messages: dialect.limits().session_queue_messages,
            most_bytes: dialect.limits().session_queue_bytes,
            expires: version == Version::V5 || dialect.has(Divergence::ExpiryCrossesVersions),
            last_packet_id: 0,
            expiry,
        }
    }

    /// The version that made it. AWS does not resume a session under the other version.
    pub fn version(&self) -> Version {
        self.version
    }

    /// All subscriptions.
    pub fn subscriptions(&self) -> impl Iterator<Item = &Subscription> {
        self.subscriptions.values()
    }

    /// How many subscriptions there are.
    pub fn subscription_count(&self) -> usize {
        self.subscriptions.len()
    }

    /// True if the client has subscribed to exactly this filter.
    pub fn has_subscription(&self, filter: &str) -> bool {
        self.subscriptions.contains_key(filter)
    }

    /// Notes a subscription that was granted.
    pub fn subscribe(&mut self, subscription: Subscription) {
        self.subscriptions.insert(subscription.filter.as_text().clone(), subscription);
    }

    /// Forgets a subscription; returns it if there was one.
    pub fn unsubscribe(&mut self, filter: &str) -> Option<Subscription> {
        self.subscriptions.remove(filter)
    }

    /// Messages sent and not acknowledged.
    pub fn in_flight(&self) -> usize {
        self.in_flight.len()
    }

    /// Messages that wait.
    pub fn queued(&self) -> usize {
        self.queue.len()
    }

    /// Offers a message: sends it, queues it or drops it. The caller holds the permit to receive, if the client is
    /// there; a message that is queued is asked for its permit again when its turn comes.
    pub fn deliver(&mut self, live: Option<&mut Conversation>, offer: Offer, now: Timestamp) -> Delivered {
        if self.expires && offer.parcel.is_expired(now) {
            return Delivered::Dropped(Dropped::Expired);
        }
        match live {
            Some(live) if offer.qos == QoS::AtMostOnce => send_once(live, &offer),
            Some(live) if self.queue.is_empty() => self.send(live, offer, now),
            Some(_) => self.keep(offer),
            None if offer.qos == QoS::AtMostOnce || self.expiry == 0 => Delivered::Dropped(Dropped::Offline),
            None => self.keep(offer),
        }
    }

    /// Sends a QoS 1 message if the window and the outbox have room, else keeps it.
    fn send(&mut self, live: &mut Conversation, offer: Offer, now: Timestamp) -> Delivered {
        if live.is_too_large(&offer) {
            return Delivered::Dropped(Dropped::TooLargeForClient);
        }
        if !self.may_send(live, &offer) {
            return self.keep(offer);
        }
        let Some(packet_id) = self.next_packet_id() else { return self.keep(offer) };
        live.outbox.publish(offer.parcel.clone(), offer.qos, Some(packet_id), offer.retain, false);
        self.in_flight.push_back(InFlight { packet_id, offer, first_sent: now, last_sent: now, attempts: 1 });
        Delivered::Sent
    }

    fn may_send(&self, live: &Conversation, offer: &Offer) -> bool {
        self.in_flight.len() < usize::from(live.terms().send_window)
            && live.outbox.has_room(offer.parcel.weight())
    }

    fn keep(&mut self, offer: Offer) -> Delivered {
        let weight = offer.parcel.weight();
        if self.queue.len() >= self.most_messages || self.queue_bytes + weight > self.most_bytes {
            return Delivered::Dropped(Dropped::QueueFull);
        }
        self.queue_bytes += weight;
        self.queue.push_back(offer);
        Delivered::Queued
    }

    /// Takes the next waiting message if it could be sent now. Give it back through [`Session::send_next`].
    pub fn next_ready(&mut self, live: &Conversation) -> Option<Offer> {
        let front = self.queue.front()?;
        if !self.may_send(live, front) {
            return None;
        }
        let offer = self.queue.pop_front()?;
        self.queue_bytes = self.queue_bytes.saturating_sub(offer.parcel.weight());
        Some(offer)
    }

    /// Sends what [`Session::next_ready`] gave.
    pub fn send_next(&mut self, live: &mut Conversation, offer: Offer, now: Timestamp) -> Delivered {
        if self.expires && offer.parcel.is_expired(now) {
            return Delivered::Dropped(Dropped::Expired);
        }
        self.send(live, offer, now)
    }

    /// The client acknowledged a message. False if it never got it.
    pub fn acknowledge(&mut self, packet_id: PacketId) -> bool {
        let Some(at) = self.in_flight.iter().position(|sent| sent.packet_id == packet_id) else {
            return false;
        };
        self.in_flight.remove(at);
        true
    }

    /// The next free packet identifier [MQTT-2.2.1-3].
    fn next_packet_id(&mut self) -> Option<PacketId> {
        for _ in 0..=self.in_flight.len() {
            self.last_packet_id = self.last_packet_id.checked_add(1).unwrap_or(1);
            let candidate = PacketId::new(self.last_packet_id)?;
            if self.in_flight.iter().all(|sent| sent.packet_id != candidate) {
                return Some(candidate);
            }
        }
        None
    }

    /// Sends everything unacknowledged again, on a new connection [MQTT-4.4.0-1].
    pub fn resend_all(
        &mut self,
        live: &mut Conversation,
        dialect: &Dialect,
        gate: &mut dyn Gate,
        now: Timestamp,
    ) {
        let dup = !dialect.has(Divergence::DupUnsupported);
        let expires = self.expires;
        self.in_flight
            .retain_mut(|sent| sent.is_wanted(expires, gate, now) && sent.resend(live, dup, gate, now));
    }

    /// Sends again what the client has owed an acknowledgement for too long, on the same connection
    /// (retry-while-connected), and gives up on what is past the window (retry-gives-up).
    pub fn retry(&mut self, live: &mut Conversation, dialect: &Dialect, gate: &mut dyn Gate, now: Timestamp) {
        if !dialect.has(Divergence::RetryWhileConnected) {
            return;
        }
        let (wait, window) = retry_times(dialect, self.version);
        let expires = self.expires;
        self.in_flight.retain_mut(|sent| {
            if now.since(sent.first_sent) >= window && dialect.has(Divergence::RetryGivesUp) {
                gate.dropped(&sent.offer, Dropped::RetryWindow);
                return false;
            }
            let due = now.since(sent.last_sent) >= wait && live.outbox.has_room(sent.offer.parcel.weight());
            !due || (sent.is_wanted(expires, gate, now) && sent.resend(live, false, gate, now))
        });
    }

    /// When [`Session::retry`] has something to do next.
    pub fn next_retry(&self, dialect: &Dialect) -> Timestamp {
        if !dialect.has(Divergence::RetryWhileConnected) {
            return Timestamp::NEVER;
        }
        let (wait, _) = retry_times(dialect, self.version);
        self.in_flight.iter().map(|sent| sent.last_sent + wait).min().unwrap_or(Timestamp::NEVER)
    }
}

impl InFlight {
    /// False if it has expired or may not be received any more.
    fn is_wanted(&self, expires: bool, gate: &mut dyn Gate, now: Timestamp) -> bool {
        if expires && self.offer.parcel.is_expired(now) {
            gate.dropped(&self.offer, Dropped::Expired);
            return false;
        }
        gate.allows(&self.offer)
    }

    fn resend(&mut self, live: &mut Conversation, dup: bool, gate: &mut dyn Gate, now: Timestamp) -> bool {
        self.last_sent = now;
        self.attempts = self.attempts.saturating_add(1);
        live.outbox.publish(
            self.offer.parcel.clone(),
            self.offer.qos,
            Some(self.packet_id),
            self.offer.retain,
            dup,
        );
        gate.sent_again(&self.offer, self.attempts);
        true
    }
}

fn send_once(live: &mut Conversation, offer: &Offer) -> Delivered {
    if live.is_too_large(offer) {
        return Delivered::Dropped(Dropped::TooLargeForClient);
    }
    if !live.outbox.has_room(offer.parcel.weight()) {
        return Delivered::Dropped(Dropped::OutboxFull);
    }
    live.outbox.publish(offer.parcel.clone(), QoS::AtMostOnce, None, offer.retain, false);
    Delivered::Sent
}

fn retry_times(dialect: &Dialect, version: Version) -> (Duration, Duration) {
    let limits = dialect.limits();
    let window = if version == Version::V5 { limits.retry_window_v5 } else { limits.retry_window_v3 };
    (limits.retry_first, window)
}

#[cfg(test)]
mod tests;
