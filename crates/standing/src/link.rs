//! What the socket side tells the broker, and what it is told.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use crate::{Bearer, Grant, Granted};
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

/// Who publishes over HTTP.
#[derive(Clone, Debug)]
pub struct HttpOrigin {
    /// The authenticated caller.
    pub credential: Credential,
    /// Its address.
    pub peer: SocketAddr,
    /// The server name that it asked for.
    pub server_name: Option<Arc<str>>,
}

impl HttpOrigin {
    /// What it is by its credential.
    pub fn bearer(&self) -> Bearer {
        Bearer {
            principal: self.credential.principal.clone(),
            certificate: self.credential.certificate.clone(),
            client_id: None,
            peer: self.peer,
            server_name: self.server_name.clone(),
            grant: self.credential.grant.clone().map(Granted::new),
        }
    }
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
    /// As lifecycle events and logs name it.
    pub fn reason(&self) -> DisconnectReason {
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
