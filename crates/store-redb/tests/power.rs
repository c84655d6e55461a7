//! The power goes at any moment: what was acknowledged is there, the rest is there whole or not at all.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod sim;

use std::time::Duration;

use redb::Builder;
use sim::{Contents, Dice, Disk, Job, Trouble};
use store::block_on;
use thingcore_store_redb::{Options, RedbStore};

const JOBS: u64 = 16;

/// Seeds from 0 up to here; more with the environment variable `POWER_SEEDS`. A seed fixes the workload and the
/// disk's behaviour; how jobs fall into groups is up to the threads.
fn seeds() -> u64 {
    std::env::var("POWER_SEEDS").ok().and_then(|seeds| seeds.parse().ok()).unwrap_or(600)
}

fn options() -> Options {
    Options { retry_after: Duration::ZERO, cache_bytes: 1 << 20, ..Options::default() }
}

/// What was known when the power went.
struct Run {
    /// The contents after each number of jobs.
    prefixes: Vec<Contents>,
    acknowledged: usize,
}

/// Works until the workload is done or the store fails. Several jobs are in flight at a time.
fn work(store: &RedbStore, before: Contents, dice: &mut Dice) -> Run {
    let mut run = Run { prefixes: vec![before], acknowledged: 0 };
    let mut number = 0;
    while number < JOBS {
        let jobs: Vec<Job> = (0..=dice.roll(4)).map(|at| Job::random(dice, number + at)).collect();
        number += jobs.len() as u64;
        for job in &jobs {
            let mut contents = run.prefixes.last().unwrap().clone();
            job.apply(&mut contents);
            run.prefixes.push(contents);
        }
        let started: Vec<_> = jobs.iter().map(|job| job.start(store)).collect();
        let done: Vec<bool> = started.into_iter().map(|job| block_on(job).is_ok()).collect();
        assert!(done.is_sorted_by(|earlier, later| earlier >= later), "a later job was acknowledged alone");
        run.acknowledged += done.iter().filter(|done| **done).count();
        if done.contains(&false) {
            break;
        }
    }
    run
}

/// The contents after the power came back, which must be those after a prefix that holds all that was acknowledged.
fn come_back(disk: &Disk, run: &Run, seed: u64) -> Contents {
    let mut database = Builder::new().create_with_backend(disk.clone()).unwrap();
    assert!(database.check_integrity().unwrap(), "seed {seed}: the file is damaged");
    drop(database);
    let store = disk.open(options()).unwrap_or_else(|error| panic!("seed {seed}: {error}"));
    let contents = Contents::read(&store);
    let fits = run.prefixes[run.acknowledged..].contains(&contents);
    assert!(
        fits,
        "seed {seed}: {} acknowledged of {}, then {contents:?}",
        run.acknowledged,
        run.prefixes.len() - 1
    );
    contents
}

/// How many changes a whole run makes to the disk, so that the cut hits any of them.
fn changes_of_a_run() -> u64 {
    let disk = Disk::new();
    drop(disk.open(options()).unwrap());
    let before = disk.changes();
    let store = disk.open(options()).unwrap();
    let run = work(&store, Contents::default(), &mut Dice::new(1));
    assert_eq!(run.acknowledged, run.prefixes.len() - 1);
    store.close();
    disk.changes() - before
}

#[test]
fn power_cuts_lose_nothing_that_was_acknowledged() {
    let changes = changes_of_a_run();
    let mut cut_short = 0;
    for seed in 0..seeds() {
        let mut dice = Dice::new(seed);
        let disk = Disk::new();
        drop(disk.open(options()).unwrap());
        let mut contents = Contents::default();
        for _ in 0..2 {
            disk.trouble(Trouble::PowerCut(dice.roll(changes)));
            let run = match disk.open(options()) {
                Ok(store) => work(&store, contents.clone(), &mut dice),
                Err(_) => Run { prefixes: vec![contents.clone()], acknowledged: 0 },
            };
            cut_short += u64::from(run.acknowledged < run.prefixes.len() - 1);
            disk.restart(&mut dice);
            contents = come_back(&disk, &run, seed);
        }
    }
    assert!(cut_short > seeds(), "the cuts missed the work: {cut_short} of {}", 2 * seeds());
}

#[test]
fn a_failed_write_fails_its_group_and_nothing_else() {
    let changes = changes_of_a_run();
    let mut failures = 0;
    for seed in 0..seeds() / 2 {
        let mut dice = Dice::new(seed);
        let disk = Disk::new();
        let store = disk.open(options()).unwrap();
        let mut expected = Contents::default();
        for number in 0..3 * JOBS {
            if number % JOBS == 0 {
                disk.trouble(Trouble::Hiccup(dice.roll(changes / 2)));
            }
            let job = Job::random(&mut dice, number);
            match block_on(job.start(&store)) {
                Ok(()) => job.apply(&mut expected),
                Err(error) => {
                    failures += 1;
                    assert!(error.to_string().contains("the disk failed (a hiccup)"), "seed {seed}: {error}");
                }
            }
            assert_eq!(Contents::read(&store), expected, "seed {seed}, job {number}");
        }
        disk.trouble(Trouble::None);
        store.close();
        assert_eq!(Contents::read(&disk.open(options()).unwrap()), expected, "seed {seed}");
    }
    assert!(failures > seeds() / 2, "only {failures} failures");
}

#[test]
fn a_disk_that_does_not_confirm_is_not_trusted_again() {
    for seed in 0..20 {
        let mut dice = Dice::new(seed);
        let disk = Disk::new();
        let store = disk.open(options()).unwrap();
        let before = work(&store, Contents::default(), &mut dice).prefixes.pop().unwrap();
        disk.trouble(Trouble::SyncFails);
        let run = work(&store, before, &mut dice);
        assert_eq!(run.acknowledged, 0);
        let later = block_on(Job::Trim(0).start(&store)).unwrap_err();
        assert!(later.to_string().contains("did not confirm a write"), "{later}");
        drop(store);
        disk.restart(&mut dice);
        come_back(&disk, &run, seed);
    }
}
