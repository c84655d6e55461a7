//! Windows, queues, retries, and what a client may do wrong in a conversation.

use bytes::{Bytes, BytesMut};
use mqtt::{
    Ack, Carried, Connect, Decoder, Message, Packet, PacketId, Publish, ReasonCode, Subscribe,
    SubscribeRequest, Text, TopicName, UserProperties,
};
use proptest::prelude::*;

use super::*;
use crate::throttle::AccountPace;
use crate::{Notes, Step, Terms, Unsent, Violation};
use dialect::{Fault, QuotaId, Rate};

const NOW: Timestamp = Timestamp(1_000_000);

struct Client {
    session: Session,
    talk: Conversation,
    decoder: Decoder,
    dialect: Dialect,
}

#[derive(Default)]
struct Open {
    again: usize,
    dropped: Vec<Dropped>,
    shut: bool,
}

impl Gate for Open {
    fn allows(&mut self, _offer: &Offer) -> bool {
        !self.shut
    }
    fn dropped(&mut self, _offer: &Offer, why: Dropped) {
        self.dropped.push(why);
    }
    fn sent_again(&mut self, _offer: &Offer, attempt: u32) {
        assert!(attempt > 1);
        self.again += 1;
    }
}

impl Client {
    /// By AWS's window, and without its rates.
    fn new(version: Version, change: impl FnOnce(&mut Connect)) -> Self {
        let mut dialect = Dialect::aws();
        dialect.set_profile(dialect::QuotaProfile::Unlimited);
        dialect.set_quota("inflight-out", QuotaId::InflightOut.row().default).unwrap();
        Self::under(dialect, version, change)
    }

    fn under(dialect: Dialect, version: Version, change: impl FnOnce(&mut Connect)) -> Self {
        let mut connect = Connect {
            version,
            clean_start: false,
            keep_alive: 60,
            client_id: Text::from_static("c1"),
            user_name: None,
            password: None,
            will: None,
            properties: mqtt::ConnectProperties::default(),
        };
        connect.properties.session_expiry_interval = (version == Version::V5).then_some(1000);
        change(&mut connect);
        let terms = Terms::agree(&connect, &dialect, &mut Notes::new()).unwrap();
        let session = Session::new(version, terms.session_expiry, &dialect);
        let connack = terms.connack(false, None, &dialect);
        let talk = Conversation::begin(terms, connack, &dialect, NOW);
        let mut client = Self { session, talk, decoder: Decoder::for_client(version, u32::MAX), dialect };
        assert!(matches!(client.written(NOW)[..], [Packet::ConnAck(_)]));
        client
    }

    fn written(&mut self, now: Timestamp) -> Vec<Packet> {
        let mut out = BytesMut::new();
        while self.talk.write(&mut out, &mut Vec::new(), 10_000, now) {}
        let mut packets = Vec::new();
        while let Some(packet) = self.decoder.decode(&mut out).unwrap() {
            packets.push(packet);
        }
        assert!(out.is_empty());
        packets
    }

    fn publishes(&mut self, now: Timestamp) -> Vec<Publish> {
        let publish = |packet| match packet {
            Packet::Publish(publish) => *publish,
            other => panic!("{other:?}"),
        };
        self.written(now).into_iter().map(publish).collect()
    }

    fn deliver(&mut self, offer: Offer, now: Timestamp) -> Delivered {
        self.session.deliver(Some(&mut self.talk), &offer, now)
    }

    fn receive(&mut self, packet: Packet, now: Timestamp) -> Step {
        self.talk.receive(&mut self.session, packet, &self.dialect, now, &mut Notes::new())
    }

    fn ack(&mut self, packet_id: PacketId) -> Step {
        let ack = Ack {
            packet_id,
            code: ReasonCode::Success,
            reason_string: None,
            user_properties: UserProperties::default(),
        };
        self.receive(Packet::PubAck(ack), NOW)
    }
}

fn offer(payload: &str, qos: QoS) -> Offer {
    expiring(payload, qos, None)
}

fn expiring(payload: &str, qos: QoS, expires_at: Option<u64>) -> Offer {
    let message = Message {
        topic: TopicName::try_from("a/b").unwrap(),
        payload: Bytes::copy_from_slice(payload.as_bytes()),
        qos,
        retain: false,
        properties: Carried::default(),
        expires_at,
        published_by_v5: true,
    };
    Offer {
        parcel: Arc::new(Parcel::new(message)),
        qos,
        retain: false,
        share_name: None,
        place: None,
        group: None,
        identifiers: SmallVec::new(),
    }
}

fn publish(topic: &'static str, qos: QoS) -> Publish {
    let packet_id = (qos != QoS::AtMostOnce).then(|| PacketId::new(7).unwrap());
    Publish { topic: Text::from_static(topic), qos, packet_id, ..Publish::default() }
}

fn fault(step: Step) -> Option<Fault> {
    match step {
        Step::Violated(Violation { fault, .. }) => Some(fault),
        Step::Refused { violation, .. } => Some(violation.fault),
        _ => None,
    }
}

#[test]
fn the_window_closes_at_a_hundred_and_opens_with_an_acknowledgement() {
    let mut client = Client::new(Version::V311, |_| {});
    for n in 0..100 {
        assert_eq!(client.deliver(offer(&n.to_string(), QoS::AtLeastOnce), NOW), Delivered::Sent);
    }
    assert_eq!(client.deliver(offer("100", QoS::AtLeastOnce), NOW), Delivered::Queued);
    let sent = client.publishes(NOW);
    assert_eq!(sent.len(), 100);
    assert!(client.session.next_ready(&client.talk, NOW).is_none());
    assert!(matches!(client.ack(sent[3].packet_id.unwrap()), Step::Acknowledged));
    let next = client.session.next_ready(&client.talk, NOW).unwrap();
    assert_eq!(client.session.send_next(&mut client.talk, next, NOW), Delivered::Sent);
    assert_eq!(client.publishes(NOW)[0].payload, "100");
    assert!(matches!(client.ack(sent[3].packet_id.unwrap()), Step::Nothing), "acknowledged twice");
}

/// Without quotas the window is as wide as the client's, but what is on its way is bounded by its bytes.
#[test]
fn a_wide_window_is_bounded_by_bytes() {
    let mut dialect = Dialect::aws();
    dialect.set_profile(dialect::QuotaProfile::Unlimited);
    let most = dialect.limits().outbox_bytes;
    let sent_of = |bytes: usize, window: u16| {
        let narrow = |connect: &mut Connect| connect.properties.receive_maximum = Some(window);
        let mut client = Client::under(dialect.clone(), Version::V5, narrow);
        let payload = "x".repeat(bytes);
        let goes = |client: &mut Client| {
            let gone = client.deliver(offer(&payload, QoS::AtLeastOnce), NOW) == Delivered::Sent;
            client.written(NOW);
            gone
        };
        (0..10_000).take_while(|_| goes(&mut client)).count()
    };
    assert_eq!(sent_of(10, 3000), 3000);
    let large = sent_of(100_000, u16::MAX);
    assert!((most / 110_000..=most / 100_000).contains(&large), "{large}");
    let (widest, aws) = (dialect.limits().inflight_out, Dialect::aws().limits().inflight_out);
    assert_eq!((widest, aws), (u16::MAX, 100));
}

/// What the window lets go is not kept back because it is not written yet: a queue costs more than the outbox.
#[test]
fn a_wide_window_is_filled_before_anything_is_written() {
    let mut dialect = Dialect::aws();
    dialect.set_profile(dialect::QuotaProfile::Unlimited);
    let mut client =
        Client::under(dialect, Version::V5, |connect| connect.properties.receive_maximum = Some(3000));
    for n in 0..3000 {
        assert_eq!(client.deliver(offer(&n.to_string(), QoS::AtLeastOnce), NOW), Delivered::Sent, "{n}");
    }
    assert_eq!(client.deliver(offer("3000", QoS::AtLeastOnce), NOW), Delivered::Queued);
    assert!(!client.talk.is_congested(), "its acknowledgements are still read");
    assert_eq!(client.publishes(NOW).len(), 3000);
}

#[test]
fn a_smaller_receive_maximum_is_kept() {
    let mut client = Client::new(Version::V5, |connect| connect.properties.receive_maximum = Some(2));
    let outcomes: Vec<_> = (0..3).map(|_| client.deliver(offer("x", QoS::AtLeastOnce), NOW)).collect();
    assert_eq!(outcomes, [Delivered::Sent, Delivered::Sent, Delivered::Queued]);
}

#[test]
fn an_offline_session_keeps_qos1_and_only_if_it_is_persistent() {
    let mut session = Session::new(Version::V5, 1000, &Dialect::aws());
    assert_eq!(
        session.deliver(None, &offer("x", QoS::AtMostOnce), NOW),
        Delivered::Dropped(Dropped::Offline)
    );
    assert_eq!(session.deliver(None, &offer("x", QoS::AtLeastOnce), NOW), Delivered::Queued);
    let mut session = Session::new(Version::V5, 0, &Dialect::aws());
    assert_eq!(
        session.deliver(None, &offer("x", QoS::AtLeastOnce), NOW),
        Delivered::Dropped(Dropped::Offline)
    );
}

#[test]
fn an_offline_queue_is_bounded_and_keeps_the_old() {
    let mut dialect = Dialect::aws();
    dialect.limits_mut().session_queue_messages = 2;
    let mut session = Session::new(Version::V5, 1000, &dialect);
    let outcomes: Vec<_> =
        (0..3).map(|_| session.deliver(None, &offer("x", QoS::AtLeastOnce), NOW)).collect();
    assert_eq!(outcomes, [Delivered::Queued, Delivered::Queued, Delivered::Dropped(Dropped::QueueFull)]);
}

#[test]
fn a_client_that_does_not_read_loses_qos0_and_delays_qos1() {
    let mut client = Client::new(Version::V311, |_| {});
    let large = "x".repeat(100_000);
    let mut last = Delivered::Sent;
    for _ in 0..2000 {
        last = client.deliver(offer(&large, QoS::AtMostOnce), NOW);
        if last != Delivered::Sent {
            break;
        }
    }
    assert_eq!(last, Delivered::Dropped(Dropped::OutboxFull));
    assert_eq!(client.deliver(offer(&large, QoS::AtLeastOnce), NOW), Delivered::Queued);
    client.written(NOW);
    assert!(client.session.next_ready(&client.talk, NOW).is_some());
}

#[test]
fn a_message_larger_than_the_client_takes_is_dropped() {
    let mut client = Client::new(Version::V5, |connect| connect.properties.maximum_packet_size = Some(512));
    let too_large = Delivered::Dropped(Dropped::TooLargeForClient);
    assert_eq!(client.deliver(offer(&"x".repeat(512), QoS::AtLeastOnce), NOW), too_large);
    assert_eq!(client.deliver(offer(&"x".repeat(512), QoS::AtMostOnce), NOW), too_large);
    assert_eq!(client.deliver(offer("x", QoS::AtLeastOnce), NOW), Delivered::Sent);
}

#[test]
fn an_unacknowledged_message_goes_out_again_after_30_seconds_retry_while_connected() {
    let mut client = Client::new(Version::V5, |_| {});
    client.deliver(offer("x", QoS::AtLeastOnce), NOW);
    let first = client.publishes(NOW);
    let due = client.session.next_moment(&client.talk, &client.dialect);
    assert_eq!(due, NOW + Duration::from_secs(30));
    let mut gate = Open::default();
    client.session.retry(&mut client.talk, &client.dialect, &mut gate, due);
    let second = client.publishes(due);
    assert_eq!(first, second, "the same packet, dup-unsupported: DUP stays 0");
    assert_eq!(gate.again, 1);
}

/// What goes out again may have to wait, and the client answers what it has meanwhile.
#[test]
fn what_was_acknowledged_while_it_waited_to_go_out_again_does_not() {
    let mut client = Client::new(Version::V5, |_| {});
    for payload in ["x", "y"] {
        client.deliver(offer(payload, QoS::AtLeastOnce), NOW);
    }
    let [first, second] = &client.publishes(NOW)[..] else { panic!("two") };
    let due = NOW + Duration::from_secs(30);
    client.session.retry(&mut client.talk, &client.dialect, &mut Open::default(), due);
    assert!(matches!(client.ack(first.packet_id.unwrap()), Step::Acknowledged));
    assert_eq!(client.publishes(due), std::slice::from_ref(second));
    assert!(client.talk.outbox.is_empty());
}

#[test]
fn retries_end_after_the_window_retry_gives_up() {
    for (version, window) in [(Version::V5, 960), (Version::V311, 3600)] {
        let mut client = Client::new(version, |_| {});
        client.deliver(offer("x", QoS::AtLeastOnce), NOW);
        let mut gate = Open::default();
        let before = NOW + Duration::from_secs(window - 1);
        client.session.retry(&mut client.talk, &client.dialect, &mut gate, before);
        assert_eq!(client.session.in_flight(), 1);
        let after = NOW + Duration::from_secs(window);
        client.session.retry(&mut client.talk, &client.dialect, &mut gate, after);
        assert_eq!(gate.dropped, [Dropped::RetryWindow]);
        assert_eq!(client.session.in_flight(), 0);
    }
}

#[test]
fn what_may_not_be_received_any_more_is_not_sent_again() {
    let mut client = Client::new(Version::V5, |_| {});
    client.deliver(offer("x", QoS::AtLeastOnce), NOW);
    client.written(NOW);
    let mut gate = Open { shut: true, ..Open::default() };
    client.session.resend_all(&mut client.talk, &client.dialect, &mut gate, NOW);
    assert!(client.written(NOW).is_empty());
    assert_eq!(client.session.in_flight(), 0);
}

#[test]
fn expiry_counts_down_and_ends_a_message_message_expiry_clamp_expiry_zero_out() {
    let mut client = Client::new(Version::V5, |_| {});
    let end = NOW + Duration::from_millis(2500);
    client.deliver(expiring("x", QoS::AtMostOnce, Some(end.millis())), NOW);
    client.deliver(expiring("y", QoS::AtMostOnce, Some(end.millis())), NOW);
    let mut out = BytesMut::new();
    assert!(client.talk.write(&mut out, &mut Vec::new(), 1, NOW));
    assert!(client.talk.write(&mut out, &mut Vec::new(), 1, NOW + Duration::from_millis(1600)));
    let mut expiries = Vec::new();
    while let Some(Packet::Publish(publish)) = client.decoder.decode(&mut out).unwrap() {
        expiries.push(publish.message_expiry_interval);
    }
    assert_eq!(expiries, [Some(2), Some(0)]);
    assert_eq!(
        client.deliver(expiring("z", QoS::AtMostOnce, Some(end.millis())), end),
        Delivered::Dropped(Dropped::Expired)
    );
}

#[test]
fn expiry_concerns_v3_clients_by_a_switch_expiry_crosses_versions() {
    let offer = || expiring("x", QoS::AtLeastOnce, Some(NOW.millis() - 1));
    let mut session = Session::new(Version::V311, 1000, &Dialect::aws());
    assert_eq!(session.deliver(None, &offer(), NOW), Delivered::Dropped(Dropped::Expired));
    let mut session = Session::new(Version::V311, 1000, &Dialect::oasis());
    assert_eq!(session.deliver(None, &offer(), NOW), Delivered::Queued);
    let parcel = expiring("x", QoS::AtMostOnce, Some(NOW.millis() + 900)).parcel;
    assert_eq!(parcel.remaining_expiry(NOW, true), Some(0));
    assert_eq!(parcel.remaining_expiry(NOW, false), Some(1));
}

#[test]
fn topics_of_a_publish_topic_limits() {
    let long: &'static str = Box::leak("x".repeat(257).into_boxed_str());
    let mut client = Client::new(Version::V5, |_| {});
    for (topic, expected) in [
        ("a/1/2/3/4/5/6/7", None),
        ("a/1/2/3/4/5/6/7/8", Some(Fault::TopicInvalid)),
        (long, Some(Fault::TopicInvalid)),
        ("$aws/rules/r/1/2/3/4/5/6/7/8", None),
        ("$mine/x", Some(Fault::ReservedTopicPublish)),
        ("$share/g/x", Some(Fault::ReservedTopicPublish)),
    ] {
        let step = client.receive(Packet::Publish(Box::new(publish(topic, QoS::AtLeastOnce))), NOW);
        assert_eq!(fault(step), expected, "{topic}");
    }
}

#[test]
fn payloads_end_at_128_kib_payload_cap() {
    for (bytes, expected) in [(131_072, None), (131_073, Some(Fault::PayloadTooLarge))] {
        let mut client = Client::new(Version::V311, |_| {});
        let publish = Publish { payload: vec![0; bytes].into(), ..publish("a", QoS::AtMostOnce) };
        assert_eq!(fault(client.receive(Packet::Publish(Box::new(publish)), NOW)), expected);
    }
}

#[test]
fn qos_2_does_not_exist_no_qos2() {
    let mut client = Client::new(Version::V5, |_| {});
    let step = client.receive(Packet::Publish(Box::new(publish("a", QoS::ExactlyOnce))), NOW);
    assert_eq!(fault(step), Some(Fault::Qos2Publish));
}

#[test]
fn aliases_end_at_eight_topic_alias_8() {
    let mut client = Client::new(Version::V5, |_| {});
    let mut with = |topic, alias| {
        let publish = Publish { topic_alias: Some(alias), ..publish(topic, QoS::AtMostOnce) };
        client.receive(Packet::Publish(Box::new(publish)), NOW)
    };
    assert_eq!(fault(with("a/b", 8)), None);
    match with("", 8) {
        Step::Publish(inbound) => assert_eq!(inbound.message.topic.as_str(), "a/b"),
        other => panic!("{other:?}"),
    }
    assert_eq!(fault(with("", 7)), Some(Fault::ProtocolError));
    assert_eq!(fault(with("a", 9)), Some(Fault::TopicAliasInvalid));
}

#[test]
fn what_is_refused_is_told_of_by_the_topic_of_its_alias() {
    let mut client = Client::new(Version::V5, |_| {});
    let pace = Arc::new(crate::throttle::AccountPace::new(dialect::Rate::per_second(1)));
    client.talk.share(&pace, &pace);
    let mut with = |topic| {
        let publish = Publish { topic_alias: Some(1), ..publish(topic, QoS::AtMostOnce) };
        client.receive(Packet::Publish(Box::new(publish)), NOW)
    };
    assert_eq!(fault(with("a/b")), None);
    match with("") {
        Step::Refused { topic, .. } => assert_eq!(topic.as_str(), "a/b"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn eight_filters_and_no_identifier_subscribe_8_no_subscription_identifier() {
    let subscribe = |count: usize, subscription_identifier| {
        let request = SubscribeRequest::new(Text::from_static("a"), QoS::AtMostOnce);
        Packet::Subscribe(Subscribe {
            packet_id: PacketId::new(1).unwrap(),
            subscription_identifier,
            user_properties: UserProperties::default(),
            filters: std::iter::repeat_n(request, count).collect(),
        })
    };
    let mut client = Client::new(Version::V5, |_| {});
    let refused = |step| match step {
        Step::Subscribe(asked) => asked.filters.iter().filter(|(_, outcome)| outcome.is_err()).count(),
        other => panic!("{other:?}"),
    };
    assert_eq!(refused(client.receive(subscribe(8, None), NOW)), 0);
    assert_eq!(refused(client.receive(subscribe(9, None), NOW)), 9);
    assert_eq!(fault(client.receive(subscribe(1, Some(1)), NOW)), Some(Fault::SubscriptionIdentifier));
}

#[test]
fn silence_ends_after_one_and_a_half_intervals() {
    let mut client = Client::new(Version::V311, |connect| connect.keep_alive = 40);
    assert_eq!(client.talk.silent_until(), NOW + Duration::from_secs(60));
    let later = NOW + Duration::from_secs(50);
    client.receive(Packet::PingReq, later);
    assert_eq!(client.written(later), [Packet::PingResp]);
    assert_eq!(client.talk.silent_until(), later + Duration::from_secs(60));
}

#[test]
fn a_session_that_was_to_end_may_not_be_prolonged() {
    let disconnect = |expiry| {
        let mut disconnect = mqtt::Disconnect::new(ReasonCode::Success);
        disconnect.session_expiry_interval = expiry;
        Packet::Disconnect(disconnect)
    };
    let mut client = Client::new(Version::V5, |connect| connect.properties.session_expiry_interval = None);
    assert_eq!(fault(client.receive(disconnect(Some(10)), NOW)), Some(Fault::SessionExpiryRaised));
    let mut client = Client::new(Version::V5, |_| {});
    assert!(matches!(client.receive(disconnect(Some(0)), NOW), Step::Goodbye { with_will: false }));
    assert_eq!(client.session.expiry, 0);
}

#[test]
fn a_second_connect_is_an_error() {
    let mut client = Client::new(Version::V5, |_| {});
    let again = Connect {
        version: Version::V5,
        clean_start: true,
        keep_alive: 0,
        client_id: Text::from_static("c1"),
        user_name: None,
        password: None,
        will: None,
        properties: mqtt::ConnectProperties::default(),
    };
    assert_eq!(fault(client.receive(Packet::Connect(Box::new(again)), NOW)), Some(Fault::SecondConnect));
}

#[test]
fn a_v5_client_hears_why_it_is_closed_and_a_v3_client_does_not() {
    let mut client = Client::new(Version::V5, |_| {});
    client.talk.close(Fault::TakenOver, "trace", &Dialect::aws());
    match &client.written(NOW)[..] {
        [Packet::Disconnect(last)] => {
            assert_eq!(last.code, ReasonCode::SessionTakenOver);
            assert!(last.reason_string.as_ref().unwrap().ends_with(":trace"));
        }
        other => panic!("{other:?}"),
    }
    let mut client = Client::new(Version::V311, |_| {});
    client.talk.close(Fault::TakenOver, "trace", &Dialect::aws());
    assert!(client.written(NOW).is_empty());
}

#[test]
fn a_narrower_window_is_kept_when_everything_is_sent_again() {
    let mut client = Client::new(Version::V5, |_| {});
    for n in 0..100 {
        client.deliver(offer(&n.to_string(), QoS::AtLeastOnce), NOW);
    }
    let mut narrow = Client::new(Version::V5, |connect| {
        connect.properties.receive_maximum = Some(2);
        connect.properties.maximum_packet_size = Some(512);
    });
    narrow.session = client.session;
    let mut gate = Open::default();
    let mut seen = Vec::new();
    narrow.session.resend_all(&mut narrow.talk, &narrow.dialect, &mut gate, NOW);
    for _ in 0..200 {
        let sent = narrow.publishes(NOW);
        assert!(sent.len() <= 2, "receive maximum");
        for publish in sent {
            seen.push(publish.payload.clone());
            narrow.ack(publish.packet_id.unwrap());
        }
        narrow.session.resend_parked(&mut narrow.talk, &narrow.dialect, &mut gate, NOW);
    }
    let expected: Vec<_> = (0..100).map(|n| Bytes::from(n.to_string())).collect();
    assert_eq!(seen, expected, "in their order");
}

#[test]
fn time_away_does_not_count_for_the_retry_window_retry_gives_up() {
    let mut client = Client::new(Version::V5, |_| {});
    client.deliver(offer("x", QoS::AtLeastOnce), NOW);
    let back = NOW + Duration::from_secs(2000);
    client.session.resend_all(&mut client.talk, &client.dialect, &mut Open::default(), back);
    let mut gate = Open::default();
    client.session.retry(&mut client.talk, &client.dialect, &mut gate, back + Duration::from_secs(30));
    assert!(gate.dropped.is_empty());
    assert_eq!(gate.again, 1);
}

#[test]
fn topics_that_come_often_come_by_alias_outbound_topic_aliases() {
    let mut dialect = Dialect::aws();
    dialect.set(Divergence::OutboundTopicAliases, true);
    let mut client = Client::new(Version::V5, |_| {});
    let mut terms = client.talk.terms().clone();
    terms.topic_aliases = 4;
    let connack = terms.connack(false, None, &dialect);
    client.talk = Conversation::begin(terms, connack, &dialect, NOW);
    client.written(NOW);
    for _ in 0..3 {
        client.deliver(offer("x", QoS::AtLeastOnce), NOW);
    }
    let sent: Vec<_> = client.publishes(NOW).iter().map(|p| (p.topic.to_string(), p.topic_alias)).collect();
    assert_eq!(sent, [("a/b".to_owned(), Some(1)), (String::new(), Some(1)), (String::new(), Some(1))]);
    let plain = Client::new(Version::V5, |connect| connect.properties.topic_alias_maximum = Some(4));
    assert_eq!(plain.talk.terms().topic_aliases, 0, "off by default");
}

#[test]
fn some_packets_may_not_count_as_signs_of_life_keepalive_reset_list() {
    let unsubscribe = || {
        Packet::Unsubscribe(mqtt::Unsubscribe {
            packet_id: PacketId::new(3).unwrap(),
            filters: std::iter::once(Text::from_static("a")).collect(),
            user_properties: UserProperties::default(),
        })
    };
    let later = NOW + Duration::from_secs(10);
    for (on, counts) in [(false, true), (true, false)] {
        let mut client = Client::new(Version::V5, |_| {});
        client.dialect.set(Divergence::KeepaliveResetList, on);
        let before = client.talk.silent_until();
        client.receive(unsubscribe(), later);
        assert_eq!(client.talk.silent_until() > before, counts);
        client.receive(Packet::PingReq, later);
        assert!(client.talk.silent_until() > before);
    }
}

#[test]
fn properties_weigh_too() {
    let mut heavy = offer("", QoS::AtMostOnce);
    let mut message = heavy.parcel.message.clone();
    message.properties.correlation_data = Some(vec![0; 5000].into());
    heavy.parcel = Arc::new(Parcel::new(message));
    assert!(heavy.parcel.weight() > 5000);
}

#[test]
fn a_connack_that_was_not_written_is_still_the_first_word() {
    let mut client = Client::new(Version::V5, |_| {});
    let terms = client.talk.terms().clone();
    let connack = terms.connack(false, None, &client.dialect);
    client.talk = Conversation::begin(terms, connack, &client.dialect, NOW);
    client.talk.close(Fault::TakenOver, "trace", &client.dialect);
    assert!(matches!(client.written(NOW)[..], [Packet::ConnAck(_), Packet::Disconnect(_)]));
}

#[test]
fn what_expired_in_the_outbox_is_not_sent() {
    let mut client = Client::new(Version::V5, |_| {});
    client.deliver(expiring("x", QoS::AtMostOnce, Some(NOW.millis() + 1000)), NOW);
    let (mut out, mut expired) = (BytesMut::new(), Vec::new());
    while client.talk.write(&mut out, &mut expired, 10_000, NOW + Duration::from_secs(5)) {}
    // Somebody has to be told: it counts as sent.
    assert_eq!((out.len(), expired.len()), (0, 1));
}

#[test]
fn only_normal_disconnection_takes_the_will_back() {
    for (code, with_will) in [(ReasonCode::Success, false), (ReasonCode::UnspecifiedError, true)] {
        let mut client = Client::new(Version::V5, |_| {});
        let step = client.receive(Packet::Disconnect(mqtt::Disconnect::new(code)), NOW);
        assert!(matches!(step, Step::Goodbye { with_will: will } if will == with_will));
    }
}

/// A journal as simple as can be.
#[derive(Default)]
struct Journal(std::collections::BTreeMap<u64, String>);

impl Journal {
    fn append(&mut self, session: &mut Session, payload: &str) {
        let number = self.0.len() as u64 + 1;
        self.0.insert(number, payload.to_owned());
        session.arrived(number);
    }

    fn fill(&self, session: &mut Session) {
        while let Some(reading) = session.next_read() {
            let records = self.0.range(reading.part.after + 1..).take(PAGE);
            let page: Vec<_> = records
                .map(|(number, payload)| {
                    let place = Some(Place { number: *number, is_backlog: reading.is_backlog });
                    (*number, Some(Offer { place, ..offer(payload, QoS::AtLeastOnce) }))
                })
                .collect();
            assert!(session.take_page(reading, page));
        }
    }
}

#[test]
fn the_backlog_is_replayed_at_ten_a_second_beside_live_messages_replay_rate() {
    let mut client = Client::new(Version::V5, |_| {});
    client.session = Session::journaled(Version::V5, 1000, &client.dialect);
    let mut journal = Journal::default();
    for n in 0..200 {
        assert_eq!(
            client.session.deliver(None, &offer(&n.to_string(), QoS::AtLeastOnce), NOW),
            Delivered::Enqueue
        );
        journal.append(&mut client.session, &n.to_string());
    }
    assert_eq!(client.session.queued(), 200);
    client.session.attach();
    let mut sent = Vec::new();
    for tenth in 0..100 {
        let now = NOW + Duration::from_millis(tenth * 100);
        if tenth == 10 {
            assert_eq!(client.deliver(offer("live", QoS::AtLeastOnce), now), Delivered::Enqueue);
            journal.append(&mut client.session, "live");
        }
        journal.fill(&mut client.session);
        while let Some(next) = client.session.next_ready(&client.talk, now) {
            assert_eq!(client.session.send_next(&mut client.talk, next, now), Delivered::Sent);
        }
        for publish in client.publishes(now) {
            client.ack(publish.packet_id.unwrap());
            sent.push(String::from_utf8(publish.payload.to_vec()).unwrap());
        }
    }
    assert_eq!(sent.len(), 101, "ten a second and the live one");
    assert_eq!(sent.iter().position(|payload| payload == "live"), Some(10));
    assert!(client.session.queue.len() + client.session.backlog.len() <= PAGE, "memory holds a page");
    client.session.detach();
    client.session.attach();
    journal.fill(&mut client.session);
    let next = client.session.next_ready(&client.talk, NOW + Duration::from_secs(60)).unwrap();
    assert_eq!(next.parcel.message.payload, "100", "what was read and not sent is read again");
}

/// [MQTT-4.6.0-6] Without a pace for stored messages nothing that comes later overtakes them.
#[test]
fn the_backlog_goes_first_where_it_has_no_pace() {
    let mut client = Client::new(Version::V5, |_| {});
    client.dialect = Dialect::oasis();
    client.session = Session::journaled(Version::V5, 1000, &client.dialect);
    let mut journal = Journal::default();
    for n in 0..3 {
        let kept = client.session.deliver(None, &offer(&n.to_string(), QoS::AtLeastOnce), NOW);
        assert_eq!(kept, Delivered::Enqueue);
        journal.append(&mut client.session, &n.to_string());
    }
    client.session.attach();
    assert_eq!(client.deliver(offer("live", QoS::AtLeastOnce), NOW), Delivered::Enqueue);
    journal.append(&mut client.session, "live");
    let mut sent = Vec::new();
    for _ in 0..5 {
        journal.fill(&mut client.session);
        while let Some(next) = client.session.next_ready(&client.talk, NOW) {
            sent.push(String::from_utf8(next.parcel.message.payload.to_vec()).unwrap());
            assert_eq!(client.session.send_next(&mut client.talk, next, NOW), Delivered::Sent);
        }
    }
    assert_eq!(sent, ["0", "1", "2", "live"]);
}

/// Of an account that lets so many messages a second out, somebody else takes the one that was there for this client.
#[test]
fn what_another_client_was_faster_for_is_the_next_one_again() {
    for (is_backlog, is_gone) in [(false, false), (false, true), (true, false), (true, true)] {
        let mut client = Client::new(Version::V5, |_| {});
        client.session = Session::journaled(Version::V5, 1000, &client.dialect);
        client.session.replay_pause = Duration::from_millis(1);
        let account = Arc::new(AccountPace::new(Rate::per_second(10)));
        client.talk.share(&Arc::new(AccountPace::new(Rate::UNLIMITED)), &account);
        let mut journal = Journal::default();
        for payload in ["5", "6", "7"] {
            client.session.deliver(None, &offer(payload, QoS::AtLeastOnce), NOW);
            journal.append(&mut client.session, payload);
        }
        if is_backlog {
            client.session.attach();
        }
        journal.fill(&mut client.session);
        let bytes = client.session.queue_bytes;
        let next = client.session.next_ready(&client.talk, NOW).unwrap();
        while account.take(NOW) {}
        assert_eq!(client.session.send_next(&mut client.talk, next, NOW), Delivered::Queued);
        assert_eq!((client.session.queue_bytes, client.session.queued()), (bytes, 3));
        assert!(client.session.next_ready(&client.talk, NOW).is_none(), "nothing overtakes it");
        if is_gone {
            client.session.detach();
            client.session.attach();
        }
        let mut sent = Vec::new();
        for second in 1..5 {
            let now = NOW + Duration::from_secs(second);
            journal.fill(&mut client.session);
            while let Some(next) = client.session.next_ready(&client.talk, now) {
                assert_eq!(client.session.send_next(&mut client.talk, next, now), Delivered::Sent);
            }
            sent.extend(client.publishes(now));
        }
        let sent: Vec<_> = sent.iter().map(|publish| &publish.payload[..]).collect();
        assert_eq!(sent, [b"5", b"6", b"7"], "backlog {is_backlog}, gone {is_gone}");
    }
}

#[test]
fn what_did_not_get_into_the_journal_does_not_wait() {
    let mut client = Client::new(Version::V5, |_| {});
    client.session = Session::journaled(Version::V5, 1000, &client.dialect);
    assert_eq!(client.session.deliver(None, &offer("lost", QoS::AtLeastOnce), NOW), Delivered::Enqueue);
    assert_eq!(client.session.queued(), 1);
    let weight = offer("lost", QoS::AtLeastOnce).parcel.weight();
    client.session.missed(weight);
    assert_eq!((client.session.queued(), client.session.unread_bytes), (0, 0));
    // Nor does it fill the queue beside one that waits.
    let first = offer("waits", QoS::AtLeastOnce);
    assert_eq!(client.session.deliver(None, &first, NOW), Delivered::Enqueue);
    for _ in 0..3 {
        assert_eq!(client.session.deliver(None, &offer("lost", QoS::AtLeastOnce), NOW), Delivered::Enqueue);
        client.session.missed(weight);
    }
    assert_eq!((client.session.queued(), client.session.unread_bytes), (1, first.parcel.weight()));
}

#[derive(Clone, Debug)]
enum Act {
    Offer(QoS),
    Direct(QoS),
    Ack(usize),
    Pump,
    Write,
    Retry(u64),
    Reconnect,
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        4 => Just(Act::Offer(QoS::AtLeastOnce)),
        1 => Just(Act::Offer(QoS::AtMostOnce)),
        1 => Just(Act::Direct(QoS::AtLeastOnce)),
        1 => Just(Act::Direct(QoS::AtMostOnce)),
        4 => (0usize..4).prop_map(Act::Ack),
        2 => Just(Act::Pump),
        2 => Just(Act::Write),
        1 => (0u64..40).prop_map(Act::Retry),
        1 => Just(Act::Reconnect),
    ]
}

proptest! {
    /// Every QoS 1 message that was taken is delivered until it is acknowledged, in at most a window of identifiers. A
    /// direct message goes out once or not at all.
    #[test]
    fn nothing_taken_is_lost(acts in proptest::collection::vec(act(), 1..120)) {
        let mut client = Client::new(Version::V5, |connect| connect.properties.receive_maximum = Some(3));
        let (mut taken, mut seen, mut open, mut now) = (Vec::new(), Vec::new(), Vec::<PacketId>::new(), NOW);
        let mut note = |packets: Vec<Packet>, open: &mut Vec<PacketId>| {
            for packet in packets {
                if let Packet::Publish(publish) = packet && let Some(id) = publish.packet_id {
                    seen.push(publish.payload.clone());
                    if !open.contains(&id) {
                        open.push(id);
                    }
                }
            }
        };
        for (n, act) in acts.into_iter().enumerate() {
            match act {
                Act::Offer(qos) => {
                    let name = n.to_string();
                    if client.deliver(offer(&name, qos), now) != Delivered::Dropped(Dropped::OutboxFull)
                        && qos == QoS::AtLeastOnce
                    {
                        taken.push(name);
                    }
                }
                Act::Direct(qos) => {
                    let name = format!("direct {n}");
                    let _sent = client.session.send_direct(&mut client.talk, offer(&name, qos), now);
                }
                Act::Ack(at) if at < open.len() => {
                    client.ack(open.remove(at));
                }
                Act::Ack(_) => {}
                Act::Pump => {
                    while let Some(next) = client.session.next_ready(&client.talk, now) {
                        client.session.send_next(&mut client.talk, next, now);
                    }
                }
                Act::Write => note(client.written(now), &mut open),
                Act::Retry(seconds) => {
                    now = now + Duration::from_secs(seconds);
                    client.session.retry(&mut client.talk, &client.dialect, &mut Open::default(), now);
                }
                Act::Reconnect => {
                    let mut fresh = Client::new(Version::V5, |c| c.properties.receive_maximum = Some(3));
                    fresh.session = client.session;
                    fresh.session.detach();
                    open.clear();
                    client = fresh;
                    client.session.resend_all(&mut client.talk, &client.dialect, &mut Open::default(), now);
                }
            }
            prop_assert!(client.session.in_flight() <= 3);
        }
        for _ in 0..200 {
            note(client.written(now), &mut open);
            open.drain(..).for_each(|id| { client.ack(id); });
            while let Some(next) = client.session.next_ready(&client.talk, NOW) {
                client.session.send_next(&mut client.talk, next, now);
            }
        }
        prop_assert_eq!(client.session.in_flight() + client.session.queued(), 0);
        let direct: Vec<_> = seen.iter().filter(|payload| payload.starts_with(b"direct")).collect();
        let once: std::collections::BTreeSet<_> = direct.iter().collect();
        prop_assert_eq!(direct.len(), once.len(), "a direct message was sent again");
        for name in taken {
            prop_assert!(seen.iter().any(|payload| payload == name.as_bytes()), "{name} was lost");
        }
    }
}

#[test]
fn a_direct_message_is_sent_now_or_not_at_all() {
    let mut client = Client::new(Version::V5, |connect| {
        connect.properties.receive_maximum = Some(1);
        connect.properties.maximum_packet_size = Some(512);
    });
    let mut send =
        |payload: &str, qos| client.session.send_direct(&mut client.talk, offer(payload, qos), NOW);
    let first = send("1", QoS::AtLeastOnce).unwrap().unwrap();
    assert_eq!(send("2", QoS::AtLeastOnce), Err(Unsent::WindowFull));
    assert_eq!(send(&"x".repeat(600), QoS::AtMostOnce), Err(Unsent::TooLarge));
    assert_eq!(send("3", QoS::AtMostOnce), Ok(None));
    assert!(client.session.awaits(first));
    client.session.detach();
    assert!(!client.session.awaits(first));
    assert_eq!((client.session.in_flight(), client.session.queued()), (0, 0));
}

#[test]
fn what_waits_in_the_journal_is_bounded_by_bytes_too() {
    let mut dialect = Dialect::aws();
    let weight = offer("x", QoS::AtLeastOnce).parcel.weight();
    dialect.limits_mut().session_queue_bytes = 2 * weight;
    let mut session = Session::journaled(Version::V5, 60, &dialect);
    for expected in [Delivered::Enqueue, Delivered::Enqueue, Delivered::Dropped(Dropped::QueueFull)] {
        assert_eq!(session.deliver(None, &offer("x", QoS::AtLeastOnce), NOW), expected);
    }
    session.arrived(2);
    session.attach();
    let reading = session.next_read().unwrap();
    let page = (1..=2).map(|number| {
        let place = Some(Place { number, is_backlog: true });
        (number, Some(Offer { place, ..offer("x", QoS::AtLeastOnce) }))
    });
    assert!(session.take_page(reading, page.collect()));
    assert_eq!(session.deliver(None, &offer("x", QoS::AtLeastOnce), NOW), Delivered::Enqueue);
    session.detach();
    assert_eq!(
        session.deliver(None, &offer("x", QoS::AtLeastOnce), NOW),
        Delivered::Dropped(Dropped::QueueFull)
    );
}
