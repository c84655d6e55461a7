//! Certificate authorities and the registration code.

use super::{Entry, built};

pub(super) const BUILT: &[Entry] = built![Iot:
    RegisterCACertificate => register_ca_certificate,
    DescribeCACertificate => describe_ca_certificate,
    ListCACertificates => list_ca_certificates,
    UpdateCACertificate => update_ca_certificate,
    DeleteCACertificate => delete_ca_certificate,
    GetRegistrationCode => get_registration_code,
    DeleteRegistrationCode => delete_registration_code,
];
