//! Endpoints: what a server name stands for. A domain configuration if one has the name, else the account's default
//! endpoint.
//!
//! Source: developer guide, *Domain configurations*, *Configurable endpoints*.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use access::{Access, Domain};
use customauth::AuthorizerChoice;
use identity::Timestamp;
use parking_lot::Mutex;
use registry::domain_configurations::{ApplicationProtocol, AuthenticationType, SecurityPolicy};
use store::Revision;

use crate::clock::Clock;
use crate::refusal::Refusal;
use crate::tls::{ServerIdentity, Shown};

/// Domains whose certificates are kept ready. The quota of domain configurations is 10; beyond this they are read again.
const MOST_READY: usize = 64;

/// So long before its end a certificate that was issued here is issued anew: clients' clocks may be ahead.
const BEFORE_ITS_END: Duration = Duration::from_secs(30 * 24 * 3600);

/// The endpoint that a peer asked for.
pub(crate) struct Endpoint {
    /// Its name, if the server has it: `iot:DomainName` in policies.
    pub(crate) name: Option<Arc<str>>,
    pub(crate) terms: Terms,
    pub(crate) policy: SecurityPolicy,
    /// What it shows.
    pub(crate) shown: Arc<Shown>,
}

/// On what terms an endpoint lets peers in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Terms {
    pub(crate) authentication: AuthenticationType,
    pub(crate) protocol: ApplicationProtocol,
    /// Which custom authorizers may be asked.
    pub(crate) choice: AuthorizerChoice,
    /// The function that is asked about every client certificate.
    pub(crate) certificate_callback: Option<String>,
}

impl Endpoint {
    /// The account's default endpoint: also for peers that ask for no name, or for one that is not known.
    pub(crate) fn default_for(asked: Option<&str>, policy: SecurityPolicy, shown: Arc<Shown>) -> Self {
        Self {
            name: asked.and_then(|asked| shown.names.known(asked)),
            terms: Terms {
                authentication: AuthenticationType::Default,
                protocol: ApplicationProtocol::Default,
                choice: AuthorizerChoice::default(),
                certificate_callback: None,
            },
            policy,
            shown,
        }
    }

    fn of(domain: Domain, shown: Arc<Shown>) -> Self {
        Self {
            name: Some(domain.domain_name.into()),
            terms: Terms {
                authentication: domain.authentication_type,
                protocol: domain.application_protocol,
                choice: AuthorizerChoice {
                    // Without a default there is nothing to override.
                    allow_override: domain
                        .authorizer
                        .allow_override
                        .unwrap_or(domain.authorizer.default.is_none()),
                    default: domain.authorizer.default,
                },
                certificate_callback: domain.client_certificate_callback,
            },
            policy: domain.security_policy,
            shown,
        }
    }
}

/// The server certificates of domains, ready to be shown.
#[derive(Default)]
pub(crate) struct Domains(Mutex<HashMap<Box<str>, Ready>>);

/// A certificate that was read or issued at some revision of its domain.
struct Ready {
    revision: Revision,
    shown: Arc<Shown>,
    /// From when until when it may be shown, if it was issued here: then another takes its place.
    serves: Option<(Timestamp, Timestamp)>,
}

impl Ready {
    fn is_good(&self, revision: Revision, wall: Timestamp) -> bool {
        self.revision == revision && self.serves.is_none_or(|(from, until)| from <= wall && wall < until)
    }
}

/// A certificate that is valid in this time is shown until [`BEFORE_ITS_END`], or if it is a short one for two thirds of it.
fn serves((from, to): (Timestamp, Timestamp)) -> (Timestamp, Timestamp) {
    let spared = BEFORE_ITS_END.min(to.since(from) / 3);
    let spared = u64::try_from(spared.as_millis()).unwrap_or(u64::MAX);
    (from, Timestamp(to.millis().saturating_sub(spared)))
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
        let shown = self.shown(access, &domain, Clock::wall())?;
        Ok(Some(Endpoint::of(domain, shown)))
    }

    /// `wall` is compared with the validity of certificates that are issued here.
    fn shown(&self, access: &Access, domain: &Domain, wall: Timestamp) -> Result<Arc<Shown>, Refusal> {
        if let Some(ready) = self.0.lock().get(&*domain.domain_name)
            && ready.is_good(domain.revision, wall)
        {
            return Ok(Arc::clone(&ready.shown));
        }
        let unusable = |why: &dyn std::fmt::Display| Refusal::unusable_certificate(&domain.domain_name, why);
        let identity = match &domain.server_certificate {
            Some(own) => ServerIdentity::from_pem(own.chain_pem.as_bytes(), own.private_key_pem.as_bytes()),
            None => {
                let issued = access.issue_domain_certificate(&domain.domain_name, wall);
                let (chain, key) = issued.map_err(|fault| unusable(&fault))?;
                ServerIdentity::from_pem(chain.as_bytes(), key.as_bytes())
            }
        };
        let identity = identity.map_err(|error| unusable(&error))?;
        let is_own = domain.server_certificate.is_none();
        let serves = identity.validity().filter(|_| is_own).map(serves);
        let shown = Arc::new(Shown::new(identity).map_err(|error| unusable(&error))?);
        let mut ready = self.0.lock();
        if ready.len() >= MOST_READY {
            ready.clear();
        }
        let one = Ready { revision: domain.revision, shown: Arc::clone(&shown), serves };
        ready.insert(domain.domain_name.as_str().into(), one);
        Ok(shown)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: u64 = 24 * 3600 * 1000;
    const NOON: u64 = 1_800_000_000_000;

    #[test]
    fn a_certificate_of_our_own_is_shown_until_a_month_before_its_end() {
        let authority =
            pki::CertificateAuthority::generate("test", pki::Serial::from_random([7; 16]), Timestamp(NOON));
        let issued = authority
            .unwrap()
            .issue_server(&["a.example"], pki::Serial::from_random([8; 16]), Timestamp(NOON))
            .unwrap();
        let pem = issued.certificate.pem();
        let identity = ServerIdentity::from_pem(pem.as_bytes(), issued.private_key.pem().as_bytes()).unwrap();
        let (from, to) = identity.validity().unwrap();
        let shown = Arc::new(Shown::new(identity).unwrap());
        let ready = Ready { revision: Revision(5), shown, serves: Some(serves((from, to))) };
        let month = 30 * DAY;
        for (wall, good) in [
            (from.0 - 1, false),
            (from.0, true),
            (NOON + 700 * DAY, true),
            (to.0 - month - 1, true),
            (to.0 - month, false),
            (to.0 + DAY, false),
        ] {
            assert_eq!(ready.is_good(Revision(5), Timestamp(wall)), good, "{wall}");
        }
        assert!(!ready.is_good(Revision(6), Timestamp(NOON)));
        let bought = Ready { serves: None, ..ready };
        assert!(bought.is_good(Revision(5), Timestamp(to.0 + DAY)), "its owner renews it");
        assert_eq!(serves((Timestamp(0), Timestamp(3 * DAY))), (Timestamp(0), Timestamp(2 * DAY)));
    }
}
