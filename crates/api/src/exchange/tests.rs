//! Signed requests made by hand, performed by a double that echoes its input.

use std::time::Duration;

use http::{HeaderMap, Method, StatusCode};
use http_body_util::BodyExt as _;
use serde_json::{Value, json};

use sigv4::{Credentials, Target};

use super::*;
use crate::keys::Finding;

/// By the wall, which signatures are held against.
pub const NOW: Timestamp = Timestamp(1_800_000_000_000);
/// By the clock of operations: an hour off, beyond any patience with a signature.
const OPERATION: Timestamp = Timestamp(1_800_003_600_000);
const SECRET: &str = "secret";

struct OneKey;
impl AccessKeys for OneKey {
    fn find<'a>(&'a self, access_key_id: &'a str, _: Option<&'a str>, _: Timestamp) -> Finding<'a> {
        let found = match access_key_id {
            "AKID" => Ok(Signer {
                secret: services::shapes::Secret(SECRET.to_owned()),
                principal: identity::Principal::AccessKey("AKID".into()),
            }),
            _ => Err(NoSigner::UnknownKey),
        };
        Box::pin(std::future::ready(found))
    }
}

/// Echoes the input; refuses to delete anything.
struct Echo;
impl Perform for Echo {
    fn perform<'a>(
        &'a self,
        operation: &'static Operation,
        input: Decoded,
        caller: Caller,
        now: Timestamp,
    ) -> Performing<'a> {
        Box::pin(async move {
            assert_eq!((caller.credential.principal.identifier(), now), ("AKID", OPERATION));
            if operation.method == "DELETE" {
                let resource = Some(Box::new(("id".to_owned(), "arn".to_owned())));
                return Err(Fault { resource, ..Fault::new(409, "DeleteConflictException", "no") });
            }
            let mut members = input.members;
            members.insert("operation".into(), operation.name.into());
            members.insert("bytes".into(), input.payload.len().into());
            Ok(Reply { members, payload: None })
        })
    }

    fn authenticate<'a>(
        &'a self,
        _: &'a HttpsGuest,
        _: &'a HttpsAuthorizer,
        _: HttpPart,
        _: Timestamp,
    ) -> Authenticating<'a> {
        Box::pin(std::future::ready(Err(Fault::new(403, "ForbiddenException", "no"))))
    }

    fn authorise<'a>(
        &'a self,
        _: &'a HttpOrigin,
        _: &'a str,
        resource: Option<(&'a str, &'a str)>,
        _: Timestamp,
    ) -> Authorising<'a> {
        let allowed = resource == Some(("topic", "allowed"));
        let outcome = if allowed { Ok(()) } else { Err(Fault::new(403, "ForbiddenException", "no")) };
        Box::pin(std::future::ready(outcome))
    }
}

/// An exchange over the double, at a fixed time.
pub fn exchange() -> Exchange {
    Exchange {
        perform: Arc::new(Echo),
        own: OwnOperations::default().with("PutEcho", "PUT", "echo", Ok),
        keys: Arc::new(OneKey),
        observers: events::Observers::default(),
        clock: Arc::new(|| OPERATION),
        wall: Arc::new(|| NOW),
        guard_against_browsers: false,
        region: Region::new("eu-west-1").unwrap(),
        limits: BodyLimits { json_bytes: 2000, payload_bytes: 1000, patience: Duration::from_millis(50) },
    }
}

/// The headers of a signed request.
pub fn signed_headers(service: &str, method: &str, target: &str, body: &[u8]) -> Vec<(String, String)> {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let headers: [(&str, &[u8]); 1] = [("host", b"localhost")];
    let request = sigv4::Request { method, path, query, headers: &headers };
    let key = Credentials { access_key_id: "AKID", secret_access_key: SECRET, session_token: None };
    let target = Target { region: "eu-west-1", service };
    let added = sigv4::sign(&request, body, &key, &target, NOW);
    let mut all = vec![("host".to_owned(), "localhost".to_owned())];
    all.extend(added.into_iter().map(|(name, value)| (name.to_owned(), value)));
    all
}

fn request(service: &str, method: &str, target: &str, body: &str) -> Request<Full<Bytes>> {
    let mut request = Request::new(Full::new(Bytes::copy_from_slice(body.as_bytes())));
    *request.method_mut() = Method::from_bytes(method.as_bytes()).unwrap();
    *request.uri_mut() = target.parse().unwrap();
    for (name, value) in signed_headers(service, method, target, body.as_bytes()) {
        request.headers_mut().insert(http::HeaderName::try_from(name).unwrap(), value.parse().unwrap());
    }
    request
}

#[tokio::test]
async fn observers_are_told_of_every_call_and_of_why_it_was_refused() {
    let recorder = Arc::new(events::Recorder::new(8));
    let exchange = Exchange { observers: events::Observers::new([recorder.clone() as Arc<_>]), ..exchange() };
    let peer = "127.0.0.1:9".parse().unwrap();
    exchange.answer(request("iot", "GET", "/things", ""), peer).await;
    exchange.answer(request("iot", "GET", "/things?maxResults=0", ""), peer).await;
    let kinds = [events::Kind::ApiCall, events::Kind::ApiRefused, events::Kind::ApiCall];
    assert_eq!(recorder.kinds(), kinds);
}

async fn answered(request: Request<Full<Bytes>>) -> (StatusCode, HeaderMap, Value) {
    let response = exchange().answer(request, "127.0.0.1:9".parse().unwrap()).await;
    let (parts, body) = response.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    assert_eq!(parts.headers["content-type"], "application/json");
    assert_eq!(parts.headers["x-amzn-requestid"].len(), 36);
    (parts.status, parts.headers, serde_json::from_slice(&body).unwrap())
}

async fn refused(request: Request<Full<Bytes>>) -> (u16, String, String) {
    let (status, headers, body) = answered(request).await;
    let name = headers["x-amzn-errortype"].to_str().unwrap().to_owned();
    (status.as_u16(), name, body["message"].as_str().unwrap().to_owned())
}

#[tokio::test]
async fn a_signed_request_reaches_its_operation() {
    let (status, _, body) = answered(request("iot", "POST", "/things/t1", r#"{"thingTypeName":"x"}"#)).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(
        body,
        json!({"operation": "CreateThing", "thingName": "t1", "thingTypeName": "x", "bytes": 0})
    );
    let (_, _, body) = answered(request("iotdevicegateway", "POST", "/topics/a/b?qos=1", "raw")).await;
    assert_eq!(body, json!({"operation": "Publish", "topic": "a/b", "qos": 1, "bytes": 3}));
}

#[tokio::test]
async fn refusals_have_the_shape_of_aws() {
    let (status, headers, body) = answered(request("iot", "DELETE", "/things/t1", "")).await;
    assert_eq!(
        (status.as_u16(), &headers["x-amzn-errortype"]),
        (409, &"DeleteConflictException".parse().unwrap())
    );
    assert_eq!(body, json!({"message": "no", "resourceId": "id", "resourceArn": "arn"}));

    let (status, name, message) = refused(request("iot", "POST", "/things/a%20b", "")).await;
    assert_eq!((status, name.as_str()), (400, "InvalidRequestException"));
    assert!(message.contains("satisfy regular expression pattern: [a-zA-Z0-9:_-]+"), "{message}");

    let (status, name, _) = refused(request("iot", "GET", "/nowhere", "")).await;
    assert_eq!((status, name.as_str()), (404, "UnknownOperationException"));

    let (status, headers, _) = answered(request("iot", "PUT", "/endpoint", "")).await;
    assert_eq!((status.as_u16(), &headers["allow"]), (405, &"GET".parse().unwrap()));

    let (status, _, body) = answered(request("iotdata", "POST", "/topics/t?qos=2", "")).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert_eq!(body["traceId"].as_str().unwrap().len(), 36);
}

#[tokio::test]
async fn nothing_is_said_of_an_operation_before_the_signature_is_right() {
    let mut unsigned = request("iot", "GET", "/nowhere", "");
    unsigned.headers_mut().remove("authorization");
    let (status, name, _) = refused(unsigned).await;
    assert_eq!((status, name.as_str()), (403, "MissingAuthenticationTokenException"));

    let mut changed = request("iot", "GET", "/things", "");
    *changed.uri_mut() = "/nowhere".parse().unwrap();
    let (status, name, _) = refused(changed).await;
    assert_eq!((status, name.as_str()), (403, "InvalidSignatureException"));

    let mut unknown = request("iot", "GET", "/things", "");
    let value = unknown.headers()["authorization"].to_str().unwrap().replace("AKID", "OTHER");
    unknown.headers_mut().insert("authorization", value.parse().unwrap());
    assert_eq!(refused(unknown).await.1, "UnrecognizedClientException");
}

#[tokio::test]
async fn a_body_is_bounded_by_the_kind_of_its_operation() {
    let (status, name, _) = refused(request("iotdata", "POST", "/topics/t", &"x".repeat(1001))).await;
    assert_eq!((status, name.as_str()), (413, "RequestEntityTooLargeException"));
    let (status, ..) = answered(request("iotdata", "POST", "/topics/t", &"x".repeat(1000))).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(refused(request("iot", "POST", "/things/t", &" ".repeat(2001))).await.0, 413);
    assert_eq!(answered(request("iot", "POST", "/things/t", &" ".repeat(2000))).await.0, StatusCode::OK);
}

#[tokio::test]
async fn own_operations_are_signed_like_all_others() {
    for service in ["thingcore", "iot", "iotdata"] {
        let (status, _, body) = answered(request(service, "PUT", "/thingcore/echo", "[1]")).await;
        assert_eq!((status, body), (StatusCode::OK, json!([1])), "{service}");
    }
    assert_eq!(refused(request("thingcore", "PUT", "/thingcore/echo", "[")).await.0, 400);
    assert_eq!(refused(request("thingcore", "GET", "/things", "")).await.0, 404);
    let mut unsigned = request("iot", "PUT", "/thingcore/echo", "[1]");
    unsigned.headers_mut().remove("authorization");
    assert_eq!(refused(unsigned).await.0, 403);
}
