//! What the API says of connections that are not there; those that are have their tests in the broker.

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

#[test]
fn clients_that_are_nowhere_are_not_found() {
    let scene = Scene::new();
    let input = DeleteConnectionRequest { client_id: "c".into(), ..Default::default() };
    let deleted = scene.run(scene.services.delete_connection(input, origin(), NOW));
    assert_eq!(code(deleted), ErrorCode::ResourceNotFound);
    let input = GetConnectionRequest { client_id: "c".into(), ..Default::default() };
    let described = scene.run(scene.services.get_connection(input, origin(), NOW));
    assert_eq!(code(described), ErrorCode::ResourceNotFound);
    let input = ListSubscriptionsRequest { client_id: "c".into(), ..Default::default() };
    let listed = scene.run(scene.services.list_subscriptions(input, origin(), NOW));
    assert_eq!(code(listed), ErrorCode::ResourceNotFound);
}

#[test]
fn a_client_id_and_a_token_keep_their_rules() {
    let scene = Scene::new();
    for client_id in ["$GEN/1", ""] {
        let input = GetConnectionRequest { client_id: client_id.into(), ..Default::default() };
        let described = scene.run(scene.services.get_connection(input, origin(), NOW));
        assert_eq!(code(described), ErrorCode::InvalidRequest, "{client_id}");
    }
    for token in ["made up", &page::write(b"topic:a")] {
        let next_token = Some(token.to_owned());
        let input = ListSubscriptionsRequest { client_id: "c".into(), next_token, max_results: None };
        let listed = scene.run(scene.services.list_subscriptions(input, origin(), NOW));
        assert_eq!(code(listed), ErrorCode::InvalidRequest, "{token}");
    }
}

#[test]
fn states_are_told_in_milliseconds() {
    let mut answer = GetConnectionResponse::default();
    let (peer, local) = ("[::ffff:10.0.0.1]:5".parse().unwrap(), "[::1]:8883".parse().unwrap());
    let state = ConnectionState::Connected { since: NOW, peer, local };
    tell_state(&mut answer, state, true);
    assert_eq!((answer.connected, answer.connected_since), (Some(true), Some(1_800_000_000_000)));
    assert_eq!((answer.source_ip.as_deref(), answer.source_port), (Some("10.0.0.1"), Some(5)));
    assert_eq!((answer.target_ip.as_deref(), answer.target_port), (Some("::1"), Some(8883)));
    let mut answer = GetConnectionResponse::default();
    tell_state(&mut answer, state, false);
    assert_eq!((answer.source_ip, answer.target_port), (None, None));
}
