//! Every rule of an answer, and that no change of an answer grants more.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

const ALLOW: &str =
    r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"iot:Connect","Resource":"*"}]}"#;

fn good() -> Value {
    json!({
        "isAuthenticated": true,
        "principalId": "abc123",
        "policyDocuments": [ALLOW],
        "disconnectAfterInSeconds": 3600,
        "refreshAfterInSeconds": 600,
    })
}

fn with(member: &str, value: Value) -> String {
    let mut answer = good();
    answer[member] = value;
    answer.to_string()
}

fn without(member: &str) -> String {
    let mut answer = good();
    answer.as_object_mut().unwrap().remove(member);
    answer.to_string()
}

fn refusal(answer: &str) -> InvalidAnswer {
    Answer::parse(answer.as_bytes(), None).unwrap_err()
}

fn message(answer: &str) -> String {
    Answer::read(answer.as_bytes(), None).unwrap_err().message()
}

#[test]
fn a_good_answer_grants_what_it_says() {
    let grant = Answer::parse(good().to_string().as_bytes(), None).unwrap();
    assert_eq!(&*grant.principal_id, "abc123");
    assert_eq!(grant.documents.len(), 1);
    assert_eq!(grant.documents[0].text, ALLOW);
    assert_eq!(grant.disconnect_after, Duration::from_secs(3600));
    assert_eq!(grant.refresh_after, Duration::from_secs(600));
}

#[test]
fn every_document_becomes_a_source() {
    let answer = with("policyDocuments", json!([ALLOW, ALLOW]));
    let sources = Answer::parse(answer.as_bytes(), None).unwrap().sources("My=Auth,@-1").unwrap();
    let seen: Vec<_> = sources.iter().map(|source| (source.policy.as_str(), source.version)).collect();
    assert_eq!(seen, [("My=Auth,@-1", 1), ("My=Auth,@-1", 2)]);
}

#[test]
fn omitted_times_have_their_defaults() {
    let answer =
        json!({"isAuthenticated": true, "principalId": "a", "policyDocuments": [], "context": {"x": 1}});
    let grant = Answer::parse(answer.to_string().as_bytes(), None).unwrap();
    assert_eq!(grant.refresh_after, Duration::from_secs(300));
    assert_eq!(grant.disconnect_after, Duration::from_secs(86_400));
    assert!(grant.documents.is_empty());
}

#[test]
fn times_keep_their_range_and_are_not_clamped() {
    for member in ["refreshAfterInSeconds", "disconnectAfterInSeconds"] {
        for value in [300, 86_400] {
            assert!(Answer::parse(with(member, json!(value)).as_bytes(), None).is_ok(), "{member} {value}");
        }
        for value in [299, 86_401, 0, -1] {
            let text = format!(
                "{value} at {member} failed to satisfy constraint: Member must be greater than 5 minutes and less \
                 than 24 hours."
            );
            assert_eq!(message(&with(member, json!(value))), text);
        }
        for value in [json!("300"), json!(300.5), json!(u64::MAX), json!([300])] {
            assert!(matches!(refusal(&with(member, value)), InvalidAnswer::Format(_)));
        }
    }
}

#[test]
fn the_principal_keeps_its_pattern() {
    let pattern = "at principalId failed to satisfy constraint: Member must satisfy ([a-zA-Z0-9]){1,128}";
    assert_eq!(message(&without("principalId")), format!("null {pattern}"));
    for bad in ["", "a-b", "a b", "ä", "a\n", &"a".repeat(129)] {
        assert_eq!(message(&with("principalId", json!(bad))), format!("{bad} {pattern}"));
    }
    assert!(Answer::parse(with("principalId", json!("a".repeat(128))).as_bytes(), None).is_ok());
    assert!(matches!(refusal(&with("principalId", json!(7))), InvalidAnswer::Format(_)));
}

#[test]
fn beside_a_certificate_the_principal_is_the_certificate_and_policies_are_optional() {
    let answer = without("policyDocuments");
    assert!(Answer::parse(answer.as_bytes(), Some("abc123")).unwrap().documents.is_empty());
    let other = Answer::parse(answer.as_bytes(), Some("other")).unwrap_err();
    assert_eq!(other, InvalidAnswer::OtherPrincipal("abc123".into()));
    assert_eq!(
        message(&answer),
        "policyDocuments failed to satisfy constraint: List of policies cannot be null."
    );
}

#[test]
fn ten_documents_of_2048_characters_and_no_more() {
    let text =
        |length: usize| ALLOW.replace("Connect", &format!("Connect{}", "x".repeat(length - ALLOW.len())));
    let documents = |number: usize, length: usize| json!(vec![format!(" \n{}", text(length)); number]);
    assert!(Answer::parse(with("policyDocuments", documents(10, 2048)).as_bytes(), None).is_ok());
    assert_eq!(
        message(&with("policyDocuments", documents(11, 2000))),
        "policyDocuments failed to satisfy constraint: Number of policies allowed cannot exceed 10"
    );
    assert_eq!(
        message(&with("policyDocuments", documents(1, 2049))),
        "policyDocuments failed to satisfy constraint: Size of a policy document cannot exceeds hard limit of 2048"
    );
}

#[test]
fn documents_may_be_objects_and_must_be_policies() {
    let spaced = ALLOW.replace(':', " :\t ").replace("iot : :", "iot:");
    let answer = without("policyDocuments").replacen('{', "{\"policyDocuments\":[OBJECT],", 1);
    let read = |object: &str| Answer::parse(answer.replace("OBJECT", object).as_bytes(), None);
    let spaced = spaced.replace("iot :\t Connect", "iot:Connect");
    assert_eq!(read(&spaced).unwrap().documents[0].text, ALLOW);
    let malformed =
        "policyDocuments failed to satisfy constraint: Policy document is Malformed: Invalid policy syntax.";
    for bad in
        ["\"not JSON\"", "{}", "[]", "null", "1", &ALLOW.replacen('{', "{\"Version\":\"2012-10-17\",", 1)]
    {
        assert_eq!(read(bad).unwrap_err().message(), malformed, "{bad}");
    }
}

#[test]
fn an_answer_of_another_shape_is_none() {
    let twice = good().to_string().replacen('{', "{\"isAuthenticated\":true,", 1);
    let list = format!("[true,\"abc123\",[{}]]", json!(ALLOW));
    let nested = "[".repeat(100_000);
    for bad in [
        "",
        "null",
        "true",
        "{}",
        &without("isAuthenticated"),
        &with("isAuthenticated", json!("true")),
        &twice,
        &list,
        &nested,
        &with("policyDocuments", json!(ALLOW)),
        &format!("{} x", good()),
    ] {
        assert_eq!(message(bad), "Lambda invocation result is in invalid format", "{bad:.60}");
    }
    let long = format!("{}{}", good(), " ".repeat(Answer::LONGEST));
    assert!(matches!(refusal(&long), InvalidAnswer::TooLong { .. }));
}

#[test]
fn no_is_no_whatever_else_is_said() {
    assert_eq!(refusal(r#"{"isAuthenticated":false}"#), InvalidAnswer::NotAuthenticated);
    assert_eq!(refusal(&with("isAuthenticated", json!(false))), InvalidAnswer::NotAuthenticated);
    assert!(!Answer::read(with("isAuthenticated", json!(false)).as_bytes(), None).unwrap().is_authenticated);
}

/// What a grant is, to compare it.
fn shown(grant: &Grant) -> (String, Vec<String>, Duration, Duration) {
    let documents = grant.documents.iter().map(|document| document.text.clone()).collect();
    (grant.principal_id.to_string(), documents, grant.disconnect_after, grant.refresh_after)
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = Answer::parse(&bytes, None);
    }

    /// An answer that says no, or lacks a principal, never becomes a grant by the change of one byte, unless that byte
    /// makes it an answer that keeps every rule by itself.
    #[test]
    fn a_changed_answer_is_whole_or_nothing(at in 0..400_usize, byte in any::<u8>()) {
        let mut bytes = good().to_string().into_bytes();
        let at = at % bytes.len();
        bytes[at] = byte;
        if let Ok(grant) = Answer::parse(&bytes, None) {
            let (principal, documents, disconnect, refresh) = shown(&grant);
            let read: Value = serde_json::from_slice(&bytes).unwrap();
            prop_assert_eq!(&read["isAuthenticated"], &json!(true));
            prop_assert_eq!(&read["principalId"], &json!(principal));
            prop_assert!(documents.len() <= 10);
            for seconds in [disconnect.as_secs(), refresh.as_secs()] {
                prop_assert!((300..=86_400).contains(&seconds));
            }
        }
    }

    #[test]
    fn a_cut_answer_grants_nothing(keep in 0..1000_usize) {
        let whole = good().to_string().into_bytes();
        let keep = keep % whole.len();
        prop_assert!(Answer::parse(&whole[..keep], None).is_err());
    }

    /// Rule by rule: whatever stands in one member, what is granted is what stands there.
    #[test]
    fn one_broken_member_spoils_all(member in 0..5_usize, value in prop_oneof![
        Just(Value::Null), any::<bool>().prop_map(Value::from), any::<i64>().prop_map(Value::from),
        ".{0,6}".prop_map(Value::from), proptest::collection::vec(".{0,3}", 0..3).prop_map(Value::from),
    ]) {
        let name = ["isAuthenticated", "principalId", "policyDocuments", "disconnectAfterInSeconds",
            "refreshAfterInSeconds"][member];
        let before = shown(&Answer::parse(good().to_string().as_bytes(), None).unwrap());
        if let Ok(grant) = Answer::parse(with(name, value.clone()).as_bytes(), None) {
            let after = shown(&grant);
            match name {
                "isAuthenticated" => prop_assert_eq!(value, json!(true)),
                "principalId" => prop_assert_eq!(value, json!(after.0)),
                "policyDocuments" => prop_assert!(after.1.is_empty()),
                _ => prop_assert!(value.is_null() || value.as_i64().is_some_and(|it| (300..=86_400).contains(&it))),
            }
            prop_assert!(name == "principalId" || after.0 == before.0);
        }
    }
}
