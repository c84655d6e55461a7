//! Signature Version 4 on the request that becomes a WebSocket: in the query, as the AWS SDKs make it, or in a header.
//!
//! Source: developer guide, *MQTT over the WebSocket protocol*; service name `iotdevicegateway`. The expiry of the
//! signature is that of the upgrade: the connection lives on.

use access::NoSigner;
use http::request::Parts;
use identity::{Principal, Timestamp};
use sigv4::{Claim, Expected, Refused, Request, SignedPath};

use crate::door::Shared;
use crate::refusal::Refusal;

/// The service that the signature must be for.
const SERVICES: [&str; 1] = ["iotdevicegateway"];

const AWS_SIGV4: &str = "AWS_SIGV4";

/// Whether the request claims to be signed.
pub(super) fn is_there(parts: &Parts) -> bool {
    read(parts, Claim::is_made_by)
}

/// Who signed the request. `wall` is the time that signatures are held against.
pub(super) async fn verify(shared: &Shared, parts: &Parts, wall: Timestamp) -> Result<Principal, Refusal> {
    let (claim, token) = read(parts, |request| (Claim::read(request), request.session_token()));
    let claim = claim.map_err(|why| refused(&why))?;
    let signer = shared.access.signer(claim.access_key_id(), token.as_deref(), wall).await;
    let signer = signer.map_err(|why| no_signer(&why, &claim))?;
    let region = shared.services.site().region.as_str();
    let expected = Expected { region, services: &SERVICES, now: wall };
    read(parts, |request| {
        claim.check(request, &expected)?;
        claim.verify(request, b"", &signer.secret.0, SignedPath::AsItCame)
    })
    .map_err(|why| refused(&why))?;
    Ok(signer.principal)
}

fn read<T>(parts: &Parts, read: impl FnOnce(&Request<'_>) -> T) -> T {
    let headers: Vec<(&str, &[u8])> = parts.headers.iter().map(|(n, v)| (n.as_str(), v.as_bytes())).collect();
    read(&Request {
        method: parts.method.as_str(),
        path: parts.uri.path(),
        query: parts.uri.query().unwrap_or_default(),
        headers: &headers,
    })
}

/// In the words of AWS's log.
fn refused(why: &Refused) -> Refusal {
    let reason = match why {
        Refused::Signature { .. } | Refused::BodyHash => "SECURITY_TOKEN_SIGNATURE_MISMATCH",
        Refused::Expired { .. } => "SECURITY_TOKEN_EXPIRED",
        _ => "SECURITY_TOKEN_INVALID",
    };
    Refusal::new(reason, why.to_string(), "sign GET /mqtt for service iotdevicegateway in this server's Region, with the host as it is sent; append the \
         session token after signing").by(AWS_SIGV4)
}

fn no_signer(why: &NoSigner, claim: &Claim) -> Refusal {
    match why {
        NoSigner::Unavailable(detail) => Refusal::store_failed(detail),
        other => {
            let detail = format!("access key {:?}: {other}", claim.access_key_id());
            Refusal::new(
                "SECURITY_TOKEN_INVALID",
                detail,
                "use an active access key of this server, and with ASIA keys their own session token",
            )
        }
    }
    .by(AWS_SIGV4)
}
