//! What goes back: a reply or a fault, and its HTTP form.

use std::borrow::Cow;

use bytes::Bytes;
use http::header::{ALLOW, CONTENT_TYPE, HeaderName, HeaderValue};
use http::{Response, StatusCode};
use http_body_util::Full;
use serde_json::{Map, Value, json};

use crate::account;
use crate::model::{Location, Operation, Service};

/// The outcome of an operation.
#[derive(Debug, Default)]
pub struct Reply {
    /// The members of the output by their names on the wire; none for an output without members.
    pub members: Map<String, Value>,
    /// The body of an operation whose output has a payload.
    pub payload: Option<Bytes>,
}

/// A refusal or failure, as the caller sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The name of AWS's exception.
    pub error_type: Cow<'static, str>,
    /// The HTTP status.
    pub status: u16,
    /// What happened, to whom, why, what to do.
    pub message: Box<str>,
    /// `resourceId` and `resourceArn` of ResourceAlreadyExistsException.
    pub resource: Option<Box<(String, String)>>,
    /// The methods that the path has, with 405.
    pub allow: Box<[&'static str]>,
}

impl Fault {
    /// A fault without extras.
    pub fn new(status: u16, error_type: &'static str, message: impl Into<Box<str>>) -> Self {
        Self {
            error_type: error_type.into(),
            status,
            message: message.into(),
            resource: None,
            allow: Box::default(),
        }
    }

    /// `InvalidRequestException`, 400.
    pub fn invalid(message: impl Into<Box<str>>) -> Self {
        Self::new(400, "InvalidRequestException", message)
    }

    /// Takes away what would tell a stranger more than AWS does: which part of a signature was wrong, and with it which
    /// access keys there are; what went wrong inside.
    pub(crate) fn hush(&mut self) {
        match self.status {
            403 => {
                self.error_type = "ForbiddenException".into();
                self.message = "Forbidden".into();
            }
            503 => self.message = "The service is temporarily unavailable.".into(),
            500.. => self.message = "An unexpected error has occurred.".into(),
            _ => {}
        }
    }

    /// `InternalFailureException`, 500.
    pub fn internal(message: impl Into<Box<str>>) -> Self {
        Self::new(500, "InternalFailureException", message)
    }
}

/// The HTTP form of a reply.
pub fn success(operation: &Operation, mut reply: Reply, request_id: &str) -> Response<Full<Bytes>> {
    let mut status = operation.status;
    let mut headers = Vec::new();
    for bound in operation.output {
        match (bound.at, reply.members.remove(bound.name)) {
            (Location::StatusCode, Some(value)) => {
                status = value.as_u64().and_then(|code| u16::try_from(code).ok()).unwrap_or(status);
            }
            (Location::Header, Some(value)) => {
                let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                headers.extend(HeaderName::try_from(bound.wire).ok().zip(HeaderValue::try_from(text).ok()));
            }
            _ => {}
        }
    }
    // AWS's data plane repeats the request's id in its bodies.
    if let Some(trace) = reply.members.get_mut("traceId") {
        *trace = request_id.into();
    }
    let body = reply.payload.unwrap_or_else(|| Value::Object(reply.members).to_string().into());
    let mut response = respond(status, body, request_id);
    response.headers_mut().extend(headers);
    speak(Some(operation.service), &mut response);
    response
}

/// The HTTP form of an answer of IAM, AWS STS or Amazon Cognito.
pub fn account(entry: &account::Entry, output: Value, request_id: &str) -> Response<Full<Bytes>> {
    if entry.service != Service::CognitoIdentity {
        return account::success(entry.service, entry.name, &output, request_id);
    }
    let output = if output.is_null() { json!({}) } else { output };
    let mut response = respond(200, output.to_string().into(), request_id);
    speak(Some(entry.service), &mut response);
    response
}

/// The HTTP form of an answer of thingcore's own.
pub fn own(value: &Value, request_id: &str) -> Response<Full<Bytes>> {
    respond(200, value.to_string().into(), request_id)
}

/// The HTTP form of a fault. The data plane's bodies carry a `traceId`.
pub fn failure(fault: &Fault, service: Option<Service>, request_id: &str) -> Response<Full<Bytes>> {
    if let Some(service @ (Service::Iam | Service::Sts)) = service {
        return account::failure(service, fault, request_id);
    }
    let mut body = json!({ "message": fault.message });
    if let (Some(object), Some((id, arn))) = (body.as_object_mut(), fault.resource.as_deref()) {
        object.insert("resourceId".into(), id.as_str().into());
        object.insert("resourceArn".into(), arn.as_str().into());
    }
    let error_type = error_type(fault, service);
    match (body.as_object_mut(), service) {
        (Some(object), Some(Service::IotData)) => {
            object.insert("traceId".into(), request_id.into());
        }
        (Some(object), Some(service)) if service.speaks_json() => {
            object.insert("__type".into(), error_type.into());
        }
        _ => {}
    }
    let status = match (service, &*fault.error_type) {
        // 400 in the control plane's model, 429 in those of the data planes.
        (Some(Service::IotData | Service::IotJobsData), "ThrottlingException") => 429,
        (Some(Service::Acm), "ResourceNotFoundException" | "LimitExceededException") => 400,
        // JSON 1.1 knows one status for all that the caller did wrong.
        (Some(Service::CognitoIdentity), _) if fault.status < 500 => 400,
        _ => fault.status,
    };
    let mut response = respond(status, body.to_string().into(), request_id);
    if let Ok(name) = HeaderValue::try_from(error_type) {
        response.headers_mut().insert("x-amzn-errortype", name);
    }
    if let (false, Ok(methods)) = (fault.allow.is_empty(), HeaderValue::try_from(fault.allow.join(", "))) {
        response.headers_mut().insert(ALLOW, methods);
    }
    speak(service, &mut response);
    response
}

/// What the services with the JSON protocol call a fault.
fn error_type(fault: &Fault, service: Option<Service>) -> &str {
    match (service, &*fault.error_type) {
        (Some(Service::ServiceQuotas), "InvalidRequestException") => "IllegalArgumentException",
        (Some(Service::Acm), "InvalidRequestException") => "ValidationException",
        (Some(Service::CognitoIdentity), "InvalidRequestException" | "ValidationException") => {
            "InvalidParameterException"
        }
        (Some(Service::CognitoIdentity), "ThrottlingException") => "TooManyRequestsException",
        (Some(Service::CognitoIdentity), "InternalFailureException") => "InternalErrorException",
        (_, name) => name,
    }
}

/// Some services speak another protocol than those of AWS IoT.
fn speak(service: Option<Service>, response: &mut Response<Full<Bytes>>) {
    if service.is_some_and(Service::speaks_json) {
        let json = HeaderValue::from_static("application/x-amz-json-1.1");
        response.headers_mut().insert(CONTENT_TYPE, json);
    }
}

fn respond(status: u16, body: Bytes, request_id: &str) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if let Ok(id) = HeaderValue::try_from(request_id) {
        headers.insert("x-amzn-requestid", id);
    }
    response
}
