//! What costs a client its connection is counted under AWS's metric, once, whoever tells of it.

use std::sync::Arc;

use dialect::Metric;
use mqtt::{Malformed, MalformedFault, Packet, Publish, QoS, Text, Version};

use super::house::{Client, House, connect, publish, subscribe};
use crate::Flow;

const QOS0: QoS = QoS::AtMostOnce;
const PUBLISH: Metric = Metric::PublishInClientError;
const SUBSCRIBE: Metric = Metric::SubscribeClientError;

/// What is counted, of all but successes, when `act` costs a client its connection.
fn counted(version: Version, act: impl Fn(&mut Client) -> Flow) -> Vec<(Metric, usize)> {
    let house = House::new();
    let mut client = house.client("c", version);
    assert_eq!(act(&mut client), Flow::Close, "{:#?}", house.events());
    failures(&house)
}

fn failures(house: &Arc<House>) -> Vec<(Metric, usize)> {
    let all = Metric::ALL.iter().map(|metric| (*metric, house.counted(*metric)));
    all.filter(|(metric, count)| *count > 0 && !metric.name().ends_with(".Success")).collect()
}

fn with(change: impl FnOnce(&mut Publish)) -> Packet {
    let mut publish = Publish { topic: Text::from_static("a"), ..Publish::default() };
    change(&mut publish);
    Packet::Publish(Box::new(publish))
}

#[test]
fn faults_that_end_the_connection_at_once_are_counted() {
    let large = || with(|publish| publish.payload = vec![0; 131_073].into());
    let exact = || publish("a", "x", QoS::ExactlyOnce, false);
    let alias = || with(|publish| publish.topic_alias = Some(9));
    let identified = || {
        let Packet::Subscribe(asked) = subscribe(&[("a", QOS0)]) else { unreachable!() };
        Packet::Subscribe(mqtt::Subscribe { subscription_identifier: Some(7), ..asked })
    };
    let reserved = || publish("$SYS/a", "x", QOS0, false);
    let faults: [(&str, &dyn Fn() -> Packet, Version, Metric); 7] = [
        ("a large payload", &large, Version::V311, PUBLISH),
        ("a large payload", &large, Version::V5, PUBLISH),
        ("a reserved topic", &reserved, Version::V311, PUBLISH),
        ("a reserved topic", &reserved, Version::V5, PUBLISH),
        ("QoS 2", &exact, Version::V5, PUBLISH),
        ("a topic alias", &alias, Version::V5, PUBLISH),
        ("a subscription identifier", &identified, Version::V5, SUBSCRIBE),
    ];
    for (what, packet, version, metric) in faults {
        let found = counted(version, |client| client.send([packet()]));
        assert_eq!(found, [(metric, 1)], "{what}, {version:?}");
    }
}

#[test]
fn a_publish_beyond_the_maximum_packet_size_is_counted_other_packets_are_not() {
    let fault = MalformedFault::PacketTooLarge { length: 200_000, limit: 149_504 };
    let too_large =
        |packet| counted(Version::V5, |client| client.garbles(&Malformed { fault, clause: "4.9", packet }));
    assert_eq!(too_large("PUBLISH"), [(PUBLISH, 1)]);
    assert_eq!(too_large("SUBSCRIBE"), []);
    let malformed = Malformed { fault: MalformedFault::Qos, clause: "MQTT-3.3.1-4", packet: "PUBLISH" };
    assert_eq!(counted(Version::V5, |client| client.garbles(&malformed)), []);
}

#[test]
fn what_was_told_before_is_not_counted_again() {
    let filter = counted(Version::V311, |client| client.send([subscribe(&[("$SYS/#", QOS0)])]));
    assert_eq!(filter, [(SUBSCRIBE, 1)]);
    let second = connect("c", Version::V5);
    let found = counted(Version::V5, |client| client.send([Packet::Connect(Box::new(second.clone()))]));
    assert_eq!(found, [], "AWS has no metric for a second CONNECT");
    let house = House::new();
    let certificate = house.device(
        "mute",
        r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"iot:Connect","Resource":"*"}]}"#,
    );
    let mut mute =
        house.try_connect(House::credential(&certificate), connect("mute", Version::V311)).unwrap();
    assert_eq!(mute.publish("a", "x", QOS0), Flow::Close);
    assert_eq!(failures(&house), [(Metric::PublishInAuthError, 1)]);
    let mut mute =
        house.try_connect(House::credential(&certificate), connect("mute", Version::V311)).unwrap();
    assert_eq!(mute.send([subscribe(&[("a", QOS0)])]), Flow::Close);
    assert_eq!(failures(&house), [(Metric::PublishInAuthError, 1), (Metric::SubscribeAuthError, 1)]);
}
