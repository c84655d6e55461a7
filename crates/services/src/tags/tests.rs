//! Tags: on what, how many, and who is faster.

use super::*;
use crate::ErrorCode;
use crate::shapes::DeleteThingGroupRequest;
use crate::tests::{NOW, Scene, check_store, code, group};

fn tag(key: &str, value: &str) -> Tag {
    Tag { key: key.into(), value: Some(value.into()) }
}

fn add(scene: &Scene, arn: &str, tags: Vec<Tag>) -> Result<(), ApiError> {
    let input = TagResourceRequest { resource_arn: arn.into(), tags };
    scene.run(scene.services.tag_resource(input, NOW)).map(|_| ())
}

fn list(scene: &Scene, arn: &str) -> Result<Vec<Tag>, ApiError> {
    let input = ListTagsForResourceRequest { resource_arn: arn.into(), next_token: None };
    Ok(scene.run(scene.services.list_tags_for_resource(input, NOW))?.tags.unwrap())
}

#[test]
fn tags_are_given_changed_and_taken() {
    let scene = Scene::new();
    let mut input = group("g", None);
    input.tags = Some(vec![tag("a", "1")]);
    let arn = scene.run(scene.services.create_thing_group(input, NOW)).unwrap().thing_group_arn.unwrap();
    add(&scene, &arn, vec![tag("b", "2"), tag("a", "3")]).unwrap();
    assert_eq!(list(&scene, &arn).unwrap(), [tag("a", "3"), tag("b", "2")]);
    let input = UntagResourceRequest { resource_arn: arn.clone(), tag_keys: vec!["a".into(), "zzz".into()] };
    scene.run(scene.services.untag_resource(input, NOW)).unwrap();
    assert_eq!(list(&scene, &arn).unwrap(), [tag("b", "2")]);
    check_store(&scene.store);
}

#[test]
fn every_kind_of_resource_that_takes_tags() {
    let scene = Scene::new();
    scene.policy("p");
    add(&scene, &scene.services.policy_arn("p"), vec![tag("a", "1")]).unwrap();
    for missing in [
        scene.services.policy_arn("q"),
        scene.services.thing_group_arn("q"),
        scene.services.thing_type_arn("q"),
        scene.services.ca_certificate_arn(&"0".repeat(64)),
        scene.services.policy_arn(&"q".repeat(100_000)),
    ] {
        assert_eq!(code(list(&scene, &missing)), ErrorCode::ResourceNotFound);
        assert_eq!(code(add(&scene, &missing, vec![tag("a", "1")])), ErrorCode::ResourceNotFound);
    }
    scene.thing("t");
    for other in [scene.services.thing_arn("t"), "nonsense".into(), String::new()] {
        assert_eq!(code(list(&scene, &other)), ErrorCode::InvalidRequest);
    }
}

#[test]
fn fifty_tags_and_no_key_twice() {
    let scene = Scene::new();
    scene.policy("p");
    let arn = scene.services.policy_arn("p");
    assert_eq!(code(add(&scene, &arn, vec![tag("a", "1"), tag("a", "2")])), ErrorCode::InvalidRequest);
    assert_eq!(code(add(&scene, &arn, vec![tag("aws:x", "1")])), ErrorCode::InvalidRequest);
    add(&scene, &arn, (0..49).map(|n| tag(&format!("k{n}"), "")).collect()).unwrap();
    let same = arn.clone();
    scene.meddle(move |other| {
        let input = TagResourceRequest { resource_arn: same, tags: vec![tag("theirs", "")] };
        store::block_on(other.tag_resource(input, NOW)).unwrap();
    });
    assert_eq!(code(add(&scene, &arn, vec![tag("mine", "")])), ErrorCode::LimitExceeded);
    add(&scene, &arn, vec![tag("k7", "changed")]).unwrap();
    assert_eq!(list(&scene, &arn).unwrap().len(), 50);
    let mut input = crate::tests::policy("q");
    input.tags = Some((0..51).map(|n| tag(&format!("k{n}"), "")).collect());
    assert_eq!(code(scene.run(scene.services.create_policy(input, NOW))), ErrorCode::InvalidRequest);
}

#[test]
fn who_tags_during_a_deletion_leaves_nothing_behind() {
    let scene = Scene::new();
    let arn = scene.group("g", None).unwrap();
    scene.meddle(|_| {});
    scene.meddle(move |other| {
        let input = TagResourceRequest { resource_arn: arn, tags: vec![tag("a", "")] };
        store::block_on(other.tag_resource(input, NOW)).unwrap();
    });
    let input = DeleteThingGroupRequest { thing_group_name: "g".into(), expected_version: None };
    scene.run(scene.services.delete_thing_group(input, NOW)).unwrap();
    check_store(&scene.store);
}
