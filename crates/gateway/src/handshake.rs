//! From an accepted socket to a TLS stream whose peer holds the key of its certificate, if it has to have one.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;

use crate::door::Shared;
use crate::endpoint::Endpoint;
use crate::refusal::{Alert, Refusal};
use crate::tls::{self, Fit, TlsStream};
use crate::way::{self, Port, Way};

/// A finished handshake.
pub(crate) struct Shaken {
    pub(crate) stream: TlsStream<TcpStream>,
    pub(crate) way: Way,
    pub(crate) endpoint: Endpoint,
    /// Server Name Indication, whatever it was.
    pub(crate) asked: Option<Arc<str>>,
    /// The peer's certificates, DER, its own first; none on ways that ask for none.
    pub(crate) chain: Vec<Vec<u8>>,
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

/// Shakes hands. The caller bounds the time; `Shared::turns` bounds how many are computed at once, and nobody holds
/// a turn while it waits for its peer.
pub(crate) async fn shake_hands(
    shared: &Shared,
    mut socket: TcpStream,
    port: Port,
) -> Result<Shaken, Unshaken> {
    let (start, incoming) = match tls::hello(&mut socket).await {
        Ok(start) => start,
        Err(error) => return Err(silent_or_refused(&error)),
    };
    let hello = start.client_hello();
    let asked: Option<Arc<str>> = hello.server_name().map(Into::into);
    let offered: Vec<Vec<u8>> = hello.alpn().into_iter().flatten().map(<[u8]>::to_vec).collect();
    drop(start);
    let refused = |refusal| Unshaken { server_name: asked.clone(), refusal: Some(refusal) };
    let (endpoint, way) = match find_way(shared, asked.as_deref(), port, &offered).await {
        Ok(found) => found,
        Err(refusal) => {
            turn_away(socket, refusal.alert).await;
            return Err(refused(refusal));
        }
    };
    let asks_certificate = way.authentication.takes_certificate();
    let fit = Fit { policy: endpoint.policy, asks_certificate, alpn: way.alpn };
    let config = endpoint.shown.config(fit).map_err(|error| {
        refused(Refusal::unusable_certificate(endpoint.name.as_deref().unwrap_or("default"), &error))
    })?;
    let shaking = tls::shake(socket, incoming, config);
    let stream =
        in_turns(&shared.turns, shaking).await.map_err(|error| refused(Refusal::from_tls(&error)))?;
    let chain: Vec<Vec<u8>> =
        stream.peer_certificates().iter().map(|certificate| certificate.to_vec()).collect();
    if asks_certificate && chain.is_empty() {
        return Err(refused(Refusal::no_certificate()));
    }
    Ok(Shaken { stream, way, endpoint, asked, chain })
}

async fn find_way(
    shared: &Shared,
    asked: Option<&str>,
    port: Port,
    offered: &[Vec<u8>],
) -> Result<(Endpoint, Way), Refusal> {
    let endpoint = shared.endpoint(asked).await?;
    let offered: Vec<&[u8]> = offered.iter().map(Vec::as_slice).collect();
    let way = way::choose(port, &offered, endpoint.terms.authentication, endpoint.terms.protocol)?;
    Ok((endpoint, way))
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

/// Ends a handshake that has not begun by a fatal alert, as it goes out before any key exists.
async fn turn_away(mut socket: TcpStream, alert: Alert) {
    let _ = socket.write_all(&[21, 3, 3, 0, 2, 2, alert.number()]).await;
    let _ = socket.shutdown().await;
}
