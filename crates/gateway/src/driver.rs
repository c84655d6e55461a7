//! The task of one connection: bytes in, packets to the broker, bytes out, one timer.
//!
//! Everything here is one poll function over a small state, so that the order is plain to see: output, then
//! input, then time, and again while something moved. Backpressure: a link that does not take our bytes is not read
//! once [`OUTPUT_BYTES`] wait for it.

mod conversation;
mod input;
mod output;
mod time;

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};

use broker::LinkEnd;
use bytes::BytesMut;
use identity::Timestamp;
use mqtt::Decoder;
use session::Scroll;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Sleep, sleep_until};

use crate::clock::Clock;
use crate::farewell;
use crate::limits::Limits;
use conversation::Conversation;

#[cfg(test)]
mod tests;

/// Bytes waiting for the link beyond which nothing more is taken from the broker and nothing more is read.
const OUTPUT_BYTES: usize = 16 * 1024;

/// Turns of output and input before other tasks get theirs.
const TURNS: usize = 16;

/// How it ended.
enum Ending {
    /// The broker says so: the output is flushed first.
    ByBroker,
    /// The link is gone or useless.
    Lost(LinkEnd),
}

/// Drives one connection over one link until either ends.
pub(crate) struct Driver<S, C> {
    stream: S,
    connection: C,
    decoder: Decoder,
    /// What was received of a packet that is not complete, or of packets that did not fit the last batch.
    input: BytesMut,
    /// True while `input` may hold a complete packet.
    undecoded: bool,
    /// When the first byte of the incomplete packet came.
    partial_since: Option<Timestamp>,
    output: Scroll,
    /// True while the stream itself may hold bytes of ours (TLS records).
    unflushed: bool,
    /// Since when the link takes nothing.
    blocked_since: Option<Timestamp>,
    clock: Clock,
    limits: Arc<Limits>,
}

impl<S, C> Driver<S, C>
where
    S: AsyncRead + AsyncWrite + Unpin,
    C: Conversation,
{
    /// `input` is what the peer sent after its CONNECT.
    pub(crate) fn new(
        stream: S,
        connection: C,
        (decoder, input): (Decoder, BytesMut),
        clock: Clock,
        limits: Arc<Limits>,
    ) -> Self {
        let is_vectored = stream.is_write_vectored();
        Self {
            stream,
            connection,
            decoder,
            undecoded: !input.is_empty(),
            input,
            partial_since: None,
            output: Scroll::new(is_vectored),
            unflushed: false,
            blocked_since: None,
            clock,
            limits,
        }
    }

    /// Runs to the end of the connection, and sees to it that its last bytes get out. `place` is held until then.
    ///
    /// The farewell is boxed, because few tasks are in it at a time.
    #[expect(
        clippy::manual_async_fn,
        reason = "an async fn would keep self twice, for the life of the connection"
    )]
    pub(crate) fn run<P>(mut self, place: P) -> impl Future<Output = ()> {
        async move {
            let ending = {
                let mut alarm = pin!(sleep_until(self.clock.instant(self.deadline())));
                std::future::poll_fn(|cx| self.poll(cx, alarm.as_mut())).await
            };
            match ending {
                Ending::Lost(end) => self.connection.ended(&end, self.clock.now()),
                Ending::ByBroker => Box::pin(self.say_goodbye()).await,
            }
            drop(place);
        }
    }

    async fn say_goodbye(mut self) {
        let now = self.clock.now();
        std::future::poll_fn(|cx| {
            self.take_last_output(cx, now);
            Poll::Ready(())
        })
        .await;
        self.connection.ended(&LinkEnd::Eof, now);
        farewell::say(self.stream, self.output.flatten(), &self.limits).await;
    }

    fn poll(&mut self, cx: &mut Context<'_>, mut alarm: Pin<&mut Sleep>) -> Poll<Ending> {
        let now = self.clock.now();
        for _ in 0..TURNS {
            match self.turn(cx, alarm.as_mut(), now) {
                Ok(true) => {}
                Ok(false) => return Poll::Pending,
                Err(ending) => return Poll::Ready(ending),
            }
        }
        cx.waker().wake_by_ref();
        match self.watch_time(cx, alarm) {
            Ok(_) => Poll::Pending,
            Err(ending) => Poll::Ready(ending),
        }
    }

    /// True if anything moved.
    fn turn(&mut self, cx: &mut Context<'_>, alarm: Pin<&mut Sleep>, now: Timestamp) -> Result<bool, Ending> {
        let wrote = self.write(cx, now)?;
        let read = self.read(cx, now)?;
        let rang = !(wrote || read) && self.watch_time(cx, alarm)?;
        Ok(wrote || read || rang)
    }
}
