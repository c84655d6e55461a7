//! Certificates.

use super::{Entry, built};

pub(super) const BUILT: &[Entry] = built![Iot:
    CreateKeysAndCertificate => create_keys_and_certificate,
    CreateCertificateFromCsr => create_certificate_from_csr,
    RegisterCertificate => register_certificate,
    RegisterCertificateWithoutCA => register_certificate_without_ca,
    DescribeCertificate => describe_certificate,
    UpdateCertificate => update_certificate,
    DeleteCertificate => delete_certificate,
    ListCertificates => list_certificates,
    ListCertificatesByCA => list_certificates_by_ca,
];
