//! What ends with a connection: the agreed terms, the alias table, the outbox, the silence that is still allowed.

use std::sync::Arc;

use dialect::{Dialect, Divergence, Fault};
use identity::Timestamp;
use mqtt::{
    Ack, ConnAck, Disconnect, Packet, PacketId, QoS, ReasonCode, SubAck, Text, UnsubAck, UserProperties,
    Version,
};
use smallvec::SmallVec;

use crate::mutation::{self, Mutation};
use crate::on::publish::{Aliases, Inbound};
use crate::on::subscribe::{SubscribeAsked, UnsubscribeAsked};
use crate::throttle::{AccountPace, Pace};
use crate::{Notes, Offer, Outbox, Paper, Parcel, Session, Terms, Violation, on};

/// What the broker has to do about a packet.
#[derive(Debug)]
pub enum Step {
    /// Nothing more.
    Nothing,
    /// A message: authorise, route, and [`Conversation::settle`].
    Publish(Inbound),
    /// A message that broke a rule which does not cost the connection: see [`dialect::Dialect::answer`].
    Refused {
        /// The rule.
        violation: Violation,
        /// Its topic; empty if only an alias stood for it.
        topic: Text,
        /// The PUBLISH's QoS.
        qos: QoS,
        /// Present for QoS 1 and 2.
        packet_id: Option<PacketId>,
    },
    /// Filters to authorise and to answer with [`Conversation::suback`].
    Subscribe(SubscribeAsked),
    /// Filters to forget and to answer with [`Conversation::unsuback`].
    Unsubscribe(UnsubscribeAsked),
    /// A message of QoS 2 that came before: only its PUBREC is sent again.
    Repeated(PacketId),
    /// The same of one that came on an earlier connection, and is not known to be on disk: its PUBREC may be sent if it is by the
    /// time ([`Session::has_sealed`]).
    Doubted(PacketId),
    /// The client has a message of QoS 2: note it where it lasts, then [`Conversation::release`].
    Recorded {
        /// The message's.
        packet_id: PacketId,
        /// False if it belongs to no message.
        known: bool,
    },
    /// The client released its message of QoS 2: note it where it lasts, then [`Conversation::complete`].
    Released {
        /// The message's.
        packet_id: PacketId,
        /// False if it belongs to no message.
        known: bool,
    },
    /// The window opened: look for waiting messages.
    Acknowledged,
    /// The client said goodbye.
    Goodbye {
        /// The will is to be published all the same (MQTT 5 reason 0x04).
        with_will: bool,
    },
    /// The client broke a rule.
    Violated(Violation),
}

/// The live part of a client's session.
#[derive(Debug)]
pub struct Conversation {
    terms: Terms,
    pub(crate) aliases: Aliases,
    pub(crate) outbox: Outbox,
    pub(crate) pace_in: Pace,
    pub(crate) pace_out: Pace,
    /// The client published faster than a connection may.
    pub(crate) exceeded: bool,
    /// Messages of QoS 2 that came on this connection and are not completed.
    pub(crate) owed: usize,
    silent_until: Timestamp,
    closing: bool,
}

impl Conversation {
    /// Begins with the CONNACK in the outbox.
    pub fn begin(terms: Terms, connack: ConnAck, dialect: &Dialect, now: Timestamp) -> Self {
        let aliases = Aliases::new(dialect.limits().topic_alias_max);
        let mut outbox = Outbox::new(&terms, dialect);
        outbox.packet(Packet::ConnAck(Box::new(connack)));
        let rate = dialect.limits().publishes_per_connection;
        let mut new = Self {
            terms,
            aliases,
            outbox,
            pace_in: Pace::new(rate),
            pace_out: Pace::new(rate),
            exceeded: false,
            owed: 0,
            silent_until: Timestamp::NEVER,
            closing: false,
        };
        new.heard(now);
        new
    }

    /// From now on the rates of the account count as well: publishes from all clients, and to all clients.
    pub fn share(&mut self, publishes_in: &Arc<AccountPace>, publishes_out: &Arc<AccountPace>) {
        self.pace_in.share(publishes_in.clone());
        self.pace_out.share(publishes_out.clone());
    }

    /// True once after the client published faster than a connection may.
    pub fn take_exceeded(&mut self) -> bool {
        std::mem::take(&mut self.exceeded)
    }

    /// The agreed terms.
    pub fn terms(&self) -> &Terms {
        &self.terms
    }

    /// The agreed terms, to change the will or the expiry.
    pub fn terms_mut(&mut self) -> &mut Terms {
        &mut self.terms
    }

    /// The connection is to be closed when the outbox is empty.
    pub fn is_closing(&self) -> bool {
        self.closing
    }

    /// The client makes more answers than it takes: do not read its input for now.
    pub fn is_congested(&self) -> bool {
        self.outbox.is_congested()
    }

    /// Takes in a packet.
    pub fn receive(
        &mut self,
        session: &mut Session,
        packet: Packet,
        dialect: &Dialect,
        now: Timestamp,
        notes: &mut Notes,
    ) -> Step {
        if self.closing {
            return Step::Nothing;
        }
        // keepalive-reset-list: whether AWS counts the other packets is not known.
        let counts =
            matches!(packet, Packet::Publish(_) | Packet::Subscribe(_) | Packet::PingReq | Packet::PubAck(_));
        if counts || !dialect.has(Divergence::KeepaliveResetList) {
            self.heard(now);
        }
        let name = packet.name();
        let step = self.take_in(session, packet, dialect, now, notes);
        match &step {
            Step::Violated(violation) | Step::Refused { violation, .. } => {
                violation.note(name, self.terms.version, dialect, notes);
            }
            Step::Subscribe(asked) => asked.note(self.terms.version, dialect, notes),
            _ => {}
        }
        step
    }

    fn take_in(
        &mut self,
        session: &mut Session,
        packet: Packet,
        dialect: &Dialect,
        now: Timestamp,
        notes: &mut Notes,
    ) -> Step {
        match packet {
            Packet::Publish(mut publish) => {
                let step = on::publish::receive(self, session, &mut publish, dialect, now, notes);
                publish.recycle();
                step
            }
            Packet::PubAck(ack) => on::acknowledge::receive(session, &ack),
            Packet::Subscribe(subscribe) => {
                on::subscribe::receive(subscribe, self.terms.version, dialect, notes)
            }
            Packet::Unsubscribe(unsubscribe) => on::subscribe::forget(unsubscribe),
            Packet::PingReq => on::ping::receive(self),
            Packet::Disconnect(disconnect) => on::disconnect::receive(self, session, &disconnect, dialect),
            // no-qos2: there is no exchange that these could belong to.
            other if dialect.has(Divergence::NoQos2) => on::misplaced::receive(&other),
            Packet::PubRec(ack) => on::pubrec::receive(session, &ack),
            Packet::PubRel(ack) => on::pubrel::receive(session, &ack),
            Packet::PubComp(ack) => on::pubcomp::receive(session, &ack),
            other => on::misplaced::receive(&other),
        }
    }

    fn heard(&mut self, now: Timestamp) {
        self.silent_until = self.terms.silence().map_or(Timestamp::NEVER, |silence| now + silence);
    }

    /// When the client has been silent for too long [MQTT-3.1.2-22].
    pub fn silent_until(&self) -> Timestamp {
        self.silent_until
    }

    /// Acknowledges a PUBLISH that was taken.
    pub fn settle(&mut self, packet_id: PacketId) {
        self.outbox.puback(packet_id);
    }

    /// Answers a PUBLISH that was refused, when [`Conversation::refusal`] says that a PUBACK does.
    pub fn refuse(&mut self, packet_id: PacketId, fault: Fault, code: ReasonCode, trace: &str) {
        let reason = self.reason("PUBACK", fault, trace);
        self.puback(packet_id, code, reason);
    }

    fn puback(&mut self, packet_id: PacketId, code: ReasonCode, reason_string: Option<Text>) {
        let ack = Ack { packet_id, code, reason_string, user_properties: UserProperties::default() };
        self.outbox.packet(Packet::PubAck(ack));
    }

    /// The text that AWS sends with a refusal, if the client wants to hear it.
    fn reason(&self, packet: &'static str, fault: Fault, trace: &str) -> Option<Text> {
        let wanted = self.terms.problem_information && self.terms.version == Version::V5;
        wanted.then(|| reason_text(packet, fault, trace)).flatten()
    }

    /// PUBREC for a message of QoS 2 that was taken [MQTT-4.3.3-8].
    pub fn record(&mut self, packet_id: PacketId) {
        self.outbox.packet(Packet::PubRec(Ack::success(packet_id)));
    }

    /// PUBREC with a code that refuses: the identifier is free [MQTT-4.3.3-9]. MQTT 3.1.1 has no codes; the client
    /// will release the identifier.
    pub fn refuse_exactly_once(&mut self, packet_id: PacketId, fault: Fault, code: ReasonCode, trace: &str) {
        self.owed = self.owed.saturating_sub(1);
        let (reason_string, user_properties) =
            (self.reason("PUBREC", fault, trace), UserProperties::default());
        self.outbox.packet(Packet::PubRec(Ack { packet_id, code, reason_string, user_properties }));
    }

    /// PUBREL for a message that the client has; `known` is false if it was none of ours.
    pub fn release(&mut self, packet_id: PacketId, known: bool) {
        self.outbox.packet(Packet::PubRel(found(packet_id, known)));
    }

    /// PUBCOMP: the identifier is free.
    pub fn complete(&mut self, packet_id: PacketId, known: bool) {
        self.owed = self.owed.saturating_sub(1);
        self.outbox.packet(Packet::PubComp(found(packet_id, known)));
    }

    /// Answers a SUBSCRIBE with one code for each filter, in their order [MQTT-3.8.4-5].
    pub fn suback(&mut self, packet_id: PacketId, codes: SmallVec<[ReasonCode; 2]>) {
        let user_properties = UserProperties::default();
        self.outbox.packet(Packet::SubAck(SubAck { packet_id, codes, reason_string: None, user_properties }));
    }

    /// Answers an UNSUBSCRIBE [MQTT-3.10.4-4].
    pub fn unsuback(&mut self, packet_id: PacketId, codes: SmallVec<[ReasonCode; 2]>) {
        let user_properties = UserProperties::default();
        self.outbox.packet(Packet::UnsubAck(UnsubAck {
            packet_id,
            codes,
            reason_string: None,
            user_properties,
        }));
    }

    pub(crate) fn answer(&mut self, packet: Packet) {
        self.outbox.packet(packet);
    }

    /// Ends the connection because of a fault; an MQTT 5 client is told the reason [MQTT-4.13.1-1].
    pub fn close(&mut self, fault: Fault, trace: &str, dialect: &Dialect) {
        if self.closing {
            return;
        }
        self.closing = true;
        // Where the packet that would carry another kind of answer does not exist, a DISCONNECT carries its code.
        let code = dialect.answer(fault, self.terms.version).code();
        // Messages that wait are not worth the wait; unacknowledged ones stay in the session.
        self.outbox.clear();
        let code = code.filter(|_| self.terms.version == Version::V5);
        // server-disconnect-v3-api: the one DISCONNECT that a 3.1.1 client may get; the code is not written there.
        let code = code.or_else(|| dialect.tells_v3(fault).then_some(ReasonCode::AdministrativeAction));
        if let Some(code) = code {
            self.outbox.packet(Packet::Disconnect(Disconnect {
                code,
                session_expiry_interval: None,
                reason_string: reason_text("DISCONNECT", fault, trace),
                user_properties: UserProperties::default(),
                server_reference: None,
            }));
        }
    }

    /// Ends the connection without a word: the client asked for it.
    pub fn close_silently(&mut self) {
        self.closing = true;
        self.outbox.clear();
    }

    /// Lets the last message that waits overtake the one before it. False if there are no two (unordered-delivery).
    pub fn overtake(&mut self) -> bool {
        self.outbox.overtake()
    }

    /// Encodes what waits, up to about `budget` bytes. False if nothing waits.
    /// Messages of QoS 0 that are not written because they have expired are added to `expired`.
    pub fn write<P: Paper>(
        &mut self,
        out: &mut P,
        expired: &mut Vec<Arc<Parcel>>,
        budget: usize,
        now: Timestamp,
    ) -> bool {
        self.outbox.write(out, expired, budget, now)
    }

    /// True if the client said that it takes no packet of this size [MQTT-3.1.2-24].
    pub(crate) fn is_too_large(&self, offer: &Offer) -> bool {
        let most = self.terms.client_packet_max as usize;
        if mutation::is(Mutation::IgnoresPacketSize) {
            return false;
        }
        if offer.identifiers.is_empty() && offer.parcel.is_surely_within(most) {
            return false;
        }
        let length = offer.parcel.packet_len(self.terms.version, offer.qos, offer.identifiers.len());
        // A topic alias takes three bytes, and may make the two lengths before it longer.
        let alias = if self.terms.topic_aliases > 0 { 9 } else { 0 };
        length.is_none_or(|length| length + alias > most)
    }
}

fn found(packet_id: PacketId, known: bool) -> Ack {
    let code = if known { ReasonCode::Success } else { ReasonCode::PacketIdentifierNotFound };
    Ack { code, ..Ack::success(packet_id) }
}

fn reason_text(packet: &'static str, fault: Fault, trace: &str) -> Option<Text> {
    Text::try_from(fault.reason_text(packet, trace).to_string()).ok()
}
