//! The fixed header (MQTT 5.0 section 2.1): type, flags, remaining length.

use crate::clause;
use crate::decode::{Direction, Setting};
use crate::malformed::{Flaw, MalformedFault};
use crate::packet::PacketKind;
use crate::version::Version;

/// A fixed header that is complete and allowed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Header {
    pub(crate) kind: PacketKind,
    /// The lower half of the first byte.
    pub(crate) flags: u8,
    /// Bytes of the header itself: 2 to 5.
    pub(crate) length: usize,
    /// Bytes that follow the header.
    pub(crate) remaining: u32,
    /// Whether the remaining length takes no more bytes than it needs.
    pub(crate) minimal: bool,
}

impl Header {
    /// Bytes of header and body.
    pub(crate) const fn frame_length(self) -> usize {
        self.length + self.remaining as usize
    }

    /// Reads the header; `None` when the buffer ends before it does.
    pub(crate) fn read(buffer: &[u8], setting: Setting, limit: u32) -> Result<Option<Self>, Flaw> {
        let Some((first, rest)) = buffer.split_first() else { return Ok(None) };
        let (kind, flags) = (kind(first >> 4, setting)?, first & 0x0F);
        check_flags(kind, flags)?;
        let Some((remaining, bytes)) = remaining_length(rest)? else { return Ok(None) };
        let minimal = bytes == 1 || rest.get(bytes - 1) != Some(&0);
        let header = Self { kind, flags, length: 1 + bytes, remaining, minimal };
        let length = remaining + 1 + bytes as u32;
        if length > limit {
            return Err(Flaw::new(MalformedFault::PacketTooLarge { length, limit }, clause::PACKET_SIZE));
        }
        Ok(Some(header))
    }

    /// 5.0 demands as few bytes as possible `[MQTT-1.5.5-1]`, 3.1.1 does not.
    pub(crate) const fn check_minimal(self, version: Version) -> Result<(), Flaw> {
        if self.minimal || !version.is_v5() { Ok(()) } else { Err(OVERLONG) }
    }
}

const OVERLONG: Flaw = Flaw::new(MalformedFault::RemainingLength, clause::REMAINING_LENGTH);

/// The type, if this version has it and this direction carries it.
fn kind(number: u8, setting: Setting) -> Result<PacketKind, Flaw> {
    let reserved = Flaw::new(MalformedFault::PacketType { number }, clause::PACKET_TYPE);
    let kind = PacketKind::from_number(number).ok_or(reserved)?;
    if kind == PacketKind::Auth && setting.version == Version::V311 {
        return Err(reserved);
    }
    if travels(kind, setting) {
        Ok(kind)
    } else {
        Err(Flaw::new(MalformedFault::UnexpectedPacket, clause::DIRECTION))
    }
}

/// Table 2-1: the direction of flow. DISCONNECT goes both ways since 5.0.
fn travels(kind: PacketKind, setting: Setting) -> bool {
    match kind {
        PacketKind::Connect | PacketKind::Subscribe | PacketKind::Unsubscribe | PacketKind::PingReq => {
            setting.direction == Direction::ToServer
        }
        PacketKind::ConnAck | PacketKind::SubAck | PacketKind::UnsubAck | PacketKind::PingResp => {
            setting.direction == Direction::ToClient
        }
        PacketKind::Disconnect => setting.direction == Direction::ToServer || setting.version.is_v5(),
        _ => true,
    }
}

/// Table 2-2: the flags are fixed for every packet but PUBLISH `[MQTT-2.1.3-1]`.
fn check_flags(kind: PacketKind, flags: u8) -> Result<(), Flaw> {
    let expected = match kind {
        PacketKind::Publish => return check_publish_flags(flags),
        // [MQTT-3.6.1-1], [MQTT-3.8.1-1], [MQTT-3.10.1-1]
        PacketKind::PubRel | PacketKind::Subscribe | PacketKind::Unsubscribe => 0b0010,
        _ => 0b0000,
    };
    if flags == expected {
        Ok(())
    } else {
        Err(Flaw::new(MalformedFault::FixedHeaderFlags { flags }, clause::RESERVED_FLAGS))
    }
}

/// QoS 3 does not exist `[MQTT-3.3.1-4]`; QoS 0 is never sent again `[MQTT-3.3.1-2]`.
fn check_publish_flags(flags: u8) -> Result<(), Flaw> {
    match (flags >> 1) & 0b11 {
        0b11 => Err(Flaw::new(MalformedFault::Qos, clause::QOS)),
        0b00 if flags & 0b1000 != 0 => Err(Flaw::new(MalformedFault::DupWithQos0, clause::DUP)),
        _ => Ok(()),
    }
}

/// A variable byte integer: value and bytes taken, or `None` when the bytes end before it does.
fn remaining_length(bytes: &[u8]) -> Result<Option<(u32, usize)>, Flaw> {
    let mut value = 0;
    for (index, byte) in bytes.iter().take(4).enumerate() {
        value |= u32::from(byte & 0x7F) << (7 * index);
        if byte & 0x80 == 0 {
            return Ok(Some((value, index + 1)));
        }
    }
    if bytes.len() < 4 { Ok(None) } else { Err(OVERLONG) }
}
