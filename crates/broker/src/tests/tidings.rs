//! What the broker tells by itself reaches subscribers like any message, and no client can tell it.

use bytes::Bytes;
use mqtt::{QoS, Version};
use store::block_on;

use super::house::{House, connect, publish};

const TOPIC: &str = "$aws/events/certificates/registered/ca";

fn tell(house: &House, topic: &str) -> Result<(), crate::PublishRefusal> {
    block_on(house.broker.publish_event(topic, Bytes::from_static(b"{}"), house.now()))
}

#[test]
fn subscribers_are_told() {
    let house = House::new();
    let mut watcher = house.client("watcher", Version::V5);
    watcher.subscribe("$aws/events/certificates/#", QoS::AtLeastOnce);
    let mut other = house.client("other", Version::V311);
    other.subscribe("#", QoS::AtLeastOnce);
    tell(&house, TOPIC).unwrap();
    let told = watcher.messages();
    assert_eq!(told.len(), 1);
    assert_eq!(
        (told[0].topic.as_str(), &told[0].payload[..], told[0].qos),
        (TOPIC, &b"{}"[..], QoS::AtLeastOnce)
    );
    assert!(other.messages().is_empty(), "a leading wildcard does not match $ topics");
    assert!(!house.heard("publish.unserved"));
}

#[test]
fn who_may_not_receive_is_not_told() {
    let house = House::new();
    let certificate = house.device(
        "deaf",
        r#"{"Version":"2012-10-17","Statement":[
            {"Effect":"Allow","Action":["iot:Connect","iot:Subscribe"],"Resource":"*"}]}"#,
    );
    let mut deaf = house.try_connect(House::credential(&certificate), connect("deaf", Version::V5)).unwrap();
    deaf.connack();
    deaf.subscribe(TOPIC, QoS::AtLeastOnce);
    tell(&house, TOPIC).unwrap();
    assert!(deaf.messages().is_empty());
    assert!(house.heard("delivery.denied"));
}

#[test]
fn clients_can_not_tell_it_and_bad_topics_are_refused() {
    let house = House::new();
    let mut watcher = house.client("watcher", Version::V5);
    watcher.subscribe(TOPIC, QoS::AtLeastOnce);
    let mut liar = house.client("liar", Version::V311);
    liar.send([publish(TOPIC, "x", QoS::AtMostOnce, false)]);
    assert!(watcher.messages().is_empty());
    for bad in ["", "a/#", "a\0b"] {
        assert!(matches!(tell(&house, bad), Err(crate::PublishRefusal::Invalid { .. })), "{bad:?}");
    }
}
