//! Who came by HTTPS to a device endpoint: what the transport knows of a caller before a request is read.

use std::net::SocketAddr;
use std::sync::Arc;

use broker::Credential;

/// A connection of a device endpoint that speaks HTTPS.
#[derive(Debug)]
pub struct HttpsGuest {
    /// The caller's address.
    pub peer: SocketAddr,
    /// The endpoint that it asked for, if the server has it.
    pub server_name: Option<Arc<str>>,
    /// Who its client certificate says it is, on endpoints that ask for one.
    pub certificate: Option<Credential>,
    /// Whether a signature counts here.
    pub takes_signature: bool,
}
