//! Listeners: accept, count, hand each socket to its own task; stop.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use access::Access;
use arc_swap::ArcSwap;
use broker::Broker;
use events::Observers;
use services::Services;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};

use crate::budget::{Place, Places};
use crate::clock::Clock;
use crate::converse;
use crate::endpoint::{Domains, Endpoint};
use crate::http::Requests;
use crate::limits::Limits;
use crate::refusal::Refusal;
use crate::report;
use crate::tls::{ServerIdentity, Shown, UnusableServerCertificate};

/// How long the accept loop rests when the system has no descriptor or memory for another socket.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

/// What a gateway is made of.
pub struct GatewayParts {
    /// Where connections go.
    pub broker: Broker,
    /// Who hears of what happens at the doors.
    pub observers: Observers,
    /// The process's clock.
    pub clock: Clock,
    /// What a peer may cost.
    pub limits: Limits,
    /// What the TLS doors show.
    pub server: ServerIdentity,
    /// Who knows the registry: certificates, and what is done about new ones.
    pub services: Arc<Services>,
    /// Who knows the endpoints, the authorizers and who signs.
    pub access: Arc<Access>,
    /// Who answers HTTPS requests.
    pub requests: Arc<dyn Requests>,
    /// Whether to refuse a WebSocket that a page of elsewhere may have asked for: by a host name or from an origin that
    /// is not loopback's. For a server whose access key is known to everybody.
    pub guard_against_browsers: bool,
}

/// A kind of listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Door {
    /// MQTT over TLS with a client certificate: AWS's port 8883.
    Mqtt,
    /// AWS's port 443: the ALPN protocol decides between MQTT with a client certificate (`x-amzn-mqtt-ca`) or a custom
    /// authorizer (`mqtt`), HTTPS with a client certificate (`x-amzn-http-ca`), and, without any, WebSocket and HTTPS.
    Tls,
    /// HTTPS with a client certificate: AWS's port 8443.
    Https,
    /// MQTT without TLS, for tests on the same machine. Peers from elsewhere are closed at once.
    Plain {
        /// The name under which its clients are known to logs and events.
        principal: Arc<str>,
    },
}

impl Door {
    /// The door's name in events and in the ready file.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Mqtt => "mqtt",
            Self::Tls => "tls",
            Self::Https => "https",
            Self::Plain { .. } => "plain",
        }
    }
}

/// All doors of one broker. Cheap to clone.
#[derive(Clone)]
pub struct Gateway {
    pub(crate) shared: Arc<Shared>,
}

pub(crate) struct Shared {
    pub(crate) broker: Broker,
    pub(crate) observers: Observers,
    pub(crate) clock: Clock,
    pub(crate) limits: Arc<Limits>,
    pub(crate) services: Arc<Services>,
    pub(crate) access: Arc<Access>,
    pub(crate) requests: Arc<dyn Requests>,
    pub(crate) guard_against_browsers: bool,
    shown: ArcSwap<Shown>,
    domains: Domains,
    pub(crate) turns: Semaphore,
    places: Places,
    closing: watch::Sender<bool>,
}

impl Shared {
    /// Returns when the doors close.
    pub(crate) async fn closing(&self) {
        let _ = self.closing.subscribe().wait_for(|closing| *closing).await;
    }
}

impl Shared {
    /// The endpoint that a peer asked for by name.
    pub(crate) async fn endpoint(&self, asked: Option<&str>) -> Result<Endpoint, Refusal> {
        if let Some(name) = asked
            && let Some(endpoint) = self.domains.endpoint(&self.access, name).await?
        {
            return Ok(endpoint);
        }
        Ok(Endpoint::default_for(asked, self.access.usual_security_policy(), self.shown.load_full()))
    }
}

impl Gateway {
    /// Fails if the server certificate does not fit its key.
    pub fn new(parts: GatewayParts) -> Result<Self, UnusableServerCertificate> {
        let shared = Shared {
            broker: parts.broker,
            observers: parts.observers,
            clock: parts.clock,
            services: parts.services,
            access: parts.access,
            requests: parts.requests,
            guard_against_browsers: parts.guard_against_browsers,
            shown: ArcSwap::from_pointee(Shown::new(parts.server)?),
            domains: Domains::default(),
            turns: Semaphore::new(parts.limits.handshakes_in_flight.max(1)),
            places: Places::new(parts.limits.connections),
            limits: Arc::new(parts.limits),
            closing: watch::channel(false).0,
        };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// Shows another server certificate from now on. Connections that are there keep theirs.
    ///
    /// # Errors
    /// It does not fit its key: the one before stays in service.
    pub fn show(&self, server: ServerIdentity) -> Result<(), UnusableServerCertificate> {
        self.shared.shown.store(Arc::new(Shown::new(server)?));
        Ok(())
    }

    /// Accepts on `listener` until [`Self::close_doors`].
    pub async fn serve(&self, door: Door, listener: TcpListener) {
        let door = Arc::new(door);
        if let Ok(address) = listener.local_addr() {
            report::listening(&self.shared, &door, address);
        }
        let mut exhausted = false;
        loop {
            let accepted = tokio::select! {
                biased;
                () = self.shared.closing() => return,
                accepted = listener.accept() => accepted,
            };
            match accepted {
                Ok((socket, peer)) => {
                    exhausted = false;
                    self.admit(&door, socket, peer);
                }
                Err(error) if is_of_the_peer(&error) => {}
                Err(error) => {
                    if !exhausted {
                        report::accept_failed(&self.shared, &door, &error);
                    }
                    exhausted = true;
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    /// No more sockets are accepted, and those without a connection yet are closed.
    pub fn close_doors(&self) {
        self.shared.closing.send_replace(true);
    }

    /// Waits until every socket is closed, at most `limit`. How many are still open.
    pub async fn drain(&self, limit: Duration) -> usize {
        self.shared.places.empty(limit).await
    }

    /// Open sockets.
    pub fn open(&self) -> usize {
        self.shared.places.taken()
    }

    fn admit(&self, door: &Arc<Door>, socket: TcpStream, peer: SocketAddr) {
        let peer = canonical(peer);
        let Some(place) = self.shared.places.take() else {
            report::limit_reached(&self.shared, door, peer);
            return;
        };
        if matches!(**door, Door::Plain { .. }) && !peer.ip().is_loopback() {
            report::plain_from_elsewhere(&self.shared, peer);
            return;
        }
        let _ = socket.set_nodelay(true);
        let local = socket.local_addr().map_or(peer, canonical);
        let visitor = Visitor { door: Arc::clone(door), peer, local, place };
        let shared = Arc::clone(&self.shared);
        tokio::spawn(async move {
            tokio::select! {
                biased;
                () = converse::enter(&shared, socket, visitor) => {}
                () = shared.closing() => {}
            }
        });
    }
}

/// A socket on its way in.
pub(crate) struct Visitor {
    pub(crate) door: Arc<Door>,
    pub(crate) peer: SocketAddr,
    pub(crate) local: SocketAddr,
    pub(crate) place: Place,
}

/// The peer gave up between its SYN and our accept: nothing of ours is short.
fn is_of_the_peer(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionReset, Interrupted, PermissionDenied};
    matches!(error.kind(), ConnectionAborted | ConnectionReset | Interrupted | PermissionDenied)
}

/// An IPv4 peer of a dual-stack listener under its own address, which is what policies compare.
fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}
