//! HTTP connections of device endpoints: how long they live, and what changes of an endpoint mean to those that are open.

use std::net::SocketAddr;
use std::time::Duration;

use registry::CertificateStatus;
use rustls::DEFAULT_VERSIONS;
use rustls::pki_types::ServerName;
use thingcore_gateway::Limits;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::house::{Device, House, PATIENCE};

#[tokio::test(flavor = "multi_thread")]
async fn a_request_under_way_is_answered_when_its_connection_has_lived_its_time() {
    let limits = Limits {
        http_connection: Duration::from_millis(300),
        flush: Duration::from_millis(50),
        ..Limits::default()
    };
    let house = House::open(limits).await;
    let connector = house.connector(None, &["http/1.1"], DEFAULT_VERSIONS);
    let request = b"GET /slow HTTP/1.1\r\nhost: localhost\r\n\r\n";
    let heard = house.say(house.tls, connector, request).await;
    assert!(heard.starts_with("HTTP/1.1 200") && heard.ends_with("GET /slow by nobody"), "{heard}");
    // And it is the last one: the server closed, or `say` would have waited on.
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_is_never_answered_is_cut_at_last() {
    let limits = Limits {
        http_connection: Duration::from_millis(100),
        last_response: Duration::from_millis(100),
        ..Limits::default()
    };
    let house = House::open(limits).await;
    let connector = house.connector(None, &["http/1.1"], DEFAULT_VERSIONS);
    let request = b"GET /never HTTP/1.1\r\nhost: localhost\r\n\r\n";
    assert_eq!(house.say(house.tls, connector, request).await, "");
}

/// The time that a peer has until it is let in.
const TO_COME_IN: Duration = Duration::from_millis(600);

fn hasty() -> Limits {
    Limits { first_packet: TO_COME_IN, ..Limits::default() }
}

async fn dial(address: SocketAddr, connector: TlsConnector) -> TlsStream<TcpStream> {
    let socket = TcpStream::connect(address).await.unwrap();
    connector.connect(ServerName::try_from("localhost").unwrap(), socket).await.unwrap()
}

/// The status of the answer to a request, or nothing if the connection has ended.
async fn ask(stream: &mut TlsStream<TcpStream>, path: &str) -> Option<String> {
    let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n");
    stream.write_all(request.as_bytes()).await.ok()?;
    let mut heard = Vec::new();
    // The body is one line that the head announces, and comes with it or after it.
    while !heard.windows(4).any(|four| four == b" by ") {
        if timeout(PATIENCE, stream.read_buf(&mut heard)).await.expect("no answer").unwrap_or(0) == 0 {
            return None;
        }
    }
    Some(String::from_utf8_lossy(&heard).split(' ').nth(1).unwrap().to_owned())
}

/// Asks again and again: how often it was answered with this status until the connection ended, or `patience` was over.
async fn pester(stream: &mut TlsStream<TcpStream>, path: &str, status: &str, patience: Duration) -> usize {
    let began = Instant::now();
    let mut answered = 0;
    while began.elapsed() < patience
        && let Some(heard) = ask(stream, path).await
    {
        assert_eq!(heard, status);
        answered += 1;
        sleep(TO_COME_IN / 10).await;
    }
    answered
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_that_is_refused_again_and_again_does_not_keep_its_place() {
    let house = House::open(hasty()).await;
    for alpn in [&[][..], &["http/1.1"][..]] {
        let began = Instant::now();
        let mut stranger = dial(house.tls, house.connector(None, alpn, DEFAULT_VERSIONS)).await;
        // A mistake may be mended on the same connection.
        let answered = pester(&mut stranger, "/refused", "403", PATIENCE).await;
        assert!(answered > 1, "it was answered {answered} times");
        let stayed = began.elapsed();
        assert!(stayed >= TO_COME_IN && stayed < PATIENCE, "it stayed {stayed:?}");
        drop(stranger);
        assert_eq!(house.gateway.drain(PATIENCE).await, 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_has_been_let_in_stays_though_it_is_refused_later() {
    let house = House::open(hasty()).await;
    let mut signed = dial(house.tls, house.connector(None, &[], DEFAULT_VERSIONS)).await;
    assert_eq!(ask(&mut signed, "/refused").await.as_deref(), Some("403"));
    assert_eq!(ask(&mut signed, "/").await.as_deref(), Some("200"));
    pester(&mut signed, "/refused", "403", TO_COME_IN * 2).await;
    assert_eq!(ask(&mut signed, "/").await.as_deref(), Some("200"));

    let device = Device::new(&rcgen::PKCS_ECDSA_P256_SHA256);
    house.register(&device, CertificateStatus::Active).await;
    for (address, alpn) in [(house.https, &[][..]), (house.tls, &["x-amzn-http-ca"][..])] {
        let connector = house.connector(Some(&device), alpn, DEFAULT_VERSIONS);
        let mut certified = dial(address, connector).await;
        pester(&mut certified, "/refused", "403", TO_COME_IN * 2).await;
        assert_eq!(ask(&mut certified, "/refused").await.as_deref(), Some("403"));
    }
}

/// The time is over while a request is under way, and its answer is the last one: the peer, which talks on, must read it.
#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_is_read_before_the_connection_ends() {
    let house = House::open(hasty()).await;
    let mut stranger = dial(house.tls, house.connector(None, &[], DEFAULT_VERSIONS)).await;
    stranger.write_all(b"GET /refused/slow HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
    // The server reads no more of this than it needs for the head of a next request, which is not taken.
    stranger.write_all(&[b'x'; 100_000]).await.unwrap();
    sleep(Duration::from_millis(1500)).await;
    let mut heard = Vec::new();
    let reading = stranger.read_to_end(&mut heard);
    timeout(PATIENCE, reading).await.expect("not closed").unwrap();
    // A reset drops on some systems what was not read yet.
    assert!(stranger.get_ref().0.take_error().unwrap().is_none(), "closed by a reset");
    let heard = String::from_utf8_lossy(&heard);
    assert!(heard.starts_with("HTTP/1.1 403") && heard.ends_with("by nobody"), "{heard}");
    assert!(heard.contains("connection: close"), "{heard}");
}
