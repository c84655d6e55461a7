//! Every cause for which nobody is authenticated, and that no function is invoked for a token nobody signed.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use customauth::{MqttPart, TlsPart};
use serde_json::json;
use services::shapes::{
    AuthorizerStatus as Status, CreateAuthorizerRequest, SetDefaultAuthorizerRequest, UpdateAuthorizerRequest,
};

use super::*;
use crate::tests::{FUNCTION, NOW, Scene};

const GOOD: &str = r#"{"isAuthenticated":true,"principalId":"p1","policyDocuments":[]}"#;

/// A public key, and the signature of `token` by it (`openssl dgst -sha256 -sign`).
static KEY: LazyLock<(String, String)> = LazyLock::new(|| {
    (include_str!("tests/token.pub.pem").to_owned(), include_str!("tests/token.signature").trim().to_owned())
});

/// `open` needs no token, `signed` does, `idle` is INACTIVE.
fn scene() -> Scene {
    let scene = Scene::new();
    let base = CreateAuthorizerRequest {
        authorizer_name: "open".into(),
        authorizer_function_arn: FUNCTION.into(),
        signing_disabled: Some(true),
        status: Some(Status::Active),
        ..Default::default()
    };
    let other = pki::DeviceKeys::generate().unwrap().public_key_pem();
    let signed = CreateAuthorizerRequest {
        authorizer_name: "signed".into(),
        signing_disabled: None,
        token_key_name: Some("Token".into()),
        token_signing_public_keys: Some([("a".to_owned(), other), ("b".to_owned(), KEY.0.clone())].into()),
        enable_caching_for_http: Some(true),
        ..base.clone()
    };
    let idle = CreateAuthorizerRequest { authorizer_name: "idle".into(), status: None, ..base.clone() };
    for input in [base, signed, idle] {
        scene.run(scene.access.create_authorizer(input, NOW)).unwrap();
    }
    scene.functions.answer(Ok(GOOD));
    scene
}

fn user(query: &str) -> Presented {
    let mqtt = MqttPart { username: Some(format!("me?{query}")), ..MqttPart::default() };
    Presented { mqtt: Some(mqtt), connection_id: "id".into(), ..Presented::default() }
}

fn named(name: &str) -> Presented {
    user(&format!("x-amz-customauthorizer-name={name}"))
}

fn with_token(token: &str, signature: &str) -> Presented {
    let signature = signature.replace('+', "%2B").replace('=', "%3D").replace('/', "%2F");
    user(&format!(
        "x-amz-customauthorizer-name=signed&Token={token}&x-amz-customauthorizer-signature={signature}"
    ))
}

fn ask(scene: &Scene, presented: &Presented) -> Result<Authenticated, AuthenticationRefused> {
    scene.run(scene.access.authenticate(presented, &AuthorizerChoice::default(), NOW))
}

fn reason(scene: &Scene, presented: &Presented) -> RefusalReason {
    ask(scene, presented).unwrap_err().reason
}

#[test]
fn a_signed_token_is_vouched_for() {
    let scene = scene();
    let authenticated = ask(&scene, &with_token("token", &KEY.1)).unwrap();
    assert_eq!((&*authenticated.authorizer, authenticated.cache_for_http), ("signed", true));
    assert_eq!(&*authenticated.grant.principal_id, "p1");
    let [(arn, event)] = scene.functions.asked().try_into().unwrap();
    assert_eq!(arn, FUNCTION);
    assert_eq!((&event["token"], &event["signatureVerified"]), (&json!("token"), &json!(true)));
    assert_eq!(event["connectionMetadata"]["id"], "id");
    let open = ask(&scene, &named("open")).unwrap();
    assert!(!open.cache_for_http);
    let [(_, event)] = scene.functions.asked().try_into().unwrap();
    assert_eq!((event.get("token"), &event["signatureVerified"]), (None, &json!(false)));
}

#[test]
fn no_function_is_invoked_before_the_token_is_verified() {
    let scene = scene();
    for (presented, expected) in [
        (user(""), RefusalReason::NoAuthorizer),
        (user("x-amz-customauthorizer-name=a&x-amz-customauthorizer-name=b"), RefusalReason::Unreadable),
        (named("none"), RefusalReason::UnknownAuthorizer),
        (named("%00"), RefusalReason::UnknownAuthorizer),
        (named("idle"), RefusalReason::InactiveAuthorizer),
        (named("signed"), RefusalReason::NoToken),
        (user("x-amz-customauthorizer-name=signed&Token=token"), RefusalReason::NoSignature),
        (with_token("tokem", &KEY.1), RefusalReason::BadSignature),
        (with_token("token", "AAAA"), RefusalReason::BadSignature),
        (with_token("token", "no base64!"), RefusalReason::BadSignature),
    ] {
        assert_eq!(reason(&scene, &presented), expected);
    }
    assert_eq!(scene.functions.asked(), []);
}

#[test]
fn functions_fail_and_answers_break_rules() {
    let scene = scene();
    for (failed, expected) in [
        (FunctionFailed::NotConfigured, RefusalReason::FunctionNotConfigured),
        (FunctionFailed::TimedOut, RefusalReason::FunctionTimedOut),
        (FunctionFailed::Busy { places: 1 }, RefusalReason::FunctionBusy),
        (FunctionFailed::Refused("x".into()), RefusalReason::FunctionUnreachable),
        (FunctionFailed::FunctionError("x".into()), RefusalReason::FunctionError),
        (FunctionFailed::TooLarge, RefusalReason::InvalidAnswer),
    ] {
        scene.functions.answer(Err(failed));
        assert_eq!(reason(&scene, &named("open")), expected);
    }
    for (from, to, expected) in [
        (GOOD, "junk", RefusalReason::InvalidAnswer),
        ("true", "false", RefusalReason::NotAuthenticated),
        ("p1", "p-1", RefusalReason::InvalidPrincipal),
        ("[]", "null", RefusalReason::InvalidPolicies),
        ("[]", "[{}]", RefusalReason::InvalidPolicies),
        ("[]", "[],\"refreshAfterInSeconds\":299", RefusalReason::InvalidSeconds),
        ("[]", "[],\"disconnectAfterInSeconds\":86401", RefusalReason::InvalidSeconds),
    ] {
        scene.functions.answer(Ok(&GOOD.replace(from, to)));
        let refused = ask(&scene, &named("open")).unwrap_err();
        assert_eq!(refused.reason, expected, "{to}");
        assert!(refused.to_string().starts_with("authorizer open: "), "{refused}");
    }
}

#[test]
fn the_endpoint_then_the_account_have_a_default() {
    let scene = scene();
    let asked = |presented: &Presented, choice: &AuthorizerChoice| {
        scene.run(scene.access.authenticate(presented, choice, NOW)).map(|done| done.authorizer.to_string())
    };
    let endpoint = AuthorizerChoice { default: Some("open".into()), allow_override: false };
    assert_eq!(asked(&named("idle"), &endpoint), Ok("open".to_owned()));
    let input = SetDefaultAuthorizerRequest { authorizer_name: "open".into() };
    scene.run(scene.access.set_default_authorizer(input, NOW)).unwrap();
    assert_eq!(asked(&Presented::default(), &AuthorizerChoice::default()), Ok("open".to_owned()));
    let input = UpdateAuthorizerRequest {
        authorizer_name: "open".into(),
        status: Some(Status::Inactive),
        ..Default::default()
    };
    scene.run(scene.access.update_authorizer(input, NOW)).unwrap();
    assert_eq!(reason(&scene, &Presented::default()), RefusalReason::InactiveAuthorizer);
}

#[test]
fn the_same_authorizer_is_asked_again_whatever_the_default_is_by_now() {
    let scene = scene();
    let input = SetDefaultAuthorizerRequest { authorizer_name: "open".into() };
    scene.run(scene.access.set_default_authorizer(input, NOW)).unwrap();
    let first = ask(&scene, &Presented::default()).unwrap();
    let again = |name: &str| scene.run(scene.access.authenticate_again(&Presented::default(), name, NOW));
    assert_eq!(again(&first.authorizer).unwrap().authorizer, first.authorizer);
    assert_eq!(scene.functions.lines(), [Line::Entry, Line::Renewal]);
    let input = UpdateAuthorizerRequest {
        authorizer_name: "open".into(),
        status: Some(Status::Inactive),
        ..Default::default()
    };
    scene.run(scene.access.update_authorizer(input, NOW)).unwrap();
    assert_eq!(again("open").unwrap_err().reason, RefusalReason::InactiveAuthorizer);
    assert_eq!(again("signed").unwrap_err().reason, RefusalReason::NoToken, "nobody is asked instead");
}

#[test]
fn beside_a_certificate_the_answer_names_the_certificate() {
    let scene = scene();
    let mut presented = named("open");
    presented.tls = Some(TlsPart { principal_id: Some("p1".into()), ..TlsPart::default() });
    scene.functions.answer(Ok(r#"{"isAuthenticated":true,"principalId":"p1"}"#));
    assert!(ask(&scene, &presented).unwrap().grant.documents.is_empty());
    assert_eq!(scene.functions.lines(), [Line::Proven], "not behind strangers");
    presented.tls = Some(TlsPart { principal_id: Some("p2".into()), ..TlsPart::default() });
    assert_eq!(reason(&scene, &presented), RefusalReason::InvalidPrincipal);
}

#[test]
fn a_registry_that_is_down_authenticates_nobody() {
    let scene = scene();
    scene.store.fail("unplugged");
    assert_eq!(reason(&scene, &named("open")), RefusalReason::RegistryUnavailable);
    assert_eq!(reason(&scene, &user("")), RefusalReason::RegistryUnavailable);
    assert_eq!(scene.functions.asked(), []);
}

#[test]
fn every_reason_has_its_name_and_its_remedy() {
    let codes: BTreeSet<_> = RefusalReason::ALL.iter().map(|reason| reason.code()).collect();
    assert_eq!(codes.len(), RefusalReason::ALL.len());
    assert!(RefusalReason::ALL.iter().all(|reason| reason.remedy().ends_with('.')));
}
