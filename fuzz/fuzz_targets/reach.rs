//! Policies made of hostile patterns: every question ends within bounds, and a "no" is true for all short texts.
#![no_main]

use std::sync::Arc;
use std::time::Duration;

use analysis::{Analyst, Answer, Association, Budget, Cohort, Deed};
use identity::{AccountId, PolicyName, Region, Site, Timestamp};
use libfuzzer_sys::fuzz_target;
use oracle::reach::{Connection, leak};
use policy::{Document, Origin, Source};
use serde_json::{Value, json};
use thingcore_fuzz::processor_time;

const ARN: &str = "arn:aws:iot:us-east-1:123456789012:";
const PIECES: [&str; 16] = [
    "a",
    "b",
    "/",
    "*",
    "?",
    "+",
    "#",
    "*a",
    "*a*a*a*a*a*a*a*a",
    "????????",
    "*/*/*/*/*/*",
    "${iot:ClientId}",
    "${iot:Connection.Thing.ThingName}",
    "$share/g/",
    "*b*a?",
    "${*}",
];
const KINDS: [(&str, &str); 6] = [
    ("iot:Connect", "client/"),
    ("iot:Publish", "topic/"),
    ("iot:RetainPublish", "topic/"),
    ("iot:Subscribe", "topicfilter/"),
    ("iot:Receive", "topic/"),
    ("iot:*", ""),
];

/// A statement for each line: the first byte is its head, the others are pieces.
fn document(bytes: &[u8]) -> Value {
    let statement = |line: &[u8]| {
        let (head, pieces) = line.split_first()?;
        let (action, kind) = KINDS[usize::from(head % 6)];
        let name: String = pieces.iter().take(24).map(|b| PIECES[usize::from(b % 16)]).collect();
        let effect = if head & 0x40 == 0 { "Allow" } else { "Deny" };
        let element = if head & 0x80 == 0 { "Resource" } else { "NotResource" };
        Some(json!({ "Effect": effect, "Action": action, element: format!("{ARN}{kind}{name}") }))
    };
    let mut statements: Vec<Value> = bytes.split(|b| *b == b'\n').filter_map(statement).take(8).collect();
    for (action, kind) in [("Connect", "client"), ("Publish", "topic")] {
        statements.push(json!({ "Effect": "Allow", "Action": format!("iot:{action}"), "Resource": format!("{ARN}{kind}/*") }));
    }
    json!({ "Version": "2012-10-17", "Statement": statements })
}

fn texts(letters: &str, longest: usize) -> Vec<String> {
    let (mut all, mut last) = (Vec::new(), vec![String::new()]);
    for _ in 0..longest {
        last = last.iter().flat_map(|text| letters.chars().map(move |c| format!("{text}{c}"))).collect();
        all.extend(last.iter().cloned());
    }
    all
}

fuzz_target!(|bytes: &[u8]| {
    let Some((choice, bytes)) = bytes.split_first() else { return };
    let (attached, value) = (choice % 2 == 0, document(bytes));
    let Ok(parsed) = Document::parse(&value.to_string()) else { return };
    let site = Site {
        region: Region::new("us-east-1").expect("a Region"),
        account: AccountId::new("123456789012").expect("an account"),
    };
    let policy = PolicyName::new("p").expect("a name");
    let source = Source { policy, version: 1, origin: Origin::Certificate, document: Arc::new(parsed) };
    let mut who = Cohort::new("device", vec![source]);
    who.associations = vec![if attached { Association::Attached } else { Association::None }];
    let mut analyst = Analyst::new(&site, Timestamp(1));
    analyst.budget = Budget::new(2_000);
    let started = processor_time();
    let leaks = analyst.leaks(&who);
    let publishes = analyst.can(&who, Deed::Publish, None);
    let extent = analyst.extent(&who, Deed::Receive, None);
    assert!(processor_time().saturating_sub(started) < Duration::from_secs(20), "not bounded: {value}");
    let documents = [value.clone()];
    let ids = texts("a/+", 1);
    let all = texts("a/+#", 2);
    if leaks == Answer::No {
        assert_eq!(
            leak(&documents, &documents, (attached, attached), &ids, &all),
            None,
            "a false no: {value}"
        );
    }
    for client_id in ids.iter().filter(|_| publishes == Answer::No) {
        let one = Connection { documents: &documents, client_id, attached };
        let topics = all.iter().filter(|text| !text.contains(['+', '#']));
        let publishing =
            topics.filter(|topic| one.connects() && one.may("iot:Publish", "topic", topic)).count();
        assert_eq!(publishing, 0, "a false no: {value}");
    }
    if extent.missing.is_none() && extent.parts.is_empty() {
        for client_id in &ids {
            let one = Connection { documents: &documents, client_id, attached };
            assert!(
                !one.connects() || oracle::reach::received(one, &all).is_empty(),
                "a false nothing: {value}"
            );
        }
    }
});
