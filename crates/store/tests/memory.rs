//! The in-memory backend keeps every promise of the ports.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use std::sync::Arc;
use std::thread;

use proptest::prelude::*;
use serde::{Deserialize, Serialize};
use thingcore_store::conformance::model::{Deed, Step};
use thingcore_store::memory::{MemoryBus, MemoryCluster, MemoryJournal, MemoryStore};
use thingcore_store::recent::Memory;
use thingcore_store::{
    Append, Batch, Bus, CommitError, FeedError, InboxError, Interest, Journal, Key, Keyspace, Recipient,
    Revision, Space, Store, StoreError, block_on, conformance,
};

const SPACE: Space = Space::new("s");

#[test]
fn store_conforms() {
    conformance::store(|| Arc::new(MemoryStore::new()));
}

#[test]
fn journal_conforms() {
    conformance::journal(|| Arc::new(MemoryJournal::new()));
}

#[test]
fn bus_conforms() {
    conformance::bus(|| {
        let cluster = MemoryCluster::new();
        [Arc::new(cluster.join()), Arc::new(cluster.join())]
    });
}

fn put(store: &MemoryStore, key: &str, value: Vec<u8>) -> Result<Revision, CommitError> {
    let mut batch = Batch::new();
    batch.put(SPACE, Key::of(&[key]), value);
    block_on(store.commit(batch))
}

#[test]
fn a_full_store_refuses_and_recovers_by_deletion() {
    let store = MemoryStore::with_limits(100, Memory::default());
    put(&store, "a", vec![0; 60]).unwrap();
    assert!(matches!(put(&store, "b", vec![0; 60]), Err(CommitError::Store(StoreError::Unavailable { .. }))));
    let mut batch = Batch::new();
    batch.delete(SPACE, Key::of(&["a"]));
    block_on(store.commit(batch)).unwrap();
    put(&store, "b", vec![0; 60]).unwrap();
}

#[test]
fn a_follower_that_fell_behind_is_told_and_goes_on() {
    let store = MemoryStore::with_limits(1 << 20, Memory { changes: 10, bytes: 1 << 20 });
    let mut feed = store.feed(Revision::ZERO);
    for _ in 0..11 {
        put(&store, "a", vec![1]).unwrap();
    }
    assert_eq!(block_on(feed.next()), Err(FeedError::Lagged));
    put(&store, "a", vec![2]).unwrap();
    assert_eq!(block_on(feed.next()).unwrap()[0].value.as_deref(), Some(&[2][..]));
}

#[test]
fn failing_and_closing() {
    let store = MemoryStore::new();
    put(&store, "a", vec![1]).unwrap();
    store.fail("unplugged");
    let error = block_on(store.get(SPACE, b"a")).unwrap_err();
    assert_eq!(error.to_string(), "the store is unavailable: unplugged");
    assert!(put(&store, "a", vec![2]).is_err());
    store.recover();
    assert_eq!(block_on(store.revision()), Ok(Revision(1)));
    let mut feed = store.feed(Revision(1));
    let follower = thread::spawn(move || block_on(feed.next()));
    store.close();
    assert_eq!(follower.join().unwrap(), Err(FeedError::Closed));
    assert!(block_on(store.revision()).is_err());
}

#[test]
fn a_full_journal_refuses_and_recovers_by_trimming() {
    let journal = MemoryJournal::with_capacity(100);
    let to = |session: &str| Recipient { session: Key::of(&[session]), tag: "tag".into() };
    let append = || vec![Append { body: vec![0; 30].into(), to: vec![to("a"), to("b")] }];
    block_on(journal.append(append())).unwrap();
    assert!(block_on(journal.append(append())).is_err());
    block_on(journal.trim(&Key::of(&["a"]), thingcore_store::Position::END)).unwrap();
    block_on(journal.append(append())).unwrap();
}

#[test]
fn a_slow_inbox_loses_the_oldest_and_is_told() {
    let cluster = MemoryCluster::new();
    let (sender, receiver) = (cluster.join(), cluster.join());
    block_on(receiver.interest("t", Interest::Gained)).unwrap();
    let mut inbox = receiver.inbox();
    for _ in 0..4_100 {
        block_on(sender.forward("t", "v".into())).unwrap();
    }
    assert_eq!(block_on(inbox.next()), Err(InboxError::Lagged { missed: 4 }));
    assert_eq!(block_on(inbox.next()).unwrap().len(), 4_096);
    drop(receiver);
    assert_eq!(block_on(inbox.next()), Err(InboxError::Closed));
}

#[test]
fn a_node_alone_forwards_to_nobody() {
    let bus = MemoryBus::alone();
    block_on(bus.interest("#", Interest::Gained)).unwrap();
    block_on(bus.forward("t", "v".into())).unwrap();
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Thing {
    name: String,
    #[serde(default)]
    version: u32,
}

const THINGS: Keyspace<Thing> = Keyspace::new("things");

fn thing(name: &str) -> (Key, Thing) {
    (Key::of(&[name]), Thing { name: name.to_owned(), version: 1 })
}

#[test]
fn typed_records() {
    let store = MemoryStore::new();
    let mut feed = store.feed(Revision::ZERO);
    let mut batch = Batch::new();
    for name in ["a", "b", "c"] {
        let (key, value) = thing(name);
        THINGS.put_if_absent(&mut batch, &key, &value);
    }
    batch.put(SPACE, Key::of(&["other"]), "not a thing");
    block_on(store.commit(batch)).unwrap();

    let (key, value) = thing("b");
    let stored = block_on(THINGS.get(&store, &key)).unwrap().unwrap();
    assert_eq!((&stored.key, &stored.value), (&key, &value));
    let after = block_on(THINGS.scan(&store, &Key::EMPTY, Some(&Key::of(&["a"])), 10)).unwrap();
    assert_eq!(after.iter().map(|stored| stored.value.name.as_str()).collect::<Vec<_>>(), ["b", "c"]);
    assert_eq!(block_on(THINGS.scan(&store, &Key::EMPTY, None, 2)).unwrap().len(), 2);

    let changes = block_on(feed.next()).unwrap();
    let things: Vec<_> = changes.iter().filter_map(|change| THINGS.changed(change)).collect();
    assert_eq!(things.len(), 3);
    assert_eq!(things[1].as_ref().unwrap().value, Some(value.clone()));

    let mut batch = Batch::new();
    THINGS.put_if(&mut batch, &key, stored.revision, &value);
    THINGS.delete(&mut batch, &Key::of(&["c"]));
    block_on(store.commit(batch)).unwrap();
    let mut batch = Batch::new();
    THINGS.delete_if(&mut batch, &key, stored.revision);
    let conflict = block_on(store.commit(batch)).unwrap_err();
    assert_eq!(conflict.to_string(), "record b of things was changed by someone else; nothing was written");
}

#[test]
fn unknown_members_are_tolerated_and_other_shapes_are_named() {
    let store = MemoryStore::new();
    let mut batch = Batch::new();
    batch.put(THINGS.space(), Key::of(&["new"]), r#"{"name":"new","colour":"red"}"#);
    batch.put(THINGS.space(), Key::of(&["old"]), "[]");
    block_on(store.commit(batch)).unwrap();
    assert!(block_on(THINGS.get(&store, &Key::of(&["new"]))).unwrap().is_some());
    let error = block_on(THINGS.get(&store, &Key::of(&["old"]))).unwrap_err();
    assert!(
        error.to_string().starts_with("record old of things is not what this version expects"),
        "{error}"
    );
}

#[test]
fn a_value_without_json_form_spoils_its_batch() {
    const ODD: Keyspace<std::collections::BTreeMap<Vec<u8>, u8>> = Keyspace::new("odd");
    let mut batch = Batch::new();
    ODD.put(&mut batch, &Key::of(&["k"]), &[(vec![1], 1)].into());
    let refused = block_on(MemoryStore::new().commit(batch));
    assert!(matches!(refused, Err(CommitError::Store(StoreError::Unreadable { .. }))), "{refused:?}");
}

fn deeds() -> impl Strategy<Value = Vec<(bool, Vec<u8>, Deed)>> {
    let value = || proptest::collection::vec(any::<u8>(), 0..4);
    let deed = prop_oneof![
        value().prop_map(Deed::Put),
        Just(Deed::Delete),
        any::<bool>().prop_map(Deed::Demand),
        (any::<bool>(), value()).prop_map(|(current, value)| Deed::PutIf(current, value)),
        any::<bool>().prop_map(Deed::DeleteIf),
    ];
    proptest::collection::vec((any::<bool>(), proptest::collection::vec(0_u8..3, 1..3), deed), 0..5)
}

fn step() -> impl Strategy<Value = Step> {
    let bytes = || proptest::collection::vec(0_u8..3, 0..3);
    prop_oneof![
        3 => deeds().prop_map(Step::Commit),
        1 => (any::<bool>(), bytes(), proptest::option::of(bytes()), 0_usize..6)
            .prop_map(|(first, prefix, after, limit)| Step::Scan(first, prefix, after, limit)),
    ]
}

proptest! {
    #[test]
    fn behaves_as_the_model(steps in proptest::collection::vec(step(), 0..40)) {
        conformance::model::run(&MemoryStore::new(), &steps);
    }
}
