//! Against another implementation (`mqtt-protocol-core`): both accept the same packets, both refuse the same bytes,
//! and each reads what the other wrote. Where we differ on purpose stands in `known_difference`, with the reason.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod arbitrary;

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arbitrary::{Case, case};
use bytes::BytesMut;
use mqtt_protocol_core::mqtt::packet::GenericPacketTrait;
use mqtt_protocol_core::mqtt::packet::{v3_1_1, v5_0};
use mqtt_protocol_core::mqtt::result_code::MqttError;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use thingcore_mqtt::*;

/// How many packets are compared.
const CASES: usize = 20_000;

/// What the other implementation makes of the body of a packet: the packet written again, or its error.
fn other(kind: PacketKind, version: Version, flags: u8, body: &[u8]) -> Result<Vec<u8>, MqttError> {
    match version {
        Version::V311 => other_v3(kind, flags, body),
        Version::V5 => other_v5(kind, flags, body),
    }
}

/// It reads bodies only; trailing bytes are for its caller to find.
fn whole<T: GenericPacketTrait>(
    result: Result<(T, usize), MqttError>,
    body: &[u8],
) -> Result<Vec<u8>, MqttError> {
    let (packet, consumed) = result?;
    if consumed == body.len() { Ok(packet.to_continuous_buffer()) } else { Err(MqttError::MalformedPacket) }
}

fn other_v3(kind: PacketKind, flags: u8, body: &[u8]) -> Result<Vec<u8>, MqttError> {
    match kind {
        PacketKind::Connect => whole(v3_1_1::Connect::parse(body), body),
        PacketKind::ConnAck => whole(v3_1_1::Connack::parse(body), body),
        PacketKind::Publish => whole(v3_1_1::Publish::parse(flags, Arc::from(body)), body),
        PacketKind::PubAck => whole(v3_1_1::Puback::parse(body), body),
        PacketKind::PubRec => whole(v3_1_1::Pubrec::parse(body), body),
        PacketKind::PubRel => whole(v3_1_1::Pubrel::parse(body), body),
        PacketKind::PubComp => whole(v3_1_1::Pubcomp::parse(body), body),
        PacketKind::Subscribe => whole(v3_1_1::Subscribe::parse(body), body),
        PacketKind::SubAck => whole(v3_1_1::Suback::parse(body), body),
        PacketKind::Unsubscribe => whole(v3_1_1::Unsubscribe::parse(body), body),
        PacketKind::UnsubAck => whole(v3_1_1::Unsuback::parse(body), body),
        PacketKind::PingReq => whole(v3_1_1::Pingreq::parse(body), body),
        PacketKind::PingResp => whole(v3_1_1::Pingresp::parse(body), body),
        PacketKind::Disconnect => whole(v3_1_1::Disconnect::parse(body), body),
        PacketKind::Auth => Err(MqttError::MalformedPacket),
    }
}

fn other_v5(kind: PacketKind, flags: u8, body: &[u8]) -> Result<Vec<u8>, MqttError> {
    match kind {
        PacketKind::Connect => whole(v5_0::Connect::parse(body), body),
        PacketKind::ConnAck => whole(v5_0::Connack::parse(body), body),
        PacketKind::Publish => whole(v5_0::Publish::parse(flags, Arc::from(body)), body),
        PacketKind::PubAck => whole(v5_0::Puback::parse(body), body),
        PacketKind::PubRec => whole(v5_0::Pubrec::parse(body), body),
        PacketKind::PubRel => whole(v5_0::Pubrel::parse(body), body),
        PacketKind::PubComp => whole(v5_0::Pubcomp::parse(body), body),
        PacketKind::Subscribe => whole(v5_0::Subscribe::parse(body), body),
        PacketKind::SubAck => whole(v5_0::Suback::parse(body), body),
        PacketKind::Unsubscribe => whole(v5_0::Unsubscribe::parse(body), body),
        PacketKind::UnsubAck => whole(v5_0::Unsuback::parse(body), body),
        PacketKind::PingReq => whole(v5_0::Pingreq::parse(body), body),
        PacketKind::PingResp => whole(v5_0::Pingresp::parse(body), body),
        PacketKind::Disconnect => whole(v5_0::Disconnect::parse(body), body),
        PacketKind::Auth => whole(v5_0::Auth::parse(body), body),
    }
}

/// Where the body begins.
fn body_at(frame: &[u8]) -> usize {
    1 + frame[1..].iter().position(|byte| byte & 0x80 == 0).unwrap() + 1
}

/// The frame with another body of another length.
fn with_body(first: u8, body: &[u8]) -> BytesMut {
    let mut frame = vec![first];
    let mut rest = body.len();
    while rest > 0x7F {
        frame.push((rest & 0x7F) as u8 | 0x80);
        rest >>= 7;
    }
    frame.push(rest as u8);
    frame.extend_from_slice(body);
    BytesMut::from(&frame[..])
}

type Ours = Result<Packet, MalformedFault>;

/// A difference that we know and keep.
struct Difference {
    why: &'static str,
    applies: fn(&Ours, Version) -> bool,
}

/// Where the two differ, and why we stay as we are. Every row is met in `both_refuse_the_same`, or it must go.
const KNOWN: &[Difference] = &[
    Difference {
        why: "5.0 section 3.1.3.6 allows a password without a user name; they refuse it",
        applies: |ours, version| match ours {
            Ok(Packet::Connect(connect)) => {
                version == Version::V5 && connect.password.is_some() && connect.user_name.is_none()
            }
            _ => false,
        },
    },
    Difference {
        why: "[MQTT-1.5.4-2]: they let U+0000 pass",
        applies: |ours, _| matches!(ours, Err(MalformedFault::NulCharacter)),
    },
    Difference {
        why: "[MQTT-1.5.5-1]: they let overlong variable byte integers pass",
        applies: |ours, _| matches!(ours, Err(MalformedFault::VariableByteInteger)),
    },
    Difference {
        why: "[MQTT-3.1.2-3]: they ignore the reserved connect flag",
        applies: |ours, _| matches!(ours, Err(MalformedFault::ReservedConnectFlag)),
    },
    Difference {
        why: "[MQTT-3.2.2-1]: they ignore the reserved CONNACK flags",
        applies: |ours, _| matches!(ours, Err(MalformedFault::ConnAckFlags { .. })),
    },
    Difference {
        why: "[MQTT-3.2.2-6]: they let session present stand beside a failure",
        applies: |ours, _| matches!(ours, Err(MalformedFault::SessionPresentWithFailure)),
    },
    Difference {
        why: "[MQTT-2.3.1-1]: they let identifier 0 pass in an UNSUBACK of 3.1.1",
        applies: |ours, version| {
            version == Version::V311 && matches!(ours, Err(MalformedFault::PacketIdZero))
        },
    },
    Difference {
        why: "3.1.1 section 3.4: they read a reason code after acknowledgements of 3.1.1",
        applies: |ours, version| {
            version == Version::V311 && matches!(ours, Err(MalformedFault::TrailingBytes { count: 1 }))
        },
    },
    Difference {
        why: "3.1.1 [MQTT-3.8.3-4]: they read subscription options of 5.0 in 3.1.1",
        applies: |ours, version| {
            version == Version::V311 && matches!(ours, Err(MalformedFault::SubscriptionOptions { .. }))
        },
    },
    Difference {
        why: "[MQTT-3.3.2-2]: they judge topic names later, in the connection",
        applies: |ours, _| matches!(ours, Err(MalformedFault::WildcardInTopic)),
    },
    Difference {
        why: "[MQTT-4.7.3-1]: they judge topic names later, in the connection",
        applies: |ours, _| matches!(ours, Err(MalformedFault::EmptyTopic)),
    },
    Difference {
        why: "[MQTT-3.14.2-1], [MQTT-3.15.2-1]: their parser does not know who sent the packet",
        applies: |ours, _| match ours {
            Err(MalformedFault::ReasonCode { code }) => depends_on_sender(*code),
            _ => false,
        },
    },
];

/// Whether only one side may send this code.
fn depends_on_sender(code: u8) -> bool {
    let Some(code) = ReasonCode::from_code(code) else { return false };
    [PacketKind::Disconnect, PacketKind::Auth]
        .iter()
        .any(|kind| code.allowed_in(*kind, true) != code.allowed_in(*kind, false))
}

/// The row that explains the difference, if one does.
fn known_difference(ours: &Ours, version: Version) -> Option<usize> {
    KNOWN.iter().position(|known| (known.applies)(ours, version))
}

/// How a body is damaged.
#[derive(Clone, Debug)]
enum Damage {
    Change(prop::sample::Index, u8),
    Remove(prop::sample::Index),
    Insert(prop::sample::Index, u8),
}

fn damage() -> impl Strategy<Value = Damage> {
    let byte = || prop_oneof![any::<u8>(), 0..4_u8];
    prop_oneof![
        3 => (any::<prop::sample::Index>(), byte()).prop_map(|(at, byte)| Damage::Change(at, byte)),
        1 => any::<prop::sample::Index>().prop_map(Damage::Remove),
        1 => (any::<prop::sample::Index>(), byte()).prop_map(|(at, byte)| Damage::Insert(at, byte)),
    ]
}

fn damaged(body: &[u8], damage: &[Damage]) -> Vec<u8> {
    let mut body = body.to_vec();
    for step in damage {
        match step {
            Damage::Change(at, byte) if !body.is_empty() => {
                let at = at.index(body.len());
                body[at] = *byte;
            }
            Damage::Remove(at) if !body.is_empty() => {
                body.remove(at.index(body.len()));
            }
            Damage::Insert(at, byte) => body.insert(at.index(body.len() + 1), *byte),
            _ => {}
        }
    }
    body
}

/// Our verdict, and the version that we read (a damaged CONNECT may say another one).
fn ours(case: &Case, frame: &BytesMut) -> (Ours, Version) {
    let mut decoder = case.decoder();
    let decoded = decoder.decode(&mut frame.clone());
    let packet = decoded.map(|packet| packet.expect("the frame is complete"));
    (packet.map_err(|malformed| malformed.fault), decoder.version().unwrap_or(case.version))
}

/// Runs a check on many cases, always the same ones, and reports every kind of unexplained difference at once.
fn survey<T: std::fmt::Debug>(
    strategy: impl Strategy<Value = T>,
    check: impl Fn(&T) -> Option<(String, String)>,
) {
    let mut runner = TestRunner::deterministic();
    let mut unexplained = BTreeMap::new();
    for _ in 0..CASES {
        let case = strategy.new_tree(&mut runner).unwrap().current();
        if let Some((difference, example)) = check(&case) {
            unexplained.entry(difference).or_insert((0, example)).0 += 1;
        }
    }
    assert!(unexplained.is_empty(), "{unexplained:#?}");
}

/// What we write, the other reads and writes back byte by byte.
#[test]
fn the_other_reads_what_we_write() {
    survey(case(), |case| {
        let frame = case.bytes();
        let flags = frame[0] & 0x0F;
        let theirs = other(case.packet.kind(), case.version, flags, &frame[body_at(&frame)..]);
        let ours = Ok(case.packet.clone());
        match &theirs {
            Ok(written) if written[..] == frame[..] => None,
            Err(_) if known_difference(&ours, case.version).is_some() => None,
            Ok(written) => {
                Some(("other bytes".into(), format!("{case:?} {:02x?} {written:02x?}", &frame[..])))
            }
            Err(error) => Some((format!("{} {error:?}", case.packet.name()), format!("{case:?}"))),
        }
    });
}

/// Of damaged packets, both think the same.
#[test]
fn both_refuse_the_same() {
    let met = RefCell::new(BTreeSet::new());
    survey((case(), proptest::collection::vec(damage(), 1..4)), |(case, damage)| {
        let valid = case.bytes();
        let body = damaged(&valid[body_at(&valid)..], damage);
        let frame = with_body(valid[0], &body);
        let (ours, version) = ours(case, &frame);
        let theirs = other(case.packet.kind(), version, valid[0] & 0x0F, &body);
        if ours.is_ok() == theirs.is_ok() {
            return None;
        }
        if let Some(row) = known_difference(&ours, version) {
            met.borrow_mut().insert(row);
            return None;
        }
        let name = case.packet.name();
        let difference = match (&ours, &theirs) {
            (Err(fault), _) => format!("we refuse {name}: {fault:?}"),
            (_, theirs) => format!("they refuse {name}: {theirs:?}"),
        };
        Some((difference, format!("{version:?} {:02x?} {ours:?}", &frame[..])))
    });
    let unmet: Vec<_> =
        (0..KNOWN.len()).filter(|row| !met.borrow().contains(row)).map(|row| KNOWN[row].why).collect();
    assert!(unmet.is_empty(), "they do not differ any more: {unmet:#?}");
}
