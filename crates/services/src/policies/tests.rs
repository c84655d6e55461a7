//! Policies: versions, names, deletion, pages, and who is faster.

use super::*;
use crate::shapes::Tag;
use crate::tests::{ALLOW, NOW, Scene, attach, check_store, code, policy};

fn version(name: &str, set_as_default: bool) -> CreatePolicyVersionRequest {
    let set_as_default = Some(set_as_default);
    CreatePolicyVersionRequest { policy_document: ALLOW.into(), policy_name: name.into(), set_as_default }
}

fn delete(scene: &Scene, name: &str) -> Result<(), ApiError> {
    scene.run(scene.services.delete_policy(DeletePolicyRequest { policy_name: name.into() }, NOW))
}

fn get(scene: &Scene, name: &str) -> Result<GetPolicyResponse, ApiError> {
    scene.run(scene.services.get_policy(GetPolicyRequest { policy_name: name.into() }, NOW))
}

#[test]
fn a_policy_is_created_once() {
    let scene = Scene::new();
    let made = scene.run(scene.services.create_policy(policy("p"), NOW)).unwrap();
    assert_eq!(made.policy_arn.as_deref(), Some("arn:aws:iot:eu-west-1:123456789012:policy/p"));
    assert_eq!(made.policy_version_id.as_deref(), Some("1"));
    assert_eq!(made.policy_document.as_deref(), Some(ALLOW));
    let error = scene.run(scene.services.create_policy(policy("p"), NOW)).unwrap_err();
    assert_eq!(error.code, ErrorCode::ResourceAlreadyExists);
    assert_eq!(error.resource, Some(("p".to_owned(), made.policy_arn.unwrap())));
    assert_eq!(get(&scene, "p").unwrap().policy_document.as_deref(), Some(ALLOW));
    assert_eq!(code(get(&scene, "q")), ErrorCode::ResourceNotFound);
}

#[test]
fn who_creates_the_same_policy_meanwhile_wins() {
    let scene = Scene::new();
    scene.meddle(|other| {
        store::block_on(other.create_policy(policy("p"), NOW)).unwrap();
    });
    let result = scene.run(scene.services.create_policy(policy("p"), NOW));
    assert_eq!(code(result), ErrorCode::ResourceAlreadyExists);
    check_store(&scene.store);
}

#[test]
fn versions_that_do_not_fit_together_are_the_callers_fault() {
    let scene = Scene::new();
    scene.policy("p");
    let mut long = version("p", false);
    // White space does not count towards the 2048 characters of a policy.
    long.policy_document.push_str(&"\n".repeat(400_000));
    scene.run(scene.services.create_policy_version(long.clone(), NOW)).unwrap();
    let error = scene.run(scene.services.create_policy_version(long, NOW)).unwrap_err();
    assert_eq!(error.code, ErrorCode::InvalidRequest, "not InternalFailure, which SDKs repeat");
    assert!(error.message.contains("white space"), "{}", error.message);
    assert_eq!(get(&scene, "p").unwrap().policy_document.as_deref(), Some(ALLOW));
}

#[test]
fn malformed_documents_are_refused_in_both_places() {
    let scene = Scene::new();
    scene.policy("p");
    let mut bad = policy("q");
    bad.policy_document = "nonsense".into();
    let error = scene.run(scene.services.create_policy(bad, NOW)).unwrap_err();
    assert_eq!(error.code, ErrorCode::MalformedPolicy);
    assert!(error.message.starts_with("Policy document is Malformed: "), "{}", error.message);
    let mut bad = version("p", false);
    bad.policy_document = "{}".into();
    assert_eq!(code(scene.run(scene.services.create_policy_version(bad, NOW))), ErrorCode::MalformedPolicy);
    let mut bad = policy("with space");
    bad.policy_document = ALLOW.into();
    assert_eq!(code(scene.run(scene.services.create_policy(bad, NOW))), ErrorCode::InvalidRequest);
}

#[test]
fn versions_live_their_lives() {
    let scene = Scene::new();
    scene.policy("p");
    let new = |default| scene.run(scene.services.create_policy_version(version("p", default), NOW));
    assert_eq!(new(false).unwrap().is_default_version, Some(false));
    assert_eq!(new(true).unwrap().policy_version_id.as_deref(), Some("3"));
    assert_eq!(get(&scene, "p").unwrap().default_version_id.as_deref(), Some("3"));
    let set = |id: &str| {
        let input = SetDefaultPolicyVersionRequest { policy_name: "p".into(), policy_version_id: id.into() };
        scene.run(scene.services.set_default_policy_version(input, NOW))
    };
    set("2").unwrap();
    assert_eq!(code(set("9")), ErrorCode::ResourceNotFound);
    assert_eq!(code(set("99999999999999999999")), ErrorCode::ResourceNotFound);
    let drop = |id: &str| {
        let input = DeletePolicyVersionRequest { policy_name: "p".into(), policy_version_id: id.into() };
        scene.run(scene.services.delete_policy_version(input, NOW))
    };
    assert_eq!(code(drop("2")), ErrorCode::DeleteConflict);
    drop("1").unwrap();
    assert_eq!(code(drop("1")), ErrorCode::ResourceNotFound);
    let list = ListPolicyVersionsRequest { policy_name: "p".into() };
    let listed = scene.run(scene.services.list_policy_versions(list, NOW)).unwrap().policy_versions.unwrap();
    let ids: Vec<_> =
        listed.iter().map(|it| (it.version_id.clone().unwrap(), it.is_default_version)).collect();
    assert_eq!(ids, [("3".to_owned(), Some(false)), ("2".to_owned(), Some(true))]);
    let one = GetPolicyVersionRequest { policy_name: "p".into(), policy_version_id: "3".into() };
    let one = scene.run(scene.services.get_policy_version(one, NOW)).unwrap();
    assert_eq!(one.is_default_version, Some(false));
    for _ in 0..3 {
        new(false).unwrap();
    }
    assert_eq!(code(new(false)), ErrorCode::VersionsLimitExceeded);
    assert_eq!(code(delete(&scene, "p")), ErrorCode::DeleteConflict);
}

#[test]
fn two_callers_never_get_the_same_version() {
    let scene = Scene::new();
    scene.policy("p");
    scene.meddle(|other| {
        store::block_on(other.create_policy_version(version("p", false), NOW)).unwrap();
    });
    let mine = scene.run(scene.services.create_policy_version(version("p", false), NOW)).unwrap();
    assert_eq!(mine.policy_version_id.as_deref(), Some("3"));
}

#[test]
fn deletion_takes_tags_and_lists_along() {
    let scene = Scene::new();
    let mut input = policy("p");
    input.tags = Some(vec![Tag { key: "a".into(), value: None }]);
    scene.run(scene.services.create_policy(input, NOW)).unwrap();
    delete(&scene, "p").unwrap();
    assert_eq!(code(delete(&scene, "p")), ErrorCode::ResourceNotFound);
    check_store(&scene.store);
    scene.policy("p");
}

#[test]
fn an_attached_policy_stays() {
    let scene = Scene::new();
    scene.policy("p");
    let (_, arn) = scene.certificate(crate::shapes::CertificateStatus::Inactive);
    scene.attach("p", &arn).unwrap();
    assert_eq!(code(delete(&scene, "p")), ErrorCode::DeleteConflict);
}

#[test]
fn who_attaches_during_a_deletion_wins() {
    for before in 0..2 {
        let scene = Scene::new();
        scene.policy("p");
        let (_, arn) = scene.certificate(crate::shapes::CertificateStatus::Inactive);
        for _ in 0..before {
            scene.meddle(|_| {});
        }
        scene.meddle(move |other| store::block_on(other.attach_policy(attach("p", &arn), NOW)).unwrap());
        assert_eq!(code(delete(&scene, "p")), ErrorCode::DeleteConflict, "attached before commit {before}");
        check_store(&scene.store);
    }
}

#[test]
fn who_deletes_during_an_attachment_wins() {
    let scene = Scene::new();
    scene.policy("p");
    let (_, arn) = scene.certificate(crate::shapes::CertificateStatus::Inactive);
    scene.meddle(|other| {
        let input = DeletePolicyRequest { policy_name: "p".into() };
        store::block_on(other.delete_policy(input, NOW)).unwrap();
    });
    assert_eq!(code(scene.attach("p", &arn)), ErrorCode::ResourceNotFound);
    check_store(&scene.store);
}

#[test]
fn lists_go_by_date_in_pages() {
    let scene = Scene::new();
    for (turn, name) in ["c", "a", "b"].into_iter().enumerate() {
        let now = Timestamp(NOW.millis() + turn as u64);
        scene.run(scene.services.create_policy(policy(name), now)).unwrap();
    }
    let page = |ascending, marker: Option<String>, size| {
        let input = ListPoliciesRequest { ascending_order: Some(ascending), marker, page_size: Some(size) };
        let page = scene.run(scene.services.list_policies(input, NOW)).unwrap();
        let names: Vec<_> = page.policies.unwrap().into_iter().filter_map(|row| row.policy_name).collect();
        (names, page.next_marker)
    };
    assert_eq!(page(true, None, 3), (vec!["c".to_owned(), "a".into(), "b".into()], None));
    let (first, marker) = page(false, None, 2);
    assert_eq!(first, ["b", "a"]);
    // The place is kept although the policy at it is gone.
    delete(&scene, "a").unwrap();
    assert_eq!(page(false, marker.clone(), 2), (vec!["c".to_owned()], None));
    let input = ListPoliciesRequest { ascending_order: Some(true), marker, page_size: None };
    assert_eq!(code(scene.run(scene.services.list_policies(input, NOW))), ErrorCode::InvalidRequest);
}
