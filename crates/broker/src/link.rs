//! What the socket side tells the broker, and what it is told.

use std::fmt;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;

use dialect::{DisconnectReason, Fault};
use identity::{CertificateFacts, Principal, Timestamp};

/// The socket side of a connection.
#[derive(Clone, Debug)]
pub struct Link {
    /// The client's address.
    pub peer: SocketAddr,
    /// Our address.
    pub local: SocketAddr,
    /// The server name that the client asked for (SNI): `iot:DomainName` in policies.
    pub server_name: Option<Arc<str>>,
    /// `mqtt/tls`, `mqtt/plain`, ...: for people.
    pub transport: &'static str,
    /// When the connection ends at the latest, and by which fault.
    pub ends: Option<(Timestamp, Fault)>,
}

/// Whom the transport authenticated.
#[derive(Clone, Debug)]
pub struct Credential {
    /// Who it is.
    pub principal: Principal,
    /// What the certificate says, if it was one.
    pub certificate: Option<Arc<CertificateFacts>>,
    /// What a custom authorizer granted, if one was asked.
    pub grant: Option<Grant>,
}

impl Credential {
    /// Without a certificate and without a custom authorizer.
    pub fn of(principal: Principal) -> Self {
        Self { principal, certificate: None, grant: None }
    }
}

/// What a custom authorizer granted: policies, and for how long they are believed.
#[derive(Clone, Debug)]
pub struct Grant {
    /// The authorizer's name, for reasons.
    pub authorizer: Arc<str>,
    /// Its policies: the text and what it means.
    pub documents: Arc<[GrantedDocument]>,
    /// When the authorizer is to be asked again.
    pub refresh_at: Timestamp,
    /// Asks it again. Without one the grant is not renewed, and never ends by itself.
    pub renewal: Option<Arc<dyn Renewal>>,
}

/// One policy of a custom authorizer's answer.
#[derive(Clone, Debug)]
pub struct GrantedDocument {
    /// As it came: kept with a will, which must outlive the process.
    pub text: Arc<str>,
    /// What it means.
    pub document: Arc<policy::Document>,
}

/// The outcome of a renewal, some time.
pub type Renewing = Pin<Box<dyn Future<Output = Result<Grant, NotRenewed>> + Send>>;

/// Why there is no new grant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotRenewed {
    /// The authorizer does not vouch for the client any more, or cannot be asked: the connection ends.
    Refused(String),
    /// There was no room to ask. That says nothing of the client: it stays, and is asked about again, at most until the
    /// connection ends by its grant (`disconnectAfterInSeconds`).
    Busy(String),
}

/// Asks a custom authorizer again about a connection that it let in.
pub trait Renewal: Send + Sync + fmt::Debug {
    /// The new grant, or why there is none.
    fn renew(self: Arc<Self>, now: Timestamp) -> Renewing;
}

/// What the driver does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    /// Go on.
    Continue,
    /// Write what `poll_output` still gives, then close.
    Close,
}

/// How a link ended when it was not the broker that ended it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LinkEnd {
    /// The client closed its side.
    Eof,
    /// The client closed its WebSocket with a Close frame: it meant to.
    WebSocketClose,
    /// The socket failed; the operating system's words.
    Reset(String),
    /// The TLS layer failed.
    TlsError(String),
    /// The client took nothing for too long.
    WriteTimeout,
    /// This process is going down.
    ServerShutdown,
}

impl LinkEnd {
    pub(crate) fn reason(&self) -> DisconnectReason {
        match self {
            Self::ServerShutdown => DisconnectReason::ServerInitiatedDisconnect,
            Self::WebSocketClose => DisconnectReason::ClientInitiatedDisconnect,
            _ => DisconnectReason::ConnectionLost,
        }
    }
}

impl fmt::Display for LinkEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Eof => f.write_str("the client closed the connection without DISCONNECT"),
            Self::WebSocketClose => f.write_str("the client closed its WebSocket"),
            Self::Reset(error) => write!(f, "the network connection failed: {error}"),
            Self::TlsError(error) => write!(f, "TLS failed: {error}"),
            Self::WriteTimeout => f.write_str("the client took no data for too long"),
            Self::ServerShutdown => f.write_str("the server is going down"),
        }
    }
}
