//! Endpoints: what a server name stands for. A domain configuration if one has the name, else the account's default
//! endpoint.
//!
//! Source: developer guide, *Domain configurations*, *Configurable endpoints*.

use std::collections::HashMap;
use std::sync::Arc;

use access::{Access, Domain};
use customauth::AuthorizerChoice;
use parking_lot::Mutex;
use registry::domain_configurations::{ApplicationProtocol, AuthenticationType, SecurityPolicy};
use store::Revision;

use crate::clock::Clock;
use crate::refusal::Refusal;
use crate::tls::{ServerIdentity, Shown};

/// Domains whose certificates are kept ready. The quota of domain configurations is 10; beyond this they are read again.
const MOST_READY: usize = 64;

/// The endpoint that a peer asked for.
pub(crate) struct Endpoint {
    /// Its name, if the server has it: `iot:DomainName` in policies.
    pub(crate) name: Option<Arc<str>>,
    pub(crate) authentication: AuthenticationType,
    pub(crate) protocol: ApplicationProtocol,
    pub(crate) policy: SecurityPolicy,
    /// Which custom authorizers may be asked.
    pub(crate) choice: AuthorizerChoice,
    /// The function that is asked about every client certificate.
    pub(crate) certificate_callback: Option<String>,
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
            policy: SecurityPolicy::Tls13And12,
            choice: AuthorizerChoice::default(),
            certificate_callback: None,
            shown,
        }
    }

    fn of(domain: Domain, shown: Arc<Shown>) -> Self {
        Self {
            name: Some(domain.domain_name.into()),
            authentication: domain.authentication_type,
            protocol: domain.application_protocol,
            policy: domain.security_policy,
            choice: AuthorizerChoice {
                // Without a default there is nothing to override.
                allow_override: domain
                    .authorizer
                    .allow_override
                    .unwrap_or(domain.authorizer.default.is_none()),
                default: domain.authorizer.default,
            },
            certificate_callback: domain.client_certificate_callback,
            shown,
        }
    }
}

/// The server certificates of domains, ready to be shown.
#[derive(Default)]
pub(crate) struct Domains(Mutex<HashMap<Box<str>, Ready>>);

/// A certificate that was read at some revision of its domain.
struct Ready {
    revision: Revision,
    shown: Arc<Shown>,
}

impl Domains {
    /// The endpoint of a server name; nothing if no domain configuration has it.
    ///
    /// # Errors
    /// The store does not answer, the domain is DISABLED, or its certificate cannot be used.
    pub(crate) async fn endpoint(
        &self,
        access: &Access,
        server_name: &str,
    ) -> Result<Option<Endpoint>, Refusal> {
        let found = access.domain(server_name).await.map_err(|error| Refusal::store_failed(&error))?;
        let Some(domain) = found else { return Ok(None) };
        if !domain.enabled {
            return Err(Refusal::disabled_domain(&domain.domain_name));
        }
        let shown = self.shown(access, &domain)?;
        Ok(Some(Endpoint::of(domain, shown)))
    }

    fn shown(&self, access: &Access, domain: &Domain) -> Result<Arc<Shown>, Refusal> {
        if let Some(ready) = self.0.lock().get(&*domain.domain_name)
            && ready.revision == domain.revision
        {
            return Ok(Arc::clone(&ready.shown));
        }
        let unusable = |why: &dyn std::fmt::Display| Refusal::unusable_certificate(&domain.domain_name, why);
        let identity = match &domain.server_certificate {
            Some(own) => ServerIdentity::from_pem(own.chain_pem.as_bytes(), own.private_key_pem.as_bytes()),
            None => {
                let issued = access.issue_domain_certificate(&domain.domain_name, Clock::wall());
                let (chain, key) = issued.map_err(|fault| unusable(&fault))?;
                ServerIdentity::from_pem(chain.as_bytes(), key.as_bytes())
            }
        };
        let shown = identity.and_then(Shown::new).map_err(|error| unusable(&error))?;
        let shown = Arc::new(shown);
        let mut ready = self.0.lock();
        if ready.len() >= MOST_READY {
            ready.clear();
        }
        let one = Ready { revision: domain.revision, shown: Arc::clone(&shown) };
        ready.insert(domain.domain_name.as_str().into(), one);
        Ok(shown)
    }
}
