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
            "AKIAUSER" => Ok(Signer {
                secret: services::shapes::Secret(SECRET.to_owned()),
                principal: Principal::Iam(Arc::new(nobody())),
            }),
            "ASIAOLD" => Err(NoSigner::ExpiredToken),
            "ASIAFORGED" => Err(NoSigner::InvalidToken),
            "AKIAOFF" => Err(NoSigner::InactiveKey),
            "AKIADOWN" => Err(NoSigner::Unavailable("/var/lib/secret: broken".to_owned())),
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
            assert!(["AKID", "ANONYMOUS"].contains(&caller.credential.principal.identifier()));
            assert_eq!(now, OPERATION);
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

    fn account<'a>(
        &'a self,
        entry: &'static account::Entry,
        input: Map<String, Value>,
        caller: &'a Caller,
        now: Timestamp,
    ) -> account::Answering<'a> {
        assert_eq!(now, NOW, "sessions end by the clock on the wall");
        let answer =
            json!({"Operation": entry.name, "Who": caller.credential.principal.identifier(), "Input": input});
        Box::pin(std::future::ready(Ok(answer)))
    }

    /// Things that begin with a, and roles of that name.
    fn allow<'a>(
        &'a self,
        actions: Vec<String>,
        touched: Touched,
        _facts: CallFacts<'a>,
        _caller: &'a Caller,
        _now: Timestamp,
    ) -> Allowing<'a> {
        let allowed = |resource: &&Resource| match resource {
            Resource::Iot(name) => name.starts_with("thing/a"),
            Resource::Arn(arn) => arn.ends_with(":role/a"),
            _ => false,
        };
        let denied =
            |resource: &&Resource| matches!(resource, Resource::Iot(name) if name.ends_with("/denied"));
        let refused = touched.required.iter().find(|one| !allowed(one));
        let refused = refused.or_else(|| touched.named.iter().find(denied));
        let fault = |one| Fault::new(403, "AccessDeniedException", format!("{actions:?} on {one:?}"));
        Box::pin(std::future::ready(refused.map_or(Ok(()), |one| Err(fault(one)))))
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
    headers_by("AKID", (service, "eu-west-1"), method, target, body)
}

fn headers_by(
    access_key_id: &str,
    (service, region): (&str, &str),
    method: &str,
    target: &str,
    body: &[u8],
) -> Vec<(String, String)> {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let headers: [(&str, &[u8]); 1] = [("host", b"localhost")];
    let request = sigv4::Request { method, path, query, headers: &headers };
    let key = Credentials { access_key_id, secret_access_key: SECRET, session_token: None };
    let target = Target { region, service };
    let added = sigv4::sign(&request, body, &key, &target, NOW);
    let mut all = vec![("host".to_owned(), "localhost".to_owned())];
    all.extend(added.into_iter().map(|(name, value)| (name.to_owned(), value)));
    all
}

fn request(service: &str, method: &str, target: &str, body: &str) -> Request<Full<Bytes>> {
    request_by("AKID", (service, "eu-west-1"), method, target, body)
}

fn request_by(
    access_key_id: &str,
    scope: (&str, &str),
    method: &str,
    target: &str,
    body: &str,
) -> Request<Full<Bytes>> {
    let mut request = Request::new(Full::new(Bytes::copy_from_slice(body.as_bytes())));
    *request.method_mut() = Method::from_bytes(method.as_bytes()).unwrap();
    *request.uri_mut() = target.parse().unwrap();
    for (name, value) in headers_by(access_key_id, scope, method, target, body.as_bytes()) {
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
    let content_type = parts.headers["content-type"].to_str().unwrap();
    assert!(["application/json", "application/x-amz-json-1.1"].contains(&content_type), "{content_type}");
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
async fn a_signature_for_one_topic_is_not_turned_into_one_for_another() {
    for (method, signed, sent) in
        [("POST", "/topics/a/b", "/topics//a/./b"), ("GET", "/retainedMessage/a/b", "/retainedMessage/a//b")]
    {
        let mut changed = request("iotdata", method, signed, "");
        *changed.uri_mut() = sent.parse().unwrap();
        assert_eq!(refused(changed).await.1, "InvalidSignatureException", "{sent}");
        let (status, ..) = answered(request("iotdata", method, sent, "")).await;
        assert_eq!(status, StatusCode::OK, "{sent}");
    }
    let mut normalised = request("iot", "GET", "/things", "");
    *normalised.uri_mut() = "/./things".parse().unwrap();
    assert_eq!(refused(normalised).await.1, "UnknownOperationException", "the signature is right");
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
async fn what_has_no_operation_is_answered_before_its_body_is_kept() {
    // More than any operation takes: whoever reads it says so.
    let long = "x".repeat(3000);
    for (service, method, path, expected) in
        [("iot", "POST", "/nowhere", 404), ("iot", "PUT", "/endpoint", 405), ("acm", "POST", "/", 404)]
    {
        let status = refused(request(service, method, path, &long)).await.0;
        assert_eq!(status, expected, "{method} {path}");
    }
    assert_eq!(at_the_door(request("iotdata", "POST", "/nowhere", &long)).await.0, 404);
    let (status, _) = text(request("sts", "POST", "/", &long)).await;
    assert_eq!(status, 413, "its operations stand in the body");
}

#[tokio::test]
async fn a_device_endpoint_takes_no_more_than_a_payload() {
    for (target, service) in
        [("/things/t/jobs/$next", "iot-jobs-data"), ("/connections/c/messages?topic=t", "iotdata")]
    {
        let method = if service == "iotdata" { "POST" } else { "PUT" };
        let of = |length: usize| request(service, method, target, &" ".repeat(length));
        assert_eq!(at_the_door(of(1001)).await.0, 413, "{target}");
        assert_eq!(at_the_door(of(1000)).await.0, 200, "{target}");
    }
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

const IOT: (&str, &str) = ("iot", "eu-west-1");

#[tokio::test]
async fn a_user_is_asked_for_every_resource_and_every_role_that_is_passed() {
    let ask = |method, target, body| answered(request_by("AKIAUSER", IOT, method, target, body));
    let (status, _, body) = ask("POST", "/things/a1", "").await;
    assert_eq!((status, &body["operation"]), (StatusCode::OK, &json!("CreateThing")));
    let (status, headers, body) = ask("POST", "/things/b1", "").await;
    assert_eq!(
        (status, headers["x-amzn-errortype"].to_str().unwrap()),
        (StatusCode::FORBIDDEN, "AccessDeniedException")
    );
    assert_eq!(body["message"], r#"["iot:CreateThing"] on Iot("thing/b1")"#);
    assert_eq!(ask("GET", "/things", "").await.0, StatusCode::FORBIDDEN);
    assert_eq!(
        ask("GET", "/things/a1/jobs/j", "").await.0,
        StatusCode::FORBIDDEN,
        "the job is another resource"
    );
    let typed = |name: &str| format!(r#"{{"thingTypeName":"{name}"}}"#);
    let (open, denied) = (typed("y"), typed("denied"));
    assert_eq!(ask("POST", "/things/a1", &open).await.0, StatusCode::OK);
    assert_eq!(ask("POST", "/things/a1", &denied).await.0, StatusCode::FORBIDDEN, "the body names it");
    let group = r#"{"thingGroupsToAdd":["g"],"thingName":"a1"}"#;
    let (status, _, body) = ask("PUT", "/thing-groups/updateThingGroupsForThing", group).await;
    assert_eq!(status, StatusCode::FORBIDDEN);
    assert_eq!(body["message"], r#"["iot:UpdateThingGroupsForThing"] on Iot("thinggroup/g")"#);
    // Publish is decided by the broker, in the words of the data plane.
    let publish = request_by("AKIAUSER", ("iotdata", "eu-west-1"), "POST", "/topics/x", "");
    assert_eq!(answered(publish).await.0, StatusCode::OK);
    let shadow = request_by("AKIAUSER", ("iotdata", "eu-west-1"), "GET", "/things/b/shadow", "");
    let (status, headers, _) = answered(shadow).await;
    assert_eq!(
        (status, headers["x-amzn-errortype"].to_str().unwrap()),
        (StatusCode::FORBIDDEN, "ForbiddenException")
    );
}

#[tokio::test]
async fn own_operations_are_for_the_owner() {
    let (status, _, body) = answered(request_by("AKIAUSER", IOT, "PUT", "/thingcore/echo", "1")).await;
    assert_eq!(status, StatusCode::FORBIDDEN);
    assert!(body["message"].as_str().unwrap().contains("owner"), "{body}");
}

#[tokio::test]
async fn keys_that_sign_nothing_say_why() {
    for (key, error, says) in [
        ("ASIAOLD", "ExpiredTokenException", "The security token included in the request is expired"),
        (
            "ASIAFORGED",
            "UnrecognizedClientException",
            "The security token included in the request is invalid.",
        ),
        ("AKIAOFF", "UnrecognizedClientException", "Inactive"),
    ] {
        let (status, headers, body) = answered(request_by(key, IOT, "GET", "/things", "")).await;
        assert_eq!((status, headers["x-amzn-errortype"].to_str().unwrap()), (StatusCode::FORBIDDEN, error));
        assert!(body["message"].as_str().unwrap().contains(says), "{body}");
    }
}

/// The answer at a device endpoint that takes signatures.
async fn at_the_door(request: Request<Full<Bytes>>) -> (u16, HeaderMap, Value) {
    let guest = HttpsGuest {
        peer: "127.0.0.1:9".parse().unwrap(),
        server_name: None,
        certificate: None,
        takes_signature: true,
        authorizer: None,
    };
    let response = crate::DeviceApi(Arc::new(exchange())).answer(request, &guest).await;
    let (parts, body) = response.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    (parts.status.as_u16(), parts.headers, serde_json::from_slice(&body).unwrap())
}

#[tokio::test]
async fn a_device_endpoint_does_not_tell_which_part_of_a_signature_is_wrong() {
    let data = ("iotdata", "eu-west-1");
    let mut wrong = request_by("AKID", data, "POST", "/topics/a", "");
    *wrong.uri_mut() = "/topics/b".parse().unwrap();
    let mut bearer = request_by("AKID", data, "POST", "/topics/a", "");
    bearer.headers_mut().insert("authorization", "Bearer abc".parse().unwrap());
    for refused in [
        wrong,
        bearer,
        request_by("AKIDNOBODY", data, "POST", "/topics/a", ""),
        request_by("AKIAOFF", data, "POST", "/topics/a", ""),
        request_by("ASIAOLD", data, "POST", "/topics/a", ""),
        request_by("AKID", ("iotdata", "eu-west-2"), "POST", "/topics/a", ""),
        request_by("AKID", IOT, "GET", "/things", ""),
    ] {
        let (status, headers, body) = at_the_door(refused).await;
        assert_eq!((status, headers["x-amzn-errortype"].to_str().unwrap()), (403, "ForbiddenException"));
        assert_eq!(body["message"], "Forbidden");
    }
    let (status, headers, body) = at_the_door(request_by("AKIADOWN", data, "POST", "/topics/a", "")).await;
    assert_eq!(
        (status, &headers["x-amzn-errortype"]),
        (503, &"ServiceUnavailableException".parse().unwrap())
    );
    assert_eq!(body["message"], "The service is temporarily unavailable.");
    let (status, ..) = at_the_door(request_by("AKID", data, "POST", "/topics/a", "")).await;
    assert_eq!(status, 200);
}

async fn text(request: Request<Full<Bytes>>) -> (StatusCode, String) {
    let response = exchange().answer(request, "127.0.0.1:9".parse().unwrap()).await;
    let (parts, body) = response.into_parts();
    (parts.status, String::from_utf8(body.collect().await.unwrap().to_bytes().to_vec()).unwrap())
}

#[tokio::test]
async fn the_query_protocol_is_signed_for_here_or_for_everywhere() {
    for region in ["eu-west-1", "us-east-1"] {
        let body = "Action=GetCallerIdentity&Version=2011-06-15";
        let (status, text) = text(request_by("AKID", ("sts", region), "POST", "/", body)).await;
        assert_eq!(status, StatusCode::OK);
        assert!(text.contains("<GetCallerIdentityResult>") && text.contains("<Who>AKID</Who>"), "{text}");
    }
    for (scope, target, body, code) in [
        (("sts", "eu-west-2"), "/", "Action=GetCallerIdentity", "SignatureDoesNotMatch"),
        (("iot", "us-east-1"), "/", "Action=GetCallerIdentity", "InvalidSignatureException"),
        (("sts", "eu-west-1"), "/", "Action=GetNobody", "InvalidAction"),
        (("sts", "eu-west-1"), "/", "", "MissingAction"),
        (("sts", "eu-west-1"), "/", "a=1&a=2", "ValidationError"),
        (("sts", "eu-west-1"), "/things", "Action=GetCallerIdentity", "UnknownOperation"),
        (("iam", "eu-west-1"), "/", "Action=CreateRole&UserName=a", "ValidationError"),
        (("iam", "eu-west-1"), "/", "Action=GetUser", "ValidationError"),
    ] {
        let request = request_by("AKID", scope, "POST", target, body);
        let response = exchange().answer(request, "127.0.0.1:9".parse().unwrap()).await;
        let of_header =
            response.headers().get("x-amzn-errortype").map(|name| name.to_str().unwrap().to_owned());
        let body_bytes = response.into_body().collect().await.unwrap().to_bytes();
        let text = String::from_utf8(body_bytes.to_vec()).unwrap();
        let found = of_header.unwrap_or_else(|| text.clone());
        assert!(found.contains(code), "{body}: {found}");
    }
    let (status, refused) =
        text(request_by("AKIAUSER", ("iam", "us-east-1"), "POST", "/", "Action=ListUsers")).await;
    assert_eq!(status, StatusCode::FORBIDDEN);
    assert!(refused.contains("<Code>AccessDenied</Code>") && refused.contains("iam:ListUsers"), "{refused}");
}

fn unsigned_request(target: &str, body: &str) -> Request<Full<Bytes>> {
    let mut request = Request::new(Full::new(Bytes::copy_from_slice(body.as_bytes())));
    *request.method_mut() = Method::POST;
    request.headers_mut().insert("x-amz-target", target.parse().unwrap());
    request
}

#[tokio::test]
async fn what_aws_takes_unsigned_is_taken_and_nothing_else() {
    let (status, _, body) =
        answered(unsigned_request("AWSCognitoIdentityService.GetId", r#"{"IdentityPoolId":"p"}"#)).await;
    assert_eq!(
        (status, &body["Who"], &body["Input"]["IdentityPoolId"]),
        (StatusCode::OK, &json!("ANONYMOUS"), &json!("p"))
    );
    for target in
        ["AWSCognitoIdentityService.ListIdentityPools", "GetId", "ServiceQuotasV20190624.ListServices"]
    {
        let (_, headers, body) = answered(unsigned_request(target, "{}")).await;
        assert_eq!(headers["x-amzn-errortype"], "MissingAuthenticationTokenException", "{body}");
    }
    let (status, headers, _) = answered(unsigned_request("AWSCognitoIdentityService.GetId", "[")).await;
    assert_eq!(
        (status, headers["x-amzn-errortype"].to_str().unwrap()),
        (StatusCode::BAD_REQUEST, "InvalidParameterException")
    );
}
