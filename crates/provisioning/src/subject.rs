//! The parameters that a certificate gives by itself when a device is provisioned just in time.
//!
//! Source: developer guide, *Just-in-time provisioning*.

use std::collections::BTreeMap;

use identity::{CertificateFacts, DnAttribute};

/// The implicit parameter that holds the certificate's id.
pub const CERTIFICATE_ID: &str = "AWS::IoT::Certificate::Id";

const PREFIX: &str = "AWS::IoT::Certificate::";

/// Attributes of a subject, each with the last part of its parameter's name.
const ATTRIBUTES: [(DnAttribute, &str); 7] = [
    (DnAttribute::Country, "Country"),
    (DnAttribute::Organization, "Organization"),
    (DnAttribute::OrganizationalUnit, "OrganizationalUnit"),
    (DnAttribute::DistinguishedNameQualifier, "DistinguishedNameQualifier"),
    (DnAttribute::State, "StateName"),
    (DnAttribute::CommonName, "CommonName"),
    (DnAttribute::SerialNumber, "SerialNumber"),
];

/// Whether a parameter is one that the service fills in.
pub fn is_implicit(name: &str) -> bool {
    name == CERTIFICATE_ID
        || name.strip_prefix(PREFIX).is_some_and(|last| ATTRIBUTES.iter().any(|(_, known)| *known == last))
}

/// The implicit parameters of a certificate: its id, and those attributes that its subject has. Of an attribute that
/// stands several times the first counts.
pub fn subject_parameters(certificate: &CertificateFacts) -> BTreeMap<String, String> {
    let mut parameters = BTreeMap::from([(CERTIFICATE_ID.to_owned(), certificate.id.to_string())]);
    for (attribute, value) in &certificate.subject.attributes {
        if let Some((_, last)) = ATTRIBUTES.iter().find(|(known, _)| known == attribute) {
            parameters.entry(format!("{PREFIX}{last}")).or_insert_with(|| value.clone());
        }
    }
    parameters
}

#[cfg(test)]
mod tests {
    use identity::{CertificateId, DistinguishedName, Timestamp};

    use super::*;

    #[test]
    fn a_subject_gives_its_parameters() {
        let attributes = vec![
            (DnAttribute::CommonName, "first".to_owned()),
            (DnAttribute::CommonName, "second".to_owned()),
            (DnAttribute::State, "Hessen".to_owned()),
            (DnAttribute::Title, "Dr".to_owned()),
        ];
        let facts = CertificateFacts {
            id: CertificateId::new(&"ab".repeat(32)).unwrap(),
            serial_number: "1".into(),
            subject: DistinguishedName { attributes, alternative_names: Vec::new() },
            issuer: DistinguishedName::default(),
            not_before: Timestamp(0),
            not_after: Timestamp(1),
        };
        let parameters = subject_parameters(&facts);
        let names: Vec<_> = parameters.keys().map(String::as_str).collect();
        assert_eq!(
            names,
            ["AWS::IoT::Certificate::CommonName", CERTIFICATE_ID, "AWS::IoT::Certificate::StateName"]
        );
        assert_eq!(parameters["AWS::IoT::Certificate::CommonName"], "first");
        assert!(parameters.keys().all(|name| is_implicit(name)));
        assert!(!is_implicit("AWS::IoT::Certificate::Title") && !is_implicit("SerialNumber"));
    }
}
