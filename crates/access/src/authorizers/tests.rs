//! Authorizers: their rules, their number, the default, and who is faster.

use services::ErrorCode;
use services::shapes::{ListTagsForResourceRequest, Tag};

use super::*;
use crate::tests::{FUNCTION, NOW, Scene, check_store, code};

/// With signing disabled.
fn unsigned(name: &str) -> CreateAuthorizerRequest {
    CreateAuthorizerRequest {
        authorizer_name: name.into(),
        authorizer_function_arn: FUNCTION.into(),
        signing_disabled: Some(true),
        ..Default::default()
    }
}

fn create(scene: &Scene, input: CreateAuthorizerRequest) -> Result<String, ApiError> {
    Ok(scene.run(scene.access.create_authorizer(input, NOW))?.authorizer_arn.unwrap())
}

fn activate(name: &str) -> UpdateAuthorizerRequest {
    UpdateAuthorizerRequest {
        authorizer_name: name.into(),
        status: Some(AuthorizerStatus::Active),
        ..Default::default()
    }
}

fn update(scene: &Scene, input: UpdateAuthorizerRequest) -> Result<(), ApiError> {
    scene.run(scene.access.update_authorizer(input, Timestamp(NOW.millis() + 1000))).map(|_| ())
}

fn describe(scene: &Scene, name: &str) -> Result<AuthorizerDescription, ApiError> {
    let input = DescribeAuthorizerRequest { authorizer_name: name.into() };
    let answer = scene.run(scene.access.describe_authorizer(input, NOW))?;
    Ok(answer.authorizer_description.unwrap())
}

fn delete(scene: &Scene, name: &str) -> Result<(), ApiError> {
    let input = DeleteAuthorizerRequest { authorizer_name: name.into() };
    scene.run(scene.access.delete_authorizer(input, NOW)).map(|_| ())
}

fn set_default(access: &Access, name: &str) -> Result<(), ApiError> {
    let input = SetDefaultAuthorizerRequest { authorizer_name: name.into() };
    store::block_on(access.set_default_authorizer(input, NOW)).map(|_| ())
}

fn list(scene: &Scene, input: ListAuthorizersRequest) -> (Vec<String>, Option<String>) {
    let answer = scene.run(scene.access.list_authorizers(input, NOW)).unwrap();
    let names = answer.authorizers.unwrap().into_iter().map(|row| row.authorizer_name.unwrap());
    (names.collect(), answer.next_marker)
}

#[test]
fn an_authorizer_lives_inactive_active_and_no_more() {
    let scene = Scene::new();
    let tags = Some(vec![Tag { key: "a".into(), value: None }]);
    let arn = create(&scene, CreateAuthorizerRequest { tags, ..unsigned("a") }).unwrap();
    assert_eq!(arn, "arn:aws:iot:eu-west-1:123456789012:authorizer/a");
    let input = ListTagsForResourceRequest { resource_arn: arn, next_token: None };
    assert_eq!(scene.run(scene.services.list_tags_for_resource(input, NOW)).unwrap().tags.unwrap().len(), 1);
    let there = describe(&scene, "a").unwrap();
    assert_eq!(there.status, Some(AuthorizerStatus::Inactive), "which authenticates nobody");
    assert_eq!((there.signing_disabled, there.enable_caching_for_http), (Some(true), Some(false)));
    assert_eq!(there.creation_date, there.last_modified_date);
    let again = create(&scene, unsigned("a")).unwrap_err();
    assert_eq!(again.code, ErrorCode::ResourceAlreadyExists);
    assert_eq!(again.resource.unwrap().0, "a");
    update(&scene, activate("a")).unwrap();
    let there = describe(&scene, "a").unwrap();
    assert_eq!(there.status, Some(AuthorizerStatus::Active));
    assert!(there.last_modified_date > there.creation_date);
    assert_eq!(code(delete(&scene, "a")), ErrorCode::DeleteConflict);
    let inactive = UpdateAuthorizerRequest { status: Some(AuthorizerStatus::Inactive), ..activate("a") };
    update(&scene, inactive).unwrap();
    delete(&scene, "a").unwrap();
    assert_eq!(describe(&scene, "a").unwrap_err().message, "Authorizer a not found");
    assert_eq!(code(update(&scene, activate("a"))), ErrorCode::ResourceNotFound);
    assert_eq!(code(delete(&scene, "a")), ErrorCode::ResourceNotFound);
    check_store(&scene.store);
}

#[test]
fn signing_needs_a_name_and_keys_that_are_keys() {
    let scene = Scene::new();
    let key = pki::DeviceKeys::generate().unwrap().public_key_pem();
    let keys = |pem: &str| Some([("k".to_owned(), pem.to_owned())].into());
    let signed = |name: Option<&str>, keys| CreateAuthorizerRequest {
        signing_disabled: None,
        token_key_name: name.map(Into::into),
        token_signing_public_keys: keys,
        ..unsigned("a")
    };
    for bad in [signed(None, keys(&key)), signed(Some("t"), None), signed(Some("t"), keys("no key"))] {
        assert_eq!(code(create(&scene, bad)), ErrorCode::InvalidRequest);
    }
    let input =
        CreateAuthorizerRequest { authorizer_function_arn: "arn:aws:sqs:r:a:q".into(), ..unsigned("a") };
    assert_eq!(code(create(&scene, input)), ErrorCode::InvalidRequest);
    create(&scene, signed(Some("t"), keys(&key))).unwrap();
    let input = UpdateAuthorizerRequest { token_signing_public_keys: Some([].into()), ..activate("a") };
    assert_eq!(code(update(&scene, input)), ErrorCode::InvalidRequest);
    let other = pki::DeviceKeys::generate().unwrap().public_key_pem();
    let input = UpdateAuthorizerRequest {
        authorizer_function_arn: Some(format!("{FUNCTION}:v2")),
        token_key_name: Some("other".into()),
        token_signing_public_keys: Some([("l".to_owned(), other.clone())].into()),
        enable_caching_for_http: Some(true),
        ..activate("a")
    };
    update(&scene, input).unwrap();
    let there = describe(&scene, "a").unwrap();
    assert_eq!(there.token_signing_public_keys, Some([("l".to_owned(), other)].into()));
    assert_eq!(there.token_key_name.as_deref(), Some("other"));
    assert_eq!((there.enable_caching_for_http, there.signing_disabled), (Some(true), Some(false)));
}

#[test]
fn a_hundred_authorizers_and_32_active_ones_and_no_more() {
    let scene = Scene::new();
    for number in 0..limits::AUTHORIZERS {
        let status = (number < limits::AUTHORIZERS_ACTIVE).then_some(AuthorizerStatus::Active);
        create(&scene, CreateAuthorizerRequest { status, ..unsigned(&format!("a{number}")) }).unwrap();
    }
    assert_eq!(code(create(&scene, unsigned("b"))), ErrorCode::LimitExceeded);
    assert_eq!(code(update(&scene, activate("a99"))), ErrorCode::LimitExceeded);
    delete(&scene, "a98").unwrap();
    let active = CreateAuthorizerRequest { status: Some(AuthorizerStatus::Active), ..unsigned("b") };
    assert_eq!(code(create(&scene, active.clone())), ErrorCode::LimitExceeded);
    update(&scene, UpdateAuthorizerRequest { status: Some(AuthorizerStatus::Inactive), ..activate("a0") })
        .unwrap();
    update(&scene, activate("a1")).unwrap();
    // Another caller takes the last place between our look and our commit.
    scene.meddle(|other| {
        store::block_on(other.update_authorizer(activate("a99"), NOW)).unwrap();
    });
    assert_eq!(code(create(&scene, active)), ErrorCode::LimitExceeded);
    check_store(&scene.store);
}

#[test]
fn lists_have_pages_directions_and_a_status() {
    let scene = Scene::new();
    for (number, name) in ["c", "a", "b"].iter().enumerate() {
        let at = Timestamp(NOW.millis() + number as u64);
        scene.run(scene.access.create_authorizer(unsigned(name), at)).unwrap();
    }
    update(&scene, activate("a")).unwrap();
    let all = ListAuthorizersRequest::default;
    assert_eq!(list(&scene, all()), (vec!["b".into(), "a".into(), "c".into()], None));
    let ascending =
        |marker| ListAuthorizersRequest { ascending_order: Some(true), page_size: Some(2), marker, ..all() };
    let (names, marker) = list(&scene, ascending(None));
    assert_eq!(names, ["c", "a"]);
    assert_eq!(list(&scene, ascending(marker)), (vec!["b".into()], None));
    let active = ListAuthorizersRequest { status: Some(AuthorizerStatus::Active), ..all() };
    assert_eq!(list(&scene, active).0, ["a"]);
}

#[test]
fn the_default_exists_and_is_replaced_on_purpose_only() {
    let scene = Scene::new();
    let access = &scene.access;
    let described =
        || scene.run(access.describe_default_authorizer(DescribeDefaultAuthorizerRequest {}, NOW));
    let clear = || scene.run(access.clear_default_authorizer(ClearDefaultAuthorizerRequest {}, NOW));
    assert_eq!(code(described()), ErrorCode::ResourceNotFound);
    assert_eq!(code(clear()), ErrorCode::ResourceNotFound);
    assert_eq!(code(set_default(access, "a")), ErrorCode::ResourceNotFound);
    create(&scene, unsigned("a")).unwrap();
    create(&scene, unsigned("b")).unwrap();
    set_default(access, "a").unwrap();
    set_default(access, "a").unwrap();
    assert_eq!(described().unwrap().authorizer_description.unwrap().authorizer_name.unwrap(), "a");
    let taken = set_default(access, "b").unwrap_err();
    assert_eq!(taken.resource.unwrap().0, "a");
    assert_eq!(code(delete(&scene, "a")), ErrorCode::DeleteConflict);
    clear().unwrap();
    delete(&scene, "a").unwrap();
    check_store(&scene.store);
}

#[test]
fn no_default_is_deleted_by_who_is_faster() {
    let scene = Scene::new();
    create(&scene, unsigned("a")).unwrap();
    scene.meddle(|other| set_default(other, "a").unwrap());
    assert_eq!(code(delete(&scene, "a")), ErrorCode::DeleteConflict);
    let input = ClearDefaultAuthorizerRequest {};
    scene.run(scene.access.clear_default_authorizer(input, NOW)).unwrap();
    scene.meddle(|other| {
        let input = DeleteAuthorizerRequest { authorizer_name: "a".into() };
        store::block_on(other.delete_authorizer(input, NOW)).unwrap();
    });
    assert_eq!(code(set_default(&scene.access, "a")), ErrorCode::ResourceNotFound);
    check_store(&scene.store);
}
