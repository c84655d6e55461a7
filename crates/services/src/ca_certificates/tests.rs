//! CAs of the customer: proof of possession, device certificates, limits, and who is faster.

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};

use super::*;
use crate::shapes::{
    CertificateStatus, DescribeCertificateRequest, GetRegistrationCodeRequest, ListCertificatesByCARequest,
    Tag,
};
use crate::tests::{NOW, Scene, any_pem, check_store, code};

/// A CA with a key, as a customer has it.
pub(crate) struct Owner {
    params: CertificateParams,
    key: KeyPair,
}

impl Owner {
    pub(crate) fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self { params, key: KeyPair::generate().unwrap() }
    }

    /// A certificate of the CA; each time another one, with the same name and key.
    pub(crate) fn pem(&self) -> String {
        self.params.self_signed(&self.key).unwrap().pem()
    }

    pub(crate) fn device(&self, name: &str) -> String {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        let issuer = Issuer::from_params(&self.params, &self.key);
        params.signed_by(&KeyPair::generate().unwrap(), &issuer).unwrap().pem()
    }
}

fn registration_code(scene: &Scene) -> String {
    let answer = scene.run(scene.services.get_registration_code(GetRegistrationCodeRequest {}, NOW));
    answer.unwrap().registration_code.unwrap()
}

/// In mode SNI_ONLY, ACTIVE.
fn sni_only(pem: &str) -> RegisterCACertificateRequest {
    RegisterCACertificateRequest {
        ca_certificate: pem.into(),
        certificate_mode: Some(shapes::CertificateMode::SniOnly),
        set_as_active: Some(true),
        ..Default::default()
    }
}

fn register(scene: &Scene, input: RegisterCACertificateRequest) -> Result<String, ApiError> {
    Ok(scene.run(scene.services.register_ca_certificate(input, NOW))?.certificate_id.unwrap())
}

fn device(scene: &Scene, pem: &str, ca: Option<&str>) -> Result<String, ApiError> {
    let input = RegisterCertificateRequest {
        certificate_pem: pem.into(),
        ca_certificate_pem: ca.map(Into::into),
        set_as_active: Some(true),
        status: None,
    };
    Ok(scene.run(scene.services.register_certificate(input, NOW))?.certificate_id.unwrap())
}

fn set_status(scene: &Scene, id: &str, status: CACertificateStatus) {
    let input = UpdateCACertificateRequest {
        certificate_id: id.into(),
        new_status: Some(status),
        ..Default::default()
    };
    scene.run(scene.services.update_ca_certificate(input, NOW)).unwrap();
}

fn delete(scene: &Scene, id: &str) -> Result<(), ApiError> {
    let input = DeleteCACertificateRequest { certificate_id: id.into() };
    scene.run(scene.services.delete_ca_certificate(input, NOW)).map(|_| ())
}

fn describe(scene: &Scene, id: &str) -> Result<DescribeCACertificateResponse, ApiError> {
    let input = DescribeCACertificateRequest { certificate_id: id.into() };
    scene.run(scene.services.describe_ca_certificate(input, NOW))
}

#[test]
fn a_ca_proves_itself_by_the_registration_code() {
    let scene = Scene::new();
    let owner = Owner::new("CA");
    let input = |verification: Option<String>| RegisterCACertificateRequest {
        ca_certificate: owner.pem(),
        verification_certificate: verification,
        tags: Some(vec![Tag { key: "a".into(), value: None }]),
        ..Default::default()
    };
    let anything = owner.device("no code was made yet");
    assert_eq!(code(register(&scene, input(Some(anything)))), ErrorCode::RegistrationCodeValidation);
    let secret = registration_code(&scene);
    assert_eq!(code(register(&scene, input(None))), ErrorCode::InvalidRequest);
    let wrong = owner.device("other");
    assert_eq!(code(register(&scene, input(Some(wrong)))), ErrorCode::RegistrationCodeValidation);
    let foreign = Owner::new("CA").device(&secret);
    assert_eq!(code(register(&scene, input(Some(foreign)))), ErrorCode::CertificateValidation);
    assert_eq!(code(register(&scene, input(Some("x".into())))), ErrorCode::CertificateValidation);
    let id = register(&scene, input(Some(owner.device(&secret)))).unwrap();
    let description = describe(&scene, &id).unwrap().certificate_description.unwrap();
    assert_eq!(description.status, Some(CACertificateStatus::Inactive));
    assert_eq!(description.auto_registration_status, Some(AutoRegistrationStatus::Disable));
    assert_eq!(description.certificate_mode, Some(shapes::CertificateMode::Default));
    delete(&scene, &id).unwrap();
    check_store(&scene.store);
}

#[test]
fn in_mode_sni_only_there_is_nothing_to_prove() {
    let scene = Scene::new();
    let owner = Owner::new("CA");
    let pem = owner.pem();
    let mut input = sni_only(&pem);
    input.verification_certificate = Some(owner.device("x"));
    assert_eq!(code(register(&scene, input)), ErrorCode::InvalidRequest);
    let id = register(&scene, sni_only(&pem)).unwrap();
    let error = register(&scene, sni_only(&pem)).unwrap_err();
    assert_eq!(error.code, ErrorCode::ResourceAlreadyExists);
    assert_eq!(error.resource.unwrap().0, id);
    for bad in ["nonsense", &owner.device("not a CA")] {
        assert_eq!(code(register(&scene, sni_only(bad))), ErrorCode::CertificateValidation);
    }
}

#[test]
fn device_certificates_need_an_active_ca_that_signed_them() {
    let scene = Scene::new();
    let owner = Owner::new("CA");
    assert_eq!(code(device(&scene, &owner.device("d"), None)), ErrorCode::CertificateValidation);
    let ca_pem = owner.pem();
    let ca = register(&scene, sni_only(&ca_pem)).unwrap();
    let pem = owner.device("d");
    let id = device(&scene, &pem, None).unwrap();
    assert_eq!(code(device(&scene, &pem, None)), ErrorCode::ResourceAlreadyExists);
    let input = DescribeCertificateRequest { certificate_id: id.clone() };
    let description = scene.run(scene.services.describe_certificate(input, NOW)).unwrap();
    let description = description.certificate_description.unwrap();
    assert_eq!(description.ca_certificate_id.as_deref(), Some(ca.as_str()));
    assert_eq!(description.certificate_mode, Some(shapes::CertificateMode::SniOnly));
    assert_eq!(description.status, Some(CertificateStatus::Active));
    let input = ListCertificatesByCARequest { ca_certificate_id: ca.clone(), ..Default::default() };
    let listed = scene.run(scene.services.list_certificates_by_ca(input, NOW)).unwrap().certificates.unwrap();
    assert_eq!(listed.iter().map(|row| row.certificate_id.clone().unwrap()).collect::<Vec<_>>(), [id]);
    let forged = Owner::new("CA").device("d");
    assert_eq!(code(device(&scene, &forged, Some(&ca_pem))), ErrorCode::CertificateValidation);
    assert_eq!(code(device(&scene, &any_pem(), None)), ErrorCode::CertificateValidation);
    assert_eq!(code(delete(&scene, &ca)), ErrorCode::CertificateState);
    set_status(&scene, &ca, CACertificateStatus::Inactive);
    assert_eq!(code(device(&scene, &owner.device("e"), None)), ErrorCode::CertificateState);
    delete(&scene, &ca).unwrap();
    assert_eq!(code(delete(&scene, &ca)), ErrorCode::ResourceNotFound);
    assert_eq!(code(describe(&scene, &ca)), ErrorCode::ResourceNotFound);
}

#[test]
fn several_cas_with_one_key_must_be_told_apart() {
    let scene = Scene::new();
    let owner = Owner::new("CA");
    let (first, second) = (owner.pem(), owner.pem());
    for pem in [&first, &second] {
        register(&scene, sni_only(pem)).unwrap();
    }
    let pem = owner.device("d");
    assert_eq!(code(device(&scene, &pem, None)), ErrorCode::CertificateConflict);
    device(&scene, &pem, Some(&second)).unwrap();
}

#[test]
fn a_ca_that_is_switched_off_meanwhile_registers_nothing() {
    let scene = Scene::new();
    let owner = Owner::new("CA");
    let ca = register(&scene, sni_only(&owner.pem())).unwrap();
    scene.meddle(move |other| {
        let input = UpdateCACertificateRequest {
            certificate_id: ca,
            new_status: Some(CACertificateStatus::Inactive),
            ..Default::default()
        };
        store::block_on(other.update_ca_certificate(input, NOW)).unwrap();
    });
    assert_eq!(code(device(&scene, &owner.device("d"), None)), ErrorCode::CertificateState);
    check_store(&scene.store);
}

#[test]
fn ten_cas_of_one_subject() {
    let scene = Scene::new();
    for _ in 0..9 {
        register(&scene, sni_only(&Owner::new("CA").pem())).unwrap();
    }
    scene.meddle(|other| {
        store::block_on(other.register_ca_certificate(sni_only(&Owner::new("CA").pem()), NOW)).unwrap();
    });
    assert_eq!(code(register(&scene, sni_only(&Owner::new("CA").pem()))), ErrorCode::LimitExceeded);
    register(&scene, sni_only(&Owner::new("another").pem())).unwrap();
    let page = |marker| {
        let input = ListCACertificatesRequest { page_size: Some(4), marker, ..Default::default() };
        scene.run(scene.services.list_ca_certificates(input, NOW)).unwrap()
    };
    let (mut count, mut marker) = (0, None);
    loop {
        let page = page(marker);
        count += page.certificates.unwrap().len();
        marker = page.next_marker;
        if marker.is_none() {
            break;
        }
    }
    assert_eq!(count, 11);
    check_store(&scene.store);
}

#[test]
fn provisioning_is_configured_and_taken_away() {
    let scene = Scene::new();
    let config = RegistrationConfig {
        template_body: Some(crate::tests::JITP.into()),
        role_arn: Some("arn:aws:iam::123456789012:role/r".into()),
        template_name: None,
    };
    let mut input = sni_only(&Owner::new("CA").pem());
    input.registration_config =
        Some(RegistrationConfig { template_name: Some("t".into()), ..config.clone() });
    assert_eq!(code(register(&scene, input.clone())), ErrorCode::InvalidRequest);
    input.registration_config =
        Some(RegistrationConfig { template_name: Some("t".into()), ..Default::default() });
    assert_eq!(code(register(&scene, input.clone())), ErrorCode::ResourceNotFound);
    let without_role = RegistrationConfig { role_arn: None, ..config.clone() };
    let no_template = RegistrationConfig { template_body: Some("{}".into()), ..config.clone() };
    for bad in [without_role, no_template] {
        input.registration_config = Some(bad);
        assert_eq!(code(register(&scene, input.clone())), ErrorCode::InvalidRequest);
    }
    input.registration_config = Some(config.clone());
    input.allow_auto_registration = Some(true);
    let id = register(&scene, input).unwrap();
    let description = describe(&scene, &id).unwrap();
    assert_eq!(description.registration_config, Some(config.clone()));
    let auto = description.certificate_description.unwrap().auto_registration_status;
    assert_eq!(auto, Some(AutoRegistrationStatus::Enable));
    let update = |config, removes| {
        let input = UpdateCACertificateRequest {
            certificate_id: id.clone(),
            registration_config: config,
            remove_auto_registration: Some(removes),
            ..Default::default()
        };
        scene.run(scene.services.update_ca_certificate(input, NOW))
    };
    assert_eq!(code(update(Some(config), true)), ErrorCode::InvalidRequest);
    update(None, true).unwrap();
    let description = describe(&scene, &id).unwrap();
    assert_eq!(description.registration_config, None);
    assert_eq!(description.certificate_description.unwrap().customer_version, Some(2));
}
