//! What the tests share: a site, and cohorts made of statements in short form.

use std::sync::Arc;

use identity::{AccountId, PolicyName, Region, Site, Timestamp};
use policy::{Document, Origin, Source};
use serde_json::{Value, json};
use thingcore_analysis::{Analyst, Cohort};

pub const NOW: Timestamp = Timestamp(1_791_000_000_000);

pub fn site() -> Site {
    Site { region: Region::new("us-east-1").unwrap(), account: AccountId::new("123456789012").unwrap() }
}

pub fn analyst(site: &Site) -> Analyst<'_> {
    Analyst::new(site, NOW)
}

/// `Allow Publish topic/a, topic/b; Deny Receive !topic/c if Bool iot:Connection.Thing.IsAttached true`. Actions without a
/// prefix are of `iot:`, resources without `arn:` of the site; several actions are joined by `+`.
pub fn document(statements: &str) -> Value {
    let statement = |text: &str| {
        let (text, condition) = text.trim().split_once(" if ").unwrap_or((text.trim(), ""));
        let (effect, rest) = text.split_once(' ').unwrap();
        let (action, resources) = rest.split_once(' ').unwrap();
        let full = |action: &str| match action {
            "*" => action.to_owned(),
            action if action.contains(':') => action.to_owned(),
            action => format!("iot:{action}"),
        };
        let actions: Vec<String> = action.split('+').map(full).collect();
        let (element, resources) = match resources.strip_prefix('!') {
            Some(resources) => ("NotResource", resources),
            None => ("Resource", resources),
        };
        let arn = |text: &str| match text {
            "*" => text.to_owned(),
            text if text.starts_with("arn:") => text.to_owned(),
            text => format!("{}{text}", site().arn_prefix()),
        };
        let resources: Vec<String> = resources.split(", ").map(arn).collect();
        let mut statement = json!({ "Effect": effect, "Action": actions, element: resources });
        let mut words = condition.split_whitespace();
        if let (Some(operator), Some(key)) = (words.next(), words.next()) {
            statement["Condition"] = json!({ operator: { key: words.collect::<Vec<_>>() } });
        }
        statement
    };
    json!({ "Version": "2012-10-17", "Statement": statements.split(';').map(statement).collect::<Vec<_>>() })
}

pub fn cohort_of(documents: &[Value]) -> Cohort {
    let source = |(n, document): (usize, &Value)| Source {
        policy: PolicyName::new(&format!("policy-{n}")).unwrap(),
        version: 1,
        origin: Origin::Certificate,
        document: Arc::new(Document::parse(&document.to_string()).unwrap()),
    };
    Cohort::new("fleet", documents.iter().enumerate().map(source).collect())
}

pub fn cohort(statements: &str) -> Cohort {
    cohort_of(&[document(statements)])
}
