//! The customer's own certificate authorities.
//!
//! Sources: developer guide, *Register your CA certificate*; API reference, *RegisterCACertificate*,
//! *UpdateCACertificate*.

use identity::{CertificateId, Timestamp};
use serde::{Deserialize, Serialize};
use store::{Key, Keyspace};

use crate::certificates::CertificateMode;
use crate::{Fault, limits};

/// Key: certificate id.
pub const CA_CERTIFICATES: Keyspace<CaCertificateRecord> = Keyspace::new("ca-certificates");
/// Key: [`CaCertificateRecord::subject`], certificate id. "Which CAs have this name?"
pub const CA_SUBJECTS: Keyspace<CaSubjectRow> = Keyspace::new("ca-subjects");

/// The key of a CA certificate.
pub fn ca_certificate_key(id: &str) -> Key {
    Key::of(&[id])
}

/// The key in [`CA_SUBJECTS`].
pub fn ca_subject_key(subject: &str, id: &str) -> Key {
    Key::of(&[subject, id])
}

/// The key says it all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CaSubjectRow {}

/// A registered CA certificate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CaCertificateRecord {
    /// SHA-256 of the DER form.
    pub id: CertificateId,
    /// The certificate as PEM, exactly one.
    pub pem: String,
    /// SHA-256 of the subject's DER form, as hexadecimal: what a device certificate's issuer is looked up by.
    pub subject: String,
    /// Whether device certificates that it signed can be registered.
    pub status: CaCertificateStatus,
    /// What its device certificates inherit.
    pub mode: CertificateMode,
    /// Whether unknown device certificates are registered when a device presents them.
    pub auto_registration: bool,
    /// How such devices are provisioned.
    #[serde(default)]
    pub registration_config: Option<RegistrationConfigRecord>,
    /// When it was registered.
    pub created: Timestamp,
    /// When it was changed last.
    pub modified: Timestamp,
    /// First moment of validity.
    pub not_before: Timestamp,
    /// Last moment of validity.
    pub not_after: Timestamp,
    /// 1, and one more with each change (`customerVersion`).
    pub version: u64,
    /// Changes with each change of the record (`generationId`): a UUID.
    pub generation: String,
}

/// Whether a CA's device certificates can be registered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum CaCertificateStatus {
    /// Yes.
    Active,
    /// No; those already registered stay as they are.
    Inactive,
}

/// Just-in-time provisioning, as the caller gave it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegistrationConfigRecord {
    /// The provisioning template's text.
    #[serde(default)]
    pub template_body: Option<String>,
    /// The role that the service takes on.
    #[serde(default)]
    pub role_arn: Option<String>,
    /// A stored template of type JITP.
    #[serde(default)]
    pub template_name: Option<String>,
}

/// Whether one more CA with the same subject fits beside `present`.
///
/// # Errors
/// [`Fault::LimitExceeded`].
pub fn check_subject_room(present: usize) -> Result<(), Fault> {
    let limit = limits::CA_CERTIFICATES_PER_SUBJECT;
    if present < limit {
        return Ok(());
    }
    Err(Fault::limit(format!("{limit} CA certificates with this subject are registered, which is the limit")))
}

/// Whether a CA certificate may be deleted.
///
/// # Errors
/// [`Fault::CertificateState`] while it is ACTIVE.
pub fn check_delete(record: &CaCertificateRecord) -> Result<(), Fault> {
    match record.status {
        CaCertificateStatus::Inactive => Ok(()),
        CaCertificateStatus::Active => Err(Fault::CertificateState(format!(
            "CA certificate {} is ACTIVE and must be deactivated before deletion",
            record.id
        ))),
    }
}
