//! Attachments: both ways, limits, both forms of the API, and who is faster.

use super::*;
use crate::ErrorCode;
use crate::shapes::CertificateStatus::Inactive;
use crate::tests::{NOW, Scene, attach, check_store, code};

fn names(policies: Option<Vec<Policy>>) -> Vec<String> {
    policies.unwrap().into_iter().filter_map(|policy| policy.policy_name).collect()
}

fn attached(scene: &Scene, target: &str, recursive: Option<bool>) -> Result<Vec<String>, ApiError> {
    let input = ListAttachedPoliciesRequest { target: target.into(), recursive, ..Default::default() };
    Ok(names(scene.run(scene.services.list_attached_policies(input, NOW))?.policies))
}

fn targets(scene: &Scene, policy: &str) -> Vec<String> {
    let input = ListTargetsForPolicyRequest { policy_name: policy.into(), ..Default::default() };
    scene.run(scene.services.list_targets_for_policy(input, NOW)).unwrap().targets.unwrap()
}

fn detach(scene: &Scene, policy: &str, target: &str) -> Result<(), ApiError> {
    let input = DetachPolicyRequest { policy_name: policy.into(), target: target.into() };
    scene.run(scene.services.detach_policy(input, NOW))
}

#[test]
fn attachments_are_seen_from_both_sides_and_repeat_without_harm() {
    let scene = Scene::new();
    scene.policy("p");
    let (_, certificate) = scene.certificate(Inactive);
    let group = scene.group("g", None).unwrap();
    let cognito = "eu-west-1:01234567-89ab-cdef-0123-456789abcdef";
    for target in [certificate.as_str(), &group, cognito] {
        scene.attach("p", target).unwrap();
        scene.attach("p", target).unwrap();
        assert_eq!(attached(&scene, target, None).unwrap(), ["p"]);
    }
    assert_eq!(targets(&scene, "p").len(), 3);
    check_store(&scene.store);
    for target in [certificate.as_str(), &group, cognito] {
        detach(&scene, "p", target).unwrap();
        detach(&scene, "p", target).unwrap();
        assert!(attached(&scene, target, None).unwrap().is_empty());
    }
    assert!(targets(&scene, "p").is_empty());
    check_store(&scene.store);
}

#[test]
fn what_does_not_exist_is_not_found_and_what_is_no_target_is_invalid() {
    let scene = Scene::new();
    scene.policy("p");
    let (_, arn) = scene.certificate(Inactive);
    assert_eq!(code(scene.attach("q", &arn)), ErrorCode::ResourceNotFound);
    let nobody = scene.services.certificate_arn(&"0".repeat(64));
    assert_eq!(code(scene.attach("p", &nobody)), ErrorCode::ResourceNotFound);
    assert_eq!(code(scene.attach("p", &scene.services.thing_group_arn("g"))), ErrorCode::ResourceNotFound);
    assert_eq!(code(attached(&scene, &nobody, None)), ErrorCode::ResourceNotFound);
    for bad in ["", "x", &"x".repeat(100_000), &scene.services.thing_arn("t")] {
        assert_eq!(code(scene.attach("p", bad)), ErrorCode::InvalidRequest);
        assert_eq!(code(detach(&scene, "p", bad)), ErrorCode::InvalidRequest);
    }
}

#[test]
fn ten_policies_on_a_certificate_and_two_on_a_group() {
    let scene = Scene::new();
    let (_, certificate) = scene.certificate(Inactive);
    let group = scene.group("g", None).unwrap();
    for (target, limit) in [(&certificate, 10), (&group, 2)] {
        for number in 0..limit {
            let name = format!("{}{number}", target.len());
            scene.policy(&name);
            scene.attach(&name, target).unwrap();
        }
        scene.policy(&format!("{}more", target.len()));
        assert_eq!(code(scene.attach(&format!("{}more", target.len()), target)), ErrorCode::LimitExceeded);
        assert!(scene.attach(&format!("{}0", target.len()), target).is_ok());
    }
    check_store(&scene.store);
}

#[test]
fn two_callers_do_not_pass_the_limit_together() {
    let scene = Scene::new();
    let (_, arn) = scene.certificate(Inactive);
    for number in 0..11 {
        scene.policy(&format!("p{number}"));
    }
    for number in 0..9 {
        scene.attach(&format!("p{number}"), &arn).unwrap();
    }
    let target = arn.clone();
    scene.meddle(move |other| store::block_on(other.attach_policy(attach("p9", &target), NOW)).unwrap());
    assert_eq!(code(scene.attach("p10", &arn)), ErrorCode::LimitExceeded);
    check_store(&scene.store);
}

#[test]
fn a_recursive_list_has_the_parents_policies() {
    let scene = Scene::new();
    for name in ["p", "q", "r"] {
        scene.policy(name);
    }
    let arns: Vec<_> = [("a", None), ("b", Some("a")), ("c", Some("b"))]
        .into_iter()
        .map(|(name, parent)| scene.group(name, parent).unwrap())
        .collect();
    scene.attach("p", &arns[0]).unwrap();
    scene.attach("q", &arns[0]).unwrap();
    scene.attach("q", &arns[1]).unwrap();
    scene.attach("r", &arns[2]).unwrap();
    assert_eq!(attached(&scene, &arns[2], Some(true)).unwrap(), ["p", "q", "r"]);
    assert_eq!(attached(&scene, &arns[2], Some(false)).unwrap(), ["r"]);
    assert_eq!(attached(&scene, &arns[1], Some(true)).unwrap(), ["p", "q"]);
}

#[test]
fn lists_have_pages() {
    let scene = Scene::new();
    let (_, arn) = scene.certificate(Inactive);
    for name in ["a", "b", "c"] {
        scene.policy(name);
        scene.attach(name, &arn).unwrap();
    }
    let page = |marker| {
        let input = ListAttachedPoliciesRequest {
            target: arn.clone(),
            marker,
            page_size: Some(2),
            ..Default::default()
        };
        scene.run(scene.services.list_attached_policies(input, NOW))
    };
    let first = page(None).unwrap();
    assert_eq!(names(first.policies), ["a", "b"]);
    let second = page(first.next_marker).unwrap();
    assert_eq!((names(second.policies), second.next_marker), (vec!["c".to_owned()], None));
    assert_eq!(code(page(Some("AAAA".into()))), ErrorCode::InvalidRequest);
    let groups: Vec<_> = (0..3).map(|n| scene.group(&format!("g{n}"), None).unwrap()).collect();
    for group in &groups {
        scene.attach("a", group).unwrap();
    }
    let (mut all, mut marker) = (Vec::new(), None);
    loop {
        let input = ListTargetsForPolicyRequest { policy_name: "a".into(), marker, page_size: Some(1) };
        let page = scene.run(scene.services.list_targets_for_policy(input, NOW)).unwrap();
        all.extend(page.targets.unwrap());
        marker = page.next_marker;
        if marker.is_none() {
            break;
        }
    }
    assert_eq!(all.len(), 4);
}

#[test]
fn the_deprecated_calls_know_principals_only() {
    let scene = Scene::new();
    let (_, arn) = scene.certificate(Inactive);
    let group = scene.group("g", None).unwrap();
    for (turn, name) in ["b", "a"].into_iter().enumerate() {
        scene.policy(name);
        let input = AttachPrincipalPolicyRequest { policy_name: name.into(), principal: arn.clone() };
        let now = Timestamp(NOW.millis() + turn as u64);
        scene.run(scene.services.attach_principal_policy(input, now)).unwrap();
    }
    scene.attach("a", &group).unwrap();
    let input = AttachPrincipalPolicyRequest { policy_name: "a".into(), principal: group.clone() };
    assert_eq!(
        code(scene.run(scene.services.attach_principal_policy(input, NOW))),
        ErrorCode::InvalidRequest
    );
    let list = |ascending_order| {
        let input =
            ListPrincipalPoliciesRequest { principal: arn.clone(), ascending_order, ..Default::default() };
        names(scene.run(scene.services.list_principal_policies(input, NOW)).unwrap().policies)
    };
    assert_eq!(list(None), ["a", "b"]);
    assert_eq!(list(Some(true)), ["b", "a"]);
    let input = ListPolicyPrincipalsRequest { policy_name: "a".into(), ..Default::default() };
    let principals =
        scene.run(scene.services.list_policy_principals(input, NOW)).unwrap().principals.unwrap();
    assert_eq!(principals, [arn.as_str()]);
    let drop = |policy: &str| {
        let input = DetachPrincipalPolicyRequest { policy_name: policy.into(), principal: arn.clone() };
        scene.run(scene.services.detach_principal_policy(input, NOW))
    };
    drop("a").unwrap();
    drop("a").unwrap();
    assert_eq!(code(drop("nothing")), ErrorCode::ResourceNotFound);
    check_store(&scene.store);
}
