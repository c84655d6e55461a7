//! The one timer: the broker's deadlines, a stalled write, a packet that does not end.

use std::future::Future;
use std::pin::Pin;
use std::task::Context;

use broker::{Flow, LinkEnd};
use identity::Timestamp;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::Sleep;

use super::{Conversation, Driver, Ending};

impl<S, C> Driver<S, C>
where
    S: AsyncRead + AsyncWrite + Unpin,
    C: Conversation,
{
    pub(super) fn deadline(&self) -> Timestamp {
        let stalled = self.blocked_since.map(|since| since + self.limits.write_stall);
        let partial = self.partial_since.map(|since| since + self.limits.partial_packet);
        let own = self.connection.next_deadline();
        [stalled, partial].into_iter().flatten().fold(own, Timestamp::min)
    }

    /// Sets the alarm to the next deadline; true if one was due. An alarm that is too early is left alone: it
    /// costs one wake, and moving it on every packet would cost more.
    pub(super) fn watch_time(
        &mut self,
        cx: &mut Context<'_>,
        mut alarm: Pin<&mut Sleep>,
    ) -> Result<bool, Ending> {
        let due = self.clock.instant(self.deadline());
        if alarm.deadline() > due {
            alarm.as_mut().reset(due);
        }
        if alarm.as_mut().poll(cx).is_pending() {
            return Ok(false);
        }
        let now = self.clock.now();
        let rang = self.deadline() <= now;
        if rang {
            self.time_is_up(now)?;
        }
        let next = self.deadline().max(Timestamp(now.millis().saturating_add(1)));
        alarm.as_mut().reset(self.clock.instant(next));
        Ok(true)
    }

    fn time_is_up(&mut self, now: Timestamp) -> Result<(), Ending> {
        if self.blocked_since.is_some_and(|since| since + self.limits.write_stall <= now) {
            return Err(Ending::Lost(LinkEnd::WriteTimeout));
        }
        if self.partial_since.is_some_and(|since| since + self.limits.partial_packet <= now) {
            let seconds = self.limits.partial_packet.as_secs_f64();
            let detail = format!("a packet was not complete after {seconds} s");
            return Err(Ending::Lost(LinkEnd::Reset(detail)));
        }
        if self.connection.next_deadline() <= now && matches!(self.connection.on_time(now), Flow::Close) {
            return Err(Ending::ByBroker);
        }
        Ok(())
    }
}
