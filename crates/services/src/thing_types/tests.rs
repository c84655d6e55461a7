//! Thing types: properties, deprecation, deletion, lists.

use super::*;
use crate::ErrorCode;
use crate::shapes::{CreateThingRequest, DeleteThingRequest, Tag};
use crate::tests::{NOW, Scene, check_store, code};

const LATER: Timestamp = Timestamp(NOW.0 + 300_000);

fn create(name: &str, description: Option<&str>) -> CreateThingTypeRequest {
    let properties =
        ThingTypeProperties { thing_type_description: description.map(Into::into), ..Default::default() };
    CreateThingTypeRequest {
        thing_type_name: name.into(),
        thing_type_properties: Some(properties),
        tags: Some(vec![Tag { key: "a".into(), value: None }]),
    }
}

fn put(scene: &Scene, input: CreateThingTypeRequest) -> Result<CreateThingTypeResponse, ApiError> {
    scene.run(scene.services.create_thing_type(input, NOW))
}

fn describe(scene: &Scene, name: &str) -> Result<DescribeThingTypeResponse, ApiError> {
    let input = DescribeThingTypeRequest { thing_type_name: name.into() };
    scene.run(scene.services.describe_thing_type(input, NOW))
}

fn deprecate(scene: &Scene, undo: bool, now: Timestamp) -> Result<(), ApiError> {
    let input = DeprecateThingTypeRequest { thing_type_name: "type".into(), undo_deprecate: Some(undo) };
    scene.run(scene.services.deprecate_thing_type(input, now)).map(|_| ())
}

fn delete(scene: &Scene, now: Timestamp) -> Result<(), ApiError> {
    let input = DeleteThingTypeRequest { thing_type_name: "type".into() };
    scene.run(scene.services.delete_thing_type(input, now)).map(|_| ())
}

#[test]
fn creation_is_idempotent() {
    let scene = Scene::new();
    let made = put(&scene, create("type", Some("a lamp"))).unwrap();
    assert_eq!(made.thing_type_arn.as_deref(), Some("arn:aws:iot:eu-west-1:123456789012:thingtype/type"));
    assert_eq!(put(&scene, create("type", Some("a lamp"))).unwrap(), made);
    assert_eq!(code(put(&scene, create("type", Some("other")))), ErrorCode::ResourceAlreadyExists);
    assert_eq!(code(put(&scene, create("a b", None))), ErrorCode::InvalidRequest);
    let mut many = create("many", None);
    let names = ["a", "b", "c", "d"].map(str::to_owned).to_vec();
    many.thing_type_properties =
        Some(ThingTypeProperties { searchable_attributes: Some(names), ..Default::default() });
    assert_eq!(code(put(&scene, many)), ErrorCode::InvalidRequest);
    let seen = describe(&scene, "type").unwrap();
    assert_eq!(seen.thing_type_id, made.thing_type_id);
    let metadata = seen.thing_type_metadata.unwrap();
    assert_eq!((metadata.deprecated, metadata.deprecation_date), (Some(false), None));
    assert_eq!(code(describe(&scene, "other")), ErrorCode::ResourceNotFound);
}

#[test]
fn updates_change_what_they_name() {
    let scene = Scene::new();
    put(&scene, create("type", Some("a lamp"))).unwrap();
    let attribute = PropagatingAttribute {
        user_property_key: Some("k".into()),
        connection_attribute: Some("iot:ClientId".into()),
        thing_attribute: None,
    };
    let update = |name: &str, attribute: PropagatingAttribute| {
        let configuration = Mqtt5Configuration { propagating_attributes: Some(vec![attribute]) };
        let properties =
            ThingTypeProperties { mqtt5_configuration: Some(configuration), ..Default::default() };
        let input =
            UpdateThingTypeRequest { thing_type_name: name.into(), thing_type_properties: Some(properties) };
        scene.run(scene.services.update_thing_type(input, NOW))
    };
    update("type", attribute.clone()).unwrap();
    let seen = describe(&scene, "type").unwrap().thing_type_properties.unwrap();
    assert_eq!(seen.thing_type_description.as_deref(), Some("a lamp"));
    assert_eq!(seen.mqtt5_configuration.unwrap().propagating_attributes, Some(vec![attribute.clone()]));
    let both = PropagatingAttribute { thing_attribute: Some("a".into()), ..attribute.clone() };
    assert_eq!(code(update("type", both)), ErrorCode::InvalidRequest);
    assert_eq!(code(update("other", attribute)), ErrorCode::ResourceNotFound);
}

#[test]
fn deletion_comes_after_deprecation_and_things() {
    let scene = Scene::new();
    assert_eq!(code(delete(&scene, NOW)), ErrorCode::ResourceNotFound);
    put(&scene, create("type", None)).unwrap();
    let thing = CreateThingRequest {
        thing_name: "t".into(),
        thing_type_name: Some("type".into()),
        ..Default::default()
    };
    scene.run(scene.services.create_thing(thing, NOW)).unwrap();
    assert_eq!(code(delete(&scene, LATER)), ErrorCode::InvalidRequest);
    deprecate(&scene, false, NOW).unwrap();
    deprecate(&scene, false, LATER).unwrap();
    assert_eq!(
        describe(&scene, "type").unwrap().thing_type_metadata.unwrap().deprecation_date,
        Some(NOW.into())
    );
    assert_eq!(code(delete(&scene, LATER)), ErrorCode::InvalidRequest);
    let input = DeleteThingRequest { thing_name: "t".into(), expected_version: None };
    scene.run(scene.services.delete_thing(input, NOW)).unwrap();
    assert_eq!(code(delete(&scene, NOW)), ErrorCode::InvalidRequest);
    deprecate(&scene, true, NOW).unwrap();
    assert_eq!(code(delete(&scene, LATER)), ErrorCode::InvalidRequest);
    deprecate(&scene, false, NOW).unwrap();
    delete(&scene, LATER).unwrap();
    check_store(&scene.store);
    assert_eq!(code(deprecate(&scene, false, NOW)), ErrorCode::ResourceNotFound);
}

#[test]
fn lists_have_pages_and_a_name() {
    let scene = Scene::new();
    for name in ["c", "a", "b", "ab"] {
        put(&scene, create(name, None)).unwrap();
    }
    let page = |name: Option<&str>, next_token| {
        let input =
            ListThingTypesRequest { max_results: Some(3), next_token, thing_type_name: name.map(Into::into) };
        scene.run(scene.services.list_thing_types(input, NOW))
    };
    let names = |page: ListThingTypesResponse| -> Vec<String> {
        page.thing_types.unwrap().into_iter().filter_map(|it| it.thing_type_name).collect()
    };
    let first = page(None, None).unwrap();
    let token = first.next_token.clone();
    assert_eq!(names(first), ["a", "ab", "b"]);
    assert_eq!(names(page(None, token).unwrap()), ["c"]);
    assert_eq!(names(page(Some("a"), None).unwrap()), ["a"]);
    assert_eq!(names(page(Some("zzz"), None).unwrap()), [""; 0]);
    assert_eq!(code(page(Some("a"), Some("AAAA".into()))), ErrorCode::InvalidRequest);
}
