//! The lint: each rule on a document that breaks it, and silence on those that do not.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

#[allow(dead_code)] // Each test file uses its part.
mod desk;

use desk::{analyst, document, site};
use proptest::prelude::*;
use serde_json::Value;
use thingcore_analysis::{Finding, rules};

fn lint(document: &Value) -> Vec<Finding> {
    let site = site();
    analyst(&site).lint(&serde_json::to_string_pretty(document).unwrap())
}

fn ids(statements: &str) -> Vec<&'static str> {
    let mut ids: Vec<&str> = lint(&document(statements)).iter().map(|finding| finding.rule.id).collect();
    ids.dedup();
    ids
}

/// A policy of one device with nothing to find.
const CLEAN: &str = "Allow Connect client/${iot:Connection.Thing.ThingName}; \
    Allow Publish topic/fleet/${iot:Connection.Thing.ThingName}/*; \
    Allow RetainPublish topic/fleet/${iot:Connection.Thing.ThingName}/*; \
    Allow Subscribe topicfilter/fleet/${iot:Connection.Thing.ThingName}/*; \
    Allow Receive topic/fleet/${iot:Connection.Thing.ThingName}/*";

#[test]
fn a_policy_of_one_device_is_clean() {
    assert_eq!(ids(CLEAN), Vec::<&str>::new(), "{:#?}", lint(&document(CLEAN)));
}

#[test]
fn each_rule_finds_its_fault() {
    let with = |more: &str| format!("{CLEAN}; {more}");
    let cases = [
        (with("Allow Connect client/*"), "broad-access"),
        (with("Allow Connect client/${iot:ClientId}"), "broad-access"),
        (with("Allow Publish topic/$aws/things/*"), "broad-access"),
        (with("Allow Publish topic/$aws/things/*/shadow/update"), "broad-access"),
        (with("Allow Subscribe topicfilter/$aws/things/*"), "broad-access"),
        (with("Allow Subscribe topicfilter/$aws/things/#"), "broad-access"),
        (with("Allow Subscribe topicfilter/$aws/things/+/shadow/update"), "broad-access"),
        (with("Allow GetThingShadow thing/*"), "broad-access"),
        (with("Allow * *"), "broad-access"),
        (with("Allow Subscribe topicfilter/building/*; Deny Subscribe topicfilter/building/control_room/#; Allow Receive topic/building/*"), "deny-mqtt-wildcard"),
        (with("Allow Subscribe topicfilter/building/*; Deny Subscribe topicfilter/building/control_room/*; Allow Receive topic/building/*"), "deny-bypassed"),
        (with("Allow Publish topic/a/+/c"), "mqtt-wildcard-literal"),
        (with("Allow Subscribe topic/a"), "wrong-resource-kind"),
        (with("Allow Receive topicfilter/a"), "wrong-resource-kind"),
        (with("Allow Publish topic/${iot:Thing.ThingName}"), "unresolvable-variable"),
        (with("Allow Publsh topic/a"), "unknown-action"),
        (with("Allow Publish topic/a/b; Deny Publish topic/a/*"), "never-applies"),
        (with("Allow Publish topic/a/*/b"), "crosses-levels"),
        ("Allow Connect client/*; Allow Subscribe topicfilter/${iot:ClientId}; Allow Receive topic/*".into(), "client-chosen-variable"),
        (with("Allow Subscribe topicfilter/${iot:Connection.Thing.Attributes[root]}"), "attribute-variable"),
        (with("Allow Receive !topic/a/*"), "allow-not-resource"),
        (with("Allow Publish topic/a/?/b"), "crosses-levels"),
        (with("Allow Subscribe topicfilter/a/#"), "mqtt-wildcard-exact"),
        (with("Allow Subscribe topicfilter/b/*; Allow Receive topic/*"), "receive-without-limits"),
        ("Allow Publish topic/a".into(), "no-connect"),
        ("Allow Connect client/c; Allow Subscribe topicfilter/a/*".into(), "subscribe-without-receive"),
        ("Allow Connect client/c; Allow Subscribe topicfilter/a/*, topicfilter/b/*; Allow Receive topic/a/*".into(), "subscribe-without-receive"),
        ("Allow Connect client/c; Allow Receive topic/a/*".into(), "receive-without-subscribe"),
        ("Allow Connect client/c; Allow Publish topic/a; Allow RetainPublish topic/b".into(), "retain-without-publish"),
        ("Allow Connect client/c; Allow Publish topic/a".into(), "no-retain-publish"),
        ("Allow Connect client/x*; Allow Publish topic/${iot:Connection.Thing.ThingName}/a".into(), "client-id-form"),
        ("Allow Connect client/x*; Allow Publish topic/fleet/${iot:ClientId}/up; Allow Subscribe topicfilter/fleet/*; Allow Receive topic/fleet/*".into(), "fleet-leak"),
    ];
    let mut cases: Vec<(Value, &str)> =
        cases.map(|(statements, id)| (document(&statements), id)).into_iter().collect();
    let mut changed = |statements: &str, place: usize, member: &str, value: Value, id: &'static str| {
        let mut document = document(statements);
        let statement = document["Statement"][place].as_object_mut().unwrap();
        if member == "NotAction" {
            statement.remove("Action");
        }
        statement.insert(member.to_owned(), value);
        cases.push((document, id));
    };
    changed(&with("Allow Publish topic/a"), 5, "NotAction", "iot:Subscribe".into(), "allow-not-action");
    let other = "arn:aws:iot:eu-west-1:123456789012:topic/a";
    changed(&with("Allow Publish topic/a"), 5, "Resource", other.into(), "foreign-arn");
    let will =
        serde_json::json!({"ArnEquals": {"iot:LastWillTopic": "arn:aws:iot:us-east-1:123456789012:topic/w"}});
    changed("Allow Connect client/c; Allow Publish topic/a", 0, "Condition", will, "will-without-publish");
    let wills = serde_json::json!({"ForAllValues:StringEquals": {"iot:ConnectAttributes": ["LastWill"]}});
    changed("Allow Connect client/c; Allow Receive topic/a", 0, "Condition", wills, "will-without-publish");
    for (document, id) in cases {
        let (findings, statements) = (lint(&document), document);
        let found = findings.iter().find(|finding| finding.rule.id == id);
        let found = found.unwrap_or_else(|| panic!("{id} is not found in {statements}: {findings:#?}"));
        assert!(!found.fix.is_empty() && !found.reason.is_empty(), "{found:?}");
        assert!(found.witness.as_ref().is_some_and(|witness| !witness.is_empty()), "no witness: {found:?}");
    }
}

/// No rule is without a document above, but for those about documents that are none, or that are too hard.
#[test]
fn every_rule_has_its_test() {
    let this = include_str!("lint.rs");
    for rule in rules::ALL.iter().filter(|rule| **rule != rules::UNDECIDED) {
        let by_name = ["malformed", "too-large", "version-without-variables"].contains(&rule.id);
        assert!(by_name || this.contains(&format!("\"{}\")", rule.id)), "{}", rule.id);
    }
}

/// Where Subscribe has a wildcard, Receive is the limit that holds: it has to be as narrow.
#[test]
fn receive_has_to_be_limited_as_subscribe_is() {
    let open = |subscribe: &str, receive: &str| {
        let text = format!("Allow Connect client/c; Allow Subscribe {subscribe}; Allow Receive {receive}");
        let findings = lint(&document(&text));
        findings.into_iter().find(|finding| finding.rule == rules::OPEN_RECEIVE).map(|f| f.witness.unwrap())
    };
    assert!(open("topicfilter/a/*", "topic/*").is_some());
    assert!(open("topicfilter/a/*", "topic/a/*, topic/b").is_some_and(|witness| witness.contains(" b ")));
    let brought = open("topicfilter/???", "topic/*").unwrap();
    assert!(brought.contains("subscribes to"), "+/# has three characters and brings everything: {brought}");
    for (subscribe, receive) in [
        ("topicfilter/a/*", "topic/a/*"),
        ("topicfilter/a/*", "topic/a/b"),
        ("topicfilter/*", "topic/*"),
        ("topicfilter/a/b", "topic/*"),
        ("topicfilter/a/+/c, topicfilter/b/*", "topic/a/x/c, topic/b/*"),
        ("topicfilter/$share/*/a/*", "topic/a/*"),
        ("topicfilter/a/*", "topic/a/*, topic/$aws/things/*"),
    ] {
        assert_eq!(open(subscribe, receive), None, "{subscribe} {receive}");
    }
}

#[test]
fn conditions_that_can_never_hold_are_found() {
    let mut dead = document("Allow Connect client/c; Allow Publish topic/a");
    dead["Statement"][1]["Condition"] = serde_json::json!({"StringEquals": {"iot:Nobody": "x"}});
    let findings = lint(&dead);
    let found = findings.iter().find(|finding| finding.rule == rules::UNRESOLVABLE).unwrap();
    assert!(found.statement == Some(2) && found.witness.is_some(), "{found:?}");
    dead["Statement"][1]["Condition"] = serde_json::json!({"StringNotEquals": {"iot:Nobody": "x"}});
    assert!(!lint(&dead).iter().any(|finding| finding.rule == rules::UNRESOLVABLE));
}

/// The examples of the audit's page, exactly.
#[test]
fn the_audits_examples_are_judged_as_aws_judges_them() {
    let building = |deny: &str| {
        format!(
            "Allow Subscribe topicfilter/building/*; Deny Subscribe topicfilter/building/{deny}; Allow Receive topic/building/*"
        )
    };
    let audit = |statements: &str| -> Vec<&'static str> {
        lint(&document(statements)).iter().filter_map(|finding| finding.rule.audit).collect()
    };
    assert_eq!(audit(&building("control_room/#")), ["POLICY_CONTAINS_MQTT_WILDCARDS_IN_DENY_STATEMENT"]);
    assert_eq!(
        audit(&building("control_room/*")),
        ["TOPIC_FILTERS_INTENDED_TO_DENY_ALLOWED_USING_WILDCARDS"]
    );
    let mended = format!("{}; Deny Receive topic/building/control_room/*", building("control_room/*"));
    assert_eq!(audit(&mended), Vec::<&str>::new());
    for compliant in [
        "Allow Receive topic/$aws/things/*",
        "Allow Publish topic/$aws/things/${iot:Connection.Thing.ThingName}/shadow/*",
        "Allow Subscribe topicfilter/$aws/things/${iot:Connection.Thing.ThingName}/jobs/*",
        "Allow GetThingShadow thing/T1, thing/T2",
        "Allow GetThingShadow thing/MyThing*",
    ] {
        assert_eq!(audit(compliant), Vec::<&str>::new(), "{compliant}");
    }
}

#[test]
fn the_conditions_of_the_audit_count() {
    let mut attached = document("Allow Connect client/${iot:ClientId}");
    attached["Statement"][0]["Condition"] =
        serde_json::json!({"Bool": {"iot:Connection.Thing.IsAttached": "true"}});
    assert!(!lint(&attached).iter().any(|finding| finding.rule == rules::BROAD));
}

#[test]
fn findings_point_at_their_place() {
    let text = "{\"Version\": \"2012-10-17\", \"Statement\": [\n {\"Effect\": \"Allow\", \"Action\": \"iot:Subscribe\",\n  \"Resource\": [\"arn:aws:iot:us-east-1:123456789012:topicfilter/a\",\n   \"arn:aws:iot:us-west-2:123456789012:topicfilter/b\"]}]}";
    let site = site();
    let findings = analyst(&site).lint(text);
    let foreign = findings.iter().find(|finding| finding.rule == rules::FOREIGN).unwrap();
    assert_eq!((foreign.at.line, foreign.at.column, foreign.statement), (4, 4, Some(1)));
}

#[test]
fn what_is_no_policy_is_said_with_its_place() {
    let site = site();
    let analyst = analyst(&site);
    assert_eq!(analyst.lint("{")[0].rule, rules::MALFORMED);
    let long = document(&format!("Allow Publish topic/{}", "x".repeat(2048))).to_string();
    assert_eq!(analyst.lint(&long)[0].rule, rules::TOO_LARGE);
    let old = r#"{"Statement":[{"Effect":"Allow","Action":"iot:Connect","Resource":"arn:aws:iot:us-east-1:123456789012:client/${iot:ClientId}"}]}"#;
    assert!(analyst.lint(old).iter().any(|finding| finding.rule == rules::NO_VARIABLES));
}

#[test]
fn hostile_patterns_end_soon_and_never_as_safe() {
    let site = site();
    let mut analyst = analyst(&site);
    analyst.budget = thingcore_analysis::Budget::new(20_000);
    let star = "*a".repeat(60);
    let one = format!("*a{}", "?".repeat(40));
    let statements = format!(
        "Allow Connect client/*; Allow Publish topic/{star}; Allow Subscribe topicfilter/{star}, topicfilter/{one}; Allow Receive topic/{one}; Deny Receive topic/{star}, topic/{one}b"
    );
    let cohort = desk::cohort(&statements);
    let started = std::time::Instant::now();
    let answer = analyst.leaks(&cohort);
    assert!(started.elapsed() < std::time::Duration::from_secs(20));
    assert_ne!(
        answer,
        thingcore_analysis::Answer::No,
        "there is a leak: at best it is found, at worst it is unknown"
    );
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn any_text_at_all_gets_an_answer(text in ".{0,200}") {
        let site = site();
        let _ = analyst(&site).lint(&text);
        let _ = thingcore_analysis::extract(&text, ("us-east-1", "123456789012"));
    }
}
