//! The ports behind which state is kept: records ([`Store`]), queues of messages ([`Journal`]), other nodes ([`Bus`]).
//!
//! Invariant: nothing here knows which engine keeps the bytes, and nothing that uses these traits can tell the
//! backends apart: every backend runs [`conformance`] from its own tests. The ports are object safe, their futures
//! are boxed, and no async runtime is named.
//!
//! Read [`port`] first, then [`Keyspace`], which is what most callers use.

mod batch;
pub mod block_on;
pub mod bus;
pub mod conformance;
mod error;
pub mod journal;
mod key;
mod keyspace;
pub mod memory;
pub mod port;
pub mod recent;
mod record;
mod ticket;

pub use batch::{Batch, Check, Condition, Sealed, Write};
pub use block_on::block_on;
pub use bus::{Bus, Forwarded, Inbox, InboxError, Interest};
pub use error::{CommitError, FeedError, Limit, StoreError};
pub use journal::{Append, Appended, Journal, Position, Recipient, Record, append_all};
pub use key::Key;
pub use keyspace::{Changed, Keyspace, Stored};
pub use port::{Boxed, Feed, Store};
pub use record::{Change, Entry, Revision, Space, Versioned};
pub use ticket::Ticket;
