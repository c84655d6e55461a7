//! Generated policies: what the automata answer agrees with trying every short text.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

#[allow(dead_code)] // Each test file uses its part.
mod desk;

use desk::{analyst, cohort_of, site};
use oracle::reach::{Connection, leak, received};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use serde_json::{Value, json};
use thingcore_analysis::{Answer, Association, Budget, Deed, TopicSet};

/// Every text over the letters, up to a length.
fn texts(letters: &str, longest: usize) -> Vec<String> {
    let mut all = vec![String::new()];
    let mut last = all.clone();
    for _ in 0..longest {
        last = last.iter().flat_map(|text| letters.chars().map(move |c| format!("{text}{c}"))).collect();
        all.extend(last.iter().cloned());
    }
    all.retain(|text| !text.is_empty());
    all
}

fn ids() -> Vec<String> {
    texts("ab/+", 2)
}

fn name() -> impl Strategy<Value = String> {
    let piece = proptest::sample::select(vec![
        "a",
        "b",
        "/",
        "/",
        "*",
        "*",
        "?",
        "+",
        "#",
        "${iot:ClientId}",
        "${iot:ClientId}",
        "${iot:Connection.Thing.ThingName}",
    ]);
    prop::collection::vec(piece, 1..4).prop_map(|pieces| pieces.concat())
}

fn statement() -> impl Strategy<Value = Value> {
    let action = proptest::sample::select(vec![
        ("Connect", "client/"),
        ("Publish", "topic/"),
        ("Subscribe", "topicfilter/"),
        ("Receive", "topic/"),
        ("Subscribe", "topicfilter/"),
        ("Receive", "topic/"),
        ("*", ""),
    ]);
    let effect = proptest::sample::select(vec!["Allow", "Allow", "Allow", "Deny"]);
    let element =
        proptest::sample::select(vec!["Resource", "Resource", "Resource", "Resource", "NotResource"]);
    let condition = proptest::sample::select(vec![None, None, None, None, Some("true"), Some("false")]);
    (effect, action, element, prop::collection::vec(name(), 1..3), condition).prop_map(
        |(effect, (action, kind), element, names, condition)| {
            let arn = |name: &String| format!("arn:aws:iot:us-east-1:123456789012:{kind}{name}");
            let resources: Vec<String> = names.iter().map(arn).collect();
            let mut statement =
                json!({ "Effect": effect, "Action": format!("iot:{action}"), element: resources });
            if let Some(is) = condition {
                statement["Condition"] = json!({ "Bool": { "iot:Connection.Thing.IsAttached": is } });
            }
            statement
        },
    )
}

fn document() -> impl Strategy<Value = Value> {
    let open = |action: &str, kind: &str| json!({ "Effect": "Allow", "Action": action, "Resource": format!("arn:aws:iot:us-east-1:123456789012:{kind}*") });
    let opens = vec![
        open("iot:Connect", "client/"),
        open("iot:Publish", "topic/"),
        open("iot:Receive", "topic/"),
        open("iot:Subscribe", "topicfilter/"),
    ];
    let opens = proptest::sample::subsequence(opens, 1..4);
    (opens, prop::collection::vec(statement(), 1..5)).prop_map(|(mut opens, mut statements)| {
        statements.append(&mut opens);
        json!({ "Version": "2012-10-17", "Statement": statements })
    })
}

fn association(attached: bool) -> Vec<Association> {
    vec![if attached { Association::Attached } else { Association::None }]
}

fn cases(default: u32) -> ProptestConfig {
    let cases = std::env::var("PROPTEST_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(default);
    ProptestConfig { cases, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(cases(200))]

    /// A no holds for every text that can be tried; a yes comes with texts that can be tried.
    #[test]
    fn leaks_are_found_and_their_absence_is_true(
        reader in document(), writer in document(), attached in any::<(bool, bool)>(),
    ) {
        let site = site();
        let analyst = analyst(&site);
        let (mut one, mut other) = (cohort_of(std::slice::from_ref(&reader)), cohort_of(std::slice::from_ref(&writer)));
        one.associations = association(attached.0);
        other.associations = association(attached.1);
        let texts = texts("ab/+#", 3);
        let tried = leak(std::slice::from_ref(&reader), std::slice::from_ref(&writer), attached, &ids(), &texts);
        match analyst.reads(&one, &other, None) {
            Answer::No => prop_assert_eq!(tried, None, "a no that is not true"),
            Answer::Unknown(_) => {}
            Answer::Yes(witness) => {
                let (filter, topic) = (witness.filter.clone().unwrap(), &witness.name);
                let [reads, writes] = &witness.devices[..] else { panic!() };
                prop_assert_ne!(&reads.client_id, &writes.client_id);
                let documents = [reader.clone()];
                let reads = Connection { documents: &documents, client_id: &reads.client_id, attached: attached.0 };
                let documents = [writer.clone()];
                let writes = Connection { documents: &documents, client_id: &writes.client_id, attached: attached.1 };
                prop_assert!(reads.connects() && writes.connects());
                prop_assert!(writes.may("iot:Publish", "topic", topic));
                let plain = filter.strip_prefix("$share/").map_or(&*filter, |f| f.split_once('/').unwrap().1);
                let shared = filter != plain;
                prop_assert!(oracle::topics::is_filter(plain) && oracle::topics::matches(plain, topic, false));
                prop_assert!(reads.may("iot:Subscribe", "topicfilter", &filter));
                prop_assert!(shared || reads.may("iot:Receive", "topic", topic));
            }
        }
    }

    #[test]
    fn what_one_can_do_agrees_with_trying(
        policy in document(), attached in any::<bool>(), set in proptest::sample::select(vec!["*", "a*", "a/+", "+/b", "#", "a/b", "?", "b/#"]),
    ) {
        let site = site();
        let mut who = cohort_of(std::slice::from_ref(&policy));
        who.associations = association(attached);
        let documents = [policy.clone()];
        let all = texts("ab/+#", 3);
        let ids = ids();
        let connections: Vec<Connection<'_>> = ids
            .iter()
            .map(|client_id| Connection { documents: &documents, client_id, attached })
            .filter(Connection::connects)
            .collect();
        let set = TopicSet::parse(set);
        let in_set = |topic: &str| match &set {
            TopicSet::Filter(filter) => oracle::topics::matches(filter, topic, false),
            TopicSet::Pattern(pattern) => match pattern.as_str() {
                "*" => true,
                "a*" => topic.starts_with('a'),
                "?" => topic.len() == 1,
                exact => exact == topic,
            },
        };
        let is_topic = |text: &&String| !text.contains(['+', '#']);
        let publishes = connections.iter().any(|c| all.iter().filter(is_topic).any(|t| in_set(t) && c.may("iot:Publish", "topic", t)));
        let receives = connections.iter().any(|c| received(*c, &all).iter().any(|(_, t)| in_set(t)));
        let subscribes = connections.iter().any(|c| {
            all.iter().any(|f| oracle::topics::is_filter(f) && c.may("iot:Subscribe", "topicfilter", f))
        });
        let analyst = analyst(&site);
        for (deed, tried, set) in
            [(Deed::Publish, publishes, Some(&set)), (Deed::Receive, receives, Some(&set)), (Deed::Subscribe, subscribes, None)]
        {
            match analyst.can(&who, deed, set) {
                Answer::No => prop_assert!(!tried, "{deed:?}: a no that is not true"),
                Answer::Yes(_) | Answer::Unknown(_) => {}
            }
        }
    }
}

/// Where values do not depend on each other, nothing stays open.
#[test]
fn ordinary_policies_leave_nothing_open() {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let (mut open, all) = (Vec::new(), 60);
    for _ in 0..all {
        let document = document().new_tree(&mut runner).unwrap().current();
        let site = site();
        let mut cohort = cohort_of(std::slice::from_ref(&document));
        cohort.associations = association(false);
        let mut analyst = analyst(&site);
        analyst.budget = Budget::new(20_000);
        if let Answer::Unknown(why) = analyst.leaks(&cohort) {
            open.push(format!("{why}\n{document}"));
        }
    }
    assert!(open.len() * 6 < all, "{} of {all} are left open:\n{}", open.len(), open.join("\n"));
}
