//! Misbehaviour on demand: seeded decisions whether a client meets what AWS permits itself.
//!
//! Invariant: an answer depends on the rule's seed, the quirk, the client id and the number of earlier questions of
//! that client, and on nothing else.

mod chance;
mod dice;
mod glob;
mod in_force;
mod kinds;
mod rule;

pub use dice::{Dice, Strike};
pub use in_force::Quirks;
pub use kinds::Quirk;
pub use rule::{InvalidRule, Rule, Rules};
