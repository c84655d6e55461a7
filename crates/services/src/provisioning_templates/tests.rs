//! Templates: their types, versions, updates, lists, and who is faster.

use super::*;
use crate::ErrorCode;
use crate::shapes::{ListTagsForResourceRequest, Tag};
use crate::tests::{JITP, NOW, Scene, check_store, code};

const ROLE: &str = "arn:aws:iam::123456789012:role/provisioner";

fn input(name: &str, kind: shapes::TemplateType) -> CreateProvisioningTemplateRequest {
    CreateProvisioningTemplateRequest {
        template_name: name.into(),
        template_body: JITP.into(),
        provisioning_role_arn: ROLE.into(),
        r#type: Some(kind),
        ..Default::default()
    }
}

fn create(scene: &Scene, input: CreateProvisioningTemplateRequest) -> Result<String, ApiError> {
    let made = scene.run(scene.services.create_provisioning_template(input, NOW))?;
    assert_eq!(made.default_version_id, Some(1));
    Ok(made.template_arn.unwrap())
}

fn describe(scene: &Scene, name: &str) -> Result<DescribeProvisioningTemplateResponse, ApiError> {
    let input = DescribeProvisioningTemplateRequest { template_name: name.into() };
    scene.run(scene.services.describe_provisioning_template(input, NOW))
}

fn version(scene: &Scene, name: &str, is_default: bool) -> Result<i32, ApiError> {
    let input = CreateProvisioningTemplateVersionRequest {
        template_name: name.into(),
        template_body: JITP.into(),
        set_as_default: Some(is_default),
    };
    let made = scene.run(scene.services.create_provisioning_template_version(input, NOW))?;
    Ok(made.version_id.unwrap())
}

fn delete_version(scene: &Scene, name: &str, version_id: i32) -> Result<(), ApiError> {
    let input = DeleteProvisioningTemplateVersionRequest { template_name: name.into(), version_id };
    scene.run(scene.services.delete_provisioning_template_version(input, NOW)).map(|_| ())
}

fn update(scene: &Scene, input: UpdateProvisioningTemplateRequest) -> Result<(), ApiError> {
    scene.run(scene.services.update_provisioning_template(input, NOW)).map(|_| ())
}

#[test]
fn the_life_of_a_template() {
    let scene = Scene::new();
    let tags = Some(vec![Tag { key: "k".into(), value: Some("v".into()) }]);
    let arn =
        create(&scene, CreateProvisioningTemplateRequest { tags, ..input("t", shapes::TemplateType::Jitp) });
    let arn = arn.unwrap();
    assert_eq!(arn, "arn:aws:iot:eu-west-1:123456789012:provisioningtemplate/t");
    let error = create(&scene, input("t", shapes::TemplateType::Jitp)).unwrap_err();
    assert_eq!((error.code, error.resource.unwrap().1), (ErrorCode::ResourceAlreadyExists, arn.clone()));
    let seen = describe(&scene, "t").unwrap();
    assert_eq!((seen.enabled, seen.template_body.as_deref()), (Some(false), Some(JITP)));
    assert_eq!(seen.r#type, Some(shapes::TemplateType::Jitp));
    let list = ListTagsForResourceRequest { resource_arn: arn.clone(), ..Default::default() };
    let listed = scene.run(scene.services.list_tags_for_resource(list.clone(), NOW)).unwrap();
    assert_eq!(listed.tags.unwrap().len(), 1);
    check_store(&scene.store);
    update(
        &scene,
        UpdateProvisioningTemplateRequest {
            template_name: "t".into(),
            enabled: Some(true),
            description: Some("new".into()),
            ..Default::default()
        },
    )
    .unwrap();
    let seen = describe(&scene, "t").unwrap();
    assert_eq!((seen.enabled, seen.description.as_deref()), (Some(true), Some("new")));
    let delete = || {
        let input = DeleteProvisioningTemplateRequest { template_name: "t".into() };
        scene.run(scene.services.delete_provisioning_template(input, NOW))
    };
    delete().unwrap();
    assert_eq!(code(delete()), ErrorCode::ResourceNotFound);
    assert_eq!(code(describe(&scene, "t")), ErrorCode::ResourceNotFound);
    assert_eq!(
        code(scene.run(scene.services.list_tags_for_resource(list, NOW))),
        ErrorCode::ResourceNotFound
    );
    check_store(&scene.store);
}

#[test]
fn bodies_roles_and_hooks_are_checked() {
    let scene = Scene::new();
    let good = || input("t", shapes::TemplateType::Jitp);
    let hook = || Some(ProvisioningHook { payload_version: None, target_arn: "arn:aws:lambda:x".into() });
    for bad in [
        CreateProvisioningTemplateRequest { template_body: "{}".into(), ..good() },
        CreateProvisioningTemplateRequest {
            provisioning_role_arn: "no role at all, but long".into(),
            ..good()
        },
        CreateProvisioningTemplateRequest { pre_provisioning_hook: hook(), ..good() },
    ] {
        assert_eq!(code(create(&scene, bad)), ErrorCode::InvalidRequest);
    }
    let fleet = input("f", shapes::TemplateType::FleetProvisioning);
    create(&scene, CreateProvisioningTemplateRequest { pre_provisioning_hook: hook(), ..fleet }).unwrap();
    let change = |hook, removes| UpdateProvisioningTemplateRequest {
        template_name: "f".into(),
        pre_provisioning_hook: hook,
        remove_pre_provisioning_hook: Some(removes),
        ..Default::default()
    };
    assert_eq!(code(update(&scene, change(hook(), true))), ErrorCode::InvalidRequest);
    assert!(describe(&scene, "f").unwrap().pre_provisioning_hook.is_some());
    update(&scene, change(None, true)).unwrap();
    assert_eq!(describe(&scene, "f").unwrap().pre_provisioning_hook, None);
}

#[test]
fn versions_come_and_go() {
    let scene = Scene::new();
    create(&scene, input("t", shapes::TemplateType::Jitp)).unwrap();
    for id in 2..=5 {
        assert_eq!(version(&scene, "t", id == 5), Ok(id));
    }
    assert_eq!(code(version(&scene, "t", false)), ErrorCode::VersionsLimitExceeded);
    assert_eq!(describe(&scene, "t").unwrap().default_version_id, Some(5));
    assert_eq!(code(delete_version(&scene, "t", 5)), ErrorCode::DeleteConflict);
    assert_eq!(code(delete_version(&scene, "t", -1)), ErrorCode::ResourceNotFound);
    delete_version(&scene, "t", 4).unwrap();
    let change = |id| UpdateProvisioningTemplateRequest {
        template_name: "t".into(),
        default_version_id: Some(id),
        ..Default::default()
    };
    assert_eq!(code(update(&scene, change(4))), ErrorCode::ResourceNotFound);
    update(&scene, change(1)).unwrap();
    let (mut seen, mut token) = (Vec::new(), None);
    loop {
        let input = ListProvisioningTemplateVersionsRequest {
            template_name: "t".into(),
            max_results: Some(3),
            next_token: token,
        };
        let page = scene.run(scene.services.list_provisioning_template_versions(input, NOW)).unwrap();
        seen.extend(page.versions.unwrap().into_iter().map(|row| (row.version_id, row.is_default_version)));
        token = page.next_token;
        if token.is_none() {
            break;
        }
    }
    let expected = [(5, false), (3, false), (2, false), (1, true)];
    assert_eq!(seen, expected.map(|(id, is_default)| (Some(id), Some(is_default))));
    let input = DescribeProvisioningTemplateVersionRequest { template_name: "t".into(), version_id: 3 };
    let found = scene.run(scene.services.describe_provisioning_template_version(input, NOW)).unwrap();
    assert_eq!((found.is_default_version, found.template_body.as_deref()), (Some(false), Some(JITP)));
}

#[test]
fn the_last_place_is_given_once() {
    let scene = Scene::new();
    for number in 0..255 {
        create(&scene, input(&format!("t{number:03}"), shapes::TemplateType::Jitp)).unwrap();
    }
    scene.meddle(|other| {
        let last = input("other", shapes::TemplateType::Jitp);
        store::block_on(other.create_provisioning_template(last, NOW)).unwrap();
    });
    assert_eq!(code(create(&scene, input("mine", shapes::TemplateType::Jitp))), ErrorCode::LimitExceeded);
    let page = |token| {
        let input = ListProvisioningTemplatesRequest { max_results: Some(250), next_token: token };
        scene.run(scene.services.list_provisioning_templates(input, NOW)).unwrap()
    };
    let first = page(None);
    let second = page(first.next_token);
    assert_eq!((first.templates.unwrap().len(), second.templates.unwrap().len()), (250, 6));
    assert_eq!(second.next_token, None);
}
