//! Whose connection it is.

use std::net::SocketAddr;
use std::sync::Arc;

use identity::{CertificateFacts, ClientId, Principal};
use policy::ConnectionContext;

use crate::Granted;

/// What a connection is by its credential and client id, fixed while it lasts.
#[derive(Clone, Debug)]
pub struct Bearer {
    /// Whom the transport authenticated.
    pub principal: Principal,
    /// What its certificate says, if it has one.
    pub certificate: Option<Arc<CertificateFacts>>,
    /// None for a request over HTTP.
    pub client_id: Option<ClientId>,
    /// Its address; the unspecified one (0.0.0.0) where nobody is connected: then `aws:SourceIp` has no value.
    pub peer: SocketAddr,
    /// The server name that it asked for: `iot:DomainName` in policies.
    pub server_name: Option<Arc<str>>,
    /// What a custom authorizer granted, exchanged when it is asked again.
    pub grant: Option<Granted>,
}

impl Bearer {
    /// The values of policy variables, as far as they come from the connection itself.
    pub(crate) fn context(&self) -> ConnectionContext {
        ConnectionContext {
            client_id: self.client_id.clone(),
            source_ip: Some(self.peer.ip()).filter(|ip| !ip.is_unspecified()),
            domain_name: self.server_name.clone(),
            certificate: self.certificate.clone(),
            thing: None,
            is_attached: self.client_id.is_some().then_some(false),
            iam: None,
        }
    }
}
