//! The file among other things in the world: full disks, other processes, sudden ends.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod sim;

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use sim::{Disk, SPACE, Trouble};
use store::recent::Memory;
use store::{
    Append, Batch, CommitError, Feed, FeedError, Journal, Key, Position, Recipient, Revision, Store, block_on,
};
use thingcore_store_redb::{OpenError, Options, RedbStore};

fn put(store: &RedbStore, name: &str, value: Vec<u8>) -> Result<Revision, CommitError> {
    let mut batch = Batch::new();
    batch.put(SPACE, Key::of(&[name]), value);
    block_on(store.commit(batch))
}

fn get(store: &RedbStore, name: &str) -> Option<Vec<u8>> {
    let found = block_on(store.get(SPACE, Key::of(&[name]).as_bytes())).unwrap();
    found.map(|found| found.value.to_vec())
}

fn open(path: &Path) -> RedbStore {
    RedbStore::open(path, Options::default()).unwrap()
}

#[test]
fn a_full_disk_refuses_writes_and_serves_reads() {
    let disk = Disk::new();
    let options = Options { retry_after: Duration::ZERO, cache_bytes: 0, ..Options::default() };
    let store = disk.open(options).unwrap();
    let mut feed = store.feed(Revision::ZERO);
    put(&store, "kept", vec![1; 10_000]).unwrap();
    disk.trouble(Trouble::Full);
    for _ in 0..3 {
        let refused = put(&store, "lost", vec![2; 1 << 20]).unwrap_err();
        assert!(refused.to_string().contains("the disk is full"), "{refused}");
        assert_eq!(get(&store, "kept"), Some(vec![1; 10_000]));
        assert_eq!(get(&store, "lost"), None);
        assert!(store.problem().unwrap().contains("the disk is full"));
    }
    disk.trouble(Trouble::None);
    let revision = put(&store, "again", vec![3; 1 << 20]).unwrap();
    assert_eq!(store.problem(), None);
    assert_eq!(get(&store, "again"), Some(vec![3; 1 << 20]));
    let mut seen = Vec::new();
    while seen.last() != Some(&revision) {
        seen.extend(block_on(feed.next()).unwrap().into_iter().map(|change| change.revision));
    }
    assert_eq!(seen, [Revision(1), Revision(2)]);
}

#[test]
fn failed_writes_are_not_retried_at_once() {
    let disk = Disk::new();
    let options = Options { retry_after: Duration::from_secs(3_600), ..Options::default() };
    let store = disk.open(options).unwrap();
    disk.trouble(Trouble::Full);
    put(&store, "lost", vec![2; 1 << 20]).unwrap_err();
    let changes = disk.changes();
    let refused = put(&store, "small", vec![2]).unwrap_err();
    assert!(refused.to_string().contains("the disk is full"), "{refused}");
    assert_eq!((disk.changes(), get(&store, "small")), (changes, None));
}

#[test]
fn a_disk_that_is_gone_comes_back() {
    let disk = Disk::new();
    let store = disk.open(Options { retry_after: Duration::ZERO, ..Options::default() }).unwrap();
    put(&store, "a", vec![1]).unwrap();
    disk.trouble(Trouble::PowerCut(1));
    put(&store, "b", vec![2]).unwrap_err();
    assert!(block_on(store.get(SPACE, b"a")).is_err());
    assert!(block_on(store.revision()).is_err());
    assert!(store.problem().is_some());
    disk.restart(&mut sim::Dice::new(1));
    put(&store, "c", vec![3]).unwrap();
    assert_eq!((get(&store, "a"), get(&store, "b"), get(&store, "c")), (Some(vec![1]), None, Some(vec![3])));
}

/// Nobody has to write for that: whoever reads first finds it up again.
#[test]
fn a_disk_that_is_gone_comes_back_for_readers_too() {
    let disk = Disk::new();
    let store = disk.open(Options { retry_after: Duration::ZERO, ..Options::default() }).unwrap();
    put(&store, "a", vec![1]).unwrap();
    disk.trouble(Trouble::PowerCut(1));
    put(&store, "b", vec![2]).unwrap_err();
    assert!(block_on(store.get(SPACE, Key::of(&["a"]).as_bytes())).is_err());
    disk.restart(&mut sim::Dice::new(1));
    assert_eq!((get(&store, "a"), get(&store, "b")), (Some(vec![1]), None));
    assert_eq!(store.problem(), None);
}

/// Who follows the feed asks where the store is before it reads anything. What was in doubt is settled by then.
#[test]
fn a_disk_that_is_gone_comes_back_for_who_asks_where_it_is() {
    let disk = Disk::new();
    let store = disk.open(Options { retry_after: Duration::ZERO, ..Options::default() }).unwrap();
    put(&store, "a", vec![1]).unwrap();
    let mut feed = store.feed(Revision(1));
    disk.trouble(Trouble::PowerCut(1));
    put(&store, "b", vec![2]).unwrap_err();
    assert!(block_on(store.revision()).is_err());
    disk.restart(&mut sim::Dice::new(1));
    assert_eq!(block_on(store.revision()), Ok(Revision(1)));
    assert_eq!(store.problem(), None);
    let revision = put(&store, "c", vec![3]).unwrap();
    let changes = block_on(feed.next()).unwrap();
    assert_eq!(changes.into_iter().map(|change| change.revision).collect::<Vec<_>>(), [revision]);
    store.close();
    assert!(block_on(store.revision()).unwrap_err().to_string().ends_with("it is closed"));
}

#[test]
fn a_writer_that_died_is_named() {
    let disk = Disk::new();
    let store = disk.open(Options::default()).unwrap();
    put(&store, "a", vec![1]).unwrap();
    let mut feed = store.feed(Revision(1));
    disk.trouble(Trouble::Panics);
    put(&store, "b", vec![2]).unwrap_err();
    assert_eq!(block_on(feed.next()), Err(FeedError::Closed));
    let error = put(&store, "c", vec![3]).unwrap_err();
    assert!(error.to_string().contains("its writer thread failed"), "{error}");
    assert!(block_on(store.get(SPACE, b"a")).unwrap_err().to_string().contains("its writer thread failed"));
    disk.trouble(Trouble::None);
    store.close();
}

#[test]
fn one_process_at_a_time() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.redb");
    let store = open(&path);
    let error = RedbStore::open(&path, Options::default()).err().unwrap();
    assert!(matches!(error, OpenError::InUse { .. }));
    assert!(error.to_string().starts_with("another thingcore uses this data folder"), "{error}");
    store.close();
    open(&path);
}

#[test]
fn what_is_not_a_store_is_not_touched() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.redb");
    std::fs::write(&path, "a shopping list").unwrap();
    let error = RedbStore::open(&path, Options::default()).err().unwrap();
    assert!(matches!(error, OpenError::Damaged { .. }), "{error}");
    assert_eq!(std::fs::read(&path).unwrap(), b"a shopping list");
    let nowhere = folder.path().join("no-such-folder").join("store.redb");
    let error = RedbStore::open(&nowhere, Options::default()).err().unwrap();
    assert!(matches!(error, OpenError::Io { .. }), "{error}");
}

#[test]
fn a_first_start_that_was_cut_short_is_repeated() {
    let folder = tempfile::tempdir().unwrap();
    let (path, draft) = (folder.path().join("store.redb"), folder.path().join("store.new"));
    std::fs::write(&draft, [0; 5_000]).unwrap();
    put(&open(&path), "a", vec![1]).unwrap();
    assert_eq!(get(&open(&path), "a"), Some(vec![1]));
    assert!(!draft.exists());
}

#[cfg(unix)]
#[test]
fn only_the_owner_reads_the_file() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.redb");
    let mode = || std::fs::metadata(&path).unwrap().permissions().mode() & 0o777;
    drop(open(&path));
    assert_eq!(mode(), 0o600);
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
    drop(open(&path));
    assert_eq!(mode(), 0o600);
}

#[test]
fn closing_finishes_what_was_begun() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.redb");
    let store = Arc::new(open(&path));
    let mut feed = store.feed(Revision::ZERO);
    let mut pending = Vec::new();
    for number in 0..20 {
        let mut batch = Batch::new();
        batch.put(SPACE, Key::of(&[&number.to_string()]), vec![number]);
        let mut commit = store.commit(batch);
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        assert!(commit.as_mut().poll(&mut context).is_pending());
        pending.push(commit);
    }
    store.close();
    for commit in pending {
        block_on(commit).unwrap();
    }
    assert!(put(&store, "late", vec![1]).unwrap_err().to_string().ends_with("it is closed"));
    assert!(block_on(store.get(SPACE, b"0")).is_err());
    while let Ok(changes) = block_on(feed.next()) {
        assert!(!changes.is_empty());
    }
    assert_eq!(block_on(feed.next()), Err(FeedError::Closed));
    store.close();
    let store = open(&path);
    assert!((0..20).all(|number| get(&store, &number.to_string()) == Some(vec![number])));
    assert_eq!(block_on(store.revision()), Ok(Revision(20)));
}

#[test]
fn revisions_and_positions_go_on_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.redb");
    let session = Key::of(&["s"]);
    let mut last = (Revision::ZERO, Position::START);
    for round in 0..3 {
        let compact = round == 2;
        let store = RedbStore::open(&path, Options { compact, ..Options::default() }).unwrap();
        let mut feed = store.feed(last.0);
        let to = vec![Recipient { session: session.clone(), tag: "t".into() }];
        let position = block_on(store.append(vec![Append { body: "b".into(), to }])).unwrap();
        block_on(store.trim(&session, position)).unwrap();
        let revision = put(&store, "a", vec![round]).unwrap();
        assert!(revision > last.0 && position > last.1);
        assert_eq!(block_on(feed.next()).unwrap()[0].revision, revision, "a feed resumes over a restart");
        last = (revision, position);
    }
    let store = open(&path);
    assert_eq!(block_on(store.feed(Revision(1)).next()), Err(FeedError::Lagged), "history is not kept");
}

#[test]
fn a_slow_follower_is_told() {
    let disk = Disk::new();
    let feed = Memory { changes: 5, bytes: 1 << 20 };
    let store = disk.open(Options { feed, ..Options::default() }).unwrap();
    let mut feed: Box<dyn Feed> = store.feed(Revision::ZERO);
    for _ in 0..6 {
        put(&store, "a", vec![1]).unwrap();
    }
    assert_eq!(block_on(feed.next()), Err(FeedError::Lagged));
}

#[test]
fn a_full_backlog_makes_callers_wait() {
    let disk = Disk::new();
    let store = disk.open(Options { backlog: 1, ..Options::default() }).unwrap();
    std::thread::scope(|scope| {
        for thread in 0..16 {
            let store = &store;
            scope.spawn(move || {
                (0..20).for_each(|_| assert!(put(store, &thread.to_string(), vec![thread]).is_ok()))
            });
        }
    });
    assert_eq!(block_on(store.revision()), Ok(Revision(320)));
    let activity = store.activity();
    assert!(activity.writes == 320 && activity.groups <= 320 && activity.syncs > 0, "{activity:?}");
}

/// Not a test: what `killed_right_after_the_answer` kills.
#[test]
#[ignore = "runs as the victim of another test"]
fn victim() {
    let Ok(path) = std::env::var("VICTIM_STORE") else { return };
    let store = open(Path::new(&path));
    for number in 0..1_000_000_u32 {
        put(&store, "last", number.to_string().into_bytes()).unwrap();
        let mut out = std::io::stdout();
        writeln!(out, "acknowledged={number}").unwrap();
        out.flush().unwrap();
    }
}

#[test]
fn killed_right_after_the_answer() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.redb");
    let mut last: i64 = -1;
    for round in 1..=3 {
        let mut victim = Command::new(std::env::current_exe().unwrap())
            .args(["victim", "--exact", "--ignored", "--nocapture"])
            .env("VICTIM_STORE", &path)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(victim.stdout.take().unwrap()).lines().map(Result::unwrap);
        let acknowledged =
            lines.filter_map(|line| Some(line.split_once("acknowledged=")?.1.parse::<i64>().unwrap()));
        let acknowledged = acknowledged.take(7 * round).last().unwrap();
        victim.kill().unwrap();
        victim.wait().unwrap();
        last = String::from_utf8(get(&open(&path), "last").unwrap()).unwrap().parse().unwrap();
        assert!(last >= acknowledged, "{acknowledged} was acknowledged and {last} is there");
    }
    assert!(last >= 0);
}
