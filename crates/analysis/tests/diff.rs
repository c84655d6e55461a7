//! Comparing two sets of policies.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

#[allow(dead_code)] // Each test file uses its part.
mod desk;

use desk::{analyst, cohort, site};
use thingcore_analysis::Relation;

fn relation(first: &str, second: &str) -> Relation {
    let site = site();
    let differences = analyst(&site).diff(&cohort(first), &cohort(second));
    Relation::of(&differences)
}

#[test]
fn relations_are_told_apart() {
    let wide = "Allow Publish topic/a/*";
    let cases = [
        (wide, "Allow Publish topic/a/b", Relation::Stricter),
        ("Allow Publish topic/a/b", wide, Relation::Looser),
        (wide, "Allow Publish topic/?/*", Relation::Looser),
        (wide, "Allow Publish topic/b", Relation::Neither),
        (wide, "Allow Publish topic/a/*, topic/a/b", Relation::Equal),
        ("Allow Connect client/*", "Allow Connect client/${iot:ClientId}", Relation::Equal),
        ("Allow Connect client/*", "Allow Connect client/x${iot:ClientId}", Relation::Stricter),
        (
            "Allow Connect client/${iot:Connection.Thing.ThingName}",
            "Allow Connect client/${iot:Connection.Thing.ThingName}",
            Relation::Equal,
        ),
        (
            "Allow Publish topic/dev/${iot:ClientId}/*",
            "Allow Publish topic/dev/${iot:ClientId}/a, topic/dev/${iot:ClientId}/*",
            Relation::Equal,
        ),
        ("Allow Publish topic/${iot:ClientId}", "Allow Publish topic/*", Relation::Looser),
        (
            "Allow Subscribe topicfilter/*; Deny Subscribe topicfilter/*+*, topicfilter/*#*",
            "Allow Subscribe topicfilter/*",
            Relation::Looser,
        ),
        ("Allow Publish topic/*; Deny Publish topic/a*", "Allow Publish !topic/a*", Relation::Equal),
    ];
    for (first, second, expected) in cases {
        assert_eq!(relation(first, second), expected, "{first} | {second}");
    }
}
