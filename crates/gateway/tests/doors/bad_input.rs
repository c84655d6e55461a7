//! Peers that send nonsense, nothing, or too slowly, and what the others notice of it: nothing.

use std::net::SocketAddr;
use std::time::Duration;

use crate::house::{Device, House, PATIENCE, connect_packet, receive};
use events::Kind;
use mqtt::{Packet, Version};
use registry::CertificateStatus;
use rustls::DEFAULT_VERSIONS;
use thingcore_gateway::Limits;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// What a server sends to these bytes before it closes.
async fn answer_to(address: SocketAddr, bytes: &[u8]) -> Vec<u8> {
    let mut socket = TcpStream::connect(address).await.unwrap();
    socket.write_all(bytes).await.unwrap();
    let mut heard = Vec::new();
    tokio::time::timeout(PATIENCE, socket.read_to_end(&mut heard)).await.expect("not closed").ok();
    heard
}

async fn plain_client(house: &House, client_id: &str) -> TcpStream {
    let mut socket = TcpStream::connect(house.plain).await.unwrap();
    socket.write_all(&connect_packet(Version::V311, client_id)).await.unwrap();
    let answer = receive(&mut socket, Version::V311).await;
    assert!(matches!(answer, Some(Packet::ConnAck(_))), "{answer:?}");
    socket
}

fn quick() -> Limits {
    Limits {
        handshake: Duration::from_millis(300),
        first_packet: Duration::from_millis(300),
        partial_packet: Duration::from_millis(300),
        linger: Duration::from_millis(50),
        ..Limits::default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn plaintext_on_a_tls_port_is_answered_by_an_alert_and_explained() {
    let house = House::open(Limits::default()).await;
    for bytes in
        [connect_packet(Version::V311, "x"), b"GET / HTTP/1.1\r\nHost: x\r\n\r\n".to_vec(), vec![0; 600]]
    {
        for address in [house.mqtt, house.tls] {
            house.recorder.clear();
            let heard = answer_to(address, &bytes).await;
            assert!(heard.is_empty() || heard[0] == 21, "only a TLS alert: {heard:?}");
            let text = house.told(Kind::HandshakeFailed).await.remove(0);
            assert!(text.contains("not TLS"), "{text}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_1_1_is_refused_by_an_alert() {
    let house = House::open(Limits::default()).await;
    // A ClientHello of TLS 1.1: random, no session, one cipher suite, no compression, no extensions.
    let mut hello = vec![3, 2];
    hello.extend_from_slice(&[7; 32]);
    hello.extend_from_slice(&[0, 0, 2, 0xC0, 0x09, 1, 0]);
    let mut message = vec![1, 0, 0, u8::try_from(hello.len()).unwrap()];
    message.extend_from_slice(&hello);
    let mut record = vec![22, 3, 1, 0, u8::try_from(message.len()).unwrap()];
    record.extend_from_slice(&message);
    let heard = answer_to(house.mqtt, &record).await;
    assert_eq!((heard[0], heard[5]), (21, 2), "a fatal alert: {heard:?}");
    house.told(Kind::HandshakeFailed).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_probe_that_says_nothing_is_no_event() {
    let house = House::open(Limits::default()).await;
    drop(TcpStream::connect(house.mqtt).await.unwrap());
    drop(plain_client(&house, "after").await);
    assert!(house.recorder.texts(Kind::HandshakeFailed).is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn silence_and_dripping_end_in_time_before_and_after_tls() {
    let house = House::open(quick()).await;
    assert!(answer_to(house.mqtt, &[]).await.is_empty());
    assert!(house.told(Kind::HandshakeFailed).await[0].contains("HANDSHAKE_TIMEOUT"));
    assert!(answer_to(house.mqtt, &[22, 3, 1]).await.is_empty());

    assert!(answer_to(house.plain, &[]).await.is_empty());
    assert!(answer_to(house.plain, &connect_packet(Version::V5, "x")[..9]).await.is_empty());
    let refused = house.told(Kind::ConnectRefused).await;
    assert!(refused[0].contains("no complete CONNECT"), "{refused:?}");
    assert_eq!(house.gateway.drain(PATIENCE).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn dripped_bytes_do_not_buy_time() {
    let house = House::open(quick()).await;
    let mut socket = TcpStream::connect(house.plain).await.unwrap();
    let began = tokio::time::Instant::now();
    for byte in connect_packet(Version::V311, "a-client-with-a-long-name-that-drips") {
        if socket.write_all(&[byte]).await.is_err() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let mut heard = Vec::new();
    let _ = socket.read_to_end(&mut heard).await;
    assert!(heard.is_empty() && began.elapsed() >= quick().first_packet);
    house.told(Kind::ConnectRefused).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_packet_must_be_a_well_formed_connect() {
    let house = House::open(Limits::default()).await;
    let cases: [(&str, &[u8]); 5] = [
        ("PINGREQ", &[0xC0, 0]),
        ("a reserved type", &[0xF0, 0]),
        ("too long", &[0x10, 0xFF, 0xFF, 0xFF, 0x7F]),
        ("another protocol", b"\x10\x0d\x00\x04AMQP\x04\x02\x00\x3c\x00\x01a"),
        ("not UTF-8", b"\x10\x0d\x00\x04MQTT\x04\x02\x00\x3c\x00\x01\xFF"),
    ];
    for (what, bytes) in cases {
        house.recorder.clear();
        let heard = answer_to(house.plain, bytes).await;
        assert!(heard.is_empty() || heard[0] == 0x20, "{what}: {heard:?}");
        house.told(Kind::ConnectRefused).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_packet_that_never_ends_ends_the_link_and_others_are_served() {
    let house = House::open(quick()).await;
    let mut dripping = plain_client(&house, "dripping").await;
    let mut other = plain_client(&house, "other").await;
    dripping.write_all(&[0x30, 0x7F, 0, 1]).await.unwrap();
    let mut heard = Vec::new();
    tokio::time::timeout(PATIENCE, dripping.read_to_end(&mut heard)).await.expect("not closed").ok();
    other.write_all(&[0xC0, 0]).await.unwrap();
    assert!(matches!(receive(&mut other, Version::V311).await, Some(Packet::PingResp)));
    assert!(house.told(Kind::Disconnected).await[0].contains("dripping"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subscriber_that_stops_reading_costs_itself_only() {
    let limits = Limits { write_stall: Duration::from_millis(500), ..Limits::default() };
    let house = House::open(limits).await;
    let mut deaf = plain_client(&house, "deaf").await;
    // SUBSCRIBE to `t` with QoS 0.
    deaf.write_all(b"\x82\x06\x00\x01\x00\x01t\x00").await.unwrap();
    assert!(matches!(receive(&mut deaf, Version::V311).await, Some(Packet::SubAck(_))));
    let mut loud = plain_client(&house, "loud").await;
    let mut publish = vec![0x30, 0x83, 0x80, 0x04, 0, 1, b't'];
    publish.resize(publish.len() + 65_536, b'x');
    for _ in 0..300 {
        loud.write_all(&publish).await.unwrap();
    }
    loud.write_all(&[0xC0, 0]).await.unwrap();
    assert!(matches!(receive(&mut loud, Version::V311).await, Some(Packet::PingResp)));
    let ended = house.told(Kind::Disconnected).await;
    assert!(ended[0].contains("deaf"), "{ended:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn beyond_the_limit_sockets_are_closed_and_counted() {
    let house = House::open(Limits { connections: 2, ..Limits::default() }).await;
    let first = plain_client(&house, "first").await;
    let _second = plain_client(&house, "second").await;
    assert!(answer_to(house.plain, &[]).await.is_empty());
    house.told(Kind::ConnectionRefusedLimit).await;
    drop(first);
    let freed = async {
        while house.gateway.open() > 1 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, freed).await.unwrap();
    plain_client(&house, "third").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_silent_sockets_does_not_keep_a_device_out() {
    let house = House::open(Limits { handshakes_in_flight: 2, ..Limits::default() }).await;
    let device = Device::new(&rcgen::PKCS_ECDSA_P256_SHA256);
    house.register(&device, CertificateStatus::Active).await;
    let mut flood = Vec::new();
    for _ in 0..300 {
        let mut socket = TcpStream::connect(house.mqtt).await.unwrap();
        socket.write_all(&[22, 3, 1, 2, 0, 1]).await.unwrap();
        flood.push(socket);
    }
    let answer = house.connect(house.mqtt, Some(&device), &[], DEFAULT_VERSIONS).await;
    assert!(matches!(answer, Some(Packet::ConnAck(_))), "{answer:?}");
}

/// Answers whatever it must to have the server wait for it in the middle of the handshake: a whole ClientHello, and
/// then nothing.
async fn half_a_handshake(house: &House) -> TcpStream {
    use std::io::Cursor;
    let config = house.connector(None, &[], DEFAULT_VERSIONS).config().clone();
    let name = rustls::pki_types::ServerName::try_from("localhost").unwrap();
    let mut client = rustls::ClientConnection::new(config, name).unwrap();
    let mut hello = Cursor::new(Vec::new());
    client.write_tls(&mut hello).unwrap();
    let mut socket = TcpStream::connect(house.mqtt).await.unwrap();
    socket.write_all(&hello.into_inner()).await.unwrap();
    let mut first = [0];
    socket.read_exact(&mut first).await.unwrap();
    assert_eq!(first, [22], "the server answered with its handshake");
    socket
}

#[tokio::test(flavor = "multi_thread")]
async fn peers_that_stop_in_the_middle_of_a_handshake_do_not_keep_a_device_out() {
    let house = House::open(Limits { handshakes_in_flight: 2, ..Limits::default() }).await;
    let device = Device::new(&rcgen::PKCS_ECDSA_P256_SHA256);
    house.register(&device, CertificateStatus::Active).await;
    let mut stalled = Vec::new();
    for _ in 0..2 {
        stalled.push(half_a_handshake(&house).await);
    }
    let connecting = house.connect(house.mqtt, Some(&device), &[], DEFAULT_VERSIONS);
    let answer = tokio::time::timeout(Duration::from_secs(3), connecting).await.expect("kept out");
    assert!(matches!(answer, Some(Packet::ConnAck(_))), "{answer:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn stopping_says_goodbye_to_clients_and_closes_the_doors() {
    let house = House::open(Limits::default()).await;
    let mut socket = TcpStream::connect(house.plain).await.unwrap();
    socket.write_all(&connect_packet(Version::V5, "five")).await.unwrap();
    assert!(matches!(receive(&mut socket, Version::V5).await, Some(Packet::ConnAck(_))));
    let mut undecided = TcpStream::connect(house.plain).await.unwrap();

    house.gateway.close_doors();
    house.broker.shutdown(house.clock.now());
    let answer = receive(&mut socket, Version::V5).await;
    let Some(Packet::Disconnect(disconnect)) = &answer else { panic!("{answer:?}") };
    assert_eq!(disconnect.code.code(), 0x8B);
    drop(socket);
    let mut heard = Vec::new();
    undecided.read_to_end(&mut heard).await.ok();
    assert!(heard.is_empty());
    drop(undecided);
    assert_eq!(house.gateway.drain(PATIENCE).await, 0);
    assert!(TcpStream::connect(house.plain).await.is_err(), "the door is closed");
}
