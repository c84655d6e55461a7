//! What of a request the broker gets to see, and what it never does.

use broker::Credential;
use identity::Principal;
use serde_json::json;

use super::*;
use crate::shapes::GetRetainedMessageRequest;
use crate::tests::{NOW, Scene, code};

fn origin() -> HttpOrigin {
    HttpOrigin {
        credential: Credential::of(Principal::AccessKey("AKIATEST".into())),
        peer: "127.0.0.1:1".parse().unwrap(),
        server_name: None,
    }
}

/// Retained, so that it can be looked at afterwards.
fn publish(scene: &Scene, change: impl FnOnce(&mut PublishRequest)) -> Result<(), ApiError> {
    let mut input = PublishRequest {
        topic: "a/b".into(),
        payload: Bytes::from_static(b"hello"),
        qos: Some(1),
        retain: Some(true),
        ..Default::default()
    };
    change(&mut input);
    scene.run(scene.services.publish(input, origin(), NOW))
}

#[test]
fn a_message_reaches_the_broker() {
    let scene = Scene::new();
    publish(&scene, |input| {
        input.user_properties = Some(json!([{"k": "1"}, {"k": "2"}]));
        input.correlation_data = Some("aWQ=".into());
        input.content_type = Some("text/plain".into());
        input.response_topic = Some("answer/here".into());
        input.payload_format_indicator = Some(PayloadFormatIndicator::Utf8Data);
        input.message_expiry = Some(100);
    })
    .unwrap();
    let seen = scene
        .run(scene.services.get_retained_message(GetRetainedMessageRequest { topic: "a/b".into() }, NOW));
    let seen = seen.unwrap();
    assert_eq!(&seen.payload.unwrap().0[..], b"hello");
    assert_eq!((seen.qos, seen.last_modified_time), (Some(1), Some(1_800_000_000_000)));
    assert_eq!(&seen.user_properties.unwrap().0[..], br#"[{"k":"1"},{"k":"2"}]"#);
}

#[test]
fn properties_are_what_the_headers_say() {
    let input = PublishRequest {
        correlation_data: Some("aWQ=".into()),
        content_type: Some("text/plain".into()),
        payload_format_indicator: Some(PayloadFormatIndicator::UnspecifiedBytes),
        ..Default::default()
    };
    let properties = properties(&input).unwrap();
    assert_eq!(properties.correlation_data.as_deref(), Some(&b"id"[..]));
    assert_eq!(properties.content_type.as_deref(), Some("text/plain"));
    assert_eq!(properties.payload_format_utf8, Some(false));
    assert_eq!(properties.response_topic, None);
    assert_eq!(properties.user_properties, UserProperties::default());
}

#[test]
fn what_makes_no_sense_is_refused() {
    let scene = Scene::new();
    let refused: [fn(&mut PublishRequest); 12] = [
        |input| input.topic = "a/#".into(),
        |input| input.topic = String::new(),
        |input| input.topic = "$aws/things/t/shadow/update/delta".into(),
        |input| input.qos = Some(2),
        |input| input.message_expiry = Some(-1),
        |input| input.message_expiry = Some(1 << 40),
        |input| input.correlation_data = Some("not base64".into()),
        |input| input.response_topic = Some("a/+".into()),
        |input| input.user_properties = Some(json!({"k": "v"})),
        |input| input.user_properties = Some(json!([{"k": "v", "l": "w"}])),
        |input| input.user_properties = Some(json!([{"k": 1}])),
        |input| input.content_type = Some("\0".into()),
    ];
    for (number, change) in refused.into_iter().enumerate() {
        assert_eq!(code(publish(&scene, change)), ErrorCode::InvalidRequest, "case {number}");
    }
}

#[test]
fn refusals_of_the_broker_have_their_status() {
    let status = |refusal| refused(refusal).code.http_status();
    let invalid = |fault| PublishRefusal::Invalid { fault, message: String::new() };
    assert_eq!(status(invalid(Fault::PayloadTooLarge)), 413);
    assert_eq!(status(invalid(Fault::TopicInvalid)), 400);
    assert_eq!(status(PublishRefusal::Forbidden(String::new())), 403);
    assert_eq!(status(PublishRefusal::Unavailable(String::new())), 503);
}
