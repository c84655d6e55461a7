//! The outbox against a plain list: what is written at once and what waits come out in one order.

use std::sync::Arc;

use bytes::Bytes;
use mqtt::{Ack, Carried, Connect, Decoder, Message, ReasonCode, TopicName};
use proptest::prelude::*;

use super::*;
use crate::Notes;

const NOW: Timestamp = Timestamp(1_000_000);

fn outbox(version: Version) -> Outbox {
    let connect = Connect {
        version,
        clean_start: true,
        keep_alive: 60,
        client_id: Text::from_static("c"),
        user_name: None,
        password: None,
        will: None,
        properties: mqtt::ConnectProperties::default(),
    };
    let dialect = Dialect::aws();
    let terms = Terms::agree(&connect, &dialect, &mut Notes::new()).unwrap();
    Outbox::new(&terms, &dialect)
}

fn offer(number: u32, bytes: usize, qos: QoS, identifiers: &[u32]) -> Offer {
    let mut payload = number.to_be_bytes().to_vec();
    payload.resize(bytes.max(4), 7);
    let message = Message {
        topic: TopicName::try_from("a/b").unwrap(),
        payload: Bytes::from(payload),
        qos,
        retain: false,
        properties: Carried::default(),
        expires_at: None,
        published_by_v5: true,
    };
    Offer {
        parcel: Arc::new(Parcel::new(message)),
        qos,
        retain: false,
        share_name: None,
        place: None,
        group: None,
        identifiers: identifiers.iter().copied().collect(),
    }
}

fn read(decoder: &mut Decoder, bytes: &mut BytesMut, into: &mut Vec<u32>) {
    while let Some(packet) = decoder.decode(bytes).unwrap() {
        into.push(match packet {
            Packet::Publish(publish) => {
                u32::from_be_bytes(publish.payload.get(..4).unwrap().try_into().unwrap())
            }
            Packet::PubAck(ack) => u32::from(ack.packet_id.get()) + ANSWERS,
            other => panic!("{other:?}"),
        });
    }
    assert!(bytes.is_empty(), "whole packets only");
}

/// Where the numbers of answers begin in the list.
const ANSWERS: u32 = 1_000_000;

#[derive(Clone, Debug)]
enum Move {
    Message { bytes: usize, acknowledged: bool, identified: bool },
    Again,
    Answer { whole: bool },
    Overtake,
    Write { budget: usize },
}

fn any_move() -> impl Strategy<Value = Move> {
    let bytes = prop_oneof![4usize..200, Just(WRITTEN_UP_TO), Just(WRITTEN_UP_TO + 1), 3000usize..9000];
    prop_oneof![
        6 => (bytes, any::<bool>(), any::<bool>())
            .prop_map(|(bytes, acknowledged, identified)| Move::Message { bytes, acknowledged, identified }),
        1 => Just(Move::Again),
        2 => any::<bool>().prop_map(|whole| Move::Answer { whole }),
        2 => Just(Move::Overtake),
        1 => (1usize..20_000).prop_map(|budget| Move::Write { budget }),
    ]
}

proptest! {
#[test]
    fn everything_comes_out_once_and_in_order(moves in proptest::collection::vec(any_move(), 1..80), v5 in any::<bool>()) {
        let version = if v5 { Version::V5 } else { Version::V311 };
        let (mut outbox, mut decoder) = (outbox(version), Decoder::for_client(version, u32::MAX));
        let (mut list, mut came, mut number, wanted) = (Vec::new(), Vec::new(), 0u32, Arc::new(()));
        // It is used again and again, as a driver does: its buffer may become the outbox's.
        let mut out = BytesMut::new();
        for one in moves {
            number += 1;
            match one {
                Move::Message { bytes, acknowledged, identified } => {
                    let qos = if acknowledged { QoS::AtLeastOnce } else { QoS::AtMostOnce };
                    let identifiers: &[u32] = if identified { &[3, 300] } else { &[] };
                    let packet_id = PacketId::new(9).filter(|_| acknowledged);
                    outbox.publish(&offer(number, bytes, qos, identifiers), packet_id);
                    list.push(number);
                }
                Move::Again => {
                    let offer = offer(number, 10, QoS::AtLeastOnce, &[]);
                    outbox.publish_again(&offer, PacketId::FIRST, true, Arc::downgrade(&wanted));
                    list.push(number);
                }
                Move::Answer { whole } => {
                    let packet_id = PacketId::new(u16::try_from(number).unwrap()).unwrap();
                    match whole {
                        true => outbox.packet(Packet::PubAck(Ack::new(packet_id, ReasonCode::Success))),
                        false => outbox.puback(packet_id),
                    }
                    list.push(number + ANSWERS);
                }
                Move::Overtake => {
                    let waits = list.len() - came.len();
                    let done = outbox.overtake();
                    let two = list.split_last_chunk_mut::<2>().map(|(_, two)| two);
                    match two.filter(|_| waits > 1) {
                        Some(two) if done => {
                            prop_assert!(two.iter().all(|number| *number < ANSWERS));
                            two.swap(0, 1);
                        }
                        _ => prop_assert!(!done),
                    }
                }
                Move::Write { budget } => {
                    let before = came.len();
                    prop_assert_eq!(outbox.write(&mut out, &mut Vec::new(), budget, NOW), list.len() > before);
                    prop_assert!(out.len() <= budget + LONG_RUN + 2 * 9_100, "{} for {budget}", out.len());
                    read(&mut decoder, &mut out, &mut came);
                }
            }
            prop_assert_eq!(outbox.is_empty(), list.len() == came.len());
            prop_assert_eq!(outbox.count, list.len() - came.len());
        }
        while outbox.write(&mut out, &mut Vec::new(), 10_000, NOW) {}
        read(&mut decoder, &mut out, &mut came);
        prop_assert_eq!(came, list);
        prop_assert_eq!((outbox.bytes, outbox.count, outbox.ink.capacity()), (0, 0, 0), "nothing is left behind");
    }
}

#[test]
fn two_small_messages_change_places() {
    let mut outbox = outbox(Version::V5);
    for (number, bytes) in [(1, 10), (2, 20), (3, 30)] {
        outbox.publish(&offer(number, bytes, QoS::AtMostOnce, &[]), None);
    }
    assert!(outbox.overtake());
    let (mut out, mut came) = (BytesMut::new(), Vec::new());
    assert!(outbox.write(&mut out, &mut Vec::new(), 10_000, NOW));
    read(&mut Decoder::for_client(Version::V5, u32::MAX), &mut out, &mut came);
    assert_eq!(came, [1, 3, 2]);
    assert!(!outbox.overtake(), "nothing waits");
}

/// The second receiver gets it from a form that is shared: the same bytes.
#[test]
fn the_first_receiver_and_the_others_get_the_same_bytes() {
    for version in [Version::V311, Version::V5] {
        let offer = offer(1, 50, QoS::AtLeastOnce, &[]);
        let packets: Vec<BytesMut> = (0..3)
            .map(|_| {
                let (mut outbox, mut out) = (outbox(version), BytesMut::new());
                outbox.publish(&offer, PacketId::new(77));
                outbox.write(&mut out, &mut Vec::new(), 10_000, NOW);
                out
            })
            .collect();
        assert!(packets.windows(2).all(|two| two[0] == two[1]), "{packets:?}");
        assert_eq!(packets[0].len(), offer.parcel.packet_len(version, QoS::AtLeastOnce, 0).unwrap());
    }
}

/// A message that holds on to nothing is not copied to wait; another one is, once.
#[test]
fn what_waits_is_copied_once() {
    let own = Arc::new(Parcel::lasting(&offer(1, 9, QoS::AtMostOnce, &[]).parcel.message));
    assert!(Arc::ptr_eq(&own, &own.to_lasting()));
    let shared = offer(2, 9, QoS::AtMostOnce, &[]).parcel;
    let copy = shared.to_lasting();
    assert!(!Arc::ptr_eq(&shared, &copy) && Arc::ptr_eq(&copy, &shared.to_lasting()));
    assert_eq!(copy.message, shared.message);
}

/// What every connected client costs for as long as it is there. Whoever needs more room for something that most clients
/// do not have puts it behind a pointer.
#[test]
fn sessions_are_small() {
    let sizes = [size_of::<crate::Session>(), size_of::<crate::Conversation>(), size_of::<Outbox>()];
    let most = [344, 280, 128];
    assert!(sizes.iter().zip(most).all(|(size, most)| *size <= most), "{sizes:?} bytes, at most {most:?}");
}

/// All that waits goes out as it stands: the paper gets the buffer, and the outbox the paper's, until nothing waits.
#[test]
fn buffers_change_places() {
    let (mut outbox, mut out) = (outbox(Version::V5), BytesMut::with_capacity(100));
    for number in 0..9 {
        outbox.publish(&offer(number, 100, QoS::AtMostOnce, &[]), None);
        outbox.puback(PacketId::FIRST);
    }
    let (ink, paper) = (outbox.ink.as_ptr(), out.as_ptr());
    assert!(outbox.write(&mut out, &mut Vec::new(), 10_000, NOW));
    assert_eq!((out.as_ptr(), outbox.ink.as_ptr()), (ink, paper), "nothing was copied");
    let mut came = Vec::new();
    read(&mut Decoder::for_client(Version::V5, u32::MAX), &mut out, &mut came);
    assert_eq!(came.len(), 18);
    assert!(!outbox.write(&mut out, &mut Vec::new(), 10_000, NOW));
    assert_eq!(outbox.ink.capacity(), 0, "an idle connection keeps no buffer");
}
