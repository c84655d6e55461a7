//! Retained messages over HTTP: one, and pages of them.

use broker::{Credential, HttpOrigin};
use identity::Principal;

use super::*;
use crate::ErrorCode;
use crate::shapes::PublishRequest;
use crate::tests::{NOW, Scene, code};

fn retain(scene: &Scene, topic: &str, expiry: Option<i64>) {
    let origin = HttpOrigin {
        credential: Credential::of(Principal::AccessKey("AKIATEST".into())),
        server_name: None,
        peer: "127.0.0.1:1".parse().unwrap(),
    };
    let input = PublishRequest {
        topic: topic.into(),
        payload: Bytes::from_static(b"kept"),
        retain: Some(true),
        message_expiry: expiry,
        ..Default::default()
    };
    scene.run(scene.services.publish(input, origin, NOW)).unwrap();
}

fn page(
    scene: &Scene,
    next_token: Option<String>,
    size: i32,
    now: Timestamp,
) -> Result<ListRetainedMessagesResponse, ApiError> {
    let input = ListRetainedMessagesRequest { max_results: Some(size), next_token };
    scene.run(scene.services.list_retained_messages(input, now))
}

#[test]
fn pages_follow_the_topics_and_step_over_what_expired() {
    let scene = Scene::new();
    for (topic, expiry) in [("c", None), ("a", None), ("b1", Some(1)), ("b2", Some(1)), ("b3", None)] {
        retain(&scene, topic, expiry);
    }
    let topics = |page: &ListRetainedMessagesResponse| -> Vec<String> {
        page.retained_topics.iter().flatten().filter_map(|row| row.topic.clone()).collect()
    };
    let whole = page(&scene, None, 200, NOW).unwrap();
    assert_eq!(topics(&whole), ["a", "b1", "b2", "b3", "c"]);
    assert_eq!(whole.next_token, None);
    let row = &whole.retained_topics.as_ref().unwrap()[0];
    assert_eq!(
        (row.payload_size, row.qos, row.last_modified_time),
        (Some(4), Some(0), Some(1_800_000_000_000))
    );
    let later = Timestamp(NOW.millis() + 10_000);
    let first = page(&scene, None, 2, later).unwrap();
    assert_eq!(topics(&first), ["a", "b3"]);
    let second = page(&scene, first.next_token, 2, later).unwrap();
    assert_eq!((topics(&second), second.next_token), (vec!["c".to_owned()], None));
}

#[test]
fn what_is_not_there_is_not_found() {
    let scene = Scene::new();
    let get = |topic: &str| {
        let input = GetRetainedMessageRequest { topic: topic.into() };
        scene.run(scene.services.get_retained_message(input, NOW))
    };
    assert_eq!(code(get("a")), ErrorCode::ResourceNotFound);
    retain(&scene, "a", None);
    let seen = get("a").unwrap();
    assert_eq!((seen.qos, seen.user_properties, seen.topic.as_deref()), (Some(0), None, Some("a")));
    for bad in ["made up", &page::write(b"other")] {
        assert_eq!(code(page(&scene, Some(bad.to_owned()), 2, NOW)), ErrorCode::InvalidRequest);
    }
    assert_eq!(code(page(&scene, None, 0, NOW)), ErrorCode::InvalidRequest);
}
