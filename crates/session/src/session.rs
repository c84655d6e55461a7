//! What survives a connection: subscriptions, messages on their way, messages that wait.
//!
//! A session without a [`Tape`] keeps what waits in memory, bounded by the dialect's limits. One with a tape hands QoS 1
//! messages out to be journaled ([`Delivered::Enqueue`]) and reads them back a page at a time, so that what is in memory
//! does not grow with what waits.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use dialect::{Dialect, Divergence};
use identity::Timestamp;
use mqtt::{QoS, TopicFilter, Version};
use smallvec::SmallVec;

use self::exactly_once::Memory;
use self::rarely::Rarely;
use self::subscriptions::Subscriptions;
use self::window::Window;
use crate::group::GroupPlace;
use crate::mutation::{self, Mutation};
use crate::tape::{Reading, Tape};
use crate::throttle::Exceeded;
use crate::{Conversation, Parcel, stored};

/// What waits in memory for one session at most, however much may wait in its journal.
const IN_MEMORY: usize = 10_000;
/// The same, by weight.
const BYTES_IN_MEMORY: usize = 64 << 20;
/// How many records of the journal are read at once.
pub const PAGE: usize = 64;

/// One subscription's options.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subscription {
    /// The filter as the client sent it.
    pub filter: TopicFilter,
    /// The QoS granted.
    pub qos: QoS,
    /// The client does not want its own messages.
    pub no_local: bool,
    /// The publisher's RETAIN flag is kept.
    pub retain_as_published: bool,
    /// Sent with every message that it brings [MQTT-3.3.4-3].
    pub identifier: Option<u32>,
}

/// A message's place in the session's journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Its number.
    pub number: u64,
    /// It waited there when the client came.
    pub is_backlog: bool,
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
    /// Where it is in the journal, if it came from there.
    pub place: Option<Place>,
    /// Where it is in the queue of a group, if it came from there.
    pub group: Option<Arc<GroupPlace>>,
    /// The identifiers of the subscriptions that matched [MQTT-3.3.4-3] to [MQTT-3.3.4-5].
    pub identifiers: SmallVec<[u32; 1]>,
}

impl Offer {
    /// The same, to wait somewhere: see [`Parcel::to_waiting`].
    pub(crate) fn waiting(&self) -> Self {
        Self { parcel: self.parcel.to_waiting(), ..self.clone() }
    }
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
    /// It is to be journaled for this session; it comes back as a page.
    Enqueue,
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
    /// QoS 0, and more in a second than the client or the account may be sent.
    Rate(Exceeded),
    /// More in a second than the account may queue.
    QueueRate,
}

/// A client's session.
#[derive(Debug)]
pub struct Session {
    version: Version,
    subscriptions: Subscriptions,
    in_flight: Window,
    /// Messages of groups that are done with: see [`Session::take_settled`].
    settled: Vec<Arc<GroupPlace>>,
    queue: VecDeque<Offer>,
    queue_bytes: usize,
    /// What waits in the journal, by weight; an estimate after a restart.
    unread_bytes: usize,
    /// Messages of the backlog that were read, for the replay.
    backlog: VecDeque<Offer>,
    replay_at: Timestamp,
    /// The pause between two messages of the backlog (replay-rate).
    replay_pause: Duration,
    tape: Option<Box<Tape>>,
    most_messages: usize,
    most_bytes: usize,
    /// Expired messages are dropped for MQTT 3.1.1 clients too (expiry-crosses-versions).
    expires: bool,
    last_packet_id: u16,
    exact: Rarely<Memory>,
    /// How long it outlives its connection, in seconds.
    pub expiry: u32,
}

impl Session {
    /// An empty session of a client that speaks `version`.
    pub fn new(version: Version, expiry: u32, dialect: &Dialect) -> Self {
        Self {
            version,
            subscriptions: Subscriptions::default(),
            in_flight: Window::default(),
            settled: Vec::new(),
            queue: VecDeque::new(),
            queue_bytes: 0,
            unread_bytes: 0,
            backlog: VecDeque::new(),
            replay_at: Timestamp::default(),
            replay_pause: dialect.limits().replay_rate.pause(),
            tape: None,
            most_messages: dialect.limits().session_queue_messages,
            most_bytes: dialect.limits().session_queue_bytes,
            expires: version == Version::V5 || dialect.has(Divergence::ExpiryCrossesVersions),
            last_packet_id: 0,
            exact: Rarely::default(),
            expiry,
        }
    }

    /// An empty session whose messages are journaled.
    pub fn journaled(version: Version, expiry: u32, dialect: &Dialect) -> Self {
        Self { tape: Some(Box::new(Tape::new())), ..Self::new(version, expiry, dialect) }
    }

    /// A session as it was before a restart; nothing is known of its journal.
    pub fn recovered(version: Version, expiry: u32, dialect: &Dialect) -> Self {
        Self { tape: Some(Box::new(Tape::recovered())), ..Self::new(version, expiry, dialect) }
    }

    /// Journals from now on what waits; what is in memory already stays there.
    pub fn journal(&mut self) {
        self.tape.get_or_insert_with(Box::default);
    }

    /// True if its messages are journaled.
    pub fn is_journaled(&self) -> bool {
        self.tape.is_some()
    }

    /// The version that made it. AWS does not resume a session under the other version.
    pub fn version(&self) -> Version {
        self.version
    }

    /// All subscriptions.
    pub fn subscriptions(&self) -> impl Iterator<Item = &Subscription> {
        self.subscriptions.iter()
    }

    /// How many subscriptions there are.
    pub fn subscription_count(&self) -> usize {
        self.subscriptions.len()
    }

    /// The subscription with exactly this filter.
    pub fn subscription(&self, filter: &str) -> Option<&Subscription> {
        self.subscriptions.get(filter)
    }

    /// True if the client has subscribed to exactly this filter.
    pub fn has_subscription(&self, filter: &str) -> bool {
        self.subscriptions.get(filter).is_some()
    }

    /// False if the subscription and all others of a session that is stored would not fit into its record.
    pub fn has_room_for(&self, subscription: &Subscription) -> bool {
        let before = self.subscriptions.get(subscription.filter.as_str()).map_or(0, stored::bytes_of);
        let with = || self.subscriptions.bytes().saturating_sub(before) + stored::bytes_of(subscription);
        // What does not make it larger is no matter: a session of an earlier version may be beyond it.
        let most = || stored::SUBSCRIPTIONS_BYTES.max(self.subscriptions.bytes());
        !self.is_journaled() || with() <= most()
    }

    /// Notes a subscription that was granted.
    pub fn subscribe(&mut self, subscription: Subscription) {
        self.subscriptions.insert(subscription);
    }

    /// Forgets a subscription; returns it if there was one.
    pub fn unsubscribe(&mut self, filter: &str) -> Option<Subscription> {
        self.subscriptions.remove(filter)
    }

    /// Messages sent and not acknowledged.
    pub fn in_flight(&self) -> usize {
        self.in_flight.len() + self.exact.released.len()
    }

    /// Messages that wait; after a restart only those that were seen since.
    pub fn queued(&self) -> usize {
        self.queue.len() + self.backlog.len() + self.tape.as_deref().map_or(0, Tape::waiting)
    }

    /// Offers a message: sends it, queues it or drops it. The caller holds the permit to receive, if the client is
    /// there; a message that is queued is asked for its permit again when its turn comes.
    pub fn deliver(&mut self, live: Option<&mut Conversation>, offer: &Offer, now: Timestamp) -> Delivered {
        if self.expires && offer.parcel.is_expired(now) {
            return Delivered::Dropped(Dropped::Expired);
        }
        match live {
            Some(live) if offer.qos == QoS::AtMostOnce => send_once(live, offer, now),
            None if offer.qos == QoS::AtMostOnce || self.expiry == 0 => Delivered::Dropped(Dropped::Offline),
            _ if self.tape.is_some() => self.announce(offer),
            Some(live) if self.queue.is_empty() => self.send(live, offer, now),
            Some(_) | None => self.keep(offer),
        }
    }

    /// Lets a message go to the journal, if there may be one more.
    fn announce(&mut self, offer: &Offer) -> Delivered {
        let weight = offer.parcel.weight();
        let most = self.most_messages / if mutation::is(Mutation::HalvesQueueBound) { 2 } else { 1 };
        let is_full = self.queued() >= most && !mutation::is(Mutation::IgnoresQueueBound);
        if is_full || self.unread_bytes + weight > self.most_bytes {
            return Delivered::Dropped(Dropped::QueueFull);
        }
        self.unread_bytes += weight;
        if let Some(tape) = &mut self.tape {
            tape.announce();
        }
        Delivered::Enqueue
    }

    fn may_send(&self, live: &Conversation, offer: &Offer, now: Timestamp) -> bool {
        self.has_room(live, offer) && live.pace_out.ready_at() <= now
    }

    /// When a waiting message that only its rate holds back can be sent.
    pub fn next_paced(&self, live: &Conversation) -> Timestamp {
        let (front, not_before) = match self.queue.front() {
            _ if self.backlog_comes_first() => (self.backlog.front(), Timestamp::default()),
            Some(front) => (Some(front), Timestamp::default()),
            None => (self.backlog.front(), self.replay_at),
        };
        match front {
            Some(front) if self.has_room(live, front) => live.pace_out.ready_at().max(not_before),
            _ => Timestamp::NEVER,
        }
    }

    /// Without a pace of its own the backlog does not let what comes later overtake it [MQTT-4.6.0-6].
    fn backlog_comes_first(&self) -> bool {
        let waits = !self.backlog.is_empty() || self.tape.as_deref().is_some_and(Tape::has_backlog);
        waits && self.replay_pause.is_zero() && !mutation::is(Mutation::LiveOvertakesBacklog)
    }

    fn keep(&mut self, offer: &Offer) -> Delivered {
        let weight = offer.parcel.weight();
        let (messages, bytes) = (self.most_messages.min(IN_MEMORY), self.most_bytes.min(BYTES_IN_MEMORY));
        if self.queue.len() >= messages || self.queue_bytes + weight > bytes {
            return Delivered::Dropped(Dropped::QueueFull);
        }
        self.queue_bytes += weight;
        self.queue.push_back(offer.waiting());
        Delivered::Queued
    }

    /// Takes the next waiting message if it could be sent now: a live one first, then one of the backlog at its pace.
    /// Give it back through [`Session::send_next`] or [`Session::give_up`].
    pub fn next_ready(&mut self, live: &Conversation, now: Timestamp) -> Option<Offer> {
        let backlog_first = self.backlog_comes_first();
        if let Some(front) = self.queue.front().filter(|_| !backlog_first) {
            if !self.may_send(live, front, now) {
                return None;
            }
            let offer = self.queue.pop_front()?;
            self.queue_bytes = self.queue_bytes.saturating_sub(offer.parcel.weight());
            return Some(offer);
        }
        let front = self.backlog.front()?;
        if now < self.replay_at || !self.may_send(live, front, now) {
            return None;
        }
        if !self.replay_pause.is_zero() {
            self.replay_at = self.replay_at.max(now) + self.replay_pause;
        }
        self.backlog.pop_front()
    }

    /// Sends what [`Session::next_ready`] gave. If it can't be sent after all it is the next one again.
    pub fn send_next(&mut self, live: &mut Conversation, offer: Offer, now: Timestamp) -> Delivered {
        let dropped = match () {
            () if self.expires && offer.parcel.is_expired(now) => Dropped::Expired,
            () if live.is_too_large(&offer) => Dropped::TooLargeForClient,
            () => {
                return self.try_send(live, &offer, now).unwrap_or_else(|| {
                    self.put_first(offer);
                    Delivered::Queued
                });
            }
        };
        self.settle(offer.place);
        Delivered::Dropped(dropped)
    }

    /// Back to where it was taken from: what waits behind it came later.
    fn put_first(&mut self, offer: Offer) {
        if offer.place.is_some_and(|place| place.is_backlog) {
            return self.backlog.push_front(offer);
        }
        self.queue_bytes += offer.parcel.weight();
        self.queue.push_front(offer);
    }

    /// A waiting message is not to be sent.
    pub fn give_up(&mut self, offer: &Offer) {
        self.settle(offer.place);
    }

    fn settle(&mut self, place: Option<Place>) {
        if let (Some(tape), Some(place)) = (&mut self.tape, place) {
            tape.settle(place.number);
        }
    }

    /// The journal holds records for this session up to `number`.
    pub fn arrived(&mut self, number: u64) {
        if let Some(tape) = &mut self.tape {
            tape.arrived(number);
        }
    }

    /// A message of this weight did not get into the journal: it does not count as one that waits.
    pub fn missed(&mut self, weight: usize) {
        if let Some(tape) = &mut self.tape {
            tape.missed();
            self.unread_bytes = self.unread_bytes.saturating_sub(weight);
            if tape.waiting() == 0 {
                self.unread_bytes = 0;
            }
        }
    }

    /// What to read from the journal now; nothing while enough is in memory.
    pub fn next_read(&self) -> Option<Reading> {
        let tape = self.tape.as_ref()?;
        let live =
            if self.queue.is_empty() && !self.backlog_comes_first() { tape.next_read(false) } else { None };
        live.or_else(|| if self.backlog.is_empty() { tape.next_read(true) } else { None })
    }

    /// Takes a page that was read. A record that could not be understood is settled. False if the tape has moved.
    pub fn take_page(&mut self, reading: Reading, page: Vec<(u64, Option<Offer>)>) -> bool {
        let under_way: Vec<u64> =
            page.iter().map(|(number, _)| *number).filter(|number| self.is_under_way(*number)).collect();
        let Some(tape) = &mut self.tape else { return false };
        let numbers: Vec<u64> = page.iter().map(|(number, _)| *number).collect();
        if !tape.take(reading, &numbers) {
            return false;
        }
        for (number, offer) in page.into_iter().filter(|(number, _)| *number <= reading.part.upto) {
            let weight = offer.as_ref().map_or(0, |offer| offer.parcel.weight());
            self.unread_bytes = self.unread_bytes.saturating_sub(weight);
            match offer {
                Some(_) if under_way.contains(&number) => {}
                Some(_) if self.exact.is_finished(number) => tape.settle(number),
                None => tape.settle(number),
                Some(offer) if reading.is_backlog => self.backlog.push_back(offer),
                Some(offer) => {
                    self.queue_bytes += weight;
                    self.queue.push_back(offer);
                }
            }
        }
        true
    }

    /// The client came: what waits is the backlog.
    pub fn attach(&mut self) {
        self.orphan_received();
        if let Some(tape) = &mut self.tape {
            tape.attach();
        }
    }

    /// The client went: pages that were read and not sent go back to the journal.
    pub fn detach(&mut self) {
        self.forget_direct();
        let Some(tape) = &mut self.tape else { return };
        for (pages, is_backlog) in [(&mut self.queue, false), (&mut self.backlog, true)] {
            let numbers = || pages.iter().filter_map(|offer| Some(offer.place?.number));
            if let (Some(first), Some(last)) = (numbers().min(), numbers().max()) {
                tape.put_back(first, last, is_backlog);
            }
            let back = pages.iter().filter(|offer| offer.place.is_some());
            self.unread_bytes += back.map(|offer| offer.parcel.weight()).sum::<usize>();
            // What never was in the journal stays.
            pages.retain(|offer| offer.place.is_none());
            pages.shrink_to_fit();
        }
        self.queue_bytes = self.queue.iter().map(|offer| offer.parcel.weight()).sum();
    }

    /// Up to where the journal may forget, if it is worth a write now.
    pub fn trim(&mut self) -> Option<u64> {
        self.tape.as_deref_mut().and_then(Tape::trim)
    }

    /// The journal has forgotten what is there up to `upto`.
    pub fn trimmed(&mut self, upto: u64) {
        if self.exact.is_there() {
            self.exact.trimmed(upto);
        }
    }

    /// True if something waits that a write could make room for.
    pub fn is_waiting(&self) -> bool {
        !self.queue.is_empty() || !self.backlog.is_empty() || self.in_flight.parked() > 0
    }

    /// True if an acknowledgement leaves nothing to be done: nothing waits for the room that it made, and no journal or
    /// group has to be told.
    pub fn is_at_rest(&self) -> bool {
        !self.is_waiting() && self.tape.is_none() && self.settled.is_empty()
    }

    /// The session goes on under the terms of a new connection.
    pub fn resume_as(&mut self, version: Version, expiry: u32, dialect: &Dialect) {
        self.version = version;
        self.expires = version == Version::V5 || dialect.has(Divergence::ExpiryCrossesVersions);
        self.expiry = expiry;
    }
}

fn send_once(live: &mut Conversation, offer: &Offer, now: Timestamp) -> Delivered {
    if live.is_too_large(offer) {
        return Delivered::Dropped(Dropped::TooLargeForClient);
    }
    if !live.outbox.has_room(offer.qos, offer.parcel.weight()) {
        return Delivered::Dropped(Dropped::OutboxFull);
    }
    if let Err(whose) = live.pace_out.take(now) {
        return Delivered::Dropped(Dropped::Rate(whose));
    }
    live.outbox.publish(offer, None);
    Delivered::Sent
}

pub(crate) mod exactly_once;
pub(crate) mod in_flight;
mod rarely;
mod shared;
mod subscriptions;
#[cfg(test)]
mod tests;
mod window;
