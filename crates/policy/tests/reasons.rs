//! What a denial says to a person, what a decision tells, and what each condition operator does.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

#[allow(dead_code)] // Each test file uses its part.
mod desk;

use std::sync::Arc;

use desk::{NOW, authorizer, context, site, source};
use identity::{PolicyName, ThingGroupName, Timestamp};
use serde_json::{Value, json};
use thingcore_policy::{
    Authorizer, CallFacts, ConnectFacts, ConnectionContext, Epoch, Origin, Outcome, PolicySet, Source,
    UNCONFIRMED,
};

fn arn(name: &str) -> String {
    format!("arn:aws:iot:us-east-1:123456789012:{name}")
}

fn statement(effect: &str, action: &str, resource: &str) -> Value {
    json!({ "Effect": effect, "Action": action, "Resource": arn(resource) })
}

fn document(statements: &[Value]) -> Value {
    json!({ "Version": "2012-10-17", "Statement": statements })
}

fn reason(statements: &[Value], of: &str, ask: impl Fn(&Authorizer) -> Option<String>) -> String {
    ask(&authorizer(&[document(statements)], context(of))).expect("a denial")
}

fn publish(topic: &'static str) -> impl Fn(&Authorizer) -> Option<String> {
    move |authorizer| authorizer.publish(topic, NOW).err().map(|denial| denial.to_string())
}

#[test]
fn an_implicit_denial_names_the_nearest_statement() {
    let statements = [
        statement("Allow", "iot:Publish", "topic/other/*"),
        statement("Allow", "iot:Publish", "topic/dev/${iot:ClientId}/data"),
        statement("Allow", "iot:Subscribe", "topicfilter/dev/8/data"),
    ];
    assert_eq!(
        reason(&statements, "client=sensor-7", publish("dev/8/data")),
        "no statement matched; nearest: statement 2 of policy policy-0 \
         (Resource topic/dev/${iot:ClientId}/data resolved to topic/dev/sensor-7/data)"
    );
}

#[test]
fn a_missing_variable_is_named_with_its_cause() {
    let statements = [
        statement("Allow", "iot:Publish", "topic/dev/8/dat"),
        statement("Allow", "iot:Publish", "topic/dev/${iot:Connection.Thing.ThingName}/data"),
    ];
    assert_eq!(
        reason(&statements, "client=c1", publish("dev/8/data")),
        "no statement matched; nearest: statement 2 of policy policy-0 \
         (Resource topic/dev/${iot:Connection.Thing.ThingName}/data: iot:Connection.Thing.ThingName has no value, \
         because the connection is not associated with a thing)"
    );
    let statements = [statement("Allow", "iot:Publish", "topic/${iot:Certificate.Subject.CommonName}")];
    let because = reason(&statements, "cn=dev*", publish("dev*"));
    assert!(
        because.ends_with("because its value is a list, is too long, or contains one of * $ + ? #)"),
        "{because}"
    );
}

#[test]
fn a_false_condition_is_named_with_the_value() {
    let mut only = statement("Allow", "iot:Publish", "topic/*");
    only["Condition"] = json!({ "StringEquals": { "iot:ClientId": ["c2", "c3"] } });
    assert_eq!(
        reason(&[statement("Allow", "iot:Publish", "topic/a/b/d"), only], "client=c1", publish("a/b/c")),
        "no statement matched; nearest: statement 2 of policy policy-0 (Resource topic/* matches, but the condition \
         StringEquals iot:ClientId [\"c2\", \"c3\"] does not: the request has [\"c1\"])"
    );
}

#[test]
fn an_explicit_denial_names_policy_version_statement_and_resource() {
    let mut deny = statement("Deny", "iot:*", "topic/admin/${iot:ClientId}/*");
    deny["Sid"] = json!("NoAdmin");
    let policy = source("guard", &document(&[statement("Allow", "iot:*", "*"), deny]));
    let group = Origin::ThingGroup(ThingGroupName::new("fleet").unwrap());
    let policy = Source { version: 4, origin: group, ..policy };
    let set = Arc::new(PolicySet::compile(vec![policy]));
    let authorizer = Authorizer::new(site(), set, context("client=c1"), Epoch(1));
    assert_eq!(
        publish("admin/c1/x")(&authorizer).unwrap(),
        "denied explicitly by statement 2 \"NoAdmin\" of policy guard of thing group fleet, version 4 \
         (Resource topic/admin/${iot:ClientId}/* resolved to topic/admin/c1/*)"
    );
}

#[test]
fn frequent_mistakes_get_a_hint() {
    let subscribe = |authorizer: &Authorizer| authorizer.subscribe("a/b", NOW).err().map(|d| d.to_string());
    let text = reason(&[statement("Allow", "iot:Subscribe", "topic/a/b")], "client=c1", subscribe);
    assert!(
        text.ends_with("(Resource topic/a/b, but iot:Subscribe is decided on topicfilter/ resources)"),
        "{text}"
    );
    let elsewhere =
        json!({ "Effect": "Allow", "Action": "iot:*", "Resource": "arn:aws:iot:eu-west-1:1:topic/a" });
    let text = reason(&[elsewhere], "client=c1", publish("a"));
    assert!(
        text.ends_with("(Resource arn:aws:iot:eu-west-1:1:topic/a, which is not of this Region and account)")
    );
    let text = reason(&[statement("Allow", "iot:Receive", "topic/a")], "client=c1", publish("a"));
    assert_eq!(text, "no statement matched; no Allow statement of policy-0 speaks of iot:Publish");
    let others = json!({ "Effect": "Allow", "Action": "iot:*", "NotResource": arn("topic/a") });
    let text = reason(&[others], "client=c1", publish("a"));
    assert!(text.ends_with("(NotResource topic/a excludes it)"), "{text}");
    let nothing = Authorizer::new(site(), Arc::new(PolicySet::compile(vec![])), context(""), Epoch(0));
    assert_eq!(publish("a")(&nothing).unwrap(), "no policy is attached");
}

#[test]
fn shared_deliveries_are_allowed_by_either_form_and_denied_by_either() {
    let ask = |statements: &[Value]| {
        let authorizer = authorizer(&[document(statements)], context("client=c1"));
        let answer = authorizer.receive_shared("g", "a/b", NOW);
        answer.map(|permit| permit.epoch()).map_err(|denial| denial.to_string())
    };
    let allow = |resource| statement("Allow", "iot:Receive", resource);
    let deny = |resource| statement("Deny", "iot:Receive", resource);
    assert_eq!(ask(&[allow("topic/a/b")]), Ok(Epoch(7)));
    assert_eq!(ask(&[allow("topic/$share/*/a/b")]), Ok(Epoch(7)));
    assert!(ask(&[allow("topic/*"), deny("topic/a/b")]).unwrap_err().contains("topic/a/b"));
    assert!(
        ask(&[allow("topic/*"), deny("topic/$share/g/*")]).unwrap_err().contains("explicitly by statement 2")
    );
    assert!(ask(&[allow("topic/$share/h/a/b")]).unwrap_err().contains("no statement matched"));
}

#[test]
fn a_decision_lists_what_took_part() {
    let first = document(&[
        statement("Allow", "iot:Publish", "topic/*"),
        statement("Deny", "iot:Publish", "topic/x"),
    ]);
    let mut missing = statement("Allow", "iot:Publish", "topic/${iot:DomainName}");
    missing["Condition"] = json!({ "StringEquals": { "iot:Connection.Thing.ThingTypeName": "t" } });
    let authorizer = authorizer(&[first, document(&[missing])], context("client=c1"));
    let decision = authorizer.decide("iot:publish", "topic", "x", ConnectFacts::default(), NOW);
    assert_eq!(decision.outcome, Outcome::ExplicitDeny);
    assert_eq!((decision.allowed_by[0].statement, decision.denied_by[0].statement), (1, 2));
    assert_eq!(decision.denied_by[0].resource, arn("topic/x"));
    assert_eq!(decision.silent, [PolicyName::new("policy-1").unwrap()]);
    assert_eq!(decision.missing_context, ["iot:Connection.Thing.ThingTypeName", "iot:DomainName"]);
    let elsewhere = authorizer.decide_arn("iot:Publish", &arn("topic/y"), ConnectFacts::default(), NOW);
    assert_eq!((elsewhere.outcome, elsewhere.explanation), (Outcome::Allowed, None));
    let nowhere = authorizer.decide_arn("iot:ListRetainedMessages", "*", ConnectFacts::default(), NOW);
    assert_eq!(nowhere.outcome, Outcome::ImplicitDeny);
}

#[test]
fn all_is_allowed_to_the_principals_of_test_listeners() {
    let set = Arc::new(PolicySet::allow_all(PolicyName::new("all").unwrap()));
    let authorizer = Authorizer::new(site(), set, ConnectionContext::default(), Epoch(3));
    assert_eq!(authorizer.publish("a", NOW).unwrap().epoch(), Epoch(3));
    assert!(
        authorizer.subscribe("#", NOW).is_ok()
            && authorizer.connect("c", ConnectFacts::default(), NOW).is_ok()
    );
    let any = authorizer.decide_arn("iot:ListRetainedMessages", "*", ConnectFacts::default(), NOW);
    assert_eq!(any.outcome, Outcome::Allowed);
}

/// True if an Allow under the condition admits a CONNECT with a Will on `w`.
fn holds(condition: Value, of: ConnectionContext, now: Timestamp) -> bool {
    let statement =
        json!({ "Effect": "Allow", "Action": "iot:Connect", "Resource": "*", "Condition": condition });
    let authorizer = authorizer(&[document(&[statement])], of);
    let facts = ConnectFacts { persistent: false, last_will: true, last_will_topic: Some("w") };
    let fast = authorizer.connect("c1", facts, now).is_ok();
    let slow = authorizer.decide("iot:Connect", "client", "c1", facts, now).outcome == Outcome::Allowed;
    assert_eq!(fast, slow);
    fast
}

#[test]
fn a_call_is_decided_by_what_it_asks_for() {
    let statements = [
        json!({ "Effect": "Allow", "Action": "iot:*", "Resource": "*" }),
        json!({ "Effect": "Deny", "Action": "iot:SendDirectMessage", "Resource": "*",
                "Condition": { "StringLike": { "iot:Topic": "secret/*" } } }),
        json!({ "Effect": "Deny", "Action": "iot:GetConnection", "Resource": "*",
                "Condition": { "Bool": { "iot:includeSocketInformation": "true" } } }),
    ];
    let authorizer = authorizer(&[document(&statements)], ConnectionContext::default());
    let send = |topic| {
        let facts = CallFacts { topic, ..Default::default() };
        authorizer.decide("iot:SendDirectMessage", "client", "c", facts, NOW).outcome
    };
    assert_eq!(send(Some("secret/x")), Outcome::ExplicitDeny);
    assert_eq!(send(Some("open/x")), Outcome::Allowed);
    let get = |include_socket_information| {
        let facts = CallFacts { include_socket_information, ..Default::default() };
        authorizer.decide("iot:GetConnection", "client", "c", facts, NOW)
    };
    assert_eq!(get(Some(false)).outcome, Outcome::Allowed);
    assert_eq!(get(Some(true)).outcome, Outcome::ExplicitDeny);
    for (operator, value) in [("ArnLike", arn("thing/team-a-*")), ("StringLike", arn("thing/team-a-*"))] {
        let by_thing = authorizer_by_thing(operator, &value);
        for (thing, outcome) in [
            (Some("team-a-1"), Outcome::Allowed),
            (Some("team-b-1"), Outcome::ImplicitDeny),
            (None, Outcome::ImplicitDeny),
        ] {
            let facts = CallFacts { thing, ..Default::default() };
            let decision = by_thing.decide("iot:AttachThingPrincipal", "cert", "c", facts, NOW);
            assert_eq!(decision.outcome, outcome, "{operator} {thing:?}");
        }
    }
    assert!(authorizer.connect("c", ConnectFacts::default(), NOW).is_ok());
}

fn authorizer_by_thing(operator: &str, value: &str) -> Authorizer {
    let statement = json!({ "Effect": "Allow", "Action": "iot:AttachThingPrincipal", "Resource": arn("cert/*"),
                            "Condition": { operator: { "iot:thingArn": value } } });
    authorizer(&[document(&[statement])], ConnectionContext::default())
}

#[test]
fn operators_do_what_iam_says() {
    let of = || ConnectionContext {
        source_ip: Some("10.1.2.3".parse().unwrap()),
        domain_name: Some("IoT.example".into()),
        is_attached: Some(true),
        ..context("thing=42 root=a,b cn=O=x")
    };
    for (expected, condition) in [
        (true, json!({ "IpAddress": { "aws:SourceIp": ["192.168.0.0/16", "10.0.0.0/8"] } })),
        (false, json!({ "NotIpAddress": { "AWS:sourceip": ["192.168.0.0/16", "10.0.0.0/8"] } })),
        (true, json!({ "NotIpAddress": { "aws:SourceIp": "2001:db8::/32" } })),
        (true, json!({ "Bool": { "iot:Connection.Thing.IsAttached": ["true"] } })),
        (true, json!({ "Bool": { "iot:Connection.Thing.IsAttached": true } })),
        (false, json!({ "Bool": { "iot:Connection.Thing.IsAttached": "false" } })),
        (true, json!({ "StringEqualsIgnoreCase": { "iot:DomainName": "iOt.EXAMPLE" } })),
        (false, json!({ "StringNotEqualsIgnoreCase": { "iot:DomainName": "iOt.EXAMPLE" } })),
        (false, json!({ "StringEquals": { "iot:DomainName": "iot.example" } })),
        (false, json!({ "StringEquals": { "iot:DomainName": "*" } })),
        (true, json!({ "StringLike": { "iot:DomainName": "I?T.*" } })),
        (false, json!({ "StringLike": { "iot:DomainName": "${*}" } })),
        (true, json!({ "StringNotLike": { "iot:DomainName": "x*" } })),
        (true, json!({ "StringEquals": { "iot:Connection.Thing.ThingName": "${iot:ClientId}" } })),
        (true, json!({ "StringEquals": { "iot:Connection.Thing.Attributes[root]": "a,b" } })),
        (false, json!({ "StringEquals": { "iot:Connection.Thing.Attributes[Root]": "a,b" } })),
        (true, json!({ "StringEquals": { "iot:Certificate.Subject.CommonName": "O\\=x" } })),
        (true, json!({ "NumericEquals": { "iot:ClientId": "42.0" } })),
        (false, json!({ "NumericNotEquals": { "iot:ClientId": 42 } })),
        (
            true,
            json!({ "NumericGreaterThan": { "iot:ClientId": 41 }, "NumericLessThanEquals": { "iot:ClientId": 42 } }),
        ),
        (false, json!({ "NumericLessThan": { "iot:ClientId": 42 } })),
        (false, json!({ "NumericEquals": { "iot:DomainName": 42 } })),
        (true, json!({ "ArnEquals": { "iot:LastWillTopic": "arn:aws:iot:us-east-1:*:topic/w" } })),
        (true, json!({ "ArnLike": { "iot:LastWillTopic": "arn:aws:iot:*:*:topic/?" } })),
        (false, json!({ "ArnNotLike": { "iot:LastWillTopic": "arn:aws:iot:*:*:topic/?" } })),
        (true, json!({ "ArnNotEquals": { "iot:LastWillTopic": "arn:aws:iot:*:*:topic/${iot:ClientId}" } })),
        (true, json!({ "Null": { "iot:Unheard.Of": "true", "iot:ClientId": "false" } })),
        (false, json!({ "Null": { "iot:ClientId": "true" } })),
        (false, json!({ "StringEquals": { "iot:Unheard.Of": "x" } })),
        (true, json!({ "StringNotEquals": { "iot:Unheard.Of": "x" } })),
        (true, json!({ "StringEqualsIfExists": { "iot:Unheard.Of": "x" } })),
        (false, json!({ "StringEqualsIfExists": { "iot:ClientId": "x" } })),
        (false, json!({ "StringNotEquals": { "iot:ClientId": "${iot:Unheard.Of}" } })),
        (
            true,
            json!({ "ForAllValues:StringEquals": { "iot:Certificate.Subject.CommonName.List": ["O\\=x", "y"] } }),
        ),
        (true, json!({ "ForAnyValue:StringLike": { "iot:Certificate.AvailableKeys": "*.CommonName" } })),
        (true, json!({ "DateGreaterThan": { "aws:CurrentTime": "2026-10-03T23:59:59Z" } })),
        (false, json!({ "DateLessThan": { "aws:EpochTime": "2026-10-03" } })),
        (true, json!({ "NumericGreaterThanEquals": { "aws:EpochTime": 1_791_072_000 } })),
        (true, json!({ "StringLike": { "aws:CurrentTime": "2026-10-04T00:00:00Z" } })),
    ] {
        let now = Timestamp(1_791_072_000_000);
        assert_eq!(holds(condition.clone(), of(), now), expected, "{condition}");
    }
}

#[test]
fn an_authorizer_knows_whether_time_matters() {
    let until = |action: &str| {
        let condition = json!({ "DateLessThan": { "aws:CurrentTime": "2026-10-04" } });
        document(&[json!({ "Effect": "Allow", "Action": action, "Resource": "*", "Condition": condition })])
    };
    let timed = authorizer(&[until("iot:Publish")], context("client=c1"));
    assert!(timed.depends_on_time());
    assert!(timed.publish("a", Timestamp(1_791_071_999_999)).is_ok());
    let late = timed.publish("a", Timestamp(1_791_072_000_000)).unwrap_err().to_string();
    assert!(late.contains("DateLessThan aws:CurrentTime") && late.contains("2026-10-04T00:00:00Z"), "{late}");
    assert!(!authorizer(&[document(&[statement("Allow", "iot:*", "*")])], context("")).depends_on_time());
}

#[test]
fn documents_of_2008_have_no_variables() {
    let mut old = document(&[statement("Allow", "iot:Publish", "topic/${iot:ClientId}")]);
    old["Version"] = json!("2008-10-17");
    let authorizer = authorizer(&[old], context("client=c1"));
    assert!(authorizer.publish("c1", NOW).is_err());
    assert!(authorizer.publish("${iot:ClientId}", NOW).is_ok());
}

#[test]
fn open_questions_are_listed_once() {
    let mut ids: Vec<_> = UNCONFIRMED.iter().map(|entry| entry.id).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), UNCONFIRMED.len());
    assert!(UNCONFIRMED.iter().all(|e| e.question.ends_with('?') && e.reading.ends_with('.')));
}

fn way_out(statements: &[Value], of: &str, topic: &str) -> String {
    let authorizer = authorizer(&[document(statements)], context(of));
    authorizer.publish(topic, NOW).expect_err("a denial").remedy().to_string()
}

#[test]
fn a_denial_says_what_to_change_and_where() {
    let near = statement("Allow", "iot:Publish", "topic/dev/${iot:ClientId}/data");
    assert_eq!(
        way_out(&[near], "client=sensor-7", "dev/8/data"),
        format!("add {} to the Resource of statement 1 of policy policy-0", arn("topic/dev/8/data"))
    );
    let other = statement("Allow", "iot:Subscribe", "topicfilter/dev/8/data");
    assert_eq!(
        way_out(&[other], "client=c1", "a"),
        format!(
            "add to policy policy-0 the statement {{\"Effect\":\"Allow\",\"Action\":\"iot:Publish\",\"Resource\":\"{}\"}}",
            arn("topic/a")
        )
    );
    let forbidden = [statement("Allow", "iot:*", "*"), statement("Deny", "iot:Publish", "topic/secret/*")];
    assert_eq!(
        way_out(&forbidden, "client=c1", "secret/x"),
        "narrow or remove topic/secret/* in statement 2 of policy policy-0: it denies, and no Allow overrules it"
    );
    let variable = statement("Allow", "iot:Publish", "topic/${iot:Connection.Thing.ThingName}");
    let text = way_out(&[variable], "client=c1", "a");
    assert!(text.starts_with("give iot:Connection.Thing.ThingName a value"), "{text}");
}

#[test]
fn without_a_policy_one_is_to_be_attached() {
    let text = {
        let authorizer = authorizer(&[], context("client=c1"));
        authorizer.subscribe("a/#", NOW).expect_err("a denial").remedy().to_string()
    };
    assert_eq!(
        text,
        format!("attach a policy that allows iot:Subscribe on {} to the principal", arn("topicfilter/a/#"))
    );
}
