//! What AWS would bill: from events to units to money.
//!
//! Invariant: the table of [`Item`] decides alone what costs money; counting is exact, money is never a floating-point
//! number, and nothing here touches a disk or a clock.

mod bill;
mod budget;
mod charge;
mod findings;
mod item;
mod journal;
mod lane;
mod ledger;
mod meter;
mod money;
mod prices;
mod project;
mod replay;
mod sketch;
mod switches;
mod table;
mod tallies;
#[cfg(test)]
mod tests;
mod usage;
mod what_if;

pub use bill::{Bill, Group, Line, TierLine, split, split_among};
pub use budget::{Budget, Verdict};
pub use charge::{Charge, WANTED, charges};
pub use findings::{Finding, findings};
pub use item::{Billed, Dimension, Evidence, FREE_PACKETS, Item, REGISTRY_OPERATIONS, Row, Step};
pub use journal::{Record, damage, read as read_records, write as write_records, written as written_records};
pub use ledger::{Ledger, MOST_KEPT, Period, Span};
pub use meter::Meter;
pub use money::Money;
pub use prices::{InvalidPrices, Prices, Tier};
pub use project::{Fleet, Projection, duration, project};
pub use sketch::{ERROR as SKETCH_ERROR, HEAVY_LEAST, HEAVY_PART};
pub use switches::Switches;
pub use usage::{By, Counts, NEAR, Name, OTHERS, SHORT_TOPIC, Usage, UsageRow};
pub use what_if::{Suggestion, what_if};
