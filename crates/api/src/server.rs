//! The listener: connections, their limits, and the end.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use access::Access;
use http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use identity::{Region, Timestamp};
use services::Services;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use crate::body::BodyLimits;
use crate::device::DeviceApi;
use crate::exchange::{Exchange, LetIn};
use crate::keys::AccessKeys;
use crate::operations::Dispatch;
use crate::own::OwnOperations;

/// The bounds of the server. Every one has a consequence for the peer.
#[derive(Clone, Copy, Debug)]
pub struct ServerLimits {
    /// Connections at a time. More wait in the listener's backlog.
    pub connections: usize,
    /// How long a request head may take, and how long a connection may idle. Then it is closed. Also how long a connection
    /// takes requests in all, until a signature has held.
    pub head_patience: Duration,
    /// Bytes of the buffer that a request head must fit in, roughly. More is answered with 431.
    pub head_bytes: usize,
    /// Headers of a request. More is answered with 431.
    pub headers: usize,
    /// The longest life of a connection. It ends after the response then under way.
    pub connection_age: Duration,
    /// How long a request that is under way when the time of its connection is over may take.
    pub grace: Duration,
    /// How long a connection may take to end when the server does.
    pub farewell: Duration,
    /// The bounds of a body.
    pub body: BodyLimits,
}

impl Default for ServerLimits {
    fn default() -> Self {
        Self {
            connections: 512,
            head_patience: Duration::from_secs(20),
            head_bytes: 32 * 1024,
            headers: 64,
            connection_age: Duration::from_secs(600),
            // Longer than any operation waits.
            grace: Duration::from_secs(30),
            farewell: Duration::from_secs(5),
            // A Publish has a quota of 128 KiB; a little more is read so that the service gives AWS's answer.
            body: BodyLimits {
                json_bytes: 512 * 1024,
                payload_bytes: 128 * 1024 + 4 * 1024,
                patience: Duration::from_secs(15),
            },
        }
    }
}

/// What an API server is made of.
pub struct ApiParts {
    /// What performs the operations.
    pub services: Arc<Services>,
    /// What performs those of IAM, ACM, authorizers and domains, and says what a caller may do.
    pub access: Arc<Access>,
    /// What can be done beside AWS's operations.
    pub own: OwnOperations,
    /// Who may call.
    pub keys: Arc<dyn AccessKeys>,
    /// Who is told.
    pub observers: events::Observers,
    /// The time that operations are told: the broker's.
    pub clock: Arc<dyn Fn() -> Timestamp + Send + Sync>,
    /// The time that signatures are held against, which others read off their clocks.
    pub wall: Arc<dyn Fn() -> Timestamp + Send + Sync>,
    /// Whether to refuse what a page in a browser may have sent: requests under a name that is not loopback's, or
    /// from another origin. For a server whose access key is known to everybody.
    pub guard_against_browsers: bool,
    /// The Region that requests must be signed for.
    pub region: Region,
    /// The bounds.
    pub limits: ServerLimits,
}

/// The REST API over HTTP/1.1.
pub struct ApiServer {
    exchange: Arc<Exchange>,
    limits: ServerLimits,
}

impl ApiServer {
    /// A server that is not listening yet.
    pub fn new(parts: ApiParts) -> Self {
        let exchange = Exchange {
            perform: Arc::new(Dispatch::new(parts.services, parts.access)),
            own: parts.own,
            keys: parts.keys,
            observers: parts.observers,
            clock: parts.clock,
            wall: parts.wall,
            guard_against_browsers: parts.guard_against_browsers,
            region: parts.region,
            limits: parts.limits.body,
        };
        Self::over(exchange, parts.limits)
    }

    /// What answers at the device endpoints.
    pub fn devices(&self) -> DeviceApi {
        DeviceApi(Arc::clone(&self.exchange))
    }

    /// A server whose operations are performed by anything.
    pub(crate) fn over(exchange: Exchange, limits: ServerLimits) -> Self {
        Self { exchange: Arc::new(exchange), limits }
    }

    /// Serves until `shutdown` is ready, then lets the requests under way finish for a bounded time.
    pub async fn serve(self, listener: TcpListener, shutdown: impl Future<Output = ()> + Send) {
        let room = Arc::new(Semaphore::new(self.limits.connections));
        let (stop, stopped) = watch::channel(());
        let mut connections = JoinSet::new();
        let mut shutdown = pin!(shutdown);
        loop {
            while connections.try_join_next().is_some() {}
            let accept = async {
                let seat = Arc::clone(&room).acquire_owned().await.map_err(io::Error::other)?;
                listener.accept().await.map(|(stream, peer)| (seat, stream, peer))
            };
            tokio::select! {
                () = &mut shutdown => break,
                accepted = accept => match accepted {
                    Ok((seat, stream, peer)) => {
                        let connection = connection(Arc::clone(&self.exchange), self.limits, stream, peer, stopped.clone());
                        connections.spawn(async move {
                            connection.await;
                            drop(seat);
                        });
                    }
                    // Out of file descriptors, most likely: the others must end first.
                    Err(_) => sleep(Duration::from_millis(50)).await,
                },
            }
        }
        drop(listener);
        drop(stop);
        let all = async { while connections.join_next().await.is_some() {} };
        let _ = timeout(self.limits.farewell, all).await;
    }
}

async fn connection(
    exchange: Arc<Exchange>,
    limits: ServerLimits,
    stream: TcpStream,
    peer: SocketAddr,
    mut stopped: watch::Receiver<()>,
) {
    let _ = stream.set_nodelay(true);
    let let_in = LetIn::default();
    let noted = let_in.clone();
    let answer = service_fn(move |mut request: Request<Incoming>| {
        let (exchange, noted) = (Arc::clone(&exchange), noted.clone());
        async move {
            request.extensions_mut().insert(noted);
            Ok::<_, Infallible>(exchange.answer(request, peer).await)
        }
    });
    let serving = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head_patience)
        .max_buf_size(limits.head_bytes)
        .max_headers(limits.headers)
        .serve_connection(TokioIo::new(stream), answer);
    let mut serving = pin!(serving);
    let grace = tokio::select! {
        // The peer's end of a broken conversation is not worth an event.
        _ = &mut serving => return,
        _ = stopped.changed() => limits.farewell,
        () = time_is_over(&limits, &let_in) => limits.grace,
    };
    serving.as_mut().graceful_shutdown();
    let _ = timeout(grace, serving).await;
}

/// Returns when no further request is taken. Whoever has not been let in has the time of one head for it, however many
/// requests are refused meanwhile: a client that has made a mistake may mend it, and a stranger does not keep its seat.
async fn time_is_over(limits: &ServerLimits, let_in: &LetIn) {
    let begun = Instant::now();
    sleep(limits.head_patience.min(limits.connection_age)).await;
    if let_in.is_so() {
        sleep_until(begun + limits.connection_age).await;
    }
}

#[cfg(test)]
mod tests;
