//! SUBSCRIBE, SUBACK, UNSUBSCRIBE, UNSUBACK (MQTT 5.0 sections 3.8 to 3.11).

use smallvec::SmallVec;

use crate::clause::{self, Clause};
use crate::decode::ack::{reason, reason_code};
use crate::decode::reader::Reader;
use crate::decode::section::{Section, misplaced, once};
use crate::malformed::{Flaw, MalformedFault};
use crate::packet::{Packet, PacketKind, SubAck, Subscribe, SubscribeRequest, UnsubAck, Unsubscribe};
use crate::properties::{Places, Property, UserProperties};
use crate::reason::ReasonCode;
use crate::version::{QoS, RetainHandling, Version};

pub(crate) fn subscribe(reader: &mut Reader<'_>, version: Version) -> Result<Packet, Flaw> {
    let packet_id = reader.packet_id()?;
    let (subscription_identifier, user_properties) =
        if version.is_v5() { subscribe_properties(reader)? } else { (None, UserProperties::EMPTY) };
    let mut filters = SmallVec::new();
    while !reader.is_at_end() {
        filters.push(request(reader, version)?);
    }
    if filters.is_empty() {
        return Err(Flaw::new(MalformedFault::NoFilters, clause::SUBSCRIBE_EMPTY));
    }
    Ok(Packet::Subscribe(Subscribe { packet_id, subscription_identifier, user_properties, filters }))
}

fn subscribe_properties(reader: &mut Reader<'_>) -> Result<(Option<u32>, UserProperties), Flaw> {
    let mut section = Section::open(reader, Places::of(PacketKind::Subscribe))?;
    let mut identifier = None;
    while let Some(property) = section.next()? {
        match property {
            Property::SubscriptionIdentifier => {
                let value = section.positive_variable(property, clause::SUBSCRIBE_IDENTIFIER)?;
                once(&mut identifier, property, value)?;
            }
            _ => return Err(misplaced(property)),
        }
    }
    Ok((identifier, section.user_properties()))
}

/// A filter and its options. The filter's syntax is the session's to judge: it is answered per filter.
fn request(reader: &mut Reader<'_>, version: Version) -> Result<SubscribeRequest, Flaw> {
    let filter = reader.text()?;
    let options = reader.u8()?;
    // [MQTT-3.8.3-5]: 5.0 uses six bits, 3.1.1 two.
    let reserved = if version.is_v5() { 0b1100_0000 } else { 0b1111_1100 };
    if options & reserved != 0 {
        return Err(Flaw::new(MalformedFault::SubscriptionOptions { options }, clause::SUBSCRIBE_OPTIONS));
    }
    let qos = QoS::from_number(options & 0b11);
    let retain_handling = RetainHandling::from_number((options >> 4) & 0b11);
    let request = SubscribeRequest {
        qos: qos.ok_or(Flaw::new(MalformedFault::Qos, clause::SUBSCRIBE_QOS))?,
        no_local: options & 0b0100 != 0,
        retain_as_published: options & 0b1000 != 0,
        retain_handling: retain_handling
            .ok_or(Flaw::new(MalformedFault::RetainHandling, clause::RETAIN_HANDLING))?,
        filter,
    };
    // [MQTT-3.8.3-4]
    if request.no_local && request.filter.as_bytes().starts_with(b"$share/") {
        return Err(Flaw::new(MalformedFault::NoLocalOnShared, clause::NO_LOCAL_SHARED));
    }
    Ok(request)
}

pub(crate) fn suback(reader: &mut Reader<'_>, version: Version) -> Result<Packet, Flaw> {
    let packet_id = reader.packet_id()?;
    let (reason_string, user_properties) =
        if version.is_v5() { reason(reader, PacketKind::SubAck)? } else { (None, UserProperties::EMPTY) };
    let codes = codes(reader, clause::SUBACK_EMPTY, |code| suback_code(code, version))?;
    Ok(Packet::SubAck(SubAck { packet_id, codes, reason_string, user_properties }))
}

/// 3.1.1 has four of them `[MQTT-3.9.3-2]`.
fn suback_code(code: u8, version: Version) -> Result<ReasonCode, Flaw> {
    if !version.is_v5() && !matches!(code, 0x00..=0x02 | 0x80) {
        return Err(Flaw::new(MalformedFault::ReasonCode { code }, clause::SUBACK_CODE));
    }
    reason_code(PacketKind::SubAck, code, true, clause::SUBACK_CODE)
}

pub(crate) fn unsubscribe(reader: &mut Reader<'_>, version: Version) -> Result<Packet, Flaw> {
    let packet_id = reader.packet_id()?;
    let mut user_properties = UserProperties::EMPTY;
    if version.is_v5() {
        let mut section = Section::open(reader, Places::of(PacketKind::Unsubscribe))?;
        if let Some(property) = section.next()? {
            return Err(misplaced(property));
        }
        user_properties = section.user_properties();
    }
    let mut filters = SmallVec::new();
    while !reader.is_at_end() {
        filters.push(reader.text()?);
    }
    if filters.is_empty() {
        return Err(Flaw::new(MalformedFault::NoFilters, clause::UNSUBSCRIBE_EMPTY));
    }
    Ok(Packet::Unsubscribe(Unsubscribe { packet_id, filters, user_properties }))
}

pub(crate) fn unsuback(reader: &mut Reader<'_>, version: Version) -> Result<Packet, Flaw> {
    let packet_id = reader.packet_id()?;
    if !version.is_v5() {
        let codes = SmallVec::new();
        let user_properties = UserProperties::EMPTY;
        return Ok(Packet::UnsubAck(UnsubAck { packet_id, codes, reason_string: None, user_properties }));
    }
    let (reason_string, user_properties) = reason(reader, PacketKind::UnsubAck)?;
    let codes = codes(reader, clause::UNSUBACK_EMPTY, |code| {
        reason_code(PacketKind::UnsubAck, code, true, clause::UNSUBACK_CODE)
    })?;
    Ok(Packet::UnsubAck(UnsubAck { packet_id, codes, reason_string, user_properties }))
}

/// The codes up to the end of the packet, at least one.
fn codes(
    reader: &mut Reader<'_>,
    empty: &'static Clause,
    check: impl Fn(u8) -> Result<ReasonCode, Flaw>,
) -> Result<SmallVec<[ReasonCode; 2]>, Flaw> {
    let mut codes = SmallVec::new();
    while !reader.is_at_end() {
        codes.push(check(reader.u8()?)?);
    }
    if codes.is_empty() {
        return Err(Flaw::new(MalformedFault::NoReasonCodes, empty));
    }
    Ok(codes)
}
