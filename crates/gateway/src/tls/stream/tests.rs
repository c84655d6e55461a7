//! The stream against rustls's buffered client, over an in-memory link that cuts everything into pieces.

use rustls::pki_types::{PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion};
use tokio::io::{DuplexStream, duplex};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream as Client;

use super::*;

type Version = &'static SupportedProtocolVersion;

const VERSIONS: [Version; 2] = [&rustls::version::TLS12, &rustls::version::TLS13];

fn configs(version: Version) -> (Arc<ServerConfig>, Arc<ClientConfig>) {
    let own = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let key = PrivateKeyDer::try_from(own.signing_key.serialize_der()).unwrap();
    let mut server = ServerConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(&[version])
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![own.cert.der().clone()], key)
        .unwrap();
    // As the doors have it; and a client that did not read them yet would hold up the end of the handshake.
    server.send_tls13_tickets = 0;
    let mut roots = RootCertStore::empty();
    roots.add(own.cert.der().clone()).unwrap();
    let client = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[version])
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    (Arc::new(server), Arc::new(client))
}

/// Both ends of a connection over a link that takes `room` bytes at a time.
async fn pair(version: Version, room: usize) -> (TlsStream<DuplexStream>, Client<DuplexStream>) {
    let (server, client) = configs(version);
    let (mut near, far) = duplex(room);
    let name = ServerName::try_from("localhost").unwrap();
    let connecting = tokio::spawn(TlsConnector::from(client).connect(name, far));
    let (accepted, incoming) = hello(&mut near).await.unwrap();
    assert_eq!(accepted.client_hello().server_name(), Some("localhost"));
    let stream = shake(near, incoming, server).await.unwrap();
    (stream, connecting.await.unwrap().unwrap())
}

fn holds_no_buffer(stream: &TlsStream<DuplexStream>) -> bool {
    [&stream.incoming, &stream.plain, &stream.outgoing].iter().all(|buffer| buffer.capacity() == 0)
}

/// Polls a read that has nothing to read, as an idle connection does.
async fn idle(stream: &mut TlsStream<DuplexStream>) {
    let mut room = [0; 16];
    let read = tokio::time::timeout(std::time::Duration::from_millis(20), stream.read(&mut room)).await;
    assert!(read.is_err(), "{read:?}");
}

#[tokio::test]
async fn what_is_said_arrives_both_ways_however_it_is_cut() {
    for (version, room) in
        VERSIONS.into_iter().flat_map(|version| [61, 4096, 100_000].map(|room| (version, room)))
    {
        let (mut stream, client) = pair(version, room).await;
        let said: Vec<u8> = (0..150_000u32).map(|number| number as u8).collect();
        let (mut reads, mut writes) = tokio::io::split(client);
        let (to_server, to_client) = (said.clone(), said.clone());
        let writing = tokio::spawn(async move {
            writes.write_all(&to_server).await.unwrap();
            writes.flush().await.unwrap();
            writes
        });
        let reading = tokio::spawn(async move {
            let mut heard = vec![0; to_client.len()];
            reads.read_exact(&mut heard).await.unwrap();
            assert_eq!(heard, to_client);
            reads
        });
        let (mut near_reads, mut near_writes) = tokio::io::split(stream);
        let ours = said.clone();
        let near = tokio::spawn(async move {
            near_writes.write_all(&ours).await.unwrap();
            near_writes.flush().await.unwrap();
            near_writes
        });
        let mut heard = vec![0; said.len()];
        near_reads.read_exact(&mut heard).await.unwrap();
        assert_eq!(heard, said);
        stream = near_reads.unsplit(near.await.unwrap());
        let _client = reading.await.unwrap().unsplit(writing.await.unwrap());
        idle(&mut stream).await;
        assert!(holds_no_buffer(&stream), "an idle connection keeps no buffer");
    }
}

#[tokio::test]
async fn a_key_update_is_answered_and_the_talk_goes_on() {
    let (mut stream, mut client) = pair(VERSIONS[1], 4096).await;
    for round in 0..3u8 {
        client.get_mut().1.refresh_traffic_keys().unwrap();
        client.write_all(&[round; 100]).await.unwrap();
        client.flush().await.unwrap();
        let mut heard = [0; 100];
        stream.read_exact(&mut heard).await.unwrap();
        stream.write_all(&heard).await.unwrap();
        stream.flush().await.unwrap();
        client.read_exact(&mut heard).await.unwrap();
        assert_eq!(heard, [round; 100]);
    }
}

#[tokio::test]
async fn goodbye_is_an_end_and_a_cut_wire_an_error() {
    for version in VERSIONS {
        let (mut stream, mut client) = pair(version, 4096).await;
        client.write_all(b"last").await.unwrap();
        client.shutdown().await.unwrap();
        let mut heard = Vec::new();
        stream.read_to_end(&mut heard).await.unwrap();
        assert_eq!(heard, b"last");
        stream.write_all(b"our last").await.unwrap();
        stream.shutdown().await.unwrap();
        heard.clear();
        client.read_to_end(&mut heard).await.unwrap();
        assert_eq!(heard, b"our last");

        let (mut stream, client) = pair(version, 4096).await;
        drop(client);
        let error = stream.read(&mut [0; 4]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    }
}

#[tokio::test]
async fn a_spoilt_record_is_an_error_with_an_alert() {
    let (mut stream, client) = pair(VERSIONS[1], 4096).await;
    let (mut far, _tls) = client.into_inner();
    far.write_all(&[23, 3, 3, 0, 20, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19])
        .await
        .unwrap();
    let error = stream.read(&mut [0; 4]).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::InvalidData);
    assert!(error.get_ref().is_some_and(|inner| inner.is::<rustls::Error>()), "{error}");
    assert!(stream.write_all(b"more").await.is_err());
    let mut alert = [0; 5];
    far.read_exact(&mut alert).await.unwrap();
    assert_eq!(alert[0], 23, "alerts of TLS 1.3 are sealed");
}

#[tokio::test]
async fn what_is_no_client_hello_gets_an_alert() {
    let (mut near, mut far) = duplex(4096);
    far.write_all(b"\x10\x0d\x00\x04MQTT\x04\x02\x00\x3c\x00\x01a").await.unwrap();
    let error = hello(&mut near).await.unwrap_err();
    assert!(error.get_ref().is_some_and(|inner| inner.is::<rustls::Error>()), "{error}");
    let mut alert = [0; 7];
    far.read_exact(&mut alert).await.unwrap();
    assert_eq!(alert[..2], [21, 3]);
}

#[tokio::test]
async fn a_peer_that_leaves_is_an_end_of_file() {
    for said in [b"".as_slice(), b"\x16\x03\x01\x02\x00\x01"] {
        let (mut near, mut far) = duplex(4096);
        far.write_all(said).await.unwrap();
        drop(far);
        assert_eq!(hello(&mut near).await.unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    }
    let (server, client) = configs(VERSIONS[1]);
    let (mut near, far) = duplex(4096);
    let name = ServerName::try_from("localhost").unwrap();
    let connecting = tokio::spawn(TlsConnector::from(client).connect(name, far));
    let (_, incoming) = hello(&mut near).await.unwrap();
    connecting.abort();
    let error = shake(near, incoming, server).await.err().unwrap();
    assert!(error.get_ref().is_none(), "{error}");
}
