//! PUBACK, PUBREC, PUBREL, PUBCOMP (MQTT 5.0 sections 3.4 to 3.7).

use crate::clause::{self, Clause};
use crate::decode::header::Header;
use crate::decode::reader::Reader;
use crate::decode::section::{Section, misplaced, once};
use crate::malformed::{Flaw, MalformedFault};
use crate::packet::{Ack, Packet, PacketKind};
use crate::properties::{Places, Property, UserProperties};
use crate::reason::ReasonCode;
use crate::text::Text;
use crate::version::{PacketId, Version};

/// The usual acknowledgement, four bytes that say success: read without touching the buffer's memory.
pub(crate) fn short(header: Header, frame: &[u8]) -> Option<Packet> {
    let [_, 2, high, low, ..] = *frame else { return None };
    let packet_id = PacketId::new(u16::from_be_bytes([high, low]))?;
    wrap(header.kind, Ack::success(packet_id))
}

/// An acknowledgement of any length: 2 bytes (success), 3 bytes (no properties), more. 3.1.1 has 2 bytes only.
pub(crate) fn ack(kind: PacketKind, reader: &mut Reader<'_>, version: Version) -> Result<Packet, Flaw> {
    let mut ack = Ack::success(reader.packet_id()?);
    if version.is_v5() && !reader.is_at_end() {
        ack.code = code(kind, reader.u8()?)?;
    }
    if version.is_v5() && !reader.is_at_end() {
        (ack.reason_string, ack.user_properties) = reason(reader, kind)?;
    }
    wrap(kind, ack).ok_or(Flaw::new(MalformedFault::UnexpectedPacket, clause::PACKET_TYPE))
}

fn wrap(kind: PacketKind, ack: Ack) -> Option<Packet> {
    match kind {
        PacketKind::PubAck => Some(Packet::PubAck(ack)),
        PacketKind::PubRec => Some(Packet::PubRec(ack)),
        PacketKind::PubRel => Some(Packet::PubRel(ack)),
        PacketKind::PubComp => Some(Packet::PubComp(ack)),
        _ => None,
    }
}

fn code(kind: PacketKind, code: u8) -> Result<ReasonCode, Flaw> {
    let clause = match kind {
        PacketKind::PubAck => clause::PUBACK_CODE,
        PacketKind::PubRec => clause::PUBREC_CODE,
        PacketKind::PubRel => clause::PUBREL_CODE,
        _ => clause::PUBCOMP_CODE,
    };
    reason_code(kind, code, true, clause)
}

/// A reason code that this packet may carry.
pub(crate) fn reason_code(
    kind: PacketKind,
    code: u8,
    sent_by_server: bool,
    clause: &'static Clause,
) -> Result<ReasonCode, Flaw> {
    ReasonCode::from_code(code)
        .filter(|code| code.allowed_in(kind, sent_by_server))
        .ok_or(Flaw::new(MalformedFault::ReasonCode { code }, clause))
}

/// A section that holds a reason string and user properties, nothing else.
pub(crate) fn reason(
    reader: &mut Reader<'_>,
    kind: PacketKind,
) -> Result<(Option<Text>, UserProperties), Flaw> {
    let mut section = Section::open(reader, Places::of(kind))?;
    let mut reason_string = None;
    while let Some(property) = section.next()? {
        match property {
            Property::ReasonString => once(&mut reason_string, property, section.text()?)?,
            _ => return Err(misplaced(property)),
        }
    }
    Ok((reason_string, section.user_properties()))
}
