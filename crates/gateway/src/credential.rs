//! May the certificate that TLS proved enter? The registry says.
//!
//! Asked once per connection, after the handshake: rustls' verifier is synchronous and the registry is not. The peer then
//! sees a finished handshake and a closed connection without CONNACK, which is how AWS looks since 2024
//! (earlier it sent the alert `certificate_unknown`).

use std::sync::Arc;

use broker::Credential;
use identity::{CertificateFacts, CertificateId, Principal, Timestamp};
use registry::{CertificateMode, CertificateStatus};

use crate::door::Shared;
use crate::refusal::Refusal;

/// Looks up the leaf certificate. `wall` is compared with the certificate's validity.
pub(crate) async fn credential_of(
    shared: &Shared,
    chain: &[Vec<u8>],
    server_name: Option<&str>,
    wall: Timestamp,
) -> Result<Credential, Refusal> {
    let leaf = chain.first().map_or(&[][..], Vec::as_slice);
    let facts = pki::facts(leaf)
        .map_err(|error| Refusal::new("DEVICE_CERTIFICATE_UNSUPPORTED", error.to_string()))?;
    let known = shared.broker.certificate(&facts.id).await.map_err(|error| Refusal::store_failed(&error))?;
    admit(&facts, known.as_ref().map(|record| record.status), wall)?;
    // A certificate that may belong to several accounts names its own by the endpoint that it asks for.
    let needs_name = known.is_some_and(|record| record.mode == CertificateMode::SniOnly);
    if needs_name && server_name.is_none() {
        return Err(Refusal::server_name_needed(&facts.id));
    }
    let principal = Principal::Certificate(facts.id.clone());
    Ok(Credential { principal, certificate: Some(Arc::new(facts)), grant: None })
}

fn admit(
    facts: &CertificateFacts,
    status: Option<CertificateStatus>,
    wall: Timestamp,
) -> Result<(), Refusal> {
    admit_status(&facts.id, status)?;
    if wall < facts.not_before {
        return Err(Refusal::outside_validity(&facts.id, "is not valid yet"));
    }
    if wall > facts.not_after {
        return Err(Refusal::outside_validity(&facts.id, "has expired"));
    }
    Ok(())
}

fn admit_status(id: &CertificateId, status: Option<CertificateStatus>) -> Result<(), Refusal> {
    match status {
        None => Err(Refusal::not_registered(id)),
        Some(CertificateStatus::Active) => Ok(()),
        Some(CertificateStatus::Revoked) => Err(Refusal::revoked(id)),
        Some(other) => Err(Refusal::not_active(id, other.as_str())),
    }
}
