//! Every property in every packet: accepted exactly where the standard's table 2-4 has it, and twice only where
//! it may repeat.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod arbitrary;

use arbitrary::{Reader, decoder};
use bytes::BytesMut;
use thingcore_mqtt::*;

/// A value that the property may have.
fn value(property: Property) -> Vec<u8> {
    let mut bytes = vec![property.id()];
    bytes.extend_from_slice(match property.value_type() {
        PropertyType::Flag => &[1][..],
        PropertyType::TwoByteInteger => &[0, 1],
        PropertyType::FourByteInteger => &[0, 0, 0, 1],
        PropertyType::VariableByteInteger => &[1],
        PropertyType::Text | PropertyType::Binary => &[0, 1, b'x'],
        PropertyType::TextPair => &[0, 1, b'k', 0, 1, b'v'],
    });
    bytes
}

/// First byte, what stands before the property section, what behind it.
fn surroundings(kind: PacketKind) -> Option<(u8, &'static [u8], &'static [u8])> {
    Some(match kind {
        PacketKind::Connect => (0x10, b"\0\x04MQTT\x05\x02\0\0", b"\0\x01c"),
        PacketKind::ConnAck => (0x20, b"\0\0", b""),
        PacketKind::Publish => (0x30, b"\0\x01t", b"payload"),
        PacketKind::PubAck => (0x40, b"\0\x01\0", b""),
        PacketKind::PubRec => (0x50, b"\0\x01\0", b""),
        PacketKind::PubRel => (0x62, b"\0\x01\0", b""),
        PacketKind::PubComp => (0x70, b"\0\x01\0", b""),
        PacketKind::Subscribe => (0x82, b"\0\x01", b"\0\x01f\0"),
        PacketKind::SubAck => (0x90, b"\0\x01", b"\0"),
        PacketKind::Unsubscribe => (0xA2, b"\0\x01", b"\0\x01f"),
        PacketKind::UnsubAck => (0xB0, b"\0\x01", b"\0"),
        PacketKind::Disconnect => (0xE0, b"\0", b""),
        PacketKind::Auth => (0xF0, b"\x18", b""),
        PacketKind::PingReq | PacketKind::PingResp => return None,
    })
}

fn frame(first: u8, before: &[u8], properties: &[u8], after: &[u8]) -> BytesMut {
    let length = before.len() + 1 + properties.len() + after.len();
    let head = [first, u8::try_from(length).unwrap()];
    let properties_length = [u8::try_from(properties.len()).unwrap()];
    BytesMut::from(&[&head, before, &properties_length, properties, after].concat()[..])
}

/// Both readers' verdicts: a fault only when neither accepts it.
fn verdict(kind: PacketKind, bytes: &BytesMut) -> Result<(), MalformedFault> {
    let before_connect = kind == PacketKind::Connect;
    let by_server = decoder(Version::V5, Reader::Server, before_connect).decode(&mut bytes.clone());
    let by_client = decoder(Version::V5, Reader::Client, false).decode(&mut bytes.clone());
    match (by_server, by_client) {
        (Ok(Some(_)), _) | (_, Ok(Some(_))) => Ok(()),
        (Err(server), Err(client)) if server.fault == MalformedFault::UnexpectedPacket => Err(client.fault),
        (Err(server), Err(_)) => Err(server.fault),
        other => panic!("{other:?}"),
    }
}

/// What must stand beside the property for the packet to be complete.
fn companion(place: Places, property: Property) -> Vec<u8> {
    let method = Property::AuthenticationMethod;
    let needs_method = place == Places::of(PacketKind::Auth) || property == Property::AuthenticationData;
    if needs_method && property != method && method.places().contains(place) {
        value(method)
    } else {
        Vec::new()
    }
}

fn check(kind: PacketKind, place: Places, property: Property, build: impl Fn(&[u8]) -> BytesMut) {
    let mut properties = companion(place, property);
    properties.extend(value(property));
    let once = verdict(kind, &build(&properties));
    if !property.places().contains(place) {
        assert_eq!(once, Err(MalformedFault::PropertyNotAllowed { property }), "{property} in {kind}");
        return;
    }
    assert_eq!(once, Ok(()), "{property} in {kind}");
    properties.extend(value(property));
    let twice = verdict(kind, &build(&properties));
    let expected =
        if property.may_repeat(place) { Ok(()) } else { Err(MalformedFault::DuplicateProperty { property }) };
    assert_eq!(twice, expected, "{property} twice in {kind}");
}

/// MQTT 5.0 section 2.2.2.2.
#[test]
fn properties_stand_where_the_table_has_them() {
    for kind in PacketKind::ALL {
        let Some((first, before, after)) = surroundings(kind) else { continue };
        for property in Property::ALL {
            check(kind, Places::of(kind), *property, |bytes| frame(first, before, bytes, after));
        }
    }
}

/// MQTT 5.0 section 3.1.3.2.
#[test]
fn will_properties_stand_where_the_table_has_them() {
    let before = b"\0\x04MQTT\x05\x06\0\0\0\0\x01c";
    for property in Property::ALL {
        check(PacketKind::Connect, Places::WILL, *property, |bytes| {
            frame(0x10, before, bytes, b"\0\x01t\0\x01p")
        });
    }
}

/// `[MQTT-3.4.2-1]` and its sisters: each reason code in each packet that has one, from each side.
#[test]
fn reason_codes_stand_where_the_tables_have_them() {
    let places = [
        (PacketKind::ConnAck, 0x20, &b"\0C\0"[..]),
        (PacketKind::PubAck, 0x40, b"\0\x01C"),
        (PacketKind::PubRec, 0x50, b"\0\x01C"),
        (PacketKind::PubRel, 0x62, b"\0\x01C"),
        (PacketKind::PubComp, 0x70, b"\0\x01C"),
        (PacketKind::SubAck, 0x90, b"\0\x01\0C"),
        (PacketKind::UnsubAck, 0xB0, b"\0\x01\0C"),
        (PacketKind::Disconnect, 0xE0, b"C"),
        (PacketKind::Auth, 0xF0, b"C\x04\x15\0\x01m"),
    ];
    for (kind, first, body) in places {
        for code in 0..=u8::MAX {
            let body: Vec<u8> = body.iter().map(|byte| if *byte == b'C' { code } else { *byte }).collect();
            let bytes = BytesMut::from(&[&[first, body.len() as u8], &body[..]].concat()[..]);
            for reader in [Reader::Server, Reader::Client] {
                let decoded = decoder(Version::V5, reader, false).decode(&mut bytes.clone());
                let by_server = reader == Reader::Client;
                let allowed =
                    ReasonCode::from_code(code).is_some_and(|code| code.allowed_in(kind, by_server));
                match decoded.map_err(|malformed| malformed.fault) {
                    Err(MalformedFault::UnexpectedPacket) => assert!(!by_server, "{kind}"),
                    Err(MalformedFault::ReasonCode { code: refused }) => {
                        assert!(!allowed && refused == code, "{kind} {code:#x}");
                    }
                    other => assert!(allowed && matches!(other, Ok(Some(_))), "{kind} {code:#x} {other:?}"),
                }
            }
        }
    }
}
