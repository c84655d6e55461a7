//! By which certificates an `https://` API is trusted: those that the AWS CLI would trust it by.

use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig, parse_pem};

/// The variable of the AWS CLI and boto3.
const NAMED: &str = "AWS_CA_BUNDLE";
/// Where systems keep the certificates that they trust.
const SYSTEM: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// Whom to trust for a URL: nobody is asked for one without TLS.
///
/// # Errors
/// No file has a certificate; the text says which were looked at.
pub fn of(url: &str, environment: &dyn Fn(&str) -> Option<String>) -> Result<Option<RootCerts>, String> {
    if !url.starts_with("https://") {
        return Ok(None);
    }
    if let Some(path) = environment(NAMED).filter(|path| !path.is_empty()) {
        let found = read(&path).map_err(|error| format!("{NAMED} ({path}): {error}"))?;
        return Ok(Some(found));
    }
    let found = SYSTEM.iter().find_map(|path| read(path).ok());
    found.map(Some).ok_or_else(|| {
        format!(
            "no certificates to trust {url} by: none of {} has any; name a file in {NAMED}",
            SYSTEM.join(", ")
        )
    })
}

fn read(path: &str) -> Result<RootCerts, String> {
    let text = std::fs::read(path).map_err(|error| error.to_string())?;
    let certificate = |item| match item {
        Ok(PemItem::Certificate(certificate)) => Some(certificate),
        _ => None,
    };
    let found: Vec<Certificate<'static>> = parse_pem(&text).filter_map(certificate).collect();
    if found.is_empty() { Err("it has no certificate (PEM)".into()) } else { Ok(found.into()) }
}

/// Trusting these, or nobody.
pub fn config(roots: Option<&RootCerts>) -> TlsConfig {
    let nobody = || RootCerts::from(Vec::<Certificate<'static>>::new());
    TlsConfig::builder().root_certs(roots.cloned().unwrap_or_else(nobody)).build()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_https_needs_somebody_to_trust() {
        assert!(of("http://h:1", &|_| panic!("asked")).unwrap().is_none());
        let missing = |name: &str| (name == NAMED).then(|| "no/such/file".to_owned());
        let problem = of("https://h:1", &missing).unwrap_err();
        assert!(problem.starts_with("AWS_CA_BUNDLE (no/such/file): "), "{problem}");
        let here = |name: &str| {
            (name == NAMED).then(|| concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml").to_owned())
        };
        assert!(of("https://h:1", &here).unwrap_err().contains("no certificate"));
    }
}
