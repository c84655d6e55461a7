//! Worlds in which every promise has to hold; the same seed is the same world; and what was found before stays mended.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use thingcore_simulator::marks::Mark;
use thingcore_simulator::run::{Case, STEPS, many};
use thingcore_simulator::world::World;

/// Worlds after which every mark must have been hit.
const ENOUGH: u64 = 330;

/// New worlds for a fixed time: 15 seconds, or `THINGCORE_SIM_SECONDS`.
#[test]
fn every_promise_holds_in_many_worlds() {
    let asked = std::env::var("THINGCORE_SIM_SECONDS").ok().and_then(|text| text.parse().ok());
    let totals = many(1, STEPS, Duration::from_secs(asked.unwrap_or(15)), 1);
    // Not through `println`, which shows nothing of a test that passes.
    let _told = writeln!(std::io::stderr(), "simulator: {} worlds of {STEPS} steps", totals.seeds);
    if let Some((case, failure)) = totals.failures.first() {
        let (small, found) = case.shrink(failure);
        panic!(
            "{}: {}\nagain:   cargo run -p {}\nshorter: cargo run -p {}\n         {}: {}",
            failure.checker,
            failure.what,
            case.command().replace("thingcore-sim ", "thingcore-simulator -- "),
            small.command().replace("thingcore-sim ", "thingcore-simulator -- "),
            found.checker,
            found.what
        );
    }
    if totals.seeds >= ENOUGH {
        let missing: Vec<_> = totals.marks.missing().into_iter().map(Mark::text).collect();
        assert!(missing.is_empty(), "never happened in {} worlds: {missing:?}", totals.seeds);
    }
}

/// Everything that happens in a world, as one number.
fn digest(seed: u64) -> u64 {
    let sum = Arc::new(Mutex::new(DefaultHasher::new()));
    let heard = sum.clone();
    let mut world = World::new(seed, None);
    world.tell(move |now, fact| format!("{now} {fact:?}").hash(&mut *heard.lock()));
    world.run(&Case::new(seed, STEPS).trace());
    sum.lock().finish()
}

#[test]
fn the_same_seed_is_the_same_world() {
    for seed in 1..=8 {
        assert_eq!(digest(seed), digest(seed), "seed {seed}");
    }
    assert_ne!(digest(1), digest(2));
}

/// Worlds in which something broke once, and that `new worlds` does not come to.
#[test]
fn what_was_found_stays_mended() {
    let found = [
        // A queue that could not be read once was not read again.
        (104_893, vec![107, 140, 141, 143, 145]),
        // What a group had in the journal was not found again.
        (4_007_704, vec![3, 7, 10, 11, 18, 19]),
        (4_011_254, vec![54, 77, 81, 82, 87, 90, 95, 114]),
        (5_019_466, vec![6, 38, 47, 51, 53, 54, 55, 59, 61, 62, 63, 64, 70, 72]),
        // A goodbye that was read together with what cost the connection took the will back.
        (5_002_680, vec![2, 29, 44, 46, 48, 49, 51, 53]),
        // The model counted a session's end from when the process had read a slow disk, not from when it had read the clock.
        (4_014_230, vec![12, 31, 34, 40, 41, 43, 45, 94, 115, 123, 131, 132, 143, 144, 145, 146, 149]),
        // The model did not know that what a member of a group is handed at QoS 0 may end with its connection.
        (
            5_007_170,
            vec![29, 30, 31, 33, 52, 58, 69, 71, 72, 74, 75, 133, 135, 137, 138, 140, 144, 146, 147, 148],
        ),
        // The model did not know of a change of policies that reached the disk when the process died.
        (10_136_289, vec![18, 25, 34, 56, 59, 78, 82, 83, 89, 90, 92, 93]),
    ];
    for (seed, keep) in found {
        let case = Case { keep: Some(keep), ..Case::new(seed, STEPS) };
        assert_eq!(case.run().0, None, "{}", case.command());
    }
}

#[cfg(debug_assertions)]
/// A broken promise prints one command, and what is left of the trace is shorter and fails as well.
#[test]
fn a_failure_shrinks() {
    use thingcore_simulator::flaw::Flaw;
    let flaw = Flaw::named("KeepsOldConnection");
    let case = (1..50)
        .map(|seed| Case { flaw, ..Case::new(seed, STEPS) })
        .find(|case| case.run().0.is_some())
        .unwrap();
    let failure = case.run().0.unwrap();
    let (small, found) = case.shrink(&failure);
    assert_eq!(found.checker, failure.checker);
    assert!(
        small.trace().len() < case.trace().len() / 4,
        "{} of {} steps",
        small.trace().len(),
        case.trace().len()
    );
    let again = small.run().0.unwrap();
    assert_eq!((again.checker, again.what), (found.checker, found.what));
    assert!(small.command().contains("--keep"), "{}", small.command());
}
