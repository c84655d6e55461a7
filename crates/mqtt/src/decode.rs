//! Bytes to packets. The decoder finds the frame and judges its first bytes; one file per family reads the rest.

mod ack;
mod connack;
mod connect;
mod farewell;
mod header;
mod publish;
mod reader;
mod section;
mod subscribe;

use bytes::{Buf, Bytes, BytesMut};

use crate::clause;
use crate::decode::header::Header;
use crate::decode::reader::Reader;
use crate::malformed::{Flaw, Malformed, MalformedFault};
use crate::packet::{Packet, PacketKind};
use crate::version::Version;

/// Reads packets of one direction of one connection.
///
/// The decoder holds no bytes: it takes whole frames off the front of the caller's buffer and never reserves
/// memory in it. What is wrong with the first bytes of a frame (type, flags, size, not CONNECT first) is reported
/// without waiting for the rest. After an error the stream is worth nothing: do not call it again.
#[derive(Clone, Debug)]
pub struct Decoder {
    direction: Direction,
    version: Option<Version>,
    awaits_connect: bool,
    max_packet_size: u32,
    /// MQTT 3.1, and whether it is taken.
    mqtt31: Mqtt31,
}

/// What is done with a CONNECT of MQTT 3.1 (protocol name MQIsdp, level 3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mqtt31 {
    Refused,
    Taken,
    /// The connection is one.
    Spoken,
}

/// Who reads, hence what may arrive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    ToServer,
    ToClient,
}

/// What the readers of packets need to know beside the bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Setting {
    pub(crate) version: Version,
    pub(crate) direction: Direction,
}

impl Setting {
    pub(crate) const fn sent_by_server(self) -> bool {
        matches!(self.direction, Direction::ToClient)
    }
}

impl Decoder {
    /// Reads what a client sends. The first packet must be CONNECT `[MQTT-3.1.0-1]`; it sets the version.
    ///
    /// `max_packet_size`: bytes of the largest packet taken, fixed header included.
    #[must_use]
    pub const fn for_server(max_packet_size: u32) -> Self {
        Self {
            direction: Direction::ToServer,
            version: None,
            awaits_connect: true,
            max_packet_size,
            mqtt31: Mqtt31::Refused,
        }
    }

    /// Takes MQTT 3.1 for 3.1.1, which it is but for its name and level, or refuses it as the standard does.
    #[must_use]
    pub const fn with_mqtt31(mut self, taken: bool) -> Self {
        self.mqtt31 = if taken { Mqtt31::Taken } else { Mqtt31::Refused };
        self
    }

    /// True if the CONNECT that was read is of MQTT 3.1.
    #[must_use]
    pub const fn is_mqtt31(&self) -> bool {
        matches!(self.mqtt31, Mqtt31::Spoken)
    }

    /// Reads what a server sends to a client of this version.
    ///
    /// `max_packet_size`: bytes of the largest packet taken, fixed header included.
    #[must_use]
    pub const fn for_client(version: Version, max_packet_size: u32) -> Self {
        Self {
            direction: Direction::ToClient,
            version: Some(version),
            awaits_connect: false,
            max_packet_size,
            mqtt31: Mqtt31::Refused,
        }
    }

    /// The version of the connection. A server knows it from the moment that a CONNECT with a supported level was
    /// read, even if the rest of that CONNECT was malformed.
    #[must_use]
    pub const fn version(&self) -> Option<Version> {
        self.version
    }

    /// Takes one packet off the front of the buffer. `Ok(None)`: more bytes are needed, nothing was taken.
    ///
    /// PUBLISH shares the buffer's memory instead of copying topic and payload. Everything else is copied into
    /// an allocation of its own size, because its strings outlive the moment and would pin the buffer.
    ///
    /// # Errors
    /// [`Malformed`]: the packet breaks the standard, or is larger than this side takes. Close the connection.
    pub fn decode(&mut self, buffer: &mut BytesMut) -> Result<Option<Packet>, Malformed> {
        let Some(header) = self.header(buffer)? else { return Ok(None) };
        if buffer.len() < header.frame_length() {
            return Ok(None);
        }
        self.packet(header, buffer).map(Some)
    }

    /// Bytes of the packet at the front of the buffer, once its fixed header is there and allowed.
    #[must_use]
    pub fn frame_length(&self, buffer: &[u8]) -> Option<usize> {
        self.header(buffer).ok().flatten().map(Header::frame_length)
    }

    /// Judges the first bytes as soon as they are there.
    fn header(&self, buffer: &[u8]) -> Result<Option<Header>, Malformed> {
        let setting = self.setting();
        let Some(first) = buffer.first() else { return Ok(None) };
        let kind = PacketKind::from_number(first >> 4);
        if self.awaits_connect && kind != Some(PacketKind::Connect) {
            let flaw = Flaw::new(MalformedFault::NotConnectFirst, clause::FIRST_PACKET);
            return Err(flaw.within(kind, setting.version));
        }
        Header::read(buffer, setting, self.max_packet_size).map_err(|flaw| flaw.within(kind, setting.version))
    }

    /// 5.0 stands in until the version is known: its clauses are cited then.
    fn setting(&self) -> Setting {
        Setting { version: self.version.unwrap_or(Version::V5), direction: self.direction }
    }

    fn packet(&mut self, header: Header, buffer: &mut BytesMut) -> Result<Packet, Malformed> {
        if let Some(ack) = ack::short(header, buffer) {
            buffer.advance(header.frame_length());
            return Ok(ack);
        }
        let body = body(header, buffer);
        let result = self.body(header, body);
        result.map_err(|flaw| flaw.within(Some(header.kind), self.setting().version))
    }

    fn body(&mut self, header: Header, body: Bytes) -> Result<Packet, Flaw> {
        let setting = self.setting();
        if header.kind == PacketKind::Publish {
            header.check_minimal(setting.version)?;
            return publish::publish(body, header.flags, setting);
        }
        let mut reader = Reader::new(&body);
        let packet = match header.kind {
            PacketKind::Connect => self.connect(header, &mut reader)?,
            kind => {
                header.check_minimal(setting.version)?;
                other(kind, &mut reader, setting)?
            }
        };
        reader.end()?;
        Ok(packet)
    }

    fn connect(&mut self, header: Header, reader: &mut Reader<'_>) -> Result<Packet, Flaw> {
        let (version, is_old) = connect::protocol(reader, self.mqtt31 != Mqtt31::Refused)?;
        if is_old {
            self.mqtt31 = Mqtt31::Spoken;
        }
        if self.awaits_connect {
            self.version = Some(version);
        }
        header.check_minimal(version)?;
        let packet = connect::connect(reader, version)?;
        self.awaits_connect = false;
        Ok(packet)
    }
}

/// The packets that do not change the decoder, all but CONNECT, and that do not keep their bytes, all but PUBLISH.
fn other(kind: PacketKind, reader: &mut Reader<'_>, setting: Setting) -> Result<Packet, Flaw> {
    Ok(match kind {
        PacketKind::ConnAck => connack::connack(reader, setting.version)?,
        PacketKind::Subscribe => subscribe::subscribe(reader, setting.version)?,
        PacketKind::SubAck => subscribe::suback(reader, setting.version)?,
        PacketKind::Unsubscribe => subscribe::unsubscribe(reader, setting.version)?,
        PacketKind::UnsubAck => subscribe::unsuback(reader, setting.version)?,
        PacketKind::PingReq => Packet::PingReq,
        PacketKind::PingResp => Packet::PingResp,
        PacketKind::Disconnect => farewell::disconnect(reader, setting)?,
        PacketKind::Auth => farewell::auth(reader, setting)?,
        _ => ack::ack(kind, reader, setting.version)?,
    })
}

/// Takes the frame off the buffer; returns what follows the fixed header.
fn body(header: Header, buffer: &mut BytesMut) -> Bytes {
    buffer.advance(header.length);
    let length = header.remaining as usize;
    if header.kind == PacketKind::Publish {
        return buffer.split_to(length).freeze();
    }
    let body = Bytes::copy_from_slice(buffer.get(..length).unwrap_or_default());
    buffer.advance(length);
    body
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONNECT: &[u8] = b"\x10\x0d\0\x04MQTT\x04\x02\0\x3c\0\x01c";

    fn buffer(bytes: &[&[u8]]) -> BytesMut {
        BytesMut::from(&bytes.concat()[..])
    }

    #[test]
    fn a_payload_is_never_copied() {
        let mut bytes = buffer(&[CONNECT, b"\x30\x0a\0\x01a", &[7; 7]]);
        let range = bytes.as_ptr_range();
        let mut decoder = Decoder::for_server(1000);
        decoder.decode(&mut bytes).unwrap().unwrap();
        let Some(Packet::Publish(publish)) = decoder.decode(&mut bytes).unwrap() else { panic!("a PUBLISH") };
        assert!(range.contains(&publish.payload.as_ptr()));
        assert!(range.contains(&publish.topic.as_bytes().as_ptr()));
    }

    /// Not even a list of user properties: it stays in wire form.
    #[test]
    fn user_properties_are_not_copied() {
        let mut bytes = buffer(&[b"\x30\x12\0\x01a\x0e", b"\x26\0\x01k\0\x01v", b"\x26\0\x01k\0\x01w"]);
        let range = bytes.as_ptr_range();
        let packet = Decoder::for_client(Version::V5, 1000).decode(&mut bytes).unwrap();
        let Some(Packet::Publish(publish)) = packet else { panic!("a PUBLISH") };
        let users = &publish.properties.user_properties;
        assert_eq!(users.iter().collect::<Vec<_>>(), [("k", "v"), ("k", "w")]);
        assert!(users.iter().all(|(key, _)| range.contains(&key.as_ptr())));
    }

    /// An idle connection keeps its client id but not the buffer that brought it.
    #[test]
    fn strings_that_stay_do_not_pin_the_buffer() {
        let mut bytes = buffer(&[CONNECT]);
        let range = bytes.as_ptr_range();
        let packet = Decoder::for_server(1000).decode(&mut bytes).unwrap();
        let Some(Packet::Connect(connect)) = packet else { panic!("a CONNECT") };
        assert!(!range.contains(&connect.client_id.as_bytes().as_ptr()));
    }

    /// A header that promises much does not make the decoder reserve anything.
    #[test]
    fn promises_cost_nothing() {
        let mut bytes = buffer(&[b"\x10\xff\xff\x7f\0\x04MQTT"]);
        let capacity = bytes.capacity();
        assert_eq!(Decoder::for_server(u32::MAX).decode(&mut bytes), Ok(None));
        assert_eq!((bytes.capacity(), bytes.len()), (capacity, 10));
    }

    #[test]
    fn the_first_connect_sets_the_version() {
        let mut decoder = Decoder::for_server(1000);
        assert_eq!(decoder.version(), None);
        decoder.decode(&mut buffer(&[CONNECT])).unwrap().unwrap();
        assert_eq!(decoder.version(), Some(Version::V311));
        // [MQTT-3.1.0-2]: a second one is the session's to refuse, and does not change the version.
        let second = buffer(&[b"\x10\x0e\0\x04MQTT\x05\x02\0\x3c\0\0\x01c"]);
        assert!(matches!(decoder.decode(&mut second.clone()), Ok(Some(Packet::Connect(_)))));
        assert_eq!(decoder.version(), Some(Version::V311));
    }

    /// A server that refuses a malformed CONNECT knows in which version to say so.
    #[test]
    fn the_version_of_a_malformed_connect_is_known() {
        let mut decoder = Decoder::for_server(1000);
        let mut bytes = buffer(&[b"\x10\x0e\0\x04MQTT\x05\x03\0\x3c\0\0\x01c"]);
        assert_eq!(decoder.decode(&mut bytes).unwrap_err().fault, MalformedFault::ReservedConnectFlag);
        assert_eq!(decoder.version(), Some(Version::V5));
    }

    #[test]
    fn nothing_is_needed_from_an_empty_buffer() {
        assert_eq!(Decoder::for_client(Version::V5, 10).decode(&mut BytesMut::new()), Ok(None));
    }

    #[test]
    fn mqtt_3_1_is_taken_for_3_1_1_or_refused_mqtt31_accepted() {
        const OLD: &[u8] = b"\x10\x0f\0\x06MQIsdp\x03\x02\0\x3c\0\x01c";
        let refused = Decoder::for_server(1000).decode(&mut buffer(&[OLD])).unwrap_err();
        assert!(matches!(refused.fault, MalformedFault::UnsupportedProtocol { name: "MQIsdp", level: 3 }));
        let mut decoder = Decoder::for_server(1000).with_mqtt31(true);
        let Some(Packet::Connect(connect)) = decoder.decode(&mut buffer(&[OLD])).unwrap() else { panic!() };
        assert_eq!((connect.version, connect.client_id.as_str()), (Version::V311, "c"));
        assert!(decoder.is_mqtt31());
        let mut decoder = Decoder::for_server(1000).with_mqtt31(true);
        decoder.decode(&mut buffer(&[CONNECT])).unwrap().unwrap();
        assert!(!decoder.is_mqtt31());
    }
}
