//! Which action an operation needs, when it is not the account's owner who calls. `resources` says on what.
//!
//! Source: service authorization reference, *Actions, resources, and condition keys for AWS IoT*, *AWS IoT Jobs
//! DataPlane*; IAM user guide, *Grant a user permissions to pass a role to an AWS service*.

use access::iam::CallFacts;
use serde_json::{Map, Value};
use services::ErrorCode;

use crate::answer::Fault;
use crate::model::{Operation, Service};

/// The names of the action of an operation. The jobs data plane has two: an older one is still in use.
pub(crate) fn actions(operation: &Operation) -> Vec<String> {
    let name = operation.name;
    match operation.service {
        Service::Iot | Service::IotData => vec![format!("iot:{name}")],
        Service::IotJobsData => vec![format!("iotjobsdata:{name}"), format!("iot:{name}")],
        other => vec![format!("{}:{name}", other.signing_name())],
    }
}

/// The roles that an input hands over to a service: the caller must be allowed to pass them.
pub(crate) fn passed_roles(members: &Map<String, Value>) -> Vec<String> {
    let mut found = Vec::new();
    members.iter().for_each(|(name, value)| collect(name, value, &mut found));
    found.sort();
    found.dedup();
    found
}

fn collect(name: &str, value: &Value, found: &mut Vec<String>) {
    match value {
        Value::String(arn)
            if name.ends_with("oleArn") || (arn.starts_with("arn:") && arn.contains(":role/")) =>
        {
            found.push(arn.clone());
        }
        Value::Object(members) => members.iter().for_each(|(name, value)| collect(name, value, found)),
        Value::Array(values) => values.iter().for_each(|value| collect(name, value, found)),
        _ => {}
    }
}

/// What condition keys may ask of an operation's input.
pub(crate) fn facts<'a>(operation: &Operation, members: &'a Map<String, Value>) -> CallFacts<'a> {
    let mut facts = CallFacts::default();
    match (operation.service, operation.name) {
        (Service::IotData, "SendDirectMessage") => facts.topic = members.get("topic").and_then(Value::as_str),
        (Service::IotData, "GetConnection") => {
            let given = members.get("includeSocketInformation").and_then(Value::as_bool);
            facts.include_socket_information = Some(given.unwrap_or(false));
        }
        // These are bound to the principal. AWS narrows them to things by this key alone.
        (Service::Iot, "AttachThingPrincipal" | "DetachThingPrincipal") => {
            facts.thing = members.get("thingName").and_then(Value::as_str);
        }
        _ => {}
    }
    facts
}

/// True for the operation that the broker asks the policies for itself, in the words of the data plane.
pub(crate) fn is_asked_later(operation: &Operation) -> bool {
    operation.service == Service::IotData && operation.name == "Publish"
}

/// The data plane calls a denial Forbidden.
pub(crate) fn in_words_of(operation: &Operation, mut fault: Fault) -> Fault {
    if operation.service == Service::IotData && fault.error_type == "AccessDeniedException" {
        fault.error_type = ErrorCode::Forbidden.name().into();
    }
    fault
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::route;

    #[test]
    fn the_jobs_data_plane_has_two_names_for_an_action() {
        let (operation, _) = route::find(Service::IotJobsData, "GET", "/things/t/jobs").unwrap();
        let names = ["iotjobsdata:GetPendingJobExecutions", "iot:GetPendingJobExecutions"];
        assert_eq!(actions(operation), names);
        let (operation, _) = route::find(Service::Iot, "POST", "/things/t").unwrap();
        assert_eq!(actions(operation), ["iot:CreateThing"]);
    }

    #[test]
    fn conditions_ask_of_the_input() {
        let of = |method, path: &str, query: &str| {
            let (operation, labels) = route::find(Service::IotData, method, path).unwrap();
            let headers = http::HeaderMap::new();
            let input =
                crate::decode::decode(operation, labels, query, &headers, bytes::Bytes::new()).unwrap();
            let facts = facts(operation, &input.members);
            (facts.topic.map(str::to_owned), facts.include_socket_information)
        };
        let send = of("POST", "/connections/c/messages", "topic=a%2Fb");
        assert_eq!(send, (Some("a/b".into()), None));
        for (query, asked) in [("", false), ("includeSocketInformation=TRUE", true)] {
            assert_eq!(of("GET", "/connections/c", query), (None, Some(asked)), "{query}");
        }
        assert_eq!(of("GET", "/retainedMessage/t", ""), (None, None));
    }

    #[test]
    fn principals_are_put_on_a_thing_that_conditions_ask_for() {
        for (method, path, thing) in [
            ("PUT", "/things/a%3Ab/principals", Some("a:b")),
            ("DELETE", "/things/t/principals", Some("t")),
            ("GET", "/things/t/principals", None),
        ] {
            let (operation, labels) = route::find(Service::Iot, method, path).unwrap();
            let mut headers = http::HeaderMap::new();
            headers.insert("x-amzn-principal", "P".parse().unwrap());
            let input = crate::decode::decode(operation, labels, "", &headers, bytes::Bytes::new()).unwrap();
            assert_eq!(facts(operation, &input.members).thing, thing, "{method} {path}");
        }
    }

    #[test]
    fn roles_are_found_wherever_they_stand() {
        let input = json!({"roleArn": "r1", "x": [{"targetArn": "t", "roleArn": "r2"}], "Roles": {"authenticated": "arn:aws:iam::1:role/a"}});
        assert_eq!(passed_roles(input.as_object().unwrap()), ["arn:aws:iam::1:role/a", "r1", "r2"]);
        assert!(passed_roles(json!({"target": "arn:aws:iot:r:1:thing/x"}).as_object().unwrap()).is_empty());
    }
}
