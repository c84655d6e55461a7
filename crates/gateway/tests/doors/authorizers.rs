//! Custom authorizers on a real connection, asked again after `refreshAfterInSeconds` by a clock that the test moves.
//!
//! Source: developer guide, *Custom authentication*: a failure of the refresh ends the connection.

use std::time::Duration;

use events::Kind;
use identity::Timestamp;
use mqtt::{Packet, ReasonCode, Version};
use rustls::DEFAULT_VERSIONS;
use rustls::pki_types::ServerName;
use thingcore_gateway::Limits;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use super::house::{ALLOW_ALL, House, connect_packet, receive};

const REFRESH: Duration = Duration::from_secs(300);

fn answer(is_authenticated: bool, principal: &str) -> String {
    serde_json::json!({
        "isAuthenticated": is_authenticated, "principalId": principal, "policyDocuments": [ALLOW_ALL],
        "refreshAfterInSeconds": REFRESH.as_secs(), "disconnectAfterInSeconds": 86400,
    })
    .to_string()
}

/// A client that the default authorizer let in.
async fn enter(house: &House) -> TlsStream<TcpStream> {
    house.set_default_authorizer("door").await;
    *house.function.0.lock() = answer(true, "somebody");
    let socket = TcpStream::connect(house.tls).await.unwrap();
    let connector = house.connector(None, &["mqtt"], DEFAULT_VERSIONS);
    let mut stream = connector.connect(ServerName::try_from("localhost").unwrap(), socket).await.unwrap();
    stream.write_all(&connect_packet(Version::V5, "device")).await.unwrap();
    let Some(Packet::ConnAck(connack)) = receive(&mut stream, Version::V5).await else {
        panic!("no CONNACK")
    };
    assert_eq!(connack.code, ReasonCode::Success);
    stream
}

/// The names of the authorizers that were asked since this was asked last.
fn asked(house: &House) -> Vec<String> {
    let arns = std::mem::take(&mut *house.function.1.lock());
    arns.into_iter().map(|arn| arn.rsplit(':').next().unwrap().to_owned()).collect()
}

/// Asks again about whoever is due at a moment; how many that were.
async fn renew(house: &House, at: Timestamp) -> usize {
    let due = house.broker.due_renewals(at);
    let count = due.len();
    for one in due {
        house.broker.renew(one, &move || at).await;
    }
    count
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_stays_while_its_authorizer_lets_the_same_client_in() {
    let house = House::open(Limits::default()).await;
    let mut client = enter(&house).await;
    let first = house.clock.now() + REFRESH;
    assert_eq!(renew(&house, Timestamp(first.0 - 60_000)).await, 0);
    assert_eq!(renew(&house, first).await, 1);
    assert_eq!(renew(&house, first).await, 0);
    assert_eq!(renew(&house, first + REFRESH).await, 1);
    let ping = [0xC0, 0];
    client.write_all(&ping).await.unwrap();
    assert!(matches!(receive(&mut client, Version::V5).await, Some(Packet::PingResp)));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_authorizer_of_the_first_time_is_asked_again_though_another_is_the_default() {
    let house = House::open(Limits::default()).await;
    let mut client = enter(&house).await;
    house.set_default_authorizer("other").await;
    assert_eq!(renew(&house, house.clock.now() + REFRESH).await, 1);
    assert_eq!(asked(&house), ["door", "door"]);
    client.write_all(&[0xC0, 0]).await.unwrap();
    assert!(matches!(receive(&mut client, Version::V5).await, Some(Packet::PingResp)));
}

/// The account's rate counts before a function is invoked.
#[tokio::test(flavor = "multi_thread")]
async fn no_function_is_asked_about_a_connect_beyond_the_accounts_rate() {
    let mut dialect = dialect::Dialect::aws();
    dialect.set_profile(dialect::QuotaProfile::Unlimited);
    dialect.limits_mut().connects_per_account = dialect::Rate::per_second(1);
    let house = House::open_with(Limits::default(), dialect).await;
    house.set_default_authorizer("door").await;
    *house.function.0.lock() = answer(true, "somebody");
    let mut streams = Vec::new();
    for _ in 0..8 {
        let socket = TcpStream::connect(house.tls).await.unwrap();
        let connector = house.connector(None, &["mqtt"], DEFAULT_VERSIONS);
        streams.push(connector.connect(ServerName::try_from("localhost").unwrap(), socket).await.unwrap());
    }
    let (mut let_in, mut turned_away) = (0, 0);
    for (number, stream) in streams.iter_mut().enumerate() {
        stream.write_all(&connect_packet(Version::V5, &format!("device{number}"))).await.unwrap();
    }
    for stream in &mut streams {
        let Some(Packet::ConnAck(connack)) = receive(stream, Version::V5).await else { panic!("no CONNACK") };
        match connack.code {
            ReasonCode::Success => let_in += 1,
            code => {
                assert_eq!(code, ReasonCode::QuotaExceeded);
                turned_away += 1;
            }
        }
    }
    assert!(let_in > 0 && turned_away > 0, "{let_in} and {turned_away}");
    assert_eq!(asked(&house).len(), let_in);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_ends_when_its_authorizer_refuses_or_names_somebody_else() {
    for (later, why) in [
        (answer(false, "somebody"), "isAuthenticated is false"),
        (answer(true, "other"), "principalId other after somebody"),
        ("no JSON".to_owned(), "door"),
    ] {
        let house = House::open(Limits::default()).await;
        let mut client = enter(&house).await;
        *house.function.0.lock() = later;
        assert_eq!(renew(&house, house.clock.now() + REFRESH).await, 1);
        let Some(Packet::Disconnect(end)) = receive(&mut client, Version::V5).await else {
            panic!("it goes on")
        };
        assert_eq!(end.code, ReasonCode::NotAuthorized);
        let text = house.told(Kind::Disconnected).await.remove(0);
        assert!(text.contains("CUSTOMAUTH_TTL_EXPIRATION") && text.contains(why), "{text}");
    }
}
