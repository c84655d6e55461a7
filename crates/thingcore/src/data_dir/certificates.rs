//! The private CA and the server certificate.

use std::collections::BTreeSet;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use identity::Timestamp;
use pki::{Certificate, CertificateAuthority, PkiFault, Serial};
use serde::{Deserialize, Serialize};

use super::{Account, DataDirProblem, read_optional, write};
use crate::config::Settings;
use crate::entropy;

/// The CA's certificate: devices get a copy of this file.
pub(super) const CA_CERTIFICATE: &str = "ca.cert.pem";
pub(super) const CA_KEY: &str = "ca.key.pem";
const SERVER: &str = "server.json";

/// A server certificate is made anew when less than this is left of its life.
const RENEW_BEFORE: Duration = Duration::from_secs(90 * 24 * 3600);

/// What the TLS ports show, as PEM.
#[derive(Clone, Serialize, Deserialize)]
pub struct ServerCertificate {
    /// The names it was made for.
    names: BTreeSet<String>,
    /// Server certificate first.
    pub chain: String,
    /// PKCS #8.
    pub private_key: String,
}

pub(super) fn open_authority(folder: &Path) -> Result<CertificateAuthority, DataDirProblem> {
    let (certificate_path, key_path) = (folder.join(CA_CERTIFICATE), folder.join(CA_KEY));
    match (read_optional(&certificate_path)?, read_optional(&key_path)?) {
        (Some(certificate), Some(key)) => authority(&certificate_path, &certificate, &key),
        (None, None) => make_authority(&certificate_path, &key_path),
        // The key is written first: without the certificate nobody trusts it yet.
        (None, Some(_)) => make_authority(&certificate_path, &key_path),
        (Some(_), None) => Err(DataDirProblem::damaged(&key_path, "the private CA's key is missing")),
    }
}

fn authority(path: &Path, certificate: &str, key: &str) -> Result<CertificateAuthority, DataDirProblem> {
    CertificateAuthority::from_pem(certificate, key).map_err(|fault| DataDirProblem::damaged(path, fault))
}

/// The CA that is there.
pub(super) fn read_authority(folder: &Path) -> Result<Option<CertificateAuthority>, DataDirProblem> {
    let path = folder.join(CA_CERTIFICATE);
    let there = read_optional(&path)?.zip(read_optional(&folder.join(CA_KEY))?);
    there.map(|(certificate, key)| authority(&path, &certificate, &key)).transpose()
}

/// The server certificate that is there.
pub(super) fn read_server(folder: &Path) -> Result<Option<ServerCertificate>, DataDirProblem> {
    let path = folder.join(SERVER);
    let found = read_optional(&path)?.map(|text| serde_json::from_str(&text)).transpose();
    found.map_err(|error| DataDirProblem::damaged(&path, error))
}

fn make_authority(certificate_path: &Path, key_path: &Path) -> Result<CertificateAuthority, DataDirProblem> {
    let failed = |fault: PkiFault| DataDirProblem(format!("cannot make the private CA: {fault}"));
    let name = format!("thingcore private CA {}", entropy::text(8, b"0123456789abcdef"));
    let authority = CertificateAuthority::generate(&name, serial(), now()).map_err(failed)?;
    write(key_path, authority.private_key().map_err(failed)?.pem())?;
    write(certificate_path, &authority.certificate_pem())?;
    Ok(authority)
}

/// Every name under which the server may be reached.
pub(super) fn wanted_names(settings: &Settings, account: &Account) -> BTreeSet<String> {
    let loopback = [IpAddr::from(Ipv4Addr::LOCALHOST), IpAddr::from(Ipv6Addr::LOCALHOST)];
    let mut names: BTreeSet<String> = loopback.iter().map(ToString::to_string).collect();
    names.insert("localhost".to_owned());
    names.insert(account.aws_style_endpoint());
    names.extend(host_name());
    let own = settings.ports.mqtt.addresses.iter().filter(|address| !address.is_unspecified());
    names.extend(own.map(ToString::to_string));
    names.extend(settings.endpoint.iter().map(|name| name.to_ascii_lowercase()));
    names.extend(settings.server_names.iter().map(|name| name.to_ascii_lowercase()));
    names
}

/// This machine's name, if it can stand in a certificate.
fn host_name() -> Option<String> {
    let name = hostname::get().ok()?.into_string().ok()?.to_ascii_lowercase();
    let valid = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'.');
    valid.then_some(name)
}

/// The certificate of the last start, unless the names changed or it ends soon.
fn open_server(
    folder: &Path,
    authority: &CertificateAuthority,
    names: &BTreeSet<String>,
) -> Result<ServerCertificate, DataDirProblem> {
    let path = folder.join(SERVER);
    if let Some(found) =
        read_server(folder)?.filter(|found| found.names == *names && found.is_fresh(authority))
    {
        return Ok(found);
    }
    let made = issue_server(authority, names)?;
    let text = serde_json::to_string_pretty(&made).map_err(|error| DataDirProblem::damaged(&path, error))?;
    write(&path, &text)?;
    Ok(made)
}

fn issue_server(
    authority: &CertificateAuthority,
    names: &BTreeSet<String>,
) -> Result<ServerCertificate, DataDirProblem> {
    let list: Vec<&String> = names.iter().collect();
    let issued = authority.issue_server(&list, serial(), now()).map_err(|fault| {
        DataDirProblem(format!("cannot make the server certificate: {fault}; see --server-name"))
    })?;
    Ok(ServerCertificate {
        names: names.clone(),
        chain: issued.certificate.pem() + &authority.certificate_pem(),
        private_key: issued.private_key.into_pem(),
    })
}

impl ServerCertificate {
    /// The last moment of its validity; `None` if it cannot be read, which the TLS ports say better.
    pub fn ends(&self) -> Option<Timestamp> {
        self.first().ok().map(|certificate| certificate.facts().not_after)
    }

    /// True if it is this one.
    pub fn is_same(&self, other: &Self) -> bool {
        self.chain == other.chain && self.private_key == other.private_key
    }

    /// What it is, for the operator.
    pub fn summary(&self) -> String {
        self.first().map_or_else(
            |fault| fault.to_string(),
            |certificate| {
                format!("{} (until {} s)", certificate.id(), certificate.facts().not_after.seconds())
            },
        )
    }

    fn first(&self) -> Result<Certificate, PkiFault> {
        let first = self.chain.split_inclusive("-----END CERTIFICATE-----").next().unwrap_or_default();
        Certificate::from_pem(first)
    }

    fn is_fresh(&self, authority: &CertificateAuthority) -> bool {
        self.first().is_ok_and(|certificate| {
            certificate.facts().is_valid_at(now() + RENEW_BEFORE)
                && certificate.verify_signed_by(authority.certificate()).is_ok()
        })
    }
}

/// Where the server certificate comes from, to look there again while the server runs.
pub enum ServerSource {
    /// Files that the operator brought; the data folder has no part in them.
    Own {
        /// Certificate chain, PEM.
        chain: PathBuf,
        /// Private key, PEM.
        key: PathBuf,
    },
    /// The private CA issues it.
    Issued {
        /// The data folder.
        folder: PathBuf,
        /// The CA.
        authority: Arc<CertificateAuthority>,
        /// The names that it is for.
        names: BTreeSet<String>,
    },
}

impl ServerSource {
    /// The certificate as it is now; one that ends soon is issued anew.
    pub fn read(&self) -> Result<ServerCertificate, DataDirProblem> {
        match self {
            Self::Own { chain, key } => {
                let read = |path: &Path| {
                    fs::read_to_string(path).map_err(|error| DataDirProblem::io(path, "read it", &error))
                };
                Ok(ServerCertificate { names: BTreeSet::new(), chain: read(chain)?, private_key: read(key)? })
            }
            Self::Issued { folder, authority, names } => open_server(folder, authority, names),
        }
    }
}

fn serial() -> Serial {
    Serial::from_random(entropy::bytes())
}

fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::default() + since
}
