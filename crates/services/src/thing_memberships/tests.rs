//! Memberships: one group of a hierarchy, ten in all, all or nothing, and who is faster.

use super::*;
use crate::ErrorCode;
use crate::tests::{NOW, Scene, check_store, code, join};

fn groups(scene: &Scene, thing: &str) -> Vec<String> {
    let input = ListThingGroupsForThingRequest { thing_name: thing.into(), ..Default::default() };
    let page = scene.run(scene.services.list_thing_groups_for_thing(input, NOW)).unwrap();
    page.thing_groups.unwrap().into_iter().filter_map(|group| group.group_name).collect()
}

fn update(scene: &Scene, leave: &[&str], join: &[&str]) -> Result<(), ApiError> {
    let names = |names: &[&str]| Some(names.iter().map(|name| (*name).to_owned()).collect());
    let input = UpdateThingGroupsForThingRequest {
        thing_name: Some("t".into()),
        thing_groups_to_add: names(join),
        thing_groups_to_remove: names(leave),
        override_dynamic_groups: None,
    };
    scene.run(scene.services.update_thing_groups_for_thing(input, NOW)).map(|_| ())
}

fn forest(scene: &Scene) {
    scene.thing("t");
    for (name, parent) in [("a", None), ("b", Some("a")), ("c", Some("b")), ("x", None)] {
        scene.group(name, parent).unwrap();
    }
}

#[test]
fn joining_and_leaving_repeat_without_harm() {
    let scene = Scene::new();
    forest(&scene);
    scene.join("t", "b").unwrap();
    scene.join("t", "b").unwrap();
    scene.join("t", "x").unwrap();
    assert_eq!(groups(&scene, "t"), ["b", "x"]);
    check_store(&scene.store);
    for _ in 0..2 {
        let input = RemoveThingFromThingGroupRequest {
            thing_arn: Some(scene.services.thing_arn("t")),
            thing_group_arn: Some(scene.services.thing_group_arn("b")),
            ..Default::default()
        };
        scene.run(scene.services.remove_thing_from_thing_group(input, NOW)).unwrap();
    }
    assert_eq!(groups(&scene, "t"), ["x"]);
    check_store(&scene.store);
}

#[test]
fn names_and_arns_must_agree() {
    let scene = Scene::new();
    forest(&scene);
    let add = |change: &dyn Fn(&mut AddThingToThingGroupRequest)| {
        let mut input = join("t", "a");
        change(&mut input);
        scene.run(scene.services.add_thing_to_thing_group(input, NOW))
    };
    let invalid: [&dyn Fn(&mut AddThingToThingGroupRequest); 3] = [
        &|input| input.thing_arn = Some(scene.services.thing_arn("other")),
        &|input| input.thing_group_arn = Some("nonsense".into()),
        &|input| input.thing_name = None,
    ];
    for change in invalid {
        assert_eq!(code(add(change)), ErrorCode::InvalidRequest);
    }
    assert_eq!(code(add(&|input| input.thing_name = Some("nobody".into()))), ErrorCode::ResourceNotFound);
    assert_eq!(code(add(&|input| input.thing_group_name = Some("none".into()))), ErrorCode::ResourceNotFound);
    add(&|input| input.thing_arn = Some(scene.services.thing_arn("t"))).unwrap();
}

#[test]
fn one_group_of_a_hierarchy() {
    let scene = Scene::new();
    forest(&scene);
    scene.join("t", "b").unwrap();
    for other in ["a", "c"] {
        assert_eq!(code(scene.join("t", other)), ErrorCode::InvalidRequest);
    }
    update(&scene, &["b"], &["c"]).unwrap();
    assert_eq!(groups(&scene, "t"), ["c"]);
    assert_eq!(code(update(&scene, &["c"], &["a", "b"])), ErrorCode::InvalidRequest);
    assert_eq!(code(update(&scene, &["c"], &["nothing"])), ErrorCode::ResourceNotFound);
    assert_eq!(groups(&scene, "t"), ["c"], "all or nothing");
    update(&scene, &["c"], &["c"]).unwrap();
    assert_eq!(groups(&scene, "t"), ["c"], "leaves first, then joins");
    check_store(&scene.store);
    let many: Vec<_> = (0..11).map(|_| "a").collect();
    assert_eq!(code(update(&scene, &[], &many)), ErrorCode::InvalidRequest);
}

#[test]
fn two_callers_do_not_enter_one_hierarchy_together() {
    let scene = Scene::new();
    forest(&scene);
    scene.meddle(|other| {
        store::block_on(other.add_thing_to_thing_group(join("t", "b"), NOW)).unwrap();
    });
    assert_eq!(code(scene.join("t", "c")), ErrorCode::InvalidRequest);
    check_store(&scene.store);
}

#[test]
fn ten_groups_in_all_listed_in_pages() {
    let scene = Scene::new();
    scene.thing("t");
    for n in 0..11 {
        scene.group(&format!("g{n:02}"), None).unwrap();
    }
    for n in 0..10 {
        scene.join("t", &format!("g{n:02}")).unwrap();
    }
    assert_eq!(code(scene.join("t", "g10")), ErrorCode::InvalidRequest);
    let (mut count, mut token) = (0, None);
    loop {
        let input = ListThingGroupsForThingRequest {
            thing_name: "t".into(),
            max_results: Some(4),
            next_token: token,
        };
        let page = scene.run(scene.services.list_thing_groups_for_thing(input, NOW)).unwrap();
        count += page.thing_groups.unwrap().len();
        token = page.next_token;
        if token.is_none() {
            break;
        }
    }
    assert_eq!(count, 10);
    let input = ListThingGroupsForThingRequest { thing_name: "nobody".into(), ..Default::default() };
    let result = scene.run(scene.services.list_thing_groups_for_thing(input, NOW));
    assert_eq!(code(result), ErrorCode::ResourceNotFound);
}
