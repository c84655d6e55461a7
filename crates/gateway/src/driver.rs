//! The task of one connection: bytes in, packets to the broker, bytes out, one timer.
//!
//! Everything here is one poll function over a small state, so that the order is plain to see: output, then
//! input, then time, and again while something moved. Backpressure: a link that does not take our bytes is not read
//! once [`OUTPUT_BYTES`] wait for it.

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};

use broker::{Connection, Flow, LinkEnd};
use bytes::BytesMut;
use identity::Timestamp;
use mqtt::{Decoder, Malformed, Packet};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};
use tokio::time::{Sleep, sleep_until};

use crate::clock::Clock;
use crate::farewell;
use crate::limits::Limits;
use crate::scratch::{self, READ_BYTES};

#[cfg(test)]
mod tests;

/// Bytes waiting for the link beyond which nothing more is taken from the broker and nothing more is read.
const OUTPUT_BYTES: usize = 16 * 1024;

/// Packets handed to the broker at once.
const BATCH: usize = 64;

/// Turns of output and input before other tasks get theirs.
const TURNS: usize = 16;

/// What the driver needs of `broker::Connection`.
pub(crate) trait Conversation {
    fn receive(&mut self, packets: &mut Vec<Packet>, now: Timestamp) -> Flow;
    fn malformed(&mut self, error: &Malformed, now: Timestamp) -> Flow;
    fn poll_output(&mut self, cx: &mut Context<'_>, out: &mut BytesMut, now: Timestamp) -> Poll<Flow>;
    fn next_deadline(&self) -> Timestamp;
    fn on_time(&mut self, now: Timestamp) -> Flow;
    fn is_congested(&self) -> bool;
    fn ended(self, end: &LinkEnd, now: Timestamp);
}

impl Conversation for Connection {
    fn receive(&mut self, packets: &mut Vec<Packet>, now: Timestamp) -> Flow {
        Self::receive(self, packets, now)
    }
    fn malformed(&mut self, error: &Malformed, now: Timestamp) -> Flow {
        Self::malformed(self, error, now)
    }
    fn poll_output(&mut self, cx: &mut Context<'_>, out: &mut BytesMut, now: Timestamp) -> Poll<Flow> {
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
    output: BytesMut,
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
        Self {
            stream,
            connection,
            decoder,
            undecoded: !input.is_empty(),
            input,
            partial_since: None,
            output: BytesMut::new(),
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
        farewell::say(self.stream, self.output.freeze(), &self.limits).await;
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

/// Output.
impl<S, C> Driver<S, C>
where
    S: AsyncRead + AsyncWrite + Unpin,
    C: Conversation,
{
    fn write(&mut self, cx: &mut Context<'_>, now: Timestamp) -> Result<bool, Ending> {
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
            scratch::return_output(std::mem::take(&mut self.output));
        }
        Ok(wrote)
    }

    fn take_output(&mut self, cx: &mut Context<'_>, now: Timestamp) -> Result<(), Ending> {
        if self.output.capacity() == 0 {
            self.output = scratch::rent_output();
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
    fn take_last_output(&mut self, cx: &mut Context<'_>, now: Timestamp) {
        const ROUNDS: usize = 64;
        for _ in 0..ROUNDS {
            match self.connection.poll_output(cx, &mut self.output, now) {
                Poll::Ready(Flow::Continue) => {}
                Poll::Ready(Flow::Close) | Poll::Pending => return,
            }
        }
    }

    /// Gives the link what it takes: true if it took something.
    fn push(&mut self, cx: &mut Context<'_>) -> std::io::Result<bool> {
        let mut moved = false;
        while !self.output.is_empty() {
            match Pin::new(&mut self.stream).poll_write(cx, &self.output)? {
                Poll::Ready(0) => return Err(std::io::ErrorKind::WriteZero.into()),
                Poll::Ready(taken) => {
                    bytes::Buf::advance(&mut self.output, taken);
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

/// Input.
impl<S, C> Driver<S, C>
where
    S: AsyncRead + AsyncWrite + Unpin,
    C: Conversation,
{
    fn read(&mut self, cx: &mut Context<'_>, now: Timestamp) -> Result<bool, Ending> {
        if self.output.len() >= OUTPUT_BYTES || self.connection.is_congested() {
            // We do not listen: the peer cannot complete its packet, so its time does not run.
            self.partial_since = self.partial_since.map(|_| now);
            return Ok(false);
        }
        if self.undecoded {
            self.hand_over(now)?;
            return Ok(true);
        }
        if self.input.is_empty() {
            self.input = scratch::rent_input();
        }
        self.input.reserve(READ_BYTES.saturating_sub(self.input.len()).max(READ_BYTES / 2));
        match pin!(self.stream.read_buf(&mut self.input)).poll(cx) {
            Poll::Ready(Ok(0)) => Err(Ending::Lost(LinkEnd::Eof)),
            Poll::Ready(Ok(_)) => self.hand_over(now).map(|()| true),
            Poll::Ready(Err(error)) => Err(Ending::Lost(link_end(&error))),
            Poll::Pending => {
                self.release_input();
                Ok(false)
            }
        }
    }

    /// Decodes a batch and hands it to the broker, then what made the decoder stop.
    fn hand_over(&mut self, now: Timestamp) -> Result<(), Ending> {
        let mut packets = scratch::rent_packets();
        let stopped = self.decode_into(&mut packets);
        let any = !packets.is_empty();
        let flow = if any { self.connection.receive(&mut packets, now) } else { Flow::Continue };
        scratch::return_packets(packets);
        if matches!(flow, Flow::Close) {
            return Err(Ending::ByBroker);
        }
        if let Err(malformed) = stopped {
            // Whatever the broker answers: the decoder cannot find the next packet.
            self.connection.malformed(&malformed, now);
            return Err(Ending::ByBroker);
        }
        match self.undecoded || self.input.is_empty() {
            true => self.partial_since = None,
            false if any => self.partial_since = Some(now),
            false => {
                self.partial_since.get_or_insert(now);
            }
        }
        self.release_input();
        Ok(())
    }

    fn decode_into(&mut self, packets: &mut Vec<Packet>) -> Result<(), Malformed> {
        self.undecoded = true;
        while packets.len() < BATCH {
            match self.decoder.decode(&mut self.input)? {
                Some(packet) => packets.push(packet),
                None => {
                    self.undecoded = false;
                    break;
                }
            }
        }
        Ok(())
    }

    fn release_input(&mut self) {
        if self.input.is_empty() {
            scratch::return_input(std::mem::take(&mut self.input));
        }
    }
}

/// Time.
impl<S, C> Driver<S, C>
where
    S: AsyncRead + AsyncWrite + Unpin,
    C: Conversation,
{
    fn deadline(&self) -> Timestamp {
        let stalled = self.blocked_since.map(|since| since + self.limits.write_stall);
        let partial = self.partial_since.map(|since| since + self.limits.partial_packet);
        let own = self.connection.next_deadline();
        [stalled, partial].into_iter().flatten().fold(own, Timestamp::min)
    }

    /// Sets the alarm to the next deadline; true if one was due. An alarm that is too early is left alone: it
    /// costs one wake, and moving it on every packet would cost more.
    fn watch_time(&mut self, cx: &mut Context<'_>, mut alarm: Pin<&mut Sleep>) -> Result<bool, Ending> {
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

/// A peer that closes TCP without TLS close_notify has only been careless: its link ended.
fn link_end(error: &std::io::Error) -> LinkEnd {
    use std::io::ErrorKind::{InvalidData, UnexpectedEof};
    match error.kind() {
        UnexpectedEof => LinkEnd::Eof,
        InvalidData => LinkEnd::TlsError(error.to_string()),
        _ => LinkEnd::Reset(error.to_string()),
    }
}
