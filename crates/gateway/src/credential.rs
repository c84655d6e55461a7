//! May the certificate that TLS proved enter? The registry says.
//!
//! Asked once per connection, after the handshake: rustls' verifier is synchronous and the registry is not. The peer then
//! sees a finished handshake and a closed connection without CONNACK, which is how AWS looks since 2024
//! (earlier it sent the alert `certificate_unknown`).

use std::sync::Arc;

use broker::Credential;
use identity::{CertificateFacts, CertificateId, Principal, Timestamp};
use registry::{CertificateMode, CertificateStatus};
use services::{ErrorCode, FirstContact};

use crate::door::Shared;
use crate::refusal::{self, Refusal};

/// Looks up the peer's own certificate, the first of its chain. `wall` is compared with the certificate's validity.
/// `server_name` is the name that the peer asked for, if it is one of ours.
pub(crate) async fn credential_of(
    shared: &Shared,
    chain: &[Vec<u8>],
    server_name: Option<&str>,
    wall: Timestamp,
) -> Result<Credential, Refusal> {
    let own = chain.first().map(Vec::as_slice).unwrap_or_default();
    let facts = pki::facts(own).map_err(|error| {
        Refusal::new("DEVICE_CERTIFICATE_UNSUPPORTED", error.to_string(), refusal::SUPPORTED)
    })?;
    let of = |refusal: Refusal| refusal.of(&facts.id);
    let known = shared.broker.certificate(&facts.id).await;
    let known = known.map_err(|error| of(Refusal::store_failed(&error)))?;
    let status = known.as_ref().map(|record| record.status);
    if matches!(status, None | Some(CertificateStatus::PendingActivation)) {
        let contact = shared.services.first_contact(chain, server_name, shared.clock.now());
        // Boxed: few tasks ever are in it.
        return Err(of(refused_at(&facts.id, status, Box::pin(contact).await)));
    }
    admit(&facts, status, wall).map_err(of)?;
    // A certificate that may belong to several accounts names its own by the endpoint that it asks for.
    let needs_name = known.is_some_and(|record| record.mode == CertificateMode::SniOnly);
    if needs_name && server_name.is_none() {
        return Err(of(Refusal::server_name_needed(&facts.id)));
    }
    let principal = Principal::Certificate(facts.id.clone());
    Ok(Credential { principal, certificate: Some(Arc::new(facts)), grant: None })
}

/// Whatever came of a first contact, this connection does not go on.
fn refused_at(
    id: &CertificateId,
    status: Option<CertificateStatus>,
    contact: Result<FirstContact, services::ApiError>,
) -> Refusal {
    match contact {
        Ok(FirstContact::Unknown) => Refusal::not_registered(id),
        // Another connection of the device was faster.
        Ok(FirstContact::Known { status: CertificateStatus::Active, .. }) => Refusal::provisioned(id),
        Ok(FirstContact::Known { status: CertificateStatus::Revoked, .. }) => Refusal::revoked(id),
        Ok(FirstContact::Known { status, .. }) => Refusal::not_active(id, status.as_str()),
        Ok(FirstContact::Registered { .. } | FirstContact::Pending { .. }) => {
            Refusal::not_active(id, CertificateStatus::PendingActivation.as_str())
        }
        Ok(FirstContact::Provisioned { .. }) => Refusal::provisioned(id),
        Ok(FirstContact::Failed { reason, remedy }) => {
            Refusal::not_let_in(id, status.is_some(), &reason, remedy)
        }
        Err(error) if error.code == ErrorCode::ServiceUnavailable => Refusal::store_failed(&error),
        Err(error) => Refusal::new(
            "INTERNAL_SERVER_ERROR",
            error.to_string(),
            "look at the broker's log for what failed; devices retry by themselves",
        ),
    }
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
