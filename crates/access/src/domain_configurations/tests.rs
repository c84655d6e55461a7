//! What a domain configuration may say, and what the listeners get to see of it.

use std::time::Duration;

use registry::server_certificates::SERVER_CERTIFICATES;
use serde_json::json;
use services::ErrorCode;
use services::shapes::{ListTagsForResourceRequest, Tag};
use store::{Batch, Store as _};

use super::*;
use crate::Domain;
use crate::server_certificates::tests::{Certified, import};
use crate::tests::{NOW, Scene, code};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

fn create(
    scene: &Scene,
    name: &str,
    change: impl FnOnce(&mut CreateDomainConfigurationRequest),
) -> Result<String, ApiError> {
    let mut input =
        CreateDomainConfigurationRequest { domain_configuration_name: name.into(), ..Default::default() };
    change(&mut input);
    let made = scene.run(scene.access.create_domain_configuration(input, NOW))?;
    Ok(made.domain_configuration_arn.unwrap())
}

fn describe(scene: &Scene, name: &str) -> Result<DescribeDomainConfigurationResponse, ApiError> {
    let input = DescribeDomainConfigurationRequest { domain_configuration_name: name.into() };
    scene.run(scene.access.describe_domain_configuration(input, NOW))
}

fn update(
    scene: &Scene,
    name: &str,
    now: Timestamp,
    change: impl FnOnce(&mut UpdateDomainConfigurationRequest),
) -> Result<(), ApiError> {
    let mut input =
        UpdateDomainConfigurationRequest { domain_configuration_name: name.into(), ..Default::default() };
    change(&mut input);
    scene.run(scene.access.update_domain_configuration(input, now)).map(|_| ())
}

fn disable(scene: &Scene, name: &str) {
    update(scene, name, NOW, |input| {
        input.domain_configuration_status = Some(DomainConfigurationStatus::Disabled);
    })
    .unwrap();
}

fn delete(scene: &Scene, name: &str, now: Timestamp) -> Result<(), ApiError> {
    let input = DeleteDomainConfigurationRequest { domain_configuration_name: name.into() };
    scene.run(scene.access.delete_domain_configuration(input, now)).map(|_| ())
}

fn domain(scene: &Scene, name: &str) -> Option<Domain> {
    scene.run(scene.access.domain(name)).unwrap()
}

/// A configuration with a domain of its own; the ARN of its certificate.
fn own(scene: &Scene, name: &str, domain_name: &str) -> String {
    let arn = import(scene, &Certified::new(&[domain_name]));
    create(scene, name, |input| {
        input.domain_name = Some(domain_name.into());
        input.server_certificate_arns = Some(vec![arn.clone()]);
    })
    .unwrap();
    arn
}

fn authorizer(scene: &Scene, name: &str) {
    const SPACE: Keyspace<serde_json::Value> = Keyspace::new("authorizers");
    let mut batch = Batch::new();
    SPACE.put(&mut batch, &Key::of(&[name]), &json!({"name": name}));
    scene.run(scene.store.commit(batch)).unwrap();
}

#[test]
fn a_managed_domain_gets_a_name_like_those_of_aws() {
    let scene = Scene::new();
    let arn = create(&scene, "mine", |_| {}).unwrap();
    let found = describe(&scene, "mine").unwrap();
    let name = found.domain_name.unwrap();
    assert!(name.starts_with('d') && name.ends_with("-ats.iot.eu-west-1.amazonaws.com"), "{name}");
    assert!(arn.starts_with("arn:aws:iot:eu-west-1:123456789012:domainconfiguration/mine/"), "{arn}");
    assert_eq!(found.domain_configuration_arn, Some(arn));
    assert_eq!(found.domain_type, Some(DomainType::AwsManaged));
    assert_eq!(found.server_certificates, Some(Vec::new()));
    assert_eq!(found.domain_configuration_status, Some(DomainConfigurationStatus::Enabled));
    let policy = found.tls_config.unwrap().security_policy.unwrap();
    assert_eq!(policy, "IoTSecurityPolicy_TLS13_1_2_2022_10");
    let seen = domain(&scene, &name.to_uppercase()).unwrap();
    assert_eq!((seen.name.as_str(), seen.enabled, seen.server_certificate), ("mine", true, None));
    assert!(domain(&scene, "iot.test").is_none());
}

#[test]
fn a_domain_of_ones_own_is_served_by_its_certificate() {
    let scene = Scene::new();
    let arn = own(&scene, "mine", "iot.example.com");
    let found = describe(&scene, "mine").unwrap();
    assert_eq!(found.domain_type, Some(DomainType::CustomerManaged));
    let shown = found.server_certificates.unwrap();
    assert_eq!(shown[0].server_certificate_arn, Some(arn));
    assert_eq!(shown[0].server_certificate_status, Some(ServerCertificateStatus::Valid));
    let seen = domain(&scene, "IOT.example.com").unwrap();
    let certificate = seen.server_certificate.clone().unwrap();
    assert!(certificate.chain_pem.contains("BEGIN CERTIFICATE"));
    assert!(certificate.private_key_pem.contains("PRIVATE KEY"));
    assert!(!format!("{seen:?}").contains("PRIVATE KEY"));
}

#[test]
fn a_certificate_must_be_there_and_cover_the_name() {
    let scene = Scene::new();
    let arn = import(&scene, &Certified::new(&["iot.example.com", "*.dev.example.com"]));
    let asked = |name: Option<&str>, arn: Option<&str>| {
        create(&scene, "mine", |input| {
            input.domain_name = name.map(str::to_owned);
            input.server_certificate_arns = arn.map(|arn| vec![arn.to_owned()]);
        })
    };
    let unknown = format!("{arn}0");
    assert_eq!(code(asked(Some("iot.example.com"), None)), ErrorCode::InvalidRequest);
    assert_eq!(code(asked(None, Some(&arn))), ErrorCode::InvalidRequest);
    assert_eq!(code(asked(Some("x.example.com"), Some(&arn))), ErrorCode::CertificateValidation);
    assert_eq!(code(asked(Some("iot.example.com"), Some(&unknown))), ErrorCode::CertificateValidation);
    let elsewhere = arn.replace("eu-west-1", "eu-west-2");
    assert_eq!(code(asked(Some("iot.example.com"), Some(&elsewhere))), ErrorCode::CertificateValidation);
    assert_eq!(code(asked(Some("iot.test"), Some(&arn))), ErrorCode::InvalidRequest);
    assert!(asked(Some("a.DEV.example.com"), Some(&arn)).is_ok());
}

#[test]
fn settings_keep_their_rules() {
    let scene = Scene::new();
    let refused = |change: fn(&mut CreateDomainConfigurationRequest)| {
        assert_eq!(code(create(&scene, "mine", change)), ErrorCode::InvalidRequest);
    };
    refused(|input| input.domain_configuration_name = "IoT:mine".into());
    refused(|input| input.service_type = Some(shapes::ServiceType::Jobs));
    refused(|input| input.authentication_type = Some(shapes::AuthenticationType::AwsX509));
    refused(|input| {
        input.authentication_type = Some(shapes::AuthenticationType::AwsSigv4);
        input.application_protocol = Some(shapes::ApplicationProtocol::SecureMqtt);
    });
    refused(|input| input.tls_config = Some(TlsConfig { security_policy: Some("TLS13".into()) }));
    refused(|input| {
        let client_certificate_callback_arn = Some("arn:aws:sns:eu-west-1:123456789012:x".into());
        input.client_certificate_config = Some(ClientCertificateConfig { client_certificate_callback_arn });
    });
    refused(|input| input.server_certificate_config = stapling(true));
    refused(|input| {
        let default_authorizer_name = Some("nobody".into());
        let allow_authorizer_override = Some(true);
        input.authorizer_config =
            Some(AuthorizerConfig { default_authorizer_name, allow_authorizer_override });
    });
    create(&scene, "mine", |input| {
        input.authentication_type = Some(shapes::AuthenticationType::AwsX509);
        input.application_protocol = Some(shapes::ApplicationProtocol::Https);
    })
    .unwrap();
    assert_eq!(code(create(&scene, "mine", |_| {})), ErrorCode::ResourceAlreadyExists);
}

fn stapling(enabled: bool) -> Option<ServerCertificateConfig> {
    Some(ServerCertificateConfig { enable_ocsp_check: Some(enabled), ..Default::default() })
}

/// A yes would be one to something that nobody does.
#[test]
fn ocsp_stapling_is_refused_and_may_be_said_to_be_off() {
    let scene = Scene::new();
    create(&scene, "mine", |input| input.server_certificate_config = stapling(false)).unwrap();
    let refused = update(&scene, "mine", NOW, |input| input.server_certificate_config = stapling(true));
    let error = refused.unwrap_err();
    assert_eq!(error.code, ErrorCode::InvalidRequest);
    assert!(error.message.contains("OCSP stapling is not built"), "{}", error.message);
    assert_eq!(describe(&scene, "mine").unwrap().server_certificate_config, stapling(false));
}

#[test]
fn what_is_given_takes_the_place_of_what_is_there() {
    let scene = Scene::new();
    create(&scene, "mine", |_| {}).unwrap();
    authorizer(&scene, "gate");
    let name = describe(&scene, "mine").unwrap().domain_name.unwrap();
    let before = domain(&scene, &name).unwrap().revision;
    let later = NOW + DAY;
    update(&scene, "mine", later, |input| {
        input.authentication_type = Some(shapes::AuthenticationType::CustomAuthX509);
        input.application_protocol = Some(shapes::ApplicationProtocol::SecureMqtt);
        input.tls_config =
            Some(TlsConfig { security_policy: Some("IoTSecurityPolicy_TLS13_1_3_2022_10".into()) });
        let (default_authorizer_name, allow_authorizer_override) = (Some("gate".into()), Some(false));
        input.authorizer_config =
            Some(AuthorizerConfig { default_authorizer_name, allow_authorizer_override });
        let arn = "arn:aws:lambda:eu-west-1:123456789012:function:check";
        let client_certificate_callback_arn = Some(arn.into());
        input.client_certificate_config = Some(ClientCertificateConfig { client_certificate_callback_arn });
    })
    .unwrap();
    let seen = domain(&scene, &name).unwrap();
    assert!(seen.revision > before);
    assert_eq!(seen.authentication_type, AuthenticationType::CustomAuthX509);
    assert_eq!(seen.security_policy, SecurityPolicy::Tls13Only);
    assert_eq!(
        (seen.authorizer.default.as_deref(), seen.authorizer.allow_override),
        (Some("gate"), Some(false))
    );
    assert!(seen.client_certificate_callback.is_some());
    assert_eq!(describe(&scene, "mine").unwrap().last_status_change_date, Some(NOW.into()));
    let half = update(&scene, "mine", later, |input| {
        input.application_protocol = Some(shapes::ApplicationProtocol::MqttWss);
    });
    assert_eq!(code(half), ErrorCode::InvalidRequest, "the pair counts, not the half that was given");
    update(&scene, "mine", later, |input| {
        input.remove_authorizer_config = Some(true);
        input.domain_configuration_status = Some(DomainConfigurationStatus::Disabled);
    })
    .unwrap();
    let found = describe(&scene, "mine").unwrap();
    assert_eq!((found.authorizer_config, found.last_status_change_date), (None, Some(later.into())));
    assert!(!domain(&scene, &name).unwrap().enabled);
}

#[test]
fn deletion_needs_a_disabled_configuration_and_patience() {
    let scene = Scene::new();
    create(&scene, "managed", |_| {}).unwrap();
    let arn = own(&scene, "own", "iot.example.com");
    assert_eq!(code(delete(&scene, "own", NOW)), ErrorCode::InvalidRequest);
    disable(&scene, "own");
    disable(&scene, "managed");
    crate::tests::check_store(&scene.store);
    delete(&scene, "own", NOW).unwrap();
    crate::tests::check_store(&scene.store);
    assert!(domain(&scene, "iot.example.com").is_none());
    assert_eq!(code(describe(&scene, "own")), ErrorCode::ResourceNotFound);
    let almost = NOW + (DAY * 7 - Duration::from_millis(1));
    assert_eq!(code(delete(&scene, "managed", almost)), ErrorCode::InvalidRequest);
    delete(&scene, "managed", NOW + DAY * 7).unwrap();
    assert_eq!(code(delete(&scene, "managed", NOW)), ErrorCode::ResourceNotFound);
    assert!(arn.contains(":acm:"));
}

#[test]
fn default_endpoints_are_there_and_stay_as_they_are() {
    let scene = Scene::new();
    let found = describe(&scene, "iot:Data-ATS").unwrap();
    assert_eq!(found.domain_name.as_deref(), Some("iot.test"));
    assert_eq!(found.domain_type, Some(DomainType::Endpoint));
    assert_eq!(code(update(&scene, "iot:Data-ATS", NOW, |_| {})), ErrorCode::InvalidRequest);
    assert_eq!(code(delete(&scene, "iot:Jobs", NOW)), ErrorCode::InvalidRequest);
    create(&scene, "a", |_| {}).unwrap();
    create(&scene, "z", |_| {}).unwrap();
    let list = |service_type, page_size, marker| {
        let input = ListDomainConfigurationsRequest { service_type, page_size, marker };
        let answer = scene.run(scene.access.list_domain_configurations(input, NOW)).unwrap();
        let rows = answer.domain_configurations.unwrap();
        let names: Vec<_> = rows.into_iter().filter_map(|row| row.domain_configuration_name).collect();
        (names, answer.next_marker)
    };
    let (names, marker) = list(None, Some(3), None);
    assert_eq!(names, ["a", "iot:CredentialProvider", "iot:Data-ATS"]);
    assert_eq!(list(None, Some(3), marker), (vec!["iot:Jobs".to_owned(), "z".to_owned()], None));
    assert_eq!(list(Some(shapes::ServiceType::Data), None, None).0, ["a", "iot:Data-ATS", "z"]);
}

#[test]
fn domain_configurations_end_at_ten() {
    let scene = Scene::new();
    for number in 0..9 {
        create(&scene, &format!("d{number}"), |_| {}).unwrap();
    }
    // The tenth comes from somebody else, while ours is being decided.
    scene.meddle(|other| {
        let input = CreateDomainConfigurationRequest {
            domain_configuration_name: "other".into(),
            ..Default::default()
        };
        store::block_on(other.create_domain_configuration(input, NOW)).unwrap();
    });
    assert_eq!(code(create(&scene, "eleventh", |_| {})), ErrorCode::LimitExceeded);
}

#[test]
fn one_domain_name_one_configuration() {
    let scene = Scene::new();
    let arn = own(&scene, "mine", "iot.example.com");
    let again = create(&scene, "other", |input| {
        input.domain_name = Some("IOT.EXAMPLE.COM".into());
        input.server_certificate_arns = Some(vec![arn]);
    });
    let error = again.unwrap_err();
    assert_eq!(error.code, ErrorCode::ResourceAlreadyExists);
    assert_eq!(error.resource.unwrap().0, "mine");
}

#[test]
fn domain_configurations_have_tags() {
    let scene = Scene::new();
    let arn = create(&scene, "mine", |input| {
        input.tags = Some(vec![Tag { key: "team".into(), value: Some("a".into()) }]);
    })
    .unwrap();
    let tags = |arn: &str| {
        let input = ListTagsForResourceRequest { resource_arn: arn.into(), next_token: None };
        scene.run(scene.services.list_tags_for_resource(input, NOW))
    };
    assert_eq!(tags(&arn).unwrap().tags.unwrap().len(), 1);
    assert_eq!(code(tags(&format!("{arn}x"))), ErrorCode::ResourceNotFound);
    crate::tests::check_store(&scene.store);
}

#[test]
fn a_certificate_that_goes_while_a_domain_comes_is_noticed() {
    let scene = Scene::new();
    let arn = import(&scene, &Certified::new(&["iot.example.com"]));
    let gone = arn.clone();
    scene.meddle(move |other| {
        let input = crate::server_certificates::tests::arn_of(&gone);
        store::block_on(other.delete_server_certificate(input, NOW)).unwrap();
    });
    let made = create(&scene, "mine", |input| {
        input.domain_name = Some("iot.example.com".into());
        input.server_certificate_arns = Some(vec![arn]);
    });
    assert_eq!(code(made), ErrorCode::CertificateValidation);
    assert_eq!(scene.run(SERVER_CERTIFICATES.scan(&scene.store, &Key::EMPTY, None, 9)).unwrap().len(), 0);
}
