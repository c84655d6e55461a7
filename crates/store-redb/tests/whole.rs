//! The whole file: copied, built anew, looked at, and refused when a page is not as it was written.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use std::path::{Path, PathBuf};

use bytes::Bytes;
use store::{Append, Batch, Journal, Key, Position, Recipient, Space, Store, block_on};
use thingcore_store_redb::{Copy, Findings, Left, OpenError, Options, Part, Rebuild, RedbStore, Row, check};

const SPACE: Space = Space::new("things");

fn fill(store: &RedbStore, records: usize) {
    for at in 0..records {
        let mut batch = Batch::new();
        batch.put(SPACE, Key::of(&[&format!("thing-{at}")]), format!("{{\"at\":{at}}}").into_bytes());
        block_on(store.commit(batch)).unwrap();
    }
    let to = |name: &str| Recipient { session: Key::of(&[name]), tag: Bytes::from_static(b"t") };
    let appends = (0..150).map(|_| Append { body: Bytes::from(vec![7; 500]), to: vec![to("a"), to("b")] });
    block_on(store.append(appends.collect())).unwrap();
    block_on(store.trim(&Key::of(&["a"]), Position(70))).unwrap();
}

fn filled(folder: &Path) -> PathBuf {
    let path = folder.join("store.redb");
    let store = RedbStore::open(&path, Options::default()).unwrap();
    fill(&store, 200);
    store.close();
    path
}

fn rows(copy: &Copy) -> Vec<Row> {
    let mut all: Vec<Row> = Vec::new();
    loop {
        let after = all.last().map(|row| (row.part, row.key.as_slice()));
        let page = copy.rows(after).unwrap();
        if page.is_empty() {
            return all;
        }
        all.extend(page);
    }
}

fn rebuilt(path: &Path, rows: Vec<Row>) -> Result<(), OpenError> {
    let mut rebuild = Rebuild::create(path)?;
    rows.into_iter().try_for_each(|row| rebuild.put(row))?;
    rebuild.finish()
}

fn sound(path: &Path) -> Findings {
    let findings = check(path, |_, _, _| Ok(())).unwrap();
    assert_eq!(findings.problems, Vec::<String>::new());
    findings
}

fn verified(path: &Path) -> Result<RedbStore, OpenError> {
    RedbStore::open(path, Options { verify: true, ..Options::default() })
}

#[test]
fn a_copy_is_one_moment_and_makes_the_same_store() {
    let folder = tempfile::tempdir().unwrap();
    let store = RedbStore::open(&folder.path().join("store.redb"), Options::default()).unwrap();
    fill(&store, 200);
    let copy = store.copy().unwrap();
    fill(&store, 300);
    let all = rows(&copy);
    let count = |part| all.iter().filter(|row| row.part == part).count();
    assert_eq!((count(Part::Records), count(Part::Bodies), count(Part::Uses)), (200, 150, 150));
    drop(copy);
    let path = folder.path().join("again.redb");
    rebuilt(&path, all.clone()).unwrap();
    assert_eq!(
        sound(&path),
        Findings { records: 200, messages: 150, references: 230, ..Findings::default() }
    );
    assert_eq!(rows(&Copy::open(&path).unwrap()), all);
    let again = verified(&path).unwrap();
    assert_eq!(block_on(again.read(&Key::of(&["a"]), Position::START, 1_000)).unwrap().len(), 80);
    let thing = block_on(again.get(SPACE, Key::of(&["thing-7"]).as_bytes())).unwrap().unwrap();
    assert_eq!(thing.value, Bytes::from_static(b"{\"at\":7}"));
}

#[test]
fn pages_of_a_copy_are_bounded() {
    let folder = tempfile::tempdir().unwrap();
    let store = RedbStore::open(&folder.path().join("store.redb"), Options::default()).unwrap();
    let to = vec![Recipient { session: Key::of(&["a"]), tag: Bytes::new() }];
    let appends = (0..40).map(|_| Append { body: Bytes::from(vec![7; 100_000]), to: to.clone() });
    block_on(store.append(appends.collect())).unwrap();
    let copy = store.copy().unwrap();
    let page = copy.rows(Some((Part::Bodies, &0_u64.to_be_bytes()))).unwrap();
    assert_eq!(page.len(), 11);
    assert_eq!(rows(&copy).iter().filter(|row| row.part == Part::Bodies).count(), 40);
}

#[test]
fn looking_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = filled(folder.path());
    let before = std::fs::read(&path).unwrap();
    sound(&path);
    drop(Copy::open(&path).unwrap());
    assert!(std::fs::read(&path).unwrap() == before);
}

#[test]
fn a_running_store_is_not_looked_at() {
    let folder = tempfile::tempdir().unwrap();
    let path = filled(folder.path());
    let _store = RedbStore::open(&path, Options::default()).unwrap();
    assert!(matches!(check(&path, |_, _, _| Ok(())), Err(OpenError::InUse { .. })));
    assert!(matches!(Copy::open(&path), Err(OpenError::InUse { .. })));
}

#[test]
fn records_that_nobody_can_read_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let path = filled(folder.path());
    let findings = check(&path, |space, _, value| {
        assert_eq!(space, "things");
        if value == b"{\"at\":7}" { Err("seven".to_owned()) } else { Ok(()) }
    });
    let findings = findings.unwrap();
    assert_eq!((findings.wrong, findings.problems.len()), (1, 1));
    assert!(findings.problems[0].contains("thing-7") && findings.problems[0].ends_with("seven"));
}

#[test]
fn queues_that_contradict_themselves_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let path = filled(folder.path());
    let all = rows(&Copy::open(&path).unwrap());
    let first = all.iter().position(|row| row.part == Part::Bodies).unwrap();
    let broken = |name: &str, change: &dyn Fn(&mut Vec<Row>)| {
        let mut rows = all.clone();
        change(&mut rows);
        let path = folder.path().join(name);
        rebuilt(&path, rows).unwrap();
        check(&path, |_, _, _| Ok(())).unwrap().problems
    };
    let gone = broken("gone", &|rows| drop(rows.remove(first)));
    assert!(gone.iter().any(|problem| problem.contains("it is not there")), "{gone:?}");
    let uses = all.iter().position(|row| row.part == Part::Uses).unwrap();
    let miscounted = broken("miscounted", &|rows| rows[uses].value = 9_u32.to_be_bytes().to_vec());
    assert!(miscounted.iter().any(|problem| problem.contains("9 are noted")), "{miscounted:?}");
    let uncounted = broken("uncounted", &|rows| drop(rows.remove(uses)));
    assert_eq!(uncounted, ["message 1: 1 sessions wait for it, and their number is not noted"]);
    let blocks = all.iter().position(|row| row.part == Part::Blocks).unwrap();
    let torn = broken("torn", &|rows| rows[blocks].value.truncate(5));
    assert!(torn.iter().any(|problem| problem.contains("cut short")), "{torn:?}");
    let short = broken("short", &|rows| {
        rows.iter_mut().filter(|row| row.part == Part::Records).take(1).for_each(|row| row.value.truncate(3));
    });
    assert!(short.iter().any(|problem| problem.contains("shorter than its revision")), "{short:?}");
}

/// Whatever byte of a file changes that was closed: the store is as it was, or it is not served.
#[test]
fn a_changed_page_is_refused_or_harmless() {
    let folder = tempfile::tempdir().unwrap();
    let path = filled(folder.path());
    let before = std::fs::read(&path).unwrap();
    let wanted = rows(&Copy::open(&path).unwrap());
    let mut refused = 0;
    for at in (0..before.len()).step_by(1_531) {
        let mut bytes = before.clone();
        bytes[at] ^= 0x40;
        std::fs::write(&path, &bytes).unwrap();
        match verified(&path) {
            Ok(store) => assert!(rows(&store.copy().unwrap()) == wanted, "byte {at}"),
            Err(error) => {
                refused += 1;
                assert!(matches!(error, OpenError::Damaged { .. }), "byte {at}: {error}");
                assert!(error.to_string().contains("restore it from a backup"), "{error}");
                assert!(std::fs::read(&path).unwrap() == bytes, "byte {at}: a refused file was changed");
                assert!(check(&path, |_, _, _| Ok(())).is_err(), "byte {at}");
            }
        }
    }
    assert!(refused > 5, "{refused} of {}", before.len() / 1_531);
}

/// The same for a file that was not closed. There the last commit may be torn, so damage to it alone brings back the one
/// before: but not without a word.
#[test]
fn a_changed_page_of_a_file_that_was_not_closed_is_refused_or_told() {
    let folder = tempfile::tempdir().unwrap();
    let (running, path) = (folder.path().join("running.redb"), folder.path().join("killed.redb"));
    let store = RedbStore::open(&running, Options::default()).unwrap();
    assert_eq!(store.left(), Left::Closed, "it is new");
    fill(&store, 200);
    let before = std::fs::read(&running).unwrap();
    let wanted = rows(&store.copy().unwrap());
    std::fs::write(&path, &before).unwrap();
    let killed = verified(&path).unwrap();
    assert!(killed.left() == Left::Unclosed && rows(&killed.copy().unwrap()) == wanted);
    drop(killed);
    assert_eq!(verified(&path).unwrap().left(), Left::Closed);
    let (mut refused, mut torn) = (0, 0);
    for at in (0..before.len()).step_by(1_531) {
        let mut bytes = before.clone();
        bytes[at] ^= 0x40;
        std::fs::write(&path, &bytes).unwrap();
        let looked = check(&path, |_, _, _| Ok(()));
        match verified(&path) {
            Ok(store) if store.left() == Left::Torn => {
                torn += 1;
                assert_eq!(looked.unwrap().left, Left::Torn, "byte {at}");
            }
            Ok(store) => assert!(rows(&store.copy().unwrap()) == wanted, "byte {at}: served without a word"),
            Err(error) => {
                refused += 1;
                assert!(matches!(error, OpenError::Damaged { .. }), "byte {at}: {error}");
            }
        }
    }
    assert!(refused > 0 && torn > 0, "{refused} refused, {torn} told");
}

#[test]
fn a_file_cut_short_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = filled(folder.path());
    let before = std::fs::read(&path).unwrap();
    let wanted = rows(&Copy::open(&path).unwrap());
    let mut refused = Vec::new();
    for keep in [0, 1, 100, 4_096, before.len() / 2, before.len() - 4_096, before.len() - 1] {
        std::fs::write(&path, &before[..keep]).unwrap();
        match verified(&path) {
            Ok(store) => assert!(rows(&store.copy().unwrap()) == wanted, "{keep} of {} bytes", before.len()),
            Err(_) => refused.push(keep),
        }
    }
    assert!(refused.starts_with(&[0, 1, 100, 4_096, before.len() / 2]), "{refused:?}");
}

#[test]
fn another_layout_is_refused_by_its_number() {
    let folder = tempfile::tempdir().unwrap();
    let path = filled(folder.path());
    let mut all = rows(&Copy::open(&path).unwrap());
    all.iter_mut()
        .filter(|row| row.key == b"format")
        .for_each(|row| row.value = 99_u64.to_be_bytes().to_vec());
    let path = folder.path().join("other.redb");
    rebuilt(&path, all).unwrap();
    for error in [verified(&path).err().unwrap(), check(&path, |_, _, _| Ok(())).err().unwrap()] {
        assert!(matches!(error, OpenError::Format { found: 99, .. }), "{error}");
    }
}
