//! The examples of AWS's policy pages, rebuilt: what the analysis says to them.
//!
//! Sources: developer guide, *Publish/Subscribe policy examples*, *Connect policy examples*, *Thing policy examples*,
//! *Certificate policy examples*, *AWS IoT policy potentially misconfigured*.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

#[allow(dead_code)] // Each test file uses its part.
mod desk;

use desk::{analyst, cohort, cohort_of, document, site};
use serde_json::json;
use thingcore_analysis::{Answer, Association, Cohort, Deed, TopicSet};

fn word(cohort: &Cohort, deed: Deed, topics: &str) -> &'static str {
    let site = site();
    analyst(&site).can(cohort, deed, Some(&TopicSet::parse(topics))).word()
}

fn leak(cohort: &Cohort) -> Answer {
    let site = site();
    analyst(&site).leaks(cohort)
}

/// Receive with NotResource is the guard that a wildcard subscription cannot walk around.
#[test]
fn receive_with_not_resource_guards_a_topic() {
    let policy = cohort(
        "Allow Connect client/*; Allow Subscribe topicfilter/a/*; Allow Receive !topic/a/restricted/*",
    );
    assert_eq!(word(&policy, Deed::Receive, "a/restricted/#"), "no");
    assert_eq!(word(&policy, Deed::Receive, "a/open"), "yes");
    assert_eq!(word(&policy, Deed::Receive, "other/tree"), "no", "it cannot subscribe there");
}

#[test]
fn the_control_room_is_read_through_a_wildcard_until_receive_is_denied() {
    let leaky = "Allow Connect client/*; Allow Subscribe topicfilter/building/*; \
                 Deny Subscribe topicfilter/building/control_room/*; Allow Receive topic/building/*";
    let site = site();
    let room = TopicSet::parse("building/control_room/data1");
    let answer = analyst(&site).can(&cohort(leaky), Deed::Receive, Some(&room));
    let filter = answer.witness().unwrap().filter.clone().unwrap();
    assert!(filter.contains(['+', '#']), "{filter}");
    let mended = cohort(&format!("{leaky}; Deny Receive topic/building/control_room/*"));
    assert_eq!(word(&mended, Deed::Receive, "building/control_room/#"), "no");
    assert_eq!(word(&mended, Deed::Receive, "building/lobby/1"), "yes");
}

/// The escalation that the page on variables warns of: a client that calls itself `+`.
#[test]
fn a_client_named_plus_reads_everybody() {
    let policy = cohort(
        "Allow Connect client/*; Allow Publish topic/my/${iot:ClientId}/topic; \
         Allow Subscribe topicfilter/my/${iot:ClientId}/topic; Allow Receive topic/my/*",
    );
    let answer = leak(&policy);
    assert_eq!(answer.witness().unwrap().devices[0].client_id, "+");
}

#[test]
fn things_read_their_own_topics_only() {
    let own = "${iot:Connection.Thing.ThingName}";
    let policy = cohort(&format!(
        "Allow Connect client/{own}; Allow Publish topic/{own}/*; Allow Subscribe topicfilter/{own}/*; Allow Receive topic/{own}/*"
    ));
    assert_eq!(leak(&policy), Answer::No);
    let shadow = cohort(&format!(
        "Allow Connect client/{own}; Allow Publish topic/$aws/things/{own}/shadow/*; \
         Allow Subscribe topicfilter/$aws/things/{own}/shadow/*; Allow Receive topic/$aws/things/{own}/shadow/*"
    ));
    assert_eq!(leak(&shadow), Answer::No);
    let prefix = cohort("Allow Connect client/*; Allow Publish topic/$aws/things/T*");
    assert_eq!(word(&prefix, Deed::Publish, "$aws/things/T10/shadow/update"), "yes", "a prefix leaks");
}

/// A thing's name as part of a level: `dev-a` and `dev-ab` are told apart by what follows only.
#[test]
fn a_name_that_is_not_a_level_of_its_own_leaks() {
    let own = "${iot:Connection.Thing.ThingName}";
    let policy = cohort(&format!(
        "Allow Connect client/{own}; Allow Publish topic/d/{own}*; Allow Subscribe topicfilter/d/{own}*; Allow Receive topic/d/{own}*"
    ));
    assert!(matches!(leak(&policy), Answer::Yes(_)));
}

#[test]
fn conditions_on_attachment_decide() {
    let mut policy = document("Allow Connect *; Allow Publish topic/a");
    policy["Statement"][0]["Condition"] = json!({"Bool": {"iot:Connection.Thing.IsAttached": "true"}});
    let mut cohort = cohort_of(&[policy]);
    cohort.associations = vec![Association::None];
    assert_eq!(word(&cohort, Deed::Publish, "a"), "no");
    cohort.associations = vec![Association::Attached];
    assert_eq!(word(&cohort, Deed::Publish, "a"), "yes");
}

#[test]
fn conditions_on_addresses_are_met_by_the_witness() {
    let mut policy = document("Allow Connect client/*; Allow Publish topic/a");
    policy["Statement"][1]["Condition"] = json!({"IpAddress": {"aws:SourceIp": "203.0.113.0/24"}});
    assert_eq!(word(&cohort_of(&[policy]), Deed::Publish, "a"), "yes");
}

#[test]
fn devices_of_different_tenants_are_told_apart() {
    let tenant = "${iot:Connection.Thing.Attributes[tenant]}";
    let policy = cohort(&format!(
        "Allow Connect client/${{iot:Connection.Thing.ThingName}}; Allow Publish topic/t/{tenant}; \
         Allow Subscribe topicfilter/t/{tenant}; Allow Receive topic/t/{tenant}"
    ));
    assert!(matches!(leak(&policy), Answer::Yes(_)), "within a tenant");
    let site = site();
    let mut analyst = analyst(&site);
    analyst.differ = vec!["iot:Connection.Thing.Attributes[tenant]".into()];
    assert_eq!(analyst.leaks(&policy), Answer::No);
}

#[test]
fn shared_subscriptions_count() {
    let policy = cohort(
        "Allow Connect client/*; Allow Subscribe topicfilter/$share/*/a/b; Allow Receive topic/x/a/b; Allow Publish topic/*",
    );
    let site = site();
    let answer = analyst(&site).can(&policy, Deed::Receive, None);
    let filter = answer.witness().unwrap().filter.clone().unwrap();
    assert!(filter.starts_with("$share/") && filter.ends_with("/x/a/b"), "{filter}");
}

/// Retained messages need both actions.
#[test]
fn retaining_needs_both_actions() {
    let policy = cohort("Allow Connect client/*; Allow Publish topic/a/*; Allow RetainPublish topic/*/x");
    assert_eq!(word(&policy, Deed::Retain, "a/b/x"), "yes");
    assert_eq!(word(&policy, Deed::Retain, "b/x"), "no");
}

#[test]
fn the_dialect_is_awss() {
    let policy = cohort(
        "Allow Connect client/*; Allow Subscribe topicfilter/a/#, topicfilter/#; Allow Receive topic/a, topic/$aws/events/*",
    );
    assert_eq!(
        word(&policy, Deed::Receive, "$aws/events/presence/connected/c"),
        "no",
        "wildcards do not match $ topics"
    );
    let parent = cohort("Allow Connect client/*; Allow Subscribe topicfilter/a/#; Allow Receive topic/a");
    assert_eq!(word(&parent, Deed::Receive, "a"), "no", "# does not match the parent level");
    let jobs = cohort(
        "Allow Connect client/*; Allow Subscribe topicfilter/$aws/things/T/jobs/*; Allow Receive topic/$aws/*",
    );
    for (topic, expected) in [
        ("$aws/things/T/jobs/J/notify-namespace-N/", "yes"),
        ("$aws/things/T/jobs/J/notify-namespace-/", "no"),
        ("$aws/things/T/jobs/J/notify-namespace-N", "no"),
    ] {
        assert_eq!(word(&jobs, Deed::Receive, topic), expected, "{topic}");
    }
}

/// One client id is one device.
#[test]
fn a_policy_for_one_client_id_has_no_other_device() {
    let policy = cohort("Allow Connect client/only; Allow * topic/*; Allow Subscribe topicfilter/*");
    assert_eq!(leak(&policy), Answer::No);
}
