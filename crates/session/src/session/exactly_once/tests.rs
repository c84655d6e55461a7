//! QoS 2, clause by clause, and a client that loses its connection at the worst moments.
//!
//! | clause | where it is obeyed | test |
//! |---|---|---|
//! | `[MQTT-2.2.1-2]` | `outbox`: QoS 0 has no identifier | `the_identifier_goes_through_the_whole_exchange` |
//! | `[MQTT-2.2.1-4]`, `[MQTT-4.3.3-1]` | `in_flight::next_packet_id` | `an_identifier_is_used_again_only_after_the_pubcomp` |
//! | `[MQTT-2.2.1-5]` | `conversation` | `the_identifier_goes_through_the_whole_exchange` |
//! | `[MQTT-4.3.3-2]` | `in_flight::send` | `the_identifier_goes_through_the_whole_exchange` |
//! | `[MQTT-4.3.3-3]` | `in_flight::resend_all` | `before_the_pubrec_the_message_comes_again` |
//! | `[MQTT-4.3.3-4]` | `on/pubrec` | `the_identifier_goes_through_the_whole_exchange`, `a_pubrec_that_refuses_ends_the_delivery` |
//! | `[MQTT-4.3.3-5]` | `exactly_once::release_again` | `after_the_pubrec_only_the_pubrel_comes_again` |
//! | `[MQTT-4.3.3-6]` | `exactly_once::record`, `Outbox::encode` | `after_the_pubrec_only_the_pubrel_comes_again`, `after_the_pubrec_the_message_does_not_come_again_although_it_waited_to` |
//! | `[MQTT-4.3.3-7]` | `in_flight::is_wanted` | `what_was_sent_does_not_expire` |
//! | `[MQTT-4.3.3-8]` | `conversation::record` | `a_message_from_the_client_is_taken_once` |
//! | `[MQTT-4.3.3-9]` | `exactly_once::forget_received` | `a_refused_identifier_stands_for_a_new_message` |
//! | `[MQTT-4.3.3-10]` | `on/publish` | `a_message_from_the_client_is_taken_once` |
//! | `[MQTT-4.3.3-11]` | `on/pubrel` | `a_message_from_the_client_is_taken_once`, `what_is_not_known_is_answered_all_the_same` |
//! | `[MQTT-4.3.3-12]` | `on/pubrel` | `a_message_from_the_client_is_taken_once` |
//! | `[MQTT-4.3.3-13]` | the exchange knows of no expiry | `an_expired_message_from_the_client_is_acknowledged` |

use std::sync::Arc;

use bytes::BytesMut;
use dialect::{Dialect, Fault};
use identity::Timestamp;
use mqtt::{Ack, Connect, Decoder, Message, Packet, Publish, ReasonCode, Text, TopicName, Version};
use smallvec::SmallVec;

use super::*;
use crate::{Delivered, Dropped, Gate, Notes, Parcel, Step, Terms};

mod lossy;

const NOW: Timestamp = Timestamp(1_000_000);

/// Lets everything pass.
struct Open;

impl Gate for Open {
    fn allows(&mut self, _offer: &Offer) -> bool {
        true
    }
    fn dropped(&mut self, _offer: &Offer, _why: Dropped) {}
    fn sent_again(&mut self, _offer: &Offer, _attempt: u32) {}
}

/// A session and one connection of its client.
struct Side {
    version: Version,
    dialect: Dialect,
    session: Session,
    talk: Conversation,
    decoder: Decoder,
}

fn terms(version: Version, window: Option<u16>, dialect: &Dialect) -> Terms {
    let mut connect = Connect {
        version,
        clean_start: false,
        keep_alive: 0,
        client_id: Text::from_static("c1"),
        user_name: None,
        password: None,
        will: None,
        properties: mqtt::ConnectProperties::default(),
    };
    if version == Version::V5 {
        connect.properties.session_expiry_interval = Some(1000);
        connect.properties.receive_maximum = window;
    }
    Terms::agree(&connect, dialect, &mut Notes::new()).unwrap()
}

impl Side {
    fn new(version: Version) -> Self {
        let dialect = Dialect::oasis();
        let session = Session::new(version, 1000, &dialect);
        Self::with(session, version, None, dialect)
    }

    fn with(session: Session, version: Version, window: Option<u16>, dialect: Dialect) -> Self {
        let talk = Self::talk(version, window, &dialect);
        let mut side =
            Self { version, dialect, session, talk, decoder: Decoder::for_client(version, u32::MAX) };
        side.written();
        side
    }

    fn talk(version: Version, window: Option<u16>, dialect: &Dialect) -> Conversation {
        let terms = terms(version, window, dialect);
        let connack = terms.connack(true, None, dialect);
        Conversation::begin(terms, connack, dialect, NOW)
    }

    /// The connection is lost and the client comes back.
    fn reconnect(&mut self, window: Option<u16>) {
        self.session.detach();
        self.talk = Self::talk(self.version, window, &self.dialect);
        self.decoder = Decoder::for_client(self.version, u32::MAX);
        self.session.attach();
        self.session.resend_all(&mut self.talk, &self.dialect, &mut Open, NOW);
    }

    fn written(&mut self) -> Vec<Packet> {
        let mut out = BytesMut::new();
        while self.talk.write(&mut out, &mut Vec::new(), 10_000, NOW) {}
        std::iter::from_fn(|| self.decoder.decode(&mut out).unwrap())
            .filter(|packet| !matches!(packet, Packet::ConnAck(_)))
            .collect()
    }

    fn receive(&mut self, packet: Packet) -> Step {
        self.talk.receive(&mut self.session, packet, &self.dialect, NOW, &mut Notes::new())
    }

    /// As the broker does it, without a disk: the answer follows.
    fn exchange(&mut self, packet: Packet) -> Vec<Packet> {
        match self.receive(packet) {
            Step::Publish(inbound) => self.talk.record(inbound.packet_id.unwrap()),
            Step::Repeated(packet_id) => self.talk.record(packet_id),
            Step::Recorded { packet_id, known } => self.talk.release(packet_id, known),
            Step::Released { packet_id, known } => self.talk.complete(packet_id, known),
            Step::Acknowledged | Step::Nothing => {}
            other => panic!("{other:?}"),
        }
        self.written()
    }

    fn send(&mut self, payload: &'static str) -> Publish {
        assert_eq!(self.session.deliver(Some(&mut self.talk), &offer(payload), NOW), Delivered::Sent);
        match &self.written()[..] {
            [Packet::Publish(publish)] => (**publish).clone(),
            other => panic!("{other:?}"),
        }
    }
}

fn offer(payload: impl Into<bytes::Bytes>) -> Offer {
    let message = Message {
        topic: TopicName::try_from("a/b").unwrap(),
        payload: payload.into(),
        qos: QoS::ExactlyOnce,
        retain: false,
        properties: mqtt::Carried::default(),
        expires_at: None,
        published_by_v5: true,
    };
    Offer {
        parcel: Arc::new(Parcel::new(message)),
        qos: QoS::ExactlyOnce,
        retain: false,
        share_name: None,
        place: None,
        identifiers: SmallVec::new(),
        group: None,
    }
}

fn id(number: u16) -> PacketId {
    PacketId::new(number).unwrap()
}

fn publish(number: u16, payload: impl Into<bytes::Bytes>, dup: bool) -> Packet {
    Packet::Publish(Box::new(Publish {
        dup,
        qos: QoS::ExactlyOnce,
        topic: Text::from_static("a/b"),
        packet_id: Some(id(number)),
        payload: payload.into(),
        ..Publish::default()
    }))
}

fn with_code(packet_id: PacketId, code: ReasonCode) -> Ack {
    Ack { code, ..Ack::success(packet_id) }
}

const BOTH: [Version; 2] = [Version::V311, Version::V5];

#[test]
fn the_identifier_goes_through_the_whole_exchange() {
    for version in BOTH {
        let mut side = Side::new(version);
        let sent = side.send("x");
        let packet_id = sent.packet_id.unwrap();
        assert!(sent.qos == QoS::ExactlyOnce && !sent.dup);
        let answer = side.exchange(Packet::PubRec(Ack::success(packet_id)));
        assert_eq!(answer, [Packet::PubRel(Ack::success(packet_id))]);
        assert_eq!(side.exchange(Packet::PubComp(Ack::success(packet_id))), []);
        assert_eq!(side.session.in_flight(), 0);
    }
}

#[test]
fn an_identifier_is_used_again_only_after_the_pubcomp() {
    let mut side = Side::new(Version::V5);
    let first = side.send("x").packet_id.unwrap();
    side.exchange(Packet::PubRec(Ack::success(first)));
    side.session.last_packet_id = u16::MAX;
    assert_ne!(side.send("y").packet_id, Some(first));
    side.exchange(Packet::PubComp(Ack::success(first)));
    side.session.last_packet_id = u16::MAX;
    assert_eq!(side.send("z").packet_id, Some(first));
}

#[test]
fn before_the_pubrec_the_message_comes_again() {
    let mut side = Side::new(Version::V311);
    let sent = side.send("x");
    side.reconnect(None);
    let again = Publish { dup: true, ..sent };
    assert_eq!(side.written(), [Packet::Publish(Box::new(again))], "[MQTT-3.3.1-1] with DUP");
}

#[test]
fn after_the_pubrec_only_the_pubrel_comes_again() {
    for version in BOTH {
        let mut side = Side::new(version);
        let ids: Vec<_> = ["x", "y"].map(|payload| side.send(payload).packet_id.unwrap()).into();
        // [MQTT-4.6.0-4] in the order of the PUBRECs.
        for packet_id in ids.iter().rev() {
            side.receive(Packet::PubRec(Ack::success(*packet_id)));
        }
        for _ in 0..2 {
            side.reconnect(None);
            let releases: Vec<_> = ids.iter().rev().map(|id| Packet::PubRel(Ack::success(*id))).collect();
            assert_eq!(side.written(), releases);
        }
        assert_eq!(
            side.exchange(Packet::PubRec(Ack::success(ids[0]))),
            [Packet::PubRel(Ack::success(ids[0]))]
        );
    }
}

#[test]
fn after_the_pubrec_the_message_does_not_come_again_although_it_waited_to() {
    for version in BOTH {
        let mut side = Side::new(version);
        let packet_id = side.send("x").packet_id.unwrap();
        side.reconnect(None);
        let answer = side.exchange(Packet::PubRec(Ack::success(packet_id)));
        assert_eq!(answer, [Packet::PubRel(Ack::success(packet_id))]);
    }
}

#[test]
fn a_pubrec_that_refuses_ends_the_delivery() {
    let mut side = Side::new(Version::V5);
    let packet_id = side.send("x").packet_id.unwrap();
    let refusal = with_code(packet_id, ReasonCode::QuotaExceeded);
    assert_eq!(side.exchange(Packet::PubRec(refusal)), [], "no PUBREL");
    assert_eq!(side.session.in_flight(), 0);
    side.reconnect(None);
    assert_eq!(side.written(), []);
}

#[test]
fn the_window_is_open_only_after_the_pubcomp() {
    let mut side = Side::with(
        Session::new(Version::V5, 1000, &Dialect::oasis()),
        Version::V5,
        Some(1),
        Dialect::oasis(),
    );
    let packet_id = side.send("x").packet_id.unwrap();
    assert_eq!(side.session.deliver(Some(&mut side.talk), &offer("y"), NOW), Delivered::Queued);
    side.exchange(Packet::PubRec(Ack::success(packet_id)));
    assert!(side.session.next_ready(&side.talk, NOW).is_none(), "[MQTT-3.3.4-9]");
    side.exchange(Packet::PubComp(Ack::success(packet_id)));
    assert!(side.session.next_ready(&side.talk, NOW).is_some());
}

#[test]
fn what_was_sent_does_not_expire() {
    let mut side = Side::new(Version::V5);
    let mut parcel = Parcel::new(offer("x").parcel.message.clone());
    parcel.message.expires_at = Some(NOW.millis() + 1);
    let offer = Offer { parcel: Arc::new(parcel), ..offer("x") };
    assert_eq!(side.session.deliver(Some(&mut side.talk), &offer, NOW), Delivered::Sent);
    let later = NOW + std::time::Duration::from_secs(5);
    side.talk = Side::talk(side.version, None, &side.dialect);
    side.session.resend_all(&mut side.talk, &side.dialect, &mut Open, later);
    side.decoder = Decoder::for_client(side.version, u32::MAX);
    assert!(matches!(&side.written()[..], [Packet::Publish(again)] if again.dup));
}

#[test]
fn what_is_given_up_frees_its_identifier_with_a_pubrel() {
    struct Shut;
    impl Gate for Shut {
        fn allows(&mut self, _offer: &Offer) -> bool {
            false
        }
        fn dropped(&mut self, _offer: &Offer, _why: Dropped) {}
        fn sent_again(&mut self, _offer: &Offer, _attempt: u32) {}
    }
    let mut side = Side::new(Version::V5);
    let packet_id = side.send("x").packet_id.unwrap();
    side.talk = Side::talk(side.version, None, &side.dialect);
    side.decoder = Decoder::for_client(side.version, u32::MAX);
    side.session.resend_all(&mut side.talk, &side.dialect, &mut Shut, NOW);
    assert_eq!(side.written(), [Packet::PubRel(Ack::success(packet_id))]);
    side.exchange(Packet::PubComp(with_code(packet_id, ReasonCode::PacketIdentifierNotFound)));
    assert_eq!(side.session.in_flight(), 0);
}

#[test]
fn a_message_from_the_client_is_taken_once() {
    for version in BOTH {
        let mut side = Side::new(version);
        let recorded = [Packet::PubRec(Ack::success(id(7)))];
        assert!(matches!(side.receive(publish(7, "x", false)), Step::Publish(_)));
        side.talk.record(id(7));
        assert_eq!(side.written(), recorded);
        for dup in [true, false] {
            assert!(
                matches!(side.receive(publish(7, "x", dup)), Step::Repeated(packet_id) if packet_id == id(7))
            );
        }
        side.reconnect(None);
        let again = side.receive(publish(7, "x", true));
        assert!(
            matches!(again, Step::Doubted(_)),
            "the session lasts, and nobody knows what became of the message"
        );
        side.session.seal_received(id(7));
        assert!(matches!(side.receive(publish(7, "x", true)), Step::Repeated(_)), "it is known now");
        let answer = side.exchange(Packet::PubRel(Ack::success(id(7))));
        assert_eq!(answer, [Packet::PubComp(Ack::success(id(7)))]);
        assert!(matches!(side.receive(publish(7, "y", false)), Step::Publish(_)));
    }
}

#[test]
fn a_refused_identifier_stands_for_a_new_message() {
    let mut side = Side::new(Version::V5);
    assert!(matches!(side.receive(publish(7, "x", false)), Step::Publish(_)));
    side.session.forget_received(id(7));
    side.talk.refuse_exactly_once(id(7), Fault::PublishDeniedQos1, ReasonCode::NotAuthorized, "t");
    assert!(matches!(&side.written()[..], [Packet::PubRec(ack)] if ack.code == ReasonCode::NotAuthorized));
    assert!(matches!(side.receive(publish(7, "y", false)), Step::Publish(_)));
}

#[test]
fn what_is_not_known_is_answered_all_the_same() {
    for (version, code) in
        [(Version::V311, ReasonCode::Success), (Version::V5, ReasonCode::PacketIdentifierNotFound)]
    {
        let mut side = Side::new(version);
        let ack = Ack::success(id(9));
        assert_eq!(side.exchange(Packet::PubRel(ack.clone())), [Packet::PubComp(with_code(id(9), code))]);
        assert_eq!(side.exchange(Packet::PubRec(ack.clone())), [Packet::PubRel(with_code(id(9), code))]);
        assert_eq!(side.exchange(Packet::PubComp(ack.clone())), []);
        let sent = side.send("x").packet_id.unwrap();
        side.exchange(Packet::PubAck(Ack::success(sent)));
        side.exchange(Packet::PubComp(Ack::success(sent)));
        assert_eq!(side.session.in_flight(), 1, "neither ends a message that was not released");
    }
}

#[test]
fn an_expired_message_from_the_client_is_acknowledged() {
    let mut side = Side::new(Version::V5);
    let Packet::Publish(mut message) = publish(7, "x", false) else { panic!() };
    message.message_expiry_interval = Some(0);
    assert_eq!(side.exchange(Packet::Publish(message)), [Packet::PubRec(Ack::success(id(7)))]);
}

#[test]
fn the_receive_maximum_counts_what_is_not_released() {
    let mut side = Side::new(Version::V5);
    let most = side.dialect.limits().inflight_in;
    side.talk.owed = usize::from(most) - 1;
    assert_eq!(side.exchange(publish(1, "x", false)).len(), 1);
    let step = side.receive(publish(2, "y", false));
    assert!(matches!(step, Step::Violated(violation) if violation.fault == Fault::ReceiveMaximumExceeded));
    let mut old = Side::new(Version::V311);
    old.talk.owed = usize::from(most);
    assert_eq!(old.exchange(publish(1, "x", false)).len(), 1, "3.1.1 has no such limit");
}

#[test]
fn the_identifiers_of_subscriptions_go_with_the_message() {
    let mut side = Side::new(Version::V5);
    let identifiers = SmallVec::from_slice(&[3, 268_435_455]);
    let offer = Offer { identifiers: identifiers.clone(), retain: true, ..offer("x") };
    assert_eq!(side.session.deliver(Some(&mut side.talk), &offer.clone(), NOW), Delivered::Sent);
    let packets = side.written();
    assert!(matches!(&packets[..], [Packet::Publish(publish)]
        if publish.subscription_identifiers == identifiers && publish.retain && publish.packet_id.is_some()));
    let length = mqtt::encoded_len(&packets[0], Version::V5);
    let reckoned = offer.parcel.packet_len(Version::V5, QoS::ExactlyOnce, 2).unwrap();
    assert!((length..length + 16).contains(&reckoned), "{length} {reckoned}");
}
