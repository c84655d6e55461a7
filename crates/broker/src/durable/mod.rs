//! What survives the process: persistent sessions, the messages that wait for them, retained messages, wills-to-be.
//!
//! `committer` takes what waits in the `queue`, writes it in groups and then lets acknowledgements go; `loader` reads pages of a session's journal back when
//! its client is there; `recover` builds sessions, routes and retained messages again at the start; [`records`] and
//! `session::stored` are the shapes on disk. Without a journal ([`BrokerParts`](crate::BrokerParts)) all of it stays in memory.

mod committer;
mod loader;
mod queue;
mod recover;
mod save;

pub(crate) use loader::Loader;
pub(crate) use queue::{Committer, Job, Then};
pub(crate) use save::Saved;
pub(crate) use store::Ticket;
