//! Each divergence is told when a client sees it, with the client's name; and not told where it does not show.

use std::sync::Arc;

use dialect::{Dialect, Divergence};
use mqtt::{Packet, Publish, QoS, Subscribe, Text, Unsubscribe, UserProperties, Version};

use super::house::{Client, House, connect, publish, subscribe, will};

const QOS0: QoS = QoS::AtMostOnce;
const QOS1: QoS = QoS::AtLeastOnce;

/// Whether somebody was told that `client` met the row.
fn met(house: &House, client: &str, row: Divergence) -> bool {
    let (start, id) = (format!("divergence.observed: {client}: "), format!(" ({row}, in "));
    house.events().iter().any(|event| event.starts_with(&start) && event.contains(&id))
}

/// In AWS's dialect `act` makes the client `c` meet the row; without the row it does not.
fn shows(row: Divergence, act: impl Fn(&Arc<House>)) {
    let aws = House::with(|dialect| dialect.set(row, true));
    act(&aws);
    assert!(met(&aws, "c", row), "{row}: {:#?}", aws.events());
    let without = House::with(|dialect| dialect.set(row, false));
    act(&without);
    assert!(!met(&without, "c", row), "{row} without it");
    let oasis = House::with(|dialect| *dialect = Dialect::oasis());
    act(&oasis);
    let told = oasis.events().into_iter().find(|event| event.starts_with("divergence.observed"));
    assert!(told.is_none() || row == Divergence::SharedSubInV3, "{row} in oasis: {told:?}");
}

fn lasting(expiry: u32) -> impl Fn(&mut mqtt::Connect) {
    move |connect| {
        connect.clean_start = false;
        connect.properties.session_expiry_interval = (connect.version == Version::V5).then_some(expiry);
    }
}

fn expiring(seconds: u32) -> Packet {
    Packet::Publish(Box::new(Publish {
        qos: QOS1,
        topic: Text::from_static("t"),
        packet_id: mqtt::PacketId::new(9),
        message_expiry_interval: Some(seconds),
        ..Publish::default()
    }))
}

/// Subscribes, gets a message, does not acknowledge it.
fn owing(house: &Arc<House>) -> Client {
    let mut client = house.client_with("c", Version::V5, |connect| connect.keep_alive = 1200);
    client.subscribe("t", QOS1);
    house.client("other", Version::V5).publish("t", "x", QOS1);
    client.take();
    client
}

#[test]
fn what_is_sent_again_is_told_retry_while_connected_dup_unsupported() {
    for row in [Divergence::RetryWhileConnected, Divergence::DupUnsupported] {
        shows(row, |house| {
            let mut client = owing(house);
            house.pass(31);
            client.on_time();
        });
    }
}

#[test]
fn giving_up_is_told_retry_gives_up() {
    shows(Divergence::RetryGivesUp, |house| {
        let mut client = owing(house);
        house.pass(961);
        client.on_time();
    });
}

#[test]
fn a_parent_that_is_not_matched_is_told_hash_excludes_parent() {
    shows(Divergence::HashExcludesParent, |house| {
        let mut client = house.client("c", Version::V311);
        client.subscribe("t/#", QOS0);
        client.publish("t", "x", QOS0);
    });
    // Who gets the message all the same sees nothing of it.
    let house = House::new();
    let mut client = house.client("c", Version::V311);
    client.subscribe("t/#", QOS0);
    client.subscribe("t", QOS0);
    client.publish("t", "x", QOS0);
    assert!(!met(&house, "c", Divergence::HashExcludesParent));
}

#[test]
fn identifiers_are_told_no_subscription_identifier() {
    shows(Divergence::NoSubscriptionIdentifier, |house| {
        let Packet::Subscribe(plain) = subscribe(&[("t", QOS0)]) else { panic!() };
        let asked = Subscribe { subscription_identifier: Some(7), ..plain };
        house.client("c", Version::V5).send([Packet::Subscribe(asked)]);
    });
}

#[test]
fn clamps_are_told_keepalive_clamp_message_expiry_clamp() {
    shows(Divergence::KeepaliveClamp, |house| {
        house.client_with("c", Version::V5, |connect| connect.keep_alive = 5);
    });
    shows(Divergence::MessageExpiryClamp, |house| {
        house.client("c", Version::V5).send([expiring(700_000)]);
    });
}

#[test]
fn another_version_is_told_cross_version_no_resume() {
    shows(Divergence::CrossVersionNoResume, |house| {
        house.client_with("c", Version::V5, lasting(600)).cut();
        house.client_with("c", Version::V311, lasting(600));
    });
}

#[test]
fn the_pace_of_the_backlog_is_told_replay_rate() {
    shows(Divergence::ReplayRate, |house| {
        let mut client = house.client_with("c", Version::V5, lasting(600));
        client.subscribe("t", QOS1);
        client.cut();
        let mut other = house.client("other", Version::V5);
        for _ in 0..3 {
            other.publish("t", "x", QOS1);
        }
        house.client_with("c", Version::V5, lasting(600));
    });
}

#[test]
fn the_last_second_is_told_expiry_zero_out() {
    shows(Divergence::ExpiryZeroOut, |house| {
        let mut client = house.client_with("c", Version::V5, lasting(600));
        client.subscribe("t", QOS1);
        client.cut();
        house.client("other", Version::V5).send([expiring(100)]);
        house.pass_millis(99_500);
        house.client_with("c", Version::V5, lasting(600));
    });
}

#[test]
fn expiry_for_old_clients_is_told_expiry_crosses_versions() {
    shows(Divergence::ExpiryCrossesVersions, |house| {
        let mut client = house.client_with("c", Version::V311, lasting(600));
        client.subscribe("t", QOS1);
        client.cut();
        house.client("other", Version::V5).send([expiring(100)]);
        house.pass(101);
        house.client_with("c", Version::V311, lasting(600));
    });
}

const SOME: &str = r#"{"Version":"2012-10-17","Statement":[
    {"Effect":"Allow","Action":["iot:Connect","iot:Receive"],"Resource":"*"},
    {"Effect":"Allow","Action":"iot:Subscribe","Resource":"arn:aws:iot:eu-west-1:123456789012:topicfilter/ok"}]}"#;

fn limited(house: &Arc<House>) -> Client {
    let device = house.device("d", SOME);
    let mut client = house.try_connect(House::credential(&device), connect("c", Version::V311)).unwrap();
    client.connack();
    client
}

#[test]
fn denials_are_told_disconnect_on_deny_v3_subscribe_some_denied_v3_no_connack_on_deny_v3() {
    shows(Divergence::DisconnectOnDenyV3, |house| {
        limited(house).publish("no", "x", QOS1);
    });
    shows(Divergence::SubscribeSomeDeniedV3, |house| {
        limited(house).send([subscribe(&[("ok", QOS0), ("no", QOS0)])]);
    });
    shows(Divergence::NoConnackOnDenyV3, |house| {
        let device = house.device("n", r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"iot:Nothing","Resource":"*"}]}"#);
        assert!(house.try_connect(House::credential(&device), connect("c", Version::V311)).is_err());
    });
}

#[test]
fn a_will_that_does_not_wait_is_told_takeover_will_will_delay_ignored() {
    let delayed = |connect: &mut mqtt::Connect| {
        lasting(600)(connect);
        connect.will = will("wills", "x");
        if let Some(will) = &mut connect.will {
            will.delay_interval = Some(60);
        }
    };
    shows(Divergence::WillDelayIgnored, |house| {
        house.client_with("c", Version::V5, delayed);
    });
    let house = House::with(|dialect| dialect.set(Divergence::WillDelayIgnored, false));
    let _old = house.client_with("c", Version::V5, delayed);
    house.client_with("c", Version::V5, delayed);
    assert!(met(&house, "c", Divergence::TakeoverWill), "{:#?}", house.events());
}

#[test]
fn limits_of_topics_are_told_topic_limits() {
    shows(Divergence::TopicLimits, |house| {
        house.client("c", Version::V5).send([publish("a/b/c/d/e/f/g/h/i", "x", QOS1, false)]);
    });
    shows(Divergence::TopicLimits, |house| {
        house.client("c", Version::V5).send([subscribe(&[("a/b/c/d/e/f/g/h/i", QOS0)])]);
    });
}

#[test]
fn unknown_filters_are_told_unsuback_codes() {
    shows(Divergence::UnsubackCodes, |house| {
        let unsubscribe = Unsubscribe {
            packet_id: mqtt::PacketId::new(3).unwrap(),
            user_properties: UserProperties::default(),
            filters: [Text::from_static("t")].into_iter().collect(),
        };
        house.client("c", Version::V5).send([Packet::Unsubscribe(unsubscribe)]);
    });
}

#[test]
fn old_clients_in_groups_are_told_shared_sub_in_v3() {
    let house = House::new();
    house.client("c", Version::V311).subscribe("$share/g/t", QOS0);
    assert!(met(&house, "c", Divergence::SharedSubInV3));
    house.client("new", Version::V5).subscribe("$share/g/t", QOS0);
    assert!(!met(&house, "new", Divergence::SharedSubInV3));
}

#[test]
fn an_ordinary_client_meets_nothing() {
    let house = House::new();
    let mut client = house.client("c", Version::V5);
    client.subscribe("t/+", QOS1);
    client.publish("t/1", "x", QOS1);
    let message = client.messages().remove(0);
    client.ack(message.packet_id);
    client.cut();
    assert!(!house.heard("divergence.observed"), "{:#?}", house.events());
}
