//! What each operation is asked for, however its input names it.

use std::collections::BTreeMap;

use http::HeaderMap;

use super::*;
use crate::{acm, decode, operations, permissions, route};

fn iot(names: &[&str]) -> Vec<Resource> {
    names.iter().map(|name| Resource::Iot((*name).to_owned())).collect()
}

fn asked_by(service: Service, method: &str, target: &str, principal: &str, body: &str) -> Touched {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let (operation, labels) = route::find(service, method, path).unwrap();
    let mut headers = HeaderMap::new();
    for name in ["x-amzn-principal", "x-amzn-iot-principal", "x-amzn-iot-policy"] {
        headers.insert(name, principal.parse().unwrap());
    }
    let body = bytes::Bytes::copy_from_slice(body.as_bytes());
    let input = decode::decode(operation, labels, query, &headers, body).unwrap();
    touched(operation, &input.members).unwrap()
}

fn asked(method: &str, target: &str, body: &str) -> Touched {
    asked_by(Service::Iot, method, target, "P", body)
}

#[test]
fn paths_name_their_resources() {
    for (method, path, required) in [
        ("POST", "/things/a%3Ab", &["thing/a:b"][..]),
        ("GET", "/policies/p/version/1", &["policy/p"]),
        ("DELETE", "/certificates/c", &["cert/c"]),
        ("GET", "/cacertificate/c", &["cacert/c"]),
        ("GET", "/things/t/jobs/j", &["job/j", "thing/t"]),
    ] {
        assert_eq!(asked(method, path, ""), Touched { required: iot(required), named: vec![] }, "{path}");
    }
    assert_eq!(asked("GET", "/things", ""), Touched::on(Resource::All));
    let topic = asked_by(Service::IotData, "GET", "/retainedMessage/a/b", "P", "");
    assert_eq!(topic, Touched { required: iot(&["topic/a/b"]), named: vec![] });
    let domain = asked("GET", "/domainConfigurations/d", "");
    assert_eq!(domain, Touched::on(Resource::DomainConfiguration("d".into())));
}

#[test]
fn an_id_of_a_certificate_is_asked_about_as_it_is_acted_on() {
    for (path, expected) in [("/certificates/AbC", "cert/abc"), ("/cacertificate/AbC", "cacert/abc")] {
        assert_eq!(asked("DELETE", path, "").required, iot(&[expected]));
    }
}

#[test]
fn operations_are_bound_to_what_their_input_names() {
    let member = r#"{"thingName":"t","thingGroupName":"g"}"#;
    for operation in ["addThingToThingGroup", "removeThingFromThingGroup"] {
        let found = asked("PUT", &format!("/thing-groups/{operation}"), member);
        assert_eq!(found, Touched { required: iot(&["thinggroup/g", "thing/t"]), named: vec![] });
    }
    let member = r#"{"thingName":"t","billingGroupName":"b"}"#;
    for operation in ["addThingToBillingGroup", "removeThingFromBillingGroup"] {
        let found = asked("PUT", &format!("/billing-groups/{operation}"), member);
        assert_eq!(found, Touched { required: iot(&["billinggroup/b", "thing/t"]), named: vec![] });
    }
    let by_arn =
        asked("PUT", "/thing-groups/addThingToThingGroup", r#"{"thingArn":"T","thingGroupArn":"G"}"#);
    assert_eq!(by_arn.required, [Resource::Arn("T".into()), Resource::Arn("G".into())]);
    let both = r#"{"thingName":"t","thingGroupsToAdd":["a","b"],"thingGroupsToRemove":["c"]}"#;
    let all = iot(&["thinggroup/a", "thinggroup/b", "thinggroup/c", "thing/t"]);
    let mut found = asked("PUT", "/thing-groups/updateThingGroupsForThing", both);
    found.required.sort_by_key(|one| all.iter().position(|other| other == one));
    assert_eq!(found, Touched { required: all, named: vec![] });
    let found = asked("PUT", "/thing-groups/updateThingGroupsForThing", r#"{"thingName":"t"}"#);
    assert_eq!(found, Touched { required: iot(&["thing/t"]), named: vec![] });
    let found = asked("POST", "/default-authorizer", r#"{"authorizerName":"a"}"#);
    assert_eq!(found, Touched { required: iot(&["authorizer/a"]), named: vec![] });
    for (method, target, body) in [
        ("POST", "/tags", r#"{"resourceArn":"R","tags":[]}"#),
        ("POST", "/untag", r#"{"resourceArn":"R","tagKeys":[]}"#),
        ("GET", "/tags?resourceArn=R", ""),
    ] {
        assert_eq!(asked(method, target, body), Touched::on(Resource::Arn("R".into())), "{target}");
    }
}

#[test]
fn what_policies_and_principals_are_put_on_is_asked_about() {
    let (policy, target) = (iot(&["policy/p"]), vec![Resource::Arn("P".into())]);
    for (method, path) in [("PUT", "/target-policies/p"), ("POST", "/target-policies/p")] {
        let found = asked(method, path, r#"{"target":"P"}"#);
        assert_eq!(found, Touched { required: target.clone(), named: policy.clone() }, "{method} {path}");
    }
    for method in ["PUT", "DELETE"] {
        let found = asked(method, "/principal-policies/p", "");
        assert_eq!(found, Touched { required: target.clone(), named: policy.clone() }, "{method}");
        let found = asked(method, "/things/t/principals", "");
        assert_eq!(found, Touched { required: target.clone(), named: iot(&["thing/t"]) }, "{method}");
    }
    for path in ["/principals/things", "/principals/things-v2"] {
        assert_eq!(asked("GET", path, ""), Touched { required: target.clone(), named: vec![] }, "{path}");
    }
    assert_eq!(asked("GET", "/things/t/principals", "").required, iot(&["thing/t"]));
    for (method, path) in [("POST", "/attached-policies/P"), ("GET", "/principal-policies")] {
        let found = asked(method, path, "");
        assert_eq!(found, Touched { required: vec![Resource::All], named: target.clone() }, "{path}");
    }
    let found = asked("POST", "/effective-policies", r#"{"principal":"P"}"#);
    assert_eq!(found, Touched { required: target, named: vec![] });
    let found = asked("POST", "/effective-policies?thingName=t", "");
    assert_eq!(found, Touched { required: vec![Resource::All], named: iot(&["thing/t"]) });
    let found = asked("GET", "/policy-principals", "");
    assert_eq!(found, Touched { required: vec![Resource::All], named: iot(&["policy/P"]) });
}

#[test]
fn names_within_structures_count_and_keys_of_maps_do_not() {
    let body = r#"{"thingTypeName":"y","billingGroupName":"b","attributePayload":{"attributes":{"policyName":"x"}}}"#;
    let found = asked("POST", "/things/t", body);
    assert_eq!(found.required, iot(&["billinggroup/b", "thing/t"]));
    assert_eq!(found.named, iot(&["thingtype/y"]));
    let body = r#"{"registrationConfig":{"templateName":"x"}}"#;
    let found = asked("PUT", "/cacertificate/c", body);
    assert_eq!(found, Touched { required: iot(&["cacert/c"]), named: iot(&["provisioningtemplate/x"]) });
    let body = r#"{"logLevel":"INFO","logTarget":{"targetType":"THING_GROUP","targetName":"g"}}"#;
    let found = asked("POST", "/v2LoggingLevel", body);
    assert_eq!(found, Touched { required: vec![Resource::All], named: iot(&["thinggroup/g"]) });
    let found = asked("DELETE", "/v2LoggingLevel?targetType=THING_GROUP&targetName=g", "");
    assert_eq!(found.named, iot(&["thinggroup/g"]));
}

#[test]
fn more_than_can_be_asked_about_is_refused() {
    let names: Vec<String> = (0..=MOST).map(|number| format!("g{number}")).collect();
    let (operation, _) = route::find(Service::Iot, "PUT", "/thing-groups/updateThingGroupsForThing").unwrap();
    let input = serde_json::json!({ "thingGroupsToAdd": names });
    let refused = touched(operation, input.as_object().unwrap()).unwrap_err();
    assert_eq!((refused.status, &*refused.error_type), (400, "InvalidRequestException"));
}

#[test]
fn a_certificate_of_acm_is_what_its_operations_are_bound_to() {
    let arn = "arn:aws:acm:eu-west-1:123456789012:certificate/c";
    let asked = |name: &str, input: serde_json::Value| {
        let operation = acm::OPERATIONS.iter().find(|operation| operation.name == name).unwrap();
        touched(operation, input.as_object().unwrap()).unwrap()
    };
    for operation in &acm::OPERATIONS {
        let names_one = operation.input.members().iter().any(|member| member.name == "CertificateArn");
        let found = asked(operation.name, serde_json::json!({ "CertificateArn": arn }));
        let expected = if names_one { Resource::Arn(arn.into()) } else { Resource::All };
        assert_eq!(found, Touched::on(expected), "{}", operation.name);
    }
    let tags = serde_json::json!({ "Tags": [{ "Key": "CertificateArn", "Value": arn }] });
    assert_eq!(asked("ImportCertificate", tags), Touched::on(Resource::All));
    assert_eq!(asked("ListCertificates", serde_json::json!({})), Touched::on(Resource::All));
}

#[test]
fn every_row_of_the_tables_is_of_a_model() {
    for (name, members) in BOUND {
        let all = route::operations(Service::Iot);
        let operation = all.iter().find(|operation| operation.name == name).unwrap();
        for member in members {
            assert!(operation.input.members().iter().any(|one| one.name == *member), "{name} {member}");
        }
    }
}

/// Members that hold a text and name nothing that a policy on the operation could speak of, and why not.
const UNASKED: [(&str, &[&str]); 8] = [
    (PASSED, &["provisioningRoleArn", "roleArn"]),
    (
        "of another service, which no action of AWS IoT is about",
        &[
            "authorizerFunctionArn",
            "clientCertificateCallbackArn",
            "cognitoIdentityPoolId",
            "ocspAuthorizedResponderArn",
            "ocspLambdaArn",
            "serverCertificateArns",
            "targetArn",
            "validationCertificateArn",
        ],
    ),
    ("a part of what another member names", &["payloadVersion", "policyVersionId"]),
    ("asked about one by one in the answer, and not touched", &["resources"]),
    ("looked at where the log level of a group is set", &["targetName"]),
    (
        "not a resource with an ARN",
        &[
            "ContextId",
            "QuotaCode",
            "ServiceCode",
            "attributeName",
            "domainName",
            "endpointType",
            "eventType",
            "logDestination",
            "namePrefixFilter",
            "securityPolicy",
            "serverName",
            "tokenKeyName",
            "username",
        ],
    ),
    (
        "the caller's own words, or data that names nothing by itself",
        &[
            "Key",
            "Value",
            "attributeValue",
            "attributes",
            "billingGroupDescription",
            "connectionAttribute",
            "contentType",
            "correlationData",
            "description",
            "headers",
            "parameters",
            "queryString",
            "responseTopic",
            "searchableAttributes",
            "tagKeys",
            "thingAttribute",
            "thingGroupDescription",
            "thingTypeDescription",
            "userProperties",
            "userPropertyKey",
        ],
    ),
    (
        "a credential, a document or the place in a list",
        &[
            "NextToken",
            "caCertificate",
            "caCertificatePem",
            "certificatePem",
            "certificateSigningRequest",
            "marker",
            "nextToken",
            "policyDocument",
            "templateBody",
            "token",
            "tokenSignature",
            "tokenSigningPublicKeys",
            "verificationCertificate",
        ],
    ),
];

const PASSED: &str = "a role, asked about as iam:PassRole";

/// By the name that a resource is looked up under: texts that are not enumerated, and whether they are looked at.
fn texts(
    shape: &'static Shape,
    (by, is_walked): (&'static str, bool),
    found: &mut Vec<(&'static str, bool)>,
) {
    match shape.kind {
        Kind::Structure(members) => {
            for member in members {
                let by = if member.at == Location::Uri { member.wire } else { member.name };
                texts(member.shape, (by, is_walked), found);
            }
        }
        Kind::List(element) => texts(element, (by, is_walked), found),
        Kind::Map(_, element) => texts(element, (by, false), found),
        Kind::Text if shape.values.is_empty() => found.push((by, is_walked)),
        _ => {}
    }
}

#[test]
fn whatever_an_input_names_is_asked_about_or_excused() {
    let mut unasked = BTreeMap::new();
    for service in Service::ALL.into_iter().chain(Service::JSON) {
        for operation in route::operations(service).iter().filter(|one| operations::is_built(one)) {
            let mut found = Vec::new();
            texts(operation.input, ("", true), &mut found);
            found.retain(|(by, is_walked)| !is_walked || resource(by, "x").is_none());
            unasked.extend(found.into_iter().map(|(by, _)| (by, operation.name)));
        }
    }
    for (why, members) in UNASKED {
        for member in members {
            assert!(unasked.remove(member).is_some(), "{member} is asked about, or in no input: {why}");
            let input = Map::from_iter([((*member).to_owned(), "r".into())]);
            assert_eq!(permissions::passed_roles(&input).is_empty(), why != PASSED, "{member}");
        }
    }
    assert!(unasked.is_empty(), "give each a row in KINDS or ARNS, or in UNASKED with a reason: {unasked:?}");
}
