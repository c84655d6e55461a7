//! The services that say who may sign: IAM and AWS STS in the query protocol, Amazon Cognito identity pools in JSON 1.1.
//!
//! An operation has one line in a table: its name, what it is performed on, and the method of `access` that
//! performs it. `query` and `xml` are the protocol.

mod cognito;
mod iam;
mod query;
mod sts;
mod xml;

use std::future::Future;
use std::pin::Pin;

use access::Access;
use access::iam::Resource;
use http::request::Parts;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use services::{ApiError, ErrorCode};

use crate::answer::Fault;
use crate::exchange::Caller;
use crate::model::Service;
use crate::{permissions, unfit};

pub(crate) use query::parameters;
pub(crate) use xml::{failure, success};

/// The outcome of an operation, some time. `null` for one that answers nothing.
pub type Answering<'a> = Pin<Box<dyn Future<Output = Result<Value, Fault>> + Send + 'a>>;

type Call = for<'a> fn(&'a Access, Map<String, Value>, &'a Caller, identity::Timestamp) -> Answering<'a>;

/// What an operation is performed on, and so what the caller must be allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum On {
    /// Nobody needs a permission, or the service asks by itself.
    Anything,
    /// `*`.
    All,
    /// The member `UserName`.
    User,
    /// The member `RoleName`.
    Role,
    /// The member `IdentityPoolId`.
    IdentityPool,
}

/// One operation.
pub struct Entry {
    pub(crate) service: Service,
    pub(crate) name: &'static str,
    pub(crate) on: On,
    call: Call,
}

/// `operations![Iam: CreateUser on User => create_user, ...]`: operations that need their input and the time.
macro_rules! operations {
    ($service:ident: $($name:ident on $on:ident => $method:ident),+ $(,)?) => {
        &[$(crate::account::Entry {
            service: crate::model::Service::$service,
            name: stringify!($name),
            on: crate::account::On::$on,
            call: |access, input, _caller, now| Box::pin(async move {
                crate::account::written(access.$method(crate::account::read(input)?, now).await)
            }),
        }),+]
    };
}
use operations;

const TABLES: [&[Entry]; 4] = [iam::OPERATIONS, sts::OPERATIONS, cognito::OPERATIONS, cognito::UNSIGNED];

/// The operation of a service.
pub(crate) fn find(service: Service, name: &str) -> Result<&'static Entry, Fault> {
    let mut all = TABLES.into_iter().flatten();
    all.find(|entry| entry.service == service && entry.name == name).ok_or_else(|| {
        let message = format!("{name:?} is not an operation of {service} that thingcore has.");
        match service {
            Service::CognitoIdentity => Fault::new(400, "UnknownOperationException", message),
            _ => Fault::new(400, "InvalidActionException", message),
        }
    })
}

/// The operation that a request without a signature names, if it is one that needs none.
pub(crate) fn unsigned(parts: &Parts) -> Option<&'static Entry> {
    let is_signed = parts.headers.contains_key("authorization")
        || parts.uri.query().is_some_and(|query| query.contains("X-Amz-Signature"));
    let name = cognito::target(&parts.headers).filter(|_| !is_signed && is_root(parts))?;
    cognito::UNSIGNED.iter().find(|entry| entry.name == name)
}

/// The operation of a signed request and its input.
pub(crate) fn read_request(
    service: Service,
    parts: &Parts,
    body: &[u8],
) -> Result<(&'static Entry, Map<String, Value>), Fault> {
    if !is_root(parts) {
        let message =
            format!("{} {} is not a place of {service}: POST to /.", parts.method, parts.uri.path());
        return Err(Fault::new(404, "UnknownOperationException", message));
    }
    if service == Service::CognitoIdentity {
        let none =
            || Fault::new(400, "UnknownOperationException", "The header X-Amz-Target names no operation.");
        let entry = find(service, cognito::target(&parts.headers).ok_or_else(none)?)?;
        return Ok((entry, cognito::input(body)?));
    }
    let mut input = parameters(parts.uri.query().unwrap_or_default().as_bytes())?;
    input.extend(parameters(body)?);
    let none = || Fault::new(400, "MissingActionException", "The parameter Action is missing.");
    let action = input.remove("Action").ok_or_else(none)?;
    let entry = find(service, action.as_str().unwrap_or_default())?;
    Ok((entry, input))
}

fn is_root(parts: &Parts) -> bool {
    parts.uri.path() == "/" && (parts.method == http::Method::POST || parts.method == http::Method::GET)
}

impl Entry {
    /// Performs it.
    pub(crate) fn perform<'a>(
        &self,
        access: &'a Access,
        input: Map<String, Value>,
        caller: &'a Caller,
        now: identity::Timestamp,
    ) -> Answering<'a> {
        (self.call)(access, input, caller, now)
    }

    /// Completes the input by what follows from the caller: IAM's operations on users are about the caller's own without
    /// a name. Then the resource must be named.
    pub(crate) fn complete(&self, input: &mut Map<String, Value>, caller: &Caller) -> Result<(), Fault> {
        let member = match self.on {
            On::Anything | On::All => return Ok(()),
            On::User => {
                iam::own_user(input, caller)?;
                "UserName"
            }
            On::Role => "RoleName",
            On::IdentityPool => "IdentityPoolId",
        };
        // What is asked for must be what is then done.
        if input.get(member).is_some_and(|name| name.as_str().is_some_and(|name| !name.is_empty())) {
            return Ok(());
        }
        Err(Fault::new(
            400,
            ErrorCode::Validation.name(),
            format!("The request must contain the parameter {member}"),
        ))
    }

    /// Each action with its resource that the caller must be allowed.
    pub(crate) fn questions(&self, input: &Map<String, Value>) -> Vec<(String, Resource)> {
        let name = |member: &str| input.get(member).and_then(Value::as_str).unwrap_or_default();
        let resource = match self.on {
            On::Anything => return Vec::new(),
            On::All => Resource::All,
            On::User => Resource::Iam(format!("user/{}", name("UserName"))),
            On::Role => Resource::Iam(format!("role/{}", name("RoleName"))),
            On::IdentityPool => Resource::IdentityPool(name("IdentityPoolId").to_owned()),
        };
        let mut questions = vec![(format!("{}:{}", self.service.signing_name(), self.name), resource)];
        if self.service == Service::CognitoIdentity {
            let roles = permissions::passed_roles(input).into_iter();
            questions.extend(roles.map(|arn| ("iam:PassRole".to_owned(), Resource::Arn(arn))));
        }
        questions
    }
}

/// The members as the input structure of a service.
fn read<T: DeserializeOwned>(input: Map<String, Value>) -> Result<T, Fault> {
    serde_json::from_value(Value::Object(input)).map_err(|error| {
        let message = format!("The request does not fit the operation: {}.", unfit::why(&error));
        Fault::new(400, ErrorCode::Validation.name(), message)
    })
}

/// The output of a service as members.
fn written<T: Serialize>(output: Result<T, ApiError>) -> Result<Value, Fault> {
    let output = output.map_err(crate::operations::fault)?;
    serde_json::to_value(output)
        .map_err(|error| Fault::internal(format!("The output could not be written: {error}.")))
}

#[cfg(test)]
mod tests;
