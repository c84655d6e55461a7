//! The crate's invariant, for any registry, any changes and any order of reading and writing.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use proptest::collection::vec;
use proptest::prelude::*;
use store::memory::{Interleaved, MemoryStore, take_turns};
use store::{Batch, Key, Revision, Space, Store, block_on};

use super::world::*;
use crate::{Principals, Standing};

/// Written last: whoever follows the feed stops here.
const END: Space = Space::new("end");

fn batch(change: &Change) -> Batch {
    let mut batch = Batch::new();
    change.write(&mut batch);
    batch
}

/// What is told by a fresh reading and by the standing.
async fn both(principals: &Principals, standing: &Standing) -> (String, String) {
    (told(&principals.view(&standing.bearer).await.unwrap()), told(&standing.view()))
}

/// The changes after a revision, up to the next [`END`].
async fn changes_after(store: &MemoryStore, start: Revision) -> Vec<store::Change> {
    let (mut feed, mut found) = (store.feed(start), Vec::new());
    while !found.iter().any(|change: &store::Change| change.space == END) {
        found.extend(feed.next().await.unwrap());
    }
    found
}

/// Applies the feed up to the next [`END`].
async fn follow(principals: &Principals, store: &MemoryStore, start: Revision) {
    principals.follow_from(start);
    let mut feed = store.feed(start);
    loop {
        let changes = feed.next().await.unwrap();
        for standing in principals.concerned(&changes) {
            principals.reread(&standing).await.unwrap();
        }
        if changes.iter().any(|change| change.space == END) {
            return;
        }
    }
}

/// Each change in a commit of its own, and then the end.
async fn write_all(store: &dyn Store, changes: &[Change]) {
    for change in changes {
        store.commit(batch(change)).await.unwrap();
    }
    let mut last = Batch::new();
    last.put(END, Key::of(&["end"]), "x");
    store.commit(last).await.unwrap();
}

proptest! {
    /// A view names every record and prefix that it was made from.
    #[test]
    fn what_a_change_alters_it_concerns(
        before in vec(any_change(), 0..24), changes in vec(any_change(), 1..24), who in 0..3usize,
    ) {
        let store = MemoryStore::new();
        block_on(write_all(&store, &before));
        let principals = principals(store.clone());
        let standing = block_on(principals.lasting(everybody()[who].clone())).unwrap();
        for change in changes {
            let start = block_on(store.revision()).unwrap();
            let written = std::slice::from_ref(&change);
            block_on(write_all(&store, written));
            let concerned = principals.concerned(&block_on(changes_after(&store, start)));
            let (fresh, known) = block_on(both(&principals, &standing));
            prop_assert!(fresh == known || !concerned.is_empty(), "{change:?}:\n{known}\n{fresh}");
            concerned.iter().for_each(|concerned| block_on(principals.reread(concerned)).unwrap());
            let (fresh, known) = block_on(both(&principals, &standing));
            prop_assert_eq!(fresh, known);
        }
    }

    /// Whatever slips in between the reading of a record and being indexed under it is seen in the end, and of two
    /// readings at once the newer one stays.
    #[test]
    fn no_change_passes_a_reading_by(
        before in vec(any_change(), 0..8), changes in vec(any_change(), 1..8), who in 0..3usize,
        again in 0..4usize, turns in vec(0..3usize, 0..200),
    ) {
        let store = MemoryStore::new();
        block_on(write_all(&store, &[&everything(), &before[..]].concat()));
        let start = block_on(store.revision()).unwrap();
        let interleaved = Interleaved(store.clone());
        let (fresh, principals) = (principals(store.clone()), principals(interleaved.clone()));
        let standing = OnceLock::new();
        let comes = async {
            let bearer = everybody()[who].clone();
            let made = principals.lasting(bearer).await.unwrap();
            let made = standing.get_or_init(|| made);
            for _ in 0..again {
                principals.reread(made).await.unwrap();
            }
        };
        let writes = write_all(&interleaved, &changes);
        take_turns(vec![Box::pin(comes), Box::pin(writes), Box::pin(follow(&principals, &store, start))], turns);
        let (fresh, known) = block_on(both(&fresh, standing.get().unwrap()));
        prop_assert_eq!(fresh, known);
    }

    /// A view is not older than the store was when its epoch was taken.
    #[test]
    fn a_view_shows_what_was_written_before_its_epoch(turns in vec(0..3usize, 0..200)) {
        const VERSIONS: usize = 8;
        let store = MemoryStore::new();
        let interleaved = Interleaved(store.clone());
        let principals = principals(interleaved.clone());
        let written = AtomicUsize::new(0);
        let mut first = Batch::new();
        set_certificate(&mut first, true);
        attach(&mut first, &site().arn("cert", ID), "p");
        block_on(store.commit(first)).unwrap();
        let writes = async {
            for version in 1..=VERSIONS {
                let mut batch = Batch::new();
                let topic = format!("arn:aws:iot:*:*:topic/{version}");
                let text = format!(r#"{{"Effect":"Allow","Action":"iot:Publish","Resource":"{topic}"}}"#);
                set_policy(&mut batch, "p", &document(&text));
                interleaved.commit(batch).await.unwrap();
                written.store(version, Ordering::Release);
            }
        };
        let reads = || async {
            for _ in 0..VERSIONS {
                let (least, epoch) = (written.load(Ordering::Acquire), principals.next_epoch());
                let view = principals.view(&certificate()).await.unwrap();
                let shown = (1..=VERSIONS).find(|version| may_publish(&view, &version.to_string()));
                assert!(view.authorizer.epoch() > epoch && shown.unwrap_or(0) >= least, "{shown:?}, not {least}");
            }
        };
        take_turns(vec![Box::pin(writes), Box::pin(reads()), Box::pin(reads())], turns);
    }
}

#[test]
fn a_change_while_a_connection_comes_is_seen() {
    for polls in 0..40 {
        let store = MemoryStore::new();
        block_on(write_all(&store, &everything()));
        let start = block_on(store.revision()).unwrap();
        let (fresh, principals) = (principals(store.clone()), principals(Interleaved(store.clone())));
        let standing = OnceLock::new();
        let comes = async {
            let _ = standing.set(principals.lasting(certificate()).await.unwrap());
        };
        let deactivates = async {
            write_all(&store, &[Change::Certificate(false)]).await;
            follow(&principals, &store, start).await;
        };
        let turns = std::iter::repeat_n(0, polls).chain(std::iter::repeat_n(1, 100));
        take_turns(vec![Box::pin(comes), Box::pin(deactivates)], turns);
        let (fresh, known) = block_on(both(&fresh, standing.get().unwrap()));
        assert_eq!(fresh, known, "after {polls} polls");
    }
}

/// A policy is attached, and written again just when whoever was told of that reads it for the first time: nothing was
/// indexed under it yet.
#[test]
fn a_change_of_what_is_read_for_the_first_time_is_seen() {
    for polls in 0..40 {
        let store = MemoryStore::new();
        block_on(write_all(&store, &[Change::Certificate(true), Change::Policy(0, Some(0))]));
        let (fresh, behind) = (principals(store.clone()), Interleaved(store.clone()));
        let principals = principals(behind);
        let standing = OnceLock::new();
        let comes = async {
            let _ = standing.set(principals.lasting(certificate()).await.unwrap());
        };
        take_turns(vec![Box::pin(comes)], []);
        let tell = async |changes: &[Change]| {
            let start = store.revision().await.unwrap();
            write_all(&store, changes).await;
            for standing in principals.concerned(&changes_after(&store, start).await) {
                principals.reread(&standing).await.unwrap();
            }
        };
        let attaches = tell(&[Change::Attachment(0, 0, true)]);
        let denies = tell(&[Change::Policy(0, Some(1))]);
        let turns = std::iter::repeat_n(0, polls).chain(std::iter::repeat_n(1, 100));
        take_turns(vec![Box::pin(attaches), Box::pin(denies)], turns);
        let (fresh, known) = block_on(both(&fresh, standing.get().unwrap()));
        assert_eq!(fresh, known, "after {polls} polls");
    }
}

#[test]
fn of_two_readings_the_newer_one_stays() {
    let store = MemoryStore::new();
    block_on(write_all(&store, &everything()));
    let principals = principals(store.clone());
    let standing = block_on(principals.lasting(certificate())).unwrap();
    let older = block_on(principals.view(&certificate())).unwrap();
    block_on(write_all(&store, &[Change::Certificate(false)]));
    block_on(principals.reread(&standing)).unwrap();
    let (epoch, records) = (older.authorizer.epoch(), principals.records());
    standing.index().index(&standing, epoch, &[]);
    standing.exchange(older);
    assert!(!standing.is_active(), "the older reading was late");
    assert_eq!(principals.records(), records);
}
