//! Conditions, atomicity, revisions, concurrent committers.

use std::sync::Arc;
use std::thread;

use bytes::Bytes;

use super::{OTHER, Promise, SPACE, done, key};
use crate::{Batch, CommitError, Condition, Key, Revision, Space, Store, Versioned, block_on};

pub(super) const PROMISES: &[Promise<dyn Store>] = &[
    Promise { name: "a record is created once", check: create_once },
    Promise { name: "a stale revision is refused", check: stale_revision },
    Promise { name: "a conflict names the first key that failed", check: conflict_names_key },
    Promise { name: "conditions may be about keys that are not written", check: checks_only },
    Promise { name: "a refused batch leaves nothing", check: all_or_nothing },
    Promise { name: "a batch of the greatest size is written whole", check: greatest_batch },
    Promise { name: "revisions strictly increase", check: revisions },
    Promise { name: "a record created again is not the old one", check: created_again },
    Promise { name: "concurrent committers lose no update", check: concurrent_updates },
    Promise { name: "concurrent creators have one winner", check: concurrent_creators },
];

fn found(store: &Arc<dyn Store>, name: &Key) -> Option<Versioned> {
    done(store.get(SPACE, name.as_bytes()))
}

fn commit(
    store: &Arc<dyn Store>,
    build: impl FnOnce(&mut Batch) -> &mut Batch,
) -> Result<Revision, CommitError> {
    let mut batch = Batch::new();
    build(&mut batch);
    block_on(store.commit(batch))
}

fn conflict(space: Space, name: &Key) -> Result<Revision, CommitError> {
    Err(CommitError::Conflict { space, key: name.clone() })
}

fn create_once(store: &Arc<dyn Store>) {
    let a = key("a");
    let create = |value: &'static str| commit(store, |batch| batch.put_if_absent(SPACE, a.clone(), value));
    create("1").unwrap();
    assert_eq!(create("2"), conflict(SPACE, &a));
    assert_eq!(found(store, &a).unwrap().value, "1");
    commit(store, |batch| batch.delete(SPACE, a.clone())).unwrap();
    create("3").unwrap();
}

fn stale_revision(store: &Arc<dyn Store>) {
    let a = key("a");
    commit(store, |batch| batch.put(SPACE, a.clone(), "1")).unwrap();
    let first = found(store, &a).unwrap().revision;
    commit(store, |batch| batch.put_if(SPACE, a.clone(), first, "2")).unwrap();
    let stale = commit(store, |batch| batch.put_if(SPACE, a.clone(), first, "3"));
    assert_eq!(stale, conflict(SPACE, &a));
    assert_eq!(commit(store, |batch| batch.delete_if(SPACE, a.clone(), first)), conflict(SPACE, &a));
    let current = found(store, &a).unwrap();
    assert_eq!(current.value, "2");
    commit(store, |batch| batch.delete_if(SPACE, a.clone(), current.revision)).unwrap();
    let gone = commit(store, |batch| batch.put_if(SPACE, a.clone(), current.revision, "4"));
    assert_eq!(gone, conflict(SPACE, &a));
}

fn conflict_names_key(store: &Arc<dyn Store>) {
    let (a, b, c) = (key("a"), key("b"), key("c"));
    commit(store, |batch| batch.put(OTHER, b.clone(), "1").put(SPACE, c.clone(), "1")).unwrap();
    let refused = commit(store, |batch| {
        batch.put_if_absent(SPACE, a.clone(), "2");
        batch.put_if_absent(OTHER, b.clone(), "2");
        batch.put_if_absent(SPACE, c.clone(), "2")
    });
    assert_eq!(refused, conflict(OTHER, &b));
}

fn checks_only(store: &Arc<dyn Store>) {
    let (a, b) = (key("a"), key("b"));
    let demand = |name: &Key, condition| {
        commit(store, |batch| batch.check(SPACE, name.clone(), condition).put(SPACE, b.clone(), "v"))
    };
    assert_eq!(demand(&a, Condition::Exists), conflict(SPACE, &a));
    assert_eq!(found(store, &b), None);
    demand(&a, Condition::Absent).unwrap();
    commit(store, |batch| batch.put(SPACE, a.clone(), "1")).unwrap();
    demand(&a, Condition::Exists).unwrap();
    assert_eq!(demand(&a, Condition::Absent), conflict(SPACE, &a));
    let before = done(store.revision());
    let nothing = commit(store, |batch| batch.check(SPACE, a.clone(), Condition::Exists));
    assert_eq!(nothing, Ok(before), "a batch that writes nothing moves nothing");
    let refused = commit(store, |batch| batch.check(SPACE, a.clone(), Condition::Absent));
    assert_eq!(refused, conflict(SPACE, &a));
}

fn all_or_nothing(store: &Arc<dyn Store>) {
    let (a, b, c) = (key("a"), key("b"), key("c"));
    commit(store, |batch| batch.put(SPACE, a.clone(), "1").put(SPACE, c.clone(), "1")).unwrap();
    let before = done(store.revision());
    let refused = commit(store, |batch| {
        batch.put(SPACE, a.clone(), "2").put(SPACE, b.clone(), "2").delete(SPACE, c.clone());
        batch.check(SPACE, a.clone(), Condition::Absent)
    });
    assert_eq!(refused, conflict(SPACE, &a));
    assert_eq!(found(store, &a).unwrap().value, "1");
    assert_eq!(found(store, &b), None);
    assert_eq!(found(store, &c).unwrap().value, "1");
    assert_eq!(done(store.revision()), before);
}

fn greatest_batch(store: &Arc<dyn Store>) {
    commit(store, |batch| {
        for number in 0..Batch::MAX_WRITES {
            batch.put_if_absent(SPACE, key(&format!("{number:04}")), number.to_string());
        }
        batch
    })
    .unwrap();
    let mut seen = 0;
    let mut last: Option<Key> = None;
    loop {
        let page = done(store.scan(SPACE, b"", last.as_ref().map(Key::as_bytes), 1_000));
        let Some(end) = page.last() else { break };
        last = Some(end.key.clone());
        seen += page.len();
    }
    assert_eq!(seen, Batch::MAX_WRITES);
}

fn revisions(store: &Arc<dyn Store>) {
    let mut last = done(store.revision());
    for round in 0..10 {
        let name = key(&round.to_string());
        let committed =
            commit(store, |batch| batch.put(SPACE, name.clone(), "v").put(SPACE, key("same"), "v")).unwrap();
        let written = found(store, &name).unwrap().revision;
        assert!(last < written && written <= committed, "{last} < {written} <= {committed}");
        assert_eq!(done(store.revision()), committed);
        last = committed;
    }
}

fn created_again(store: &Arc<dyn Store>) {
    let a = key("a");
    commit(store, |batch| batch.put(SPACE, a.clone(), "1")).unwrap();
    let old = found(store, &a).unwrap().revision;
    commit(store, |batch| batch.delete(SPACE, a.clone())).unwrap();
    commit(store, |batch| batch.put(SPACE, a.clone(), "1")).unwrap();
    assert!(found(store, &a).unwrap().revision > old);
    assert_eq!(commit(store, |batch| batch.delete_if(SPACE, a.clone(), old)), conflict(SPACE, &a));
}

const THREADS: usize = 8;
const ROUNDS: usize = 20;

fn concurrent_updates(store: &Arc<dyn Store>) {
    let counter = key("counter");
    commit(store, |batch| batch.put(SPACE, counter.clone(), "0")).unwrap();
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| (0..ROUNDS).for_each(|_| increment(store, &counter)));
        }
    });
    assert_eq!(found(store, &counter).unwrap().value, (THREADS * ROUNDS).to_string());
}

fn increment(store: &Arc<dyn Store>, counter: &Key) {
    loop {
        let now = found(store, counter).unwrap();
        let next = std::str::from_utf8(&now.value).unwrap().parse::<usize>().unwrap() + 1;
        let next = Bytes::from(next.to_string());
        match commit(store, |batch| batch.put_if(SPACE, counter.clone(), now.revision, next)) {
            Ok(_) => return,
            Err(CommitError::Conflict { .. }) => {}
            Err(error) => panic!("{error}"),
        }
    }
}

fn concurrent_creators(store: &Arc<dyn Store>) {
    let winners: usize = thread::scope(|scope| {
        let creators: Vec<_> = (0..THREADS)
            .map(|thread| {
                scope.spawn(move || {
                    let create = |round: &usize| {
                        let name = key(&round.to_string());
                        commit(store, |batch| batch.put_if_absent(SPACE, name, thread.to_string()))
                    };
                    (0..ROUNDS).filter(|round| create(round).is_ok()).count()
                })
            })
            .collect();
        creators.into_iter().map(|creator| creator.join().unwrap()).sum()
    });
    assert_eq!(winners, ROUNDS);
}
