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

#[test]
fn a_walk_whose_place_is_gone_ends() {
    let scene = planted();
    let mut input =
        ListThingGroupsRequest { parent_group: Some("m".into()), max_results: Some(3), ..Default::default() };
    input.next_token = scene.run(scene.services.list_thing_groups(input.clone(), NOW)).unwrap().next_token;
    let delete = DeleteThingGroupRequest { thing_group_name: "b".into(), expected_version: None };
    scene.run(scene.services.delete_thing_group(delete, NOW)).unwrap();
    let rest = scene.run(scene.services.list_thing_groups(input, NOW)).unwrap();
    assert_eq!((rest.thing_groups.unwrap().len(), rest.next_token), (0, None));
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
    let ask = |group: &str, next_token| {
        let input = ListThingsInThingGroupRequest {
            thing_group_name: group.into(),
            next_token,
            max_results: Some(1),
            recursive: Some(true),
        };
        scene.run(scene.services.list_things_in_thing_group(input, NOW))
    };
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
