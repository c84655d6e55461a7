//! The TLS side of a door: server configuration by rustls over aws-lc, TLS 1.2 and 1.3.
//!
//! Source: developer guide, *Transport security in AWS IoT Core*. Two things differ from AWS on purpose of the library:
//! the CBC and plain-RSA suites of AWS's TLS 1.2 list do not exist here (every AWS device SDK offers GCM). And no
//! session is ever resumed: AWS does not support session tickets, and a resumed session would skip the verifier.

mod names;
mod security_policy;
mod stream;
mod verifier;

use std::fmt;
use std::sync::Arc;

use identity::Timestamp;
use parking_lot::Mutex;
use registry::domain_configurations::SecurityPolicy;
use rustls::ServerConfig;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::NoServerSessionStorage;
use rustls::sign::{CertifiedKey, SingleCertAndKey};

pub(crate) use names::Names;
pub(crate) use stream::{TlsStream, hello, shake};
pub(crate) use verifier::AnyCertificate;

/// The certificate chain that the broker shows, and its private key.
pub struct ServerIdentity {
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
}

/// The server's own certificate or key cannot be used.
#[derive(Debug)]
pub struct UnusableServerCertificate(String);

impl fmt::Display for UnusableServerCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the server certificate cannot be used: {}", self.0)
    }
}

impl std::error::Error for UnusableServerCertificate {}

impl ServerIdentity {
    /// Reads a PEM certificate chain (server certificate first) and a PEM private key (PKCS#8, PKCS#1 or SEC1).
    pub fn from_pem(chain: &[u8], key: &[u8]) -> Result<Self, UnusableServerCertificate> {
        let chain = CertificateDer::pem_slice_iter(chain)
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| UnusableServerCertificate(format!("certificate PEM: {error}")))?;
        if chain.is_empty() {
            return Err(UnusableServerCertificate("there is no certificate in its PEM file".into()));
        }
        let key = PrivateKeyDer::from_pem_slice(key)
            .map_err(|error| UnusableServerCertificate(format!("private key PEM: {error}")))?;
        Ok(Self { chain, key })
    }

    /// From when until when the server's own certificate is valid; nothing if it cannot be read.
    pub(crate) fn validity(&self) -> Option<(Timestamp, Timestamp)> {
        let facts = pki::facts(self.chain.first()?).ok()?;
        Some((facts.not_before, facts.not_after))
    }
}

/// What a ServerConfig is made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fit {
    pub(crate) policy: SecurityPolicy,
    /// A client certificate is asked for, and needed.
    pub(crate) asks_certificate: bool,
    /// The ALPN protocol that is confirmed.
    pub(crate) alpn: Option<&'static [u8]>,
}

/// A server certificate in service, and the configurations that were made for it so far: as many as there are kinds
/// of [`Fit`], a few dozen.
pub(crate) struct Shown {
    /// The names that a ClientHello may ask for.
    pub(crate) names: Names,
    resolver: Arc<SingleCertAndKey>,
    provider: Arc<CryptoProvider>,
    made: Mutex<Vec<(Fit, Arc<ServerConfig>)>>,
}

impl Shown {
    pub(crate) fn new(identity: ServerIdentity) -> Result<Self, UnusableServerCertificate> {
        let provider = Arc::new(provider());
        let names = Names::of(identity.chain.first().map_or(&[], |leaf| leaf.as_ref()));
        let key = CertifiedKey::from_der(identity.chain, identity.key, &provider)
            .map_err(|error| UnusableServerCertificate(error.to_string()))?;
        let shown =
            Self { names, resolver: Arc::new(SingleCertAndKey::from(key)), provider, made: Mutex::default() };
        // What cannot be made for the plainest fit is better known at the start.
        let plain = Fit { policy: SecurityPolicy::Tls13And12, asks_certificate: true, alpn: None };
        shown.config(plain).map(|_| shown).map_err(|error| UnusableServerCertificate(error.to_string()))
    }

    /// The configuration for a fit.
    pub(crate) fn config(&self, fit: Fit) -> Result<Arc<ServerConfig>, rustls::Error> {
        if let Some((_, known)) = self.made.lock().iter().find(|(made, _)| *made == fit) {
            return Ok(Arc::clone(known));
        }
        let made = Arc::new(self.make(fit)?);
        self.made.lock().push((fit, Arc::clone(&made)));
        Ok(made)
    }

    fn make(&self, fit: Fit) -> Result<ServerConfig, rustls::Error> {
        let provider = Arc::new(security_policy::suites(fit.policy, &self.provider));
        let builder = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(security_policy::versions(fit.policy))?;
        let builder = match fit.asks_certificate {
            true => builder.with_client_cert_verifier(Arc::new(AnyCertificate::new(&self.provider))),
            false => builder.with_no_client_auth(),
        };
        let mut config = builder.with_cert_resolver(Arc::clone(&self.resolver) as _);
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        config.alpn_protocols = fit.alpn.into_iter().map(<[u8]>::to_vec).collect();
        Ok(config)
    }
}

/// Named everywhere, because a process may hold two providers and rustls then refuses to choose.
fn provider() -> CryptoProvider {
    rustls::crypto::aws_lc_rs::default_provider()
}
