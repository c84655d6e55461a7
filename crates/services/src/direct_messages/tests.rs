//! What a request may say, and which exception a failure becomes.

use identity::Principal;

use super::*;
use crate::tests::{NOW, Scene, code};

fn origin() -> HttpOrigin {
    HttpOrigin {
        credential: broker::Credential::of(Principal::AccessKey("AKIATEST".into())),
        peer: "127.0.0.1:1".parse().unwrap(),
        server_name: None,
    }
}

fn send(change: impl FnOnce(&mut SendDirectMessageRequest)) -> ErrorCode {
    let scene = Scene::new();
    let mut input =
        SendDirectMessageRequest { client_id: "c".into(), topic: "a".into(), ..Default::default() };
    change(&mut input);
    code(scene.run(scene.services.send_direct_message(input, origin(), NOW)))
}

#[test]
fn a_request_keeps_its_rules() {
    assert_eq!(send(|_| {}), ErrorCode::ResourceNotFound);
    assert_eq!(send(|input| input.client_id = "$c".into()), ErrorCode::InvalidRequest);
    assert_eq!(send(|input| input.topic = "$aws/x".into()), ErrorCode::InvalidRequest);
    let large = vec![0; 128 * 1024 + 1];
    assert_eq!(send(|input| input.payload = large.into()), ErrorCode::RequestEntityTooLarge);
    for (timeout, expected) in
        [(0, ErrorCode::InvalidRequest), (16, ErrorCode::InvalidRequest), (15, ErrorCode::ResourceNotFound)]
    {
        let asked = |confirmation| {
            send(|input| (input.timeout, input.confirmation) = (Some(timeout), Some(confirmation)))
        };
        assert_eq!(asked(true), expected);
        assert_eq!(asked(false), ErrorCode::ResourceNotFound, "the timeout means nothing then");
    }
}

#[test]
fn the_default_wait_is_five_seconds() {
    let input = SendDirectMessageRequest { confirmation: Some(true), ..Default::default() };
    assert_eq!(confirmation(&input), Ok(Some(Duration::from_secs(5))));
    assert_eq!(confirmation(&SendDirectMessageRequest::default()), Ok(None));
}

#[test]
fn failures_become_their_exceptions() {
    let status = |failure| {
        let error = refused(DirectRefusal { failure, message: String::new() });
        error.code.name()
    };
    assert_eq!(status(DirectFailure::ReceiveDenied), "ForbiddenException");
    assert_eq!(status(DirectFailure::ClientNotConnected), "ResourceNotFoundException");
    assert_eq!(status(DirectFailure::WindowFull), "ThrottlingException");
    assert_eq!(status(DirectFailure::ReceiverThrottled), "ThrottlingException");
    assert_eq!(status(DirectFailure::ConfirmationTimeout), "GatewayTimeoutException");
    assert_eq!(status(DirectFailure::NotWritable), "InternalFailureException");
}
