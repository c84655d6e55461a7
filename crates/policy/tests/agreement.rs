//! Generated documents and requests: the engine's fast way, its thorough way and the naive oracle agree.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

#[allow(dead_code)] // Each test file uses its part.
mod desk;

use std::collections::BTreeMap;
use std::sync::Arc;

use desk::{authorizer, certificate, decide, flat, kind, site};
use identity::{ClientId, ThingName};
use proptest::prelude::*;
use serde_json::{Map, Value, json};
use thingcore_policy::{ConnectFacts, ConnectionContext, Counts, ThingFacts};

fn pick(options: &'static [&'static str]) -> impl Strategy<Value = String> {
    proptest::sample::select(options).prop_map(str::to_owned)
}

fn list(of: impl Strategy<Value = String>) -> impl Strategy<Value = Value> {
    prop::collection::vec(of, 1..3).prop_map(|list| match list.len() {
        1 => json!(list[0]),
        _ => json!(list),
    })
}

fn action_pattern() -> impl Strategy<Value = String> {
    pick(&[
        "*",
        "iot:*",
        "iot:Publish",
        "iot:publish",
        "iot:*Publish",
        "iot:Sub?cribe",
        "iot:Receive",
        "iot:Connect",
    ])
}

fn text() -> impl Strategy<Value = String> {
    let piece = pick(&[
        "a",
        "b",
        "/",
        "*",
        "?",
        "+",
        "#",
        "ü",
        ":",
        "$",
        "${*}",
        "${?}",
        "${$}",
        "${iot:ClientId}",
        "${iot:Connection.Thing.ThingName}",
        "${iot:Connection.Thing.Attributes[root]}",
        "${iot:Certificate.Subject.CommonName}",
        "${nothing}",
        "${",
    ]);
    prop::collection::vec(piece, 0..5).prop_map(|pieces| pieces.concat())
}

fn resource() -> impl Strategy<Value = String> {
    let place = pick(&[
        "arn:aws:iot:us-east-1:123456789012:",
        "arn:aws:iot:*:*:",
        "arn:aws:iot:${iot:ClientId}:?*:",
        "arn:aws:iot:eu-west-1:123456789012:",
    ]);
    let kind = pick(&["topic/", "topic/", "topicfilter/", "client/", "", "t*/", "*", "????t/"]);
    prop_oneof![
        8 => (place, kind, text()).prop_map(|(place, kind, text)| format!("{place}{kind}{text}")),
        1 => Just("*".to_owned()),
    ]
}

fn condition() -> impl Strategy<Value = (String, String, Value)> {
    let set = pick(&["", "", "ForAllValues:", "ForAnyValue:"]);
    let string =
        pick(&["StringEquals", "StringNotEquals", "StringLike", "StringNotLike", "StringEqualsIgnoreCase"]);
    let key = pick(&[
        "iot:ClientId",
        "iot:DomainName",
        "iot:Connection.Thing.ThingName",
        "iot:ConnectAttributes",
        "iot:Certificate.Subject.CommonName",
        "iot:Unheard.Of",
    ]);
    let exists = pick(&["", "", "IfExists"]);
    let values =
        prop::collection::vec(prop_oneof![text(), pick(&["PersistentConnect", "LastWill", "c1"])], 0..3);
    let strings = (set, string, exists, key, values)
        .prop_map(|(set, operator, exists, key, values)| (set + &operator + &exists, key, json!(values)));
    let bools = (pick(&["Bool", "Null", "BoolIfExists"]), pick(&["true", "false"]))
        .prop_map(|(operator, value)| (operator, "iot:Connection.Thing.IsAttached".to_owned(), json!(value)));
    let numbers =
        (pick(&["NumericEquals", "NumericNotEquals", "NumericLessThan", "NumericGreaterThanEquals"]), 0..3)
            .prop_map(|(operator, value)| (operator, "iot:ClientId".to_owned(), json!(value)));
    prop_oneof![4 => strings, 1 => bools, 1 => numbers]
}

fn statement() -> impl Strategy<Value = Value> {
    let actions = (pick(&["Action", "Action", "Action", "NotAction"]), list(action_pattern()));
    let resources = (pick(&["Resource", "Resource", "Resource", "NotResource"]), list(resource()));
    let conditions = prop::collection::vec(condition(), 0..3);
    (pick(&["Allow", "Allow", "Deny"]), actions, resources, conditions).prop_map(
        |(effect, action, resource, list)| {
            let mut conditions = Map::new();
            for (operator, key, values) in list {
                conditions.entry(operator).or_insert_with(|| json!({}))[key] = values;
            }
            json!({ "Effect": effect, action.0: action.1, resource.0: resource.1, "Condition": conditions })
        },
    )
}

fn document() -> impl Strategy<Value = Value> {
    prop::collection::vec(statement(), 1..4)
        .prop_map(|statements| json!({ "Version": "2012-10-17", "Statement": statements }))
}

fn context() -> impl Strategy<Value = ConnectionContext> {
    let client = prop::option::of(pick(&["c1", "a", "+", "*", "a/b", "1", "us-east-1", "x:y"]));
    let thing = prop::option::of((pick(&["a", "T1"]), prop::option::of(pick(&["a/#", "b"]))));
    let cn = prop::option::of(pick(&["a", "dev*", "b"]));
    let domain = prop::option::of(pick(&["a", "b/a"]));
    (client, thing, cn, domain, prop::option::of(any::<bool>())).prop_map(
        |(client, thing, cn, domain, is_attached)| ConnectionContext {
            client_id: client.map(|id| ClientId::new(&id).unwrap()),
            source_ip: None,
            domain_name: domain.map(Into::into),
            certificate: cn.map(|cn| certificate(&cn)),
            thing: thing.map(|(name, root)| {
                let attributes: BTreeMap<_, _> =
                    root.map(|root| ("root".to_owned(), root)).into_iter().collect();
                Arc::new(ThingFacts { name: ThingName::new(&name).unwrap(), type_name: None, attributes })
            }),
            is_attached,
            iam: None,
        },
    )
}

fn request() -> impl Strategy<Value = (String, String, bool, bool)> {
    let action = pick(&[
        "iot:Connect",
        "iot:Publish",
        "iot:RetainPublish",
        "iot:Subscribe",
        "iot:Receive",
        "iot:GetThingShadow",
    ]);
    (action, "[ab/+#*ü:$]{0,5}", any::<bool>(), any::<bool>())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn engine_and_oracle_agree(
        documents in prop::collection::vec(document(), 0..3),
        context in context(),
        requests in prop::collection::vec(request(), 1..8),
    ) {
        let authorizer = authorizer(&documents, context.clone());
        for (action, name, persistent, last_will) in requests {
            let facts = ConnectFacts { persistent, last_will, last_will_topic: None };
            let mut flat = flat(&context);
            if action == "iot:Connect" {
                let names = [(persistent, "PersistentConnect"), (last_will, "LastWill")];
                let names = names.into_iter().filter(|(is, _)| *is).map(|(_, name)| name.to_owned());
                flat.insert("iot:ConnectAttributes".into(), names.collect());
            }
            let engine = decide(&authorizer, &action, &name, facts);
            let naive = oracle::policy::decide(&documents, &action, &site().arn(kind(&action), &name), &flat);
            prop_assert_eq!(engine, naive, "{} {} {:?}", action, name, context);
        }
    }

    #[test]
    fn where_two_have_to_allow_engine_and_oracle_agree(
        role in prop::collection::vec(document(), 0..3),
        attached in prop::collection::vec(document(), 0..3),
        context in context(),
        counts in prop::sample::select(vec![Counts::Always, Counts::ForDevices]),
        requests in prop::collection::vec(request(), 1..8),
    ) {
        // IAM policies know no things.
        let of_role = ConnectionContext { thing: None, is_attached: None, ..context.clone() };
        let second = authorizer(&attached, context.clone()).named("the second");
        let both = authorizer(&role, of_role.clone()).named("the first").and(counts, second);
        for (action, name, ..) in requests.into_iter().chain([("iot:ListThings".to_owned(), "x".to_owned(), false, false)]) {
            let engine = decide(&both, &action, &name, ConnectFacts::default());
            let (mut one, mut other) = (flat(&of_role), flat(&context));
            if action == "iot:Connect" {
                one.insert("iot:ConnectAttributes".into(), Vec::new());
                other.insert("iot:ConnectAttributes".into(), Vec::new());
            }
            let arn = site().arn(kind(&action), &name);
            let naive = match (counts, action.as_str()) {
                (Counts::ForDevices, "iot:ListThings") => oracle::policy::decide(&role, &action, &arn, &one),
                _ => oracle::policy::decide_both((&role, &one), (&attached, &other), &action, &arn),
            };
            prop_assert_eq!(engine, naive, "{} {} {:?}", action, name, context);
        }
    }
}
