//! Each mistake on purpose is seen, by a checker that watches what it breaks, within a bounded number of worlds; and the
//! same world without the mistake is in order. A release build makes no mistakes on purpose.
#![cfg(debug_assertions)]

use thingcore_simulator::flaw::Flaw;
use thingcore_simulator::run::{Case, STEPS};

/// How many worlds a mistake may hide in.
const MOST: u64 = 150;

#[test]
fn every_mistake_is_seen() {
    let mut hidden = Vec::new();
    for flaw in Flaw::all() {
        let first = flaw.first_seed();
        let seen = (first..first + MOST).find_map(|seed| {
            let case = Case { flaw: Some(flaw), ..Case::new(seed, STEPS) };
            let failure = case.run().0.filter(|failure| flaw.breaks().contains(&failure.checker))?;
            Some((seed, failure))
        });
        let Some((seed, failure)) = seen else {
            hidden.push(flaw.name());
            continue;
        };
        println!("{:24} seed {seed:>5}  {}: {}", flaw.name(), failure.checker, failure.what);
        let without = Case::new(seed, STEPS).run().0;
        assert_eq!(without, None, "{}: seed {seed} fails without it as well", flaw.name());
    }
    assert!(hidden.is_empty(), "not seen in {MOST} worlds: {hidden:?}");
}

#[test]
fn no_mistake_is_made_unless_somebody_asks() {
    use thingcore_simulator::world::World;
    let flaw = Flaw::named("KeepsOldConnection");
    let mut world = World::new(&Case { flaw, ..Case::new(1, STEPS) });
    world.run(&[]);
    assert!(session::mutation::Mutation::ALL.iter().all(|mutation| !session::mutation::is(*mutation)));
}
