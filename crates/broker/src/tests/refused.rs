//! A CONNECT that is refused, or whose client is gone before it was accepted: nothing has happened.

use std::future::Future;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use dialect::Dialect;
use mqtt::{Connect, Packet, PacketId, Publish, QoS, Text, Version};
use store::memory::{MemoryJournal, MemoryStore};
use store::{Journal, Store, block_on};

use super::between::{breaks, conclude, wills, with_delayed_will};
use super::house::{House, Watched, connect, will};
use crate::Deletion;

const WIDE: &str =
    r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"iot:*","Resource":"*"}]}"#;
const SILENT: &str = r#"{"Version":"2012-10-17","Statement":[
    {"Effect":"Allow","Action":["iot:Connect","iot:Subscribe"],"Resource":"*"}]}"#;

fn on(store: &MemoryStore, journal: Arc<dyn Journal>) -> Arc<House> {
    House::on(Arc::new(store.clone()), Some(journal), |dialect| *dialect = Dialect::oasis())
}

fn oasis(store: &MemoryStore) -> Arc<House> {
    on(store, Arc::<MemoryJournal>::default())
}

fn lasting(connect: &mut Connect) {
    connect.clean_start = false;
    connect.properties.session_expiry_interval = Some(600);
}

/// A client whose session is to end with its connection.
fn short(id: &str) -> Connect {
    Connect { clean_start: false, ..connect(id, Version::V5) }
}

/// A client with a session whose will waits for a minute.
fn leaves_a_will(house: &Arc<House>) {
    let mut client = house.client_with("c", Version::V5, with_delayed_will);
    client.cut();
}

#[test]
fn the_session_that_it_resumed_is_what_it_was() {
    let store = MemoryStore::new();
    let house = oasis(&store);
    let mut client = house.client_with("c", Version::V5, lasting);
    client.subscribe("t", QoS::AtLeastOnce);
    client.cut();
    house.client("p", Version::V5).publish("t", "waits", QoS::AtLeastOnce);
    house.work();
    store.fail("full");
    assert!(house.try_connect(House::anybody(), short("c")).is_err());
    // What comes meanwhile waits, too.
    house.client("q", Version::V5).publish("t", "too", QoS::AtLeastOnce);
    house.work();
    store.recover();
    house.pass(1);
    house.work();
    let mut client = house.client_with("c", Version::V5, lasting);
    house.work();
    assert_eq!(client.payloads(), ["waits", "too"]);
    client.cut();
    // It ends as was agreed before: six minutes later it is still there.
    store.fail("full");
    assert!(house.try_connect(House::anybody(), short("c")).is_err());
    store.recover();
    house.pass(599);
    house.work();
    assert!(!house.heard("session.expired"), "{:?}", house.events());
    house.pass(2);
    house.work();
    assert!(house.heard("session.expired"), "{:?}", house.events());
}

#[test]
fn a_will_that_waits_for_its_delay_waits_on() {
    let store = MemoryStore::new();
    let house = oasis(&store);
    leaves_a_will(&house);
    store.fail("full");
    assert!(house.try_connect(House::anybody(), short("c")).is_err());
    store.recover();
    house.pass(1);
    house.work();
    assert_eq!(wills(&store), 1, "a process that comes after this one has to know of it");
    assert!(!house.heard("will.published"), "{:?}", house.events());
    house.pass(60);
    house.work();
    assert!(house.heard("will.published"), "{:?}", house.events());
    assert_eq!(wills(&store), 0);
}

/// What DeleteConnection takes away is the session with all that it was.
#[test]
fn a_session_that_is_deleted_meanwhile_is_over() {
    let store = MemoryStore::new();
    let house = oasis(&store);
    leaves_a_will(&house);
    house.work();
    let (now, mut cx) = (house.now(), Context::from_waker(Waker::noop()));
    let clock = move || now;
    let coming = house.broker.connect(Box::new(short("c")), House::anybody(), House::link(), &clock);
    let mut coming = std::pin::pin!(coming);
    assert!(coming.as_mut().poll(&mut cx).is_pending());
    let clean = Deletion { clean_session: true, prevent_will: false };
    house.drive(house.broker.delete_connection("c", clean, now)).unwrap();
    assert!(matches!(coming.as_mut().poll(&mut cx), Poll::Ready(Err(_))));
    house.work();
    assert!(house.heard("will.published"), "[MQTT-3.1.3-9] {:?}", house.events());
    assert_eq!(wills(&store), 0);
    assert!(block_on(store.scan(records::SESSIONS.space(), &[], None, 10)).unwrap().is_empty());
}

#[test]
fn who_is_gone_before_it_is_accepted_has_no_will() {
    let store = MemoryStore::new();
    let house = oasis(&store);
    let (now, mut cx) = (house.now(), Context::from_waker(Waker::noop()));
    let clock = move || now;
    let mut asked = connect("c", Version::V5);
    asked.will = will("gone", "c");
    let mut coming = Box::pin(house.broker.connect(Box::new(asked), House::anybody(), House::link(), &clock));
    assert!(coming.as_mut().poll(&mut cx).is_pending());
    drop(coming);
    house.work();
    assert!(!house.heard("will.published"), "{:?}", house.events());
    assert_eq!(wills(&store), 0);
}

/// Its disk is well: it only has to wait for a moment.
#[test]
fn who_comes_with_a_will_while_an_earlier_one_is_in_somebodys_hands_waits_for_that() {
    let store = MemoryStore::new();
    let house = oasis(&store);
    let _client = house.client_with("c", Version::V5, |connect| connect.will = will("gone", "first"));
    let mut reader = house.client("r", Version::V5);
    reader.subscribe("gone", QoS::AtMostOnce);
    let broken = breaks(&house, "c");
    let (now, mut cx) = (house.now(), Context::from_waker(Waker::noop()));
    let clock = move || now;
    let mut asked = connect("c", Version::V5);
    asked.will = will("gone", "second");
    let coming = house.broker.connect(Box::new(asked), House::anybody(), House::link(), &clock);
    let mut coming = std::pin::pin!(coming);
    assert!(coming.as_mut().poll(&mut cx).is_pending());
    house.work();
    assert!(coming.as_mut().poll(&mut cx).is_pending(), "the record is that of the first");
    conclude(&house, broken);
    let Poll::Ready(Ok(second)) = coming.as_mut().poll(&mut cx) else { panic!("it was refused") };
    assert_eq!((wills(&store), house.broker.waiting_writes().0), (1, 0));
    assert_eq!(reader.payloads(), ["first"]);
    drop(second);
    house.work();
    assert_eq!(reader.payloads(), ["second"]);
    assert_eq!(wills(&store), 0);
}

fn exactly(dup: bool) -> Packet {
    Packet::Publish(Box::new(Publish {
        qos: QoS::ExactlyOnce,
        dup,
        topic: Text::from_static("t"),
        packet_id: PacketId::new(7),
        payload: Bytes::from_static(b"x"),
        ..Publish::default()
    }))
}

/// PUBREC says that the message is ours: it is not, as long as nobody knows what becomes of its first copy.
#[test]
fn a_message_of_qos_2_that_comes_again_before_its_first_copy_is_handed_in_is_not_received() {
    let house = oasis(&MemoryStore::new());
    let mut reader = house.client_with("r", Version::V5, lasting);
    reader.subscribe("t", QoS::ExactlyOnce);
    let mut client = house.client_with("c", Version::V5, lasting);
    client.send([exactly(false)]);
    // The thread that took it in has not handed it in yet, and the client is back on another connection.
    house.broker.0.committer.forget_all_but(0);
    let mut again = house.client_with("c", Version::V5, lasting);
    again.send([exactly(true)]);
    house.work();
    let received = |packets: &[Packet]| packets.iter().any(|packet| matches!(packet, Packet::PubRec(_)));
    let packets = again.take();
    assert!(!received(&packets) && matches!(packets.last(), Some(Packet::Disconnect(_))), "{packets:?}");
    // It stood behind the end of its connection: it is new.
    let cell = house.broker.0.directory.find("c").unwrap();
    cell.enter(|seat| seat.kept.as_mut().unwrap().session.forget_received(PacketId::new(7).unwrap()));
    let mut again = house.client_with("c", Version::V5, lasting);
    again.send([exactly(true)]);
    house.work();
    assert!(received(&again.take()));
    drop(client);
}

/// The same of a start: it is tried again by whoever starts the process, and does not hang.
#[test]
fn a_start_whose_wills_cannot_be_written_fails() {
    let (store, memory) = (MemoryStore::new(), Arc::new(MemoryJournal::new()));
    let house = on(&store, memory.clone());
    let mut heir = house.client_with("heir", Version::V5, lasting);
    heir.subscribe("gone", QoS::AtLeastOnce);
    let _client = house.client_with("c", Version::V5, |connect| connect.will = will("gone", "c"));
    let journal = Watched { journal: MemoryJournal::new(), appends: || false, trims: true };
    let next = on(&store, Arc::new(journal));
    let recovering = std::pin::pin!(next.broker.recover(next.now()));
    let mut cx = Context::from_waker(Waker::noop());
    assert!(matches!(recovering.poll(&mut cx), Poll::Ready(Err(_))));
    assert_eq!(wills(&store), 1);
}

/// What the client has and may not have any more is released, and that has to be on the disk, too, before it is accepted.
#[test]
fn the_session_is_what_it_was_if_only_the_second_write_fails() {
    let store = MemoryStore::new();
    let house = oasis(&store);
    let device = house.device("dev", WIDE);
    let mut asked = connect("c", Version::V5);
    lasting(&mut asked);
    let mut client = house.try_connect(House::credential(&device), asked).unwrap();
    client.connack();
    client.subscribe("t", QoS::ExactlyOnce);
    house.client("p", Version::V5).send([exactly(false)]);
    house.work();
    assert_eq!(client.payloads(), ["x"]);
    client.cut();
    house.set_policy("dev", SILENT);
    house.work();
    let (now, mut cx) = (house.now(), Context::from_waker(Waker::noop()));
    let clock = move || now;
    let who = House::credential(&device);
    let coming = house.broker.connect(Box::new(short("c")), who, House::link(), &clock);
    let mut coming = std::pin::pin!(coming);
    assert!(coming.as_mut().poll(&mut cx).is_pending());
    house.work();
    store.fail("full");
    assert!(coming.as_mut().poll(&mut cx).is_pending(), "its first write is done, and there is a second one");
    house.work();
    assert!(matches!(coming.as_mut().poll(&mut cx), Poll::Ready(Err(_))));
    store.recover();
    house.pass(1);
    house.work();
    let mut client = house.try_connect(House::credential(&device), short("c")).unwrap();
    assert!(client.connack().session_present);
}

/// An MQTT 3.1.1 client sends again when its PUBREC is late, and then has it.
#[test]
fn who_repeats_on_the_same_connection_and_releases_stays() {
    let house = oasis(&MemoryStore::new());
    let mut reader = house.client("r", Version::V5);
    reader.subscribe("t", QoS::AtMostOnce);
    let mut client = house.client_with("c", Version::V311, |connect| connect.clean_start = false);
    let released = || Packet::PubRel(mqtt::Ack::new(PacketId::new(7).unwrap(), mqtt::ReasonCode::Success));
    client.send([exactly(false)]);
    house.work();
    client.send([exactly(true), released()]);
    house.work();
    client.send([exactly(false), exactly(true), released()]);
    house.work();
    assert!(!client.closed, "{:?}", house.events());
    assert!(!house.heard("connection.ended"), "{:?}", house.events());
    assert_eq!(reader.payloads(), ["x", "x"]);
}
