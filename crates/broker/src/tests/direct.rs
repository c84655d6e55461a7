//! Direct messages: who gets them, what confirms them, and why they fail.

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use dialect::QuotaProfile;
use identity::{ClientId, Principal};
use mqtt::{MessageProperties, QoS, Text, Version};

use super::house::{House, connect};
use crate::{DirectFailure, DirectMessage, DirectRefusal, HttpOrigin};

const DEVICE: &str = r#"{"Version":"2012-10-17","Statement":[
    {"Effect":"Allow","Action":"iot:Connect","Resource":"*"},
    {"Effect":"Allow","Action":"iot:Receive","Resource":"arn:aws:iot:eu-west-1:123456789012:topic/ok/*"}]}"#;

fn direct(topic: &str, seconds: Option<u64>) -> DirectMessage {
    DirectMessage {
        client_id: ClientId::new("c").unwrap(),
        topic: topic.into(),
        payload: "hello".into(),
        properties: MessageProperties::default(),
        confirmation: seconds.map(Duration::from_secs),
        origin: HttpOrigin {
            credential: crate::Credential::of(Principal::AccessKey("AKIATEST".into())),
            server_name: None,
            peer: "127.0.0.1:1".parse().unwrap(),
        },
    }
}

type Outcome = Result<(), DirectRefusal>;

fn poll(sending: &mut Pin<&mut impl Future<Output = Outcome>>) -> Option<Result<(), DirectFailure>> {
    match sending.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(outcome) => Some(outcome.map_err(|refusal| refusal.failure)),
        Poll::Pending => None,
    }
}

fn send(house: &Arc<House>, message: DirectMessage) -> Result<(), DirectFailure> {
    let sent = house.drive(house.broker.send_direct(message, house.now()));
    sent.map_err(|refusal| refusal.failure)
}

#[test]
fn a_client_gets_a_message_without_a_subscription() {
    let house = House::new();
    for version in [Version::V311, Version::V5] {
        let mut client = house.client("c", version);
        let mut message = direct("a/b", None);
        message.properties.user_properties.push(&Text::from_static("k"), &Text::from_static("v"));
        send(&house, message).unwrap();
        let got = client.messages().remove(0);
        assert_eq!((&*got.topic, &got.payload[..], got.qos), ("a/b", &b"hello"[..], QoS::AtMostOnce));
        assert_eq!(got.properties.user_properties.iter().count(), usize::from(version == Version::V5));
    }
}

#[test]
fn a_confirmation_is_the_clients_puback() {
    let house = House::new();
    let mut client = house.client("c", Version::V5);
    let mut sending = pin!(house.broker.send_direct(direct("a", Some(5)), house.now()));
    assert_eq!(poll(&mut sending), None);
    let got = client.messages().remove(0);
    assert_eq!(got.qos, QoS::AtLeastOnce);
    assert_eq!(poll(&mut sending), None);
    client.ack(got.packet_id);
    assert_eq!(poll(&mut sending), Some(Ok(())));
}

#[test]
fn without_a_puback_in_time_nobody_knows() {
    let house = House::new();
    let mut client = house.client("c", Version::V311);
    let mut sending = pin!(house.broker.send_direct(direct("a", Some(2)), house.now()));
    assert_eq!(poll(&mut sending), None);
    house.pass(1);
    assert_eq!(poll(&mut sending), None);
    house.pass(1);
    assert_eq!(poll(&mut sending), Some(Err(DirectFailure::ConfirmationTimeout)));
    assert!(house.heard("DELIVERY_CONFIRMATION_TIMEOUT"), "{:?}", house.events());
    let first = client.messages();
    // It is not sent again, and a late acknowledgement does no harm.
    house.pass(40);
    client.on_time();
    assert_eq!(client.messages().len(), 0);
    client.ack(first[0].packet_id);
    assert!(!client.closed);
}

#[test]
fn a_connection_that_ends_confirms_nothing() {
    let house = House::new();
    let mut client = house.client_with("c", Version::V311, |asked| asked.clean_start = false);
    let mut sending = pin!(house.broker.send_direct(direct("a", Some(5)), house.now()));
    assert_eq!(poll(&mut sending), None);
    client.cut();
    assert_eq!(poll(&mut sending), Some(Err(DirectFailure::ConfirmationTimeout)));
    // Not even a persistent session keeps it.
    let mut client = house.client_with("c", Version::V311, |asked| asked.clean_start = false);
    assert_eq!(client.messages().len(), 0);
}

#[test]
fn a_sender_that_goes_away_is_told_in_the_log() {
    let house = House::new();
    let mut client = house.client("c", Version::V5);
    {
        let mut sending = pin!(house.broker.send_direct(direct("a", Some(5)), house.now()));
        assert_eq!(poll(&mut sending), None);
    }
    assert!(house.heard("DELIVERY_CONFIRMATION_SENDER_DISCONNECT"), "{:?}", house.events());
    // What was left behind is harmless, and goes with the next message.
    let got = client.messages().remove(0).packet_id;
    client.ack(got);
    assert_eq!(send(&house, direct("a", None)), Ok(()));
}

#[test]
fn a_direct_message_finds_its_client_connected_or_fails() {
    let house = House::new();
    assert_eq!(send(&house, direct("a", None)), Err(DirectFailure::ClientNotFound));
    house.client_with("c", Version::V311, |asked| asked.clean_start = false).cut();
    assert_eq!(send(&house, direct("a", None)), Err(DirectFailure::ClientNotConnected));
}

#[test]
fn the_receiver_must_be_allowed_to_receive() {
    let house = House::new();
    let id = house.device("dev", DEVICE);
    let mut client = house.try_connect(House::credential(&id), connect("c", Version::V5)).unwrap();
    client.connack();
    assert_eq!(send(&house, direct("ok/a", None)), Ok(()));
    let refusal = house.drive(house.broker.send_direct(direct("no/a", None), house.now())).unwrap_err();
    assert_eq!(refusal.failure, DirectFailure::ReceiveDenied);
    assert!(refusal.message.contains("iot:Receive"), "{}", refusal.message);
    assert_eq!(client.payloads().len(), 1);
}

#[test]
fn what_breaks_a_rule_is_refused() {
    let house = House::new();
    let mut client = house.client("c", Version::V5);
    for topic in ["$aws/things/x", "", "a/+", "1/2/3/4/5/6/7/8/9"] {
        assert_eq!(send(&house, direct(topic, None)), Err(DirectFailure::InvalidTopic), "{topic}");
    }
    let mut large = direct("a", None);
    large.payload = vec![0; 128 * 1024 + 1].into();
    assert_eq!(send(&house, large), Err(DirectFailure::PayloadTooLarge));
    assert_eq!(client.payloads().len(), 0);
}

#[test]
fn a_full_window_refuses_instead_of_queueing() {
    let house = House::new();
    let mut client = house.client_with("c", Version::V5, |asked| asked.properties.receive_maximum = Some(1));
    let mut sending = pin!(house.broker.send_direct(direct("a", Some(5)), house.now()));
    assert_eq!(poll(&mut sending), None);
    assert_eq!(send(&house, direct("a", Some(5))), Err(DirectFailure::WindowFull));
    assert_eq!(send(&house, direct("a", None)), Ok(()));
    let first = client.messages().remove(0).packet_id;
    client.ack(first);
    assert_eq!(poll(&mut sending), Some(Ok(())));
    assert_eq!(client.messages().len(), 0);
}

#[test]
fn a_receiver_gets_a_hundred_in_a_second() {
    let house = House::with(|dialect| dialect.set_profile(QuotaProfile::Aws));
    let mut client = house.client("c", Version::V5);
    for _ in 0..100 {
        assert_eq!(send(&house, direct("a", None)), Ok(()));
    }
    assert_eq!(send(&house, direct("a", None)), Err(DirectFailure::ReceiverThrottled));
    assert_eq!(client.payloads().len(), 100);
}

#[test]
fn a_client_that_takes_small_packets_only_says_so() {
    let house = House::new();
    let _client =
        house.client_with("c", Version::V5, |asked| asked.properties.maximum_packet_size = Some(512));
    let mut large = direct("a", None);
    large.payload = vec![0; 600].into();
    assert_eq!(send(&house, large), Err(DirectFailure::NotWritable));
}

#[test]
fn without_a_subscription_it_is_aws_that_delivers_unsubscribed_delivery() {
    let row = dialect::Divergence::UnsubscribedDelivery;
    let house = House::with(|dialect| dialect.set(row, false));
    let mut client = house.client("c", Version::V5);
    assert_eq!(send(&house, direct("a/b", None)), Err(DirectFailure::NotWritable));
    client.subscribe("$share/g/a/+", QoS::AtMostOnce);
    assert_eq!(send(&house, direct("a/b", None)), Ok(()));
    assert_eq!(client.payloads(), ["hello"]);
    assert!(!house.heard("(unsubscribed-delivery, in"));

    let house = House::new();
    let _client = house.client("c", Version::V5);
    assert_eq!(send(&house, direct("a/b", None)), Ok(()));
    assert!(house.heard("(unsubscribed-delivery, in"), "{:?}", house.events());
}
