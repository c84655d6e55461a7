//! What clients see of each other.

use mqtt::{Connect, Packet, QoS, ReasonCode, Version};

use super::house::{House, connect, publish, subscribe, will};
use crate::Flow;

const QOS0: QoS = QoS::AtMostOnce;
const QOS1: QoS = QoS::AtLeastOnce;

fn codes(packets: &[Packet]) -> Vec<u8> {
    match packets {
        [Packet::SubAck(suback)] => suback.codes.iter().map(|code| *code as u8).collect(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_message_goes_from_one_version_to_the_other() {
    let house = House::new();
    let mut old = house.client("old", Version::V311);
    let mut new = house.client("new", Version::V5);
    assert_eq!(codes(&old.subscribe("a/+", QOS1)), [1]);
    assert_eq!(codes(&new.subscribe("a/b", QOS0)), [0]);
    new.publish("a/b", "hello", QOS1);
    assert!(
        matches!(&new.take()[..], [Packet::Publish(_), Packet::PubAck(ack)] if ack.code == ReasonCode::Success)
    );
    let got = old.messages();
    assert_eq!((&got[0].payload[..], got[0].qos), (&b"hello"[..], QOS1));
}

#[test]
fn the_hash_does_not_match_its_parent_hash_excludes_parent() {
    let house = House::new();
    let mut client = house.client("c", Version::V5);
    client.subscribe("a/#", QOS0);
    client.publish("a", "parent", QOS0);
    client.publish("a/", "child", QOS0);
    assert_eq!(client.payloads(), ["child"]);
    let oasis = House::with(|dialect| *dialect = dialect::Dialect::oasis());
    let mut client = oasis.client("c", Version::V5);
    client.subscribe("a/#", QOS0);
    client.publish("a", "parent", QOS0);
    assert_eq!(client.payloads(), ["parent"]);
}

#[test]
fn a_takeover_ends_the_old_connection_and_publishes_its_will_takeover_will() {
    let house = House::new();
    let mut watcher = house.client("watcher", Version::V5);
    watcher.subscribe("wills/#", QOS0);
    let mut old = house.client_with("twin", Version::V5, |connect| connect.will = will("wills/twin", "gone"));
    let mut new = house.client("twin", Version::V5);
    match &old.take()[..] {
        [Packet::Disconnect(last)] => assert_eq!(last.code, ReasonCode::SessionTakenOver),
        other => panic!("{other:?}"),
    }
    assert!(old.closed);
    assert_eq!(old.publish("a", "x", QOS0), Flow::Close);
    assert_eq!(watcher.payloads(), ["gone"]);
    old.cut();
    new.publish("wills/x", "new is alive", QOS0);
    assert_eq!(watcher.payloads(), ["new is alive"]);
    assert!(house.heard("DUPLICATE_CLIENTID") || house.heard("connected again"), "{:?}", house.events());
}

#[test]
fn of_two_connects_the_later_one_has_the_seat_however_long_either_is_decided() {
    let house = House::new();
    let ask = |clean_start| Connect { clean_start, ..connect("twin", Version::V5) };
    let principal = House::anybody().principal;
    let turn = || house.broker.turn(&ask(false), &principal, &House::link(), house.now()).unwrap();
    let (older, newer) = (turn(), turn());
    let mut new = house.try_connect_in_turn(newer, House::anybody(), ask(false)).unwrap();
    new.connack();
    let refused = house.try_connect_in_turn(older, House::anybody(), ask(true)).err().expect("it came first");
    assert!(refused.packet.is_none(), "{refused:?}");
    assert!(house.heard("a newer CONNECT of this client id had the seat"), "{:?}", house.events());
    new.subscribe("a", QOS0);
    new.publish("a", "still here", QOS0);
    assert_eq!(new.payloads(), ["still here"]);
}

#[test]
fn what_expires_while_a_connect_is_decided_is_not_sent() {
    let house = House::new();
    let ask = || {
        let mut ask = Connect { clean_start: false, ..connect("slow", Version::V5) };
        ask.properties.session_expiry_interval = Some(3600);
        ask
    };
    let mut client = house.try_connect(House::anybody(), ask()).unwrap();
    client.connack();
    client.subscribe("a", QOS1);
    client.cut();
    let mut sender = house.client("sender", Version::V5);
    for (payload, seconds) in [("short", 60), ("long", 6000)] {
        let mut packet = publish("a", payload, QOS1, false);
        let Packet::Publish(message) = &mut packet else { panic!("{packet:?}") };
        message.message_expiry_interval = Some(seconds);
        sender.send([packet]);
    }
    let turn = house.broker.turn(&ask(), &House::anybody().principal, &House::link(), house.now()).unwrap();
    // The store takes ten minutes to say who it is: the clock is asked again after that.
    let asked = std::sync::atomic::AtomicBool::new(false);
    let clock = || {
        if asked.swap(true, std::sync::atomic::Ordering::Relaxed) {
            house.pass(600);
        }
        house.now()
    };
    let mut client = house.try_connect_by(&clock, turn, House::anybody(), ask()).unwrap();
    assert!(client.connack().session_present);
    assert_eq!(client.payloads(), ["long"]);
}

/// The clock has jumped, say, and the client is faster than the next look at what is due.
#[test]
fn what_was_due_when_a_client_comes_back_is_done_although_nobody_has_looked() {
    for (expiry, is_there) in [(10, false), (3600, true)] {
        let house = House::with(|dialect| *dialect = dialect::Dialect::oasis());
        let mut watcher = house.client("watcher", Version::V5);
        watcher.subscribe("gone", QOS0);
        let mut ask = Connect { clean_start: false, will: will("gone", "c"), ..connect("c", Version::V5) };
        ask.properties.session_expiry_interval = Some(expiry);
        ask.will.as_mut().unwrap().delay_interval = Some(5);
        let mut client = house.try_connect(House::anybody(), ask.clone()).unwrap();
        client.connack();
        client.cut();
        let later = house.now() + std::time::Duration::from_secs(100);
        let turn = house.broker.turn(&ask, &House::anybody().principal, &House::link(), house.now()).unwrap();
        let mut client = house.try_connect_by(&|| later, turn, House::anybody(), ask).unwrap();
        house.pass(100);
        assert_eq!(client.connack().session_present, is_there);
        assert_eq!(house.heard("session.expired"), !is_there, "{:?}", house.events());
        assert_eq!(watcher.payloads(), ["c"]);
    }
}

#[test]
fn a_will_is_sent_unless_the_client_says_goodbye() {
    for (end, expected) in
        [(None, 1), (Some(ReasonCode::Success), 0), (Some(ReasonCode::DisconnectWithWill), 1)]
    {
        let house = House::new();
        let mut watcher = house.client("watcher", Version::V5);
        watcher.subscribe("wills/#", QOS0);
        let mut client =
            house.client_with("c", Version::V5, |connect| connect.will = will("wills/c", "gone"));
        match end {
            None => client.cut(),
            Some(code) => client.goodbye(code),
        }
        assert_eq!(watcher.payloads().len(), expected, "{end:?}");
    }
}

#[test]
fn silence_ends_the_connection_and_a_v5_client_hears_it() {
    let house = House::new();
    let mut client = house.client("c", Version::V5);
    let deadline = client.next_deadline();
    assert_eq!(deadline, house.now() + std::time::Duration::from_secs(90));
    house.pass(90);
    assert_eq!(client.on_time(), Flow::Close);
    assert!(
        matches!(&client.take()[..], [Packet::Disconnect(last)] if last.code == ReasonCode::KeepAliveTimeout)
    );
}

#[test]
fn a_persistent_session_keeps_its_subscriptions_and_messages() {
    let house = House::new();
    let lasting = |id: &str| {
        house.client_with(id, Version::V5, |connect| {
            connect.clean_start = false;
            connect.properties.session_expiry_interval = Some(600);
        })
    };
    let mut device = lasting("device");
    device.subscribe("to/device", QOS1);
    let mut sender = house.client("sender", Version::V5);
    sender.publish("to/device", "unacknowledged", QOS1);
    let first = device.messages();
    device.cut();
    sender.publish("to/device", "offline", QOS1);
    sender.publish("to/device", "not kept", QOS0);

    let mut asked = super::house::connect("device", Version::V5);
    asked.clean_start = false;
    asked.properties.session_expiry_interval = Some(600);
    let mut device = house.try_connect(House::anybody(), asked).unwrap();
    let packets = device.take();
    match &packets[..] {
        [Packet::ConnAck(connack), Packet::Publish(again), Packet::Publish(kept)] => {
            assert!(connack.session_present);
            assert_eq!((again.packet_id, again.dup), (first[0].packet_id, false), "dup-unsupported");
            assert_eq!(&kept.payload[..], b"offline");
            device.ack(again.packet_id);
            device.ack(kept.packet_id);
        }
        other => panic!("{other:?}"),
    }
    device.cut();
    house.pass(601);
    let mut device = lasting("device");
    sender.publish("to/device", "too late", QOS1);
    assert!(device.payloads().is_empty(), "the session has expired");
    assert!(house.heard("session.expired"));
}

#[test]
fn versions_do_not_share_sessions_cross_version_no_resume() {
    let house = House::new();
    let mut old = house.client_with("c", Version::V311, |connect| connect.clean_start = false);
    old.subscribe("a", QOS1);
    old.cut();
    let mut asked = super::house::connect("c", Version::V5);
    asked.clean_start = false;
    let mut new = house.try_connect(House::anybody(), asked).unwrap();
    assert!(!new.connack().session_present);
    new.publish("a", "x", QOS1);
    assert!(new.messages().is_empty(), "the old session's subscription is gone");
}

#[test]
fn retained_messages_come_for_exact_filters_only_retained_exact_only() {
    let house = House::new();
    let mut client = house.client("c", Version::V5);
    client.send([publish("conf/a", "one", QOS1, true), publish("conf/b", "two", QOS1, true)]);
    client.take();
    let told = || house.events().iter().filter(|event| event.contains("retained-exact-only")).count();
    for again in [false, true] {
        let packets = client.subscribe("conf/+", QOS1);
        assert!(packets.iter().all(|packet| !matches!(packet, Packet::Publish(_))));
        assert_eq!(told(), 1, "a subscription that is not new brings nothing new to tell of: {again}");
    }
    let packets = client.subscribe("conf/a", QOS1);
    assert!(
        matches!(&packets[..], [Packet::SubAck(_), Packet::Publish(p)] if p.retain && &p.payload[..] == b"one")
    );
    client.send([publish("conf/a", "live", QOS0, true)]);
    assert!(client.messages().iter().all(|message| !message.retain), "live messages carry RETAIN 0");
    client.send([publish("conf/a", "", QOS0, true)]);
    assert_eq!(client.messages().len(), 1, "the empty message is delivered");
    assert!(house.broker.retained("conf/a", house.now()).is_none());
    assert_eq!(house.broker.retained_page(None, 10, house.now()).len(), 1);
}

#[test]
fn fifty_subscriptions_for_a_connection_subscribe_8() {
    let house = House::new();
    let mut client = house.client("c", Version::V5);
    for n in 0..50 {
        assert_eq!(codes(&client.subscribe(&format!("t/{n}"), QOS0)), [0]);
    }
    assert_eq!(codes(&client.subscribe("t/50", QOS0)), [0x97]);
    assert_eq!(codes(&client.subscribe("t/49", QOS1)), [1], "a known filter is no new subscription");
    assert_eq!(client.publish("t/50", "x", QOS0), Flow::Continue);
    assert!(client.messages().is_empty());
}

#[test]
fn an_unacknowledged_message_comes_again_retry_while_connected() {
    let house = House::new();
    let mut client = house.client("c", Version::V5);
    client.subscribe("a", QOS1);
    client.publish("a", "x", QOS1);
    let first = client.messages();
    assert_eq!(client.next_deadline(), house.now() + std::time::Duration::from_secs(30));
    house.pass(30);
    assert_eq!(client.on_time(), Flow::Continue);
    let again = client.messages();
    assert_eq!(first, again);
    client.ack(again[0].packet_id);
    house.pass(30);
    client.on_time();
    assert!(client.messages().is_empty());
    assert!(house.heard("delivery.repeated"));
}

#[test]
fn a_shared_group_gets_each_message_once_shared_sub_in_v3() {
    let house = House::new();
    let mut members: Vec<_> = (0..3).map(|n| house.client(&format!("m{n}"), Version::V311)).collect();
    for member in &mut members {
        assert_eq!(codes(&member.subscribe("$share/g/jobs/#", QOS1)), [1]);
    }
    let mut sender = house.client("sender", Version::V5);
    for _ in 0..60 {
        sender.publish("jobs/x", "job", QOS0);
    }
    let shares: Vec<usize> = members.iter_mut().map(|member| member.messages().len()).collect();
    assert_eq!(shares.iter().sum::<usize>(), 60);
    assert!(shares.iter().all(|share| *share > 5), "{shares:?}");
    members[0].cut();
    for _ in 0..20 {
        sender.publish("jobs/x", "job", QOS0);
    }
    assert_eq!(members[1].messages().len() + members[2].messages().len(), 20, "only members who are there");
}

#[test]
fn a_subscriber_that_stops_reading_costs_a_bounded_outbox() {
    let house = House::new();
    let mut slow = house.client("slow", Version::V5);
    slow.subscribe("flood", QOS0);
    let mut sender = house.client("sender", Version::V5);
    for _ in 0..20_000 {
        sender.publish("flood", "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx", QOS0);
    }
    assert!(slow.messages().len() < 5_000);
    assert!(house.heard("delivery.dropped"));
}

#[test]
fn unsubscribing_ends_deliveries_and_unknown_filters_are_no_error_unsuback_codes() {
    let house = House::new();
    let mut client = house.client("c", Version::V5);
    client.subscribe("a/#", QOS0);
    let unsubscribe = mqtt::Unsubscribe {
        packet_id: mqtt::PacketId::new(3).unwrap(),
        filters: ["a/#", "never/was"].iter().map(|f| mqtt::Text::try_from(*f).unwrap()).collect(),
        user_properties: mqtt::UserProperties::default(),
    };
    client.send([Packet::Unsubscribe(unsubscribe)]);
    assert!(
        matches!(&client.take()[..], [Packet::UnsubAck(ack)] if ack.codes.iter().all(|code| *code as u8 == 0))
    );
    client.publish("a/b", "x", QOS0);
    assert!(client.messages().is_empty());
}

#[test]
fn shutting_down_tells_v5_clients_so() {
    let house = House::new();
    let mut new = house.client("new", Version::V5);
    let mut old = house.client("old", Version::V311);
    house.broker.shutdown(house.now());
    assert!(
        matches!(&new.take()[..], [Packet::Disconnect(last)] if last.code == ReasonCode::ServerShuttingDown)
    );
    assert!(old.take().is_empty() && old.closed);
    assert_eq!(house.broker.connections(), 0);
}

#[test]
fn filters_of_one_subscribe_are_answered_in_order() {
    let house = House::new();
    let mut client = house.client("c", Version::V5);
    client.send([subscribe(&[("a", QOS1), ("b/#/c", QOS1), ("$mine/x", QOS0), ("d", QOS0)])]);
    assert_eq!(codes(&client.take()), [1, 0x8F, 0x8F, 0]);
}

#[test]
fn a_publish_to_a_topic_without_a_service_says_so() {
    let house = House::new();
    let mut client = house.client("c", Version::V5);
    client.publish("$aws/rules/nothing/a", "x", QOS1);
    assert!(matches!(&client.take()[..], [Packet::PubAck(_)]));
    assert!(house.heard("publish.unserved"), "{:?}", house.events());
}

#[test]
fn a_dropped_connection_counts_as_lost() {
    let house = House::new();
    let mut watcher = house.client("watcher", Version::V5);
    watcher.subscribe("wills/#", QOS0);
    drop(house.client_with("c", Version::V5, |connect| connect.will = will("wills/c", "gone")));
    assert_eq!(watcher.payloads(), ["gone"]);
}

#[test]
fn clients_and_sessions_are_limited_together() {
    let house = House::with(|dialect| dialect.limits_mut().connections = 2);
    let one = house.client("one", Version::V5);
    let mut two = house.client("two", Version::V5);
    let refused =
        house.try_connect(House::anybody(), super::house::connect("three", Version::V5)).err().unwrap();
    assert!(
        matches!(*refused.packet.unwrap(), Packet::ConnAck(ack) if ack.code == ReasonCode::QuotaExceeded)
    );
    house.client("one", Version::V5);
    drop(one);
    two.goodbye(ReasonCode::Success);
    house.client("three", Version::V5);
}

#[test]
fn subscriptions_of_the_account_are_limited() {
    let house = House::with(|dialect| dialect.limits_mut().subscriptions = 1);
    let mut one = house.client("one", Version::V5);
    let mut two = house.client("two", Version::V5);
    assert_eq!(codes(&one.subscribe("a", QOS0)), [0]);
    assert_eq!(codes(&two.subscribe("a", QOS0)), [0x97]);
    one.goodbye(ReasonCode::Success);
    assert_eq!(codes(&two.subscribe("a", QOS0)), [0]);
}

#[test]
fn a_message_that_found_no_room_goes_out_when_there_is_room() {
    let house = House::new();
    let mut slow = house.client("slow", Version::V5);
    slow.subscribe("flood", QOS0);
    slow.subscribe("important", QOS1);
    let mut sender = house.client("sender", Version::V5);
    for _ in 0..2000 {
        sender.publish("flood", "x", QOS0);
    }
    sender.publish("important", "y", QOS1);
    assert!(
        slow.payloads().contains(&"y".to_owned()),
        "nobody but the write itself knows that there is room"
    );
}

#[test]
fn acknowledgements_keep_the_order_of_the_publishes() {
    let house = House::new();
    let mut client = house.client("c", Version::V5);
    let numbered = |topic: &'static str, id: u16| match publish(topic, "x", QOS1, false) {
        Packet::Publish(mut packet) => {
            packet.packet_id = mqtt::PacketId::new(id);
            Packet::Publish(packet)
        }
        other => other,
    };
    client.send([numbered("a", 1), numbered("a/1/2/3/4/5/6/7/8", 2), numbered("a", 3)]);
    let ids: Vec<u16> = client
        .take()
        .iter()
        .map(|packet| match packet {
            Packet::PubAck(ack) => ack.packet_id.get(),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(ids, [1, 2, 3]);
}

#[test]
fn wills_that_end_clients_whose_wills_end_clients_do_not_pile_up() {
    let house = House::with(|dialect| dialect.set(dialect::Divergence::ReceiveDeniedCloses, true));
    let policy = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["iot:Connect","iot:Publish","iot:Subscribe"],"Resource":"*"}]}"#;
    let id = house.device("chain", policy);
    let mut clients = Vec::new();
    for n in 0..2000 {
        let mut asked = super::house::connect(&format!("c{n}"), Version::V5);
        asked.will = will(&format!("w/{}", n + 1), "next");
        let mut client = house.try_connect(House::credential(&id), asked).unwrap();
        client.subscribe(&format!("w/{n}"), QOS0);
        clients.push(client);
    }
    house.client("first", Version::V5).publish("w/0", "go", QOS0);
    assert_eq!(house.broker.connections(), 0, "one after the other, all are gone");
}

#[test]
fn a_client_that_comes_and_goes_leaves_one_moment_behind() {
    let house = House::new();
    for _ in 0..100 {
        house
            .client_with("c", Version::V5, |connect| {
                connect.clean_start = false;
                connect.properties.session_expiry_interval = Some(600);
            })
            .cut();
    }
    assert_eq!(house.broker.0.expiry.len(), 1);
    house.pass(601);
    assert!(house.heard("session.expired"));
}

#[test]
fn expired_retained_messages_do_not_hold_the_place_of_others() {
    let house = House::with(|dialect| dialect.limits_mut().retained_messages = 1);
    let mut client = house.client("c", Version::V5);
    let brief = match publish("brief", "x", QOS1, true) {
        Packet::Publish(mut packet) => {
            packet.message_expiry_interval = Some(1);
            Packet::Publish(packet)
        }
        other => other,
    };
    client.send([brief]);
    client.send([publish("later", "x", QOS1, true)]);
    assert!(house.broker.retained("later", house.now()).is_none(), "full");
    house.pass(60);
    client.send([publish("later", "x", QOS1, true)]);
    assert!(house.broker.retained("later", house.now()).is_some());
}
