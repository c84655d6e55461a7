//! The bus's port: live messages between the nodes of a cluster, sent where there is interest.

use std::fmt;

use bytes::Bytes;

use crate::{Boxed, Limit, StoreError};

/// The longest topic or filter on the bus, in bytes.
pub const MAX_TOPIC_BYTES: usize = 1024;

/// Whether this node wants messages that match a filter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interest {
    /// From now on, at the latest when the call is answered.
    Gained,
    /// No more; some may still arrive.
    Lost,
}

/// Carries messages to the other nodes, at most once. What must survive goes through the journal.
///
/// A message reaches every other node that has an interest whose filter matches its topic by MQTT's rules, and may
/// reach nodes that have none: the receiver routes again. It never comes back to the node that sent it.
pub trait Bus: Send + Sync {
    /// Sends to the others. Messages of one sender arrive in the order in which they were sent.
    ///
    /// # Errors
    /// Limits; unavailability.
    fn forward<'a>(&'a self, topic: &'a str, body: Bytes) -> Boxed<'a, Result<(), StoreError>>;

    /// States or withdraws an interest in an MQTT topic filter. Interests are a set: the caller counts its own
    /// subscriptions and states the first and withdraws the last.
    ///
    /// # Errors
    /// Limits; unavailability.
    fn interest<'a>(&'a self, filter: &'a str, interest: Interest) -> Boxed<'a, Result<(), StoreError>>;

    /// What arrives from now on. One inbox per node is enough; each inbox gets everything.
    fn inbox(&self) -> Box<dyn Inbox>;
}

/// A message from another node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Forwarded {
    /// The topic it was sent to.
    pub topic: Box<str>,
    /// The message.
    pub body: Bytes,
}

/// Why the inbox has no next message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InboxError {
    /// The reader was too slow and this many messages were lost; the next call goes on.
    Lagged {
        /// How many.
        missed: u64,
    },
    /// There will be no more.
    Closed,
}

impl fmt::Display for InboxError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lagged { missed } => write!(f, "{missed} messages from other nodes were lost: too slow"),
            Self::Closed => f.write_str("the bus is closed"),
        }
    }
}

impl std::error::Error for InboxError {}

/// Where messages from other nodes arrive; bounded.
pub trait Inbox: Send {
    /// Waits for messages, in order of arrival, never empty.
    ///
    /// # Errors
    /// [`InboxError`].
    fn next(&mut self) -> Boxed<'_, Result<Vec<Forwarded>, InboxError>>;
}

/// For backends: enforces the bound on topics and filters.
///
/// # Errors
/// [`StoreError::Limit`].
pub fn admit_topic(topic: &str) -> Result<(), StoreError> {
    Limit::TopicBytes.admit(topic.len(), MAX_TOPIC_BYTES)
}
