//! Reasoning about AWS IoT policies: who can reach what, what a change changes, what is wrong with a document.
//!
//! Policies match strings, MQTT filters match sets of topics; here both become automata. A "no" holds for all topics,
//! filters and client ids within the quotas; a "yes" comes with concrete names that the engine of the broker confirmed;
//! what neither could be shown is "unknown" and says why.
//!
//! The way through: an [`Analyst`] is asked about [`Cohort`]s, principals or groups of devices with the same policies.
//! `ask` has the method, `world` and `language` translate policies into `machine`s, `search` runs their product over
//! texts of a `shape`, `witness` checks. [`Analyst::lint`] has the rules of `thingcore policy check`; [`recorded`] is about
//! traffic that happened.

mod ask;
mod candidates;
mod cohort;
mod dfa;
mod diff;
mod extent;
mod extract;
mod language;
mod letters;
mod lint;
mod machine;
mod pattern;
mod reach;
pub mod recorded;
mod search;
mod shape;
mod topics;
mod witness;
mod world;

pub use ask::Analyst;
pub use cohort::{Association, Cohort};
pub use diff::{Difference, Relation};
pub use extent::{Extent, Filters, Part};
pub use extract::{Extracted, NothingFound, extract};
pub use lint::{Finding, Rule, Severity, rules};
pub use reach::Deed;
pub use search::Budget;
pub use topics::TopicSet;
pub use witness::{Answer, Witness, WitnessDevice};
