//! What others do between two steps of one: another thread, a group of writes that ends there, a disk that fails for a moment.
//! By hand, step by step.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use bytes::Bytes;
use dialect::{Dialect, DisconnectReason, Divergence};
use identity::ClientId;
use mqtt::{Connect, Packet, PacketId, Publish, QoS, ReasonCode, Text, Version};
use quirks::{Quirk, Rule, Rules};
use router::Matches;
use store::memory::{MemoryJournal, MemoryStore};
use store::{Append, Journal, Recipient, Store, block_on};

use super::house::{House, Watched, connect, publish, will};
use crate::cell::{Cell, Ended, Subscriber};
use crate::durable::{Job, Then};
use crate::publish::{Fate, Report, Waits};
use crate::report::Departure;

const NARROW: &str = r#"{"Version":"2012-10-17","Statement":[
    {"Effect":"Allow","Action":["iot:Connect","iot:Subscribe","iot:Receive"],"Resource":"*"},
    {"Effect":"Allow","Action":"iot:Publish","Resource":"arn:aws:iot:eu-west-1:123456789012:topic/may/*"}]}"#;

pub(super) fn wills(store: &MemoryStore) -> usize {
    block_on(store.scan(records::WILLS.space(), &[], None, 10)).unwrap().len()
}

/// Somebody with a session for the topic goes away.
fn heir(house: &Arc<House>, topic: &str) {
    let mut heir = house.client_with("heir", Version::V311, |connect| connect.clean_start = false);
    heir.subscribe(topic, QoS::ExactlyOnce);
    heir.cut();
}

/// What waits for them.
fn inherited(house: &Arc<House>) -> Vec<String> {
    let mut heir = house.client_with("heir", Version::V311, |connect| connect.clean_start = false);
    house.work();
    heir.payloads()
}

/// The link of a client breaks, up to where its cell is left; its will is in our hands.
pub(super) fn breaks(house: &House, client_id: &str) -> (Arc<Cell>, Ended) {
    let (cell, now) = (house.broker.0.directory.find(client_id).unwrap(), house.now());
    let ended = cell.enter(|seat| {
        let live = seat.live.take().unwrap();
        seat.conclude(live, &house.broker.0.dialect, now).0
    });
    (cell, ended)
}

pub(super) fn conclude(house: &House, (cell, ended): (Arc<Cell>, Ended)) {
    let departure = Departure::because(DisconnectReason::ConnectionLost, &"its link broke");
    house.broker.0.conclude(&cell, ended, &departure, house.now());
    house.work();
}

#[test]
fn the_record_of_a_will_stays_while_the_will_is_in_somebodys_hands() {
    let store = MemoryStore::new();
    let house = House::on(Arc::new(store.clone()), Some(Arc::<MemoryJournal>::default()), |_| {});
    heir(&house, "gone");
    let _client = house.client_with("c", Version::V5, |connect| connect.will = will("gone", "c"));
    let broken = breaks(&house, "c");
    // A write of its records that was asked for before, or by DeleteConnection.
    house.broker.0.committer.submit(Job::save(&broken.0, Then::Rest));
    house.work();
    assert_eq!(wills(&store), 1, "the will is nowhere else");
    conclude(&house, broken);
    assert_eq!(wills(&store), 0);
    assert_eq!(inherited(&house), ["c"]);
}

#[test]
fn a_will_that_could_not_be_written_is_written_again_and_its_record_goes_then() {
    let (store, works) = (MemoryStore::new(), Arc::new(AtomicBool::new(true)));
    let does = works.clone();
    let appends = move || does.load(Ordering::Relaxed);
    let journal = Watched { journal: MemoryJournal::new(), appends, trims: true };
    let house = House::on(Arc::new(store.clone()), Some(Arc::new(journal)), |_| {});
    heir(&house, "gone");
    let mut client = house.client_with("c", Version::V5, |connect| connect.will = will("gone", "c"));
    works.store(false, Ordering::Relaxed);
    client.cut();
    house.pass(1);
    house.work();
    assert!(house.broker.waiting_writes().0 > 0, "it waits for another try");
    assert_eq!(wills(&store), 1, "if the process died now it would be published by the next one");
    // There is one record of a client: who brings another will has to wait, though not for ever.
    let mut again = connect("c", Version::V5);
    again.will = will("gone", "another");
    let (now, mut cx) = (house.now(), Context::from_waker(Waker::noop()));
    let clock = move || now;
    let mut again =
        std::pin::pin!(house.broker.connect(Box::new(again), House::anybody(), House::link(), &clock));
    assert!(again.as_mut().poll(&mut cx).is_pending());
    house.work();
    assert!(again.as_mut().poll(&mut cx).is_pending(), "the earlier one may still be written");
    house.pass(1);
    house.work();
    assert!(matches!(again.as_mut().poll(&mut cx), Poll::Ready(Err(_))));
    works.store(true, Ordering::Relaxed);
    house.pass(1);
    house.work();
    assert_eq!((house.broker.waiting_writes().0, wills(&store)), (0, 0));
    assert_eq!(inherited(&house), ["c"]);
}

#[test]
fn a_retained_will_that_could_not_be_written_is_written_again_and_its_record_goes_then() {
    let store = MemoryStore::new();
    let house = House::on(Arc::new(store.clone()), Some(Arc::<MemoryJournal>::default()), |_| {});
    let mut client = house.client_with("c", Version::V5, |connect| {
        connect.will = will("gone", "c");
        connect.will.iter_mut().for_each(|will| will.retain = true);
    });
    store.fail("full");
    client.cut();
    house.work();
    store.recover();
    assert_eq!(wills(&store), 1);
    house.pass(1);
    house.work();
    assert_eq!((house.broker.waiting_writes().0, wills(&store)), (0, 0));
    let retained = block_on(store.scan(records::RETAINED, &[], None, 10)).unwrap();
    assert_eq!(retained.len(), 1);
}

/// Nothing was agreed on: it has no will either.
#[test]
fn who_loses_its_seat_before_it_is_accepted_is_refused_and_has_no_will() {
    let store = MemoryStore::new();
    let house = House::on(Arc::new(store.clone()), Some(Arc::<MemoryJournal>::default()), |_| {});
    let now = house.now();
    let clock = move || now;
    let mut asked = connect("c", Version::V5);
    asked.will = will("gone", "first");
    let first = house.broker.connect(Box::new(asked), House::anybody(), House::link(), &clock);
    let mut first = std::pin::pin!(first);
    let mut cx = Context::from_waker(Waker::noop());
    assert!(first.as_mut().poll(&mut cx).is_pending(), "its will is not on the disk yet");
    let second = house.client("c", Version::V5);
    assert!(matches!(first.as_mut().poll(&mut cx), Poll::Ready(Err(_))));
    house.work();
    assert!(!house.heard("will.published"), "{:?}", house.events());
    assert_eq!(wills(&store), 0);
    drop(second);
}

/// What DeleteConnection answers is on the disk: also that there is no will.
#[test]
fn a_will_that_was_prevented_has_no_record_when_that_is_answered() {
    let store = MemoryStore::new();
    let house = House::on(Arc::new(store.clone()), Some(Arc::<MemoryJournal>::default()), |_| {});
    heir(&house, "gone");
    let _client = house.client_with("c", Version::V5, |connect| connect.will = will("gone", "c"));
    house.work();
    assert_eq!(wills(&store), 1);
    let deletion = crate::Deletion { prevent_will: true, ..Default::default() };
    let deleting = house.broker.delete_connection("c", deletion, house.now());
    let mut deleting = std::pin::pin!(deleting);
    let mut cx = Context::from_waker(Waker::noop());
    assert!(deleting.as_mut().poll(&mut cx).is_pending());
    // Of what was handed in only the first job is written: what comes later may never come.
    house.broker.0.committer.forget_all_but(1);
    house.work();
    assert!(deleting.as_mut().poll(&mut cx).is_ready());
    assert_eq!(wills(&store), 0);
    assert!(inherited(&house).is_empty());
}

fn oasis() -> Arc<House> {
    House::on(Arc::new(MemoryStore::new()), Some(Arc::<MemoryJournal>::default()), |dialect| {
        *dialect = Dialect::oasis();
    })
}

pub(super) fn with_delayed_will(connect: &mut Connect) {
    connect.clean_start = false;
    connect.properties.session_expiry_interval = Some(600);
    connect.will = will("gone", "c");
    connect.will.iter_mut().for_each(|will| will.delay_interval = Some(60));
}

#[test]
fn a_delayed_will_goes_out_if_its_session_is_over_before_anybody_could_keep_it() {
    let house = oasis();
    let _client = house.client_with("c", Version::V5, with_delayed_will);
    let broken = breaks(&house, "c");
    let _again = house.client("c", Version::V5);
    conclude(&house, broken);
    assert!(house.heard("will.published"), "[MQTT-3.1.3-9] {:?}", house.events());
}

#[test]
fn a_delayed_will_does_not_go_out_if_its_client_was_back_before_anybody_could_keep_it() {
    let house = oasis();
    let _client = house.client_with("c", Version::V5, with_delayed_will);
    let broken = breaks(&house, "c");
    let mut again = house.client_with("c", Version::V5, |connect| {
        with_delayed_will(connect);
        connect.will = None;
    });
    again.goodbye(ReasonCode::Success);
    conclude(&house, broken);
    house.pass(100);
    house.work();
    assert!(!house.heard("will.published"), "{:?}", house.events());
}

#[test]
fn what_comes_late_into_the_journal_of_a_session_that_is_over_is_forgotten() {
    let (store, memory) = (MemoryStore::new(), Arc::new(MemoryJournal::new()));
    let house = House::on(Arc::new(store), Some(memory.clone()), |_| {});
    let client = house.client("c", Version::V5);
    let inner = &house.broker.0;
    let cell = inner.directory.find("c").unwrap();
    let session = records::journal_key(&ClientId::new("c").unwrap(), "before");
    let target = Subscriber { cell, session: 4711, from: Default::default() };
    let to = vec![Recipient { session: session.clone(), tag: Bytes::new() }];
    let appends = vec![(Append { body: Bytes::new(), to }, vec![Waits::Session(target, session, 1)])];
    inner.committer.submit(Job { appends, ..Job::new(Then::Rest) });
    for _ in 0..2 {
        house.work();
        house.pass(1);
    }
    assert!(block_on(memory.queues(None, 10)).unwrap().is_empty());
    drop(client);
}

#[test]
fn what_of_qos_2_stood_behind_the_end_of_its_connection_is_new_when_it_comes_again() {
    let house = House::on(Arc::new(MemoryStore::new()), Some(Arc::<MemoryJournal>::default()), |dialect| {
        *dialect = Dialect::oasis();
        dialect.set(Divergence::DisconnectOnDenyV3, true);
    });
    let device = house.device("narrow", NARROW);
    let mut reader = house.client("r", Version::V5);
    reader.subscribe("may/a", QoS::ExactlyOnce);
    let comes = || {
        let mut asked = connect("c", Version::V311);
        asked.clean_start = false;
        let mut client = house.try_connect(House::credential(&device), asked).unwrap();
        client.connack();
        client
    };
    let exactly = |topic, dup| {
        Packet::Publish(Box::new(Publish {
            qos: QoS::ExactlyOnce,
            dup,
            topic: Text::from_static(topic),
            packet_id: PacketId::new(7),
            payload: Bytes::from_static(b"x"),
            ..Publish::default()
        }))
    };
    let mut client = comes();
    client.send([publish("may/not", "x", QoS::AtMostOnce, false), exactly("may/a", false)]);
    assert_eq!(reader.payloads(), ["x"], "it is allowed");
    client.send([Packet::PubRel(mqtt::Ack::new(PacketId::new(7).unwrap(), ReasonCode::Success))]);
    client.send([publish("never", "x", QoS::AtLeastOnce, false), exactly("may/a", false)]);
    house.work();
    assert!(reader.payloads().is_empty(), "it stood behind the end");
    let mut client = comes();
    client.send([exactly("may/a", true)]);
    house.work();
    assert_eq!(reader.payloads(), ["x"]);
}

/// A journal that takes what `does` says, call by call.
fn house_with(
    appends: impl Fn() -> bool + Send + Sync + 'static,
) -> (Arc<House>, Arc<Watched<impl Fn() -> bool>>) {
    let journal = Arc::new(Watched { journal: MemoryJournal::new(), appends, trims: true });
    (House::on(Arc::new(MemoryStore::new()), Some(journal.clone()), |_| {}), journal)
}

/// Nobody sends it again: the broker is its publisher.
#[test]
fn an_event_that_could_not_be_written_is_written_again() {
    let works = Arc::new(AtomicBool::new(true));
    let does = works.clone();
    let (house, _) = house_with(move || does.load(Ordering::Relaxed));
    let mut ear = house.client_with("ear", Version::V311, |connect| connect.clean_start = false);
    ear.subscribe("$aws/events/presence/disconnected/c", QoS::AtLeastOnce);
    let mut client = house.client("c", Version::V5);
    works.store(false, Ordering::Relaxed);
    client.cut();
    house.work();
    works.store(true, Ordering::Relaxed);
    house.pass(1);
    house.work();
    assert_eq!(ear.messages().len(), 1);
    assert_eq!(house.broker.waiting_writes().0, 0);
}

/// It takes more than one call of the journal, and the second one fails.
#[test]
fn what_of_the_brokers_own_is_in_the_journal_is_not_written_again() {
    let calls = AtomicUsize::new(0);
    let (house, journal) = house_with(move || calls.fetch_add(1, Ordering::Relaxed) != 1);
    let c = ClientId::new("c").unwrap();
    let sessions: Vec<_> = (0..18_000).map(|at| records::journal_key(&c, &at.to_string())).collect();
    let append = |some: &[store::Key]| {
        let to = some.iter().map(|session| Recipient { session: session.clone(), tag: Bytes::new() });
        (Append { body: Bytes::new(), to: to.collect() }, Vec::new())
    };
    let appends = sessions.chunks(1_500).map(append).collect();
    house.broker.0.committer.submit(Job { appends, is_own: true, ..Job::new(Then::Rest) });
    for _ in 0..3 {
        house.work();
        house.pass(1);
    }
    let there = |session| block_on(journal.read(session, store::Position(0), 10)).unwrap().len();
    assert!(sessions.iter().all(|session| there(session) == 1));
    assert_eq!(house.broker.waiting_writes().0, 0);
}

/// Counts how often it is woken.
#[derive(Default)]
struct Counts(AtomicUsize);

impl Wake for Counts {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn who_gets_a_message_twice_on_demand_is_woken_for_the_second_one() {
    let house = House::new();
    let mut odd = house.client("odd", Version::V5);
    odd.subscribe("t", QoS::AtMostOnce);
    let row = Quirk::Qos0Duplicates.id().to_owned();
    let rule = Rule { row, client: "odd".to_owned(), probability: 1.0, seed: 0, up_to_seconds: None };
    house.broker.quirks().replace(Rules::new(vec![rule]).unwrap());
    let inner = &house.broker.0;
    let mut found = Matches::<Subscriber>::default();
    inner.routes.matches("t", &mut |_| None, &mut found);
    let message = mqtt::Message {
        topic: mqtt::TopicName::try_from("t").unwrap(),
        payload: Bytes::new(),
        qos: QoS::AtMostOnce,
        retain: false,
        properties: mqtt::Carried::default(),
        expires_at: None,
        published_by_v5: true,
    };
    let parcel = Arc::new(session::Parcel::new(message));
    let (qos, version) = (QoS::AtMostOnce, Version::V5);
    let report = Report { parcel, qos, standing: None, version, fate: Fate::Sent };
    // The first copy has gone out, and the driver went to sleep, before the second is asked for.
    let counts = Arc::new(Counts::default());
    odd.sleeps(&Waker::from(counts.clone()));
    inner.provoke_delivery(&found.direct[0], &report, false, house.now());
    assert_eq!(counts.0.load(Ordering::Relaxed), 1);
}
