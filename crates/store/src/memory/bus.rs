//! Nodes of one process: a cluster of one for the broker without a cluster, of several for tests.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use parking_lot::Mutex;

use crate::bus::admit_topic;
use crate::{Boxed, Bus, Forwarded, Inbox, InboxError, Interest, StoreError};

/// Nodes that share this process.
#[derive(Clone, Default)]
pub struct MemoryCluster {
    state: Arc<Mutex<Cluster>>,
}

/// One node of a [`MemoryCluster`]. Dropping it withdraws its interests and ends its inboxes.
pub struct MemoryBus {
    cluster: MemoryCluster,
    node: u64,
}

#[derive(Default)]
struct Cluster {
    next: u64,
    nodes: BTreeMap<u64, Node>,
}

#[derive(Default)]
struct Node {
    filters: BTreeSet<Box<str>>,
    inboxes: BTreeMap<u64, Queue>,
}

#[derive(Default)]
struct Queue {
    messages: VecDeque<Forwarded>,
    missed: u64,
    waiting: Option<Waker>,
}

/// The most messages that wait in an inbox; the oldest are lost first.
pub const INBOX_MESSAGES: usize = 4_096;

impl MemoryCluster {
    /// A cluster without nodes.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a node.
    #[must_use]
    pub fn join(&self) -> MemoryBus {
        let mut state = self.state.lock();
        let node = state.fresh();
        state.nodes.insert(node, Node::default());
        MemoryBus { cluster: self.clone(), node }
    }
}

impl MemoryBus {
    /// The only node of its cluster: forwarding reaches nobody.
    #[must_use]
    pub fn alone() -> Self {
        MemoryCluster::new().join()
    }

    fn send(&self, topic: &str, body: &Bytes) -> Vec<Waker> {
        let mut state = self.cluster.state.lock();
        let others = state.nodes.iter_mut().filter(|(node, _)| **node != self.node);
        let interested =
            others.filter(|(_, node)| node.filters.iter().any(|filter| may_match(filter, topic)));
        interested
            .flat_map(|(_, node)| node.inboxes.values_mut())
            .filter_map(|queue| queue.push(Forwarded { topic: Box::from(topic), body: body.clone() }))
            .collect()
    }

    fn state_interest(&self, filter: &str, interest: Interest) {
        let mut state = self.cluster.state.lock();
        if let Some(node) = state.nodes.get_mut(&self.node) {
            match interest {
                Interest::Gained => node.filters.insert(Box::from(filter)),
                Interest::Lost => node.filters.remove(filter),
            };
        }
    }
}

impl Cluster {
    fn fresh(&mut self) -> u64 {
        self.next += 1;
        self.next
    }
}

impl Queue {
    fn push(&mut self, message: Forwarded) -> Option<Waker> {
        if self.messages.len() >= INBOX_MESSAGES {
            self.messages.pop_front();
            self.missed += 1;
        }
        self.messages.push_back(message);
        self.waiting.take()
    }

    fn poll(&mut self, context: &Context<'_>) -> Poll<Result<Vec<Forwarded>, InboxError>> {
        if self.missed > 0 {
            return Poll::Ready(Err(InboxError::Lagged { missed: std::mem::take(&mut self.missed) }));
        }
        if self.messages.is_empty() {
            self.waiting = Some(context.waker().clone());
            return Poll::Pending;
        }
        Poll::Ready(Ok(std::mem::take(&mut self.messages).into()))
    }
}

/// Matches a superset of what MQTT matches: `#` takes the parent and reserved topics too. The receiver decides.
fn may_match(filter: &str, topic: &str) -> bool {
    let mut levels = topic.split('/');
    for wanted in filter.split('/') {
        match (wanted, levels.next()) {
            ("#", _) => return true,
            ("+", Some(_)) => {}
            (wanted, Some(level)) if wanted == level => {}
            _ => return false,
        }
    }
    levels.next().is_none()
}

impl Bus for MemoryBus {
    fn forward<'a>(&'a self, topic: &'a str, body: Bytes) -> Boxed<'a, Result<(), StoreError>> {
        Box::pin(async move {
            admit_topic(topic)?;
            self.send(topic, &body).into_iter().for_each(Waker::wake);
            Ok(())
        })
    }

    fn interest<'a>(&'a self, filter: &'a str, interest: Interest) -> Boxed<'a, Result<(), StoreError>> {
        Box::pin(async move {
            admit_topic(filter)?;
            self.state_interest(filter, interest);
            Ok(())
        })
    }

    fn inbox(&self) -> Box<dyn Inbox> {
        let mut state = self.cluster.state.lock();
        let inbox = state.fresh();
        if let Some(node) = state.nodes.get_mut(&self.node) {
            node.inboxes.insert(inbox, Queue::default());
        }
        Box::new(MemoryInbox { cluster: self.cluster.clone(), node: self.node, inbox })
    }
}

impl Drop for MemoryBus {
    fn drop(&mut self) {
        let node = self.cluster.state.lock().nodes.remove(&self.node);
        let waiting = node.into_iter().flat_map(|node| node.inboxes.into_values());
        waiting.filter_map(|queue| queue.waiting).for_each(Waker::wake);
    }
}

struct MemoryInbox {
    cluster: MemoryCluster,
    node: u64,
    inbox: u64,
}

impl MemoryInbox {
    fn poll(&self, context: &Context<'_>) -> Poll<Result<Vec<Forwarded>, InboxError>> {
        let mut state = self.cluster.state.lock();
        let queue = state.nodes.get_mut(&self.node).and_then(|node| node.inboxes.get_mut(&self.inbox));
        queue.map_or(Poll::Ready(Err(InboxError::Closed)), |queue| queue.poll(context))
    }
}

impl Inbox for MemoryInbox {
    fn next(&mut self) -> Boxed<'_, Result<Vec<Forwarded>, InboxError>> {
        Box::pin(poll_fn(|context| self.poll(context)))
    }
}

impl Drop for MemoryInbox {
    fn drop(&mut self) {
        if let Some(node) = self.cluster.state.lock().nodes.get_mut(&self.node) {
            node.inboxes.remove(&self.inbox);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interest_is_never_missed() {
        for (filter, topic, expected) in [
            ("a/b", "a/b", true),
            ("a/+", "a/b", true),
            ("a/+", "a/", true),
            ("a/#", "a", true),
            ("#", "a/b", true),
            ("+/+", "/a", true),
            ("a/+", "a/b/c", false),
            ("a/b", "a", false),
            ("a", "a/b", false),
        ] {
            assert_eq!(may_match(filter, topic), expected, "{filter} {topic}");
        }
    }
}
