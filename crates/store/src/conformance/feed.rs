//! The order, resumption and honesty of the change feed.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::task::{Context, Waker};
use std::thread;

use bytes::Bytes;

use super::{OTHER, Promise, SPACE, done, key};
use crate::{Batch, Change, Feed, FeedError, Key, Revision, Store, block_on};

pub(super) const PROMISES: &[Promise<dyn Store>] = &[
    Promise { name: "the feed reports changes in order", check: in_order },
    Promise { name: "the feed shows no refused batch", check: nothing_refused },
    Promise { name: "a feed resumes where another stopped", check: resumes },
    Promise { name: "an acknowledged change is already in the feed", check: at_the_answer },
    Promise { name: "a waiting follower is woken", check: wakes },
    Promise { name: "a feed may be dropped while it waits", check: dropped_waiting },
    Promise { name: "a feed from elsewhere says that it lagged", check: from_elsewhere },
    Promise { name: "a slow follower gets everything or is told", check: slow_follower },
    Promise { name: "followers rebuild the records, whoever writes", check: rebuilds },
];

fn put(store: &Arc<dyn Store>, name: &str, value: &'static str) -> Revision {
    let mut batch = Batch::new();
    batch.put(SPACE, key(name), value);
    done(store.commit(batch))
}

fn put_often(store: &Arc<dyn Store>, times: usize, value: &'static str) -> Revision {
    (0..times).fold(Revision::ZERO, |_, _| put(store, "a", value))
}

/// Reads the feed up to `revision`.
fn read_to(feed: &mut Box<dyn Feed>, revision: Revision) -> Result<Vec<Change>, FeedError> {
    let mut seen: Vec<Change> = Vec::new();
    while seen.last().is_none_or(|change| change.revision < revision) {
        let answer = block_on(feed.next())?;
        assert!(!answer.is_empty(), "an answer without changes");
        seen.extend(answer);
    }
    assert!(seen.is_sorted_by_key(|change| change.revision));
    Ok(seen)
}

fn in_order(store: &Arc<dyn Store>) {
    let start = done(store.revision());
    let mut batch = Batch::new();
    batch.put(SPACE, key("a"), "1").put(OTHER, key("b"), "2");
    done(store.commit(batch));
    let mut batch = Batch::new();
    batch.delete(SPACE, key("a")).put(SPACE, key("c"), "3");
    let end = done(store.commit(batch));
    let seen = read_to(&mut store.feed(start), end).unwrap();
    let plain: Vec<_> =
        seen.iter().map(|change| (change.space, change.key.to_string(), change.value.as_deref())).collect();
    assert_eq!(
        plain,
        [
            (SPACE, "a".to_owned(), Some(&b"1"[..])),
            (OTHER, "b".to_owned(), Some(&b"2"[..])),
            (SPACE, "a".to_owned(), None),
            (SPACE, "c".to_owned(), Some(&b"3"[..])),
        ]
    );
    assert!(seen[1].revision < seen[2].revision);
}

fn nothing_refused(store: &Arc<dyn Store>) {
    let start = put(store, "a", "1");
    let mut batch = Batch::new();
    batch.put_if_absent(SPACE, key("a"), "2").put(SPACE, key("b"), "2");
    block_on(store.commit(batch)).unwrap_err();
    let end = put(store, "c", "3");
    let seen = read_to(&mut store.feed(start), end).unwrap();
    assert_eq!(seen.iter().map(|change| change.key.to_string()).collect::<Vec<_>>(), ["c"]);
}

fn resumes(store: &Arc<dyn Store>) {
    let start = done(store.revision());
    let middle = put_often(store, 5, "early");
    let mut feed = store.feed(start);
    let first = read_to(&mut feed, middle).unwrap();
    assert_eq!(first.len(), 5);
    let end = put_often(store, 5, "late");
    let resumed = read_to(&mut store.feed(first[4].revision), end).unwrap();
    assert_eq!(resumed, read_to(&mut feed, end).unwrap());
    assert!(resumed.len() == 5 && resumed.iter().all(|change| change.value.as_deref() == Some(b"late")));
}

fn at_the_answer(store: &Arc<dyn Store>) {
    let mut feed = store.feed(done(store.revision()));
    for _ in 0..20 {
        let revision = put(store, "a", "v");
        let seen = read_to(&mut feed, revision).unwrap();
        assert_eq!(seen.len(), 1);
    }
}

fn wakes(store: &Arc<dyn Store>) {
    let start = done(store.revision());
    thread::scope(|scope| {
        let followers: Vec<_> = (0..3)
            .map(|_| {
                let mut feed = store.feed(start);
                scope.spawn(move || {
                    (0..10).fold(Vec::new(), |mut seen, _| {
                        if seen.len() < 10 {
                            seen.extend(block_on(feed.next()).unwrap());
                        }
                        seen
                    })
                })
            })
            .collect();
        (0..10).for_each(|_| {
            let _ = put(store, "a", "v");
        });
        for follower in followers {
            assert_eq!(follower.join().unwrap().len(), 10);
        }
    });
}

fn dropped_waiting(store: &Arc<dyn Store>) {
    let start = done(store.revision());
    let mut kept = store.feed(start);
    for _ in 0..100 {
        let mut feed = store.feed(start);
        let mut next = feed.next();
        assert!(next.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    }
    let cancelled = kept.next().as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending();
    assert!(cancelled);
    let end = put(store, "a", "v");
    assert_eq!(read_to(&mut kept, end).unwrap().len(), 1, "a cancelled wait lost a change");
}

fn from_elsewhere(store: &Arc<dyn Store>) {
    let now = put(store, "a", "v");
    let mut feed = store.feed(Revision(now.0 + 1_000_000));
    assert_eq!(block_on(feed.next()), Err(FeedError::Lagged));
    let end = put(store, "b", "v");
    let seen = read_to(&mut feed, end).unwrap();
    assert_eq!(seen.len(), 1, "after the lag the feed goes on from the present");
}

fn slow_follower(store: &Arc<dyn Store>) {
    const BATCHES: usize = 20;
    let start = done(store.revision());
    let mut feed = store.feed(start);
    let mut end = start;
    for round in 0..BATCHES {
        let mut batch = Batch::new();
        for number in 0..Batch::MAX_WRITES {
            batch.put(SPACE, key(&number.to_string()), round.to_string());
        }
        end = done(store.commit(batch));
    }
    match read_to(&mut feed, end) {
        Ok(seen) => assert_eq!(seen.len(), BATCHES * Batch::MAX_WRITES),
        Err(error) => assert_eq!(error, FeedError::Lagged),
    }
    let end = put(store, "after", "v");
    assert_eq!(read_to(&mut feed, end).unwrap().len(), 1);
}

fn rebuilds(store: &Arc<dyn Store>) {
    const THREADS: usize = 4;
    const ROUNDS: usize = 25;
    let start = done(store.revision());
    let mut feed = store.feed(start);
    thread::scope(|scope| {
        for thread in 0..THREADS {
            scope.spawn(move || (0..ROUNDS).for_each(|round| scribble(store, thread, round)));
        }
    });
    let end = done(store.revision());
    let mut rebuilt: BTreeMap<Key, Bytes> = BTreeMap::new();
    for change in read_to(&mut feed, end).unwrap() {
        match change.value {
            Some(value) => drop(rebuilt.insert(change.key, value)),
            None => drop(rebuilt.remove(&change.key)),
        }
    }
    let entries = done(store.scan(SPACE, b"", None, 1_000));
    let stored: BTreeMap<Key, Bytes> = entries.into_iter().map(|entry| (entry.key, entry.value)).collect();
    assert_eq!(rebuilt, stored);
}

/// Writes one of a few keys that all threads share and deletes another.
fn scribble(store: &Arc<dyn Store>, thread: usize, round: usize) {
    let mut batch = Batch::new();
    batch.put(SPACE, key(&(round % 5).to_string()), format!("{thread} {round}"));
    batch.delete(SPACE, key(&((round + thread) % 7).to_string()));
    done(store.commit(batch));
}
