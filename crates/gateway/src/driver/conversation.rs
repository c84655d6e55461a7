//! What the driver needs of `broker::Connection`; the tests play it by hand.

use std::task::{Context, Poll};

use broker::{Connection, Flow, LinkEnd};
use identity::Timestamp;
use mqtt::{Malformed, Packet};
use session::Scroll;

/// One connection of the broker, as its methods are documented there.
pub(crate) trait Conversation {
    fn received(&mut self, bytes: usize, now: Timestamp);
    fn receive(&mut self, packets: &mut Vec<Packet>, now: Timestamp) -> Flow;
    fn malformed(&mut self, error: &Malformed, now: Timestamp) -> Flow;
    fn poll_output(&mut self, cx: &mut Context<'_>, out: &mut Scroll, now: Timestamp) -> Poll<Flow>;
    fn next_deadline(&self) -> Timestamp;
    fn on_time(&mut self, now: Timestamp) -> Flow;
    fn is_congested(&self) -> bool;
    fn ended(self, end: &LinkEnd, now: Timestamp);
}

impl Conversation for Connection {
    fn received(&mut self, bytes: usize, now: Timestamp) {
        Self::received(self, bytes, now);
    }
    fn receive(&mut self, packets: &mut Vec<Packet>, now: Timestamp) -> Flow {
        Self::receive(self, packets, now)
    }
    fn malformed(&mut self, error: &Malformed, now: Timestamp) -> Flow {
        Self::malformed(self, error, now)
    }
    fn poll_output(&mut self, cx: &mut Context<'_>, out: &mut Scroll, now: Timestamp) -> Poll<Flow> {
        Self::poll_output(self, cx, out, now)
    }
    fn next_deadline(&self) -> Timestamp {
        Self::next_deadline(self)
    }
    fn on_time(&mut self, now: Timestamp) -> Flow {
        Self::on_time(self, now)
    }
    fn is_congested(&self) -> bool {
        Self::is_congested(self)
    }
    fn ended(self, end: &LinkEnd, now: Timestamp) {
        Self::ended(self, end, now);
    }
}
