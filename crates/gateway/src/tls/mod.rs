//! The TLS side of a door: server configuration by rustls over aws-lc, TLS 1.2 and 1.3.
//!
//! Source: developer guide, *Transport security in AWS IoT Core*. Two things differ from AWS on purpose of the library:
//! the CBC and plain-RSA suites of AWS's TLS 1.2 list do not exist here (every AWS device SDK offers GCM). And no
//! session is ever resumed: AWS does not support session tickets, and a resumed session would skip the verifier.

mod names;
mod verifier;

use std::fmt;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::NoServerSessionStorage;

pub(crate) use names::Names;
pub(crate) use verifier::AnyCertificate;

/// ALPN protocol of MQTT with an X.509 client certificate.
pub(crate) const ALPN_MQTT_X509: &[u8] = b"x-amzn-mqtt-ca";

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
}

/// The configurations a ClientHello chooses from.
pub(crate) struct TlsConfigs {
    /// The peer named no protocol we know: 8883's way.
    pub(crate) silent: Arc<ServerConfig>,
    /// The peer offered [`ALPN_MQTT_X509`], and gets it confirmed.
    pub(crate) mqtt_x509: Arc<ServerConfig>,
    /// The names that a ClientHello may ask for.
    pub(crate) names: Names,
}

impl TlsConfigs {
    pub(crate) fn new(identity: ServerIdentity) -> Result<Self, UnusableServerCertificate> {
        let names = Names::of(identity.chain.first().map_or(&[], |leaf| leaf.as_ref()));
        let silent = server_config(identity).map_err(|error| UnusableServerCertificate(error.to_string()))?;
        let mut mqtt_x509 = silent.clone();
        mqtt_x509.alpn_protocols = vec![ALPN_MQTT_X509.to_vec()];
        Ok(Self { silent: Arc::new(silent), mqtt_x509: Arc::new(mqtt_x509), names })
    }
}

fn server_config(identity: ServerIdentity) -> Result<ServerConfig, rustls::Error> {
    let provider = Arc::new(provider());
    let verifier = AnyCertificate::new(&provider);
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_client_cert_verifier(Arc::new(verifier))
        .with_single_cert(identity.chain, identity.key)?;
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(config)
}

/// Named everywhere, because a process may hold two providers and rustls then refuses to choose.
fn provider() -> CryptoProvider {
    rustls::crypto::aws_lc_rs::default_provider()
}
