//! Device certificates: what is kept, and how their status may change.
//!
//! Sources: developer guide, *Activate or deactivate a client certificate*, *Revoke a client certificate*; API
//! reference, *UpdateCertificate*, *RegisterCertificate*, *DeleteCertificate*.

use identity::{CertificateId, Timestamp};
use serde::{Deserialize, Serialize};
use store::{Key, Keyspace};

use crate::Fault;

/// Key: certificate id.
pub const CERTIFICATES: Keyspace<CertificateRecord> = Keyspace::new("certificates");

/// Each certificate by what is signed of it, however the rest is written. Key: SHA-256 of the signed part.
pub const SIGNED_PARTS: Keyspace<CertificateId> = Keyspace::new("certificates-by-signed-part");

/// The key of what is signed of a certificate.
pub fn signed_part_key(fingerprint: &str) -> Key {
    Key::of(&[fingerprint])
}

/// The key of a certificate.
pub fn certificate_key(id: &str) -> Key {
    Key::of(&[id])
}

/// A registered device certificate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CertificateRecord {
    /// SHA-256 of the DER form.
    pub id: CertificateId,
    /// The certificate as PEM, exactly one.
    pub pem: String,
    /// Whether a device may use it.
    pub status: CertificateStatus,
    /// How it came in, and so whether the device must send SNI.
    pub mode: CertificateMode,
    /// The registered CA that signed it.
    #[serde(default)]
    pub ca_certificate_id: Option<CertificateId>,
    /// When it was registered.
    pub created: Timestamp,
    /// When it was changed last.
    pub modified: Timestamp,
    /// First moment of validity.
    pub not_before: Timestamp,
    /// Last moment of validity.
    pub not_after: Timestamp,
    /// 1, and one more with each change of status (`customerVersion`).
    pub version: u64,
    /// Changes with each change of the record (`generationId`): a UUID.
    pub generation: String,
}

/// Whether a certificate may be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum CertificateStatus {
    /// A device may connect with it.
    Active,
    /// Switched off.
    Inactive,
    /// Switched off for good.
    Revoked,
    /// On its way to another account.
    PendingTransfer,
    /// An older word for [`Self::PendingActivation`], kept by the API.
    RegisterInactive,
    /// Presented by a device, not yet accepted.
    PendingActivation,
}

impl CertificateStatus {
    /// True for the one status in which a device may connect.
    pub fn may_connect(self) -> bool {
        self == Self::Active
    }

    /// AWS's spelling.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Active => "ACTIVE",
            Self::Inactive => "INACTIVE",
            Self::Revoked => "REVOKED",
            Self::PendingTransfer => "PENDING_TRANSFER",
            Self::RegisterInactive => "REGISTER_INACTIVE",
            Self::PendingActivation => "PENDING_ACTIVATION",
        }
    }
}

/// Whether a certificate belongs to a CA of one account, or may be registered with several.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum CertificateMode {
    /// Signed by the service or by a CA registered with a verification certificate.
    Default,
    /// Registered without a CA, or by a CA registered without proof. The device must send SNI.
    SniOnly,
}

/// Whether UpdateCertificate may bring a certificate from one status to another.
///
/// The pages call REVOKED final and describe no operation that leaves it; REVOKED to REVOKED is the idempotent case.
/// A certificate that waits for its transfer leaves that status by the transfer operations only.
///
/// # Errors
/// [`Fault::Invalid`] for a target that the service sets itself, [`Fault::CertificateState`] for a source that
/// cannot be left.
pub fn check_update(from: CertificateStatus, to: CertificateStatus) -> Result<(), Fault> {
    use CertificateStatus::{Active, Inactive, PendingTransfer, RegisterInactive, Revoked};
    if !matches!(to, Active | Inactive | Revoked | RegisterInactive) {
        return Err(Fault::invalid(format!(
            "The new status {} can not be set by this operation",
            to.as_str()
        )));
    }
    if from == PendingTransfer || (from == Revoked && to != Revoked) {
        return Err(Fault::CertificateState(format!(
            "The certificate is {} and can not become {}",
            from.as_str(),
            to.as_str()
        )));
    }
    Ok(())
}

/// The status in which a certificate is registered: what `status` says, else what `setAsActive` says.
///
/// # Errors
/// [`Fault::Invalid`] for a status that only the service sets.
pub fn registered_status(
    status: Option<CertificateStatus>,
    set_as_active: Option<bool>,
) -> Result<CertificateStatus, Fault> {
    use CertificateStatus::{Active, Inactive, Revoked};
    match status {
        None if set_as_active == Some(true) => Ok(Active),
        None => Ok(Inactive),
        Some(status @ (Active | Inactive | Revoked)) => Ok(status),
        Some(other) => {
            Err(Fault::invalid(format!("A certificate can not be registered with status {}", other.as_str())))
        }
    }
}

/// Whether a certificate may be deleted. Policies are no obstacle when `force`; things always are.
///
/// # Errors
/// [`Fault::CertificateState`] while it is ACTIVE or being transferred, [`Fault::DeleteConflict`] while something is
/// attached.
pub fn check_delete(
    record: &CertificateRecord,
    force: bool,
    has_policies: bool,
    has_things: bool,
) -> Result<(), Fault> {
    use CertificateStatus::{Active, PendingTransfer};
    if matches!(record.status, Active | PendingTransfer) {
        return Err(Fault::CertificateState(format!(
            "Certificate {} is {} and must be deactivated before deletion",
            record.id,
            record.status.as_str()
        )));
    }
    if has_things {
        return Err(Fault::DeleteConflict(format!(
            "Things must be detached before deletion of certificate {}",
            record.id
        )));
    }
    if has_policies && !force {
        return Err(Fault::DeleteConflict(format!(
            "Certificate policies must be detached before deletion of certificate {}",
            record.id
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use CertificateStatus::*;

    const ALL: [CertificateStatus; 6] =
        [Active, Inactive, Revoked, PendingTransfer, RegisterInactive, PendingActivation];

    #[test]
    fn revoked_is_final_and_transfers_have_their_own_doors() {
        for from in ALL {
            for to in ALL {
                let allowed = match (from, to) {
                    (_, PendingTransfer | PendingActivation) => false,
                    (PendingTransfer, _) => false,
                    (Revoked, to) => to == Revoked,
                    _ => true,
                };
                assert_eq!(check_update(from, to).is_ok(), allowed, "{from:?} to {to:?}");
            }
        }
        assert!(matches!(check_update(Active, PendingTransfer), Err(Fault::Invalid(_))));
        assert!(matches!(check_update(Revoked, Active), Err(Fault::CertificateState(_))));
    }

    #[test]
    fn only_active_may_connect() {
        assert_eq!(ALL.iter().filter(|status| status.may_connect()).count(), 1);
    }

    #[test]
    fn a_new_certificate_is_inactive_unless_told_otherwise() {
        assert_eq!(registered_status(None, None), Ok(Inactive));
        assert_eq!(registered_status(None, Some(true)), Ok(Active));
        assert_eq!(registered_status(Some(Revoked), Some(true)), Ok(Revoked));
        assert!(registered_status(Some(PendingActivation), None).is_err());
    }

    fn record(status: CertificateStatus) -> CertificateRecord {
        CertificateRecord {
            id: CertificateId::new(&"0".repeat(64)).unwrap(),
            pem: String::new(),
            status,
            mode: CertificateMode::Default,
            ca_certificate_id: None,
            created: Timestamp(1),
            modified: Timestamp(1),
            not_before: Timestamp(0),
            not_after: Timestamp(9),
            version: 1,
            generation: String::new(),
        }
    }

    #[test]
    fn deletion_needs_it_switched_off_and_free() {
        assert!(matches!(check_delete(&record(Active), true, false, false), Err(Fault::CertificateState(_))));
        assert!(matches!(check_delete(&record(Inactive), true, true, true), Err(Fault::DeleteConflict(_))));
        assert!(matches!(check_delete(&record(Inactive), false, true, false), Err(Fault::DeleteConflict(_))));
        assert_eq!(check_delete(&record(Revoked), true, true, false), Ok(()));
        assert_eq!(check_delete(&record(Inactive), false, false, false), Ok(()));
    }

    #[test]
    fn records_are_spelled_as_aws_spells_them_and_tolerate_the_future() {
        let mut json = serde_json::to_value(record(PendingTransfer)).unwrap();
        assert_eq!(json["status"], "PENDING_TRANSFER");
        assert_eq!(json["mode"], "DEFAULT");
        json["later"] = 1.into();
        assert_eq!(serde_json::from_value::<CertificateRecord>(json).unwrap(), record(PendingTransfer));
    }
}
