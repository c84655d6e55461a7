//! The in-memory backend of all three ports: for tests, and for a broker whose state may die with it.

mod bus;
mod contended;
mod journal;
mod store;

pub use bus::{MemoryBus, MemoryCluster};
pub use contended::{Interleaved, Overtaken, take_turns};
pub use journal::MemoryJournal;
pub use store::MemoryStore;
