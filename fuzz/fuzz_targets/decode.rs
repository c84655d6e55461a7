//! Arbitrary bytes through every decoder: no panic, and what is accepted can be written and read again.
#![no_main]

use bytes::BytesMut;
use libfuzzer_sys::fuzz_target;
use mqtt::{Decoder, Packet, Version, encode};

const LIMIT: u32 = 131_072;

fuzz_target!(|input: &[u8]| {
    // The first byte chooses who reads.
    let Some((choice, bytes)) = input.split_first() else { return };
    let (mut decoder, mut again) = match choice % 5 {
        0 => (Decoder::for_server(LIMIT), Decoder::for_server(LIMIT)),
        1 => (after_connect(4), after_connect(4)),
        2 => (after_connect(5), after_connect(5)),
        3 => (client(Version::V311), client(Version::V311)),
        _ => (client(Version::V5), client(Version::V5)),
    };
    let mut buffer = BytesMut::from(bytes);
    while let Ok(Some(packet)) = decoder.decode(&mut buffer) {
        // A later CONNECT says a version of its own.
        let version = match &packet {
            Packet::Connect(connect) => connect.version,
            _ => decoder.version().expect("a packet was read"),
        };
        let mut written = BytesMut::new();
        encode(&packet, version, &mut written).expect("what was read can be written");
        assert_eq!(again.decode(&mut written), Ok(Some(packet)));
    }
});

fn client(version: Version) -> Decoder {
    Decoder::for_client(version, LIMIT)
}

fn after_connect(level: u8) -> Decoder {
    let properties: &[u8] = if level == 5 { &[0] } else { &[] };
    let head = [0x10, 12 + properties.len() as u8, 0, 4, b'M', b'Q', b'T', b'T', level, 2, 0, 0];
    let mut connect = BytesMut::from(&[&head, properties, &[0, 0]].concat()[..]);
    let mut decoder = Decoder::for_server(LIMIT);
    decoder.decode(&mut connect).expect("a valid CONNECT").expect("a complete CONNECT");
    decoder
}
