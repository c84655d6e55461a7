//! What ACM takes, and what a renewal changes for a domain in service.

use std::sync::LazyLock;
use std::time::Duration;

use rcgen::{
    CertificateParams, ExtendedKeyUsagePurpose, Issuer, KeyPair, PKCS_ECDSA_P256_SHA256,
    PKCS_ECDSA_P384_SHA384, SignatureAlgorithm, date_time_ymd,
};
use services::shapes::{CreateDomainConfigurationRequest, Secret};

use super::*;
use crate::tests::{NOW, Scene, code};

static CA: LazyLock<(CertificateParams, KeyPair, String)> = LazyLock::new(|| {
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let pem = params.self_signed(&key).unwrap().pem();
    (params, key, pem)
});

/// A server certificate as a customer has it.
#[derive(Clone)]
pub(crate) struct Certified {
    pem: String,
    chain: Option<String>,
    key: String,
}

impl Certified {
    pub(crate) fn new(names: &[&str]) -> Self {
        Self::with(names, &PKCS_ECDSA_P256_SHA256, |_| {})
    }

    fn with(
        names: &[&str],
        algorithm: &'static SignatureAlgorithm,
        change: impl FnOnce(&mut CertificateParams),
    ) -> Self {
        let key = KeyPair::generate_for(algorithm).unwrap();
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        (params.not_before, params.not_after) = (date_time_ymd(2020, 1, 1), date_time_ymd(2040, 1, 1));
        change(&mut params);
        let (ca, ca_key, ca_pem) = &*CA;
        let pem = params.signed_by(&key, &Issuer::from_params(ca, ca_key)).unwrap().pem();
        Self { pem, chain: Some(ca_pem.clone()), key: key.serialize_pem() }
    }

    fn request(&self) -> ImportCertificateRequest {
        ImportCertificateRequest {
            certificate_arn: None,
            certificate: STANDARD.encode(&self.pem),
            private_key: Secret(STANDARD.encode(&self.key)),
            certificate_chain: self.chain.as_ref().map(|chain| STANDARD.encode(chain)),
            tags: None,
        }
    }
}

pub(crate) fn import(scene: &Scene, certified: &Certified) -> String {
    scene.run(scene.access.import_server_certificate(certified.request(), NOW)).unwrap().certificate_arn
}

fn reimport(scene: &Scene, arn: &str, certified: &Certified) -> Result<ImportCertificateResponse, ApiError> {
    let input = ImportCertificateRequest { certificate_arn: Some(arn.into()), ..certified.request() };
    scene.run(scene.access.import_server_certificate(input, NOW))
}

pub(crate) fn arn_of(arn: &str) -> CertificateArnRequest {
    CertificateArnRequest { certificate_arn: arn.into() }
}

fn describe(scene: &Scene, arn: &str) -> CertificateDetail {
    scene.run(scene.access.describe_server_certificate(arn_of(arn), NOW)).unwrap().certificate
}

/// A domain that is served by the certificate.
fn serve(scene: &Scene, arn: &str, domain_name: &str) {
    let input = CreateDomainConfigurationRequest {
        domain_configuration_name: "mine".into(),
        domain_name: Some(domain_name.into()),
        server_certificate_arns: Some(vec![arn.into()]),
        ..Default::default()
    };
    scene.run(scene.access.create_domain_configuration(input, NOW)).unwrap();
}

fn served(scene: &Scene) -> String {
    let domain = scene.run(scene.access.domain("iot.example.com")).unwrap().unwrap();
    domain.server_certificate.unwrap().chain_pem
}

fn status(scene: &Scene) -> (String, Option<String>) {
    let input =
        services::shapes::DescribeDomainConfigurationRequest { domain_configuration_name: "mine".into() };
    let found = scene.run(scene.access.describe_domain_configuration(input, NOW)).unwrap();
    let shown = found.server_certificates.unwrap().remove(0);
    (shown.server_certificate_status.unwrap().as_str().to_owned(), shown.server_certificate_status_detail)
}

#[test]
fn an_imported_certificate_is_described_without_its_key() {
    let scene = Scene::new();
    let one = Certified::new(&["iot.example.com", "*.dev.example.com"]);
    let arn = import(&scene, &one);
    assert!(arn.starts_with("arn:aws:acm:eu-west-1:123456789012:certificate/"), "{arn}");
    let found = describe(&scene, &arn);
    assert_eq!(found.domain_name.as_deref(), Some("iot.example.com"));
    assert_eq!(found.subject_alternative_names.len(), 2);
    assert_eq!(
        (found.status, found.r#type, found.key_algorithm.as_str()),
        ("ISSUED", "IMPORTED", "EC_prime256v1")
    );
    assert_eq!(found.extended_key_usages[0].name, "TLS_WEB_SERVER_AUTHENTICATION");
    let texts = scene.run(scene.access.get_server_certificate(arn_of(&arn), NOW)).unwrap();
    assert_eq!(Certificate::from_pem(&texts.certificate), Certificate::from_pem(&one.pem));
    assert!(texts.certificate_chain.is_some());
    let json = serde_json::to_string(&found).unwrap() + &serde_json::to_string(&texts).unwrap();
    assert!(!json.contains("PRIVATE KEY"));
    assert!(!format!("{:?}", one.request()).contains(&STANDARD.encode(&one.key)));
}

#[test]
fn what_does_not_hold_together_is_refused() {
    let scene = Scene::new();
    let one = Certified::new(&["iot.example.com"]);
    let other = Certified::new(&["iot.example.com"]);
    let refused =
        |input: ImportCertificateRequest| code(scene.run(scene.access.import_server_certificate(input, NOW)));
    let key = Secret(STANDARD.encode(&other.key));
    assert_eq!(
        refused(ImportCertificateRequest { private_key: key, ..one.request() }),
        ErrorCode::InvalidParameter
    );
    let chain = Some(STANDARD.encode(&one.pem));
    let input = ImportCertificateRequest { certificate_chain: chain, ..one.request() };
    assert_eq!(refused(input), ErrorCode::InvalidParameter);
    let input = ImportCertificateRequest { certificate: "!".into(), ..one.request() };
    assert_eq!(refused(input), ErrorCode::InvalidParameter);
    let old = Certified::with(&["iot.example.com"], &PKCS_ECDSA_P256_SHA256, |params| {
        params.not_after = date_time_ymd(2021, 1, 1);
    });
    assert_eq!(refused(old.request()), ErrorCode::InvalidParameter);
    let tag = AcmTag { key: "aws:x".into(), value: None };
    let input = ImportCertificateRequest { tags: Some(vec![tag]), ..one.request() };
    assert_eq!(refused(input), ErrorCode::InvalidTag);
    let arn = "arn:aws:acm:eu-west-1:123456789012:certificate/nothing";
    assert_eq!(code(reimport(&scene, arn, &one)), ErrorCode::ResourceNotFound);
    assert_eq!(code(reimport(&scene, "arn:aws:acm:eu-west-1:123456789012:x/y", &one)), ErrorCode::InvalidArn);
}

#[test]
fn a_renewal_is_served_and_anything_else_waits() {
    let scene = Scene::new();
    let first = Certified::new(&["iot.example.com"]);
    let arn = import(&scene, &first);
    serve(&scene, &arn, "iot.example.com");
    let has = |text: String, certified: &Certified| {
        text.starts_with(&Certificate::from_pem(&certified.pem).unwrap().pem())
    };
    assert!(has(served(&scene), &first));
    let renewed = Certified::new(&["iot.example.com"]);
    assert_eq!(reimport(&scene, &arn, &renewed).unwrap().certificate_arn, arn);
    assert!(has(served(&scene), &renewed));
    for other in [
        Certified::new(&["other.example.com"]),
        Certified::with(&["iot.example.com"], &PKCS_ECDSA_P384_SHA384, |_| {}),
    ] {
        reimport(&scene, &arn, &other).unwrap();
        assert!(has(served(&scene), &renewed), "the last good one stays in service");
        let (word, detail) = status(&scene);
        assert_eq!(word, "INVALID");
        assert!(detail.unwrap().contains("stays in service"));
    }
    let again = Certified::new(&["iot.example.com"]);
    reimport(&scene, &arn, &again).unwrap();
    assert!(has(served(&scene), &again));
    assert_eq!(status(&scene), ("VALID".to_owned(), None));
}

#[test]
fn a_certificate_that_runs_out_is_shown_as_such() {
    let scene = Scene::new();
    let arn = import(&scene, &Certified::new(&["iot.example.com"]));
    serve(&scene, &arn, "iot.example.com");
    let record = scene.run(scene.access.server_certificate(&arn, NOW)).unwrap().unwrap().value;
    let later = record.current.not_after + Duration::from_secs(1);
    let problem = scene.access.certificate_problem(&record, "iot.example.com", later);
    assert_eq!(problem.as_deref(), Some("The certificate has expired"));
    let found = scene.run(scene.access.describe_server_certificate(arn_of(&arn), later)).unwrap();
    assert_eq!(found.certificate.status, "EXPIRED");
}

#[test]
fn what_is_in_use_stays() {
    let scene = Scene::new();
    let arn = import(&scene, &Certified::new(&["iot.example.com"]));
    serve(&scene, &arn, "iot.example.com");
    assert_eq!(describe(&scene, &arn).in_use_by.len(), 1);
    let delete = || scene.run(scene.access.delete_server_certificate(arn_of(&arn), NOW));
    assert_eq!(code(delete()), ErrorCode::ResourceInUse);
    let unused = import(&scene, &Certified::new(&["iot.example.com"]));
    scene.run(scene.access.delete_server_certificate(arn_of(&unused), NOW)).unwrap();
    let gone = scene.run(scene.access.describe_server_certificate(arn_of(&unused), NOW));
    assert_eq!(code(gone), ErrorCode::ResourceNotFound);
}

#[test]
fn lists_have_filters_and_pages() {
    let scene = Scene::new();
    for _ in 0..3 {
        import(&scene, &Certified::new(&["iot.example.com"]));
    }
    import(&scene, &Certified::with(&["a.example.com"], &PKCS_ECDSA_P384_SHA384, |_| {}));
    let list = |change: &dyn Fn(&mut ListAcmCertificatesRequest)| {
        let mut input = ListAcmCertificatesRequest::default();
        change(&mut input);
        let answer = scene.run(scene.access.list_server_certificates(input, NOW)).unwrap();
        (answer.certificate_summary_list.len(), answer.next_token)
    };
    let types = |names: &[&str]| {
        let key_types = Some(names.iter().map(|name| (*name).to_owned()).collect());
        Some(shape::ListFilters { key_types })
    };
    assert_eq!(list(&|_| {}).0, 0, "only RSA up to 2048 bits without a filter");
    assert_eq!(list(&|input| input.includes = types(&["EC_secp384r1"])).0, 1);
    let both = types(&["EC_prime256v1", "EC_secp384r1"]);
    let (count, token) = list(&|input| (input.includes, input.max_items) = (both.clone(), Some(3)));
    assert_eq!(count, 3);
    let rest = list(&|input| (input.includes, input.next_token) = (both.clone(), token.clone()));
    assert_eq!(rest, (1, None));
    let expired = |input: &mut ListAcmCertificatesRequest| {
        (input.includes, input.certificate_statuses) = (both.clone(), Some(vec!["EXPIRED".into()]));
    };
    assert_eq!(list(&expired).0, 0);
}

#[test]
fn a_domain_that_comes_during_an_import_is_noticed() {
    let scene = Scene::new();
    let arn = import(&scene, &Certified::new(&["iot.example.com"]));
    let taken = arn.clone();
    scene.meddle(move |other| {
        let input = CreateDomainConfigurationRequest {
            domain_configuration_name: "mine".into(),
            domain_name: Some("iot.example.com".into()),
            server_certificate_arns: Some(vec![taken]),
            ..Default::default()
        };
        store::block_on(other.create_domain_configuration(input, NOW)).unwrap();
    });
    reimport(&scene, &arn, &Certified::new(&["other.example.com"])).unwrap();
    assert_eq!(status(&scene).0, "INVALID");
    assert!(scene.run(scene.access.domain("iot.example.com")).unwrap().is_some());
}
