//! From method and path to an operation.

use percent_encoding::percent_decode_str;

use crate::generated::{iot, iot_data, iot_jobs_data};
use crate::model::{Operation, Service};
use crate::{acm, service_quotas};

/// All operations of a service.
pub fn operations(service: Service) -> &'static [Operation] {
    match service {
        Service::Iot => &iot::OPERATIONS,
        Service::IotData => &iot_data::OPERATIONS,
        Service::IotJobsData => &iot_jobs_data::OPERATIONS,
        Service::ServiceQuotas => &service_quotas::OPERATIONS,
        Service::Acm => &acm::OPERATIONS,
        // Those of the others stand under `account/`.
        Service::Iam | Service::Sts | Service::CognitoIdentity | Service::Thingcore => &[],
    }
}

/// A label and its percent-decoded value.
pub type Labels = Vec<(&'static str, String)>;

/// Why no operation was found.
#[derive(Debug, PartialEq, Eq)]
pub enum Unrouted {
    /// No operation has this path.
    UnknownPath,
    /// Operations have this path, with these methods only.
    WrongMethod(Vec<&'static str>),
    /// The path is percent-encoded in a way that is not UTF-8.
    NotText,
}

/// Finds the operation of `service` for a method and a raw (still percent-encoded) path.
pub fn find(service: Service, method: &str, path: &str) -> Result<(&'static Operation, Labels), Unrouted> {
    let mut best: Option<(&'static Operation, usize)> = None;
    let mut allowed = Vec::new();
    for operation in operations(service) {
        let Some(literals) = fit(operation.uri, path) else { continue };
        if operation.method != method {
            allowed.push(operation.method);
        } else if best.is_none_or(|(_, most)| literals > most) {
            best = Some((operation, literals));
        }
    }
    match best {
        Some((operation, _)) => Ok((operation, labels(operation.uri, path)?)),
        None if allowed.is_empty() => Err(Unrouted::UnknownPath),
        None => Err(Unrouted::WrongMethod(allowed)),
    }
}

/// If the path fits the template: how many segments it has in common, literally. The more, the better the fit.
fn fit(template: &str, path: &str) -> Option<usize> {
    let mut literals = 0;
    let mut segments = path.split('/');
    for part in template.split('/') {
        let segment = segments.next()?;
        match label(part) {
            Some((_, true)) => return (!segment.is_empty() || segments.next().is_some()).then_some(literals),
            Some((_, false)) if segment.is_empty() => return None,
            Some((_, false)) => {}
            None if part == segment => literals += 1,
            None => return None,
        }
    }
    segments.next().is_none().then_some(literals)
}

fn labels(template: &'static str, path: &str) -> Result<Labels, Unrouted> {
    let mut labels = Vec::new();
    let mut rest = path;
    for part in template.split('/') {
        let (segment, after) = rest.split_once('/').unwrap_or((rest, ""));
        let value = match label(part) {
            Some((name, greedy)) => Some((name, if greedy { rest } else { segment })),
            None => None,
        };
        if let Some((name, raw)) = value {
            let text = percent_decode_str(raw).decode_utf8().map_err(|_| Unrouted::NotText)?;
            labels.push((name, text.into_owned()));
        }
        rest = after;
    }
    Ok(labels)
}

/// The name of a `{label}`, and whether it takes the rest of the path.
fn label(part: &str) -> Option<(&str, bool)> {
    let name = part.strip_prefix('{')?.strip_suffix('}')?;
    Some(name.strip_suffix('+').map_or((name, false), |name| (name, true)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(service: Service, method: &str, path: &str) -> (&'static str, Vec<String>) {
        let (operation, labels) = find(service, method, path).unwrap();
        (operation.name, labels.into_iter().map(|(_, value)| value).collect())
    }

    #[test]
    fn labels_are_decoded_and_literals_win() {
        assert_eq!(found(Service::Iot, "POST", "/things/a%3Ab"), ("CreateThing", vec!["a:b".into()]));
        assert_eq!(
            found(Service::Iot, "PUT", "/thing-groups/addThingToThingGroup"),
            ("AddThingToThingGroup", vec![])
        );
        assert_eq!(
            found(Service::Iot, "POST", "/attached-policies/arn%3Aaws%3Aiot%3Ar%3A1%3Acert%2Fab"),
            ("ListAttachedPolicies", vec!["arn:aws:iot:r:1:cert/ab".into()])
        );
    }

    #[test]
    fn a_topic_takes_the_rest_of_the_path() {
        for (path, topic) in [
            ("/topics/a/b%20c/d", "a/b c/d"),
            ("/topics/a%2Fb", "a/b"),
            ("/topics//a/", "/a/"),
            ("/topics/$aws%2Fx", "$aws/x"),
        ] {
            assert_eq!(found(Service::IotData, "POST", path), ("Publish", vec![topic.into()]), "{path}");
        }
        assert_eq!(find(Service::IotData, "POST", "/topics/").err(), Some(Unrouted::UnknownPath));
    }

    #[test]
    fn what_cannot_be_routed_says_why() {
        assert_eq!(find(Service::Iot, "GET", "/nothing").err(), Some(Unrouted::UnknownPath));
        assert_eq!(find(Service::Iot, "GET", "/things/").err(), Some(Unrouted::UnknownPath));
        assert_eq!(find(Service::Iot, "PUT", "/endpoint").err(), Some(Unrouted::WrongMethod(vec!["GET"])));
        assert_eq!(find(Service::Iot, "POST", "/things/%ff").err(), Some(Unrouted::NotText));
    }

    proptest::proptest! {
        #[test]
        fn no_path_panics(path in "[/a-z{}+%.$-]{0,60}", tail in "/(topics|things|policies)(/[^ ]{0,8}){0,4}") {
            for service in Service::ALL {
                let _ = find(service, "POST", &path);
                let _ = find(service, "GET", &tail);
            }
        }
    }

    #[test]
    fn every_operation_is_found_by_its_own_template() {
        for operation in Service::ALL.into_iter().flat_map(operations) {
            let path = operation.uri.replace(['{', '}', '+'], "");
            let (found, _) = find(operation.service, operation.method, &path).unwrap();
            assert_eq!(found.name, operation.name, "{path}");
        }
        let count: usize = Service::ALL.into_iter().map(|s| operations(s).len()).sum();
        assert_eq!(count, 288);
    }
}
