//! Each mistake on purpose is seen, by a checker that watches what it breaks, within a bounded number of worlds; and the
//! same world without the mistake is in order. A release build makes no mistakes on purpose.
#![cfg(debug_assertions)]

use std::num::NonZero;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;
use thingcore_simulator::flaw::Flaw;
use thingcore_simulator::run::{Case, STEPS};

/// How many worlds a mistake may hide in.
const MOST: u64 = 150;

/// Whether a checker that watches what the mistake breaks sees it.
fn is_seen(flaw: Flaw) -> bool {
    let first = flaw.first_seed();
    let seen = (first..first + MOST).find_map(|seed| {
        let case = Case { flaw: Some(flaw), ..Case::new(seed, STEPS) };
        let failure = case.run().0.filter(|failure| flaw.breaks().contains(&failure.checker))?;
        Some((seed, failure))
    });
    let Some((seed, failure)) = seen else { return false };
    println!("{:24} seed {seed:>5}  {}: {}", flaw.name(), failure.checker, failure.what);
    let without = Case::new(seed, STEPS).run().0;
    assert_eq!(without, None, "{}: seed {seed} fails without it as well", flaw.name());
    true
}

/// A mistake is made in one thread only, so that every processor can look for another.
#[test]
fn every_mistake_is_seen() {
    let all = Flaw::all();
    let (next, hidden) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    let look = || {
        while let Some(flaw) = all.get(next.fetch_add(1, Ordering::Relaxed)) {
            if !is_seen(*flaw) {
                hidden.lock().push(flaw.name());
            }
        }
    };
    std::thread::scope(|scope| {
        let threads = std::thread::available_parallelism().map_or(1, NonZero::get);
        (0..threads).for_each(|_| drop(scope.spawn(look)));
    });
    assert!(next.into_inner() >= all.len());
    assert_eq!(hidden.into_inner(), Vec::<String>::new(), "not seen in {MOST} worlds");
}

#[test]
fn no_mistake_is_made_unless_somebody_asks() {
    use thingcore_simulator::world::World;
    let flaw = Flaw::named("KeepsOldConnection");
    let mut world = World::new(&Case { flaw, ..Case::new(1, STEPS) });
    world.run(&[]);
    assert!(session::mutation::Mutation::ALL.iter().all(|mutation| !session::mutation::is(*mutation)));
}
