//! Attributes of a thing travel with what it publishes, if its type says so.

use std::sync::Arc;

use dialect::Divergence;
use mqtt::{QoS, Text, Version};
use registry::thing_principals::{
    PRINCIPAL_THINGS, THING_PRINCIPALS, ThingPrincipalRecord, principal_thing_key, thing_principal_key,
};
use registry::thing_types::{THING_TYPES, ThingTypeRecord, thing_type_key};
use registry::things::{THINGS, ThingRecord, thing_key};
use serde_json::json;

use super::feed::following;
use super::house::{Client, House, START, connect, publish};

const ALL: &str =
    r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"iot:*","Resource":"*"}]}"#;

fn set_type(house: &House, propagating: serde_json::Value) {
    let record: ThingTypeRecord = serde_json::from_value(json!({
        "name": "pump", "id": "1", "created": START, "properties": {"propagating_attributes": propagating},
    }))
    .unwrap();
    house.commit(|batch| THING_TYPES.put(batch, &thing_type_key("pump"), &record));
}

/// A certificate of the thing `pump-7`, which is of the type.
fn pump(house: &Arc<House>, client_id: &str, kind: &str, version: Version) -> Client {
    let certificate = house.device("pump", ALL);
    let arn = format!("arn:aws:iot:eu-west-1:123456789012:cert/{certificate}");
    let thing: ThingRecord = serde_json::from_value(json!({
        "name": "pump-7", "id": "2", "type_name": "pump", "attributes": {"site": "Jena"}, "version": 1, "created": START,
        "modified": START,
    }))
    .unwrap();
    let attached: ThingPrincipalRecord =
        serde_json::from_value(json!({"type": kind, "attached": START})).unwrap();
    house.commit(|batch| {
        THINGS.put(batch, &thing_key("pump-7"), &thing);
        THING_PRINCIPALS.put(batch, &thing_principal_key("pump-7", &arn), &attached);
        PRINCIPAL_THINGS.put(batch, &principal_thing_key(&arn, "pump-7"), &attached);
    });
    let mut client = house.try_connect(House::credential(&certificate), connect(client_id, version)).unwrap();
    client.connack();
    client
}

fn properties(reader: &mut Client) -> Vec<(String, String)> {
    let messages = reader.messages();
    assert_eq!(messages.len(), 1);
    let owned = |(key, value): (&str, &str)| (key.to_owned(), value.to_owned());
    messages[0].properties.user_properties.iter().map(owned).collect()
}

fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
    expected.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

fn usual() -> serde_json::Value {
    json!([
        {"user_property_key": "site", "thing_attribute": "site"},
        {"user_property_key": "none", "thing_attribute": "not-there"},
        {"user_property_key": "client", "connection_attribute": "iot:ClientId"},
        {"user_property_key": "thing", "connection_attribute": "iot:Thing.ThingName"},
    ])
}

#[test]
fn attributes_travel_behind_the_publishers_own_properties_enriched_user_properties() {
    let house = House::new();
    set_type(&house, usual());
    let mut reader = house.client("reader", Version::V5);
    reader.subscribe("t", QoS::AtLeastOnce);
    let mut pump = pump(&house, "pump-7", "NON_EXCLUSIVE_THING", Version::V5);
    let mut packet = publish("t", "x", QoS::AtLeastOnce, false);
    if let mqtt::Packet::Publish(publish) = &mut packet {
        publish.properties.user_properties.push(&Text::from_static("own"), &Text::from_static("1"));
    }
    pump.send([packet]);
    let expected = [("own", "1"), ("site", "Jena"), ("client", "pump-7"), ("thing", "pump-7")];
    assert_eq!(properties(&mut reader), pairs(&expected));
    assert!(house.heard("enriched-user-properties"));
}

#[test]
fn publishers_of_mqtt_3_qualify_and_readers_of_mqtt_3_see_nothing() {
    let house = House::new();
    set_type(&house, usual());
    let mut new = house.client("new", Version::V5);
    let mut old = house.client("old", Version::V311);
    new.subscribe("t", QoS::AtMostOnce);
    old.subscribe("t", QoS::AtMostOnce);
    pump(&house, "pump-7", "NON_EXCLUSIVE_THING", Version::V311).publish("t", "x", QoS::AtMostOnce);
    assert_eq!(properties(&mut new).len(), 3);
    assert_eq!(properties(&mut old).len(), 0);
}

#[test]
fn an_exclusive_thing_counts_under_any_client_id_and_another_does_not() {
    for (kind, count) in [("EXCLUSIVE_THING", 3), ("NON_EXCLUSIVE_THING", 0)] {
        let house = House::new();
        set_type(&house, usual());
        let mut reader = house.client("reader", Version::V5);
        reader.subscribe("t", QoS::AtMostOnce);
        pump(&house, "other", kind, Version::V5).publish("t", "x", QoS::AtMostOnce);
        assert_eq!(properties(&mut reader).len(), count, "{kind}");
    }
}

#[test]
fn the_row_can_be_switched_off() {
    let house = House::with(|dialect| dialect.set(Divergence::EnrichedUserProperties, false));
    set_type(&house, usual());
    let mut reader = house.client("reader", Version::V5);
    reader.subscribe("t", QoS::AtMostOnce);
    pump(&house, "pump-7", "EXCLUSIVE_THING", Version::V5).publish("t", "x", QoS::AtMostOnce);
    assert_eq!(properties(&mut reader).len(), 0);
}

#[test]
fn a_changed_type_counts_at_once() {
    let house = House::new();
    set_type(&house, json!([]));
    let mut reader = house.client("reader", Version::V5);
    reader.subscribe("t", QoS::AtMostOnce);
    let mut pump = pump(&house, "pump-7", "NON_EXCLUSIVE_THING", Version::V5);
    pump.publish("t", "x", QoS::AtMostOnce);
    assert_eq!(properties(&mut reader).len(), 0);
    following(&house, |turn| {
        if turn == 0 {
            set_type(&house, usual());
        }
    });
    pump.publish("t", "x", QoS::AtMostOnce);
    assert_eq!(properties(&mut reader).len(), 3);
}
