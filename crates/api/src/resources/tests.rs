//! What each operation is asked for, however its input names it.

use http::HeaderMap;

use super::*;
use crate::model::Service;
use crate::{decode, route};

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
    let groups = iot(&["thinggroup/a", "thinggroup/b", "thinggroup/c"]);
    let found = asked("PUT", "/thing-groups/updateThingGroupsForThing", both);
    assert_eq!(found, Touched { required: iot(&["thing/t"]), named: groups });
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
        assert_eq!(found, Touched { required: iot(&["thing/t"]), named: target.clone() }, "{method}");
    }
    let lists =
        [("POST", "/attached-policies/P"), ("GET", "/principals/things"), ("GET", "/principal-policies")];
    for (method, path) in lists {
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
    assert_eq!(found.required, iot(&["thing/t"]));
    assert_eq!(found.named, iot(&["billinggroup/b", "thingtype/y"]));
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
fn every_row_of_the_tables_is_of_a_model() {
    for (name, members) in BOUND {
        let all = route::operations(Service::Iot);
        let operation = all.iter().find(|operation| operation.name == name).unwrap();
        for member in members {
            assert!(operation.input.members().iter().any(|one| one.name == *member), "{name} {member}");
        }
    }
}
