//! Connections over HTTP: ended, described, listed.

use std::sync::Arc;

use dialect::{DisconnectReason, QuotaProfile};
use mqtt::{Connect, Packet, QoS, ReasonCode, Version};
use store::memory::{MemoryJournal, MemoryStore};

use super::house::{Client, House, START, will};
use crate::{ConnectionDescription, ConnectionRefusal, ConnectionState, Deletion};

const ONE: QoS = QoS::AtLeastOnce;
const KEEP: Deletion = Deletion { clean_session: false, prevent_will: false };
const CLEAN: Deletion = Deletion { clean_session: true, prevent_will: false };

fn lasting(connect: &mut Connect) {
    connect.clean_start = false;
    if connect.version == Version::V5 {
        connect.properties.session_expiry_interval = Some(600);
    }
}

fn delete(house: &House, id: &str, deletion: Deletion) -> Result<(), ConnectionRefusal> {
    house.drive(house.broker.delete_connection(id, deletion, house.now()))
}

fn describe(house: &House, id: &str) -> Result<ConnectionDescription, ConnectionRefusal> {
    house.broker.describe_connection(id, house.now())
}

fn filters(house: &House, id: &str, after: Option<&str>, limit: usize) -> Vec<String> {
    let found = house.broker.subscriptions(id, after, limit, house.now()).unwrap();
    found.into_iter().map(|known| known.filter).collect()
}

fn reader(house: &Arc<House>) -> Client {
    let mut reader = house.client("reader", Version::V5);
    reader.subscribe("wills", ONE);
    reader
}

#[test]
fn a_connection_that_is_deleted_hears_why() {
    let house = House::new();
    for (version, last) in [(Version::V5, Some(ReasonCode::AdministrativeAction)), (Version::V311, None)] {
        let mut client = house.client("c", version);
        delete(&house, "c", KEEP).unwrap();
        let code = client.take().pop().map(|packet| match packet {
            Packet::Disconnect(disconnect) => disconnect.code,
            other => panic!("{other:?}"),
        });
        assert_eq!((code, client.closed), (last, true));
        assert!(house.heard("API_INITIATED_DISCONNECT"), "{:?}", house.events());
        assert!(matches!(delete(&house, "c", KEEP), Err(ConnectionRefusal::NotFound(_))));
        house.client("c", version);
    }
}

#[test]
fn a_will_is_sent_unless_it_is_prevented() {
    let house = House::new();
    let mut reader = reader(&house);
    for (prevent_will, sent) in [(false, 1), (true, 0)] {
        let _client = house.client_with("c", Version::V311, |asked| asked.will = will("wills", "gone"));
        delete(&house, "c", Deletion { prevent_will, ..KEEP }).unwrap();
        assert_eq!(reader.payloads().len(), sent);
    }
}

#[test]
fn a_session_stays_or_goes_with_all_that_waits() {
    for journaled in [false, true] {
        let journal = || Arc::new(MemoryJournal::new()) as Arc<dyn store::Journal>;
        let house = House::on(Arc::new(MemoryStore::new()), journaled.then(journal), |_| {});
        let mut publisher = house.client("publisher", Version::V5);
        for online in [true, false] {
            for (deletion, waits) in [(KEEP, 1), (CLEAN, 0)] {
                let mut client = house.client_with("c", Version::V5, lasting);
                client.subscribe("t", ONE);
                if !online {
                    client.cut();
                }
                delete(&house, "c", deletion).unwrap();
                publisher.publish("t", "x", ONE);
                publisher.take();
                let kept = house.broker.subscriptions("c", None, 9, house.now()).is_ok();
                assert_eq!(kept, waits == 1, "online {online}, {deletion:?}");
                let mut client = house.client_with("c", Version::V5, lasting);
                assert_eq!(client.payloads().len(), waits, "online {online}, {deletion:?}");
                client.goodbye(ReasonCode::Success);
                delete(&house, "c", CLEAN).unwrap();
            }
        }
    }
}

#[test]
fn a_session_that_was_deleted_does_not_come_back_from_the_disk() {
    let (store, journal) = (Arc::new(MemoryStore::new()), Arc::new(MemoryJournal::new()));
    let house = || House::on(store.clone(), Some(journal.clone()), |_| {});
    let before = house();
    for id in ["stays", "goes"] {
        let mut client = before.client_with(id, Version::V311, lasting);
        client.subscribe("t", ONE);
        client.cut();
    }
    delete(&before, "goes", CLEAN).unwrap();
    let after = house();
    after.drive(after.broker.recover(after.now())).unwrap();
    assert_eq!(filters(&after, "stays", None, 9), ["t"]);
    assert!(after.broker.subscriptions("goes", None, 9, after.now()).is_err());
    // Nobody remembers how it ended, but when.
    let found = describe(&after, "stays").unwrap();
    assert_eq!(found.state, ConnectionState::Disconnected { since: Some(START), reason: None });
    assert_eq!((found.clean_session, found.keep_alive), (false, None));
}

#[test]
fn a_clock_that_was_set_back_does_not_lengthen_a_session() {
    let (store, journal) = (Arc::new(MemoryStore::new()), Arc::new(MemoryJournal::new()));
    let house = || House::on(store.clone(), Some(journal.clone()), |_| {});
    let before = house();
    before.pass(3600);
    let mut client = before.client_with("c", Version::V5, lasting);
    client.subscribe("t", ONE);
    client.cut();
    before.work();
    // Its clock begins an hour before.
    let after = house();
    after.drive(after.broker.recover(after.now())).unwrap();
    after.pass(590);
    assert_eq!(filters(&after, "c", None, 9), ["t"]);
    after.pass(20);
    assert!(after.broker.subscriptions("c", None, 9, after.now()).is_err());
}

/// Acknowledgements of one wake are looked after together, and before what follows them.
#[test]
fn what_is_acknowledged_with_the_goodbye_does_not_come_again() {
    let (store, journal) = (Arc::new(MemoryStore::new()), Arc::new(MemoryJournal::new()));
    let house = || House::on(store.clone(), Some(journal.clone()), |_| {});
    let before = house();
    let mut client = before.client_with("c", Version::V311, lasting);
    client.subscribe("t", ONE);
    for payload in ["1", "2"] {
        let mut publisher = before.client("p", Version::V5);
        publisher.publish("t", payload, ONE);
        assert_eq!(publisher.take().len(), 1);
        publisher.cut();
    }
    let acks = client.messages().into_iter().filter_map(|message| message.packet_id);
    let acks: Vec<Packet> = acks.map(|id| Packet::PubAck(mqtt::Ack::new(id, ReasonCode::Success))).collect();
    assert_eq!(acks.len(), 2);
    let goodbye = Packet::Disconnect(mqtt::Disconnect::new(ReasonCode::Success));
    client.send(acks.into_iter().chain([goodbye]));
    client.cut();
    before.work();
    let after = house();
    after.drive(after.broker.recover(after.now())).unwrap();
    let mut client = after.client_with("c", Version::V311, lasting);
    assert!(client.payloads().is_empty());
}

#[test]
fn a_connection_is_described_while_it_lasts_and_for_half_an_hour() {
    let house = House::new();
    assert!(matches!(describe(&house, "c"), Err(ConnectionRefusal::NotFound(_))));
    for (is_lasting, expiry) in [(false, 0), (true, 600)] {
        let mut client = house.client_with("c", Version::V5, |asked| {
            asked.keep_alive = 7;
            if is_lasting {
                lasting(asked);
            }
        });
        let since = house.now();
        let address = House::link().peer;
        let here = describe(&house, "c").unwrap();
        assert_eq!(here.state, ConnectionState::Connected { since, peer: address, local: address });
        // AWS tells the interval that the client asked for, not the one in force.
        assert_eq!((here.clean_session, here.session_expiry), (!is_lasting, expiry));
        assert_eq!(here.keep_alive, Some(7));
        house.pass(5);
        client.cut();
        let (since, reason) = (Some(house.now()), Some(DisconnectReason::ConnectionLost));
        let gone = ConnectionDescription { state: ConnectionState::Disconnected { since, reason }, ..here };
        assert_eq!(describe(&house, "c").unwrap(), gone);
        house.pass(30 * 60);
        let after = describe(&house, "c");
        assert_eq!(after.as_ref().ok().map(|it| it.state), Some(gone.state));
        house.pass(1);
        assert!(describe(&house, "c").is_err());
    }
}

#[test]
fn a_session_is_described_after_its_end_was_forgotten() {
    let house = House::new();
    let mut client = house.client_with("c", Version::V311, lasting);
    client.cut();
    house.pass(30 * 60 + 1);
    let found = describe(&house, "c").unwrap();
    assert_eq!(found.state, ConnectionState::Disconnected { since: None, reason: None });
    assert_eq!((found.clean_session, found.session_expiry), (false, 3600));
}

#[test]
fn so_many_ends_are_remembered_and_the_oldest_forgotten_first() {
    let house = House::new();
    for number in 0..50_001 {
        house.client(&format!("c{number}"), Version::V311).cut();
    }
    assert!(describe(&house, "c0").is_err());
    assert!(describe(&house, "c1").is_ok());
}

#[test]
fn subscriptions_come_in_pages() {
    let house = House::new();
    let mut client = house.client_with("c", Version::V5, lasting);
    for filter in ["b/+", "a", "d/#", "c"] {
        client.subscribe(filter, ONE);
    }
    assert_eq!(filters(&house, "c", None, 3), ["a", "b/+", "c"]);
    client.cut();
    assert_eq!(filters(&house, "c", Some("c"), 3), ["d/#"]);
    let qos = house.broker.subscriptions("c", None, 1, house.now()).unwrap()[0].qos;
    assert_eq!(qos, ONE);
}

#[test]
fn connections_of_one_client_id_are_asked_about_once_in_a_second() {
    let house = House::with(|dialect| dialect.set_profile(QuotaProfile::Aws));
    let _client = house.client("c", Version::V5);
    let throttled = |refusal| match refusal {
        ConnectionRefusal::Throttled(text) => text,
        other => panic!("{other:?}"),
    };
    assert!(describe(&house, "c").is_ok());
    assert!(throttled(describe(&house, "c").unwrap_err()).contains("get-connection-rate-per-client-id"));
    let list = || house.broker.subscriptions("c", None, 1, house.now());
    assert!(list().is_ok());
    assert!(throttled(list().unwrap_err()).contains("list-subscriptions-rate-per-client-id"));
    assert!(delete(&house, "c", KEEP).is_ok());
    assert!(throttled(delete(&house, "c", KEEP).unwrap_err()).contains("L-AC33745E"));
    house.pass(1);
    assert!(describe(&house, "c").is_ok() && describe(&house, "other").is_err());
}

#[test]
fn a_client_of_3_1_1_may_hear_of_it_server_disconnect_v3_api() {
    let row = dialect::Divergence::ServerDisconnectV3Api;
    for on in [false, true] {
        let house = House::with(|dialect| dialect.set(row, on));
        let mut client = house.client("c", Version::V311);
        delete(&house, "c", KEEP).unwrap();
        // No client of 3.1.1 expects it: it is read by hand.
        let last = client.raw();
        assert_eq!(&last[..], if on { &[0xe0, 0][..] } else { &[] });
        assert_eq!(house.heard("server-disconnect-v3-api"), on, "{:?}", house.events());
    }
}
