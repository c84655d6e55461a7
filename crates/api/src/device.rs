//! The data plane at the device endpoints: HTTPS on ports 443 and 8443, by signature or by client certificate.
//!
//! Source: developer guide, *HTTPS*; API reference, *Publish*. What differs from the API's own port: who calls may be
//! known from TLS already, and only the data planes are served.

use std::fmt;
use std::sync::Arc;

use access::{HttpsGuest, http_part};
use broker::{Credential, HttpOrigin};
use bytes::Bytes;
use http::request::Parts;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Body;
use identity::Timestamp;

use crate::answer::{Fault, Reply};
use crate::body;
use crate::exchange::{Caller, Claimed, Exchange, Known, Success, Wire, claims_signature, unrouted};
use crate::model::{Operation, Service};
use crate::route::{self, Labels, Unrouted};

/// Answers requests that came to device endpoints. Cheap to clone.
#[derive(Clone)]
pub struct DeviceApi(pub(crate) Arc<Exchange>);

impl DeviceApi {
    /// Answers one request of a guest.
    pub async fn answer<B>(&self, request: Request<B>, guest: &HttpsGuest) -> Response<Full<Bytes>>
    where
        B: Body<Data = Bytes>,
        B::Error: fmt::Display,
    {
        let exchange = &*self.0;
        let started = (exchange.clock)();
        let mut known = Known::default();
        let outcome = exchange.device_outcome(request, guest, &mut known, started).await;
        exchange.respond(outcome, &known, (guest.peer, started), Wire::SilentLikeAws)
    }
}

/// Operations beside `Publish`, which the broker decides, that a client certificate may be used for, and what its
/// policies are asked. Whether AWS takes certificates for the connection operations is not documented.
fn policy_of(operation: &'static str) -> Option<(&'static str, Option<&'static str>)> {
    match operation {
        "GetRetainedMessage" => Some(("iot:GetRetainedMessage", Some("topic"))),
        "ListRetainedMessages" => Some(("iot:ListRetainedMessages", None)),
        _ => None,
    }
}

impl Exchange {
    async fn device_outcome<B>(
        &self,
        request: Request<B>,
        guest: &HttpsGuest,
        known: &mut Known,
        now: Timestamp,
    ) -> Result<Success, Fault>
    where
        B: Body<Data = Bytes>,
        B::Error: fmt::Display,
    {
        let (parts, body) = request.into_parts();
        known.service = Some(Service::IotData);
        let (caller, body, signed) = match self.introduced(&parts, guest, known).await {
            Ok(Introduced::Known(credential)) => (credential, body, None),
            Ok(Introduced::Signed(claimed)) => (Credential::of(claimed.principal()), body, Some(claimed)),
            Err(fault) => {
                // Nothing is kept of it; the peer may have to write it all before it reads the refusal.
                let _ = body::read(body, 0, self.limits.patience).await;
                return Err(fault);
            }
        };
        let routed = find(&parts);
        let (operation, labels) = match routed {
            Ok(found) => found,
            Err(why) => {
                let fault = unrouted(&why, known.service.unwrap_or(Service::IotData), &parts);
                return Err(self.unserved(&parts, body, signed.as_ref(), fault).await);
            }
        };
        // Nothing that is served here is longer than the payload of a message.
        let body = self.body_within(body, self.limits.payload_bytes).await?;
        known.request_bytes = body.len();
        if let Some(claimed) = signed {
            claimed.verify(&parts, &body, Some(operation))?;
        }
        known.service = Some(operation.service);
        known.operation = Some(operation.name);
        let origin =
            HttpOrigin { credential: caller, peer: guest.peer, server_name: guest.server_name.clone() };
        self.may_call(operation, &labels, &origin, now).await?;
        let input = self.input(operation, labels, &parts, body)?;
        known.note(&input);
        let HttpOrigin { credential, peer, server_name } = origin;
        let caller = Caller { credential, peer, server_name };
        if matches!(caller.credential.principal, identity::Principal::Iam(_)) {
            self.permit(operation, &input, &caller, now).await?;
        }
        let reply: Reply = self.perform.perform(operation, input, caller, now).await?;
        Ok(Success::Aws(operation, reply))
    }

    /// Who calls.
    async fn introduced(
        &self,
        parts: &Parts,
        guest: &HttpsGuest,
        known: &mut Known,
    ) -> Result<Introduced, Fault> {
        if let (Some(credential), None) = (&guest.certificate, &guest.authorizer) {
            known.access_key_id = Some(credential.principal.identifier().into());
            return Ok(Introduced::Known(credential.clone()));
        }
        if guest.takes_signature && claims_signature(parts) {
            let claimed = self.claimed(parts, known).await?;
            let is_data = matches!(claimed.service(), Service::IotData | Service::IotJobsData);
            return if is_data { Ok(Introduced::Signed(claimed)) } else { Err(not_of_this_door(&claimed)) };
        }
        if let Some(authorizer) = &guest.authorizer {
            let part = http_part(&parts.headers, parts.uri.query().unwrap_or_default());
            let asked = self.perform.authenticate(guest, authorizer, part, (self.clock)()).await?;
            known.access_key_id = Some(asked.principal.identifier().into());
            return Ok(Introduced::Known(asked));
        }
        Err(Fault::new(
            403,
            "ForbiddenException",
            "Forbidden: the request has no credential that this endpoint takes. Sign it with Signature Version 4 \
             (service iotdata), or use a client certificate on port 8443 or with ALPN x-amzn-http-ca.",
        ))
    }

    /// What is asked of the caller's policies before an operation other than Publish.
    async fn may_call(
        &self,
        operation: &'static Operation,
        labels: &Labels,
        origin: &HttpOrigin,
        now: Timestamp,
    ) -> Result<(), Fault> {
        use identity::Principal::{Certificate, Custom};
        let decides = matches!(origin.credential.principal, Certificate(_) | Custom(_));
        if !decides || operation.name == "Publish" {
            return Ok(());
        }
        let is_certificate = matches!(origin.credential.principal, Certificate(_));
        let Some((action, kind)) = policy_of(operation.name).filter(|_| is_certificate) else {
            let what = if is_certificate { "client certificate" } else { "custom authorizer" };
            let text = format!("Forbidden: {} takes no {what}: sign the request.", operation.name);
            return Err(Fault::new(403, "ForbiddenException", text));
        };
        let name = labels.first().map_or("", |(_, value)| value.as_str());
        self.perform.authorise(origin, action, kind.map(|kind| (kind, name)), now).await
    }
}

/// Who calls, as far as the head of a request tells.
enum Introduced {
    /// By its client certificate.
    Known(Credential),
    /// By a signature, which the body completes.
    Signed(Claimed),
}

/// The data plane first, then the jobs data plane.
fn find(parts: &Parts) -> Result<(&'static Operation, Labels), Unrouted> {
    let (method, path) = (parts.method.as_str(), parts.uri.path());
    match route::find(Service::IotData, method, path) {
        Err(Unrouted::UnknownPath) => route::find(Service::IotJobsData, method, path),
        found => found,
    }
}

fn not_of_this_door(claimed: &Claimed) -> Fault {
    Fault::new(
        403,
        "InvalidSignatureException",
        format!(
            "This is a device endpoint: it serves the data planes (iotdata, iotdevicegateway, iot-jobs-data), and the \
             request is signed for {}.",
            claimed.service()
        ),
    )
}
