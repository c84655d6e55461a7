//! First contacts, good and hostile, alone and at the same time.

use bytes::Bytes;
use events::{Kind, Observers, Recorder};
use std::sync::Arc;

use super::*;
use crate::ca_certificates::tests::Owner;
use crate::shapes::{
    self, CACertificateStatus, CreateProvisioningTemplateRequest, DescribeThingRequest,
    ListAttachedPoliciesRequest, RegisterCACertificateRequest, RegistrationConfig,
    UpdateCACertificateRequest, UpdateProvisioningTemplateRequest,
};
use crate::tests::{JITP, NOW, Scene, any_pem, check_store};

const NAME: Option<&str> = Some("iot.test");
const ROLE: &str = "arn:aws:iam::123456789012:role/provisioner";

/// A scene whose observers remember.
fn scene() -> (Scene, Arc<Recorder>) {
    let mut scene = Scene::new();
    let recorder = Arc::new(Recorder::new(1000));
    scene.services.observers = Observers::new([recorder.clone() as Arc<dyn events::Observer>]);
    (scene, recorder)
}

fn der(pem: &str) -> Vec<u8> {
    Certificate::from_pem(pem).unwrap().der().to_vec()
}

fn id_of(der: &[u8]) -> CertificateId {
    pki::certificate_id(der)
}

/// Registers a CA that lets devices in; answers its id.
fn sponsor(scene: &Scene, pem: &str, config: Option<RegistrationConfig>) -> CertificateId {
    let input = RegisterCACertificateRequest {
        ca_certificate: pem.into(),
        certificate_mode: Some(shapes::CertificateMode::SniOnly),
        set_as_active: Some(true),
        allow_auto_registration: Some(true),
        registration_config: config,
        ..Default::default()
    };
    let made = scene.run(scene.services.register_ca_certificate(input, NOW)).unwrap();
    CertificateId::new(&made.certificate_id.unwrap()).unwrap()
}

fn with_body() -> Option<RegistrationConfig> {
    Some(RegistrationConfig {
        template_body: Some(JITP.into()),
        role_arn: Some(ROLE.into()),
        template_name: None,
    })
}

fn contact(scene: &Scene, chain: &[Vec<u8>], name: Option<&str>, now: Timestamp) -> FirstContact {
    scene.run(scene.services.first_contact(chain, name, now)).unwrap()
}

fn status(scene: &Scene, id: &CertificateId) -> Option<CertificateStatus> {
    let key = certificate_key(id.as_str());
    scene.run(scene.services.records.get(&CERTIFICATES, &key, NOW)).unwrap().map(|found| found.value.status)
}

#[track_caller]
fn assert_failed(contact: FirstContact, words: &str) {
    let FirstContact::Failed { reason, remedy } = contact else { panic!("{contact:?}") };
    assert!(reason.contains(words), "{reason}");
    assert!(!remedy.is_empty());
}

#[test]
fn a_device_is_registered_once_and_waits() {
    let (scene, recorder) = scene();
    let owner = Owner::new("CA");
    let ca = sponsor(&scene, &owner.pem(), None);
    let device = der(&owner.device("lamp-7"));
    let id = id_of(&device);
    let registered = FirstContact::Registered { certificate_id: id.clone(), ca_certificate_id: ca.clone() };
    assert_eq!(contact(&scene, std::slice::from_ref(&device), NAME, NOW), registered);
    assert_eq!(status(&scene, &id), Some(CertificateStatus::PendingActivation));
    let pending = FirstContact::Pending { certificate_id: id.clone(), ca_certificate_id: ca };
    assert_eq!(contact(&scene, std::slice::from_ref(&device), NAME, NOW), pending);
    assert_eq!(recorder.texts(Kind::CertificateRegistered).len(), 2);
    check_store(&scene.store);
    let input = shapes::UpdateCertificateRequest {
        certificate_id: id.to_string(),
        new_status: shapes::CertificateStatus::Active,
    };
    scene.run(scene.services.update_certificate(input, NOW)).unwrap();
    let known = FirstContact::Known { certificate_id: id, status: CertificateStatus::Active };
    assert_eq!(contact(&scene, &[device], NAME, NOW), known);
}

#[test]
fn the_message_of_a_registration_has_awss_members() {
    let event = RegisteredEvent {
        certificate_id: "c",
        ca_certificate_id: "a",
        timestamp: 7,
        certificate_status: "PENDING_ACTIVATION",
        aws_account_id: "123456789012",
        certificate_registration_timestamp: "5".into(),
    };
    let expected = serde_json::json!({
        "certificateId": "c", "caCertificateId": "a", "timestamp": 7,
        "certificateStatus": "PENDING_ACTIVATION", "awsAccountId": "123456789012",
        "certificateRegistrationTimestamp": "5"
    });
    assert_eq!(serde_json::to_value(&event).unwrap(), expected);
    assert!(Bytes::from(serde_json::to_vec(&event).unwrap()).len() < 512);
}

#[test]
fn a_template_provisions_a_device() {
    let (scene, recorder) = scene();
    let owner = Owner::new("CA");
    let ca = sponsor(&scene, &owner.pem(), with_body());
    let device = der(&owner.device("lamp-7"));
    let id = id_of(&device);
    let provisioned = FirstContact::Provisioned {
        certificate_id: id.clone(),
        ca_certificate_id: ca,
        thing_name: Some("lamp-7".into()),
    };
    assert_eq!(contact(&scene, std::slice::from_ref(&device), NAME, NOW), provisioned);
    assert_eq!(status(&scene, &id), Some(CertificateStatus::Active));
    let input = DescribeThingRequest { thing_name: "lamp-7".into() };
    scene.run(scene.services.describe_thing(input, NOW)).unwrap();
    let target = scene.services.certificate_arn(id.as_str());
    let input = ListAttachedPoliciesRequest { target, ..Default::default() };
    let attached = scene.run(scene.services.list_attached_policies(input, NOW)).unwrap();
    assert_eq!(attached.policies.unwrap().len(), 1);
    assert_eq!(recorder.texts(Kind::DeviceProvisioned).len(), 1);
    assert!(recorder.texts(Kind::CertificateRegistered).is_empty());
    check_store(&scene.store);
    assert!(matches!(contact(&scene, &[device], NAME, NOW), FirstContact::Known { .. }));
}

#[test]
fn a_template_that_fails_is_tried_again() {
    let (scene, recorder) = scene();
    let owner = Owner::new("CA");
    let input = CreateProvisioningTemplateRequest {
        template_name: "t".into(),
        template_body: JITP.into(),
        provisioning_role_arn: ROLE.into(),
        r#type: Some(shapes::TemplateType::Jitp),
        ..Default::default()
    };
    scene.run(scene.services.create_provisioning_template(input, NOW)).unwrap();
    let config = RegistrationConfig { template_name: Some("t".into()), ..Default::default() };
    sponsor(&scene, &owner.pem(), Some(config));
    let device = der(&owner.device("lamp-7"));
    let bad = der(&owner.device("no thing is called so"));
    assert_failed(contact(&scene, std::slice::from_ref(&device), NAME, NOW), "t is not enabled");
    assert_eq!(status(&scene, &id_of(&device)), Some(CertificateStatus::PendingActivation));
    let enable = UpdateProvisioningTemplateRequest {
        template_name: "t".into(),
        enabled: Some(true),
        ..Default::default()
    };
    scene.run(scene.services.update_provisioning_template(enable, NOW)).unwrap();
    let contacted = contact(&scene, &[device], NAME, NOW);
    assert!(matches!(contacted, FirstContact::Provisioned { .. }), "{contacted:?}");
    assert_failed(contact(&scene, std::slice::from_ref(&bad), NAME, NOW), "thing: ");
    assert_eq!(status(&scene, &id_of(&bad)), Some(CertificateStatus::PendingActivation));
    assert_eq!(recorder.texts(Kind::ProvisioningFailed).len(), 2);
    check_store(&scene.store);
}

#[test]
fn contacts_at_the_same_time_register_once() {
    for config in [None, with_body()] {
        let (scene, _) = scene();
        let owner = Owner::new("CA");
        let provisions = config.is_some();
        sponsor(&scene, &owner.pem(), config);
        let device = der(&owner.device("lamp-7"));
        for _ in 0..2 {
            let device = device.clone();
            scene.meddle(move |other| {
                store::block_on(other.first_contact(&[device], NAME, NOW)).unwrap();
            });
        }
        let contacted = contact(&scene, std::slice::from_ref(&device), NAME, NOW);
        match provisions {
            true => assert!(matches!(contacted, FirstContact::Known { .. }), "{contacted:?}"),
            false => assert!(matches!(contacted, FirstContact::Pending { .. }), "{contacted:?}"),
        }
        check_store(&scene.store);
    }
}

#[test]
fn hostile_chains_get_a_reason() {
    let (scene, _) = scene();
    let owner = Owner::new("CA");
    let ca = owner.pem();
    let ca_id = sponsor(&scene, &ca, None);
    let device = der(&owner.device("d"));
    let one = std::slice::from_ref(&device);
    assert_failed(contact(&scene, &[], NAME, NOW), "no certificate");
    assert_failed(contact(&scene, &[vec![1, 2, 3]], NAME, NOW), "");
    assert_failed(contact(&scene, &vec![device.clone(); 100], NAME, NOW), "100 certificates");
    assert_failed(contact(&scene, &[der(&ca), device.clone()], NAME, NOW), "is a registered CA");
    assert_failed(contact(&scene, one, None, NOW), "SNI");
    let late = Timestamp(NOW.millis() + 1_000_000_000_000_000);
    assert_failed(contact(&scene, one, NAME, late), "validity");
    // Signed by somebody with the same name, and by nobody who is known.
    for stranger in [Owner::new("CA").device("d"), any_pem()] {
        assert_eq!(contact(&scene, &[der(&stranger)], NAME, NOW), FirstContact::Unknown);
    }
    let update = |status, auto| {
        let input = UpdateCACertificateRequest {
            certificate_id: ca_id.to_string(),
            new_status: Some(status),
            new_auto_registration_status: Some(auto),
            ..Default::default()
        };
        scene.run(scene.services.update_ca_certificate(input, NOW)).unwrap();
    };
    update(CACertificateStatus::Active, shapes::AutoRegistrationStatus::Disable);
    assert_failed(contact(&scene, one, NAME, NOW), "auto registration disabled");
    update(CACertificateStatus::Inactive, shapes::AutoRegistrationStatus::Enable);
    assert_failed(contact(&scene, one, NAME, NOW), "is INACTIVE");
    assert_eq!(status(&scene, &id_of(&device)), None);
    update(CACertificateStatus::Active, shapes::AutoRegistrationStatus::Enable);
    assert!(matches!(contact(&scene, one, NAME, NOW), FirstContact::Registered { .. }));
    update(CACertificateStatus::Inactive, shapes::AutoRegistrationStatus::Enable);
    assert_failed(contact(&scene, one, NAME, NOW), "is INACTIVE");
}

/// Tag and content of the first value, and what follows.
fn read(der: &[u8]) -> (u8, &[u8], &[u8]) {
    let (start, length) = match der[1] {
        0x81 => (3, usize::from(der[2])),
        0x82 => (4, usize::from(der[2]) << 8 | usize::from(der[3])),
        short => (2, usize::from(short)),
    };
    (der[0], &der[start..start + length], &der[start + length..])
}

fn value(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = u16::try_from(content.len()).unwrap().to_be_bytes();
    let head = match content.len() {
        0..0x80 => vec![tag, length[1]],
        0x80..0x100 => vec![tag, 0x81, length[1]],
        _ => vec![tag, 0x82, length[0], length[1]],
    };
    [head, content.to_vec()].concat()
}

/// The order of P-256.
const ORDER: [u8; 32] = [
    0xFF, 0xFF, 0xFF, 0xFF, 0, 0, 0, 0, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xBC, 0xE6, 0xFA,
    0xAD, 0xA7, 0x17, 0x9E, 0x84, 0xF3, 0xB9, 0xCA, 0xC2, 0xFC, 0x63, 0x25, 0x51,
];

/// The same certificate with the other signature that ECDSA takes for it: (r, n - s) instead of (r, s).
fn rewritten(der: &[u8]) -> Vec<u8> {
    let (_, content, _) = read(der);
    let (tag, signed, rest) = read(content);
    let (_, algorithm, rest) = read(rest);
    let (_, bits, _) = read(rest);
    let (_, numbers, _) = read(&bits[1..]);
    let (_, r, rest) = read(numbers);
    let (_, s, _) = read(rest);
    let s = s.strip_prefix(&[0]).unwrap_or(s);
    let mut other = [0; 32];
    let mut borrow = 0;
    for place in (0..32).rev() {
        let digit = (place + s.len()).checked_sub(32).map_or(0, |at| i16::from(s[at]));
        let left = i16::from(ORDER[place]) - digit - borrow;
        borrow = i16::from(left < 0);
        other[place] = u8::try_from(left.rem_euclid(256)).unwrap();
    }
    let start = other.iter().position(|byte| *byte != 0).unwrap();
    let mut other = other[start..].to_vec();
    if other[0] >= 0x80 {
        other.insert(0, 0);
    }
    let numbers = value(0x30, &[value(2, r), value(2, &other)].concat());
    let bits = value(3, &[vec![0], numbers].concat());
    value(0x30, &[value(tag, signed), value(0x30, algorithm), bits].concat())
}

#[test]
fn a_revoked_certificate_does_not_come_back_in_another_spelling() {
    let (scene, _) = scene();
    let owner = Owner::new("CA");
    let ca = owner.pem();
    sponsor(&scene, &ca, with_body());
    let device = der(&owner.device("lamp-7"));
    let other = rewritten(&device);
    let signed =
        Certificate::from_der(&other).unwrap().verify_signed_by(&Certificate::from_pem(&ca).unwrap());
    assert_eq!((rewritten(&other) == device, signed, id_of(&other) == id_of(&device)), (true, Ok(()), false));
    let one = std::slice::from_ref(&other);
    // In either order, and at the same time: the one that was first is the certificate.
    let quick = device.clone();
    scene.meddle(move |somebody| {
        store::block_on(somebody.first_contact(&[quick], NAME, NOW)).unwrap();
    });
    assert_failed(contact(&scene, one, NAME, NOW), "is registered as");
    assert_eq!(
        (status(&scene, &id_of(&device)), status(&scene, &id_of(&other))),
        (Some(CertificateStatus::Active), None)
    );
    let input = shapes::UpdateCertificateRequest {
        certificate_id: id_of(&device).to_string(),
        new_status: shapes::CertificateStatus::Revoked,
    };
    scene.run(scene.services.update_certificate(input, NOW)).unwrap();
    assert_failed(contact(&scene, one, NAME, NOW), "is REVOKED");
    assert_eq!(status(&scene, &id_of(&other)), None);
    let pem = Certificate::from_der(&other).unwrap().pem();
    let input = shapes::RegisterCertificateRequest { certificate_pem: pem, ..Default::default() };
    let refused = scene.run(scene.services.register_certificate(input, NOW)).unwrap_err();
    assert_eq!(refused.code, ErrorCode::ResourceAlreadyExists);
    check_store(&scene.store);
}

#[test]
fn a_ca_that_is_switched_off_meanwhile_lets_nobody_in() {
    let (scene, _) = scene();
    let owner = Owner::new("CA");
    let ca = sponsor(&scene, &owner.pem(), None);
    scene.meddle(move |other| switch_off(other, &ca));
    let device = der(&owner.device("d"));
    assert_failed(contact(&scene, std::slice::from_ref(&device), NAME, NOW), "is INACTIVE");
    assert_eq!(status(&scene, &id_of(&device)), None);
}

fn switch_off(services: &Services, ca: &CertificateId) {
    let input = UpdateCACertificateRequest {
        certificate_id: ca.to_string(),
        new_status: Some(CACertificateStatus::Inactive),
        ..Default::default()
    };
    store::block_on(services.update_ca_certificate(input, NOW)).unwrap();
}

#[test]
fn a_ca_that_is_switched_off_meanwhile_provisions_nobody() {
    let (scene, recorder) = scene();
    let owner = Owner::new("CA");
    let ca = sponsor(&scene, &owner.pem(), with_body());
    // The certificate is registered as the first act has happened, and the template is carried out after the second.
    scene.meddle(|_| {});
    scene.meddle(move |other| switch_off(other, &ca));
    let device = der(&owner.device("lamp-7"));
    let one = std::slice::from_ref(&device);
    assert_failed(contact(&scene, one, NAME, NOW), "is INACTIVE");
    assert_eq!(status(&scene, &id_of(&device)), Some(CertificateStatus::PendingActivation));
    let input = DescribeThingRequest { thing_name: "lamp-7".into() };
    assert!(scene.run(scene.services.describe_thing(input, NOW)).is_err());
    assert_failed(contact(&scene, one, NAME, NOW), "is INACTIVE");
    assert_eq!(recorder.texts(Kind::CertificateNotRegistered).len(), 2);
    check_store(&scene.store);
}

#[test]
fn a_template_that_is_changed_meanwhile_is_the_one_that_counts() {
    let emptied =
        RegistrationConfig { template_body: None, role_arn: Some(ROLE.into()), template_name: None };
    let renamed = RegistrationConfig {
        template_body: Some(JITP.replace(r#""v1""#, r#""v2""#)),
        role_arn: Some(ROLE.into()),
        template_name: None,
    };
    for config in [emptied, renamed] {
        let provisions = config.template_body.is_some();
        let (scene, _) = scene();
        let owner = Owner::new("CA");
        let ca = sponsor(&scene, &owner.pem(), with_body());
        scene.meddle(|_| {});
        scene.meddle(move |other| {
            let input = UpdateCACertificateRequest {
                certificate_id: ca.to_string(),
                registration_config: Some(config),
                ..Default::default()
            };
            store::block_on(other.update_ca_certificate(input, NOW)).unwrap();
        });
        let device = der(&owner.device("lamp-7"));
        let contacted = contact(&scene, std::slice::from_ref(&device), NAME, NOW);
        let input = DescribeThingRequest { thing_name: "lamp-7".into() };
        let thing = scene.run(scene.services.describe_thing(input, NOW));
        match provisions {
            true => {
                assert!(matches!(contacted, FirstContact::Provisioned { .. }), "{contacted:?}");
                assert_eq!(thing.unwrap().attributes.unwrap()["version"], "v2");
            }
            false => {
                assert!(matches!(contacted, FirstContact::Registered { .. }), "{contacted:?}");
                assert!(thing.is_err());
            }
        }
        check_store(&scene.store);
    }
}

#[test]
fn several_cas_with_one_key_are_told_apart_by_the_chain() {
    let (scene, _) = scene();
    let owner = Owner::new("CA");
    let (first, second) = (owner.pem(), owner.pem());
    sponsor(&scene, &first, None);
    let chosen = sponsor(&scene, &second, None);
    let device = der(&owner.device("d"));
    assert_failed(contact(&scene, std::slice::from_ref(&device), NAME, NOW), "several");
    let contacted = contact(&scene, &[device, der(&second)], NAME, NOW);
    let FirstContact::Registered { ca_certificate_id, .. } = contacted else { panic!("{contacted:?}") };
    assert_eq!(ca_certificate_id, chosen);
}

#[test]
fn devices_are_registered_just_in_time_at_a_rate() {
    let (scene, _) = scene();
    let owner = Owner::new("CA");
    sponsor(&scene, &owner.pem(), None);
    for number in 0..15 {
        let device = der(&owner.device(&format!("d{number}")));
        let contacted = contact(&scene, &[device], NAME, NOW);
        assert!(matches!(contacted, FirstContact::Registered { .. }), "{contacted:?}");
    }
    let late = der(&owner.device("late"));
    assert_failed(
        contact(&scene, std::slice::from_ref(&late), NAME, NOW),
        "certificates-per-second".split('-').next().unwrap(),
    );
    let later = Timestamp(NOW.millis() + 1000);
    assert!(matches!(contact(&scene, &[late], NAME, later), FirstContact::Registered { .. }));
}

#[test]
fn one_device_that_does_not_rest_does_not_silence_the_others() {
    let (scene, _) = scene();
    let owner = Owner::new("CA");
    sponsor(&scene, &owner.pem(), None);
    let restless = der(&owner.device("restless"));
    let other = der(&owner.device("other"));
    for device in [&restless, &other] {
        let contacted = contact(&scene, std::slice::from_ref(device), NAME, NOW);
        assert!(matches!(contacted, FirstContact::Registered { .. }), "{contacted:?}");
    }
    let heard = |device, now| {
        matches!(contact(&scene, std::slice::from_ref(device), NAME, now), FirstContact::Pending { .. })
    };
    assert_eq!((0..20).filter(|_| heard(&restless, NOW)).count(), 1);
    assert_failed(contact(&scene, std::slice::from_ref(&restless), NAME, NOW), "too often");
    assert!(heard(&other, NOW));
    assert!(heard(&restless, Timestamp(NOW.millis() + 1000)));
}
