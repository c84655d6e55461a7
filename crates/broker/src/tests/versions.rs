//! `versionNumber` of lifecycle events: consumers believe the greater one, so it must not begin anew while they remember it.

use std::sync::Arc;

use mqtt::{Connect, QoS, ReasonCode, Version};
use serde_json::{Value, json};

use super::house::{Client, House, connect};
use super::unwritten::Disk;
use crate::Deletion;

struct Ear(Client);

impl Ear {
    fn new(house: &Arc<House>) -> Self {
        let mut client = house.client("ear", Version::V5);
        client.subscribe("$aws/events/presence/#", QoS::AtMostOnce);
        client.take();
        Self(client)
    }

    /// What was told since the last time: who came (`+`) or went (`-`), with which number.
    fn told(&mut self) -> Vec<(char, u64)> {
        let told = self.0.messages().into_iter().map(|message| {
            let fields: Value = serde_json::from_slice(&message.payload).unwrap();
            let kind = if fields["eventType"] == "connected" { '+' } else { '-' };
            (kind, fields["versionNumber"].as_u64().unwrap())
        });
        told.collect()
    }
}

fn lasting(connect: &mut Connect) {
    connect.clean_start = false;
    connect.properties.session_expiry_interval = Some(60);
}

#[test]
fn the_number_of_a_session_that_lasts_survives_the_process() {
    let disk = Disk::new();
    let house = disk.house();
    house.client_with("c", Version::V5, lasting).cut();
    house.client_with("c", Version::V5, lasting).goodbye(ReasonCode::Success);
    house.work();
    let house = disk.house();
    let mut ear = Ear::new(&house);
    let client = house.client_with("c", Version::V5, lasting);
    assert_eq!(ear.told(), [('+', 2)]);
    // The process dies while it is connected.
    drop(client);
    let house = disk.house();
    let mut ear = Ear::new(&house);
    let mut client = house.client_with("c", Version::V5, |_| {});
    assert_eq!(ear.told(), [('+', 3)], "also if it wants another session");
    client.goodbye(ReasonCode::Success);
    house.client_with("c", Version::V5, lasting).cut();
    assert_eq!(ear.told(), [('-', 3), ('+', 4), ('-', 4)]);
    house.work();
    let house = disk.house();
    house.pass(61);
    house.work();
    let mut ear = Ear::new(&house);
    house.client_with("c", Version::V5, lasting).cut();
    assert_eq!(ear.told(), [('+', 0), ('-', 0)], "with the end of the session it begins anew");
}

/// Whoever listens for as long as its session lasts hears of ends that nobody was there to tell.
#[test]
fn who_was_connected_when_the_process_died_is_told_of_as_gone() {
    let disk = Disk::new();
    let house = disk.house();
    let mut ear = house.client_with("ear", Version::V5, lasting);
    for id in ["here", "gone"] {
        ear.subscribe(&format!("$aws/events/presence/disconnected/{id}"), QoS::AtLeastOnce);
    }
    ear.cut();
    let here = house.client_with("here", Version::V5, lasting);
    house.client_with("gone", Version::V5, lasting).goodbye(ReasonCode::Success);
    house.work();
    let heard = |house: &Arc<House>| {
        house.work();
        let mut ear = house.client_with("ear", Version::V5, lasting);
        let told = ear.messages().into_iter().map(|message| {
            let mut fields: Value = serde_json::from_slice(&message.payload).unwrap();
            let id = fields["sessionIdentifier"].take();
            assert!(uuid::Uuid::parse_str(id.as_str().unwrap()).is_ok(), "{id}");
            ear.ack(message.packet_id);
            fields
        });
        let told: Vec<_> = told.collect();
        ear.goodbye(ReasonCode::Success);
        house.work();
        told
    };
    let told = heard(&house);
    assert_eq!(told.len(), 1);
    assert_eq!(told[0]["clientId"], "gone");
    drop(here);
    let house = disk.house();
    let lost = json!({"clientId": "here", "timestamp": house.now().millis(), "eventType": "disconnected",
        "sessionIdentifier": null, "principalIdentifier": told[0]["principalIdentifier"], "versionNumber": 0,
        "clientInitiatedDisconnect": false, "disconnectReason": "SERVER_ERROR"});
    assert_eq!(heard(&house), [lost]);
    assert_eq!(heard(&disk.house()), [] as [Value; 0], "once");
}

#[test]
fn who_is_refused_for_want_of_room_keeps_its_number() {
    let house = House::with(|dialect| dialect.limits_mut().connections = 2);
    let mut ear = Ear::new(&house);
    house.client("c", Version::V5).goodbye(ReasonCode::Success);
    let mut other = house.client("other", Version::V5);
    assert!(house.try_connect(House::anybody(), connect("c", Version::V5)).is_err(), "there is no room");
    other.goodbye(ReasonCode::Success);
    ear.told();
    house.client("c", Version::V5).goodbye(ReasonCode::Success);
    assert_eq!(ear.told(), [('+', 1), ('-', 1)]);
}

#[test]
fn whose_session_is_deleted_keeps_its_number() {
    let house = House::new();
    let mut ear = Ear::new(&house);
    house.client_with("c", Version::V5, lasting).cut();
    let clean = Deletion { clean_session: true, prevent_will: false };
    house.drive(house.broker.delete_connection("c", clean, house.now())).unwrap();
    house.client("c", Version::V5).cut();
    assert_eq!(ear.told(), [('+', 0), ('-', 0), ('+', 1), ('-', 1)]);
}
