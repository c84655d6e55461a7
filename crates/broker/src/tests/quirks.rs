//! Quirks on demand: each as a client sees it, and that the same seed brings the same.

use dialect::Dialect;
use mqtt::{Packet, PacketId, Publish, QoS, Text, Version};
use quirks::{Quirk, Rule, Rules};
use store::block_on;

use super::house::{Client, House};
use crate::Flow;

const QOS0: QoS = QoS::AtMostOnce;
const QOS1: QoS = QoS::AtLeastOnce;

/// Provokes a quirk for the client `odd`.
fn provoke(house: &House, quirk: Quirk, probability: f64, seed: u64, up_to_seconds: Option<f64>) {
    let (row, client) = (quirk.id().to_owned(), "odd".to_owned());
    let rule = Rule { row, client, probability, seed, up_to_seconds };
    house.broker.quirks().replace(Rules::new(vec![rule]).unwrap());
}

fn numbered(number: u16) -> Packet {
    Packet::Publish(Box::new(Publish {
        qos: QOS1,
        topic: Text::from_static("acks"),
        packet_id: PacketId::new(number),
        ..Publish::default()
    }))
}

fn burst(client: &mut Client) -> Vec<String> {
    for payload in ["1", "2", "3", "4", "5", "6", "7", "8"] {
        client.publish("t", payload, QOS0);
    }
    client.payloads()
}

#[test]
fn qos0_messages_come_twice_qos0_duplicates() {
    let house = House::new();
    provoke(&house, Quirk::Qos0Duplicates, 1.0, 0, None);
    let (mut odd, mut even) = (house.client("odd", Version::V5), house.client("even", Version::V5));
    odd.subscribe("t", QOS0);
    even.subscribe("t", QOS0);
    even.publish("t", "x", QOS0);
    assert_eq!(odd.payloads(), ["x", "x"]);
    assert_eq!(even.payloads(), ["x"]);
    assert!(house.heard("got a message twice (qos0-duplicates"));
}

#[test]
fn the_same_seed_brings_the_same_sequence_unordered_delivery() {
    let run = |seed| {
        let house = House::new();
        provoke(&house, Quirk::UnorderedDelivery, 0.4, seed, None);
        let mut odd = house.client("odd", Version::V5);
        odd.subscribe("t", QOS0);
        burst(&mut odd)
    };
    let first = run(7);
    assert_eq!(first, run(7));
    assert_ne!(first, ["1", "2", "3", "4", "5", "6", "7", "8"]);
    assert_ne!(first, run(8));
    let mut sorted = first;
    sorted.sort();
    assert_eq!(sorted, ["1", "2", "3", "4", "5", "6", "7", "8"], "nothing is lost");
}

#[test]
fn acknowledgements_overtake_each_other_unordered_delivery() {
    let house = House::new();
    provoke(&house, Quirk::UnorderedDelivery, 1.0, 0, None);
    let mut odd = house.client("odd", Version::V311);
    odd.send([numbered(1), numbered(2)]);
    let ids: Vec<u16> = odd
        .take()
        .into_iter()
        .map(|packet| match packet {
            Packet::PubAck(ack) => ack.packet_id.get(),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(ids, [2, 1]);
}

#[test]
fn what_comes_again_has_another_packet_identifier_redelivery_new_packet_id() {
    let house = House::new();
    provoke(&house, Quirk::RedeliveryNewPacketId, 1.0, 0, None);
    let mut odd = house.client("odd", Version::V5);
    odd.subscribe("t", QOS1);
    house.client("other", Version::V5).publish("t", "x", QOS1);
    let first = odd.messages().remove(0).packet_id;
    house.pass(31);
    odd.on_time();
    let again = odd.messages().remove(0).packet_id;
    assert_ne!(first, again);
    // The new one acknowledges it; the old one means nothing any more.
    odd.ack(first);
    odd.ack(again);
    house.pass(31);
    odd.on_time();
    assert!(odd.messages().is_empty());
}

#[test]
fn a_subscription_takes_effect_late_suback_before_active() {
    let house = House::new();
    provoke(&house, Quirk::SubackBeforeActive, 1.0, 0, Some(2.0));
    let mut odd = house.client("odd", Version::V5);
    assert!(matches!(&odd.subscribe("t", QOS0)[..], [Packet::SubAck(_)]));
    odd.publish("t", "early", QOS0);
    house.pass(2);
    odd.publish("t", "late", QOS0);
    assert_eq!(odd.payloads(), ["late"]);
}

#[test]
fn a_connection_has_a_life_connection_life() {
    let house = House::new();
    provoke(&house, Quirk::ConnectionLife, 1.0, 0, Some(100.0));
    let mut odd = house.client_with("odd", Version::V5, |connect| connect.keep_alive = 1200);
    let end = odd.next_deadline();
    assert!(end.since(house.now()).as_secs() >= 49);
    house.pass(100);
    assert_eq!(odd.on_time(), Flow::Close);
    assert!(matches!(&odd.take()[..], [Packet::Disconnect(last)] if last.code as u8 == 0x8B));
}

#[test]
fn publishes_are_discarded_rate_100_discard() {
    let house = House::new();
    provoke(&house, Quirk::Rate100Discard, 1.0, 0, None);
    let mut odd = house.client("odd", Version::V311);
    odd.subscribe("t", QOS0);
    assert_eq!(odd.publish("t", "x", QOS1), Flow::Continue);
    assert!(odd.take().is_empty());
    assert!(house.heard("rate-100-discard"));
}

#[test]
fn a_session_lasts_too_long_session_expiry_slack() {
    let house = House::new();
    provoke(&house, Quirk::SessionExpirySlack, 1.0, 0, Some(1000.0));
    let persistent = |connect: &mut mqtt::Connect| {
        connect.clean_start = false;
        connect.properties.session_expiry_interval = Some(10);
    };
    let mut odd = house.client_with("odd", Version::V5, persistent);
    odd.cut();
    house.pass(10);
    assert!(!house.heard("session.expired"));
    house.pass(1001);
    assert!(house.heard("session.expired"));
}

#[test]
fn a_change_of_policies_comes_late_policy_propagation() {
    let house = House::new();
    let allowed =
        r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"iot:*","Resource":"*"}]}"#;
    let denied =
        r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"iot:Connect","Resource":"*"}]}"#;
    let device = house.device("odd", allowed);
    let connect = super::house::connect("odd", Version::V5);
    let mut odd = house.try_connect(House::credential(&device), connect).unwrap();
    odd.connack();
    provoke(&house, Quirk::PolicyPropagation, 1.0, 0, Some(60.0));
    super::feed::following(&house, |turn| {
        if turn == 0 {
            house.set_policy("odd", denied);
        }
    });
    assert_eq!(odd.publish("t", "x", QOS0), Flow::Continue);
    house.pass(60);
    block_on(house.broker.apply_late(house.now()));
    assert_eq!(odd.publish("t", "x", QOS0), Flow::Close);
}

#[test]
fn in_the_standard_dialect_a_provoked_quirk_is_told_all_the_same() {
    let house = House::with(|dialect| *dialect = Dialect::oasis());
    provoke(&house, Quirk::Qos0Duplicates, 1.0, 0, None);
    let mut odd = house.client("odd", Version::V5);
    odd.subscribe("t", QOS0);
    odd.publish("t", "x", QOS0);
    assert_eq!(odd.payloads(), ["x", "x"]);
    assert!(house.heard("qos0-duplicates"));
}
