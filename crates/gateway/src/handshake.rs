//! From an accepted socket to a TLS stream whose peer holds the key of its certificate.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use rustls::ServerConfig;
use rustls::server::{Acceptor, ClientHello};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio_rustls::LazyConfigAcceptor;
use tokio_rustls::server::TlsStream;

use crate::refusal::Refusal;
use crate::tls::{ALPN_MQTT_X509, TlsConfigs};

/// Bytes that rustls may hold unsent for one peer: what a stalled write is measured by.
const SEND_BUFFER: usize = 16 * 1024;

/// A fatal TLS alert `no_application_protocol`, as it goes out before any key exists.
const ALERT_NO_APPLICATION_PROTOCOL: [u8; 7] = [21, 3, 3, 0, 2, 2, 120];

/// Which protocols a TLS door leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocols {
    /// 8883: MQTT whatever the peer offers.
    MqttOnly,
    /// 443: the offer decides.
    ByAlpn,
}

/// A finished handshake.
pub(crate) struct Shaken {
    pub(crate) stream: TlsStream<TcpStream>,
    /// Server Name Indication.
    pub(crate) server_name: Option<Arc<str>>,
    /// The peer's own certificate, DER.
    pub(crate) leaf: Vec<u8>,
}

/// What came of it when it did not finish: nothing worth a word (a probe that said nothing), or a refusal.
pub(crate) struct Unshaken {
    pub(crate) server_name: Option<Arc<str>>,
    pub(crate) refusal: Option<Refusal>,
}

impl From<Refusal> for Unshaken {
    fn from(refusal: Refusal) -> Self {
        Self { server_name: None, refusal: Some(refusal) }
    }
}

/// Shakes hands. The caller bounds the time; `turns` bounds how many are computed at once, and nobody holds
/// a turn while it waits for its peer.
pub(crate) async fn shake_hands(
    socket: TcpStream,
    protocols: Protocols,
    configs: &TlsConfigs,
    turns: &Semaphore,
) -> Result<Shaken, Unshaken> {
    let start = match LazyConfigAcceptor::new(Acceptor::default(), socket).await {
        Ok(start) => start,
        Err(error) => return Err(silent_or_refused(&error)),
    };
    let hello = start.client_hello();
    let server_name: Option<Arc<str>> = hello.server_name().map(Into::into);
    let refused = |refusal| Unshaken { server_name: server_name.clone(), refusal: Some(refusal) };
    let config = match choose(&hello, protocols, configs) {
        Ok(config) => config,
        Err(refusal) => {
            turn_away(start.io).await;
            return Err(refused(refusal));
        }
    };
    let shaking = start.into_stream_with(config, |tls| tls.set_buffer_limit(Some(SEND_BUFFER)));
    let stream = in_turns(turns, shaking).await.map_err(|error| refused(Refusal::from_tls(&error)))?;
    let certificates = stream.get_ref().1.peer_certificates();
    let Some(leaf) = certificates.and_then(|chain| chain.first()).map(|leaf| leaf.to_vec()) else {
        return Err(refused(Refusal::new("NOT_AUTHENTICATED", "the peer presented no client certificate")));
    };
    Ok(Shaken { stream, server_name, leaf })
}

/// Takes a turn for each step of `work`, and gives it back when the step has to wait for something else: a peer that
/// says nothing more costs nobody else a turn.
async fn in_turns<W: Future>(turns: &Semaphore, work: W) -> W::Output {
    let mut work = pin!(work);
    let mut turn = pin!(turns.acquire());
    poll_fn(|cx| {
        // The semaphore is never closed.
        let Poll::Ready(_turn) = turn.as_mut().poll(cx) else { return Poll::Pending };
        turn.set(turns.acquire());
        work.as_mut().poll(cx)
    })
    .await
}

/// A health probe opens and closes without a byte: that is no failed handshake.
fn silent_or_refused(error: &io::Error) -> Unshaken {
    let said_something = error.kind() != io::ErrorKind::UnexpectedEof;
    Unshaken { server_name: None, refusal: said_something.then(|| Refusal::from_tls(error)) }
}

fn choose(
    hello: &ClientHello<'_>,
    protocols: Protocols,
    configs: &TlsConfigs,
) -> Result<Arc<ServerConfig>, Refusal> {
    let offered: Vec<&[u8]> = hello.alpn().into_iter().flatten().collect();
    if offered.contains(&ALPN_MQTT_X509) {
        return Ok(Arc::clone(&configs.mqtt_x509));
    }
    match protocols {
        Protocols::MqttOnly => Ok(Arc::clone(&configs.silent)),
        Protocols::ByAlpn => Err(Refusal::door_not_built(&offer_text(&offered))),
    }
}

fn offer_text(offered: &[&[u8]]) -> String {
    const SHOWN: usize = 5;
    if offered.is_empty() {
        return "no ALPN protocol".to_owned();
    }
    let names: Vec<_> = offered.iter().take(SHOWN).map(|name| name.escape_ascii().to_string()).collect();
    format!("ALPN {}", names.join(", "))
}

async fn turn_away(mut socket: TcpStream) {
    let _ = socket.write_all(&ALERT_NO_APPLICATION_PROTOCOL).await;
    let _ = socket.shutdown().await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_offer_is_shown_safely_and_briefly() {
        assert_eq!(offer_text(&[]), "no ALPN protocol");
        assert_eq!(offer_text(&[b"mqtt".as_slice(), b"h2\n"]), "ALPN mqtt, h2\\n");
        assert_eq!(offer_text(&[b"a".as_slice(); 9]), "ALPN a, a, a, a, a");
    }
}
