//! From the broker to the link: take what there is, give what it takes, notice when it takes nothing.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use broker::{Flow, LinkEnd};
use bytes::BytesMut;
use identity::Timestamp;
use session::Paper as _;
use tokio::io::{AsyncRead, AsyncWrite};

use super::{Conversation, Driver, Ending, OUTPUT_BYTES};
use crate::scratch;

/// Slices that are offered to the link at once.
const SLICES: usize = 8;

impl<S, C> Driver<S, C>
where
    S: AsyncRead + AsyncWrite + Unpin,
    C: Conversation,
{
    pub(super) fn write(&mut self, cx: &mut Context<'_>, now: Timestamp) -> Result<bool, Ending> {
        self.take_output(cx, now)?;
        let wrote = self.push(cx).map_err(|error| Ending::Lost(LinkEnd::Reset(error.to_string())))?;
        let waits = !self.output.is_empty() || self.unflushed;
        match (waits, wrote) {
            (false, _) => self.blocked_since = None,
            (true, true) => self.blocked_since = Some(now),
            (true, false) => {
                self.blocked_since.get_or_insert(now);
            }
        }
        if self.output.is_empty() {
            scratch::return_output(self.output.exchange(BytesMut::new()));
        }
        Ok(wrote)
    }

    fn take_output(&mut self, cx: &mut Context<'_>, now: Timestamp) -> Result<(), Ending> {
        if self.output.capacity() == 0 {
            self.output.exchange(scratch::rent_output());
        }
        while self.output.len() < OUTPUT_BYTES {
            match self.connection.poll_output(cx, &mut self.output, now) {
                Poll::Ready(Flow::Continue) => {}
                Poll::Ready(Flow::Close) => return Err(Ending::ByBroker),
                Poll::Pending => return Ok(()),
            }
        }
        Ok(())
    }

    /// What is still to be said after the broker closed. Bounded, for a broker that always has more.
    pub(super) fn take_last_output(&mut self, cx: &mut Context<'_>, now: Timestamp) {
        const ROUNDS: usize = 64;
        for _ in 0..ROUNDS {
            match self.connection.poll_output(cx, &mut self.output, now) {
                Poll::Ready(Flow::Continue) => {}
                Poll::Ready(Flow::Close) | Poll::Pending => return,
            }
        }
    }

    /// Offers the link what waits: as many slices as it takes at once.
    fn offer(&mut self, cx: &mut Context<'_>) -> io::Result<Poll<usize>> {
        let mut slices = [IoSlice::new(&[]); SLICES];
        let count = self.output.slices(&mut slices);
        let stream = Pin::new(&mut self.stream);
        let written = match slices.get(..count).unwrap_or_default() {
            [one] => stream.poll_write(cx, one),
            some => stream.poll_write_vectored(cx, some),
        };
        match written {
            Poll::Ready(taken) => taken.map(Poll::Ready),
            Poll::Pending => Ok(Poll::Pending),
        }
    }

    /// Gives the link what it takes: true if it took something.
    fn push(&mut self, cx: &mut Context<'_>) -> io::Result<bool> {
        let mut moved = false;
        while !self.output.is_empty() {
            match self.offer(cx)? {
                Poll::Ready(0) => return Err(io::ErrorKind::WriteZero.into()),
                Poll::Ready(taken) => {
                    self.output.advance(taken);
                    self.unflushed = true;
                    moved = true;
                }
                Poll::Pending => return Ok(moved),
            }
        }
        if self.unflushed && Pin::new(&mut self.stream).poll_flush(cx)?.is_ready() {
            self.unflushed = false;
            moved = true;
        }
        Ok(moved)
    }
}
