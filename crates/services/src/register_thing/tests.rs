//! RegisterThing: every kind of resource, what overrides do, and that a failure leaves nothing.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::*;
use crate::ca_certificates::tests::Owner;
use crate::shapes::{
    CertificateStatus, DescribeCertificateRequest, DescribeThingRequest, ListAttachedPoliciesRequest,
    ListCertificatesRequest, ListThingGroupsForThingRequest, ListThingPrincipalsV2Request,
    UpdateThingRequest,
};
use crate::tests::{ALLOW, NOW, Scene, any_pem, check_store, code};

const REQUEST: &str = include_str!("../certificates/request.pem");

fn register(
    scene: &Scene,
    body: &Value,
    parameters: &[(&str, &str)],
) -> Result<RegisterThingResponse, ApiError> {
    let parameters: BTreeMap<_, _> =
        parameters.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let input = RegisterThingRequest { parameters: Some(parameters), template_body: body.to_string() };
    scene.run(scene.services.register_thing(input, NOW))
}

/// A thing with everything, a certificate from a request, two policies.
fn full() -> Value {
    json!({
        "Parameters": { "Name": { "Type": "String" }, "Csr": { "Type": "String" } },
        "Resources": {
            "thing": {
                "Type": "AWS::IoT::Thing",
                "Properties": {
                    "ThingName": { "Ref": "Name" },
                    "AttributePayload": { "serial": { "Fn::Join": ["-", ["s", { "Ref": "Name" }]] } },
                    "ThingGroups": ["lamps"]
                },
                "OverrideSettings": { "AttributePayload": "REPLACE", "ThingGroups": "REPLACE" }
            },
            "certificate": {
                "Type": "AWS::IoT::Certificate",
                "Properties": { "CertificateSigningRequest": { "Ref": "Csr" } }
            },
            "made": { "Type": "AWS::IoT::Policy", "Properties": { "PolicyDocument": ALLOW } },
            "known": { "Type": "AWS::IoT::Policy", "Properties": { "PolicyName": "p" } }
        }
    })
}

fn thing_with(overrides: &Value) -> Value {
    json!({ "Resources": { "t": { "Type": "AWS::IoT::Thing",
        "Properties": { "ThingName": "a", "AttributePayload": { "x": "2", "y": "3" }, "ThingGroups": ["g2"] },
        "OverrideSettings": overrides } } })
}

fn attributes(scene: &Scene, thing: &str) -> Vec<(String, String)> {
    let input = DescribeThingRequest { thing_name: thing.into() };
    scene.run(scene.services.describe_thing(input, NOW)).unwrap().attributes.unwrap().into_iter().collect()
}

fn groups(scene: &Scene, thing: &str) -> Vec<String> {
    let input = ListThingGroupsForThingRequest { thing_name: thing.into(), ..Default::default() };
    let groups =
        scene.run(scene.services.list_thing_groups_for_thing(input, NOW)).unwrap().thing_groups.unwrap();
    groups.into_iter().map(|group| group.group_name.unwrap()).collect()
}

fn policies(scene: &Scene, target: &str) -> usize {
    let input = ListAttachedPoliciesRequest { target: target.into(), ..Default::default() };
    scene.run(scene.services.list_attached_policies(input, NOW)).unwrap().policies.unwrap().len()
}

fn certificates(scene: &Scene) -> usize {
    let listed =
        scene.run(scene.services.list_certificates(ListCertificatesRequest::default(), NOW)).unwrap();
    listed.certificates.unwrap().len()
}

fn status(scene: &Scene, id: &str) -> CertificateStatus {
    let input = DescribeCertificateRequest { certificate_id: id.into() };
    let found = scene.run(scene.services.describe_certificate(input, NOW)).unwrap();
    found.certificate_description.unwrap().status.unwrap()
}

#[test]
fn everything_of_a_template_is_there_afterwards() {
    let scene = Scene::new();
    scene.policy("p");
    scene.group("lamps", None).unwrap();
    let answer = register(&scene, &full(), &[("Name", "lamp-7"), ("Csr", REQUEST)]).unwrap();
    assert!(answer.certificate_pem.unwrap().starts_with("-----BEGIN CERTIFICATE-----"));
    let arns = answer.resource_arns.unwrap();
    let kinds: Vec<_> =
        arns.iter().map(|(name, arn)| (name.as_str(), arn.split([':', '/']).nth(5))).collect();
    assert_eq!(
        kinds,
        [
            ("certificate", Some("cert")),
            ("known", Some("policy")),
            ("made", Some("policy")),
            ("thing", Some("thing"))
        ]
    );
    assert_eq!(attributes(&scene, "lamp-7"), [("serial".into(), "s-lamp-7".into())]);
    assert_eq!(groups(&scene, "lamp-7"), ["lamps"]);
    assert_eq!(policies(&scene, &arns["certificate"]), 2);
    let input = ListThingPrincipalsV2Request { thing_name: "lamp-7".into(), ..Default::default() };
    let principals = scene.run(scene.services.list_thing_principals_v2(input, NOW)).unwrap();
    assert_eq!(principals.thing_principal_objects.unwrap()[0].principal, arns["certificate"]);
    check_store(&scene.store);
    // The same again: another certificate for the same thing, the same policies.
    let again = register(&scene, &full(), &[("Name", "lamp-7"), ("Csr", REQUEST)]).unwrap();
    let again = again.resource_arns.unwrap();
    assert_eq!(again["made"], arns["made"]);
    assert_ne!(again["certificate"], arns["certificate"]);
    check_store(&scene.store);
}

#[test]
fn a_failure_leaves_nothing_behind() {
    let scene = Scene::new();
    scene.group("lamps", None).unwrap();
    let error = register(&scene, &full(), &[("Name", "lamp-7"), ("Csr", REQUEST)]).unwrap_err();
    assert_eq!(error.code, ErrorCode::ResourceRegistrationFailure);
    assert_eq!(error.message, "known: Policy p does not exist");
    assert_eq!(certificates(&scene), 0);
    let input = DescribeThingRequest { thing_name: "lamp-7".into() };
    assert_eq!(code(scene.run(scene.services.describe_thing(input, NOW))), ErrorCode::ResourceNotFound);
    check_store(&scene.store);
}

#[test]
fn who_is_overtaken_begins_again() {
    let scene = Scene::new();
    scene.policy("p");
    scene.group("lamps", None).unwrap();
    scene.meddle(|other| {
        let input = crate::shapes::CreateThingRequest { thing_name: "lamp-7".into(), ..Default::default() };
        store::block_on(other.create_thing(input, NOW)).unwrap();
    });
    register(&scene, &full(), &[("Name", "lamp-7"), ("Csr", REQUEST)]).unwrap();
    assert_eq!(attributes(&scene, "lamp-7").len(), 1, "the thing of the other was overridden");
    assert_eq!(certificates(&scene), 1);
    check_store(&scene.store);
}

#[test]
fn overrides_say_what_becomes_of_a_thing_that_is_there() {
    for (setting, expected_attributes, expected_groups) in [
        ("DO_NOTHING", vec![("x", "1"), ("z", "9")], vec!["g1"]),
        ("REPLACE", vec![("x", "2"), ("y", "3")], vec!["g2"]),
        ("MERGE", vec![("x", "2"), ("y", "3"), ("z", "9")], vec!["g1", "g2"]),
    ] {
        let scene = Scene::new();
        for group in ["g1", "g2"] {
            scene.group(group, None).unwrap();
        }
        scene.thing("a");
        scene.join("a", "g1").unwrap();
        let attributes_before = [("x".to_owned(), "1".to_owned()), ("z".to_owned(), "9".to_owned())];
        let payload =
            crate::shapes::AttributePayload { attributes: Some(attributes_before.into()), merge: None };
        let input = UpdateThingRequest {
            thing_name: "a".into(),
            attribute_payload: Some(payload),
            ..Default::default()
        };
        scene.run(scene.services.update_thing(input, NOW)).unwrap();
        let overrides = json!({ "AttributePayload": setting, "ThingGroups": setting });
        register(&scene, &thing_with(&overrides), &[]).unwrap();
        let expected: Vec<_> =
            expected_attributes.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
        assert_eq!(attributes(&scene, "a"), expected, "{setting}");
        assert_eq!(groups(&scene, "a"), expected_groups, "{setting}");
        check_store(&scene.store);
        let error = register(&scene, &thing_with(&json!({ "AttributePayload": "FAIL" })), &[]).unwrap_err();
        assert_eq!(error.code, ErrorCode::ResourceRegistrationFailure);
        assert!(error.message.contains("thing a exists already"), "{error}");
    }
}

#[test]
fn a_certificate_may_be_named_or_brought() {
    let scene = Scene::new();
    let (id, arn) = scene.certificate(CertificateStatus::Inactive);
    let body = |properties: Value, status: &str| {
        json!({ "Resources": { "c": { "Type": "AWS::IoT::Certificate", "Properties": properties,
                                      "OverrideSettings": { "Status": status } } } })
    };
    let named = json!({ "CertificateId": id.to_uppercase() });
    let answer = register(&scene, &body(named.clone(), "DO_NOTHING"), &[]).unwrap();
    assert_eq!(answer.resource_arns.unwrap()["c"], arn);
    assert_eq!(status(&scene, &id), CertificateStatus::Inactive);
    assert_eq!(
        code(register(&scene, &body(named.clone(), "FAIL"), &[])),
        ErrorCode::ResourceRegistrationFailure
    );
    register(&scene, &body(named, "REPLACE"), &[]).unwrap();
    assert_eq!(status(&scene, &id), CertificateStatus::Active);
    let owner = Owner::new("CA");
    let input = crate::shapes::RegisterCACertificateRequest {
        ca_certificate: owner.pem(),
        certificate_mode: Some(crate::shapes::CertificateMode::SniOnly),
        set_as_active: Some(true),
        ..Default::default()
    };
    scene.run(scene.services.register_ca_certificate(input, NOW)).unwrap();
    let brought = json!({ "CertificatePem": owner.device("d"), "Status": "INACTIVE" });
    register(&scene, &body(brought.clone(), "REPLACE"), &[]).unwrap();
    register(&scene, &body(brought.clone(), "DO_NOTHING"), &[]).unwrap();
    assert_eq!(code(register(&scene, &body(brought, "FAIL"), &[])), ErrorCode::ResourceRegistrationFailure);
    let stranger = json!({ "CertificatePem": any_pem() });
    assert_eq!(code(register(&scene, &body(stranger, "FAIL"), &[])), ErrorCode::ResourceRegistrationFailure);
    assert_eq!(
        code(register(&scene, &body(json!({ "CertificateId": "x" }), "FAIL"), &[])),
        ErrorCode::InvalidRequest
    );
    assert_eq!(certificates(&scene), 2);
}

#[test]
fn what_is_no_template_says_where() {
    let scene = Scene::new();
    let error = register(&scene, &json!({ "Resources": { "t": {} } }), &[]).unwrap_err();
    assert_eq!(error.code, ErrorCode::InvalidRequest);
    assert!(error.message.contains("Resources.t: Type is missing"), "{error}");
    // A parameter without a value stays as it is written, and no thing can be called so.
    let body = json!({ "Parameters": { "N": { "Type": "String" } },
        "Resources": { "t": { "Type": "AWS::IoT::Thing", "Properties": { "ThingName": { "Ref": "N" } } } } });
    let error = register(&scene, &body, &[]).unwrap_err();
    assert!(error.code == ErrorCode::InvalidRequest && error.message.contains(r#"{"Ref":"N"}"#), "{error}");
}
