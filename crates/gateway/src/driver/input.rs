//! From the link to the broker: read while there is room, decode in batches, keep only what is incomplete.

use std::future::Future;
use std::io;
use std::pin::pin;
use std::task::{Context, Poll};

use broker::{Flow, LinkEnd};
use bytes::BufMut as _;
use identity::Timestamp;
use mqtt::{Malformed, Packet};
use session::Paper as _;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};

use super::{Conversation, Driver, Ending, OUTPUT_BYTES};
use crate::scratch::{self, READ_BYTES};
use crate::websocket::ClosedByClient;

/// Bytes of a packet that must have come before a buffer of its announced size is made: promises cost nothing.
const EARNED: usize = 4 * 1024;

/// Packets handed to the broker at once.
const BATCH: usize = 64;

/// Batches of nothing but acknowledgements that are handed over before anything is written: a client that gets many
/// messages acknowledges many at a time, and what came for it meanwhile goes out in one write.
const BATCHES: usize = 16;

impl<S, C> Driver<S, C>
where
    S: AsyncRead + AsyncWrite + Unpin,
    C: Conversation,
{
    pub(super) fn read(&mut self, cx: &mut Context<'_>, now: Timestamp) -> Result<bool, Ending> {
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
        let room = self.make_room();
        match pin!(self.stream.read_buf(&mut (&mut self.input).limit(room))).poll(cx) {
            Poll::Ready(Ok(0)) => Err(Ending::Lost(LinkEnd::Eof)),
            Poll::Ready(Ok(bytes)) => {
                self.connection.received(bytes, now);
                self.hand_over(now).map(|()| true)
            }
            Poll::Ready(Err(error)) => Err(Ending::Lost(link_end(&error))),
            Poll::Pending => {
                self.release_input();
                Ok(false)
            }
        }
    }

    /// Makes room for the next read, and says for how many bytes: for the rest of a large packet, once so much of it has
    /// come that a buffer of its size is earned, else for some packets.
    fn make_room(&mut self) -> usize {
        let have = self.input.len();
        let length = if have < EARNED { None } else { self.decoder.frame_length(&self.input) };
        match length.filter(|length| *length > READ_BYTES.max(have)) {
            Some(length) => {
                // No more than that: what follows would have to be moved out of its buffer.
                self.input.reserve(length - have);
                length - have
            }
            None => {
                self.input.reserve(READ_BYTES.saturating_sub(have).max(READ_BYTES / 2));
                usize::MAX
            }
        }
    }

    /// Hands over what was read: a batch, or all that is acknowledgements.
    fn hand_over(&mut self, now: Timestamp) -> Result<(), Ending> {
        for _ in 0..BATCHES {
            let goes_on = self.hand_over_batch(now)?;
            if !(goes_on && self.undecoded) || self.connection.is_congested() {
                break;
            }
        }
        Ok(())
    }

    /// Decodes a batch and hands it to the broker, then what made the decoder stop. True if it had only acknowledgements.
    fn hand_over_batch(&mut self, now: Timestamp) -> Result<bool, Ending> {
        let mut packets = scratch::rent_packets();
        let stopped = self.decode_into(&mut packets);
        let only_acks = packets.iter().all(|packet| matches!(packet, Packet::PubAck(_)));
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
        Ok(only_acks)
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

/// A peer that closes TCP without TLS close_notify has only been careless: its link ended.
fn link_end(error: &io::Error) -> LinkEnd {
    use io::ErrorKind::{InvalidData, UnexpectedEof};
    if error.get_ref().is_some_and(|inner| inner.is::<ClosedByClient>()) {
        return LinkEnd::WebSocketClose;
    }
    match error.kind() {
        UnexpectedEof => LinkEnd::Eof,
        InvalidData => LinkEnd::TlsError(error.to_string()),
        _ => LinkEnd::Reset(error.to_string()),
    }
}
