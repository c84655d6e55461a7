//! What holds for every packet and for every byte string.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod arbitrary;

use arbitrary::{Case, Reader, case, decoder};
use bytes::{Buf, BytesMut};
use proptest::prelude::*;
use thingcore_mqtt::*;

proptest! {
    /// What is written is read again, as it was.
    #[test]
    fn packets_survive_the_wire(case in case()) {
        let mut bytes = case.bytes();
        prop_assert_eq!(bytes.len(), encoded_len(&case.packet, case.version));
        let decoded = case.decoder().decode(&mut bytes);
        prop_assert_eq!(decoded, Ok(Some(case.packet)));
        prop_assert!(bytes.is_empty());
    }

    /// However the network cuts the stream, the packets are the same.
    #[test]
    fn cuts_do_not_matter(case in case(), cuts in proptest::collection::vec(any::<prop::sample::Index>(), 0..4)) {
        let bytes = [&case.bytes()[..], &case.bytes()[..]].concat();
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len())).collect();
        cuts.sort_unstable();
        cuts.push(bytes.len());
        let (mut decoder, mut buffer, mut packets, mut at) = (case.decoder(), BytesMut::new(), Vec::new(), 0);
        for cut in cuts {
            buffer.extend_from_slice(&bytes[at..cut]);
            at = cut;
            while let Some(packet) = decoder.decode(&mut buffer).unwrap() {
                packets.push(packet);
            }
        }
        prop_assert_eq!(packets, [case.packet.clone(), case.packet]);
    }

    /// Nothing is taken before the packet is complete.
    #[test]
    fn an_incomplete_packet_stays_in_the_buffer(case in case(), cut in any::<prop::sample::Index>()) {
        let bytes = case.bytes();
        let part = &bytes[..cut.index(bytes.len())];
        let mut buffer = BytesMut::from(part);
        prop_assert_eq!(case.decoder().decode(&mut buffer), Ok(None));
        prop_assert_eq!(&buffer[..], part);
    }

    /// Arbitrary bytes are refused or understood, and never more than one frame of them is taken.
    #[test]
    fn arbitrary_bytes_do_no_harm(bytes in proptest::collection::vec(any::<u8>(), 0..200), who in 0..5_usize) {
        let mut decoder = [
            Decoder::for_server(100),
            decoder(Version::V311, Reader::Server, false),
            decoder(Version::V5, Reader::Server, false),
            decoder(Version::V311, Reader::Client, false),
            decoder(Version::V5, Reader::Client, false),
        ][who].clone();
        let mut buffer = BytesMut::from(&bytes[..]);
        loop {
            let frame = frame_length(&buffer);
            let before = buffer.len();
            let result = decoder.decode(&mut buffer);
            prop_assert!(before - buffer.len() <= frame);
            if !matches!(result, Ok(Some(_))) {
                break;
            }
        }
    }

    /// A valid packet with a few wrong bytes: no panic, and what is accepted is written and read again as it was.
    #[test]
    fn what_is_accepted_can_be_written(
        case in case(),
        wrong in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let mut bytes = case.bytes();
        for (at, byte) in wrong {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        let mut decoder = case.decoder();
        if let Ok(Some(packet)) = decoder.decode(&mut bytes) {
            let version = decoder.version().unwrap();
            let again = Case { packet: packet.clone(), version, reader: case.reader };
            prop_assert_eq!(again.decoder().decode(&mut again.bytes()), Ok(Some(packet)));
        }
    }

    /// Oversize is known from the fixed header, exact to the byte.
    #[test]
    fn the_limit_is_exact(case in case()) {
        let bytes = case.bytes();
        let length = u32::try_from(bytes.len()).unwrap();
        prop_assume!(length > 5 && case.reader == Reader::Client);
        let mut exact = Decoder::for_client(case.version, length);
        prop_assert_eq!(exact.decode(&mut bytes.clone()), Ok(Some(case.packet)));
        let mut small = Decoder::for_client(case.version, length - 1);
        let fault = small.decode(&mut BytesMut::from(&bytes[..5])).unwrap_err().fault;
        prop_assert_eq!(fault, MalformedFault::PacketTooLarge { length, limit: length - 1 });
    }

    /// The frame for many receivers is what `encode` writes for each of them.
    #[test]
    fn a_frame_is_an_encoded_publish(
        version in prop_oneof![Just(Version::V311), Just(Version::V5)],
        v5 in arbitrary::publish(Version::V5, Reader::Client),
        patches in (any::<bool>(), any::<bool>(), 1..=u16::MAX, any::<u32>()),
    ) {
        let frame = PublishFrame::new(&v5.parts(), version).unwrap();
        let (dup, retain, id, expiry) = patches;
        let mut sent = v5.clone();
        sent.retain = retain;
        sent.dup = dup && sent.qos != QoS::AtMostOnce;
        sent.packet_id = sent.packet_id.and(PacketId::new(id));
        sent.message_expiry_interval = sent.message_expiry_interval.map(|_| expiry);
        let mut written = BytesMut::from(&b"before"[..]);
        frame.write_into(&mut written, PacketId::new(id), PublishFlags { dup, retain }, Some(expiry));
        written.advance(6);
        let mut expected = BytesMut::new();
        encode(&Packet::Publish(Box::new(sent)), version, &mut expected).unwrap();
        prop_assert_eq!(&written, &expected);
        prop_assert_eq!(frame.len(), expected.len());
    }

    /// Without a new expiry the encoded one stays.
    #[test]
    fn a_frame_keeps_its_expiry(publish in arbitrary::publish(Version::V5, Reader::Client)) {
        let frame = PublishFrame::new(&publish.parts(), Version::V5).unwrap();
        let mut written = BytesMut::new();
        let flags = PublishFlags { dup: publish.dup, retain: publish.retain };
        frame.write_into(&mut written, publish.packet_id, flags, None);
        let mut decoder = Decoder::for_client(Version::V5, u32::MAX);
        prop_assert_eq!(decoder.decode(&mut written), Ok(Some(Packet::Publish(Box::new(publish)))));
    }
}

/// The length of the frame at the front, as the header says it; all there is when it does not say it.
fn frame_length(buffer: &[u8]) -> usize {
    let mut length = 0;
    for (index, byte) in buffer.iter().skip(1).take(4).enumerate() {
        length |= usize::from(byte & 0x7F) << (7 * index);
        if byte & 0x80 == 0 {
            return 2 + index + length;
        }
    }
    buffer.len()
}
