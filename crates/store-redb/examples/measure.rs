//! Measures durable commits on this machine's disk: `cargo run -p thingcore-store-redb --example measure [FOLDER]`.
//!
//! Each commit writes one record of 200 bytes, under a condition, as a registry write does; appends put one message of
//! 128 bytes into one of 1 000 queues. FOLDER (default: the system's folder for temporary files) decides the disk.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use store::{Append, Batch, Condition, Journal, Key, Recipient, Space, Store, block_on};
use thingcore_store_redb::{Options, RedbStore};

const SPACE: Space = Space::new("measure");
const TIME: Duration = Duration::from_secs(3);

/// One kind of load: what thread number and round do to the store.
type Work = fn(&RedbStore, usize, usize);

fn main() {
    let folder = std::env::args().nth(1).map_or_else(std::env::temp_dir, PathBuf::from);
    let path = folder.join(format!("thingcore-measure-{}.redb", std::process::id()));
    println!("cores: {}, file: {}", thread::available_parallelism().unwrap(), path.display());
    println!("bare fdatasync after 4 KiB: {}", percentiles(bare_syncs(&path)));
    println!();
    println!(
        "| load | threads | per second | p50 / p99 per write | groups | writes per group | syncs | MB written |"
    );
    println!("|---|---|---|---|---|---|---|---|");
    for (name, work) in [("commit", commit as Work), ("append", append), ("get", get)] {
        for threads in [1, 8, 64] {
            row(name, threads, &path, work);
        }
    }
}

fn commit(store: &RedbStore, thread: usize, round: usize) {
    let mut batch = Batch::new();
    let key = Key::of(&[&format!("{thread}"), &format!("{round}")]);
    batch.check(SPACE, key.clone(), Condition::Absent).put(SPACE, key, vec![b'v'; 200]);
    block_on(store.commit(batch)).unwrap();
}

fn append(store: &RedbStore, thread: usize, round: usize) {
    let session = Key::of(&[&format!("{}", (thread * 7_919 + round) % 1_000)]);
    let to = vec![Recipient { session, tag: "q1".into() }];
    block_on(store.append(vec![Append { body: vec![b'm'; 128].into(), to }])).unwrap();
}

fn get(store: &RedbStore, thread: usize, round: usize) {
    let key = Key::of(&[&format!("{thread}"), &format!("{}", round % 100)]);
    block_on(store.get(SPACE, key.as_bytes())).unwrap();
}

fn row(name: &str, threads: usize, path: &Path, work: Work) {
    let store = RedbStore::open(path, Options::default()).unwrap();
    (0..100).for_each(|round| commit(&store, 0, round));
    let before = store.activity();
    let started = Instant::now();
    let store_ref = &store;
    let times: Vec<Duration> = thread::scope(|scope| {
        let workers: Vec<_> =
            (1..=threads).map(|thread| scope.spawn(move || load(store_ref, thread, work))).collect();
        workers.into_iter().flat_map(|worker| worker.join().unwrap()).collect()
    });
    let seconds = started.elapsed().as_secs_f64();
    let after = store.activity();
    let groups = after.groups - before.groups;
    println!(
        "| {name} | {threads} | {:.0} | {} | {groups} | {:.1} | {} | {:.1} |",
        times.len() as f64 / seconds,
        percentiles(times),
        (after.writes - before.writes) as f64 / groups.max(1) as f64,
        after.syncs - before.syncs,
        (after.bytes_written - before.bytes_written) as f64 / 1e6,
    );
    drop(store);
    std::fs::remove_file(path).unwrap();
}

fn load(store: &RedbStore, thread: usize, work: Work) -> Vec<Duration> {
    let mut times = Vec::new();
    let started = Instant::now();
    while started.elapsed() < TIME {
        let begun = Instant::now();
        work(store, thread, times.len());
        times.push(begun.elapsed());
    }
    times
}

/// What the disk itself takes, to compare with.
fn bare_syncs(path: &Path) -> Vec<Duration> {
    use std::io::Write;
    let mut file = std::fs::File::create(path).unwrap();
    let times = (0..300).map(|_| {
        let begun = Instant::now();
        file.write_all(&[7; 4_096]).unwrap();
        file.sync_data().unwrap();
        begun.elapsed()
    });
    let times = times.collect();
    std::fs::remove_file(path).unwrap();
    times
}

fn percentiles(mut times: Vec<Duration>) -> String {
    times.sort_unstable();
    let at = |percent: usize| times.get((times.len() * percent / 100).min(times.len() - 1)).copied();
    let text = |time: Option<Duration>| {
        time.map_or("-".to_owned(), |time| format!("{:.3}", time.as_secs_f64() * 1e3))
    };
    format!("{} / {} ms", text(at(50)), text(at(99)))
}
