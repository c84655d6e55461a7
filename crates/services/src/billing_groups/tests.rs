//! Billing groups and their things: creation, versions, joining, leaving, and who is faster.

use super::*;
use crate::ErrorCode;
use crate::shapes::{
    AddThingToBillingGroupRequest, CreateThingRequest, DeleteThingRequest, DescribeThingRequest,
    ListThingsInBillingGroupRequest, RemoveThingFromBillingGroupRequest,
};
use crate::tests::{NOW, Scene, check_store, code};

fn properties(text: &str) -> BillingGroupProperties {
    BillingGroupProperties { billing_group_description: Some(text.into()) }
}

fn create(services: &Services, name: &str, text: &str) -> Result<CreateBillingGroupResponse, ApiError> {
    let input = CreateBillingGroupRequest {
        billing_group_name: name.into(),
        billing_group_properties: Some(properties(text)),
        tags: None,
    };
    store::block_on(services.create_billing_group(input, NOW))
}

fn add(services: &Services, thing: &str, group: &str) -> Result<(), ApiError> {
    let input = AddThingToBillingGroupRequest {
        thing_name: Some(thing.into()),
        billing_group_name: Some(group.into()),
        ..Default::default()
    };
    store::block_on(services.add_thing_to_billing_group(input, NOW)).map(|_| ())
}

fn remove(services: &Services, thing: &str, group: &str) -> Result<(), ApiError> {
    let input = RemoveThingFromBillingGroupRequest {
        thing_arn: Some(services.thing_arn(thing)),
        billing_group_arn: Some(services.billing_group_arn(group)),
        ..Default::default()
    };
    store::block_on(services.remove_thing_from_billing_group(input, NOW)).map(|_| ())
}

fn delete(services: &Services, name: &str, expected_version: Option<i64>) -> Result<(), ApiError> {
    let input = DeleteBillingGroupRequest { billing_group_name: name.into(), expected_version };
    store::block_on(services.delete_billing_group(input, NOW)).map(|_| ())
}

fn group_of(scene: &Scene, thing: &str) -> Option<String> {
    let input = DescribeThingRequest { thing_name: thing.into() };
    scene.run(scene.services.describe_thing(input, NOW)).unwrap().billing_group_name
}

fn things(scene: &Scene, group: &str) -> Vec<String> {
    let input = ListThingsInBillingGroupRequest { billing_group_name: group.into(), ..Default::default() };
    scene.run(scene.services.list_things_in_billing_group(input, NOW)).unwrap().things.unwrap()
}

fn update(services: &Services) -> Result<(), ApiError> {
    let input = UpdateBillingGroupRequest { billing_group_name: "g".into(), ..Default::default() };
    store::block_on(services.update_billing_group(input, NOW)).map(|_| ())
}

/// A group g with so many things.
fn crowded(members: usize) -> Scene {
    let scene = Scene::new();
    create(&scene.services, "g", "").unwrap();
    for n in 0..members {
        scene.thing(&format!("t{n}"));
        add(&scene.services, &format!("t{n}"), "g").unwrap();
    }
    scene
}

fn count(scene: &Scene) -> usize {
    scene.run(BILLING_GROUP_THINGS.scan(&scene.store, &Key::of(&["g"]), None, usize::MAX)).unwrap().len()
}

#[test]
fn a_billing_group_is_made_once_and_has_versions() {
    let scene = Scene::new();
    let made = create(&scene.services, "g", "one").unwrap();
    assert_eq!(made.billing_group_arn.as_deref(), Some("arn:aws:iot:eu-west-1:123456789012:billinggroup/g"));
    assert_eq!(create(&scene.services, "g", "one").unwrap(), made);
    assert_eq!(code(create(&scene.services, "g", "two")), ErrorCode::ResourceAlreadyExists);
    assert_eq!(code(create(&scene.services, "a b", "")), ErrorCode::InvalidRequest);
    let update = |expected_version| {
        let input = UpdateBillingGroupRequest {
            billing_group_name: "g".into(),
            billing_group_properties: properties("two"),
            expected_version,
        };
        scene.run(scene.services.update_billing_group(input, NOW))
    };
    assert_eq!(update(Some(1)).unwrap().version, Some(2));
    assert_eq!(code(update(Some(1))), ErrorCode::VersionConflict);
    let input = DescribeBillingGroupRequest { billing_group_name: "g".into() };
    let seen = scene.run(scene.services.describe_billing_group(input, NOW)).unwrap();
    assert_eq!((seen.version, seen.billing_group_properties), (Some(2), Some(properties("two"))));
    assert_eq!(code(delete(&scene.services, "g", Some(1))), ErrorCode::VersionConflict);
    delete(&scene.services, "g", Some(2)).unwrap();
    delete(&scene.services, "g", None).unwrap();
    check_store(&scene.store);
}

#[test]
fn a_thing_is_in_one_billing_group_at_most() {
    let scene = Scene::new();
    scene.thing("t");
    assert_eq!(code(add(&scene.services, "t", "g")), ErrorCode::ResourceNotFound);
    create(&scene.services, "g", "").unwrap();
    create(&scene.services, "h", "").unwrap();
    assert_eq!(code(add(&scene.services, "u", "g")), ErrorCode::ResourceNotFound);
    add(&scene.services, "t", "g").unwrap();
    add(&scene.services, "t", "g").unwrap();
    assert_eq!(code(add(&scene.services, "t", "h")), ErrorCode::InvalidRequest);
    remove(&scene.services, "t", "h").unwrap();
    assert_eq!((group_of(&scene, "t").as_deref(), things(&scene, "g")), (Some("g"), vec!["t".to_owned()]));
    remove(&scene.services, "t", "g").unwrap();
    assert_eq!((group_of(&scene, "t"), things(&scene, "g")), (None, vec![]));
    check_store(&scene.store);
}

#[test]
fn a_thing_is_created_in_its_group_and_deleted_with_its_row() {
    let scene = Scene::new();
    create(&scene.services, "g", "").unwrap();
    let input = || CreateThingRequest {
        thing_name: "t".into(),
        billing_group_name: Some("g".into()),
        ..Default::default()
    };
    scene.run(scene.services.create_thing(input(), NOW)).unwrap();
    scene.run(scene.services.create_thing(input(), NOW)).unwrap();
    assert_eq!((group_of(&scene, "t").as_deref(), things(&scene, "g")), (Some("g"), vec!["t".to_owned()]));
    check_store(&scene.store);
    let gone = DeleteThingRequest { thing_name: "t".into(), expected_version: None };
    scene.run(scene.services.delete_thing(gone, NOW)).unwrap();
    assert_eq!(things(&scene, "g"), Vec::<String>::new());
    check_store(&scene.store);
}

#[test]
fn things_leave_a_group_that_goes_and_those_that_come_meanwhile_too() {
    let scene = Scene::new();
    create(&scene.services, "g", "").unwrap();
    for n in 0..THINGS_PER_BATCH + 5 {
        scene.thing(&format!("t{n}"));
        if n > 0 {
            add(&scene.services, &format!("t{n}"), "g").unwrap();
        }
    }
    scene.meddle(|other| add(other, "t0", "g").unwrap());
    delete(&scene.services, "g", None).unwrap();
    assert_eq!((group_of(&scene, "t0"), group_of(&scene, "t7")), (None, None));
    check_store(&scene.store);
}

#[test]
fn a_deletion_that_is_refused_has_expelled_nobody() {
    // Before the mark, before the first things leave; with things for one batch, and for two.
    for (before, members) in [(0, 1), (1, 1), (1, THINGS_PER_BATCH + 5)] {
        let scene = crowded(members);
        for _ in 0..before {
            scene.meddle(|_| {});
        }
        scene.meddle(|other| update(other).unwrap());
        assert_eq!(code(delete(&scene.services, "g", Some(1))), ErrorCode::VersionConflict);
        assert_eq!(count(&scene), members, "{before}");
        check_store(&scene.store);
    }
}

#[test]
fn a_group_that_loses_its_things_is_as_good_as_gone() {
    let scene = crowded(THINGS_PER_BATCH + 5);
    scene.thing("late");
    for _ in 0..2 {
        scene.meddle(|_| {});
    }
    let store = scene.store.clone();
    scene.meddle(move |_| store.fail("unplugged"));
    assert_eq!(code(delete(&scene.services, "g", None)), ErrorCode::ServiceUnavailable);
    scene.store.recover();
    assert_eq!(count(&scene), 5);
    assert_eq!(code(add(&scene.services, "late", "g")), ErrorCode::ResourceNotFound);
    assert_eq!(code(update(&scene.services)), ErrorCode::ResourceNotFound);
    assert_eq!(code(create(&scene.services, "g", "")), ErrorCode::ResourceAlreadyExists);
    check_store(&scene.store);
    delete(&scene.services, "g", Some(1)).unwrap();
    assert_eq!(group_of(&scene, "t7"), None);
    check_store(&scene.store);
}

#[test]
fn a_group_that_goes_meanwhile_is_not_joined() {
    let scene = Scene::new();
    scene.thing("t");
    create(&scene.services, "g", "").unwrap();
    scene.meddle(|other| delete(other, "g", None).unwrap());
    assert_eq!(code(add(&scene.services, "t", "g")), ErrorCode::ResourceNotFound);
    check_store(&scene.store);
}

#[test]
fn lists_go_by_name_and_beginning() {
    let scene = Scene::new();
    for name in ["a1", "b1", "b2", "b3", "c1"] {
        create(&scene.services, name, "").unwrap();
    }
    let (mut names, mut token) = (Vec::new(), None);
    loop {
        let input = ListBillingGroupsRequest {
            name_prefix_filter: Some("b".into()),
            max_results: Some(1),
            next_token: token,
        };
        let page = scene.run(scene.services.list_billing_groups(input, NOW)).unwrap();
        names.extend(page.billing_groups.unwrap().into_iter().filter_map(|row| row.group_name));
        token = page.next_token;
        if token.is_none() {
            break;
        }
    }
    assert_eq!(names, ["b1", "b2", "b3"]);
}
