//! TLS of the clients: one CA to trust, and one certificate or a folder of them, which the clients take in turn.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::Resumption;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::cli::TargetArgs;
use crate::fault::{BenchError, Fault};

const CERTIFICATE_SUFFIX: &str = ".cert.pem";
const KEY_SUFFIX: &str = ".private.key";

/// How clients do TLS, and as whom.
pub struct Credentials {
    server: ServerName<'static>,
    /// At least one: (NAME of the file, if there is one; what to show)
    shown: Vec<(Option<String>, Arc<ClientConfig>)>,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "Credentials({:?}, {} to show)", self.server, self.shown.len())
    }
}

impl Credentials {
    /// Reads the files that the options name.
    ///
    /// # Errors
    /// A file that cannot be read or holds something else.
    pub fn load(args: &TargetArgs) -> Result<Self, BenchError> {
        let server = ServerName::try_from(args.host.clone())
            .map_err(|error| BenchError::Option(format!("{}: {error}", args.host)))?;
        let ca = args.ca.as_deref().ok_or_else(|| {
            BenchError::Option("TLS needs --ca: the file of CA certificates to trust".into())
        })?;
        let roots = Arc::new(roots(ca)?);
        let alpn = args.alpn.as_deref();
        let shown = match &args.cert {
            None => vec![(None, configuration(&roots, None, alpn)?)],
            Some(certificate) => pairs(certificate, args.key.as_deref())?
                .iter()
                .map(|pair| Ok((pair.name.clone(), configuration(&roots, Some(pair), alpn)?)))
                .collect::<Result<_, BenchError>>()?,
        };
        Ok(Self { server, shown })
    }

    /// The handshake of the client with this number.
    ///
    /// # Errors
    /// [`Fault::Handshake`].
    pub async fn handshake(&self, client: usize, stream: TcpStream) -> Result<TlsStream<TcpStream>, Fault> {
        let shown = self.shown.get(client % self.shown.len().max(1));
        let (_, config) = shown.ok_or_else(|| Fault::Unsayable("no TLS credential".into()))?;
        let connector = TlsConnector::from(Arc::clone(config));
        connector.connect(self.server.clone(), stream).await.map_err(Fault::Handshake)
    }

    /// How many credentials belong to a device: all of a folder, none without one.
    pub fn devices(&self) -> u64 {
        self.shown.iter().filter(|(name, _)| name.is_some()).count() as u64
    }

    /// The device whose credential the client with this number has, if there is one for it alone.
    pub fn name(&self, client: usize) -> Option<&str> {
        self.shown.get(client)?.0.as_deref()
    }
}

/// Files of one credential.
#[derive(Debug, PartialEq, Eq)]
struct Pair {
    name: Option<String>,
    certificate: PathBuf,
    key: PathBuf,
}

fn unusable(path: &Path, why: &dyn std::fmt::Display) -> BenchError {
    BenchError::Option(format!("{}: {why}", path.display()))
}

fn roots(path: &Path) -> Result<RootCertStore, BenchError> {
    let mut store = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(path).map_err(|error| unusable(path, &error))? {
        let certificate = certificate.map_err(|error| unusable(path, &error))?;
        store.add(certificate).map_err(|error| unusable(path, &error))?;
    }
    if store.is_empty() { Err(unusable(path, &"holds no certificate")) } else { Ok(store) }
}

/// The credentials that two options name: two files, or what the folders hold under equal names.
fn pairs(certificate: &Path, key: Option<&Path>) -> Result<Vec<Pair>, BenchError> {
    if !certificate.is_dir() {
        let key = key.ok_or_else(|| BenchError::Option("--cert needs --key".into()))?;
        return Ok(vec![Pair { name: None, certificate: certificate.into(), key: key.into() }]);
    }
    let keys = key.unwrap_or(certificate);
    let mut found = Vec::new();
    for entry in fs::read_dir(certificate).map_err(|error| unusable(certificate, &error))? {
        let path = entry.map_err(|error| unusable(certificate, &error))?.path();
        let name = path.file_name().and_then(|name| name.to_str());
        if let Some(stem) = name.and_then(|name| name.strip_suffix(CERTIFICATE_SUFFIX)) {
            let name = Some(stem.to_owned());
            found.push(Pair { name, key: keys.join(format!("{stem}{KEY_SUFFIX}")), certificate: path });
        }
    }
    if found.is_empty() {
        return Err(unusable(certificate, &format!("holds no NAME{CERTIFICATE_SUFFIX}")));
    }
    found.sort_by(|one, other| one.certificate.cmp(&other.certificate));
    Ok(found)
}

fn configuration(
    roots: &Arc<RootCertStore>,
    pair: Option<&Pair>,
    alpn: Option<&str>,
) -> Result<Arc<ClientConfig>, BenchError> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| BenchError::Option(format!("TLS: {error}")))?
        .with_root_certificates(Arc::clone(roots));
    let mut config = match pair {
        None => builder.with_no_client_auth(),
        Some(Pair { certificate, key, .. }) => {
            let chain = CertificateDer::pem_file_iter(certificate)
                .and_then(Iterator::collect)
                .map_err(|error| unusable(certificate, &error))?;
            let secret = PrivateKeyDer::from_pem_file(key).map_err(|error| unusable(key, &error))?;
            builder.with_client_auth_cert(chain, secret).map_err(|error| unusable(certificate, &error))?
        }
    };
    // Every client is a device of its own: a resumed session would hide what a handshake costs.
    config.alpn_protocols = alpn.into_iter().map(|name| name.as_bytes().to_vec()).collect();
    config.resumption = Resumption::disabled();
    Ok(Arc::new(config))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_gives_pairs_by_name() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["b.cert.pem", "a.cert.pem", "a.private.key", "root-CA.crt"] {
            fs::write(folder.path().join(name), "").unwrap();
        }
        let found = pairs(folder.path(), None).unwrap();
        let keys: Vec<_> = found.iter().map(|pair| pair.key.file_name().unwrap().to_str().unwrap()).collect();
        assert_eq!(keys, ["a.private.key", "b.private.key"]);
    }

    #[test]
    fn what_is_missing_is_told() {
        let folder = tempfile::tempdir().unwrap();
        assert!(pairs(folder.path(), None).unwrap_err().to_string().contains("NAME.cert.pem"));
        assert!(pairs(&folder.path().join("x.pem"), None).unwrap_err().to_string().contains("--key"));
        assert!(roots(&folder.path().join("ca.pem")).is_err());
    }
}
