//! The shapes of ACM's operations, as far as they are built.
//!
//! Source: ACM API reference.

use identity::Timestamp;
use pki::server::Purposes;
use registry::server_certificates::{ServerCertificateRecord, ServerMaterial};
use serde::{Deserialize, Serialize};
use services::shapes::Secret;

use super::{NAMES_LISTED, USUAL_KEYS, status};

/// Input of `ImportCertificate`. The texts are PEM in base64.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct ImportCertificateRequest {
    /// Of the certificate whose place it takes.
    pub certificate_arn: Option<String>,
    /// The certificate.
    pub certificate: String,
    /// Its key, without a password.
    pub private_key: Secret,
    /// Who signed it, and so on.
    pub certificate_chain: Option<String>,
    /// Only for a new certificate.
    pub tags: Option<Vec<AcmTag>>,
}

/// A tag of ACM.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct AcmTag {
    /// 1 to 128 characters.
    pub key: String,
    /// May be empty.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
}

/// Output of `ImportCertificate`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct ImportCertificateResponse {
    /// The certificate's.
    pub certificate_arn: String,
}

/// Input of the operations on one certificate.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct CertificateArnRequest {
    /// The certificate's.
    pub certificate_arn: String,
}

/// Output of `DescribeCertificate`.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct DescribeAcmCertificateResponse {
    /// The certificate.
    pub certificate: CertificateDetail,
}

/// A certificate, without its key. Times are seconds since 1970.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct CertificateDetail {
    /// Its ARN.
    pub certificate_arn: String,
    /// The first of its names.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub domain_name: Option<String>,
    /// All names.
    pub subject_alternative_names: Vec<String>,
    /// Hexadecimal.
    pub serial: String,
    /// `CommonName=...`.
    pub subject: String,
    /// Likewise.
    pub issuer: String,
    /// When it was imported first.
    pub created_at: f64,
    /// When it was imported last.
    pub imported_at: f64,
    /// `ISSUED` or `EXPIRED`.
    pub status: &'static str,
    /// First moment of validity.
    pub not_before: f64,
    /// Last moment of validity.
    pub not_after: f64,
    /// `RSA_2048`, ...
    pub key_algorithm: String,
    /// ARNs of domain configurations.
    pub in_use_by: Vec<String>,
    /// `IMPORTED`.
    pub r#type: &'static str,
    /// What it may be used for.
    pub extended_key_usages: Vec<ExtendedKeyUsage>,
    /// `INELIGIBLE`: who imports renews.
    pub renewal_eligibility: &'static str,
}

/// One purpose of a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct ExtendedKeyUsage {
    /// ACM's word.
    #[serde(rename = "Name")]
    pub name: &'static str,
    /// The object identifier.
    #[serde(rename = "OID")]
    pub oid: &'static str,
}

impl ExtendedKeyUsage {
    pub(super) fn of(purposes: Option<Purposes>) -> Vec<Self> {
        let Some(purposes) = purposes else { return Vec::new() };
        let server = Self { name: "TLS_WEB_SERVER_AUTHENTICATION", oid: "1.3.6.1.5.5.7.3.1" };
        let client = Self { name: "TLS_WEB_CLIENT_AUTHENTICATION", oid: "1.3.6.1.5.5.7.3.2" };
        purposes.server.then_some(server).into_iter().chain(purposes.client.then_some(client)).collect()
    }
}

/// Output of `GetCertificate`.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct GetAcmCertificateResponse {
    /// As PEM.
    pub certificate: String,
    /// As PEM.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificate_chain: Option<String>,
}

/// Output of `ListTagsForCertificate`.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct ListTagsForCertificateResponse {
    /// In the order of their keys.
    pub tags: Vec<AcmTag>,
}

/// Input of `ListCertificates`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct ListAcmCertificatesRequest {
    /// Only these: `ISSUED`, `EXPIRED`, ...
    pub certificate_statuses: Option<Vec<String>>,
    /// Other filters.
    pub includes: Option<ListFilters>,
    /// From the page before.
    pub next_token: Option<String>,
    /// 1 to 1000.
    pub max_items: Option<i32>,
    /// `CREATED_AT`, together with an order.
    pub sort_by: Option<String>,
    /// `ASCENDING` or `DESCENDING`.
    pub sort_order: Option<String>,
}

/// Filters of `ListCertificates`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ListFilters {
    /// `RSA_2048`, `EC_prime256v1`, ...
    pub key_types: Option<Vec<String>>,
}

impl ListAcmCertificatesRequest {
    /// True if a certificate is in the list.
    pub(super) fn lists(&self, material: &ServerMaterial, now: Timestamp) -> bool {
        let statuses = self.certificate_statuses.as_deref().unwrap_or_default();
        let status = status(material, now);
        let types = self.includes.as_ref().and_then(|includes| includes.key_types.as_ref());
        let type_fits = match types {
            Some(types) => types.contains(&material.key_algorithm),
            None => USUAL_KEYS.contains(&material.key_algorithm.as_str()),
        };
        type_fits && (statuses.is_empty() || statuses.iter().any(|asked| asked == status))
    }
}

/// Output of `ListCertificates`.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct ListAcmCertificatesResponse {
    /// For the next page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_token: Option<String>,
    /// The page.
    pub certificate_summary_list: Vec<CertificateSummary>,
}

/// A certificate in a list. Times are seconds since 1970.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct CertificateSummary {
    /// Its ARN.
    pub certificate_arn: String,
    /// The first of its names.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub domain_name: Option<String>,
    /// Up to 100 names.
    pub subject_alternative_name_summaries: Vec<String>,
    /// There are more.
    pub has_additional_subject_alternative_names: bool,
    /// `ISSUED` or `EXPIRED`.
    pub status: &'static str,
    /// `IMPORTED`.
    pub r#type: &'static str,
    /// `RSA_2048`, ...
    pub key_algorithm: String,
    /// A domain configuration names it.
    pub in_use: bool,
    /// `INELIGIBLE`.
    pub renewal_eligibility: &'static str,
    /// First moment of validity.
    pub not_before: f64,
    /// Last moment of validity.
    pub not_after: f64,
    /// When it was imported first.
    pub created_at: f64,
    /// When it was imported last.
    pub imported_at: f64,
}

impl CertificateSummary {
    pub(super) fn of(
        certificate_arn: String,
        record: &ServerCertificateRecord,
        in_use: bool,
        now: Timestamp,
    ) -> Self {
        let current = &record.current;
        Self {
            certificate_arn,
            domain_name: current.names.first().cloned(),
            subject_alternative_name_summaries: current.names.iter().take(NAMES_LISTED).cloned().collect(),
            has_additional_subject_alternative_names: current.names.len() > NAMES_LISTED,
            status: status(current, now),
            r#type: "IMPORTED",
            key_algorithm: current.key_algorithm.clone(),
            in_use,
            renewal_eligibility: "INELIGIBLE",
            not_before: current.not_before.seconds(),
            not_after: current.not_after.seconds(),
            created_at: record.created.seconds(),
            imported_at: record.imported.seconds(),
        }
    }
}
