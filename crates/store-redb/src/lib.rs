//! The embedded durable backend: one redb file, one writer thread, group commit.
//!
//! Invariant: an answer to a write means that the disk confirmed it, and what was not answered is there whole or
//! not at all, whenever the power goes.
//!
//! Start at [`RedbStore`]; `writer` is where durability is decided, `records` and `queues` are the layout of the file.

mod answer;
mod backlog;
mod disk;
mod error;
mod layout;
mod options;
mod queues;
mod records;
mod slot;
mod store;
mod writer;

pub use disk::Activity;
pub use error::OpenError;
pub use options::Options;
pub use store::RedbStore;
