//! What is a policy document and what is not, and that nothing hostile breaks the reader.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use proptest::prelude::*;
use serde_json::{Value, json};
use thingcore_policy::{Document, MalformedPolicy, Position};

const SYNTAX: &str = "Policy document is Malformed: Invalid policy syntax.";

fn fault(text: &str) -> MalformedPolicy {
    Document::parse(text).err().unwrap_or_else(|| panic!("accepted: {text}"))
}

/// A valid document with one statement, whose elements are replaced (or removed by null).
fn with(elements: Value) -> String {
    let mut statement = json!({ "Effect": "Allow", "Action": "iot:Publish", "Resource": "*" });
    for (name, value) in elements.as_object().unwrap() {
        match value {
            Value::Null => drop(statement.as_object_mut().unwrap().remove(name)),
            value => statement[name] = value.clone(),
        }
    }
    json!({ "Version": "2012-10-17", "Statement": [statement] }).to_string()
}

#[test]
fn iam_grammar_is_accepted() {
    let statement = r#"{"Effect":"Allow","Action":["iot:Publish","greengrass:*","*"],"Resource":["*"]}"#;
    for text in [
        format!(r#"{{"Version":"2012-10-17","Statement":[{statement}]}}"#),
        format!(r#" {{"Statement":{statement},"Version":"2008-10-17","Id":"x"}} "#),
        format!(r#"{{"Statement":[{statement},{statement}]}}"#),
        with(json!({ "Sid": "any text", "Condition": {} })),
        with(json!({ "Action": null, "NotAction": "iot:NoSuchThing" })),
        with(json!({ "Resource": null, "NotResource": ["arn:aws:iot:*:*:topic/${iot:ClientId}", "*"] })),
        with(json!({ "Condition": { "Bool": { "iot:Connection.Thing.IsAttached": true } } })),
        with(json!({ "Condition": { "ForAllValues:StringEquals": { "iot:ConnectAttributes": [] } } })),
        with(json!({ "Condition": { "NumericLessThan": { "aws:EpochTime": 1.5 } } })),
        with(
            json!({ "Condition": { "IpAddress": { "aws:SourceIp": ["10.0.0.0/8", "2001:db8::/32", "::1"] } } }),
        ),
        with(
            json!({ "Condition": { "ArnEquals": { "iot:LastWillTopic": "arn:aws:iot:*:*:topic/${iot:ClientId}" } } }),
        ),
        with(json!({ "Condition": { "DateGreaterThan": { "aws:CurrentTime": "2026-10-01T00:00:00Z" } } })),
        with(json!({ "Condition": { "IpAddress": { "aws:SourceIp": "${iot:ClientId}" } } })),
    ] {
        Document::parse(&text).unwrap_or_else(|e| panic!("{e}: {text}"));
    }
}

#[test]
fn faults_of_structure_have_one_text() {
    let statement = r#"{"Effect":"Allow","Action":"iot:*","Resource":"*"}"#;
    for text in [
        String::new(),
        "null".into(),
        "[]".into(),
        "{}".into(),
        "\"{}\"".into(),
        "\u{feff}{}".into(),
        format!(r#"{{"Statement":[{statement}],}}"#),
        format!(r#"{{"Statement":[{statement}]}} x"#),
        format!(r#"{{"Version":"2012-10-18","Statement":[{statement}]}}"#),
        format!(r#"{{"Version":2012,"Statement":[{statement}]}}"#),
        format!(r#"{{"statement":[{statement}]}}"#),
        format!(r#"{{"Statement":[{statement}],"Statement":[{statement}]}}"#),
        format!(r#"{{"Statement":[{statement}],"\u0053tatement":[{statement}]}}"#),
        format!(r#"{{"Statement":[[{statement}]]}}"#),
        r#"{"Statement":[]}"#.into(),
        r#"{"Statement":["x"]}"#.into(),
        r#"{"Statement":[{"Effect":"Allow","Effect":"Deny","Action":"iot:*","Resource":"*"}]}"#.into(),
        r#"{"Statement":[{"Effect":"Allow","Action":"iot:\ud800","Resource":"*"}]}"#.into(),
        r#"{"Statement":[{"Sid":"a","Effect":"Allow","Action":"iot:*","Resource":"*"},{"Sid":"a","Effect":"Deny","Action":"iot:*","Resource":"*"}]}"#.into(),
        with(json!({ "Effect": "allow" })),
        with(json!({ "Effect": null })),
        with(json!({ "Effect": ["Allow"] })),
        with(json!({ "Action": null })),
        with(json!({ "Action": [] })),
        with(json!({ "Action": "Publish" })),
        with(json!({ "Action": ":Publish" })),
        with(json!({ "Action": "iot:" })),
        with(json!({ "Action": "*:*" })),
        with(json!({ "Action": 1 })),
        with(json!({ "Action": [["iot:*"]] })),
        with(json!({ "NotAction": "iot:*" })),
        with(json!({ "Resource": null })),
        with(json!({ "Resource": [] })),
        with(json!({ "Resource": {} })),
        with(json!({ "NotResource": "*" })),
        with(json!({ "Principal": "*" })),
        with(json!({ "NotPrincipal": { "AWS": "*" } })),
        with(json!({ "Comment": "x" })),
        with(json!({ "Condition": [] })),
        with(json!({ "Condition": { "StringEqual": { "iot:ClientId": "x" } } })),
        with(json!({ "Condition": { "NullIfExists": { "iot:ClientId": "true" } } })),
        with(json!({ "Condition": { "StringEquals": "x" } })),
        with(json!({ "Condition": { "StringEquals": { "ClientId": "x" } } })),
        with(json!({ "Condition": { "StringEquals": { "iot:ClientId": {} } } })),
        with(json!({ "Condition": { "StringEquals": { "iot:ClientId": [["x"]] } } })),
        with(json!({ "Condition": { "Bool": { "iot:Connection.Thing.IsAttached": "yes" } } })),
        with(json!({ "Condition": { "IpAddress": { "aws:SourceIp": "10.0.0.0/64" } } })),
        with(json!({ "Condition": { "NumericEquals": { "aws:EpochTime": "nan" } } })),
        with(json!({ "Condition": { "DateEquals": { "aws:CurrentTime": "tomorrow" } } })),
        with(json!({ "Condition": { "ArnLike": { "iot:LastWillTopic": "topic/x" } } })),
    ] {
        let fault = fault(&text);
        assert_eq!(fault.message, SYNTAX, "{text}: {fault}");
        assert!(!fault.detail.is_empty());
    }
}

#[test]
fn resources_must_be_arns() {
    for resource in
        ["aws:iot:::x", "topic/a", "", "arn:aws:iot:us-east-1:123456789012", "[\"arn:aws:iot:r:1:topic/a\"]"]
    {
        let message =
            format!("Policy document is Malformed: The resource {resource} is not in valid ARN format");
        assert_eq!(fault(&with(json!({ "Resource": resource }))).message, message);
    }
}

#[test]
fn white_space_does_not_count() {
    let sized = |length: usize| {
        let frame = with(json!({ "Resource": "arn:aws:iot:::" })).len();
        with(json!({ "Resource": format!("arn:aws:iot:::{}", "ü".repeat(length - frame)) }))
    };
    assert_eq!(sized(2048).chars().count(), 2048);
    assert!(Document::parse(&sized(2048)).is_ok());
    assert!(Document::parse(&format!("{}{}", " \t\r\n".repeat(10_000), sized(2048))).is_ok());
    let fault = fault(&sized(2049));
    assert!(fault.message.ends_with("hard limit of 2048"), "{}", fault.message);
    assert!(fault.detail.contains("2049"));
    assert!(Document::parse(&" ".repeat(500_000)).is_err());
}

#[test]
fn faults_have_a_place() {
    let text =
        "{\n  \"Version\": \"2012-10-17\",\n  \"Statement\": {\"Sid\":\"ü\", \"Effect\": \"Maybe\"}\n}";
    let fault = fault(text);
    assert_eq!(fault.at, Some(Position { line: 3, column: 38 }));
    assert_eq!(
        fault.to_string(),
        "line 3, column 38: Effect \"Maybe\" does not exist: use \"Allow\" or \"Deny\""
    );
}

#[test]
fn deep_nesting_is_refused_like_anything_else() {
    for open in ["[", "{\"Statement\":", "{\"Statement\":[{\"Condition\":{\"Bool\":"] {
        for depth in [20, 127, 129, 1000, 300_000] {
            let _ = fault(&open.repeat(depth));
        }
    }
    let deep = format!("{}{}", "[".repeat(1000), "]".repeat(1000));
    let _ = fault(&format!("{{\"Statement\":{deep}}}"));
    let _ = fault(&format!("{{\"Version\":{deep}}}"));
}

fn json_value() -> impl Strategy<Value = Value> {
    let word = proptest::sample::select(vec![
        "Version",
        "2012-10-17",
        "Statement",
        "Effect",
        "Allow",
        "Action",
        "iot:*",
        "Resource",
        "*",
        "Condition",
        "StringLike",
        "iot:ClientId",
        "arn:aws:iot:r:1:topic/${iot:ClientId}",
        "${",
        "NotResource",
        "Sid",
        "true",
    ]);
    let leaf = prop_oneof![
        word.clone().prop_map(|word| json!(word)),
        Just(Value::Null),
        any::<bool>().prop_map(|b| json!(b)),
        any::<f64>().prop_map(|n| json!(n)),
        any::<String>().prop_map(|s| json!(s)),
    ];
    leaf.prop_recursive(6, 64, 8, move |inner| {
        let key = prop_oneof![8 => word.clone().prop_map(str::to_owned), 1 => any::<String>()];
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::Array),
            prop::collection::vec((key, inner), 0..8).prop_map(|m| Value::Object(m.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn any_json_is_read_or_refused(value in json_value(), place in 0..4) {
        let text = match place {
            0 => value.to_string(),
            1 => json!({ "Version": "2012-10-17", "Statement": value }).to_string(),
            2 => with(json!({ "Condition": value })),
            _ => with(json!({ "Condition": { "StringLike": value } })),
        };
        let _ = Document::parse(&text);
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..300), cut in 0..200_usize) {
        let _ = Document::parse(&String::from_utf8_lossy(&bytes));
        let mut text = with(json!({ "Resource": "arn:aws:iot:*:*:topic/${iot:ClientId}/ü" })).into_bytes();
        let place = cut % text.len();
        text.splice(place..(place + bytes.len() % 3).min(text.len()), bytes.iter().take(3).copied());
        let _ = Document::parse(&String::from_utf8_lossy(&text));
    }
}
