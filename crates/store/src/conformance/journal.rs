//! Appending, reading, trimming by session.

use std::sync::Arc;
use std::thread;

use bytes::Bytes;

use super::{Promise, done, key};
use crate::{Append, Journal, Key, Limit, Position, Recipient, Record, StoreError, block_on};

pub(super) const PROMISES: &[Promise<dyn Journal>] = &[
    Promise { name: "an unknown session has no records", check: empty },
    Promise { name: "records are read in the order of their appends", check: in_order },
    Promise { name: "sessions are apart, also when one name begins another", check: sessions_apart },
    Promise { name: "one message reaches many sessions", check: fan_out },
    Promise { name: "reading resumes after a position", check: paging },
    Promise { name: "trimming drops what was read and nothing else", check: trims },
    Promise { name: "positions are not used again", check: positions_grow },
    Promise { name: "bodies up to the limit come back", check: large_bodies },
    Promise { name: "what is too large is refused by name", check: limits },
    Promise { name: "queues that hold something are found, and no others", check: names },
    Promise { name: "nothing appears before what a reader saw", check: concurrent },
];

fn to(session: &str, tag: &str) -> Recipient {
    Recipient { session: key(session), tag: Bytes::copy_from_slice(tag.as_bytes()) }
}

fn message(body: &str, sessions: &[&str]) -> Append {
    let to = sessions.iter().map(|session| to(session, session)).collect();
    Append { body: Bytes::copy_from_slice(body.as_bytes()), to }
}

fn add(journal: &Arc<dyn Journal>, body: &str, session: &str) -> Position {
    done(journal.append(vec![message(body, &[session])]))
}

fn read_all(journal: &Arc<dyn Journal>, session: &str, page: usize) -> Vec<Record> {
    let mut seen: Vec<Record> = Vec::new();
    loop {
        let after = seen.last().map_or(Position::START, |record| record.position);
        let records = done(journal.read(&key(session), after, page));
        assert!(records.len() <= page);
        if records.is_empty() {
            assert!(seen.is_sorted_by(|left, right| left.position < right.position));
            return seen;
        }
        seen.extend(records);
    }
}

fn bodies(records: &[Record]) -> Vec<&str> {
    records.iter().map(|record| std::str::from_utf8(&record.body).unwrap()).collect()
}

fn numbers(range: std::ops::Range<usize>) -> Vec<String> {
    range.map(|number| number.to_string()).collect()
}

fn empty(journal: &Arc<dyn Journal>) {
    assert_eq!(read_all(journal, "nobody", 10), []);
    done(journal.trim(&key("nobody"), Position::END));
    done(journal.append(Vec::new()));
    done(journal.append(vec![message("for nobody", &[])]));
}

fn in_order(journal: &Arc<dyn Journal>) {
    let appends = (0..10).map(|number| message(&number.to_string(), &["a"])).collect();
    let middle = done(journal.append(appends));
    assert!(read_all(journal, "a", 100).iter().all(|record| record.position <= middle));
    for number in 10..20 {
        add(journal, &number.to_string(), "a");
    }
    assert_eq!(bodies(&read_all(journal, "a", 100)), numbers(0..20));
}

fn sessions_apart(journal: &Arc<dyn Journal>) {
    for session in ["a", "ab", "", "a\0", "é"] {
        add(journal, session, session);
    }
    for session in ["a", "ab", "", "a\0", "é"] {
        assert_eq!(bodies(&read_all(journal, session, 10)), [session]);
    }
    done(journal.trim(&key("a"), Position::END));
    assert_eq!(bodies(&read_all(journal, "ab", 10)), ["ab"]);
}

fn fan_out(journal: &Arc<dyn Journal>) {
    let sessions = numbers(0..200);
    let names: Vec<&str> = sessions.iter().map(String::as_str).collect();
    done(journal.append(vec![message("one", &names), message("two", &names)]));
    done(journal.trim(&key("0"), Position::END));
    for session in &names[1..] {
        let records = read_all(journal, session, 10);
        assert_eq!(bodies(&records), ["one", "two"]);
        assert!(records.iter().all(|record| record.tag == session.as_bytes()));
    }
}

fn paging(journal: &Arc<dyn Journal>) {
    for start in (0..300).step_by(50) {
        let appends = (start..start + 50).map(|number| message(&number.to_string(), &["a", "b"])).collect();
        done(journal.append(appends));
    }
    for page in [1, 7, 64, 1_000] {
        assert_eq!(bodies(&read_all(journal, "a", page)), numbers(0..300));
    }
    assert_eq!(done(journal.read(&key("a"), Position::END, 10)), []);
    assert_eq!(done(journal.read(&key("a"), Position::START, 0)), []);
}

fn trims(journal: &Arc<dyn Journal>) {
    let appends = (0..200).map(|number| message(&number.to_string(), &["a", "b"])).collect();
    done(journal.append(appends));
    let records = read_all(journal, "a", 1_000);
    for cut in [0, 1, 63, 64, 65, 150] {
        done(journal.trim(&key("a"), records[cut].position));
        assert_eq!(bodies(&read_all(journal, "a", 1_000)), numbers(cut + 1..200));
    }
    done(journal.trim(&key("a"), records[3].position));
    done(journal.trim(&key("a"), Position::START));
    assert_eq!(bodies(&read_all(journal, "a", 1_000)), numbers(151..200));
    done(journal.trim(&key("a"), Position::END));
    assert_eq!(read_all(journal, "a", 1_000), []);
    assert_eq!(bodies(&read_all(journal, "b", 1_000)), numbers(0..200));
}

fn positions_grow(journal: &Arc<dyn Journal>) {
    let mut last = Position::START;
    for _ in 0..5 {
        add(journal, "v", "a");
        let records = read_all(journal, "a", 10);
        assert!(records.len() == 1 && records[0].position > last);
        last = records[0].position;
        done(journal.trim(&key("a"), last));
    }
}

fn large_bodies(journal: &Arc<dyn Journal>) {
    let tag = Bytes::from(vec![7; Recipient::MAX_TAG_BYTES]);
    let session = Key::from(Bytes::from(vec![0xFE; Key::MAX_BYTES]));
    let body = Bytes::from(vec![9; Append::MAX_BODY_BYTES]);
    for _ in 0..6 {
        let to = vec![Recipient { session: session.clone(), tag: tag.clone() }];
        done(journal.append(vec![Append { body: body.clone(), to }]));
    }
    let page = done(journal.read(&session, Position::START, 1_000));
    assert!((1..=5).contains(&page.len()), "a page of {} MiB", page.len());
    assert!(page.iter().all(|record| record.body == body && record.tag == tag));
}

fn limits(journal: &Arc<dyn Journal>) {
    let body = |size| Append { body: Bytes::from(vec![0; size]), to: vec![to("a", "")] };
    let many = vec![to("a", ""); Append::MAX_RECORDS + 1];
    let tag = Bytes::from(vec![0; Recipient::MAX_TAG_BYTES + 1]);
    let cases = [
        (Limit::BodyBytes, vec![body(Append::MAX_BODY_BYTES + 1)]),
        (Limit::AppendBytes, vec![body(Append::MAX_BODY_BYTES); 17]),
        (Limit::AppendRecords, vec![Append { body: Bytes::new(), to: many }]),
        (
            Limit::TagBytes,
            vec![Append { body: Bytes::new(), to: vec![Recipient { session: key("a"), tag }] }],
        ),
        (
            Limit::EmptyKey,
            vec![Append {
                body: Bytes::new(),
                to: vec![Recipient { session: Key::EMPTY, tag: Bytes::new() }],
            }],
        ),
    ];
    for (expected, appends) in cases {
        match block_on(journal.append(appends)) {
            Err(StoreError::Limit { what, .. }) => assert_eq!(what, expected),
            other => panic!("{expected:?} was not enforced: {other:?}"),
        }
    }
    assert_eq!(read_all(journal, "a", 10), [], "a refused append left something");
}

fn names(journal: &Arc<dyn Journal>) {
    let names =
        [&["g", "a", "live"][..], &["g", "ab", "queued"], &["ga"], &["f"], &["g"], &["", "a"], &["g", ""]];
    let mut expected = names.map(Key::of);
    expected.sort();
    for session in &expected {
        let to = vec![Recipient { session: session.clone(), tag: Bytes::new() }];
        let append = Append { body: Bytes::from_static(b"v"), to };
        done(journal.append((0..70).map(|_| append.clone()).collect()));
    }
    let found = |page: usize| {
        let mut found: Vec<Key> = Vec::new();
        loop {
            let names = done(journal.queues(found.last(), page));
            assert!(names.len() <= page);
            if names.is_empty() {
                found.sort();
                return found;
            }
            found.extend(names);
        }
    };
    for page in [1, 2, 100] {
        assert_eq!(found(page), expected);
    }
    let [first, rest @ ..] = &expected;
    done(journal.trim(first, Position::END));
    assert_eq!(found(10), rest, "an empty queue has no name");
}

fn concurrent(journal: &Arc<dyn Journal>) {
    const THREADS: usize = 4;
    const ROUNDS: usize = 25;
    let mut seen: Vec<Record> = Vec::new();
    thread::scope(|scope| {
        for thread in 0..THREADS {
            scope.spawn(move || {
                (0..ROUNDS).for_each(|round| {
                    let _ = add(journal, &format!("{thread} {round}"), "a");
                });
            });
        }
        while seen.len() < THREADS * ROUNDS {
            let after = seen.last().map_or(Position::START, |record| record.position);
            seen.extend(done(journal.read(&key("a"), after, 10)));
        }
    });
    assert_eq!(seen, read_all(journal, "a", 1_000));
}
