//! Endpoints: what a server name stands for.

use std::sync::Arc;

use customauth::AuthorizerChoice;

use crate::tls::{SecurityPolicy, Shown};
use crate::way::{ApplicationProtocol, AuthenticationType};

/// The endpoint that a peer asked for.
pub(crate) struct Endpoint {
    /// Its name, if the server has it: `iot:DomainName` in policies.
    pub(crate) name: Option<Arc<str>>,
    pub(crate) authentication: AuthenticationType,
    pub(crate) protocol: ApplicationProtocol,
    pub(crate) policy: SecurityPolicy,
    /// Which custom authorizers may be asked.
    pub(crate) choice: AuthorizerChoice,
    /// What it shows.
    pub(crate) shown: Arc<Shown>,
}

impl Endpoint {
    /// The account's default endpoint: also for peers that ask for no name, or for one that is not known.
    pub(crate) fn default_for(asked: Option<&str>, shown: Arc<Shown>) -> Self {
        Self {
            name: asked.and_then(|asked| shown.names.known(asked)),
            authentication: AuthenticationType::Default,
            protocol: ApplicationProtocol::Default,
            policy: SecurityPolicy::default(),
            choice: AuthorizerChoice::default(),
            shown,
        }
    }
}
