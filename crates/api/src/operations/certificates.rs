//! Certificates.

use std::sync::Arc;

use identity::Timestamp;
use services::Services;

use super::{Entry, built, fault, read, reply};
use crate::answer::{Fault, Reply};
use crate::decode::Decoded;
use crate::model::Service;
use crate::workbench::Workbench;

pub(super) const BUILT: &[Entry] = built![Iot:
    CreateCertificateFromCsr => create_certificate_from_csr,
    RegisterCertificate => register_certificate,
    RegisterCertificateWithoutCA => register_certificate_without_ca,
    DescribeCertificate => describe_certificate,
    UpdateCertificate => update_certificate,
    DeleteCertificate => delete_certificate,
    ListCertificates => list_certificates,
    ListCertificatesByCA => list_certificates_by_ca,
];

pub(super) const KEYS: &[Entry] = &[Entry {
    service: Service::Iot,
    name: "CreateKeysAndCertificate",
    call: |by, input, _caller, now| Box::pin(create_keys(&by.services, &by.keys, input, now)),
}];

/// `CreateKeysAndCertificate`. Few threads serve the API, metrics and health: none of them makes the key.
async fn create_keys(
    services: &Arc<Services>,
    bench: &Workbench,
    input: Decoded,
    now: Timestamp,
) -> Result<Reply, Fault> {
    let input = read(input)?;
    let maker = Arc::clone(services);
    let issued = bench.run(move || maker.issue_keys(now)).await?.map_err(fault)?;
    reply(services.create_keys_and_certificate(input, issued, now).await)
}

#[cfg(test)]
mod tests;
