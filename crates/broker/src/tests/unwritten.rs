//! What could not be written at once is not forgotten.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use dialect::Dialect;
use mqtt::{Connect, QoS, ReasonCode, Version};
use store::memory::{MemoryJournal, MemoryStore};
use store::{Append, Journal, Key, Recipient, block_on};

use super::feed::following;
use super::house::{House, connect, will};

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

    /// A house that has been at work for a while.
    fn start(&self) {
        let house = self.house();
        house.pass(1);
        house.work();
    }

    /// The queues of its journal.
    fn queues(&self) -> BTreeSet<Key> {
        block_on(self.1.queues(None, 100)).unwrap().into_iter().collect()
    }

    /// Something stands in these queues, whosever they are.
    fn append(&self, queues: impl IntoIterator<Item = Key>) {
        let to = queues.into_iter().map(|session| Recipient { session, tag: Bytes::new() }).collect();
        block_on(self.1.append(vec![Append { body: Bytes::new(), to }])).unwrap();
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
fn the_journal_of_a_session_that_is_over_is_found_at_the_start() {
    let disk = Disk::new();
    let house = disk.house();
    let lasting = |connect: &mut Connect| connect.clean_start = false;
    for name in ["c", "d"] {
        let mut client = house.client_with(name, Version::V311, lasting);
        client.subscribe("t", QoS::AtLeastOnce);
        client.cut();
    }
    house.client("p", Version::V5).publish("t", "waits", QoS::AtLeastOnce);
    house.work();
    let before = disk.queues();
    assert_eq!(before.len(), 2);
    // A clean start ends the session, and the process dies before its journal is trimmed.
    let clean = house.client_with("c", Version::V311, |connect| connect.clean_start = true);
    assert_eq!(disk.queues(), before);
    drop(clean);
    // The next session of the client has the name, but not the messages; a later version may know other queues.
    let (d, later) = (identity::ClientId::new("d").unwrap(), Key::of(&["of", "a", "later", "version"]));
    disk.append([records::journal_key(&d, "before"), records::received_key(&d, "before"), later.clone()]);
    disk.start();
    let kept =
        before.into_iter().find(|queue| records::owner(queue).is_some_and(|(id, _)| id.as_str() == "d"));
    assert_eq!(disk.queues(), BTreeSet::from([kept.unwrap(), later]));
}

#[test]
fn a_stored_session_has_its_place_whatever_the_limit_has_become() {
    let disk = Disk::new();
    let house = disk.house();
    for name in ["c", "d"] {
        let mut client = house.client_with(name, Version::V311, |connect| connect.clean_start = false);
        client.subscribe("t", QoS::AtLeastOnce);
        client.cut();
    }
    house.client("p", Version::V5).publish("t", "waits", QoS::AtLeastOnce);
    house.work();
    let house = House::on(Arc::new(disk.0.clone()), Some(disk.1.clone()), |dialect| {
        dialect.limits_mut().connections = 1;
    });
    house.drive(house.broker.recover(house.now())).unwrap();
    for name in ["c", "d"] {
        let mut client = house.client_with(name, Version::V311, |connect| connect.clean_start = false);
        assert_eq!(client.payloads(), ["waits"]);
    }
    let refused = house.try_connect(House::anybody(), connect("e", Version::V311));
    assert!(refused.is_err(), "there is no place for another one");
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
    let kept = disk.queues();
    assert_eq!(kept.len(), 1);
    // The process died before it could trim what another group had left.
    disk.append([Key::of(&["$group", "$share/over/t", "live"])]);
    assert_eq!(disk.queues().len(), 2);
    disk.start();
    assert_eq!(disk.queues(), kept);
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
