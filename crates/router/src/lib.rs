//! Who gets a message: the route table, shared subscription groups, and the index of retained messages.
//!
//! Invariant: after `subscribe` returned, every later `matches` sees the subscription; after `unsubscribe` returned,
//! none does; what `matches` yields is what [`mqtt::matches`] says of each filter. Locks inside are leaves: nothing is
//! called back while one is held, except the caller's choice among a shared group's members, which must not block.

mod levels;
mod matches;
mod retained;
mod shapes;
mod shelf;
mod subscribers;
mod table;
mod trie;
mod volley;
mod wild;

pub use matches::{Matches, Route, SharedRoute, Target};
pub use retained::{Full, RetainedIndex, Weighed};
pub use table::RouteTable;
pub use volley::Volley;
