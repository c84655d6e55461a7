//! Lists over the forest, against a naive walk of the same forest.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::ErrorCode;
use crate::shapes::DeleteThingGroupRequest;
use crate::tests::{NOW, Scene, code};

fn group_pages(scene: &Scene, input: &ListThingGroupsRequest) -> Vec<String> {
    let (mut names, mut input) = (Vec::new(), input.clone());
    loop {
        let page = scene.run(scene.services.list_thing_groups(input.clone(), NOW)).unwrap();
        let rows = page.thing_groups.unwrap();
        assert!(rows.len() <= usize::try_from(input.max_results.unwrap_or(100)).unwrap());
        names.extend(rows.into_iter().filter_map(|row| row.group_name));
        input.next_token = page.next_token;
        if input.next_token.is_none() {
            return names;
        }
    }
}

fn thing_pages(scene: &Scene, group: &str, recursive: bool, size: i32) -> Vec<String> {
    let (mut names, mut next_token) = (Vec::new(), None);
    loop {
        let input = ListThingsInThingGroupRequest {
            max_results: Some(size),
            next_token,
            recursive: Some(recursive),
            thing_group_name: group.into(),
        };
        let page = scene.run(scene.services.list_things_in_thing_group(input, NOW)).unwrap();
        let things = page.things.unwrap();
        assert!(things.len() <= usize::try_from(size).unwrap());
        names.extend(things);
        next_token = page.next_token;
        if next_token.is_none() {
            return names;
        }
    }
}

/// Each group's parent; a name sorts after its parent's only by chance.
fn forest() -> Vec<(&'static str, Option<&'static str>)> {
    vec![
        ("m", None),
        ("z", Some("m")),
        ("a", Some("m")),
        ("b", Some("z")),
        ("c", Some("z")),
        ("d", None),
        ("e", Some("d")),
    ]
}

fn planted() -> Scene {
    let scene = Scene::new();
    for (name, parent) in forest() {
        scene.group(name, parent).unwrap();
    }
    scene
}

#[test]
fn every_combination_of_parent_and_depth() {
    let scene = planted();
    let list = |parent: Option<&str>, recursive, prefix: Option<&str>, size| {
        let input = ListThingGroupsRequest {
            parent_group: parent.map(Into::into),
            recursive,
            name_prefix_filter: prefix.map(Into::into),
            max_results: Some(size),
            next_token: None,
        };
        group_pages(&scene, &input)
    };
    for size in [1, 2, 250] {
        assert_eq!(list(None, None, None, size), ["a", "b", "c", "d", "e", "m", "z"]);
        assert_eq!(list(None, Some(false), None, size), ["d", "m"]);
        assert_eq!(list(Some("m"), Some(false), None, size), ["a", "z"]);
        assert_eq!(list(Some("m"), Some(true), None, size), ["a", "z", "b", "c"]);
        assert_eq!(list(Some("m"), None, Some("b"), size), ["b"]);
        assert_eq!(list(None, None, Some("z"), size), ["z"]);
        assert_eq!(list(None, Some(false), Some("z"), size), [""; 0]);
        assert_eq!(list(Some("e"), None, None, size), [""; 0]);
        assert_eq!(list(Some("z"), None, None, size), ["b", "c"]);
    }
    let bad = |change: &dyn Fn(&mut ListThingGroupsRequest)| {
        let mut input = ListThingGroupsRequest::default();
        change(&mut input);
        code(scene.run(scene.services.list_thing_groups(input, NOW)))
    };
    assert_eq!(bad(&|input| input.parent_group = Some("nobody".into())), ErrorCode::ResourceNotFound);
    assert_eq!(bad(&|input| input.max_results = Some(0)), ErrorCode::InvalidRequest);
    assert_eq!(bad(&|input| input.next_token = Some("made up".into())), ErrorCode::InvalidRequest);
    let mut walk = ListThingGroupsRequest { parent_group: Some("m".into()), ..Default::default() };
    walk.next_token = Some(page::write(b"nonsense"));
    assert_eq!(code(scene.run(scene.services.list_thing_groups(walk, NOW))), ErrorCode::InvalidRequest);
}

/// A page of two groups below a parent, after a token.
fn two_below(
    scene: &Scene,
    parent: &str,
    next_token: Option<String>,
) -> Result<ListThingGroupsResponse, ApiError> {
    let parent_group = Some(parent.to_owned());
    let input =
        ListThingGroupsRequest { parent_group, max_results: Some(2), next_token, ..Default::default() };
    scene.run(scene.services.list_thing_groups(input, NOW))
}

fn names(page: ListThingGroupsResponse) -> Vec<String> {
    page.thing_groups.unwrap().into_iter().filter_map(|row| row.group_name).collect()
}

fn one_thing_below(
    scene: &Scene,
    group: &str,
    next_token: Option<String>,
) -> Result<ListThingsInThingGroupResponse, ApiError> {
    let input = ListThingsInThingGroupRequest {
        thing_group_name: group.into(),
        next_token,
        max_results: Some(1),
        recursive: Some(true),
    };
    scene.run(scene.services.list_things_in_thing_group(input, NOW))
}

fn delete(services: &Services, group: &str) {
    let input = DeleteThingGroupRequest { thing_group_name: group.into(), expected_version: None };
    store::block_on(services.delete_thing_group(input, NOW)).unwrap();
}

#[test]
fn a_walk_goes_on_behind_a_place_that_is_gone() {
    let scene = planted();
    scene.group("zz", Some("m")).unwrap();
    // The walk is a, z, b, c, zz.
    let at_z = two_below(&scene, "m", None).unwrap().next_token;
    let place = |group: &str| {
        let input = ListThingGroupsRequest {
            parent_group: Some("m".into()),
            max_results: Some(if group == "b" { 3 } else { 4 }),
            ..Default::default()
        };
        scene.run(scene.services.list_thing_groups(input, NOW)).unwrap().next_token
    };
    let (at_b, at_c) = (place("b"), place("c"));
    delete(&scene.services, "b");
    assert_eq!(names(two_below(&scene, "m", at_b.clone()).unwrap()), ["c", "zz"]);
    delete(&scene.services, "c");
    let rest = two_below(&scene, "m", at_c).unwrap();
    assert_eq!((rest.next_token.clone(), names(rest)), (None, vec!["zz".to_owned()]));
    // The parent is gone as well: there is nothing to go on from, and the caller hears it.
    delete(&scene.services, "z");
    assert_eq!(code(two_below(&scene, "m", at_b.clone())), ErrorCode::InvalidRequest);
    assert_eq!(names(two_below(&scene, "m", at_z).unwrap()), ["zz"]);
    // Nor is another group of that name the same place.
    scene.group("z", Some("a")).unwrap();
    assert_eq!(code(two_below(&scene, "m", at_b)), ErrorCode::InvalidRequest);
}

#[test]
fn things_are_not_missed_behind_a_group_that_is_gone() {
    let scene = planted();
    for (thing, group) in [("t1", "b"), ("t2", "b"), ("t3", "c")] {
        scene.thing(thing);
        scene.join(thing, group).unwrap();
    }
    let page = one_thing_below(&scene, "m", None).unwrap();
    assert_eq!(page.things.unwrap(), ["t1"]);
    delete(&scene.services, "b");
    let rest = one_thing_below(&scene, "m", page.next_token).unwrap();
    assert_eq!((rest.things.unwrap(), rest.next_token), (vec!["t3".to_owned()], None));
}

#[test]
fn a_made_up_token_leads_nowhere_but_below_the_group_that_was_named() {
    let scene = planted();
    for (thing, group) in [("t1", "e"), ("t2", "m"), ("t3", "z"), ("t4", "b")] {
        scene.thing(thing);
        scene.join(thing, group).unwrap();
    }
    let id = |group: &str| scene.run(scene.services.thing_group(group, NOW)).unwrap().value.id;
    let ids = [id("d"), id("m"), id("z")];
    let made_up = |parts: &[&str]| Some(page::write(Key::of(parts).as_bytes()));
    let bad: [&[&str]; 9] = [
        &["walk", "e", ""],
        &["walk", "", "", "e", ""],
        &["walk", "", "", "d", ""],
        &["walk", "d", &ids[0], "e", ""],
        &["walk", "z", &ids[2], "e", ""],
        &["walk", "z", &ids[2], "m", ""],
        &["walk", "z", &ids[2], "z", ""],
        &["walk", "", "", "m", ""],
        &["walk", "m", &ids[1], "z", ""],
    ];
    for parts in bad {
        assert_eq!(
            code(one_thing_below(&scene, "z", made_up(parts))),
            ErrorCode::InvalidRequest,
            "{parts:?}"
        );
        assert_eq!(code(two_below(&scene, "z", made_up(parts))), ErrorCode::InvalidRequest, "{parts:?}");
    }
    let page = one_thing_below(&scene, "m", made_up(&["walk", "z", &ids[2], "b", ""])).unwrap();
    assert_eq!(page.things.unwrap(), ["t4"]);
    let page = one_thing_below(&scene, "z", made_up(&["walk", "", "", "z", ""])).unwrap();
    assert_eq!(page.things.unwrap(), ["t3"]);
}

#[test]
fn a_token_of_the_longest_names_is_one() {
    let scene = Scene::new();
    let (top, child) = ("t".repeat(128), "c".repeat(128));
    scene.group(&top, None).unwrap();
    scene.group(&child, Some(&top)).unwrap();
    for letter in ["x", "y"] {
        scene.thing(&letter.repeat(128));
        scene.join(&letter.repeat(128), &child).unwrap();
    }
    let page = one_thing_below(&scene, &top, None).unwrap();
    let rest = one_thing_below(&scene, &top, page.next_token).unwrap();
    assert_eq!(rest.things.unwrap(), ["y".repeat(128)]);
}

#[test]
fn things_of_a_group_and_below_it() {
    let scene = planted();
    for (thing, group) in [("t1", "m"), ("t3", "m"), ("t2", "c"), ("t4", "a"), ("t5", "e")] {
        scene.thing(thing);
        scene.join(thing, group).unwrap();
    }
    for size in [1, 2, 3, 250] {
        assert_eq!(thing_pages(&scene, "m", false, size), ["t1", "t3"]);
        assert_eq!(thing_pages(&scene, "m", true, size), ["t1", "t3", "t4", "t2"]);
        assert_eq!(thing_pages(&scene, "b", true, size), [""; 0]);
    }
    let ask = |group: &str, next_token| one_thing_below(&scene, group, next_token);
    assert_eq!(code(ask("nobody", None)), ErrorCode::ResourceNotFound);
    assert_eq!(code(ask("m", Some("made up".into()))), ErrorCode::InvalidRequest);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_walk_in_pages_is_the_walk_of_a_child(
        parents in proptest::collection::vec(any::<proptest::sample::Index>(), 0..25),
        size in 1..5_i32,
    ) {
        let scene = Scene::new();
        scene.group("root", None).unwrap();
        let mut known = vec!["root".to_owned()];
        let mut children: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (number, parent) in parents.iter().enumerate() {
            // Names whose order has nothing to do with their age.
            let name = format!("g{:02}", (number * 7) % 25);
            let parent = parent.get(&known).clone();
            if scene.group(&name, Some(&parent)).is_ok() {
                children.entry(parent).or_default().push(name.clone());
                known.push(name.clone());
                scene.thing(&name);
                scene.join(&name, &name).unwrap();
            }
        }
        let expected = naive(&children, "root");
        let input = ListThingGroupsRequest {
            parent_group: Some("root".into()),
            max_results: Some(size),
            ..Default::default()
        };
        prop_assert_eq!(group_pages(&scene, &input), expected.clone());
        prop_assert_eq!(thing_pages(&scene, "root", true, size), expected);
    }
}

fn naive(children: &BTreeMap<String, Vec<String>>, of: &str) -> Vec<String> {
    let mut own = children.get(of).cloned().unwrap_or_default();
    own.sort();
    own.into_iter()
        .flat_map(|child| {
            let below = naive(children, &child);
            std::iter::once(child).chain(below)
        })
        .collect()
}
