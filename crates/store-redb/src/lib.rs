//! The embedded durable backend: one redb file, one writer thread, group commit.
//!
//! Invariant: an answer to a write means that the disk confirmed it, and what was not answered is there whole or
//! not at all, whenever the power goes.
//!
//! Start at [`RedbStore`]; `writer` is where durability is decided, `records` and `queues` are the layout of the file.

mod answer;
mod backlog;
mod check;
mod copy;
mod disk;
mod error;
mod layout;
mod options;
mod overlay;
mod queues;
mod rebuild;
mod records;
mod slot;
mod store;
mod verify;
mod writer;

pub use check::{Findings, check};
pub use copy::{Copy, Part, Row};
pub use disk::Activity;
pub use error::OpenError;
pub use options::Options;
pub use rebuild::Rebuild;
pub use store::RedbStore;
pub use verify::Left;
