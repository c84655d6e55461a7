//! The book of sessions: what each client has agreed with the broker, from what went over the wires. The models look
//! things up in it; it judges nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use dialect::{Dialect, DisconnectReason, Divergence};
use events::Kind;
use identity::Timestamp;
use mqtt::{Connect, Packet, QoS, ReasonCode, SubAck, Subscribe, Version};

use crate::fact::Fact;
use crate::heard::Heard;

/// A subscription that is in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sub {
    /// As granted.
    pub qos: QoS,
    /// The client does not want its own messages.
    pub no_local: bool,
}

/// A session, as far as it is known.
#[derive(Clone, Debug)]
pub struct Session {
    /// Tells it from every other.
    pub epoch: u64,
    /// False if something failed half-way: it may be there or not.
    pub sure: bool,
    /// How long it outlives a connection, seconds.
    pub expiry: u32,
    /// What it was before the last change, as long as a restart may bring that back: the change is not known to be on disk.
    pub formerly: Option<u32>,
    /// Nobody knows which of the two it is, until the client is welcomed the next time.
    in_doubt: bool,
    /// The version that made it.
    pub version: Version,
    /// When its connection ended, at the earliest and at the latest; nothing while there is one.
    pub ended: Option<(Timestamp, Timestamp)>,
    /// The same of the connection before, as long as the one that there is now may be refused: then it counts from there.
    left: Option<(Timestamp, Timestamp)>,
    /// What is certainly subscribed to.
    pub subs: BTreeMap<String, Sub>,
}

/// A wire on which a CONNECT was read.
#[derive(Clone, Debug)]
pub struct Seat {
    /// Whose.
    pub client: usize,
    /// What it asked for.
    pub connect: Arc<Connect>,
    /// The connection was told of by an event.
    pub accepted: bool,
    /// Its CONNACK was given.
    pub welcomed: bool,
    /// It has ended.
    pub ended: bool,
    /// The client said goodbye: with this code.
    pub goodbye: Option<ReasonCode>,
    /// SUBSCRIBE that were not answered, and those of their filters that were unsubscribed from meanwhile.
    asked: BTreeMap<u16, (Subscribe, BTreeSet<String>)>,
}

/// All clients and wires.
pub struct Book {
    dialect: Arc<Dialect>,
    /// By client.
    pub sessions: BTreeMap<usize, Session>,
    /// By wire.
    pub seats: BTreeMap<usize, Seat>,
    /// Messages whose write failed and may have happened all the same: nobody knows how often they are in the journal.
    pub doubtful: BTreeSet<String>,
    /// How many appends may have happened although the disk said that they failed.
    pub perhaps: u64,
    unanswered: BTreeMap<(usize, u16), String>,
    /// When nothing was going on last.
    idle: Timestamp,
    /// How often the process died.
    pub crashes: u64,
    epochs: u64,
}

impl Book {
    /// Nobody was there yet.
    pub fn new(dialect: Arc<Dialect>) -> Self {
        Self {
            dialect,
            sessions: BTreeMap::new(),
            seats: BTreeMap::new(),
            doubtful: BTreeSet::new(),
            perhaps: 0,
            unanswered: BTreeMap::new(),
            idle: Timestamp(0),
            crashes: 0,
            epochs: 0,
        }
    }

    /// The dialect.
    pub fn dialect(&self) -> &Dialect {
        &self.dialect
    }

    /// True if the dialect is AWS's.
    pub fn is_aws(&self) -> bool {
        self.dialect.has(Divergence::NoQos2)
    }

    /// Whether a filter matches a topic.
    pub fn matches(&self, filter: &str, topic: &str) -> bool {
        oracle::topics::matches(filter, topic, !self.dialect.has(Divergence::HashExcludesParent))
    }

    /// The wire on which a client is connected now.
    pub fn online(&self, client: usize) -> Option<usize> {
        let live = |(_, seat): &(&usize, &Seat)| seat.client == client && seat.accepted && !seat.ended;
        self.seats.iter().filter(live).map(|(wire, _)| *wire).next_back()
    }

    /// Whether a connection was accepted on this wire and has not ended.
    pub fn is_open(&self, wire: usize) -> bool {
        self.seats.get(&wire).is_some_and(|seat| seat.accepted && !seat.ended)
    }

    /// The number of a client id.
    pub fn client(id: &str) -> Option<usize> {
        id.strip_prefix('c')?.parse().ok()
    }

    /// How long a session of this CONNECT outlives its connection.
    pub fn expiry_of(&self, connect: &Connect) -> u32 {
        let most = self.dialect.limits().session_expiry_max;
        match connect.version {
            Version::V5 => connect.properties.session_expiry_interval.unwrap_or(0).min(most),
            Version::V311 if connect.clean_start => 0,
            Version::V311 => most,
        }
    }

    /// Notes a fact.
    pub fn note(&mut self, now: Timestamp, fact: &Fact) {
        match fact {
            Fact::Asked { wire, client, connect } => {
                self.seats.insert(*wire, Seat::new(*client, connect.clone()));
            }
            Fact::Refused { wire } => self.refused(*wire),
            Fact::Took { wire, packet, .. } => self.took(*wire, packet),
            Fact::Gave { wire, packet, .. } => self.gave(*wire, packet),
            Fact::Heard(heard) => self.heard(now, heard),
            Fact::Died { graceful } => self.died(now, *graceful),
            Fact::Started { since } => self.started(*since),
            Fact::Idle => self.is_idle(now),
            _ => {}
        }
    }

    /// What was agreed is on the disk, unless something went wrong.
    fn is_idle(&mut self, now: Timestamp) {
        self.idle = now;
        for session in self.sessions.values_mut().filter(|session| !session.in_doubt) {
            session.formerly = None;
        }
    }

    fn refused(&mut self, wire: usize) {
        let Some(seat) = self.seats.get_mut(&wire) else { return };
        // It had the seat, and its session could not be stored.
        if std::mem::replace(&mut seat.ended, true) || seat.accepted {
            let client = seat.client;
            self.sessions.entry(client).and_modify(|session| session.sure = false);
        }
    }

    fn took(&mut self, wire: usize, packet: &Packet) {
        let Some(seat) = self.seats.get_mut(&wire).filter(|seat| !seat.ended) else { return };
        let session = self.sessions.get_mut(&seat.client);
        match packet {
            Packet::Publish(publish) => {
                let id = publish.packet_id.map_or(0, mqtt::PacketId::get);
                self.unanswered.insert((wire, id), crate::checkers::word(publish));
            }
            Packet::Subscribe(subscribe) => {
                seat.asked.insert(subscribe.packet_id.get(), (subscribe.clone(), BTreeSet::new()));
                if let Some(session) = session {
                    for request in &subscribe.filters {
                        // Its options may change in any moment from now on.
                        session.subs.remove(request.filter.as_str());
                    }
                }
            }
            Packet::Unsubscribe(unsubscribe) => {
                let filters: Vec<_> = unsubscribe.filters.iter().map(|one| one.as_str().to_owned()).collect();
                seat.asked.values_mut().for_each(|(_, undone)| undone.extend(filters.iter().cloned()));
                session
                    .into_iter()
                    .for_each(|session| session.subs.retain(|filter, _| !filters.contains(filter)));
            }
            Packet::Disconnect(disconnect) => {
                seat.goodbye = Some(disconnect.code);
                if let (Some(session), Some(expiry)) = (session, disconnect.session_expiry_interval) {
                    session.agrees(expiry.min(self.dialect.limits().session_expiry_max));
                }
            }
            _ => {}
        }
    }

    fn gave(&mut self, wire: usize, packet: &Packet) {
        let Some(seat) = self.seats.get_mut(&wire) else { return };
        match packet {
            Packet::PubAck(ack) | Packet::PubRec(ack) => {
                self.unanswered.remove(&(wire, ack.packet_id.get()));
            }
            Packet::ConnAck(connack) => {
                seat.welcomed |= connack.code == ReasonCode::Success;
                if seat.ended {
                    return;
                }
                let granted = connack.properties.session_expiry_interval;
                if let Some(session) = self.sessions.get_mut(&seat.client).filter(|_| seat.welcomed) {
                    session.is_welcomed(granted);
                }
            }
            Packet::SubAck(suback) => self.subscribed(wire, suback),
            _ => {}
        }
    }

    fn subscribed(&mut self, wire: usize, suback: &SubAck) {
        let Some(seat) = self.seats.get_mut(&wire) else { return };
        let asked = seat.asked.remove(&suback.packet_id.get());
        let (Some((asked, undone)), Some(session)) = (asked, self.sessions.get_mut(&seat.client)) else {
            return;
        };
        let again = |filter: &str| {
            let mut others = seat.asked.values().flat_map(|(other, _)| &other.filters);
            others.any(|request| request.filter.as_str() == filter)
        };
        for (request, code) in asked.filters.iter().zip(&suback.codes) {
            let filter = request.filter.as_str();
            let granted = QoS::from_number(*code as u8);
            if let Some(qos) = granted.filter(|_| !undone.contains(filter) && !again(filter)) {
                session.subs.insert(filter.to_owned(), Sub { qos, no_local: request.no_local });
            }
        }
    }

    fn heard(&mut self, now: Timestamp, heard: &Heard) {
        if heard.kind == Kind::StoreFailed {
            self.doubtful.extend(self.unanswered.values().cloned());
            if heard.fault.starts_with("messages for persistent sessions") {
                self.perhaps += self.unanswered.len() as u64 + 1;
            }
            self.sessions.values_mut().for_each(Session::doubt);
            // Wills and what has no answer are not told apart.
            self.doubtful.extend(self.seats.keys().map(|wire| format!("w{wire}")));
        }
        let Some(client) = Self::client(&heard.client) else { return };
        match heard.kind {
            Kind::Connected => self.connected(client, heard),
            Kind::Disconnected => self.disconnected(client, heard, now),
            Kind::SessionExpired => {
                self.sessions.remove(&client);
            }
            _ => {}
        }
    }

    fn connected(&mut self, client: usize, heard: &Heard) {
        let Some(seat) = heard.wire.and_then(|wire| self.seats.get_mut(&wire)) else { return };
        seat.accepted = true;
        let connect = seat.connect.clone();
        let expiry = self.expiry_of(&connect);
        if let Some(session) = self.sessions.get_mut(&client).filter(|_| heard.flag) {
            session.agrees(expiry);
            session.left = session.ended.take();
            session.version = connect.version;
            return;
        }
        self.epochs += 1;
        let session = Session {
            epoch: self.epochs,
            sure: false,
            expiry,
            formerly: None,
            in_doubt: false,
            version: connect.version,
            ended: None,
            left: None,
            subs: BTreeMap::new(),
        };
        self.sessions.insert(client, session);
    }

    fn disconnected(&mut self, client: usize, heard: &Heard, now: Timestamp) {
        let Some(seat) = heard.wire.and_then(|wire| self.seats.get_mut(&wire)) else { return };
        seat.ended = true;
        if let Some(session) = self.sessions.get_mut(&client) {
            if heard.reason != Some(DisconnectReason::ClientInitiatedDisconnect) {
                // What the client said at last was perhaps not looked at.
                session.doubt();
            }
            // What began before the clock jumped may end by the time of then, but not by one in which nothing went on.
            let first = heard.at.max(self.idle).min(now);
            let left = session.left.take().filter(|_| !seat.welcomed);
            session.ended = Some((left.map_or(first, |(before, _)| before.min(first)), now));
        }
        // Who was not accepted leaves the session as it was.
        let lasts =
            |session: &Session| if seat.welcomed { session.expiry > 0 } else { session.outlives().1 > 0 };
        self.sessions.retain(|number, session| *number != client || lasts(session));
    }

    fn died(&mut self, now: Timestamp, graceful: bool) {
        if !graceful {
            self.crashes += 1;
        }
        let live = self.seats.values_mut().filter(|seat| !seat.ended);
        let hopes: Vec<(usize, bool)> = live
            .map(|seat| {
                seat.ended = true;
                (seat.client, seat.welcomed)
            })
            .collect();
        self.sessions.retain(|_, session| session.expiry > 0);
        self.sessions.values_mut().for_each(Session::doubt);
        for session in self.sessions.values_mut() {
            session.ended = session.ended.or(Some((now, now)));
        }
        for (client, welcomed) in hopes {
            if let Some(session) = self.sessions.get_mut(&client).filter(|_| !welcomed) {
                session.sure = false;
            }
        }
    }

    /// The record of when a session's connection ended may not have reached the disk: then it counts from the start. That
    /// is when the process read the clock; until it had read the disk, too, a while may have passed.
    fn started(&mut self, since: Timestamp) {
        // What the process before saw by a clock that was ahead says nothing of the times of this one.
        self.idle = self.idle.min(since);
        for session in self.sessions.values_mut() {
            // With a clock that was set back it counts from the start, too.
            session.ended = session.ended.map(|(first, _)| (first.min(since), since));
        }
    }
}

impl Session {
    fn agrees(&mut self, expiry: u32) {
        self.formerly = self.formerly.or(Some(self.expiry));
        self.expiry = expiry;
    }

    fn is_welcomed(&mut self, granted: Option<u32>) {
        self.expiry = granted.unwrap_or(self.expiry);
        (self.formerly, self.in_doubt, self.sure) = (None, false, true);
    }

    /// It is there, and as the book has it.
    pub fn is_certain(&self) -> bool {
        self.sure && !self.in_doubt
    }

    /// A change that is not known to be on the disk may be undone.
    fn doubt(&mut self) {
        self.in_doubt |= self.formerly.is_some();
    }

    /// How long it outlives a connection, seconds: at the least and at the most.
    pub fn outlives(&self) -> (u32, u32) {
        let formerly = self.formerly.unwrap_or(self.expiry);
        (self.expiry.min(formerly), self.expiry.max(formerly))
    }
}

impl Seat {
    fn new(client: usize, connect: Arc<Connect>) -> Self {
        Self {
            client,
            connect,
            accepted: false,
            welcomed: false,
            ended: false,
            goodbye: None,
            asked: BTreeMap::new(),
        }
    }
}
