//! Who is busy, exactly while it is quiet and nearly when it is not.

use std::time::Duration;

use events::{Client, DeliveryDropped, Origin, PublishIn, PublishOut, ThrottleExceeded};
use identity::Principal;
use mqtt::QoS;

use super::*;

fn publish(traffic: &Traffic, at: Timestamp, client_id: &str, topic: &str) {
    let who = Principal::Plain("p".into());
    let client = Client { client_id, principal: &who, peer: None, version: None, standing: 0 };
    let (origin, qos, retain, packet_id) = (Origin::Client(client), QoS::AtMostOnce, false, None);
    traffic.observe(
        at,
        &PublishIn { origin, topic, topic_key: 0, qos, retain, bytes: 10, properties: 0, packet_id }.into(),
    );
}

// The sampler is the thread's: each test has seconds of its own.
fn moment(test: u64) -> Timestamp {
    Timestamp(1_800_000_000_000 + test * 1_000_000)
}

#[test]
fn a_quiet_broker_is_counted_exactly() {
    let (traffic, at) = (Traffic::new(), moment(1));
    let who = Principal::Plain("p".into());
    for _ in 0..3 {
        publish(&traffic, at, "a", "t/1");
    }
    publish(&traffic, at, "b", "t/2");
    let client = Client { client_id: "b", principal: &who, peer: None, version: None, standing: 0 };
    traffic.observe(
        at,
        &PublishOut { client, topic: "t/1", topic_key: 0, qos: QoS::AtMostOnce, bytes: 10, properties: 0 }
            .into(),
    );
    let summary = traffic.summary(at + Duration::from_secs(2));
    let shown: Vec<_> =
        summary.clients.iter().map(|busy| (busy.name.as_str(), busy.counts.weight())).collect();
    assert_eq!(shown, [("a", 3), ("b", 2)]);
    assert_eq!(
        summary.topics[0].counts,
        Counts { published: 3, delivered: 1, bytes: 40, ..Counts::default() }
    );
    assert!(summary.troubled.is_empty());
}

#[test]
fn a_busy_one_is_estimated() {
    let (traffic, at) = (Traffic::new(), moment(2));
    for number in 0..10_000 {
        publish(&traffic, at, if number % 10 == 0 { "rare" } else { "often" }, "t");
    }
    let summary = traffic.summary(at);
    let total: u64 = summary.clients.iter().map(|busy| busy.counts.published).sum();
    assert!((9_900..=10_100).contains(&total), "{total}");
    assert_eq!(summary.clients[0].name, "often");
}

#[test]
fn slow_and_throttled_clients_stand_out() {
    let (traffic, at) = (Traffic::new(), moment(3));
    let who = Principal::Plain("p".into());
    traffic
        .observe(at, &DeliveryDropped { client_id: "slow", topic: "t", why: DropReason::OutboxFull }.into());
    let client = Client { client_id: "fast", principal: &who, peer: None, version: None, standing: 0 };
    for _ in 0..2 {
        traffic.observe(at, &ThrottleExceeded { client, quota: "q", value: 1 }.into());
    }
    let summary = traffic.summary(at);
    let names: Vec<_> = summary.troubled.iter().map(|busy| busy.name.as_str()).collect();
    assert_eq!(names, ["fast", "slow"]);
    assert_eq!(summary.troubled[1].counts.dropped, 1);
}

#[test]
fn what_is_over_is_forgotten_after_two_windows() {
    let (traffic, at) = (Traffic::new(), moment(4));
    publish(&traffic, at, "a", "t");
    let second = |n| at + Duration::from_secs(n);
    assert_eq!(traffic.summary(second(12)).clients.len(), 1);
    assert!(traffic.summary(second(25)).clients.is_empty());
}

#[test]
fn the_room_for_names_is_bounded() {
    let mut sketch = sketch::Sketch::default();
    let one = Counts { published: 1, ..Counts::default() };
    for number in 0..5000 {
        sketch.add(&format!("n{number}"), one);
        sketch.add("busy", one);
    }
    assert_eq!(sketch.len(), sketch::ROOM);
    assert_eq!((sketch.sorted()[0].name.as_str(), sketch.sorted()[0].counts.published), ("busy", 5000));
}
