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
use crate::endpoint::Endpoint;
use crate::refusal::{self, Refusal};

/// Looks up the peer's own certificate, the first of its chain. `wall` is compared with the certificate's validity.
///
/// The endpoint's own function has to agree before anything is done for the peer: before it is let in, and before it is
/// registered or provisioned just in time.
pub(crate) async fn credential_of(
    shared: &Shared,
    chain: &[Vec<u8>],
    endpoint: &Endpoint,
    wall: Timestamp,
) -> Result<Credential, Refusal> {
    // If it is a name of ours.
    let server_name = endpoint.name.as_deref();
    let own = chain.first().map(Vec::as_slice).unwrap_or_default();
    let facts = pki::facts(own).map_err(|error| {
        Refusal::new("DEVICE_CERTIFICATE_UNSUPPORTED", error.to_string(), refusal::SUPPORTED)
    })?;
    let of = |refusal: Refusal| refusal.of(&facts.id);
    let known = shared.broker.certificate(&facts.id).await;
    let known = known.map_err(|error| of(Refusal::store_failed(&error)))?;
    let status = known.as_ref().map(|record| record.status);
    if matches!(status, None | Some(CertificateStatus::PendingActivation)) {
        if is_somebodys(shared, chain, status).await? {
            agreed(shared, endpoint, &facts.id, chain).await?;
        }
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
    agreed(shared, endpoint, &facts.id, chain).await?;
    let principal = Principal::Certificate(facts.id.clone());
    Ok(Credential { principal, certificate: Some(Arc::new(facts)), grant: None })
}

/// Whether anything would be done at a first contact. For a stranger whom no registered CA signed, no function is invoked.
async fn is_somebodys(
    shared: &Shared,
    chain: &[Vec<u8>],
    status: Option<CertificateStatus>,
) -> Result<bool, Refusal> {
    if status.is_some() {
        return Ok(true);
    }
    let asked = Box::pin(shared.services.has_sponsor(chain, shared.clock.now()));
    asked.await.map_err(|error| Refusal::store_failed(&error))
}

/// Asks the endpoint's own function about a certificate, if it has one.
async fn agreed(
    shared: &Shared,
    endpoint: &Endpoint,
    id: &CertificateId,
    chain: &[Vec<u8>],
) -> Result<(), Refusal> {
    let Some(arn) = &endpoint.terms.certificate_callback else { return Ok(()) };
    let asked = shared.access.validate_client_certificate(arn, id, endpoint.name.as_deref(), chain);
    Box::pin(asked).await.map_err(|why| Refusal::callback_refused(arn, &why))
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
