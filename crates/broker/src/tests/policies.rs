//! What policies refuse, and how it looks on the wire.
//!
//! Source: developer guide, *MQTT* (reason codes); measured: 3.1.1 clients are closed without a word.

use dialect::Divergence;
use mqtt::{Packet, QoS, ReasonCode, Version};

use super::house::{House, connect, publish, subscribe, will};
use crate::Flow;

const DEVICE: &str = r#"{"Version":"2012-10-17","Statement":[
    {"Effect":"Allow","Action":"iot:Connect","Resource":"arn:aws:iot:eu-west-1:123456789012:client/dev"},
    {"Effect":"Allow","Action":["iot:Publish","iot:Receive"],"Resource":"arn:aws:iot:eu-west-1:123456789012:topic/ok/*"},
    {"Effect":"Allow","Action":"iot:Subscribe","Resource":"arn:aws:iot:eu-west-1:123456789012:topicfilter/*"}]}"#;

fn code(packet: &Packet) -> ReasonCode {
    match packet {
        Packet::ConnAck(packet) => packet.code,
        Packet::PubAck(packet) => packet.code,
        Packet::Disconnect(packet) => packet.code,
        Packet::SubAck(packet) => packet.codes[0],
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_connect_without_permission_no_connack_on_deny_v3() {
    let house = House::new();
    let id = house.device("dev", DEVICE);
    let refused = house.try_connect(House::credential(&id), connect("other", Version::V5)).err().unwrap();
    match *refused.packet.unwrap() {
        Packet::ConnAck(connack) => {
            assert_eq!(connack.code, ReasonCode::NotAuthorized);
            let reason = connack.properties.reason_string.unwrap();
            assert!(reason.starts_with("CONNACK:Client is not authenticated/authorized"), "{reason:?}");
        }
        other => panic!("{other:?}"),
    }
    let refused = house.try_connect(House::credential(&id), connect("other", Version::V311)).err().unwrap();
    assert!(refused.packet.is_none());
    assert!(house.heard("client/other"), "{:?}", house.events());
}

#[test]
fn a_will_needs_permission_to_publish() {
    let house = House::new();
    let id = house.device("dev", DEVICE);
    let mut asked = connect("dev", Version::V5);
    asked.will = will("elsewhere", "x");
    assert!(house.try_connect(House::credential(&id), asked).is_err());
    let mut asked = connect("dev", Version::V5);
    asked.will = will("ok/will", "x");
    assert!(house.try_connect(House::credential(&id), asked).is_ok());
}

#[test]
fn a_denied_publish_disconnect_on_deny_v3() {
    for (version, qos, answer, flow) in [
        (Version::V5, QoS::AtLeastOnce, Some(ReasonCode::NotAuthorized), Flow::Continue),
        (Version::V5, QoS::AtMostOnce, Some(ReasonCode::NotAuthorized), Flow::Close),
        (Version::V311, QoS::AtLeastOnce, None, Flow::Close),
        (Version::V311, QoS::AtMostOnce, None, Flow::Close),
    ] {
        let house = House::new();
        let id = house.device("dev", DEVICE);
        let mut client = house.try_connect(House::credential(&id), connect("dev", version)).unwrap();
        client.connack();
        assert_eq!(client.publish("no/permission", "x", qos), flow);
        let answers = client.take();
        assert_eq!(answers.first().map(code), answer, "{version:?} {qos:?}");
        assert_eq!(client.closed, flow == Flow::Close);
        assert!(house.heard("publish.denied"));
    }
}

#[test]
fn retain_needs_its_own_permission() {
    let house = House::new();
    let id = house.device("dev", DEVICE);
    let mut client = house.try_connect(House::credential(&id), connect("dev", Version::V5)).unwrap();
    client.connack();
    client.send([publish("ok/a", "x", QoS::AtLeastOnce, true)]);
    assert_eq!(client.take().first().map(code), Some(ReasonCode::NotAuthorized));
    assert!(house.broker.retained("ok/a", house.now()).is_none());
}

#[test]
fn a_denied_subscription_disconnect_on_deny_v3() {
    let narrow = DEVICE.replace("topicfilter/*", "topicfilter/ok/*");
    for (version, answer) in [(Version::V5, Some(ReasonCode::NotAuthorized)), (Version::V311, None)] {
        let house = House::new();
        let id = house.device("dev", &narrow);
        let mut client = house.try_connect(House::credential(&id), connect("dev", version)).unwrap();
        client.connack();
        client.send([subscribe(&[("elsewhere/#", QoS::AtMostOnce)])]);
        assert_eq!(client.take().first().map(code), answer);
        assert_eq!(client.closed, version == Version::V311);
    }
}

/// The goodbye may come in the same read as what costs the connection, or later.
#[test]
fn who_is_thrown_out_before_the_goodbye_is_read_has_a_will() {
    let narrow = DEVICE.replace("topicfilter/*", "topicfilter/ok/*");
    let costs = [
        (Version::V311, subscribe(&[("elsewhere/#", QoS::AtMostOnce)]), 1),
        (Version::V311, publish("no/permission", "x", QoS::AtLeastOnce, false), 1),
        (Version::V5, publish("no/permission", "x", QoS::AtMostOnce, false), 1),
        // Its SUBACK says it all, and the connection goes on.
        (Version::V5, subscribe(&[("elsewhere/#", QoS::AtMostOnce)]), 0),
    ];
    for (version, packet, wills) in costs {
        let house = House::new();
        let id = house.device("dev", &narrow);
        let mut watcher = house.client("watcher", Version::V5);
        watcher.subscribe("ok/will", QoS::AtMostOnce);
        let mut asked = connect("dev", version);
        asked.will = will("ok/will", "gone");
        let mut client = house.try_connect(House::credential(&id), asked).unwrap();
        client.connack();
        let goodbye = Packet::Disconnect(mqtt::Disconnect::new(ReasonCode::Success));
        assert_eq!(client.send([packet.clone(), goodbye]), Flow::Close);
        assert_eq!(watcher.payloads().len(), wills, "{version:?} {packet:?}");
        // Who speaks version 5 hears why.
        let told = client.take().last().map(code);
        let why = (wills == 1 && version == Version::V5).then_some(ReasonCode::NotAuthorized);
        assert_eq!(told, why, "{version:?} {packet:?}");
    }
}

#[test]
fn what_may_not_be_received_is_silently_dropped() {
    let house = House::new();
    let id = house.device("dev", DEVICE);
    let mut client = house.try_connect(House::credential(&id), connect("dev", Version::V5)).unwrap();
    client.connack();
    client.subscribe("#", QoS::AtLeastOnce);
    let mut sender = house.client("sender", Version::V5);
    sender.publish("secret/a", "x", QoS::AtLeastOnce);
    assert!(matches!(&sender.take()[..], [Packet::PubAck(ack)] if ack.code == ReasonCode::Success));
    sender.publish("ok/a", "y", QoS::AtLeastOnce);
    assert_eq!(client.payloads(), ["y"]);
    assert!(house.heard("delivery.denied"));
}

#[test]
fn a_client_without_id_gets_one_that_nobody_can_choose() {
    let house = House::new();
    let mut client = house.try_connect(House::anybody(), connect("", Version::V5)).unwrap();
    let assigned = client.connack().properties.assigned_client_identifier.unwrap();
    assert!(assigned.starts_with("$GEN/"), "{assigned:?}");
}

#[test]
fn some_filters_denied_close_a_v3_client_by_a_switch_subscribe_some_denied_v3() {
    let narrow = DEVICE.replace("topicfilter/*", "topicfilter/ok/*");
    for (on, answers) in [(true, 0), (false, 1)] {
        let house = House::with(|dialect| dialect.set(Divergence::SubscribeSomeDeniedV3, on));
        let id = house.device("dev", &narrow);
        let mut client = house.try_connect(House::credential(&id), connect("dev", Version::V311)).unwrap();
        client.connack();
        client.send([subscribe(&[("ok/a", QoS::AtMostOnce), ("no/a", QoS::AtMostOnce)])]);
        let packets = client.take();
        assert_eq!(packets.len(), answers);
        assert_eq!(client.closed, on);
        if let [Packet::SubAck(suback)] = &packets[..] {
            assert_eq!(suback.codes.iter().map(|code| *code as u8).collect::<Vec<_>>(), [0, 0x80]);
        }
    }
}

#[test]
fn a_receiver_without_permission_is_closed_by_a_switch_receive_denied_closes() {
    let house = House::with(|dialect| dialect.set(Divergence::ReceiveDeniedCloses, true));
    let id = house.device("dev", DEVICE);
    let mut client = house.try_connect(House::credential(&id), connect("dev", Version::V5)).unwrap();
    client.connack();
    client.subscribe("#", QoS::AtLeastOnce);
    house.client("sender", Version::V5).publish("secret/a", "x", QoS::AtMostOnce);
    assert!(
        matches!(&client.take()[..], [Packet::Disconnect(last)] if last.code == ReasonCode::NotAuthorized)
    );
}

#[test]
fn a_policy_that_cannot_be_read_lets_nobody_in() {
    let house = House::new();
    let wide = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"iot:*","Resource":"*"}]}"#;
    let id = house.device("dev", wide);
    house.try_connect(House::credential(&id), connect("dev", Version::V5)).unwrap();
    house.set_policy("damaged", r#"{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Acti"#);
    house.attach("damaged", &format!("arn:aws:iot:eu-west-1:123456789012:cert/{id}"));
    assert!(house.try_connect(House::credential(&id), connect("dev", Version::V5)).is_err());
    assert!(house.heard("damaged"), "{:?}", house.events());
}
