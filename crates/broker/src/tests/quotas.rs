//! What is limited to so many in a second, and by number: the answers, and what is not lost.

use std::sync::Arc;

use dialect::{Dialect, Divergence, QuotaProfile, Rate};
use mqtt::{Packet, Publish, QoS, ReasonCode, Text, Unsubscribe, Version};

use super::house::{Client, House, connect, publish};
use crate::{Flow, HttpOrigin, PublishRefusal, PublishRequest, Refused};

const QOS0: QoS = QoS::AtMostOnce;
const QOS1: QoS = QoS::AtLeastOnce;

/// A house with AWS's quotas.
fn aws(change: impl FnOnce(&mut Dialect)) -> Arc<House> {
    House::with(|dialect| {
        dialect.set_profile(QuotaProfile::Aws);
        change(dialect);
    })
}

fn refusal(refused: Refused) -> Option<ReasonCode> {
    match refused.packet.map(|packet| *packet) {
        Some(Packet::ConnAck(ack)) => Some(ack.code),
        Some(other) => panic!("{other:?}"),
        None => None,
    }
}

fn burst(client: &mut Client, topic: &str, qos: QoS, count: usize) -> Flow {
    client.send((0..count).map(|_| publish(topic, "x", qos, false)))
}

fn pubacks(client: &mut Client) -> Vec<u8> {
    let code = |packet| match packet {
        Packet::PubAck(ack) => Some(ack.code as u8),
        _ => None,
    };
    client.take().into_iter().filter_map(code).collect()
}

fn subscribed(client: &mut Client, filter: &str) -> u8 {
    match &client.subscribe(filter, QOS1)[..] {
        [Packet::SubAck(ack)] => ack.codes[0] as u8,
        other => panic!("{other:?}"),
    }
}

fn unsubscribed(client: &mut Client, filter: &str) -> u8 {
    let filters = [Text::try_from(filter).unwrap()].into_iter().collect();
    let user_properties = mqtt::UserProperties::default();
    let packet_id = mqtt::PacketId::new(6).unwrap();
    client.send([Packet::Unsubscribe(Unsubscribe { packet_id, filters, user_properties })]);
    match &client.take()[..] {
        [Packet::UnsubAck(ack)] => ack.codes[0] as u8,
        other => panic!("{other:?}"),
    }
}

fn acknowledge_all(client: &mut Client) -> usize {
    let messages: Vec<Publish> = client.messages();
    messages.iter().for_each(|message| client.ack(message.packet_id));
    messages.len()
}

#[test]
fn a_client_id_connects_once_in_a_second() {
    let house = aws(|_| {});
    let mut first = house.client("c", Version::V5);
    for (version, code) in [(Version::V5, Some(ReasonCode::QuotaExceeded)), (Version::V311, None)] {
        let refused = house.try_connect(House::anybody(), connect("c", version)).err().unwrap();
        assert_eq!(refusal(refused), code);
    }
    assert!(!first.closed && first.take().is_empty(), "the one who was first stays");
    assert!(house.heard("connects-per-client-id (L-033DE216)"));
    house.client("other", Version::V311);
    house.pass_millis(1000);
    house.client("c", Version::V5);
}

#[test]
fn who_may_not_connect_does_not_keep_others_away() {
    let house = aws(|_| {});
    let stranger = house.device(
        "stranger",
        r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"iot:Nothing","Resource":"*"}]}"#,
    );
    for _ in 0..3 {
        let refused =
            house.try_connect(House::credential(&stranger), connect("c", Version::V5)).err().unwrap();
        assert_eq!(refusal(refused), Some(ReasonCode::NotAuthorized));
    }
    house.client("c", Version::V5);
}

#[test]
fn the_account_connects_so_often_in_a_second() {
    let house = aws(|dialect| dialect.limits_mut().connects_per_account = Rate::per_second(2));
    house.client("1", Version::V5);
    house.client("2", Version::V5);
    let refused = house.try_connect(House::anybody(), connect("3", Version::V5)).err().unwrap();
    assert_eq!(refusal(refused), Some(ReasonCode::QuotaExceeded));
    assert!(house.heard("connects-per-account (L-AEA1E176)"));
    house.pass_millis(500);
    house.client("3", Version::V5);
}

#[test]
fn publishes_beyond_a_hundred_in_a_second_are_discarded() {
    for version in [Version::V311, Version::V5] {
        let house = aws(|_| {});
        let mut reader = house.client("reader", Version::V5);
        reader.subscribe("t", QOS1);
        let mut client = house.client("c", version);
        assert_eq!(burst(&mut client, "t", QOS1, 130), Flow::Continue);
        let codes = pubacks(&mut client);
        let refused = if version == Version::V5 { 30 } else { 0 };
        assert_eq!(codes.len(), 100 + refused);
        assert_eq!(codes.iter().filter(|code| **code == 0x97).count(), refused);
        assert_eq!(acknowledge_all(&mut reader), 100);
        assert!(house.heard("throttle.exceeded: ") && house.heard("publishes-per-connection (L-083F3861)"));
        // QoS 0 is discarded in silence, and after a tenth of a second there is room for ten.
        assert_eq!(burst(&mut client, "t", QOS0, 5), Flow::Continue);
        assert!(client.take().is_empty());
        house.pass_millis(100);
        burst(&mut client, "t", QOS1, 50);
        assert_eq!(pubacks(&mut client).iter().filter(|code| **code == 0).count(), 10);
    }
}

#[test]
fn an_excess_publish_is_not_acknowledged_or_ends_the_connection_by_switches() {
    let house = aws(|dialect| dialect.set(Divergence::ThrottledPublishPuback, false));
    let mut client = house.client("c", Version::V5);
    burst(&mut client, "t", QOS1, 130);
    assert_eq!(pubacks(&mut client).len(), 100);
    let house = aws(|dialect| dialect.set(Divergence::ThrottledDisconnect, true));
    let mut client = house.client("c", Version::V5);
    assert_eq!(burst(&mut client, "t", QOS0, 130), Flow::Close);
    let ended = |packet: &Packet| matches!(packet, Packet::Disconnect(disconnect) if disconnect.code == ReasonCode::QuotaExceeded);
    assert!(client.take().iter().any(ended));
    assert!(house.heard("THROTTLED"));
}

#[test]
fn an_alias_is_learnt_even_with_a_message_that_is_discarded() {
    let house = aws(|_| {});
    let mut reader = house.client("reader", Version::V5);
    reader.subscribe("aliased", QOS0);
    let mut client = house.client("c", Version::V5);
    burst(&mut client, "t", QOS0, 100);
    let with_alias = |topic: &str| {
        let topic = Text::try_from(topic).unwrap();
        Packet::Publish(Box::new(Publish {
            topic,
            topic_alias: Some(1),
            payload: "x".into(),
            ..Publish::default()
        }))
    };
    client.send([with_alias("aliased")]);
    assert_eq!(reader.messages().len(), 0);
    house.pass(1);
    assert_eq!(client.send([with_alias("")]), Flow::Continue);
    assert_eq!(reader.messages().len(), 1);
}

#[test]
fn publishes_of_the_account_are_counted_together_with_those_over_http() {
    let house = aws(|dialect| dialect.limits_mut().publishes_in_per_account = Rate::per_second(3));
    let (mut one, mut two) = (house.client("one", Version::V5), house.client("two", Version::V5));
    burst(&mut one, "t", QOS1, 2);
    burst(&mut two, "t", QOS1, 2);
    assert_eq!((pubacks(&mut one), pubacks(&mut two)), (vec![0, 0], vec![0, 0x97]));
    let request = PublishRequest {
        topic: "t".into(),
        payload: "x".into(),
        qos: QOS1,
        retain: false,
        properties: mqtt::MessageProperties::default(),
        expiry: None,
        origin: HttpOrigin { credential: House::anybody(), peer: House::link().peer, server_name: None },
    };
    let refused = store::block_on(house.broker.publish(request, house.now())).unwrap_err();
    let text = "quota publishes-in-per-account (L-4B33E451): 3 per second";
    assert_eq!(refused, PublishRefusal::Throttled(text.into()));
}

/// `senders` publish a hundred messages each at one moment.
fn flood(house: &Arc<House>, topic: &str, qos: QoS, senders: usize) {
    for number in 0..senders {
        let mut sender = house.client(&format!("sender-{number}"), Version::V311);
        burst(&mut sender, topic, qos, 100);
    }
}

#[test]
fn deliveries_beyond_a_hundred_in_a_second_wait_with_qos_1_and_are_dropped_with_qos_0() {
    let house = aws(|dialect| dialect.limits_mut().inflight_out = 1000);
    let mut reader = house.client("reader", Version::V311);
    reader.subscribe("t1", QOS1);
    flood(&house, "t1", QOS1, 3);
    let mut got = acknowledge_all(&mut reader);
    assert_eq!(got, 100);
    for second in 1..=2 {
        let due = reader.next_deadline();
        assert!(
            due > house.now() && due.millis() - house.now().millis() <= 1000,
            "a message is due: {second}"
        );
        house.pass(1);
        reader.on_time();
        got += acknowledge_all(&mut reader);
    }
    assert_eq!(got, 300);
    let mut other = house.client("other", Version::V311);
    other.subscribe("t0", QOS0);
    house.pass(1);
    flood(&house, "t0", QOS0, 2);
    assert_eq!(other.messages().len(), 100);
    assert!(house.events().iter().filter(|event| event.starts_with("delivery.dropped")).count() >= 100);
}

#[test]
fn deliveries_of_the_account_have_a_rate() {
    let house = aws(|dialect| dialect.limits_mut().publishes_out_per_account = Rate::per_second(10));
    let (mut one, mut two) = (house.client("one", Version::V5), house.client("two", Version::V5));
    one.subscribe("t", QOS1);
    two.subscribe("t", QOS0);
    let mut sender = house.client("sender", Version::V5);
    burst(&mut sender, "t", QOS1, 20);
    let (first, dropped) = (acknowledge_all(&mut one), two.messages().len());
    assert_eq!(first + dropped, 10);
    let mut got = first;
    for _ in 0..3 {
        house.pass(1);
        one.on_time();
        got += acknowledge_all(&mut one);
    }
    assert_eq!(got, 20, "QoS 1 waits, QoS 0 is dropped");
}

#[test]
fn throughput_beyond_512_kib_in_a_second_is_delayed() {
    let house = aws(|_| {});
    let mut client = house.client("c", Version::V5);
    assert!(client.receives_bytes(524_288));
    assert!(!client.receives_bytes(262_144), "half a second's worth too much");
    let due = client.next_deadline();
    assert!((499..=501).contains(&(due.millis() - house.now().millis())));
    assert!(house.heard("throughput-per-connection"));
    house.pass_millis(400);
    client.on_time();
    assert!(!client.is_read());
    house.pass_millis(101);
    client.on_time();
    assert!(client.is_read());
}

#[test]
fn throughput_to_a_client_is_delayed_and_nothing_is_lost() {
    let house = aws(|_| {});
    let mut reader = house.client("reader", Version::V5);
    reader.subscribe("t", QOS1);
    let mut sender = house.client("sender", Version::V5);
    let large: &'static str = Box::leak("x".repeat(100_000).into_boxed_str());
    sender.send((0..10).map(|_| publish("t", large, QOS1, false)));
    let mut got = acknowledge_all(&mut reader);
    assert!((5..=7).contains(&got), "{got}");
    for _ in 0..20 {
        house.pass_millis(100);
        reader.on_time();
        got += acknowledge_all(&mut reader);
    }
    assert_eq!(got, 10);
}

#[test]
fn what_expires_while_its_link_is_delayed_is_told_of_as_dropped() {
    let house = aws(|_| {});
    let mut reader = house.client("reader", Version::V5);
    reader.subscribe("t", QOS0);
    let mut sender = house.client("sender", Version::V5);
    let large: &'static str = Box::leak("x".repeat(100_000).into_boxed_str());
    // More than a second's worth, and as much again that has to wait; the last of it for longer than it lives.
    sender.send((0..12).map(|_| publish("t", large, QOS0, false)));
    let mut got = reader.messages().len();
    let short = match publish("t", "short", QOS0, false) {
        Packet::Publish(publish) => Publish { message_expiry_interval: Some(1), ..*publish },
        other => panic!("{other:?}"),
    };
    sender.send([Packet::Publish(Box::new(short))]);
    assert!(!house.heard("expiry interval passed"), "{:?}", house.events());
    house.pass(2);
    reader.on_time();
    let messages = reader.messages();
    got += messages.len();
    assert!(messages.iter().all(|message| message.payload.len() == 100_000), "{got}");
    assert!(house.heard("expiry interval passed"), "{:?}", house.events());
}

#[test]
fn retaining_has_rates_for_each_topic_and_the_account() {
    let house = aws(|dialect| dialect.limits_mut().retained_per_account = Rate::per_second(3));
    let mut client = house.client("c", Version::V5);
    let mut retain = |topic: &str, payload: &'static str| {
        client.send([publish(topic, payload, QOS1, true)]);
        pubacks(&mut client)
    };
    assert_eq!(retain("a", "1"), [0]);
    assert_eq!(retain("a", "2"), [0x97]);
    assert_eq!((retain("b", "1"), retain("c", "1"), retain("d", "1")), (vec![0], vec![0], vec![0x97]));
    assert_eq!(&house.broker.retained("a", house.now()).unwrap().payload[..], b"1");
    assert!(house.broker.retained("d", house.now()).is_none());
    assert!(house.heard("L-771FD74A") && house.heard("L-BAFC6221"));
    house.pass(1);
    let mut old = house.client("old", Version::V311);
    old.send([publish("a", "3", QOS1, true), publish("a", "4", QOS1, true)]);
    assert_eq!(pubacks(&mut old).len(), 1);
    assert!(!old.closed);
}

#[test]
fn at_the_cap_of_retained_messages_deletions_and_replacements_pass() {
    let house = aws(|dialect| dialect.limits_mut().retained_messages = 1);
    let mut client = house.client("c", Version::V5);
    let mut retain = |topic: &str, payload: &'static str| {
        house.pass(1);
        client.send([publish(topic, payload, QOS1, true)]);
        pubacks(&mut client)
    };
    assert_eq!((retain("a", "1"), retain("b", "1"), retain("a", "2")), (vec![0], vec![0x97], vec![0]));
    assert!(house.heard("retained-messages (L-57BADEF0): 1"));
    assert_eq!((retain("a", ""), retain("b", "2")), (vec![0], vec![0]));
}

#[test]
fn the_account_subscribes_so_often_in_a_second() {
    let house = aws(|dialect| dialect.limits_mut().subscribes_per_account = Rate::per_second(2));
    let (mut new, mut old) = (house.client("new", Version::V5), house.client("old", Version::V311));
    assert_eq!((subscribed(&mut new, "a"), subscribed(&mut old, "a")), (1, 1));
    assert_eq!((subscribed(&mut new, "b"), subscribed(&mut old, "b")), (0x97, 0x80));
    house.pass(1);
    assert_eq!(subscribed(&mut new, "b"), 1);
}

#[test]
fn what_is_denied_counts_as_a_subscription_that_was_asked_for() {
    let house = aws(|dialect| dialect.limits_mut().subscribes_per_account = Rate::per_second(2));
    let mute = house.device(
        "mute",
        r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"iot:Connect","Resource":"*"}]}"#,
    );
    let mut mute = house.try_connect(House::credential(&mute), connect("mute", Version::V5)).unwrap();
    mute.connack();
    let codes: Vec<u8> = (0..20).map(|_| subscribed(&mut mute, "a")).collect();
    assert_eq!((&codes[..2], &codes[2..]), (&[0x87; 2][..], &[0x97; 18][..]));
    let denied = || house.events().iter().filter(|event| event.starts_with("subscribe.denied")).count();
    assert_eq!(denied(), 2, "{:?}", house.events());
    house.pass(1);
    assert_eq!((subscribed(&mut mute, "a"), denied()), (0x87, 3));
}

#[test]
fn what_is_unsubscribed_without_being_there_is_answered_and_not_told_of_for_ever() {
    let house = aws(|dialect| dialect.limits_mut().subscribes_per_account = Rate::per_second(2));
    let mut client = house.client("c", Version::V5);
    subscribed(&mut client, "a");
    let told = || house.events().iter().filter(|event| event.starts_with("unsubscribe.accepted")).count();
    assert!((0..20).all(|_| unsubscribed(&mut client, "b") == 0));
    assert_eq!(told(), 2);
    assert_eq!((unsubscribed(&mut client, "a"), told()), (0, 3), "what was there is told of");
    assert_eq!(subscribed(&mut client, "a"), 1, "it takes nothing from the rate of subscriptions");
}

#[test]
fn shared_groups_and_their_members_are_counted() {
    let house = aws(|dialect| {
        dialect.limits_mut().shared_groups = 2;
        dialect.limits_mut().shared_group_members = 2;
    });
    let [mut one, mut two, mut three] = ["1", "2", "3"].map(|id| house.client(id, Version::V5));
    assert_eq!((subscribed(&mut one, "$share/a/t/+"), subscribed(&mut one, "$share/b/t")), (1, 1));
    assert_eq!(subscribed(&mut one, "$share/c/t"), 0x97);
    assert_eq!((subscribed(&mut two, "$share/a/t/+"), subscribed(&mut three, "$share/a/t/+")), (1, 0x97));
    assert_eq!(subscribed(&mut two, "$share/a/t/+"), 1, "a member may subscribe again");
    assert_eq!(unsubscribed(&mut one, "$share/b/t"), 0);
    assert_eq!(subscribed(&mut one, "$share/c/t"), 1);
    two.goodbye(ReasonCode::Success);
    assert_eq!(subscribed(&mut three, "$share/a/t/+"), 1, "a session that ends makes room");
}

#[test]
fn requests_for_one_shared_group_have_a_rate() {
    let house = aws(|dialect| dialect.limits_mut().shared_group_requests = Rate::per_second(2));
    let (mut new, mut old) = (house.client("new", Version::V5), house.client("old", Version::V311));
    assert_eq!((subscribed(&mut new, "$share/g/t"), subscribed(&mut old, "$share/g/t")), (1, 1));
    assert_eq!((subscribed(&mut new, "$share/g/t"), unsubscribed(&mut new, "$share/g/t")), (0x97, 0x80));
    assert_eq!(subscribed(&mut new, "$share/h/t"), 1);
    house.pass(1);
    assert_eq!(unsubscribed(&mut new, "$share/g/t"), 0);
}

#[test]
fn the_account_queues_so_many_in_a_second() {
    let house = aws(|dialect| dialect.limits_mut().queued_per_account = Rate::per_second(5));
    let persistent = |c: &mut mqtt::Connect| c.clean_start = false;
    let mut reader = house.client_with("reader", Version::V311, persistent);
    reader.subscribe("t", QOS1);
    reader.cut();
    let mut sender = house.client("sender", Version::V5);
    burst(&mut sender, "t", QOS1, 8);
    assert_eq!(pubacks(&mut sender), [0; 8], "the publisher is not told");
    assert_eq!(house.events().iter().filter(|event| event.starts_with("delivery.queued")).count(), 5);
    assert_eq!(house.events().iter().filter(|event| event.starts_with("delivery.dropped")).count(), 3);
}

#[test]
fn nothing_is_limited_by_the_profile_unlimited() {
    let house = House::new();
    for _ in 0..20 {
        let mut client = house.client("c", Version::V5);
        burst(&mut client, "t", QOS1, 500);
        assert_eq!(pubacks(&mut client).iter().filter(|code| **code == 0).count(), 500);
        assert!(client.receives_bytes(100_000_000));
        client.cut();
    }
}

#[test]
fn a_client_with_a_hundred_unacknowledged_publishes_is_not_read() {
    let store = Arc::new(store::memory::MemoryStore::new());
    let journal = Arc::new(store::memory::MemoryJournal::new());
    let house = House::on(store, Some(journal), |_| {});
    let mut reader = house.client_with("reader", Version::V311, |connect| connect.clean_start = false);
    reader.subscribe("t", QOS1);
    reader.cut();
    let mut sender = house.client("sender", Version::V5);
    burst(&mut sender, "t", QOS1, 99);
    assert!(sender.is_read());
    burst(&mut sender, "t", QOS1, 1);
    assert!(!sender.is_read(), "nothing is on disk, so nothing is acknowledged");
    assert_eq!(pubacks(&mut sender).len(), 100);
    assert!(sender.is_read());
    // What was read before the window closed and does not fit is held against MQTT 5 clients, who know it.
    burst(&mut sender, "t", QOS1, 64);
    assert_eq!(burst(&mut sender, "t", QOS1, 64), Flow::Close);
    let told = house.events().into_iter().rfind(|event| event.starts_with("connection.ended"));
    assert!(told.is_some_and(|told| told.contains("more than 100 messages of QoS 1 wait for their PUBACK")));
}
