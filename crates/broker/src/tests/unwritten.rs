//! What could not be written at once is not forgotten.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Wake;

use bytes::Bytes;
use dialect::Dialect;
use mqtt::{Connect, Packet, QoS, ReasonCode, Version};
use store::memory::{MemoryJournal, MemoryStore};
use store::{Append, Journal, Key, Recipient, Store, block_on};

use super::feed::following;
use super::house::{House, Watched, connect, publish, will};
use crate::Deletion;

const WIDE: &str =
    r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"iot:*","Resource":"*"}]}"#;
const SILENT: &str = r#"{"Version":"2012-10-17","Statement":[
    {"Effect":"Allow","Action":["iot:Connect","iot:Subscribe"],"Resource":"*"}]}"#;

/// A disk that outlives the houses on it.
pub(super) struct Disk(pub MemoryStore, pub Arc<MemoryJournal>);

impl Disk {
    pub(super) fn new() -> Self {
        Self(MemoryStore::new(), Arc::default())
    }

    pub(super) fn house(&self) -> Arc<House> {
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
fn a_stored_retained_message_has_its_place_whatever_the_limit_has_become() {
    let disk = Disk::new();
    let house = disk.house();
    let mut client = house.client("c", Version::V5);
    client.send(["r/1", "r/2"].map(|topic| publish(topic, "kept", QoS::AtLeastOnce, true)));
    house.work();
    let house = House::on(Arc::new(disk.0.clone()), Some(disk.1.clone()), |dialect| {
        dialect.limits_mut().retained_messages = 1;
    });
    house.drive(house.broker.recover(house.now())).unwrap();
    let mut reader = house.client("r", Version::V5);
    for topic in ["r/1", "r/2"] {
        let found = reader.subscribe(topic, QoS::AtMostOnce);
        assert!(found.iter().any(|packet| matches!(packet, Packet::Publish(_))), "{found:?}");
    }
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
fn a_recovered_will_is_judged_by_what_its_certificate_says() {
    const DOCUMENT: &str = r#"{"Version":"2012-10-17","Statement":[
        {"Effect":"Allow","Action":"iot:*","Resource":"*"},
        {"Effect":"Deny","Action":"iot:Publish","Resource":"*",
         "Condition":{"StringEquals":{"iot:Certificate.Subject.CommonName":"NAME"}}}]}"#;
    for (denied, waiting) in [("house", &[][..]), ("another", &["dev"][..])] {
        let disk = Disk::new();
        let house = disk.house();
        let mut watcher = house.client_with("w", Version::V311, |connect| connect.clean_start = false);
        watcher.subscribe("gone", QoS::AtLeastOnce);
        watcher.cut();
        // Its credential says nothing of the certificate, so that the record alone can.
        let id = house.device("dev", &DOCUMENT.replace("NAME", denied));
        let mut asked = connect("dev", Version::V311);
        asked.will = will("gone", "dev");
        let mut client = house.try_connect(House::credential(&id), asked).unwrap();
        client.connack();
        house.work();
        // The process dies while it is connected.
        let after = disk.house();
        let mut watcher = after.client_with("w", Version::V311, |connect| connect.clean_start = false);
        assert_eq!(watcher.payloads(), waiting, "{denied}");
    }
}

#[test]
fn a_will_whose_certificate_cannot_be_read_is_not_published() {
    let disk = Disk::new();
    let house = disk.house();
    let id = house.device("dev", WIDE);
    let mut asked = connect("dev", Version::V311);
    asked.will = will("gone", "dev");
    let mut client = house.try_connect(House::credential(&id), asked).unwrap();
    client.connack();
    house.work();
    house.set_pem(&id, "damaged");
    let after = House::on(Arc::new(disk.0.clone()), Some(disk.1.clone()), |_| {});
    let refused = after.drive(after.broker.recover(after.now())).unwrap_err();
    assert!(matches!(refused, store::StoreError::Unreadable { .. }), "{refused}");
}

/// What a waker does: the broker's loops go round.
struct GoesRound(Arc<House>);

impl Wake for GoesRound {
    fn wake(self: Arc<Self>) {
        self.0.work();
    }
}

#[test]
fn the_journal_of_a_session_that_is_deleted_while_its_record_is_written_is_forgotten() {
    let disk = Disk::new();
    let house =
        House::on(Arc::new(disk.0.clone()), Some(disk.1.clone()), |dialect| *dialect = Dialect::oasis());
    let mut watcher = house.client("watcher", Version::V5);
    watcher.subscribe("gone", QoS::AtMostOnce);
    let mut client = house.client_with("c", Version::V5, |asked| {
        asked.properties.session_expiry_interval = Some(600);
        asked.will = will("gone", "c");
        asked.will.as_mut().unwrap().delay_interval = Some(30);
    });
    client.subscribe("t", QoS::AtLeastOnce);
    client.cut();
    house.client("p", Version::V5).publish("t", "waits", QoS::AtLeastOnce);
    house.work();
    assert_eq!(disk.queues().len(), 1);
    // The will that goes with the session is sent, and the record of the session is gone before its journal is given up.
    watcher.sleeps(&Arc::new(GoesRound(house.clone())).into());
    let clean = Deletion { clean_session: true, prevent_will: false };
    house.drive(house.broker.delete_connection("c", clean, house.now())).unwrap();
    assert_eq!(watcher.payloads(), ["c"]);
    house.pass(1);
    house.work();
    assert_eq!(disk.queues(), BTreeSet::new());
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

#[test]
fn a_retained_message_that_could_not_be_written_is_written_later() {
    let disk = Disk::new();
    let house = disk.house();
    let mut client = house.client("c", Version::V5);
    for topic in ["deleted", "replaced"] {
        client.send([publish(topic, "before", QoS::AtLeastOnce, true)]);
    }
    house.work();
    disk.0.fail("full");
    client.send([publish("deleted", "", QoS::AtMostOnce, true)]);
    client.send([publish("replaced", "after", QoS::AtMostOnce, true)]);
    house.work();
    assert!(house.broker.waiting_writes().0 > 0, "they wait for another try");
    disk.0.recover();
    house.pass(1);
    house.work();
    assert_eq!(house.broker.waiting_writes().0, 0);
    let mut reader = disk.house().client("r", Version::V5);
    let brings = |packet: &Packet| matches!(packet, Packet::Publish(publish) if publish.payload == "after");
    assert_eq!(reader.subscribe("deleted", QoS::AtMostOnce).len(), 1, "SUBACK, and nothing else");
    assert!(reader.subscribe("replaced", QoS::AtMostOnce).iter().any(brings));
}

#[test]
fn a_retained_message_that_has_expired_leaves_the_disk_when_somebody_looks() {
    let disk = Disk::new();
    let house = disk.house();
    let mut client = house.client("c", Version::V5);
    let mut passing = publish("t", "passing", QoS::AtLeastOnce, true);
    if let Packet::Publish(publish) = &mut passing {
        publish.message_expiry_interval = Some(60);
    }
    client.send([passing]);
    house.work();
    let stored = || block_on(disk.0.scan(records::RETAINED, &[], None, 10)).unwrap().len();
    assert_eq!(stored(), 1);
    house.pass(61);
    client.subscribe("t", QoS::AtMostOnce);
    house.work();
    assert_eq!(stored(), 0);
}

/// The process may die between the two.
#[test]
fn the_record_of_a_will_goes_after_the_will_is_where_it_has_to_be() {
    let store = MemoryStore::new();
    let (seen, disk) = (Arc::new(AtomicBool::new(false)), store.clone());
    let note = seen.clone();
    let appends = move || {
        let wills = block_on(disk.scan(records::WILLS.space(), &[], None, 10)).unwrap();
        note.store(!wills.is_empty(), Ordering::Relaxed);
        true
    };
    let journal = Watched { journal: MemoryJournal::new(), appends, trims: true };
    let house = House::on(Arc::new(store.clone()), Some(Arc::new(journal)), |_| {});
    let mut heir = house.client_with("heir", Version::V311, |connect| connect.clean_start = false);
    heir.subscribe("gone", QoS::AtLeastOnce);
    heir.cut();
    let mut client = house.client_with("c", Version::V5, |connect| connect.will = will("gone", "c"));
    client.cut();
    house.work();
    assert!(seen.load(Ordering::Relaxed), "the record was there when the will went into the journal");
    assert!(block_on(store.scan(records::WILLS.space(), &[], None, 10)).unwrap().is_empty());
    let mut heir = house.client_with("heir", Version::V311, |connect| connect.clean_start = false);
    assert_eq!(heir.payloads(), ["c"]);
}

#[test]
fn a_will_that_waits_for_its_delay_waits_on_after_a_restart() {
    let disk = Disk::new();
    let oasis = || {
        let on = Arc::new(disk.0.clone());
        let house = House::on(on, Some(disk.1.clone()), |dialect| *dialect = Dialect::oasis());
        house.drive(house.broker.recover(house.now())).unwrap();
        house
    };
    let comes = |house: &Arc<House>| {
        house.client_with("c", Version::V5, |connect| {
            connect.clean_start = false;
            connect.properties.session_expiry_interval = Some(600);
            connect.will = will("gone", "c");
            connect.will.as_mut().unwrap().delay_interval = Some(30);
        })
    };
    // It ended before the process died, or with it; it comes back, or not.
    for (cut, back) in [(true, false), (false, false), (true, true)] {
        let house = oasis();
        let mut client = comes(&house);
        if cut {
            client.cut();
        }
        house.work();
        drop(client);
        let house = oasis();
        house.pass(29);
        house.work();
        assert!(!house.heard("will.published"), "{:?}", house.events());
        if back {
            let mut client = comes(&house);
            house.pass(5);
            assert!(!house.heard("will.published"), "its client is back");
            client.goodbye(ReasonCode::Success);
            house.work();
            continue;
        }
        house.pass(2);
        house.work();
        assert!(house.heard("will.published"), "{:?}", house.events());
        assert!(block_on(disk.0.scan(records::WILLS.space(), &[], None, 10)).unwrap().is_empty());
    }
}

/// If the process died within that write the session would be back, although its client had heard that there is none.
#[test]
fn who_comes_before_the_end_of_a_session_is_written_waits_for_that() {
    let disk = Disk::new();
    let house = disk.house();
    let lasting = |connect: &mut Connect| connect.properties.session_expiry_interval = Some(60);
    house.client_with("c", Version::V5, lasting).cut();
    house.work();
    disk.0.fail("full");
    house.pass(61);
    house.work();
    assert!(house.heard("session.expired"), "{:?}", house.events());
    assert!(
        house.try_connect(House::anybody(), connect("c", Version::V5)).is_err(),
        "it may be stored still"
    );
    assert_eq!(house.broker.footprint().clients, 1);
    disk.0.recover();
    house.pass(1);
    house.work();
    assert_eq!(house.broker.footprint().clients, 0, "written, and gone");
    let house = disk.house();
    assert_eq!(house.broker.footprint().clients, 0);
    let mut client = house.try_connect(House::anybody(), connect("c", Version::V5)).unwrap();
    assert!(!client.connack().session_present);
}

#[test]
fn who_is_refused_for_the_disk_is_sent_nothing_and_nothing_is_told() {
    let disk = Disk::new();
    let house = disk.house();
    let lasting = |connect: &mut Connect| connect.clean_start = false;
    let mut client = house.client_with("c", Version::V311, lasting);
    client.subscribe("t", QoS::AtLeastOnce);
    house.client("p", Version::V5).publish("t", "on its way", QoS::AtLeastOnce);
    house.work();
    assert_eq!(client.payloads(), ["on its way"]);
    client.cut();
    house.client("p", Version::V5).publish("t", "waits", QoS::AtLeastOnce);
    house.work();
    let told = |house: &House| house.events().iter().filter(|event| event.contains("publish.")).count();
    let before = told(&house);
    disk.0.fail("full");
    let mut asked = connect("c", Version::V311);
    asked.clean_start = false;
    assert!(house.try_connect(House::anybody(), asked).is_err());
    house.work();
    assert_eq!(told(&house), before, "{:?}", house.events());
    disk.0.recover();
    let mut client = house.client_with("c", Version::V311, lasting);
    house.work();
    assert_eq!(client.payloads(), ["on its way", "waits"]);
}

/// What any dialect lets in the store takes.
#[test]
fn what_may_be_said_can_be_stored() {
    let dialect = Dialect::oasis();
    let limits = dialect.limits();
    let travels = limits.content_type_bytes + limits.correlation_data_bytes + limits.user_properties_bytes;
    let heads = 1024;
    let message = limits.payload_bytes + 2 * limits.topic_bytes + travels + heads;
    assert!(message <= Append::MAX_BODY_BYTES, "{message} bytes");
    let long = "x".repeat(limits.topic_bytes);
    let shared = format!("$share/{}/{long}", "n".repeat(100));
    for dialect in [Dialect::oasis(), Dialect::aws()] {
        let filter = session::check::subscribe_filter(&shared.as_str().try_into().unwrap(), &dialect);
        let queues = dialect.has(dialect::Divergence::SharedGroupQueue);
        assert!(filter.is_err() || !queues, "it would name a queue");
    }
    let client_id = identity::ClientId::new(&"c".repeat(limits.client_id_bytes)).unwrap();
    let names = [
        Key::of(&[&long]),
        records::client_key(&client_id),
        records::journal_key(&client_id, &"u".repeat(36)),
        records::received_key(&client_id, &"u".repeat(36)),
        Key::of(&["$group", &"f".repeat(960), "queued"]),
    ];
    for name in names {
        assert!(name.as_bytes().len() <= Key::MAX_BYTES, "{} bytes", name.as_bytes().len());
    }
}

/// As much as one read of a client brings is more than one batch of the store takes.
#[test]
fn many_large_retained_messages_of_one_read_are_written() {
    let disk = Disk::new();
    let house = House::on(Arc::new(disk.0.clone()), Some(disk.1.clone()), |d| *d = Dialect::oasis());
    let mut client = house.client("c", Version::V5);
    let large = |number: usize| {
        let mut packet = publish(&format!("t/{number}"), "", QoS::AtLeastOnce, true);
        if let Packet::Publish(publish) = &mut packet {
            publish.payload = vec![b'x'; 700_000].into();
        }
        packet
    };
    client.send((0..40).map(large));
    house.work();
    assert_eq!(house.broker.waiting_writes().0, 0, "{:?}", house.events());
    let next = House::on(Arc::new(disk.0.clone()), Some(disk.1.clone()), |_| {});
    assert_eq!(next.drive(next.broker.recover(next.now())).unwrap(), (0, 40));
}
