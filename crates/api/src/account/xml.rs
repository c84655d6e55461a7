//! The answers of the query protocol: XML.

use std::fmt::Write as _;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Response, StatusCode};
use http_body_util::Full;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

use crate::answer::Fault;
use crate::model::Service;

/// IAM writes policy documents percent-encoded by RFC 3986.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// The answer of an operation.
pub(crate) fn success(
    service: Service,
    name: &str,
    output: &Value,
    request_id: &str,
) -> Response<Full<Bytes>> {
    let mut text = format!("<{name}Response xmlns=\"{}\">", namespace(service));
    if output.is_object() {
        element(&mut text, &format!("{name}Result"), output);
    }
    text.push_str("<ResponseMetadata>");
    element(&mut text, "RequestId", &request_id.into());
    let _ = write!(text, "</ResponseMetadata></{name}Response>");
    respond(200, text, request_id)
}

/// A refusal.
pub(crate) fn failure(service: Service, fault: &Fault, request_id: &str) -> Response<Full<Bytes>> {
    let (code, status) = code(fault);
    let mut text = format!("<ErrorResponse xmlns=\"{}\"><Error>", namespace(service));
    element(&mut text, "Type", &if status < 500 { "Sender" } else { "Receiver" }.into());
    element(&mut text, "Code", &code.into());
    element(&mut text, "Message", &(*fault.message).into());
    text.push_str("</Error>");
    element(&mut text, "RequestId", &request_id.into());
    text.push_str("</ErrorResponse>");
    respond(status, text, request_id)
}

/// The query protocol's name of a fault: mostly that of the exception without its end.
fn code(fault: &Fault) -> (&str, u16) {
    match &*fault.error_type {
        "UnrecognizedClientException" => ("InvalidClientTokenId", 403),
        "InvalidSignatureException" => ("SignatureDoesNotMatch", 403),
        "ValidationException" | "InvalidRequestException" => ("ValidationError", 400),
        "LimitExceededException" => ("LimitExceeded", 409),
        "InternalFailureException" => ("InternalFailure", 500),
        "ThrottlingException" => ("Throttling", 400),
        other => (other.strip_suffix("Exception").unwrap_or(other), fault.status),
    }
}

fn namespace(service: Service) -> &'static str {
    match service {
        Service::Sts => "https://sts.amazonaws.com/doc/2011-06-15/",
        _ => "https://iam.amazonaws.com/doc/2010-05-08/",
    }
}

fn element(text: &mut String, name: &str, value: &Value) {
    let _ = write!(text, "<{name}>");
    match value {
        Value::Object(members) => members.iter().for_each(|(name, value)| element(text, name, value)),
        Value::Array(values) => values.iter().for_each(|value| element(text, "member", value)),
        Value::String(document) if name.ends_with("PolicyDocument") => {
            text.extend(utf8_percent_encode(document, ENCODED));
        }
        Value::String(plain) => escape(text, plain),
        Value::Null => {}
        other => escape(text, &other.to_string()),
    }
    let _ = write!(text, "</{name}>");
}

fn escape(text: &mut String, plain: &str) {
    for c in plain.chars() {
        match c {
            '&' => text.push_str("&amp;"),
            '<' => text.push_str("&lt;"),
            '>' => text.push_str("&gt;"),
            '"' => text.push_str("&quot;"),
            '\n' | '\t' => text.push(c),
            // XML 1.0 has no way to write them.
            c if c.is_control() || matches!(c, '\u{FFFE}' | '\u{FFFF}') => text.push('?'),
            c => text.push(c),
        }
    }
}

fn respond(status: u16, text: String, request_id: &str) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(text)));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/xml"));
    if let Ok(id) = HeaderValue::try_from(request_id) {
        headers.insert("x-amzn-requestid", id);
    }
    response
}
