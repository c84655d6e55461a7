//! Thing groups: the forest, its limits, deletion, and who is faster.

use super::*;
use crate::ErrorCode;
use crate::tests::{NOW, Scene, attach, check_store, code, group, join};

fn describe(scene: &Scene, name: &str) -> Result<DescribeThingGroupResponse, ApiError> {
    let input = DescribeThingGroupRequest { thing_group_name: name.into() };
    scene.run(scene.services.describe_thing_group(input, NOW))
}

fn delete(scene: &Scene, name: &str, expected_version: Option<i64>) -> Result<(), ApiError> {
    let input = DeleteThingGroupRequest { thing_group_name: name.into(), expected_version };
    scene.run(scene.services.delete_thing_group(input, NOW)).map(|_| ())
}

fn update(services: &Services) -> Result<UpdateThingGroupResponse, ApiError> {
    let input = UpdateThingGroupRequest { thing_group_name: "g".into(), ..Default::default() };
    store::block_on(services.update_thing_group(input, NOW))
}

/// A group g with so many members.
fn crowded(members: usize) -> Scene {
    let scene = Scene::new();
    scene.group("g", None).unwrap();
    for n in 0..members {
        scene.thing(&format!("t{n}"));
        scene.join(&format!("t{n}"), "g").unwrap();
    }
    scene
}

fn count(scene: &Scene) -> usize {
    scene.run(GROUP_MEMBERS.scan(&scene.store, &Key::of(&["g"]), None, usize::MAX)).unwrap().len()
}

/// A deletion of g whose store fails after so many commits.
fn interrupt(scene: &Scene, commits: usize) {
    for _ in 0..commits {
        scene.meddle(|_| {});
    }
    let store = scene.store.clone();
    scene.meddle(move |_| store.fail("unplugged"));
    assert_eq!(code(delete(scene, "g", None)), ErrorCode::ServiceUnavailable);
    scene.store.recover();
}

#[test]
fn a_group_knows_its_place() {
    let scene = Scene::new();
    for (name, parent) in [("a", None), ("b", Some("a")), ("c", Some("b"))] {
        scene.group(name, parent).unwrap();
    }
    let seen = describe(&scene, "c").unwrap();
    let metadata = seen.thing_group_metadata.unwrap();
    assert_eq!(metadata.parent_group_name.as_deref(), Some("b"));
    let path: Vec<_> = metadata.root_to_parent_thing_groups.unwrap();
    assert_eq!(path.iter().filter_map(|it| it.group_name.as_deref()).collect::<Vec<_>>(), ["a", "b"]);
    assert_eq!(path[0].group_arn.as_deref(), Some("arn:aws:iot:eu-west-1:123456789012:thinggroup/a"));
    assert_eq!(seen.version, Some(1));
    assert_eq!(code(describe(&scene, "d")), ErrorCode::ResourceNotFound);
}

#[test]
fn creation_is_idempotent_and_checked() {
    let scene = Scene::new();
    scene.group("a", None).unwrap();
    let made = scene.run(scene.services.create_thing_group(group("b", Some("a")), NOW)).unwrap();
    assert_eq!(scene.run(scene.services.create_thing_group(group("b", Some("a")), NOW)).unwrap(), made);
    assert_eq!(code(scene.group("b", None)), ErrorCode::ResourceAlreadyExists);
    assert_eq!(code(scene.group("c", Some("nobody"))), ErrorCode::InvalidRequest);
    assert_eq!(code(scene.group("a b", None)), ErrorCode::InvalidRequest);
    let mut long = group("c", None);
    long.thing_group_properties =
        Some(ThingGroupProperties { thing_group_description: Some("x".repeat(2029)), ..Default::default() });
    assert_eq!(code(scene.run(scene.services.create_thing_group(long, NOW))), ErrorCode::InvalidRequest);
    check_store(&scene.store);
}

#[test]
fn seven_deep_and_a_hundred_wide() {
    let scene = Scene::new();
    let names: Vec<_> = (0..8).map(|n| format!("g{n}")).collect();
    for n in 0..7 {
        scene.group(&names[n], (n > 0).then(|| names[n - 1].as_str())).unwrap();
    }
    assert_eq!(code(scene.group(&names[7], Some(&names[6]))), ErrorCode::InvalidRequest);
    for n in 0..98 {
        scene.group(&format!("child{n}"), Some("g0")).unwrap();
    }
    scene.meddle(|other| {
        store::block_on(other.create_thing_group(group("theirs", Some("g0")), NOW)).unwrap();
    });
    assert_eq!(code(scene.group("mine", Some("g0"))), ErrorCode::InvalidRequest);
    check_store(&scene.store);
}

#[test]
fn updates_count() {
    let scene = Scene::new();
    scene.group("g", None).unwrap();
    let update = |expected_version, pairs: &[(&str, &str)], merge| {
        let attributes =
            pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let payload = AttributePayload { attributes: Some(attributes), merge: Some(merge) };
        let properties = ThingGroupProperties {
            attribute_payload: Some(payload),
            thing_group_description: Some("new".into()),
        };
        let input = UpdateThingGroupRequest {
            expected_version,
            thing_group_name: "g".into(),
            thing_group_properties: properties,
        };
        scene.run(scene.services.update_thing_group(input, NOW))
    };
    assert_eq!(update(Some(1), &[("a", "1")], false).unwrap().version, Some(2));
    assert_eq!(update(None, &[("b", "2")], true).unwrap().version, Some(3));
    assert_eq!(code(update(Some(2), &[], false)), ErrorCode::VersionConflict);
    assert_eq!(code(update(None, &[("a b", "1")], false)), ErrorCode::InvalidRequest);
    let properties = describe(&scene, "g").unwrap().thing_group_properties.unwrap();
    assert_eq!(properties.thing_group_description.as_deref(), Some("new"));
    assert_eq!(properties.attribute_payload.unwrap().attributes.unwrap().len(), 2);
    let input = UpdateThingGroupRequest { thing_group_name: "h".into(), ..Default::default() };
    assert_eq!(code(scene.run(scene.services.update_thing_group(input, NOW))), ErrorCode::ResourceNotFound);
}

#[test]
fn deletion_goes_from_the_leaves() {
    let scene = Scene::new();
    scene.policy("p");
    scene.group("a", None).unwrap();
    let arn = scene.group("b", Some("a")).unwrap();
    scene.attach("p", &arn).unwrap();
    scene.thing("t");
    scene.join("t", "b").unwrap();
    assert_eq!(code(delete(&scene, "a", None)), ErrorCode::InvalidRequest);
    assert_eq!(code(delete(&scene, "b", Some(2))), ErrorCode::VersionConflict);
    delete(&scene, "b", Some(1)).unwrap();
    check_store(&scene.store);
    delete(&scene, "a", None).unwrap();
    delete(&scene, "a", None).unwrap();
    check_store(&scene.store);
}

#[test]
fn many_members_leave_in_several_batches() {
    let scene = crowded(2 * MEMBERS_PER_BATCH + 5);
    delete(&scene, "g", None).unwrap();
    check_store(&scene.store);
}

#[test]
fn who_is_faster_than_a_deletion_is_seen() {
    // Before the mark, before the members leave, before the end.
    for before in 0..3 {
        let scene = Scene::new();
        scene.policy("p");
        let arn = scene.group("g", None).unwrap();
        for name in ["t", "u"] {
            scene.thing(name);
        }
        scene.join("t", "g").unwrap();
        for _ in 0..before {
            scene.meddle(|_| {});
        }
        scene.meddle(move |other| {
            store::block_on(other.add_thing_to_thing_group(join("u", "g"), NOW)).unwrap();
            store::block_on(other.attach_policy(attach("p", &arn), NOW)).unwrap();
        });
        delete(&scene, "g", None).unwrap();
        check_store(&scene.store);
        assert_eq!(code(describe(&scene, "g")), ErrorCode::ResourceNotFound);
    }
}

#[test]
fn a_deletion_that_is_refused_has_expelled_nobody() {
    // Before the mark, before the first members leave; with members for one batch, and for two.
    for (before, members) in [(0, 1), (1, 1), (0, MEMBERS_PER_BATCH + 5), (1, MEMBERS_PER_BATCH + 5)] {
        for refusal in [ErrorCode::InvalidRequest, ErrorCode::VersionConflict] {
            let scene = crowded(members);
            for _ in 0..before {
                scene.meddle(|_| {});
            }
            scene.meddle(move |other| {
                if refusal == ErrorCode::VersionConflict {
                    update(other).unwrap();
                } else {
                    store::block_on(other.create_thing_group(group("child", Some("g")), NOW)).unwrap();
                }
            });
            assert_eq!(code(delete(&scene, "g", Some(1))), refusal, "{before} {members}");
            assert_eq!(count(&scene), members, "{before}");
            check_store(&scene.store);
        }
    }
}

#[test]
fn a_mark_that_was_left_behind_means_nothing() {
    let scene = crowded(1);
    interrupt(&scene, 1);
    assert!(scene.run(scene.services.thing_group("g", NOW)).unwrap().value.closing);
    scene.group("child", Some("g")).unwrap();
    assert!(!scene.run(scene.services.thing_group("g", NOW)).unwrap().value.closing);
    assert_eq!(code(delete(&scene, "g", None)), ErrorCode::InvalidRequest);
    assert_eq!(count(&scene), 1);
    check_store(&scene.store);
}

#[test]
fn a_group_that_loses_its_members_is_as_good_as_gone() {
    let scene = crowded(MEMBERS_PER_BATCH + 5);
    scene.policy("p");
    scene.thing("late");
    interrupt(&scene, 2);
    assert_eq!(count(&scene), 5);
    assert_eq!(code(scene.join("late", "g")), ErrorCode::ResourceNotFound);
    let arn = scene.services.thing_group_arn("g");
    assert_eq!(code(scene.attach("p", &arn)), ErrorCode::ResourceNotFound);
    assert_eq!(code(update(&scene.services)), ErrorCode::ResourceNotFound);
    assert_eq!(code(scene.group("child", Some("g"))), ErrorCode::InvalidRequest);
    assert_eq!(code(scene.group("g", None)), ErrorCode::ResourceAlreadyExists);
    check_store(&scene.store);
    delete(&scene, "g", Some(1)).unwrap();
    assert_eq!(code(describe(&scene, "g")), ErrorCode::ResourceNotFound);
    check_store(&scene.store);
}

#[test]
fn a_child_that_is_born_during_a_deletion_stops_it() {
    for before in 0..2 {
        let scene = Scene::new();
        scene.group("g", None).unwrap();
        for _ in 0..before {
            scene.meddle(|_| {});
        }
        scene.meddle(|other| {
            store::block_on(other.create_thing_group(group("child", Some("g")), NOW)).unwrap();
        });
        assert_eq!(code(delete(&scene, "g", None)), ErrorCode::InvalidRequest);
        check_store(&scene.store);
    }
}
