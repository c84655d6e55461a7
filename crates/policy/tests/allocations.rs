//! Decisions must not allocate: they stand in the path of every message.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

#[allow(dead_code)] // Each test file uses its part.
mod desk;

use desk::{NOW, authorizer, context};
use serde_json::json;
use thingcore_policy::ConnectFacts;

#[test]
fn deciding_does_not_allocate() {
    let condition = json!({ "ForAllValues:StringEquals": { "iot:ConnectAttributes": ["PersistentConnect"] },
        "DateGreaterThan": { "aws:CurrentTime": "2020-01-01" } });
    let document = json!({ "Version": "2012-10-17", "Statement": [
        { "Effect": "Allow", "Action": "iot:Connect", "Resource": "arn:aws:iot:*:*:client/${iot:ClientId}",
          "Condition": condition },
        { "Effect": "Allow", "Action": "iot:*", "Resource": "arn:aws:iot:*:*:topic*/d?v/*/${iot:ClientId}/*" },
        { "Effect": "Deny", "Action": "iot:*", "Resource": "arn:aws:iot:*:*:*/dev/*/x/*" },
    ]});
    let authorizer = authorizer(&[document], context("client=c1"));
    let facts = ConnectFacts { persistent: true, ..Default::default() };
    let measured = allocation_counter::measure(|| {
        assert!(authorizer.connect("c1", facts, NOW).is_ok());
        assert!(authorizer.publish("dev/a/c1/ü", NOW).is_ok());
        assert!(authorizer.retain_publish("dev/a/c1/ü", NOW).is_ok());
        assert!(authorizer.subscribe("dev/+/c1/#", NOW).is_ok());
        assert!(authorizer.receive("dev/a/b/c1/", NOW).is_ok());
        assert!(authorizer.receive_shared("group", "dev/a/b/c1/", NOW).is_ok());
        // Denials are as cheap as long as nobody reads them.
        assert!(authorizer.publish("dev/a/x/c1/", NOW).is_err());
        assert!(authorizer.receive("dev/a/c2/", NOW).is_err());
    });
    assert_eq!(measured.count_total, 0, "{measured:?}");
}
