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

use crate::packet::{Packet, PacketKind, PublishParts};
use crate::version::{PacketId, Version};

pub(crate) use publish::{body_head, first_byte};
pub(crate) use sink::{Block, Count, Sink};

/// The largest remaining length: four bytes of seven bits (MQTT 5.0 section 2.1.4).
pub(crate) const REMAINING_MAX: usize = 268_435_455;

/// No packet that has so many bytes or fewer, fixed header included, is too long for MQTT.
pub const PACKET_MAX: usize = REMAINING_MAX;

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

/// Appends the PUBACK that says success and nothing else: the same four bytes in both versions.
pub fn encode_puback(packet_id: PacketId, out: &mut BytesMut) {
    let [high, low] = packet_id.get().to_be_bytes();
    out.raw(&[PacketKind::PubAck.number() << 4, 2, high, low]);
}

/// Appends a PUBLISH whose parts are wherever they are, as [`encode`] does.
///
/// # Errors
/// [`TooLong`]; nothing is written then.
pub fn encode_publish(parts: &PublishParts<'_>, version: Version, out: &mut BytesMut) -> Result<(), TooLong> {
    let remaining = measure_publish(parts, version)?;
    out.reserve(frame_length(remaining));
    out.u8(first_byte(parts.dup, parts.qos, parts.retain));
    out.variable(remaining);
    publish::publish(parts, version, out);
    Ok(())
}

/// Appends all of a PUBLISH but its payload, which the caller sends from where it is.
///
/// # Errors
/// [`TooLong`]; nothing is written then.
pub fn encode_publish_head(
    parts: &PublishParts<'_>,
    version: Version,
    out: &mut BytesMut,
) -> Result<(), TooLong> {
    let remaining = measure_publish(parts, version)?;
    out.u8(first_byte(parts.dup, parts.qos, parts.retain));
    out.variable(remaining);
    publish::body_head(parts, version, out);
    Ok(())
}

/// The bytes that [`encode_publish`] writes.
///
/// # Errors
/// [`TooLong`], when MQTT cannot carry the packet.
pub fn publish_len(parts: &PublishParts<'_>, version: Version) -> Result<usize, TooLong> {
    measure_publish(parts, version).map(frame_length)
}

fn measure_publish(parts: &PublishParts<'_>, version: Version) -> Result<usize, TooLong> {
    let mut count = Count::default();
    publish::publish(parts, version, &mut count);
    count.finish(PUBLISH)
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
        Packet::Publish(publish) => publish::publish(&publish.parts(), version, out),
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

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::{Ack, Auth, ConnAck, PacketId, Publish, ReasonCode, SubAck, Text, UserProperties};

    fn written(packet: &Packet, version: Version) -> Vec<u8> {
        let mut out = BytesMut::new();
        encode(packet, version, &mut out).unwrap();
        assert_eq!(out.len(), encoded_len(packet, version));
        out.to_vec()
    }

    /// Reason codes that 3.1.1 cannot say become what it can.
    #[test]
    fn failures_are_translated_for_3_1_1() {
        let connack = Packet::ConnAck(Box::new(ConnAck::new(ReasonCode::ServerBusy)));
        assert_eq!(written(&connack, Version::V311), [0x20, 2, 0, 3]);
        assert_eq!(written(&connack, Version::V5), [0x20, 3, 0, 0x89, 0]);
        let suback = Packet::SubAck(SubAck {
            packet_id: PacketId::FIRST,
            codes: [ReasonCode::GrantedQos1, ReasonCode::TopicFilterInvalid].into_iter().collect(),
            reason_string: Some(Text::from_static("why")),
            user_properties: UserProperties::EMPTY,
        });
        assert_eq!(written(&suback, Version::V311), [0x90, 4, 0, 1, 1, 0x80]);
        let puback = Packet::PubAck(Ack::new(PacketId::FIRST, ReasonCode::NotAuthorized));
        assert_eq!(written(&puback, Version::V311), [0x40, 2, 0, 1]);
    }

    /// `[MQTT-3.2.2-6]`, even if the caller says otherwise.
    #[test]
    fn session_present_never_stands_beside_a_failure() {
        let connack = ConnAck { session_present: true, ..ConnAck::new(ReasonCode::NotAuthorized) };
        let packet = Packet::ConnAck(Box::new(connack));
        assert_eq!(written(&packet, Version::V5), [0x20, 3, 0, 0x87, 0]);
        assert_eq!(written(&packet, Version::V311), [0x20, 2, 0, 5]);
    }

    #[test]
    fn there_is_no_auth_in_3_1_1() {
        let auth = Packet::Auth(Auth {
            code: ReasonCode::ContinueAuthentication,
            authentication_method: Some(Text::from_static("m")),
            authentication_data: None,
            reason_string: None,
            user_properties: UserProperties::EMPTY,
        });
        assert!(written(&auth, Version::V311).is_empty());
        assert_eq!(written(&auth, Version::V5), b"\xf0\x06\x18\x04\x15\0\x01m");
    }

    #[test]
    fn a_short_puback_is_what_every_puback_of_success_is() {
        let packet_id = PacketId::new(0x0102).unwrap();
        for version in [Version::V311, Version::V5] {
            let mut out = BytesMut::new();
            encode_puback(packet_id, &mut out);
            assert_eq!(out, written(&Packet::PubAck(crate::Ack::success(packet_id)), version));
        }
    }

    #[test]
    fn what_is_too_long_is_refused_and_not_written() {
        let mut publish = Publish { topic: Text::from_static("t"), ..Publish::default() };
        publish.properties.correlation_data = Some(Bytes::from(vec![0; 65_536]));
        let packet = Packet::Publish(Box::new(publish));
        let mut out = BytesMut::new();
        let error = encode(&packet, Version::V5, &mut out).unwrap_err();
        assert_eq!(error, TooLong { packet: "PUBLISH", bytes: 65_536, limit: 65_535 });
        assert_eq!(error.to_string(), "cannot write PUBLISH: 65536 bytes where MQTT allows 65535");
        assert!(out.is_empty());
        assert_eq!(encoded_len(&packet, Version::V5), 0);
        // 3.1.1 leaves the property out.
        assert_eq!(written(&packet, Version::V311), b"\x30\x03\0\x01t");
    }

    #[test]
    fn the_largest_packet_is_exact() {
        let payload = |bytes: usize| {
            let payload = Bytes::from(vec![0; bytes]);
            let publish = Publish { topic: Text::from_static("t"), payload, ..Publish::default() };
            encoded_len(&Packet::Publish(Box::new(publish)), Version::V311)
        };
        assert_eq!(payload(REMAINING_MAX - 3), REMAINING_MAX + 5);
        assert_eq!(payload(REMAINING_MAX - 2), 0);
    }
}
