//! The in-memory backend of all three ports: for tests, and for a broker whose state may die with it.

mod bus;
mod journal;
mod store;

pub use bus::{MemoryBus, MemoryCluster};
pub use journal::MemoryJournal;
pub use store::MemoryStore;
