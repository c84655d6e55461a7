//! Records that a start must not serve, and what it makes no fault of.

use std::sync::Arc;

use dialect::Dialect;
use mqtt::{Packet, QoS, ReasonCode, Version};
use store::{Batch, Key, Space, Store, StoreError, block_on};

use super::house::{House, connect, subscribe, will};
use super::unwritten::Disk;

fn oasis(disk: &Disk) -> Arc<House> {
    House::on(Arc::new(disk.0.clone()), Some(disk.1.clone()), |dialect| *dialect = Dialect::oasis())
}

fn is_granted(answer: &[Packet]) -> bool {
    matches!(answer, [Packet::SubAck(ack)] if !ack.codes[0].is_failure())
}

/// What the disk has in a space: one record.
fn stored(disk: &Disk, space: Space) -> (Key, String) {
    let mut found = block_on(disk.0.scan(space, &[], None, 10)).unwrap();
    assert_eq!(found.len(), 1, "{space:?}");
    let entry = found.remove(0);
    (entry.key, String::from_utf8(entry.value.to_vec()).unwrap())
}

fn put(disk: &Disk, space: Space, key: &Key, text: &str) {
    let mut batch = Batch::new();
    batch.put(space, key.clone(), text.to_owned());
    block_on(disk.0.commit(batch)).unwrap();
}

/// A client with a session and a will was connected when the process died.
fn died() -> Disk {
    let disk = Disk::new();
    let house = disk.house();
    let mut asked = connect("c", Version::V311);
    (asked.clean_start, asked.will) = (false, will("gone", "c"));
    let mut client = house.try_connect(House::anybody(), asked).unwrap();
    client.connack();
    client.subscribe("a/+", QoS::AtLeastOnce);
    house.work();
    disk
}

/// Nothing of it is served, deleted or told: who starts the broker is told.
fn refused(disk: &Disk, space: Space, key: &Key, why: &str) {
    let before = block_on(disk.0.scan(space, &[], None, 10)).unwrap();
    let house = House::on(Arc::new(disk.0.clone()), Some(disk.1.clone()), |_| {});
    let refusal = house.drive(house.broker.recover(house.now())).unwrap_err();
    let named =
        matches!(&refusal, StoreError::Unreadable { space: s, key: k, .. } if *s == space && k == key);
    assert!(named, "{refusal}");
    let told = refusal.to_string();
    assert!(told.contains(why) && told.contains("restore a backup"), "{told}");
    assert_eq!(block_on(disk.0.scan(space, &[], None, 10)).unwrap(), before);
    assert!(!house.heard("will.published"));
}

#[test]
fn a_record_that_is_only_half_a_session_is_not_served() {
    for (from, to, why) in [
        ("a/+", "a+", "1 of its subscriptions"),
        ("\"qos\":1", "\"qos\":3", "1 of its subscriptions"),
        ("\"version\":4", "\"version\":6", "no version 6"),
        ("\"expiry\"", "\"expired\"", "missing field"),
    ] {
        let disk = died();
        let space = records::SESSIONS.space();
        let (key, text) = stored(&disk, space);
        assert!(text.contains(from), "{text}");
        put(&disk, space, &key, &text.replace(from, to));
        refused(&disk, space, &key, why);
    }
}

#[test]
fn a_record_that_is_only_half_a_will_is_not_forgotten() {
    let disk = died();
    let space = records::WILLS.space();
    let (key, text) = stored(&disk, space);
    let message = text.split("\"message\":\"").nth(1).unwrap().trim_end_matches("\"}").to_owned();
    let nobody = text.replace("{\"Plain\":\"tests\"}", "{\"Certificate\":\"tests\"}");
    let granted = text.replace("\"message\"", r#""grant":{"authorizer":"a","documents":["{"]},"message""#);
    for (text, why) in [
        (nobody, "it names nobody"),
        (text.replace(&message, "00"), "its message cannot be read"),
        (granted, "a policy of its grant cannot be read"),
        (text.replace("\"peer\"", "\"pear\""), "missing field"),
    ] {
        put(&disk, space, &key, &text);
        refused(&disk, space, &key, why);
    }
}

#[test]
fn a_record_of_nobody_is_not_skipped() {
    for space in [records::SESSIONS.space(), records::WILLS.space()] {
        let disk = died();
        let (key, text) = stored(&disk, space);
        let other = key.then("and more");
        put(&disk, space, &other, &text);
        refused(&disk, space, &other, "not a client id");
    }
}

/// The dialect and the quotas may change between two starts.
#[test]
fn what_a_client_may_not_do_any_more_is_no_damage() {
    let disk = Disk::new();
    let house = oasis(&disk);
    let deep = "a/".repeat(40);
    let filters = ["$SYS/#", "#", deep.as_str(), "$share/g/\u{1}\"\\"];
    let id = "$".repeat(300);
    let mut asked = connect(&id, Version::V5);
    asked.clean_start = false;
    asked.properties.session_expiry_interval = Some(u32::MAX);
    asked.will = will(&deep, "c").map(|mut will| {
        will.qos = QoS::ExactlyOnce;
        will.properties.content_type = Some("x".repeat(3000).as_str().try_into().unwrap());
        will.properties.response_topic = Some("$any".try_into().unwrap());
        will
    });
    let mut client = house.try_connect(House::anybody(), asked).unwrap();
    client.connack();
    for filter in filters {
        let answer = client.subscribe(filter, QoS::ExactlyOnce);
        assert!(is_granted(&answer), "{answer:?}");
    }
    house.work();
    drop(client);
    let next = House::on(Arc::new(disk.0.clone()), Some(disk.1.clone()), |dialect| {
        dialect.limits_mut().subscriptions_per_connection = 1;
    });
    assert_eq!(next.drive(next.broker.recover(next.now())).unwrap(), (1, 0));
    let known = next.broker.subscriptions(&id, None, 10, next.now()).unwrap();
    assert_eq!(known.len(), filters.len());
    next.work();
    assert!(next.heard("will."), "{:?}", next.events());
}

/// One record holds all subscriptions of a session: more than it has room for are refused, and nothing waits for ever.
#[test]
fn subscriptions_that_have_no_room_in_the_record_of_their_session_are_refused() {
    let disk = Disk::new();
    let house = oasis(&disk);
    let lasting = |connect: &mut mqtt::Connect| connect.properties.session_expiry_interval = Some(600);
    let mut client = house.client_with("c", Version::V5, lasting);
    let named = |number: usize| format!("{number}/{}", "x".repeat(900));
    let names: Vec<_> = (0..1200).map(named).collect();
    let packets = names.chunks(100).map(|names| {
        let filters: Vec<_> = names.iter().map(|name| (name.as_str(), QoS::AtLeastOnce)).collect();
        subscribe(&filters)
    });
    let packets: Vec<_> = packets.collect();
    let mut codes = Vec::new();
    for packet in &packets {
        client.send([packet.clone()]);
        match client.take().remove(0) {
            Packet::SubAck(ack) => codes.extend(ack.codes),
            other => panic!("{other:?}"),
        }
    }
    let granted = codes.iter().filter(|code| **code == ReasonCode::GrantedQos1).count();
    let over = codes.iter().filter(|code| **code == ReasonCode::QuotaExceeded).count();
    assert!(granted > 500 && granted + over == 1200, "{granted} granted, {over} refused");
    assert!(house.heard("all subscriptions of a session"), "{:?}", house.events().last());
    house.pass(1);
    house.work();
    assert_eq!(house.broker.waiting_writes().0, 0);
    // What is given up makes room, and what is known already may be asked for again.
    assert_eq!(client.subscribe(&named(0), QoS::AtMostOnce).len(), 1);
    client.send([Packet::Unsubscribe(mqtt::Unsubscribe {
        packet_id: mqtt::PacketId::new(6).unwrap(),
        user_properties: mqtt::UserProperties::default(),
        filters: [named(0), named(1)].iter().map(|filter| filter.as_str().try_into().unwrap()).collect(),
    })]);
    client.take();
    let answer = client.subscribe(&named(1199), QoS::AtLeastOnce);
    assert!(is_granted(&answer), "{answer:?}");
    // A session that ends with its connection has no record.
    let mut passing = house.client("passing", Version::V5);
    passing.send(packets);
    let granted = |packet: &Packet| matches!(packet, Packet::SubAck(ack) if ack.codes.iter().all(|code| !code.is_failure()));
    assert_eq!(passing.take().into_iter().filter(granted).count(), 12);
    let next = oasis(&disk);
    assert_eq!(next.drive(next.broker.recover(next.now())).unwrap(), (1, 0));
}
