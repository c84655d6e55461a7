//! One request to one response: claim, key, route, body, signature, decode, constraints, permission, operation.

use std::fmt;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use access::iam::{CallFacts, Resource, Touched};
use access::{HttpsAuthorizer, HttpsGuest, NoSigner, Signer};
use broker::{Credential, HttpOrigin};
use bytes::Bytes;
use customauth::HttpPart;
use http::request::Parts;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Body;
use identity::{IamKind, IamPrincipal, Principal, Region, Timestamp};
use serde_json::{Map, Value};
use sigv4::{Claim, Expected, SignedPath};

use crate::answer::{self, Fault, Reply};
use crate::body::{self, BodyLimits, Unread};
use crate::decode::{Decoded, decode};
use crate::keys::AccessKeys;
use crate::model::{Location, Operation, Service};
use crate::own::OwnOperations;
use crate::route::{self, Labels, Unrouted};
use crate::{
    account, acm, browser, constraints, json_protocol, permissions, record, resources, service_quotas,
};

/// The Region of what is not regional.
const GLOBAL_REGION: &str = "us-east-1";

/// Who called.
#[derive(Clone, Debug)]
pub struct Caller {
    /// Who it is.
    pub credential: Credential,
    /// Where the request came from.
    pub peer: SocketAddr,
    /// The server name that it asked for by TLS, if the server has it.
    pub server_name: Option<Arc<str>>,
}

/// The outcome of an operation, some time.
pub type Performing<'a> = Pin<Box<dyn Future<Output = Result<Reply, Fault>> + Send + 'a>>;

/// Performs operations whose input has been checked.
pub trait Perform: Send + Sync {
    /// Performs one. The input keeps the constraints of `operation`.
    fn perform<'a>(
        &'a self,
        operation: &'static Operation,
        input: Decoded,
        caller: Caller,
        now: Timestamp,
    ) -> Performing<'a>;

    /// Performs one of IAM, AWS STS or Amazon Cognito.
    fn account<'a>(
        &'a self,
        entry: &'static account::Entry,
        _input: Map<String, Value>,
        _caller: &'a Caller,
        _now: Timestamp,
    ) -> account::Answering<'a> {
        let fault = Fault::new(501, "NotImplementedException", format!("{} is not built here", entry.name));
        Box::pin(std::future::ready(Err(fault)))
    }

    /// Whether the policies of the caller, who is not the account's owner, allow one of the actions (several names of the
    /// same one) on what it touches.
    fn allow<'a>(
        &'a self,
        _actions: Vec<String>,
        _touched: Touched,
        _facts: CallFacts<'a>,
        _caller: &'a Caller,
        _now: Timestamp,
    ) -> Allowing<'a> {
        let fault = Fault::new(403, "AccessDeniedException", "Only the account's owner is allowed here.");
        Box::pin(std::future::ready(Err(fault)))
    }

    /// Asks a custom authorizer about a request.
    fn authenticate<'a>(
        &'a self,
        guest: &'a HttpsGuest,
        authorizer: &'a HttpsAuthorizer,
        request: HttpPart,
        now: Timestamp,
    ) -> Authenticating<'a>;

    /// Whether the policies of a caller allow an action on a resource (kind and name), or on `*`.
    fn authorise<'a>(
        &'a self,
        origin: &'a HttpOrigin,
        action: &'a str,
        resource: Option<(&'a str, &'a str)>,
        now: Timestamp,
    ) -> Authorising<'a>;
}

/// Whom a custom authorizer lets in, some time.
pub type Authenticating<'a> = Pin<Box<dyn Future<Output = Result<Credential, Fault>> + Send + 'a>>;

/// Whether something is allowed, some time.
pub type Allowing<'a> = Pin<Box<dyn Future<Output = Result<(), Fault>> + Send + 'a>>;

/// The decision of policies, some time.
pub type Authorising<'a> = Pin<Box<dyn Future<Output = Result<(), Fault>> + Send + 'a>>;

/// All that is needed to answer a request.
pub struct Exchange {
    pub(crate) perform: Arc<dyn Perform>,
    pub(crate) own: OwnOperations,
    pub(crate) keys: Arc<dyn AccessKeys>,
    pub(crate) observers: events::Observers,
    pub(crate) clock: Arc<dyn Fn() -> Timestamp + Send + Sync>,
    pub(crate) wall: Arc<dyn Fn() -> Timestamp + Send + Sync>,
    pub(crate) guard_against_browsers: bool,
    pub(crate) region: Region,
    pub(crate) limits: BodyLimits,
}

/// What became known of a request on its way, for the response and the record.
#[derive(Default)]
pub(crate) struct Known {
    pub service: Option<Service>,
    pub access_key_id: Option<Arc<str>>,
    pub operation: Option<&'static str>,
    /// The client id and the topic that it asks about.
    pub about: (Box<str>, Box<str>),
    /// What else of the input AWS's log tells, under the names of its fields.
    pub asked: Vec<(&'static str, String)>,
    /// Of its body, as far as it was read.
    pub request_bytes: usize,
}

/// Of a connection: whether whoever is at its other end has signed a request. Goes with the requests, among their
/// extensions.
#[derive(Clone, Debug, Default)]
pub(crate) struct LetIn(Arc<AtomicBool>);

impl LetIn {
    /// Whether a signature has held.
    pub fn is_so(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    fn note(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Known {
    /// What the input names.
    pub(crate) fn note(&mut self, input: &Decoded) {
        let text = |name: &str| input.members.get(name).and_then(Value::as_str).unwrap_or_default().into();
        self.about = (text("clientId"), text("topic"));
        let told = ["maxResults", "confirmation", "timeout"];
        self.asked =
            told.into_iter().filter_map(|name| Some((name, plainly(input.members.get(name)?)))).collect();
    }
}

/// A value as the log shows it: a text without its quotes.
pub(crate) fn plainly(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// Bytes of the body of a response.
fn body_len(response: &Response<Full<Bytes>>) -> usize {
    usize::try_from(response.body().size_hint().lower()).unwrap_or(usize::MAX)
}

/// What a caller is told of a refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wire {
    /// Why it was refused.
    Tells,
    /// What AWS tells: that it was. The reason is in the event.
    SilentLikeAws,
}

/// A success.
pub(crate) enum Success {
    /// Of an operation of AWS.
    Aws(&'static Operation, Reply),
    /// Of IAM, AWS STS or Amazon Cognito.
    Account(&'static account::Entry, Value),
    /// Of one of our own.
    Own(Value),
}

/// A request whose signer is known, and whose signature is to be checked when its body is there.
pub(crate) struct Claimed {
    claim: Claim,
    service: Service,
    signer: Signer,
}

impl Claimed {
    /// The service that it is signed for.
    pub(crate) fn service(&self) -> Service {
        self.service
    }

    /// Who it says has signed.
    pub(crate) fn principal(&self) -> identity::Principal {
        self.signer.principal.clone()
    }

    /// Checks the signature of a request for an operation, if it is for one. Whoever has made it is let in.
    pub(crate) fn verify(
        &self,
        parts: &Parts,
        body: &[u8],
        operation: Option<&Operation>,
    ) -> Result<(), Fault> {
        let takes_rest = operation.is_some_and(Operation::takes_rest_of_path);
        let paths = if takes_rest { SignedPath::AsItCame } else { SignedPath::OrNormalised };
        let secret = &self.signer.secret.0;
        signed(parts, |request| self.claim.verify(request, body, secret, paths)).map_err(refused)?;
        parts.extensions.get::<LetIn>().into_iter().for_each(LetIn::note);
        Ok(())
    }
}

/// Whether a request claims to be signed at all.
pub(crate) fn claims_signature(parts: &Parts) -> bool {
    signed(parts, Claim::is_made_by)
}

impl Exchange {
    /// Answers one request.
    pub async fn answer<B>(&self, request: Request<B>, peer: SocketAddr) -> Response<Full<Bytes>>
    where
        B: Body<Data = Bytes>,
        B::Error: fmt::Display,
    {
        let started = (self.clock)();
        let mut known = Known::default();
        let outcome = self.outcome(request, peer, &mut known, started).await;
        self.respond(outcome, &known, (peer, started), Wire::Tells)
    }

    /// The response to an outcome, and the record of the call: whence it came and when.
    pub(crate) fn respond(
        &self,
        outcome: Result<Success, Fault>,
        known: &Known,
        (peer, started): (SocketAddr, Timestamp),
        wire: Wire,
    ) -> Response<Full<Bytes>> {
        let request_id = uuid::Uuid::new_v4().to_string();
        let ended = (self.clock)();
        if let Ok(success) = &outcome {
            let reply = if let Success::Aws(_, reply) = success { Some(reply) } else { None };
            record::of_device(&self.observers, known, Ok(reply), peer, ended);
        }
        let response = match outcome {
            Ok(Success::Aws(operation, reply)) => answer::success(operation, reply, &request_id),
            Ok(Success::Account(entry, output)) => answer::account(entry, output, &request_id),
            Ok(Success::Own(value)) => answer::own(&value, &request_id),
            Err(mut fault) => {
                record::refusal(&self.observers, known, &fault, peer, ended);
                record::of_device(&self.observers, known, Err(&fault), peer, ended);
                if wire == Wire::SilentLikeAws {
                    fault.hush();
                }
                answer::failure(&fault, known.service, &request_id)
            }
        };
        let answered = (response.status().as_u16(), body_len(&response));
        record::call(&self.observers, known, answered, started, ended);
        response
    }

    async fn outcome<B>(
        &self,
        request: Request<B>,
        peer: SocketAddr,
        known: &mut Known,
        now: Timestamp,
    ) -> Result<Success, Fault>
    where
        B: Body<Data = Bytes>,
        B::Error: fmt::Display,
    {
        let (parts, body) = request.into_parts();
        if let Some(entry) = account::unsigned(&parts) {
            return self.unsigned(entry, &parts, body, peer, known).await;
        }
        let claimed = match self.claimed(&parts, known).await {
            Ok(claimed) => claimed,
            Err(fault) => {
                // Nothing is kept of it; the peer may have to write it all before it reads the refusal.
                let _ = body::read(body, 0, self.limits.patience).await;
                return Err(fault);
            }
        };
        let (method, path) = (parts.method.as_str(), parts.uri.path());
        let service = claimed.service;
        let routed = match service {
            Service::ServiceQuotas => {
                let (all, prefix) = (&service_quotas::OPERATIONS, service_quotas::TARGET_PREFIX);
                json_protocol::find(all, prefix, (method, path), &parts.headers)
            }
            Service::Acm => {
                json_protocol::find(&acm::OPERATIONS, acm::TARGET_PREFIX, (method, path), &parts.headers)
            }
            _ => route::find(service, method, path),
        };
        let is_elsewhere = self.own.find(method, path).is_some() || Service::ACCOUNT.contains(&service);
        let operation = match &routed {
            Ok((operation, _)) => Some(*operation),
            Err(_) if is_elsewhere => None,
            Err(why) => {
                let fault = unrouted(why, service, &parts);
                return Err(self.unserved(&parts, body, Some(&claimed), fault).await);
            }
        };
        let body = self.body(body, operation).await?;
        known.request_bytes = body.len();
        claimed.verify(&parts, &body, operation)?;

        let credential = Credential::of(claimed.signer.principal);
        let caller = Caller { credential, peer, server_name: None };
        if let Some(found) = self.own.find(method, path) {
            let operation = found?;
            known.operation = Some(operation.name());
            caller.must_be_owner(operation.name())?;
            return operation.perform(&body).await.map(Success::Own);
        }
        if Service::ACCOUNT.contains(&service) {
            return self.account(service, &parts, &body, caller, known).await;
        }
        let (operation, labels) = routed.map_err(|why| unrouted(&why, service, &parts))?;
        known.operation = Some(operation.name);
        let input = self.input(operation, labels, &parts, body)?;
        known.note(&input);
        self.permit(operation, &input, &caller, now).await?;
        let reply = self.perform.perform(operation, input, caller, now).await?;
        Ok(Success::Aws(operation, reply))
    }

    /// What is said of a request for which there is no operation. Nothing is kept of its body; without one, a signature that
    /// is wrong is said first.
    pub(crate) async fn unserved<B>(
        &self,
        parts: &Parts,
        body: B,
        claimed: Option<&Claimed>,
        fault: Fault,
    ) -> Fault
    where
        B: Body<Data = Bytes>,
        B::Error: fmt::Display,
    {
        match (body::read(body, 0, self.limits.patience).await, claimed) {
            (Ok(nothing), Some(claimed)) => claimed.verify(parts, &nothing, None).err().unwrap_or(fault),
            _ => fault,
        }
    }

    /// An operation of IAM, AWS STS or Amazon Cognito. Their sessions end by the clock that signatures are held against.
    async fn account(
        &self,
        service: Service,
        parts: &Parts,
        body: &[u8],
        caller: Caller,
        known: &mut Known,
    ) -> Result<Success, Fault> {
        let now = (self.wall)();
        let (entry, mut input) = account::read_request(service, parts, body)?;
        known.operation = Some(entry.name);
        entry.complete(&mut input, &caller)?;
        if !caller.is_owner() {
            for (action, resource) in entry.questions(&input) {
                let touched = Touched::on(resource);
                self.perform.allow(vec![action], touched, CallFacts::default(), &caller, now).await?;
            }
        }
        let output = self.perform.account(entry, input, &caller, now).await?;
        Ok(Success::Account(entry, output))
    }

    /// One of the few operations that need no signature. Nobody calls it, and so nothing is allowed to the caller.
    async fn unsigned<B>(
        &self,
        entry: &'static account::Entry,
        parts: &Parts,
        body: B,
        peer: SocketAddr,
        known: &mut Known,
    ) -> Result<Success, Fault>
    where
        B: Body<Data = Bytes>,
        B::Error: fmt::Display,
    {
        known.service = Some(entry.service);
        let admitted = self.admit(parts);
        let body = self.body(body, None).await?;
        admitted?;
        let credential = Credential::of(Principal::Iam(Arc::new(nobody())));
        let caller = Caller { credential, peer, server_name: None };
        self.account(entry.service, parts, &body, caller, known).await
    }

    /// What the policies of an IAM principal must allow before an operation.
    pub(crate) async fn permit(
        &self,
        operation: &Operation,
        input: &Decoded,
        caller: &Caller,
        now: Timestamp,
    ) -> Result<(), Fault> {
        if caller.is_owner() || permissions::is_asked_later(operation) {
            return Ok(());
        }
        let facts = permissions::facts(operation, &input.members);
        let touched = resources::touched(operation, &input.members)?;
        let allowed = self.perform.allow(permissions::actions(operation), touched, facts, caller, now).await;
        allowed.map_err(|fault| permissions::in_words_of(operation, fault))?;
        for role in permissions::passed_roles(&input.members) {
            let (actions, role) = (vec!["iam:PassRole".into()], Touched::on(Resource::Arn(role)));
            self.perform.allow(actions, role, CallFacts::default(), caller, now).await?;
        }
        Ok(())
    }

    /// Whether to look at the request at all.
    fn admit(&self, parts: &Parts) -> Result<(), Fault> {
        if self.guard_against_browsers { browser::check(parts) } else { Ok(()) }
    }

    /// Who claims to call which service, and the secret that must have signed it.
    pub(crate) async fn claimed(&self, parts: &Parts, known: &mut Known) -> Result<Claimed, Fault> {
        self.admit(parts)?;
        let now = (self.wall)();
        let (claim, token) = signed(parts, |request| (Claim::read(request), request.session_token()));
        let claim = claim.map_err(refused)?;
        known.access_key_id = Some(claim.access_key_id().into());
        known.service = Service::from_scope(claim.service());
        let signer = self.keys.find(claim.access_key_id(), token.as_deref(), now).await;
        let signer = signer.map_err(|why| unsigned(why, &claim))?;
        let region = region_of(known.service, &claim, self.region.as_str());
        let expected = Expected { region, services: &Service::SCOPES, now };
        signed(parts, |request| claim.check(request, &expected)).map_err(refused)?;
        // Every scope has its service.
        let service = known.service.unwrap_or(Service::Thingcore);
        Ok(Claimed { claim, service, signer })
    }

    pub(crate) async fn body<B>(&self, body: B, operation: Option<&Operation>) -> Result<Bytes, Fault>
    where
        B: Body<Data = Bytes>,
        B::Error: fmt::Display,
    {
        let is_payload =
            operation.is_some_and(|o| o.input.members().iter().any(|m| m.at == Location::Payload));
        self.body_within(body, if is_payload { self.limits.payload_bytes } else { self.limits.json_bytes })
            .await
    }

    pub(crate) async fn body_within<B>(&self, body: B, limit: usize) -> Result<Bytes, Fault>
    where
        B: Body<Data = Bytes>,
        B::Error: fmt::Display,
    {
        let patience = self.limits.patience;
        body::read(body, limit, patience).await.map_err(|why| match why {
            Unread::TooLarge => Fault::new(
                413,
                "RequestEntityTooLargeException",
                format!("The body is larger than {limit} bytes, which is the limit of this operation."),
            ),
            Unread::TooSlow => Fault::new(
                408,
                "RequestTimeoutException",
                format!("The body did not arrive within {} s.", patience.as_secs()),
            ),
            Unread::Broken(text) => Fault::invalid(format!("The body could not be read: {text}.")),
        })
    }

    pub(crate) fn input(
        &self,
        operation: &Operation,
        labels: Labels,
        parts: &Parts,
        body: Bytes,
    ) -> Result<Decoded, Fault> {
        let query = parts.uri.query().unwrap_or_default();
        let input =
            decode(operation, labels, query, &parts.headers, body).map_err(|e| Fault::invalid(e.0))?;
        constraints::check(operation.input, &input.members).map_err(Fault::invalid)?;
        Ok(input)
    }
}

impl Caller {
    fn is_owner(&self) -> bool {
        matches!(self.credential.principal, Principal::AccessKey(_))
    }

    fn must_be_owner(&self, operation: &str) -> Result<(), Fault> {
        if self.is_owner() {
            return Ok(());
        }
        let message = format!(
            "{} is not authorized to perform {operation}: thingcore's own operations are for the access keys of the \
             account's owner.",
            self.credential.principal
        );
        Err(Fault::new(403, "AccessDeniedException", message))
    }
}

/// Who calls without a signature: a user that does not exist.
fn nobody() -> IamPrincipal {
    IamPrincipal {
        access_key_id: String::new(),
        unique_id: "ANONYMOUS".into(),
        kind: IamKind::User(String::new()),
        cognito: None,
        device: None,
        session_policy: None,
        issued: None,
    }
}

/// IAM has one Region for all, and AWS STS had.
fn region_of<'a>(service: Option<Service>, claim: &Claim, here: &'a str) -> &'a str {
    let global = matches!(service, Some(Service::Iam | Service::Sts));
    if global && claim.region() == GLOBAL_REGION { GLOBAL_REGION } else { here }
}

/// Gives `read` the parts of a request that a signature covers.
fn signed<T>(parts: &Parts, read: impl FnOnce(&sigv4::Request<'_>) -> T) -> T {
    let headers: Vec<(&str, &[u8])> = parts.headers.iter().map(|(n, v)| (n.as_str(), v.as_bytes())).collect();
    read(&sigv4::Request {
        method: parts.method.as_str(),
        path: parts.uri.path(),
        query: parts.uri.query().unwrap_or_default(),
        headers: &headers,
    })
}

/// Nobody may sign with this key.
fn unsigned(why: NoSigner, claim: &Claim) -> Fault {
    match why {
        NoSigner::UnknownKey => refused(sigv4::Refused::UnknownKey(claim.access_key_id().into())),
        NoSigner::Unavailable(detail) => Fault::new(503, "ServiceUnavailableException", detail),
        NoSigner::ExpiredToken => {
            Fault::new(403, "ExpiredTokenException", "The security token included in the request is expired")
        }
        NoSigner::InactiveKey | NoSigner::InvalidToken | NoSigner::Gone(_) => {
            let message = format!("The security token included in the request is invalid. In detail: {why}.");
            Fault::new(403, "UnrecognizedClientException", message)
        }
    }
}

fn refused(why: sigv4::Refused) -> Fault {
    Fault::new(403, why.error_type(), why.to_string())
}

pub(crate) fn unrouted(why: &Unrouted, service: Service, parts: &Parts) -> Fault {
    let (method, path) = (&parts.method, parts.uri.path());
    match why {
        Unrouted::UnknownPath => Fault::new(
            404,
            "UnknownOperationException",
            format!("{method} {path} is not an operation of the service {service} that the signature names."),
        ),
        Unrouted::NotText => Fault::invalid("The path holds percent-encoded bytes that are not UTF-8."),
        Unrouted::WrongMethod(allowed) => Fault {
            allow: allowed.as_slice().into(),
            ..Fault::new(
                405,
                "MethodNotAllowedException",
                format!("{path} does not take {method}; it takes {}.", allowed.join(", ")),
            )
        },
    }
}

#[cfg(test)]
pub(crate) mod tests;
