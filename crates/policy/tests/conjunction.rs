//! Where two have to allow, and what IAM policies know of whoever signed.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

#[allow(dead_code)] // Each test file uses its part.
mod desk;

use std::sync::Arc;

use desk::{NOW, authorizer, context, decide, site};
use identity::{CognitoIdentity, DeviceSession, IamKind, IamPrincipal};
use serde_json::{Value, json};
use thingcore_policy::{Authorizer, ConnectFacts, ConnectionContext, Counts, DenialKind, IamFacts};

fn policy(effect: &str, action: &str, resource: &str) -> Value {
    let resource = if resource == "*" { "*".to_owned() } else { site().arn_prefix() + resource };
    let statement = json!({ "Effect": effect, "Action": action, "Resource": resource });
    json!({ "Version": "2012-10-17", "Statement": [statement] })
}

fn both(role: Value, attached: Value) -> Authorizer {
    let second = authorizer(&[attached], context("client=c1")).named("the second");
    authorizer(&[role], context("client=c1")).named("the first").and(Counts::ForDevices, second)
}

#[test]
fn a_denial_names_the_side() {
    let wide = || policy("Allow", "*", "*");
    let one = both(wide(), policy("Allow", "iot:Publish", "topic/a"));
    assert!(one.publish("a", NOW).is_ok());
    let denial = one.publish("b", NOW).unwrap_err();
    assert!(denial.to_string().starts_with("by the second: no statement matched"), "{denial}");
    let other = both(policy("Allow", "iot:Publish", "topic/a"), wide());
    let denial = other.publish("b", NOW).unwrap_err();
    assert!(denial.to_string().starts_with("by the first: "), "{denial}");
    // An explicit denial is the better reason.
    let neither = both(policy("Allow", "iot:Publish", "topic/a"), policy("Deny", "*", "*"));
    let denial = neither.publish("b", NOW).unwrap_err();
    assert_eq!(denial.kind(), DenialKind::Explicit);
    assert!(denial.to_string().starts_with("by the second: denied explicitly"), "{denial}");
}

#[test]
fn shared_deliveries_need_both() {
    let wide = || policy("Allow", "*", "*");
    let plain = both(wide(), policy("Allow", "iot:Receive", "topic/a"));
    assert!(plain.receive_shared("g", "a", NOW).is_ok());
    let denial = plain.receive_shared("g", "b", NOW).unwrap_err();
    assert!(denial.to_string().starts_with("by the second: "), "{denial}");
    assert!(both(wide(), policy("Deny", "*", "topic/$share/g/a")).receive_shared("g", "a", NOW).is_err());
}

#[test]
fn the_second_counts_for_what_devices_do() {
    let one = both(policy("Allow", "*", "*"), policy("Deny", "*", "*"));
    for action in ["iot:GetThingShadow", "iot:updatethingshadow", "iot:Publish", "iot:RetainPublish"] {
        assert_eq!(decide(&one, action, "x", ConnectFacts::default()), "EXPLICIT_DENY", "{action}");
    }
    for action in ["iot:ListThings", "iot:ListNamedShadowsForThing", "iam:GetUser"] {
        assert_eq!(decide(&one, action, "x", ConnectFacts::default()), "ALLOWED", "{action}");
    }
}

fn facts(kind: IamKind) -> ConnectionContext {
    let who = IamPrincipal {
        access_key_id: "ASIA".into(),
        unique_id: "AROA:me".into(),
        kind,
        cognito: Some(CognitoIdentity { id: "r-1:i".into(), pool_id: "r-1:p".into(), authenticated: true }),
        device: Some(DeviceSession {
            thing_name: Some("T".into()),
            thing_type_name: None,
            certificate_id: "ab".into(),
        }),
        session_policy: None,
        issued: None,
    };
    ConnectionContext { iam: Some(Arc::new(IamFacts::new(&who, &site()))), ..ConnectionContext::default() }
}

fn allows(context: ConnectionContext, condition: Value) -> bool {
    let statement = json!({ "Effect": "Allow", "Action": "*", "Resource": "*", "Condition": condition });
    let document = json!({ "Version": "2012-10-17", "Statement": [statement] });
    decide(&authorizer(&[document], context), "iot:Publish", "x", ConnectFacts::default()) == "ALLOWED"
}

#[test]
fn keys_of_iam_have_their_values() {
    let role = || facts(IamKind::Role { name: "r".into(), session: "me".into() });
    let user = || facts(IamKind::User("u".into()));
    for (key, value) in [
        ("aws:userid", "AROA:me"),
        ("aws:PrincipalType", "AssumedRole"),
        ("aws:PrincipalArn", "arn:aws:iam::123456789012:role/r"),
        ("aws:PrincipalAccount", "123456789012"),
        ("cognito-identity.amazonaws.com:sub", "r-1:i"),
        ("cognito-identity.amazonaws.com:aud", "r-1:p"),
        ("credentials-iot:ThingName", "T"),
        ("credentials-iot:AwsCertificateId", "ab"),
    ] {
        assert!(allows(role(), json!({ "StringEquals": { key: value } })), "{key}");
        assert!(!allows(context("client=c1"), json!({ "StringEquals": { key: value } })), "{key}");
    }
    assert!(allows(
        role(),
        json!({ "ForAnyValue:StringLike": { "cognito-identity.amazonaws.com:amr": "auth*" } })
    ));
    assert!(allows(
        role(),
        json!({ "Null": { "aws:username": "true", "credentials-iot:ThingTypeName": "true" } })
    ));
    assert!(allows(user(), json!({ "StringEquals": { "aws:username": "u" } })));
    assert!(allows(role(), json!({ "ArnLike": { "aws:PrincipalArn": "arn:aws:iam::*:role/*" } })));
    assert!(allows(user(), json!({ "StringEquals": { "aws:PrincipalType": "User" } })));
}

#[test]
fn variables_of_iam_stand_in_resources() {
    let document = policy("Allow", "iot:Publish", "topic/${cognito-identity.amazonaws.com:sub}/*");
    let role = IamKind::Role { name: "r".into(), session: "me".into() };
    let one = authorizer(std::slice::from_ref(&document), facts(role));
    assert!(one.publish("r-1:i/x", NOW).is_ok() && one.publish("other/x", NOW).is_err());
    let nobody = authorizer(&[document], context("client=c1"));
    let denial = nobody.publish("r-1:i/x", NOW).unwrap_err();
    assert!(denial.to_string().contains("exists in IAM policies only"), "{denial}");
}
