//! Certificates: issued, registered, described, switched, deleted, listed, and who is faster.

use pki::pem;

use super::*;
use crate::ErrorCode;
use crate::shapes::CertificateStatus::{Active, Inactive, PendingActivation, PendingTransfer, Revoked};
use crate::tests::{AUTHORITY, NOW, Scene, any_pem, attach, check_store, code};

/// Made by OpenSSL: P-256, subject `CN=mine`.
const CSR: &str = include_str!("request.pem");

fn describe(scene: &Scene, id: &str) -> Result<CertificateDescription, ApiError> {
    let input = DescribeCertificateRequest { certificate_id: id.into() };
    Ok(scene.run(scene.services.describe_certificate(input, NOW))?.certificate_description.unwrap())
}

fn update(scene: &Scene, id: &str, new_status: shapes::CertificateStatus) -> Result<(), ApiError> {
    let input = UpdateCertificateRequest { certificate_id: id.into(), new_status };
    scene.run(scene.services.update_certificate(input, NOW))
}

fn delete(scene: &Scene, id: &str, force: bool) -> Result<(), ApiError> {
    let input = DeleteCertificateRequest { certificate_id: id.into(), force_delete: Some(force) };
    scene.run(scene.services.delete_certificate(input, NOW))
}

#[test]
fn keys_and_certificate_are_made_and_the_key_is_not_kept() {
    let scene = Scene::new();
    let input = CreateKeysAndCertificateRequest { set_as_active: Some(true) };
    let issued = scene.services.issue_keys(NOW).unwrap();
    assert!(!format!("{issued:?}").contains("RSA PRIVATE"));
    let made = scene.run(scene.services.create_keys_and_certificate(input, issued, NOW)).unwrap();
    let keys = made.key_pair.unwrap();
    assert!(keys.private_key.as_ref().unwrap().0.starts_with("-----BEGIN RSA PRIVATE KEY-----"));
    assert!(keys.public_key.as_ref().unwrap().starts_with("-----BEGIN PUBLIC KEY-----"));
    assert!(!format!("{keys:?}").contains("RSA PRIVATE"));
    let id = made.certificate_id.unwrap();
    assert_eq!(made.certificate_arn, Some(format!("arn:aws:iot:eu-west-1:123456789012:cert/{id}")));
    let description = describe(&scene, &id).unwrap();
    assert_eq!(description.status, Some(Active));
    assert_eq!(description.certificate_mode, Some(shapes::CertificateMode::Default));
    assert_eq!(description.certificate_pem, made.certificate_pem);
    assert_eq!(description.owned_by.as_deref(), Some("123456789012"));
    assert_eq!(description.customer_version, Some(1));
    assert_eq!(description.validity.unwrap().not_after.unwrap().0, 2_524_607_999.0);
    check_store(&scene.store);
}

#[test]
fn a_request_is_certified_as_often_as_it_comes() {
    let scene = Scene::new();
    let make = |text: &str| {
        let input =
            CreateCertificateFromCsrRequest { certificate_signing_request: text.into(), set_as_active: None };
        scene.run(scene.services.create_certificate_from_csr(input, NOW))
    };
    let (first, second) = (make(CSR).unwrap(), make(CSR).unwrap());
    assert_ne!(first.certificate_id, second.certificate_id);
    assert_eq!(describe(&scene, &first.certificate_id.unwrap()).unwrap().status, Some(Inactive));
    let certificate = Certificate::from_pem(&first.certificate_pem.unwrap()).unwrap();
    assert_eq!(certificate.common_name(), Some("mine"));
    let damaged = CSR.replace("VRx3", "VRx4");
    for bad in ["nonsense", &any_pem(), &damaged] {
        assert_eq!(code(make(bad)), ErrorCode::InvalidRequest);
    }
}

#[test]
fn registration_without_a_ca() {
    let scene = Scene::new();
    let text = any_pem();
    let register = |pem: &str, status| {
        let input = RegisterCertificateWithoutCARequest { certificate_pem: pem.into(), status };
        scene.run(scene.services.register_certificate_without_ca(input, NOW))
    };
    let made = register(&text, Some(Active)).unwrap();
    let id = made.certificate_id.unwrap();
    let description = describe(&scene, &id.to_uppercase()).unwrap();
    assert_eq!(description.certificate_mode, Some(shapes::CertificateMode::SniOnly));
    assert_eq!(description.status, Some(Active));
    let error = register(&text, None).unwrap_err();
    assert_eq!(error.code, ErrorCode::ResourceAlreadyExists);
    assert_eq!(error.resource, Some((id, made.certificate_arn.unwrap())));
    assert_eq!(code(register(&any_pem(), Some(PendingActivation))), ErrorCode::InvalidRequest);
    let empty = pem::encode(pem::CERTIFICATE, &[0; 3]);
    let twice = format!("{}{}", any_pem(), any_pem());
    for bad in ["", "nonsense", &empty, &twice, &"x".repeat(70_000)] {
        assert_eq!(code(register(bad, None)), ErrorCode::CertificateValidation);
    }
    let late = Timestamp(NOW.millis() + 1000 * 24 * 3_600_000);
    let early = Timestamp(NOW.millis() - 24 * 3_600_000);
    for (now, text) in [(late, "has expired"), (early, "is not valid yet")] {
        let input = RegisterCertificateWithoutCARequest { certificate_pem: any_pem(), status: None };
        let error = scene.run(scene.services.register_certificate_without_ca(input, now)).unwrap_err();
        assert_eq!(error.code, ErrorCode::CertificateValidation);
        assert!(error.message.contains(text), "{error}");
    }
}

#[test]
fn who_registers_the_same_certificate_meanwhile_wins() {
    let scene = Scene::new();
    let input = RegisterCertificateWithoutCARequest { certificate_pem: any_pem(), status: None };
    let same = input.clone();
    scene.meddle(move |other| {
        store::block_on(other.register_certificate_without_ca(same, NOW)).unwrap();
    });
    let result = scene.run(scene.services.register_certificate_without_ca(input, NOW));
    assert_eq!(code(result), ErrorCode::ResourceAlreadyExists);
    check_store(&scene.store);
}

#[test]
fn status_moves_as_the_rules_say() {
    let scene = Scene::new();
    let (id, _) = scene.certificate(Inactive);
    update(&scene, &id, Active).unwrap();
    update(&scene, &id, Active).unwrap();
    let description = describe(&scene, &id).unwrap();
    assert_eq!((description.status, description.customer_version), (Some(Active), Some(2)));
    assert_eq!(code(update(&scene, &id, PendingTransfer)), ErrorCode::InvalidRequest);
    update(&scene, &id, Revoked).unwrap();
    assert_eq!(code(update(&scene, &id, Active)), ErrorCode::CertificateState);
    assert_eq!(code(update(&scene, &"0".repeat(64), Active)), ErrorCode::ResourceNotFound);
    assert_eq!(code(describe(&scene, &"0".repeat(64))), ErrorCode::ResourceNotFound);
}

#[test]
fn deletion_is_guarded() {
    let scene = Scene::new();
    scene.policy("p");
    scene.thing("t");
    let (id, arn) = scene.certificate(Active);
    assert_eq!(code(delete(&scene, &id, true)), ErrorCode::CertificateState);
    update(&scene, &id, Inactive).unwrap();
    scene.attach("p", &arn).unwrap();
    scene.attach_thing("t", &arn, None).unwrap();
    assert_eq!(code(delete(&scene, &id, true)), ErrorCode::DeleteConflict);
    let input = shapes::DetachThingPrincipalRequest { principal: arn, thing_name: "t".into() };
    scene.run(scene.services.detach_thing_principal(input, NOW)).unwrap();
    assert_eq!(code(delete(&scene, &id, false)), ErrorCode::DeleteConflict);
    delete(&scene, &id, true).unwrap();
    assert_eq!(code(delete(&scene, &id, true)), ErrorCode::ResourceNotFound);
    check_store(&scene.store);
}

#[test]
fn who_attaches_during_a_deletion_is_seen() {
    let scene = Scene::new();
    scene.policy("p");
    scene.thing("t");
    let (id, arn) = scene.certificate(Inactive);
    let target = arn.clone();
    scene.meddle(move |other| store::block_on(other.attach_policy(attach("p", &target), NOW)).unwrap());
    assert_eq!(code(delete(&scene, &id, false)), ErrorCode::DeleteConflict);
    check_store(&scene.store);
    scene.meddle(move |other| {
        let input = shapes::AttachThingPrincipalRequest {
            principal: arn,
            thing_name: "t".into(),
            thing_principal_type: None,
        };
        store::block_on(other.attach_thing_principal(input, NOW)).unwrap();
    });
    assert_eq!(code(delete(&scene, &id, true)), ErrorCode::DeleteConflict);
    check_store(&scene.store);
}

#[test]
fn who_deletes_during_an_attachment_wins() {
    let scene = Scene::new();
    scene.policy("p");
    let (id, arn) = scene.certificate(Inactive);
    scene.meddle(move |other| {
        let input = DeleteCertificateRequest { certificate_id: id, force_delete: None };
        store::block_on(other.delete_certificate(input, NOW)).unwrap();
    });
    assert_eq!(code(scene.attach("p", &arn)), ErrorCode::ResourceNotFound);
    check_store(&scene.store);
}

#[test]
fn lists_go_by_date_in_pages() {
    let scene = Scene::new();
    let ids: Vec<_> = (0..3)
        .map(|turn| {
            let input = RegisterCertificateWithoutCARequest { certificate_pem: any_pem(), status: None };
            let now = Timestamp(NOW.millis() + turn);
            scene
                .run(scene.services.register_certificate_without_ca(input, now))
                .unwrap()
                .certificate_id
                .unwrap()
        })
        .collect();
    let page = |ascending_order, marker, page_size| {
        let input = ListCertificatesRequest { ascending_order, marker, page_size };
        scene.run(scene.services.list_certificates(input, NOW))
    };
    let ids_of = |rows: Option<Vec<shapes::Certificate>>| -> Vec<String> {
        rows.unwrap().into_iter().filter_map(|row| row.certificate_id).collect()
    };
    let first = page(None, None, Some(2)).unwrap();
    assert_eq!(ids_of(first.certificates), [ids[2].clone(), ids[1].clone()]);
    let second = page(None, first.next_marker, Some(2)).unwrap();
    assert_eq!((ids_of(second.certificates), second.next_marker), (vec![ids[0].clone()], None));
    assert_eq!(ids_of(page(Some(true), None, None).unwrap().certificates), ids);
    assert_eq!(code(page(None, None, Some(0))), ErrorCode::InvalidRequest);
    assert_eq!(code(page(None, Some("AAAA".into()), None)), ErrorCode::InvalidRequest);
    assert_eq!(AUTHORITY.certificate().common_name(), Some("test"));
}
