//! Which statements let through more than they say, because they name what never has a value.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

#[allow(dead_code)] // Each test file uses its part.
mod desk;

use desk::{NOW, authorizer};
use serde_json::{Value, json};
use thingcore_policy::{Absent, CallFacts, ConnectionContext, Document, Effect, Outcome};

const ARN: &str = "arn:aws:iot:us-east-1:123456789012:thing/t";
const BOTH: [Effect; 2] = [Effect::Allow, Effect::Deny];

/// A document with one statement, whose elements are added.
fn document(effect: Effect, elements: &Value) -> Value {
    let mut statement = json!({ "Effect": format!("{effect:?}"), "Action": "iot:Do" });
    if elements.get("NotResource").is_none() {
        statement["Resource"] = "*".into();
    }
    statement.as_object_mut().unwrap().extend(elements.as_object().unwrap().clone());
    json!({ "Version": "2012-10-17", "Statement": [statement] })
}

fn is_loose(document: &Value) -> bool {
    Document::parse(&document.to_string()).unwrap().loosened().is_some()
}

/// Whether more is let through than if the statement were about nobody.
fn lets_through(effect: Effect, document: &Value) -> bool {
    let all = json!({ "Version": "2012-10-17", "Statement": { "Effect": "Allow", "Action": "*", "Resource": "*" } });
    let documents =
        if effect == Effect::Allow { vec![document.clone()] } else { vec![all, document.clone()] };
    let authorizer = authorizer(&documents, ConnectionContext::default());
    authorizer.decide("iot:Do", "thing", "t", CallFacts::default(), NOW).outcome == Outcome::Allowed
}

/// Every operator in every form, with a value that it takes.
fn operators() -> Vec<(String, &'static str)> {
    let mut all = vec![("Null".to_owned(), "true"), ("Null".to_owned(), "false")];
    for (names, value) in [
        (
            "StringEquals StringNotEquals StringEqualsIgnoreCase StringNotEqualsIgnoreCase StringLike StringNotLike",
            "x",
        ),
        ("NumericEquals NumericNotEquals NumericLessThan NumericLessThanEquals NumericGreaterThan", "1"),
        ("DateEquals DateNotEquals DateLessThan DateGreaterThanEquals", "2026-01-01T00:00:00Z"),
        ("Bool", "true"),
        ("IpAddress NotIpAddress", "10.0.0.0/8"),
        ("ArnEquals ArnLike ArnNotEquals ArnNotLike", ARN),
    ] {
        for name in names.split(' ') {
            for prefix in ["", "ForAllValues:", "ForAnyValue:"] {
                all.extend(["", "IfExists"].map(|suffix| (format!("{prefix}{name}{suffix}"), value)));
            }
        }
    }
    all
}

#[test]
fn an_unknown_key_loosens_what_the_decision_lets_through() {
    for (operator, value) in operators() {
        for effect in BOTH {
            let elements = json!({ "Condition": { &operator: { "aws:SecureTransport": value } } });
            let document = document(effect, &elements);
            assert_eq!(is_loose(&document), lets_through(effect, &document), "{document}");
        }
    }
}

#[test]
fn what_only_narrows_is_taken() {
    for (effect, condition) in [
        (Effect::Allow, json!({ "Bool": { "aws:SecureTransport": "true" } })),
        (
            Effect::Allow,
            json!({ "ArnLike": { "aws:SourceArn": ARN }, "StringEquals": { "aws:SourceAccount": "1" } }),
        ),
        (Effect::Allow, json!({ "StringEquals": { "sts:ExternalId": "x" } })),
        (Effect::Allow, json!({ "StringEquals": { "iam:PassedToService": "iot.amazonaws.com" } })),
        (Effect::Deny, json!({ "BoolIfExists": { "aws:MultiFactorAuthPresent": "false" } })),
        (Effect::Deny, json!({ "StringNotEquals": { "aws:RequestedRegion": "eu-west-1" } })),
        (
            Effect::Deny,
            json!({ "StringEquals": { "aws:userid": "x", "IOT:certificate.subject.commonname": "x" } }),
        ),
    ] {
        let document = document(effect, &json!({ "Condition": condition }));
        assert!(!is_loose(&document), "{document}");
        assert!(
            effect == Effect::Allow
                || condition.get("StringEquals").is_some()
                || !lets_through(effect, &document)
        );
    }
}

#[test]
fn an_unknown_variable_loosens_a_deny_that_needs_it() {
    for (elements, loosens) in [
        (json!({ "Resource": "arn:aws:iot:*:*:thing/${a:b}" }), true),
        (json!({ "Resource": ["arn:aws:iot:*:*:thing/x", "arn:aws:iot:*:*:${a:b}/x"] }), true),
        (json!({ "NotResource": "arn:aws:iot:*:*:thing/${a:b}" }), false),
        (json!({ "Condition": { "StringLikeIfExists": { "aws:SourceIp": "${a:b}" } } }), false),
        (json!({ "Condition": { "StringNotLike": { "aws:SourceIp": "${a:b}" } } }), false),
        (json!({ "Condition": { "ArnLike": { "aws:PrincipalArn": "arn:aws:iam::${a:b}:role/x" } } }), true),
    ] {
        let denying = document(Effect::Deny, &elements);
        // One that holds for whoever has no address is loose for those who have one.
        let is_if_exists = elements.to_string().contains("IfExists");
        assert_eq!(is_loose(&denying), loosens || is_if_exists, "{denying}");
        assert_eq!(lets_through(Effect::Deny, &denying), loosens, "{denying}");
        let allowing = document(Effect::Allow, &elements);
        assert!(!is_loose(&allowing), "{allowing}");
        assert!(is_if_exists || !lets_through(Effect::Allow, &allowing), "{allowing}");
    }
    let mut literal = document(Effect::Deny, &json!({ "Resource": "arn:aws:iot:*:*:topic/${a:b}" }));
    literal["Version"] = "2008-10-17".into();
    assert!(!is_loose(&literal), "there it is no variable");
}

#[test]
fn the_statement_and_the_reason_are_told() {
    let statements = json!([
        { "Effect": "Allow", "Action": "*", "Resource": "*" },
        { "Sid": "NotProd", "Effect": "Deny", "Action": "*", "Resource": "*",
          "Condition": { "StringEquals": { "aws:ResourceTag/env": "prod" } } }]);
    let text = json!({ "Version": "2012-10-17", "Statement": statements }).to_string();
    let document = Document::parse(&text).unwrap();
    let found = document.loosened().unwrap();
    assert_eq!((found.statement, found.sid, found.effect), (2, Some("NotProd"), Effect::Deny));
    assert_eq!((found.absent, found.name), (Absent::ConditionKey, "aws:ResourceTag/env"));
    assert_eq!(
        found.to_string(),
        "statement 2 (Sid \"NotProd\"): the condition key aws:ResourceTag/env is not built in thingcore and never has a \
         value, so that this Deny would not deny what it is written for. Leave out the statement, or write it without this \
         condition if you know what that means"
    );
}
