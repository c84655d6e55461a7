//! Who comes, goes and subscribes is told under `$aws/events/`, in AWS's fields (developer guide, *Lifecycle events*).

use std::sync::Arc;

use mqtt::{Packet, QoS, ReasonCode, Text, Unsubscribe, UserProperties, Version};
use serde_json::{Value, json};

use super::house::{Client, House, START, connect, subscribe, will};

struct Ear(Client);

impl Ear {
    fn new(house: &Arc<House>) -> Self {
        let mut client = house.client("ear", Version::V5);
        client.subscribe("$aws/events/#", QoS::AtMostOnce);
        client.take();
        Self(client)
    }

    /// What was told since the last time, as (topic behind `$aws/events/`, fields).
    fn told(&mut self) -> Vec<(String, Value)> {
        let told = self.0.messages().into_iter().map(|message| {
            let topic = message.topic.strip_prefix("$aws/events/").unwrap().to_owned();
            (topic, serde_json::from_slice(&message.payload).unwrap())
        });
        told.collect()
    }

    fn one(&mut self, topic: &str) -> Value {
        let mut told = self.told();
        assert_eq!(told.len(), 1, "{told:?}");
        assert_eq!(told[0].0, topic);
        told.remove(0).1
    }
}

fn unsubscribe(filters: &[&str]) -> Packet {
    Packet::Unsubscribe(Unsubscribe {
        packet_id: mqtt::PacketId::new(6).unwrap(),
        user_properties: UserProperties::default(),
        filters: filters.iter().map(|filter| Text::try_from(*filter).unwrap()).collect(),
    })
}

/// Takes a field that is a fresh UUID.
fn session(fields: &mut Value) -> String {
    let text = fields.as_object_mut().unwrap().remove("sessionIdentifier").unwrap();
    let text = text.as_str().unwrap().to_owned();
    assert!(uuid::Uuid::parse_str(&text).is_ok(), "{text}");
    text
}

#[test]
fn all_fields_of_a_life() {
    let house = House::new();
    let mut ear = Ear::new(&house);
    let mut client = house.client("c", Version::V311);
    let mut came = ear.one("presence/connected/c");
    let id = session(&mut came);
    let principal = came["principalIdentifier"].clone();
    assert_eq!(
        came,
        json!({"clientId": "c", "timestamp": START.millis(), "eventType": "connected", "ipAddress": "127.0.0.1",
            "principalIdentifier": principal, "versionNumber": 0}),
    );

    house.pass(5);
    client.send([subscribe(&[("a/+", QoS::AtMostOnce), ("b/#", QoS::AtLeastOnce)])]);
    let mut subscribed = ear.one("subscriptions/subscribed/c");
    assert_eq!(session(&mut subscribed), id);
    let then = START.millis() + 5_000;
    assert_eq!(
        subscribed,
        json!({"clientId": "c", "timestamp": then, "eventType": "subscribed", "principalIdentifier": principal,
            "topics": ["a/+", "b/#"]}),
    );

    client.send([unsubscribe(&["a/+", "not/there"])]);
    let mut gone = ear.one("subscriptions/unsubscribed/c");
    assert_eq!(session(&mut gone), id);
    assert_eq!((&gone["topics"], &gone["eventType"]), (&json!(["a/+"]), &json!("unsubscribed")));
    client.send([unsubscribe(&["not/there"])]);
    assert!(ear.told().is_empty(), "nothing was unsubscribed");

    client.goodbye(ReasonCode::Success);
    let mut left = ear.one("presence/disconnected/c");
    assert_eq!(session(&mut left), id);
    assert_eq!(
        left,
        json!({"clientId": "c", "timestamp": then, "eventType": "disconnected", "principalIdentifier": principal,
            "versionNumber": 0, "clientInitiatedDisconnect": true,
            "disconnectReason": "CLIENT_INITIATED_DISCONNECT"}),
    );
}

#[test]
fn reasons_of_ends() {
    let house = House::new();
    let mut ear = Ear::new(&house);
    house.client("c", Version::V5).cut();
    let reason = |ear: &mut Ear| {
        let told = ear.told();
        let (_, fields) = told.iter().find(|(topic, _)| topic == "presence/disconnected/c").unwrap();
        (fields["disconnectReason"].as_str().unwrap().to_owned(), fields["clientInitiatedDisconnect"] == true)
    };
    assert_eq!(reason(&mut ear), ("CONNECTION_LOST".to_owned(), false));
    let mut first = house.client("c", Version::V5);
    let mut second = house.client("c", Version::V5);
    let told = ear.told();
    let order: Vec<_> =
        told.iter().map(|(topic, fields)| (&topic[..12], fields["versionNumber"].as_u64())).collect();
    assert_eq!(order.len(), 3);
    assert!(
        order.contains(&("presence/dis", Some(1))) && order.contains(&("presence/con", Some(2))),
        "{order:?}"
    );
    let left = told.iter().find(|(topic, _)| topic.contains("disconnected")).unwrap();
    assert_eq!(left.1["disconnectReason"], "DUPLICATE_CLIENTID");
    first.take();
    second.send([Packet::Connect(Box::new(connect("c", Version::V5)))]);
    second.cut();
    assert_eq!(reason(&mut ear), ("CLIENT_ERROR".to_owned(), false));
    let mut silent = house.client("c", Version::V5);
    house.pass(91);
    silent.on_time();
    silent.cut();
    assert_eq!(reason(&mut ear), ("MQTT_KEEP_ALIVE_TIMEOUT".to_owned(), false));
}

#[test]
fn version_numbers_grow_and_start_again_after_an_hour() {
    let house = House::new();
    let mut ear = Ear::new(&house);
    let mut number = |wait: u64| {
        // The ear stays alive all the while.
        for _ in 0..wait.div_ceil(60) {
            house.pass(wait.min(60));
            ear.0.send([Packet::PingReq]);
        }
        house.client("c", Version::V5).goodbye(ReasonCode::Success);
        let told = ear.told();
        assert_eq!(told.len(), 2);
        assert_eq!(told[0].1["versionNumber"], told[1].1["versionNumber"], "the pair shares one value");
        told[0].1["versionNumber"].as_u64().unwrap()
    };
    assert_eq!([number(0), number(1), number(3_500), number(3_700), number(1)], [0, 1, 2, 0, 1]);
}

#[test]
fn ids_with_wildcards_are_never_told_of() {
    let house = House::new();
    let mut ear = Ear::new(&house);
    for id in ["a+b", "a#"] {
        let mut client = house.client(id, Version::V5);
        client.subscribe("t", QoS::AtMostOnce);
        client.goodbye(ReasonCode::Success);
    }
    assert!(ear.told().is_empty());
}

#[test]
fn who_may_not_connect_is_told_of() {
    let house = House::new();
    let mut ear = Ear::new(&house);
    let certificate = house.device(
        "narrow",
        r#"{"Version":"2012-10-17","Statement":[
            {"Effect":"Allow","Action":"iot:Connect","Resource":"arn:aws:iot:eu-west-1:123456789012:client/good"}]}"#,
    );
    let refused = |id: &str, with_will: bool| {
        let mut asked = connect(id, Version::V5);
        asked.will = with_will.then(|| will("t", "x")).flatten();
        assert!(house.try_connect(House::credential(&certificate), asked).is_err());
    };
    for (id, with_will) in [("bad", false), ("good", true)] {
        refused(id, with_will);
        let mut failed = ear.one(&format!("presence/connect_failed/{id}"));
        session(&mut failed);
        assert_eq!(
            failed,
            json!({"clientId": id, "timestamp": START.millis(), "eventType": "connect_failed",
                "connectFailureReason": "AUTHORIZATION_FAILED", "principalIdentifier": certificate.as_str(),
                "ipAddress": "127.0.0.1"}),
        );
    }
}

#[test]
fn who_hears_of_itself_is_no_loop() {
    let house = House::new();
    let mut first = house.client("first", Version::V5);
    first.send([subscribe(&[("$aws/events/#", QoS::AtLeastOnce)])]);
    let topics: Vec<_> = first.messages().into_iter().map(|message| message.topic.to_string()).collect();
    assert_eq!(topics, ["$aws/events/subscriptions/subscribed/first"]);
    first.goodbye(ReasonCode::Success);
}
