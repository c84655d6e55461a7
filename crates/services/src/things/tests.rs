//! Things: creation, update, deletion, lists, and who is faster.

use std::collections::BTreeMap;

use super::*;
use crate::ErrorCode;
use crate::shapes::{
    CertificateStatus, CreateThingTypeRequest, DeprecateThingTypeRequest, DetachThingPrincipalRequest,
};
use crate::tests::{NOW, Scene, check_store, code, join};

fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn payload(pairs: &[(&str, &str)], merge: bool) -> Option<AttributePayload> {
    Some(AttributePayload { attributes: Some(map(pairs)), merge: Some(merge) })
}

fn create(name: &str, type_name: Option<&str>, pairs: &[(&str, &str)]) -> CreateThingRequest {
    CreateThingRequest {
        thing_name: name.into(),
        thing_type_name: type_name.map(Into::into),
        attribute_payload: payload(pairs, false),
        billing_group_name: None,
    }
}

fn put(scene: &Scene, input: CreateThingRequest) -> Result<CreateThingResponse, ApiError> {
    scene.run(scene.services.create_thing(input, NOW))
}

fn describe(scene: &Scene, name: &str) -> Result<DescribeThingResponse, ApiError> {
    scene.run(scene.services.describe_thing(DescribeThingRequest { thing_name: name.into() }, NOW))
}

fn update(scene: &Scene, change: impl FnOnce(&mut UpdateThingRequest)) -> Result<(), ApiError> {
    let mut input = UpdateThingRequest { thing_name: "t".into(), ..Default::default() };
    change(&mut input);
    scene.run(scene.services.update_thing(input, NOW)).map(|_| ())
}

fn delete(scene: &Scene, name: &str, expected_version: Option<i64>) -> Result<(), ApiError> {
    let input = DeleteThingRequest { thing_name: name.into(), expected_version };
    scene.run(scene.services.delete_thing(input, NOW)).map(|_| ())
}

fn make_type(scene: &Scene, name: &str) {
    let input = CreateThingTypeRequest { thing_type_name: name.into(), ..Default::default() };
    scene.run(scene.services.create_thing_type(input, NOW)).unwrap();
}

fn deprecate(services: &Services, name: &str) {
    let input = DeprecateThingTypeRequest { thing_type_name: name.into(), undo_deprecate: None };
    store::block_on(services.deprecate_thing_type(input, NOW)).unwrap();
}

#[test]
fn creation_is_idempotent() {
    let scene = Scene::new();
    let made = put(&scene, create("t", None, &[("a", "1"), ("none", "")])).unwrap();
    assert_eq!(made.thing_arn.as_deref(), Some("arn:aws:iot:eu-west-1:123456789012:thing/t"));
    assert_eq!(put(&scene, create("t", None, &[("a", "1")])).unwrap(), made);
    let error = put(&scene, create("t", None, &[("a", "2")])).unwrap_err();
    assert_eq!(error.code, ErrorCode::ResourceAlreadyExists);
    assert_eq!(error.resource, Some(("t".to_owned(), made.thing_arn.unwrap())));
    let seen = describe(&scene, "t").unwrap();
    assert_eq!((seen.version, seen.attributes), (Some(1), Some(map(&[("a", "1")]))));
    assert_eq!((seen.default_client_id.as_deref(), seen.thing_id), (Some("t"), made.thing_id));
    assert_eq!(code(describe(&scene, "u")), ErrorCode::ResourceNotFound);
}

#[test]
fn creation_checks_names_attributes_types_and_billing_groups() {
    let scene = Scene::new();
    assert_eq!(code(put(&scene, create("a b", None, &[]))), ErrorCode::InvalidRequest);
    assert_eq!(code(put(&scene, create("t", None, &[("a", "b c")]))), ErrorCode::InvalidRequest);
    let four = [("a", "1"), ("b", "1"), ("c", "1"), ("d", "1")];
    assert_eq!(code(put(&scene, create("t", None, &four))), ErrorCode::InvalidRequest);
    assert_eq!(code(put(&scene, create("t", Some("type"), &four))), ErrorCode::ResourceNotFound);
    make_type(&scene, "type");
    put(&scene, create("t", Some("type"), &four)).unwrap();
    deprecate(&scene.services, "type");
    assert_eq!(code(put(&scene, create("u", Some("type"), &[]))), ErrorCode::InvalidRequest);
    put(&scene, create("t", Some("type"), &four)).unwrap();
    let mut input = create("u", None, &[]);
    input.billing_group_name = Some("b".into());
    assert_eq!(code(put(&scene, input)), ErrorCode::ResourceNotFound);
    check_store(&scene.store);
}

#[test]
fn a_type_that_is_deprecated_meanwhile_is_not_taken() {
    let scene = Scene::new();
    make_type(&scene, "type");
    scene.meddle(|other| deprecate(other, "type"));
    assert_eq!(code(put(&scene, create("t", Some("type"), &[]))), ErrorCode::InvalidRequest);
    check_store(&scene.store);
}

#[test]
fn updates_replace_merge_and_count() {
    let scene = Scene::new();
    put(&scene, create("t", None, &[("a", "1"), ("b", "2")])).unwrap();
    update(&scene, |input| input.attribute_payload = payload(&[("b", "3"), ("a", "")], true)).unwrap();
    assert_eq!(describe(&scene, "t").unwrap().attributes, Some(map(&[("b", "3")])));
    update(&scene, |input| input.attribute_payload = payload(&[("c", "4")], false)).unwrap();
    let seen = describe(&scene, "t").unwrap();
    assert_eq!((seen.version, seen.attributes), (Some(3), Some(map(&[("c", "4")]))));
    let stale = update(&scene, |input| input.expected_version = Some(2));
    assert_eq!(code(stale), ErrorCode::VersionConflict);
    update(&scene, |input| input.expected_version = Some(3)).unwrap();
    let missing = UpdateThingRequest { thing_name: "u".into(), ..Default::default() };
    assert_eq!(code(scene.run(scene.services.update_thing(missing, NOW))), ErrorCode::ResourceNotFound);
}

#[test]
fn two_updates_are_both_counted() {
    let scene = Scene::new();
    scene.thing("t");
    let merge = |name: &str| UpdateThingRequest {
        thing_name: "t".into(),
        attribute_payload: payload(&[(name, "1")], true),
        ..Default::default()
    };
    let theirs = merge("theirs");
    scene.meddle(move |other| {
        store::block_on(other.update_thing(theirs, NOW)).unwrap();
    });
    scene.run(scene.services.update_thing(merge("mine"), NOW)).unwrap();
    let seen = describe(&scene, "t").unwrap();
    assert_eq!((seen.version, seen.attributes), (Some(3), Some(map(&[("mine", "1"), ("theirs", "1")]))));
}

#[test]
fn types_come_and_go_with_their_allowance() {
    let scene = Scene::new();
    scene.thing("t");
    make_type(&scene, "one");
    make_type(&scene, "two");
    update(&scene, |input| input.thing_type_name = Some("one".into())).unwrap();
    let four = [("a", "1"), ("b", "1"), ("c", "1"), ("d", "1")];
    update(&scene, |input| input.attribute_payload = payload(&four, false)).unwrap();
    check_store(&scene.store);
    update(&scene, |input| input.thing_type_name = Some("two".into())).unwrap();
    check_store(&scene.store);
    let both = update(&scene, |input| {
        input.thing_type_name = Some("one".into());
        input.remove_thing_type = Some(true);
    });
    assert_eq!(code(both), ErrorCode::InvalidRequest);
    assert_eq!(code(update(&scene, |input| input.remove_thing_type = Some(true))), ErrorCode::InvalidRequest);
    assert_eq!(
        code(update(&scene, |input| input.thing_type_name = Some("zzz".into()))),
        ErrorCode::ResourceNotFound
    );
    deprecate(&scene.services, "two");
    update(&scene, |input| input.thing_type_name = Some("two".into())).unwrap();
    update(&scene, |input| {
        input.remove_thing_type = Some(true);
        input.attribute_payload = payload(&[], false);
    })
    .unwrap();
    assert_eq!(describe(&scene, "t").unwrap().thing_type_name, None);
    check_store(&scene.store);
}

#[test]
fn deletion_takes_memberships_along_but_not_principals() {
    let scene = Scene::new();
    make_type(&scene, "type");
    put(&scene, create("t", Some("type"), &[])).unwrap();
    scene.group("g", None).unwrap();
    scene.join("t", "g").unwrap();
    let (_, arn) = scene.certificate(CertificateStatus::Inactive);
    scene.attach_thing("t", &arn, None).unwrap();
    let error = delete(&scene, "t", None).unwrap_err();
    assert_eq!(error.code, ErrorCode::InvalidRequest);
    assert_eq!(error.message, "Cannot delete. Thing t is still attached to one or more principals");
    let input = DetachThingPrincipalRequest { principal: arn, thing_name: "t".into() };
    scene.run(scene.services.detach_thing_principal(input, NOW)).unwrap();
    assert_eq!(code(delete(&scene, "t", Some(2))), ErrorCode::VersionConflict);
    delete(&scene, "t", Some(1)).unwrap();
    delete(&scene, "t", None).unwrap();
    check_store(&scene.store);
}

#[test]
fn who_joins_or_attaches_during_a_deletion_is_seen() {
    let scene = Scene::new();
    scene.thing("t");
    scene.group("g", None).unwrap();
    scene.meddle(|other| {
        store::block_on(other.add_thing_to_thing_group(join("t", "g"), NOW)).unwrap();
    });
    delete(&scene, "t", None).unwrap();
    check_store(&scene.store);
    scene.thing("t");
    let (_, arn) = scene.certificate(CertificateStatus::Inactive);
    scene.meddle(move |other| {
        let input = crate::shapes::AttachThingPrincipalRequest {
            principal: arn,
            thing_name: "t".into(),
            thing_principal_type: None,
        };
        store::block_on(other.attach_thing_principal(input, NOW)).unwrap();
    });
    assert_eq!(code(delete(&scene, "t", None)), ErrorCode::InvalidRequest);
    check_store(&scene.store);
}

fn pages(scene: &Scene, input: &ListThingsRequest) -> (Vec<String>, usize) {
    let (mut names, mut count, mut input) = (Vec::new(), 0, input.clone());
    loop {
        let page = scene.run(scene.services.list_things(input.clone(), NOW)).unwrap();
        names.extend(page.things.unwrap().into_iter().filter_map(|thing| thing.thing_name));
        count += 1;
        input.next_token = page.next_token;
        if input.next_token.is_none() {
            return (names, count);
        }
    }
}

#[test]
fn lists_filter_and_have_pages() {
    let scene = Scene::new();
    make_type(&scene, "type");
    for number in 0..9 {
        let type_name = (number % 3 == 0).then_some("type");
        let value = format!("v{}", number % 2);
        put(&scene, create(&format!("t{number}"), type_name, &[("parity", &value)])).unwrap();
    }
    let size = |size| ListThingsRequest { max_results: Some(size), ..Default::default() };
    assert_eq!(pages(&scene, &size(250)).1, 1);
    assert_eq!(pages(&scene, &size(9)).1, 1);
    let (names, count) = pages(&scene, &size(4));
    assert_eq!((names.len(), count), (9, 3));
    let with = |value: &str, prefix| ListThingsRequest {
        attribute_name: Some("parity".into()),
        attribute_value: Some(value.into()),
        use_prefix_attribute_value: Some(prefix),
        ..size(2)
    };
    assert_eq!(pages(&scene, &with("v1", false)).0, ["t1", "t3", "t5", "t7"]);
    assert_eq!(pages(&scene, &with("v", false)).0, [""; 0]);
    assert_eq!(pages(&scene, &with("v", true)).0.len(), 9);
    let typed = ListThingsRequest { thing_type_name: Some("type".into()), ..size(2) };
    assert_eq!(pages(&scene, &typed), (vec!["t0".to_owned(), "t3".into(), "t6".into()], 2));
    let both = ListThingsRequest { thing_type_name: Some("type".into()), ..with("v1", false) };
    assert_eq!(pages(&scene, &both).0, ["t3"]);
    let bad = |change: fn(&mut ListThingsRequest)| {
        let mut input = size(2);
        change(&mut input);
        code(scene.run(scene.services.list_things(input, NOW)))
    };
    assert_eq!(bad(|input| input.next_token = Some("made up".into())), ErrorCode::InvalidRequest);
    assert_eq!(bad(|input| input.max_results = Some(251)), ErrorCode::InvalidRequest);
    assert_eq!(bad(|input| input.attribute_value = Some("x".into())), ErrorCode::InvalidRequest);
}

#[test]
fn a_filter_that_nothing_passes_still_ends() {
    let scene = Scene::new();
    for number in 0..LOOKED_AT + 500 {
        put(&scene, create(&format!("t{number:04}"), None, &[])).unwrap();
    }
    let input = ListThingsRequest { attribute_name: Some("none".into()), ..Default::default() };
    let (names, count) = pages(&scene, &input);
    assert!(names.is_empty());
    assert_eq!(count, 2);
}
