//! Packets to bytes. Every packet is written by the same code twice: once into a counter, once into the buffer,
//! so that lengths are right by construction. One file per family below.

mod ack;
mod connack;
mod connect;
mod farewell;
mod publish;
mod sink;
mod subscribe;

use std::fmt;

use bytes::BytesMut;

use crate::packet::{Packet, PacketKind};
use crate::version::Version;

pub(crate) use publish::{body_head, first_byte};
pub(crate) use sink::{Block, Count, Sink};

/// The largest remaining length: four bytes of seven bits (MQTT 5.0 section 2.1.4).
pub(crate) const REMAINING_MAX: usize = 268_435_455;

/// A packet that MQTT cannot carry: some binary field has more than 65 535 bytes, or the whole more than
/// 268 435 455.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooLong {
    /// The packet, such as `PUBLISH`.
    pub packet: &'static str,
    /// Bytes of the field or packet that is too long.
    pub bytes: usize,
    /// Bytes that it may have.
    pub limit: usize,
}

impl fmt::Display for TooLong {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "cannot write {}: {} bytes where MQTT allows {}", self.packet, self.bytes, self.limit)
    }
}

impl std::error::Error for TooLong {}

/// Appends the packet as this version writes it.
///
/// In 3.1.1 what it cannot say is left out: properties, reason codes of acknowledgements. CONNECT is written in its
/// own version; AUTH, which 3.1.1 does not have, writes nothing.
///
/// # Errors
/// [`TooLong`]; nothing is written then.
pub fn encode(packet: &Packet, version: Version, out: &mut BytesMut) -> Result<(), TooLong> {
    if !exists(packet, version) {
        return Ok(());
    }
    let remaining = measure(packet, version)?;
    out.reserve(frame_length(remaining));
    out.u8(head_byte(packet));
    out.variable(remaining);
    body(packet, version, out);
    Ok(())
}

/// The bytes that [`encode`] writes for this packet; 0 when it cannot be written.
#[must_use]
pub fn encoded_len(packet: &Packet, version: Version) -> usize {
    match measure(packet, version) {
        Ok(remaining) if exists(packet, version) => frame_length(remaining),
        _ => 0,
    }
}

/// AUTH came with 5.0.
const fn exists(packet: &Packet, version: Version) -> bool {
    version.is_v5() || !matches!(packet, Packet::Auth(_))
}

/// Bytes of a frame with this remaining length.
pub(crate) fn frame_length(remaining: usize) -> usize {
    let mut header = Count::default();
    header.variable(remaining);
    1 + header.bytes_written() + remaining
}

/// The remaining length of the packet.
fn measure(packet: &Packet, version: Version) -> Result<usize, TooLong> {
    let mut count = Count::default();
    body(packet, version, &mut count);
    count.finish(packet.name())
}

/// The first byte: type and flags `[MQTT-2.1.3-1]`.
fn head_byte(packet: &Packet) -> u8 {
    match packet {
        Packet::Publish(publish) => first_byte(publish.dup, publish.qos, publish.retain),
        // [MQTT-3.6.1-1], [MQTT-3.8.1-1], [MQTT-3.10.1-1]
        Packet::PubRel(_) | Packet::Subscribe(_) | Packet::Unsubscribe(_) => {
            (packet.kind().number() << 4) | 0b0010
        }
        _ => packet.kind().number() << 4,
    }
}

/// Everything behind the fixed header.
fn body<S: Sink>(packet: &Packet, version: Version, out: &mut S) {
    match packet {
        Packet::Connect(connect) => connect::connect(connect, out),
        Packet::ConnAck(connack) => connack::connack(connack, version, out),
        Packet::Publish(publish) => publish::publish(publish, version, out),
        Packet::PubAck(ack) | Packet::PubRec(ack) | Packet::PubRel(ack) | Packet::PubComp(ack) => {
            ack::ack(ack, version, out);
        }
        Packet::Subscribe(subscribe) => subscribe::subscribe(subscribe, version, out),
        Packet::SubAck(suback) => subscribe::suback(suback, version, out),
        Packet::Unsubscribe(unsubscribe) => subscribe::unsubscribe(unsubscribe, version, out),
        Packet::UnsubAck(unsuback) => subscribe::unsuback(unsuback, version, out),
        Packet::PingReq | Packet::PingResp => {}
        Packet::Disconnect(disconnect) => farewell::disconnect(disconnect, version, out),
        Packet::Auth(auth) => farewell::auth(auth, out),
    }
}

/// The name that [`TooLong`] gives a PUBLISH.
pub(crate) const PUBLISH: &str = PacketKind::Publish.name();
