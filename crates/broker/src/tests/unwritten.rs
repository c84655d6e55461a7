//! What could not be written at once is not forgotten.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use dialect::Dialect;
use mqtt::{QoS, ReasonCode, Version};
use store::memory::{MemoryJournal, MemoryStore};
use store::{Append, Batch, Journal, Key, Position, Recipient, Store, block_on};

use super::feed::following;
use super::house::{House, connect, will};
use records::ABANDONED;

const WIDE: &str =
    r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"iot:*","Resource":"*"}]}"#;
const SILENT: &str = r#"{"Version":"2012-10-17","Statement":[
    {"Effect":"Allow","Action":["iot:Connect","iot:Subscribe"],"Resource":"*"}]}"#;

/// A disk that outlives the houses on it.
struct Disk(MemoryStore, Arc<MemoryJournal>);

impl Disk {
    fn new() -> Self {
        Self(MemoryStore::new(), Arc::default())
    }

    fn house(&self) -> Arc<House> {
        let house = House::on(Arc::new(self.0.clone()), Some(self.1.clone()), |_| {});
        house.drive(house.broker.recover(house.now())).unwrap();
        house
    }

    fn abandoned(&self) -> Vec<Key> {
        let found = block_on(ABANDONED.scan(&self.0, &Key::EMPTY, None, 100)).unwrap();
        found.into_iter().map(|found| found.key).collect()
    }
}

#[test]
fn a_goodbye_that_could_not_be_written_is_written_later() {
    let disk = Disk::new();
    let house = disk.house();
    let mut client = house.client_with("c", Version::V311, |connect| {
        connect.clean_start = false;
        connect.will = will("gone", "c");
    });
    disk.0.fail("full");
    client.goodbye(ReasonCode::Success);
    house.work();
    assert_eq!(house.broker.waiting_writes().0, 1, "it waits for another try");
    disk.0.recover();
    house.pass(1);
    house.work();
    assert_eq!(house.broker.waiting_writes().0, 0);
    assert!(!disk.house().heard("will.published"), "the client said goodbye");
}

#[test]
fn the_end_of_the_broker_is_one_more_try() {
    let disk = Disk::new();
    let house = disk.house();
    let mut client = house.client_with("c", Version::V311, |connect| connect.will = will("gone", "c"));
    disk.0.fail("full");
    client.goodbye(ReasonCode::Success);
    house.work();
    disk.0.recover();
    house.broker.finish();
    let now = house.now();
    block_on(house.broker.work(&move || now));
    assert!(!disk.house().heard("will.published"));
}

#[test]
fn the_store_names_the_journal_of_a_session_that_is_over_until_it_is_empty() {
    let disk = Disk::new();
    let house = disk.house();
    let mut client = house.client_with("c", Version::V311, |connect| connect.clean_start = false);
    client.subscribe("t", QoS::AtLeastOnce);
    client.cut();
    house.client("p", Version::V5).publish("t", "waits", QoS::AtLeastOnce);
    house.work();
    // A clean start ends the session, and the process dies before its journal is trimmed.
    let clean = house.client_with("c", Version::V311, |connect| connect.clean_start = true);
    let named = disk.abandoned();
    assert_eq!(named.len(), 1);
    assert_eq!(block_on(disk.1.read(&named[0], Position::START, 10)).unwrap().len(), 1);
    drop(clean);
    let again = disk.house();
    for _ in 0..2 {
        again.pass(1);
        again.work();
    }
    assert_eq!(block_on(disk.1.read(&named[0], Position::START, 10)).unwrap(), []);
    assert!(disk.abandoned().is_empty());
}

#[test]
fn the_rows_of_a_group_without_members_are_found_at_the_start() {
    let disk = Disk::new();
    let house = disk.house();
    let mut member = house.client_with("m", Version::V311, |connect| connect.clean_start = false);
    member.subscribe("$share/g/t", QoS::AtLeastOnce);
    member.cut();
    house.client("p", Version::V5).publish("t", "waits", QoS::AtLeastOnce);
    house.work();
    let rows = || block_on(disk.1.queues(&Key::of(&["$group"]), None, 10)).unwrap();
    let [kept] = &rows()[..] else { panic!("{:?}", rows()) };
    // The process died before it could trim what another group had left. A client has the name that rows begin with.
    let over = Key::of(&["$group", "$share/over/t", "live"]);
    let client = records::journal_key(&"$group".parse().unwrap(), "incarnation");
    let to = [&over, &client].map(|key| Recipient { session: key.clone(), tag: Bytes::new() });
    block_on(disk.1.append(vec![Append { body: Bytes::new(), to: to.to_vec() }])).unwrap();
    assert_eq!(rows().len(), 3);
    // Where an older version named rows, the living stay as well.
    let mut notes = Batch::new();
    [kept, &over].iter().for_each(|row| ABANDONED.put(&mut notes, row, &true));
    block_on(disk.0.commit(notes)).unwrap();
    let again = disk.house();
    for _ in 0..2 {
        again.pass(1);
        again.work();
    }
    assert_eq!(BTreeSet::from_iter(rows()), BTreeSet::from([kept.clone(), client]));
    assert!(disk.abandoned().is_empty());
}

#[test]
fn a_delayed_will_whose_policies_could_not_be_read_is_refused() {
    let store = MemoryStore::new();
    let house = House::on(Arc::new(store.clone()), None, |dialect| *dialect = Dialect::oasis());
    let id = house.device("dev", WIDE);
    let mut asked = connect("dev", Version::V5);
    asked.properties.session_expiry_interval = Some(600);
    asked.will = will("gone", "dev");
    asked.will.as_mut().unwrap().delay_interval = Some(30);
    let mut client = house.try_connect(House::credential(&id), asked).unwrap();
    client.connack();
    client.cut();
    following(&house, |turn| {
        if turn == 0 {
            house.set_policy("dev", SILENT);
            store.fail("for a moment");
        }
    });
    store.recover();
    house.pass(31);
    assert!(!house.heard("will.published"), "{:?}", house.events());
    assert!(house.heard("its policies could not be read"), "{:?}", house.events());
}
