//! Certificates with which the server shows itself under names of the customer's: what AWS Certificate Manager holds.
//!
//! Sources: ACM user guide, *Importing certificates*, *Reimporting a certificate*; developer guide, *Configuring domain
//! configurations*.

use std::collections::BTreeMap;
use std::fmt;

use identity::Timestamp;
use serde::{Deserialize, Serialize};
use store::{Key, Keyspace};

use crate::{Fault, limits};

/// Key: id, the last part of the ARN.
pub const SERVER_CERTIFICATES: Keyspace<ServerCertificateRecord> = Keyspace::new("server-certificates");

/// The key of a server certificate.
pub fn server_certificate_key(id: &str) -> Key {
    Key::of(&[id])
}

/// An imported certificate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerCertificateRecord {
    /// A UUID.
    pub id: String,
    /// What was imported last.
    pub current: ServerMaterial,
    /// What is shown instead, because `current` is no renewal of it.
    #[serde(default)]
    pub in_service: Option<ServerMaterial>,
    /// When it was imported first.
    pub created: Timestamp,
    /// When it was imported last.
    pub imported: Timestamp,
    /// Its tags.
    #[serde(default)]
    pub tags: BTreeMap<String, String>,
}

impl ServerCertificateRecord {
    /// What the server shows.
    pub fn shown(&self) -> &ServerMaterial {
        self.in_service.as_ref().unwrap_or(&self.current)
    }
}

/// A certificate with chain and key, and what is asked of it often.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerMaterial {
    /// The certificate alone, as PEM.
    pub certificate: String,
    /// Its chain without itself, as PEM; may be empty.
    pub chain: String,
    /// Its key, as PEM without a password.
    pub private_key: HiddenText,
    /// The names that it speaks for.
    pub names: Vec<String>,
    /// The common name of its subject.
    #[serde(default)]
    pub common_name: Option<String>,
    /// `RSA_2048`, `EC_prime256v1`, ...
    pub key_algorithm: String,
    /// Its extended key usage has server authentication.
    pub for_servers: bool,
    /// How many certificates its chain has, itself included.
    pub depth: usize,
    /// First moment of validity.
    pub not_before: Timestamp,
    /// Last moment of validity.
    pub not_after: Timestamp,
}

impl ServerMaterial {
    /// The certificate and its chain, as TLS sends them.
    pub fn chain_pem(&self) -> String {
        format!("{}{}", self.certificate, self.chain)
    }

    /// Whether it takes the place of `before` where that is in use: same algorithm, same common name or same names.
    pub fn renews(&self, before: &Self) -> bool {
        let sorted = |names: &[String]| {
            let mut names: Vec<String> = names.iter().map(|name| name.to_ascii_lowercase()).collect();
            names.sort();
            names
        };
        let same_name = self.common_name.is_some() && self.common_name == before.common_name;
        self.key_algorithm == before.key_algorithm
            && (same_name || sorted(&self.names) == sorted(&before.names))
    }
}

/// A text that `Debug` does not show.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct HiddenText(pub String);

impl fmt::Debug for HiddenText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(hidden)")
    }
}

/// Whether a certificate can serve a domain at a moment. `covers` says whether one of its names is the domain's.
///
/// # Errors
/// [`Fault::Invalid`] with the reason, as `serverCertificateStatusDetail` shows it.
pub fn check_service(
    material: &ServerMaterial,
    domain_name: &str,
    covers: bool,
    now: Timestamp,
) -> Result<(), Fault> {
    let refused = |text: String| Err(Fault::Invalid(text));
    let (names, bytes) = (material.names.len(), material.chain_pem().len());
    if !covers {
        return refused(format!(
            "The certificate does not cover the domain name {domain_name}; it covers {}",
            material.names.join(", ")
        ));
    }
    if !material.for_servers {
        return refused(
            "The extended key usage of the certificate does not have server authentication".into(),
        );
    }
    if now < material.not_before {
        return refused("The certificate is not valid yet".into());
    }
    if now > material.not_after {
        return refused("The certificate has expired".into());
    }
    if names > limits::SERVER_NAMES {
        return refused(format!("The certificate has {names} names, the limit is {}", limits::SERVER_NAMES));
    }
    if material.depth > limits::SERVER_CHAIN {
        return refused(format!(
            "The chain has {} certificates, the limit is {}",
            material.depth,
            limits::SERVER_CHAIN
        ));
    }
    if bytes > limits::SERVER_CHAIN_BYTES {
        return refused(format!("The chain has {bytes} bytes, the limit is {}", limits::SERVER_CHAIN_BYTES));
    }
    Ok(())
}

/// Whether one more certificate fits beside `present`.
///
/// # Errors
/// [`Fault::LimitExceeded`].
pub fn check_room(present: usize) -> Result<(), Fault> {
    let limit = limits::SERVER_CERTIFICATES;
    if present < limit {
        return Ok(());
    }
    Err(Fault::limit(format!(
        "{limit} certificates are imported, which is the limit: delete those not in use"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn material() -> ServerMaterial {
        ServerMaterial {
            certificate: "c".into(),
            chain: String::new(),
            private_key: HiddenText("secret".into()),
            names: vec!["a.example.com".into(), "b.example.com".into()],
            common_name: None,
            key_algorithm: "RSA_2048".into(),
            for_servers: true,
            depth: 1,
            not_before: Timestamp(10),
            not_after: Timestamp(20),
        }
    }

    #[test]
    fn a_renewal_has_the_same_algorithm_and_the_same_names() {
        let before = material();
        let renewed = |change: fn(&mut ServerMaterial)| {
            let mut after = material();
            change(&mut after);
            after.renews(&before)
        };
        assert!(renewed(|after| after.names.reverse()));
        assert!(!renewed(|after| after.key_algorithm = "EC_prime256v1".into()));
        assert!(!renewed(|after| drop(after.names.pop())));
        let named = ServerMaterial { common_name: Some("x".into()), ..material() };
        assert!(ServerMaterial { names: vec!["c.example.com".into()], ..named.clone() }.renews(&named));
    }

    #[test]
    fn what_cannot_serve_says_why() {
        let checked = |change: fn(&mut ServerMaterial), covers, now| {
            let mut one = material();
            change(&mut one);
            check_service(&one, "a.example.com", covers, Timestamp(now)).map_err(|fault| fault.to_string())
        };
        assert_eq!(checked(|_| {}, true, 15), Ok(()));
        let refused = [
            (checked(|_| {}, false, 15), "does not cover"),
            (checked(|_| {}, true, 9), "not valid yet"),
            (checked(|_| {}, true, 21), "expired"),
            (checked(|one| one.for_servers = false, true, 15), "server authentication"),
            (checked(|one| one.names.resize(5, "x".into()), true, 15), "5 names"),
            (checked(|one| one.depth = 6, true, 15), "6 certificates"),
            (checked(|one| one.chain = "x".repeat(16 * 1024), true, 15), "bytes"),
        ];
        for (outcome, why) in refused {
            assert!(outcome.as_ref().is_err_and(|text| text.contains(why)), "{why}: {outcome:?}");
        }
    }

    #[test]
    fn a_key_does_not_show_itself() {
        assert!(!format!("{:?}", material()).contains("secret"));
        assert!(matches!(check_room(limits::SERVER_CERTIFICATES), Err(Fault::LimitExceeded(_))));
    }
}
