//! Reading, scanning, sizes.

use std::sync::Arc;

use bytes::Bytes;

use super::{OTHER, Promise, SPACE, done, key};
use crate::{Batch, CommitError, Entry, Key, Limit, Store, StoreError, block_on};

pub(super) const PROMISES: &[Promise<dyn Store>] = &[
    Promise { name: "an empty store holds nothing", check: empty },
    Promise { name: "an acknowledged write is read", check: read_your_writes },
    Promise { name: "spaces do not mix", check: spaces },
    Promise { name: "a scan is in order and within its prefix", check: scan_order },
    Promise { name: "pages join to the whole", check: paging },
    Promise { name: "values up to the limit come back", check: large_values },
    Promise { name: "pages of large values are bounded", check: large_pages },
    Promise { name: "what is too large is refused by name", check: limits },
];

fn put(store: &Arc<dyn Store>, name: Key, value: impl Into<Bytes>) {
    let mut batch = Batch::new();
    batch.put(SPACE, name, value);
    done(store.commit(batch));
}

fn get(store: &Arc<dyn Store>, name: &Key) -> Option<Bytes> {
    done(store.get(SPACE, name.as_bytes())).map(|found| found.value)
}

fn keys(entries: &[Entry]) -> Vec<String> {
    entries.iter().map(|entry| entry.key.to_string()).collect()
}

fn empty(store: &Arc<dyn Store>) {
    assert_eq!(get(store, &key("a")), None);
    assert_eq!(done(store.scan(SPACE, b"", None, 10)), []);
}

fn read_your_writes(store: &Arc<dyn Store>) {
    let name = key("a");
    for value in ["1", "2", ""] {
        put(store, name.clone(), value);
        assert_eq!(get(store, &name), Some(Bytes::from(value)));
    }
    let mut batch = Batch::new();
    batch.delete(SPACE, name.clone()).delete(SPACE, key("never-there"));
    done(store.commit(batch));
    assert_eq!(get(store, &name), None);
}

fn spaces(store: &Arc<dyn Store>) {
    let mut batch = Batch::new();
    batch.put(SPACE, key("a"), "here").put(OTHER, key("a"), "there").put(OTHER, key("b"), "there");
    done(store.commit(batch));
    assert_eq!(get(store, &key("a")), Some(Bytes::from("here")));
    assert_eq!(keys(&done(store.scan(SPACE, b"", None, 10))), ["a"]);
    assert_eq!(keys(&done(store.scan(OTHER, b"", None, 10))), ["a", "b"]);
}

fn scan_order(store: &Arc<dyn Store>) {
    let names = [&["b"][..], &["a", "2"], &["a", "10"], &["ab"], &["a"], &["\u{10FFFF}"]];
    for parts in names {
        put(store, Key::of(parts), "v");
    }
    let all = done(store.scan(SPACE, b"", None, 10));
    assert_eq!(keys(&all), ["a", "a/10", "a/2", "ab", "b", "\u{10FFFF}"]);
    let prefix = key("a");
    assert_eq!(keys(&done(store.scan(SPACE, prefix.as_bytes(), None, 10))), ["a", "a/10", "a/2"]);
    let before = key("A");
    assert_eq!(keys(&done(store.scan(SPACE, prefix.as_bytes(), Some(before.as_bytes()), 1))), ["a"]);
    let beyond = key("c");
    assert_eq!(done(store.scan(SPACE, prefix.as_bytes(), Some(beyond.as_bytes()), 10)), []);
    assert_eq!(done(store.scan(SPACE, b"", None, 0)), []);
}

fn paging(store: &Arc<dyn Store>) {
    let mut batch = Batch::new();
    for number in 0..250 {
        batch.put(SPACE, key(&format!("{number:03}")), "v");
    }
    done(store.commit(batch));
    let mut seen = Vec::new();
    let mut last: Option<Key> = None;
    loop {
        let page = done(store.scan(SPACE, b"", last.as_ref().map(Key::as_bytes), 7));
        assert!(page.len() <= 7);
        let Some(end) = page.last() else { break };
        last = Some(end.key.clone());
        seen.extend(keys(&page));
    }
    assert_eq!(seen, (0..250).map(|number| format!("{number:03}")).collect::<Vec<_>>());
}

fn large_values(store: &Arc<dyn Store>) {
    let longest = Key::from(Bytes::from(vec![0xFE; Key::MAX_BYTES]));
    for size in [1 << 10, (64 << 10) + 1, Batch::MAX_VALUE_BYTES] {
        let value = Bytes::from((0..size).map(|at| (at % 251) as u8).collect::<Vec<_>>());
        put(store, longest.clone(), value.clone());
        assert!(get(store, &longest) == Some(value), "{size} bytes came back changed");
    }
}

fn large_pages(store: &Arc<dyn Store>) {
    for number in 0..7 {
        put(store, key(&number.to_string()), vec![number; Batch::MAX_VALUE_BYTES]);
    }
    let page = done(store.scan(SPACE, b"", None, 1_000));
    assert!((1..=6).contains(&page.len()), "a page of {} MiB", page.len());
    let last = page.last().unwrap().key.clone();
    let rest = done(store.scan(SPACE, b"", Some(last.as_bytes()), 1_000));
    assert_eq!(page.len() + rest.len(), 7);
}

fn limits(store: &Arc<dyn Store>) {
    let long = Key::from(Bytes::from(vec![b'k'; Key::MAX_BYTES + 1]));
    let value = Bytes::from(vec![0; Batch::MAX_VALUE_BYTES + 1]);
    let mebibyte = Bytes::from(vec![0; Batch::MAX_VALUE_BYTES]);
    let mut cases = [
        (Limit::KeyBytes, Batch::new()),
        (Limit::EmptyKey, Batch::new()),
        (Limit::ValueBytes, Batch::new()),
        (Limit::BatchWrites, Batch::new()),
        (Limit::BatchBytes, Batch::new()),
    ];
    cases[0].1.put(SPACE, long, "v");
    cases[1].1.put(SPACE, Key::EMPTY, "v");
    cases[2].1.put(SPACE, key("a"), value);
    for number in 0..=Batch::MAX_WRITES {
        cases[3].1.put(SPACE, key(&number.to_string()), "v");
    }
    for number in 0..=16 {
        cases[4].1.put(SPACE, key(&number.to_string()), mebibyte.clone());
    }
    for (expected, batch) in cases {
        match block_on(store.commit(batch)) {
            Err(CommitError::Store(StoreError::Limit { what, .. })) => assert_eq!(what, expected),
            other => panic!("{expected:?} was not enforced: {other:?}"),
        }
    }
    assert_eq!(done(store.scan(SPACE, b"", None, 10)), [], "a refused batch left something");
}
