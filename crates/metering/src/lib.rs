//! What AWS would bill: from events to units to money.
//!
//! Invariant: the table of [`Item`] decides alone what costs money; counting is exact, money is never a floating-point
//! number, and nothing here touches a disk or a clock.

mod charge;
mod item;
mod journal;
mod ledger;
mod meter;
mod money;
mod sketch;
mod switches;
mod table;
mod usage;

pub use charge::{Charge, WANTED, charges};
pub use item::{Billed, Dimension, Evidence, FREE_PACKETS, Item, REGISTRY_OPERATIONS, Row, Step};
pub use journal::{Record, read as read_records, written as written_records};
pub use ledger::{Ledger, MOST_KEPT, Period, Span};
pub use meter::Meter;
pub use money::Money;
pub use sketch::ERROR as SKETCH_ERROR;
pub use switches::Switches;
pub use usage::{By, Counts, NEAR, Name, OTHERS, SHORT_TOPIC, Usage, UsageRow};
