//! Principals of things: both ways, exclusive, pages, and who is faster.

use super::*;
use crate::ErrorCode;
use crate::shapes::CertificateStatus::Inactive;
use crate::shapes::ThingPrincipalType::{ExclusiveThing, NonExclusiveThing};
use crate::tests::{NOW, Scene, check_store, code};

const COGNITO: &str = "eu-west-1:01234567-89ab-cdef-0123-456789abcdef";

fn detach(scene: &Scene, thing: &str, principal: &str) -> Result<(), ApiError> {
    let input = DetachThingPrincipalRequest { principal: principal.into(), thing_name: thing.into() };
    scene.run(scene.services.detach_thing_principal(input, NOW)).map(|_| ())
}

fn things(scene: &Scene, principal: &str) -> Result<Vec<String>, ApiError> {
    let input = ListPrincipalThingsRequest { principal: principal.into(), ..Default::default() };
    Ok(scene.run(scene.services.list_principal_things(input, NOW))?.things.unwrap())
}

fn principals(scene: &Scene, thing: &str) -> Result<Vec<String>, ApiError> {
    let input = ListThingPrincipalsRequest { thing_name: thing.into(), ..Default::default() };
    Ok(scene.run(scene.services.list_thing_principals(input, NOW))?.principals.unwrap())
}

#[test]
fn attachments_are_seen_from_both_sides_and_repeat_without_harm() {
    let scene = Scene::new();
    scene.thing("t");
    scene.thing("u");
    let (_, arn) = scene.certificate(Inactive);
    for thing in ["t", "t", "u"] {
        scene.attach_thing(thing, &arn, None).unwrap();
    }
    scene.attach_thing("t", COGNITO, None).unwrap();
    assert_eq!(things(&scene, &arn).unwrap(), ["t", "u"]);
    assert_eq!(principals(&scene, "t").unwrap(), [arn.as_str(), COGNITO]);
    check_store(&scene.store);
    for _ in 0..2 {
        detach(&scene, "t", &arn).unwrap();
    }
    assert_eq!(things(&scene, &arn).unwrap(), ["u"]);
    check_store(&scene.store);
}

#[test]
fn what_does_not_exist_is_not_found_and_what_is_no_principal_is_invalid() {
    let scene = Scene::new();
    scene.thing("t");
    let group = scene.group("g", None).unwrap();
    let (_, arn) = scene.certificate(Inactive);
    let nobody = scene.services.certificate_arn(&"0".repeat(64));
    assert_eq!(code(scene.attach_thing("u", &arn, None)), ErrorCode::ResourceNotFound);
    assert_eq!(code(scene.attach_thing("t", &nobody, None)), ErrorCode::ResourceNotFound);
    assert_eq!(code(things(&scene, &nobody)), ErrorCode::ResourceNotFound);
    assert_eq!(code(principals(&scene, "u")), ErrorCode::ResourceNotFound);
    assert_eq!(code(detach(&scene, "u", &arn)), ErrorCode::ResourceNotFound);
    for bad in ["", "x", &group, &"x".repeat(100_000)] {
        assert_eq!(code(scene.attach_thing("t", bad, None)), ErrorCode::InvalidRequest);
        assert_eq!(code(detach(&scene, "t", bad)), ErrorCode::InvalidRequest);
        assert_eq!(code(things(&scene, bad)), ErrorCode::InvalidRequest);
    }
    assert_eq!(code(scene.attach_thing("t", COGNITO, Some(ExclusiveThing))), ErrorCode::InvalidRequest);
}

#[test]
fn an_exclusive_principal_has_one_thing() {
    let scene = Scene::new();
    for name in ["a", "b", "c"] {
        scene.thing(name);
    }
    let (_, first) = scene.certificate(Inactive);
    scene.attach_thing("b", &first, Some(ExclusiveThing)).unwrap();
    scene.attach_thing("b", &first, Some(ExclusiveThing)).unwrap();
    for other in ["a", "c"] {
        assert_eq!(code(scene.attach_thing(other, &first, None)), ErrorCode::InvalidRequest);
    }
    assert_eq!(code(scene.attach_thing("b", &first, Some(NonExclusiveThing))), ErrorCode::InvalidRequest);
    let (_, second) = scene.certificate(Inactive);
    scene.attach_thing("a", &second, None).unwrap();
    scene.attach_thing("b", &second, None).unwrap();
    assert_eq!(code(scene.attach_thing("c", &second, Some(ExclusiveThing))), ErrorCode::InvalidRequest);
    assert_eq!(code(scene.attach_thing("a", &second, Some(ExclusiveThing))), ErrorCode::InvalidRequest);
    detach(&scene, "b", &first).unwrap();
    scene.attach_thing("a", &first, None).unwrap();
    check_store(&scene.store);
}

#[test]
fn two_callers_are_not_exclusive_together() {
    let scene = Scene::new();
    scene.thing("a");
    scene.thing("b");
    let (_, arn) = scene.certificate(Inactive);
    let principal = arn.clone();
    scene.meddle(move |other| {
        let input = AttachThingPrincipalRequest {
            principal,
            thing_name: "a".into(),
            thing_principal_type: Some(ExclusiveThing),
        };
        store::block_on(other.attach_thing_principal(input, NOW)).unwrap();
    });
    assert_eq!(code(scene.attach_thing("b", &arn, Some(ExclusiveThing))), ErrorCode::InvalidRequest);
    check_store(&scene.store);
}

#[test]
fn lists_filter_by_kind_and_have_pages() {
    let scene = Scene::new();
    scene.thing("t");
    for number in 0..5 {
        let (_, arn) = scene.certificate(Inactive);
        scene
            .attach_thing("t", &arn, Some(if number == 2 { ExclusiveThing } else { NonExclusiveThing }))
            .unwrap();
    }
    let count = |kind, size| {
        let (mut count, mut pages, mut next_token) = (0, 0, None);
        loop {
            let input = ListThingPrincipalsV2Request {
                thing_name: "t".into(),
                thing_principal_type: kind,
                max_results: Some(size),
                next_token,
            };
            let page = scene.run(scene.services.list_thing_principals_v2(input, NOW)).unwrap();
            let objects = page.thing_principal_objects.unwrap();
            assert!(kind.is_none() || objects.iter().all(|object| object.thing_principal_type == kind));
            count += objects.len();
            pages += 1;
            next_token = page.next_token;
            if next_token.is_none() {
                return (count, pages);
            }
        }
    };
    assert_eq!(count(None, 250), (5, 1));
    assert_eq!(count(None, 5), (5, 1));
    assert_eq!(count(None, 2), (5, 3));
    assert_eq!(count(Some(NonExclusiveThing), 2).0, 4);
    assert_eq!(count(Some(ExclusiveThing), 2).0, 1);
    let exclusive = {
        let input = ListThingPrincipalsV2Request {
            thing_name: "t".into(),
            thing_principal_type: Some(ExclusiveThing),
            ..Default::default()
        };
        let page = scene.run(scene.services.list_thing_principals_v2(input, NOW)).unwrap();
        page.thing_principal_objects.unwrap().pop().unwrap().principal
    };
    let input = ListPrincipalThingsV2Request { principal: exclusive, ..Default::default() };
    let objects = scene.run(scene.services.list_principal_things_v2(input, NOW)).unwrap();
    assert_eq!(
        objects.principal_thing_objects.unwrap(),
        [PrincipalThingObject { thing_name: "t".into(), thing_principal_type: Some(ExclusiveThing) }]
    );
    let input = ListThingPrincipalsRequest {
        thing_name: "t".into(),
        next_token: Some("x".into()),
        max_results: None,
    };
    assert_eq!(code(scene.run(scene.services.list_thing_principals(input, NOW))), ErrorCode::InvalidRequest);
}
