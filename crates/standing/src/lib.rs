//! What a principal may do by the store's present state, and whom a change of the store concerns.
//!
//! Invariant: a [`View`] is not older than the store was when its epoch was taken, and names every record and prefix
//! that it was made from. So a change that alters what a connection may do concerns its [`Standing`], whenever it
//! came: before the reading, after it, or in between.
//!
//! [`Principals`] is the way in. A [`Bearer`] is what a connection is by its credential; `reader` and `iam` read from
//! the store what it may do; `dependents` finds the standings that a change concerns; `documents` parses each policy
//! once. Nothing here knows connections, events or the time: who follows the store's feed, and what becomes of a
//! connection whose standing changed, is the broker's business.

mod bearer;
mod dependents;
mod documents;
mod enrich;
mod grant;
mod iam;
mod link;
mod principals;
mod reader;
mod sets;
mod standing;
mod suppose;
mod unread;

pub use bearer::Bearer;
pub use dependents::Record;
pub use grant::{Grant, Granted, GrantedDocument, NotRenewed, Renewal, Renewing};
pub use link::{Credential, Flow, HttpOrigin, Link, LinkEnd};
pub use principals::Principals;
pub use standing::{Glance, Standing, View};
pub use suppose::{Supposed, Supposition};
pub use unread::Unread;

#[cfg(test)]
mod tests;
