//! The messages on their way to the client, in the order in which they were sent.
//!
//! Their identifiers stand in a row of their own, so that looking for one reads a few bytes and not all messages.

use std::collections::VecDeque;

use identity::Timestamp;
use mqtt::PacketId;

use super::in_flight::InFlight;

/// Sent and not answered.
#[derive(Debug, Default)]
pub(super) struct Window {
    sent: VecDeque<InFlight>,
    /// The identifiers of `sent`, in the same order.
    ids: VecDeque<PacketId>,
    /// How many of `sent` wait for the new connection's window.
    parked: usize,
}

impl Window {
    pub(super) fn len(&self) -> usize {
        self.sent.len()
    }

    pub(super) fn parked(&self) -> usize {
        self.parked
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &InFlight> {
        self.sent.iter()
    }

    /// True if a message has this identifier.
    pub(super) fn uses(&self, packet_id: PacketId) -> bool {
        self.ids.contains(&packet_id)
    }

    /// The first message with this identifier that is one of those.
    pub(super) fn find(&self, packet_id: PacketId, is_one: impl Fn(&InFlight) -> bool) -> Option<usize> {
        let same = |(at, id): (usize, &PacketId)| (*id == packet_id).then_some(at);
        self.ids.iter().enumerate().filter_map(same).find(|at| self.sent.get(*at).is_some_and(&is_one))
    }

    pub(super) fn add(&mut self, sent: InFlight) {
        self.ids.push_back(sent.packet_id);
        self.parked += usize::from(sent.parked);
        self.sent.push_back(sent);
    }

    pub(super) fn remove(&mut self, at: usize) -> Option<InFlight> {
        self.ids.remove(at)?;
        let sent = self.sent.remove(at)?;
        self.parked -= usize::from(sent.parked);
        Some(sent)
    }

    /// Keeps those that `keep` says; it may change all of them but for their identifiers.
    pub(super) fn retain(&mut self, keep: impl FnMut(&mut InFlight) -> bool) {
        self.sent.retain_mut(keep);
        self.recount();
    }

    /// All wait for the window of a new connection.
    pub(super) fn park(&mut self, now: Timestamp) {
        for sent in &mut self.sent {
            sent.park(now);
        }
        self.recount();
    }

    /// Offers each message to `change`, until it says that it gave one this new identifier.
    pub(super) fn renumber(&mut self, to: PacketId, mut change: impl FnMut(&InFlight) -> bool) -> bool {
        let Some(at) = self.sent.iter().position(&mut change) else { return false };
        if let (Some(sent), Some(id)) = (self.sent.get_mut(at), self.ids.get_mut(at)) {
            (sent.packet_id, *id) = (to, to);
        }
        true
    }

    fn recount(&mut self) {
        self.parked = self.sent.iter().filter(|sent| sent.parked).count();
        if self.ids.len() != self.sent.len() {
            self.ids = self.sent.iter().map(|sent| sent.packet_id).collect();
        }
    }
}
