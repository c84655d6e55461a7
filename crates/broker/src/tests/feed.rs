//! Changes of the registry reach live connections.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use mqtt::{Packet, QoS, ReasonCode, Version};
use registry::CertificateStatus;

use super::house::{House, connect};

const WIDE: &str =
    r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"iot:*","Resource":"*"}]}"#;
const NARROW: &str = r#"{"Version":"2012-10-17","Statement":[
    {"Effect":"Allow","Action":"iot:*","Resource":"*"},
    {"Sid":"NoMore","Effect":"Deny","Action":["iot:Publish","iot:Receive"],"Resource":"*"}]}"#;

/// Follows the feed as far as it goes now, and does something in between.
pub(super) fn following(house: &Arc<House>, mut act: impl FnMut(usize)) {
    let now = house.now();
    let clock = move || now;
    let mut follow = pin!(house.broker.follow_feed(&clock));
    let mut cx = Context::from_waker(Waker::noop());
    for turn in 0..3 {
        assert!(matches!(follow.as_mut().poll(&mut cx), Poll::Pending));
        act(turn);
    }
    assert!(matches!(follow.as_mut().poll(&mut cx), Poll::Pending));
}

#[test]
fn a_changed_policy_counts_at_once() {
    let house = House::new();
    let id = house.device("dev", WIDE);
    let mut client = house.try_connect(House::credential(&id), connect("dev", Version::V5)).unwrap();
    client.connack();
    client.subscribe("a", QoS::AtMostOnce);
    client.publish("a", "before", QoS::AtLeastOnce);
    assert_eq!(client.payloads(), ["before"]);
    following(&house, |turn| {
        if turn == 0 {
            house.set_policy("dev", NARROW);
        }
    });
    client.publish("a", "after", QoS::AtLeastOnce);
    assert!(matches!(&client.take()[..], [Packet::PubAck(ack)] if ack.code == ReasonCode::NotAuthorized));
    assert!(house.heard("NoMore"), "the statement is named: {:?}", house.events());
    let mut sender = house.client("sender", Version::V5);
    sender.publish("a", "from another", QoS::AtMostOnce);
    assert!(client.payloads().is_empty(), "a live subscription stops receiving");
}

/// Between the start and the first look at the feed, or while the store did not say where it is.
#[test]
fn what_was_changed_while_nobody_followed_counts_when_somebody_does() {
    let house = House::new();
    let id = house.device("dev", WIDE);
    let mut client = house.try_connect(House::credential(&id), connect("dev", Version::V5)).unwrap();
    client.connack();
    house.set_policy("dev", NARROW);
    following(&house, |_| {});
    client.publish("a", "x", QoS::AtLeastOnce);
    assert!(matches!(&client.take()[..], [Packet::PubAck(ack)] if ack.code == ReasonCode::NotAuthorized));
}

#[test]
fn an_attached_policy_counts_at_once() {
    let house = House::new();
    let id = house.device("dev", WIDE);
    house.set_policy("more", NARROW);
    let mut client = house.try_connect(House::credential(&id), connect("dev", Version::V5)).unwrap();
    client.connack();
    following(&house, |turn| {
        if turn == 0 {
            house.attach("more", &format!("arn:aws:iot:eu-west-1:123456789012:cert/{id}"));
        }
    });
    client.publish("a", "x", QoS::AtLeastOnce);
    assert!(matches!(&client.take()[..], [Packet::PubAck(ack)] if ack.code == ReasonCode::NotAuthorized));
}

#[test]
fn a_certificate_that_is_not_active_any_more_costs_the_connection() {
    let house = House::new();
    let id = house.device("dev", WIDE);
    let mut client = house.try_connect(House::credential(&id), connect("dev", Version::V5)).unwrap();
    client.connack();
    following(&house, |turn| {
        if turn == 0 {
            house.set_certificate(&id, CertificateStatus::Inactive);
        }
    });
    client.take();
    assert!(client.closed);
    assert!(house.heard("certificate.deactivated"));
    assert!(house.try_connect(House::credential(&id), connect("dev", Version::V5)).is_err());
}

#[test]
fn other_peoples_changes_cost_nothing() {
    let house = House::new();
    let id = house.device("dev", WIDE);
    let mut client = house.try_connect(House::credential(&id), connect("dev", Version::V5)).unwrap();
    client.connack();
    let reloads = || house.events().iter().filter(|event| event.contains("policy.reloaded")).count();
    let mut before = 0;
    following(&house, |turn| {
        if turn == 0 {
            before = reloads();
            house.device("somebody-else", NARROW);
        }
    });
    assert_eq!(reloads(), before);
    client.cut();
    assert_eq!(house.broker.0.principals.records(), 0, "nothing is left of a client that went");
}
