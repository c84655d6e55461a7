//! The truth tables, row by row: W (policy against request), R (what a subscriber receives), C (connect attributes).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

#[allow(dead_code)] // Each test file uses its part.
mod desk;

use desk::{NOW, authorizer, context, decide, flat, kind, site};
use serde_json::{Value, json};
use thingcore_policy::ConnectFacts;

fn rows(table: &'static str) -> Vec<Vec<&'static str>> {
    let lines = table.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    lines.map(|line| line.split(" | ").map(str::trim).collect()).collect()
}

/// Fails with the ids of all rows that fail, and if a row is missing.
fn check(table: &'static str, initial: char, count: usize, row: impl Fn(&[&str]) -> Vec<String>) {
    let rows = rows(table);
    let ids: Vec<_> = rows.iter().map(|row| row[0].to_owned()).collect();
    let width = count.to_string().len().max(2);
    assert_eq!(ids, (1..=count).map(|n| format!("{initial}{n:0width$}")).collect::<Vec<_>>());
    let faults: Vec<String> =
        rows.iter().flat_map(|r| row(r).into_iter().map(|fault| format!("{}: {fault}", r[0]))).collect();
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

/// `Allow Publish topic/a, topic/b; Deny Receive !topic/c`.
fn document(statements: &str) -> Value {
    let statement = |text: &str| {
        let (effect, rest) = text.split_once(' ').unwrap();
        let (action, resources) = rest.split_once(' ').unwrap();
        let plain = action == "*" || action.contains(':');
        let action = if plain { action.to_owned() } else { format!("iot:{action}") };
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
        json!({ "Effect": effect, "Action": action, element: resources })
    };
    json!({ "Version": "2012-10-17", "Statement": statements.split("; ").map(statement).collect::<Vec<_>>() })
}

#[test]
fn policy_against_request() {
    check(include_str!("truth/w.txt"), 'W', 126, |row| {
        let document = document(row[1]);
        let context = context(row.get(4).copied().unwrap_or_default());
        let authorizer = authorizer(std::slice::from_ref(&document), context.clone());
        let mut faults = Vec::new();
        for request in row[2].split("; ") {
            let (action, name) = request.split_once(' ').unwrap();
            let action = format!("iot:{action}");
            let engine = decide(&authorizer, &action, name, ConnectFacts::default());
            let arn = site().arn(kind(&action), name);
            let naive =
                oracle::policy::decide(std::slice::from_ref(&document), &action, &arn, &flat(&context));
            if (engine, naive) != (row[3], row[3]) {
                faults.push(format!("{request}: engine {engine}, oracle {naive}, table {}", row[3]));
            }
        }
        faults
    });
}

#[test]
fn what_a_subscriber_receives() {
    const AWS: mqtt::MatchRules = mqtt::MatchRules { hash_matches_parent: false };
    check(include_str!("truth/r.txt"), 'R', 13, |row| {
        let authorizer = authorizer(&[document(row[2])], context("client=c1"));
        let share = row[1].strip_prefix("$share/").and_then(|rest| rest.split_once('/'));
        let filter = share.map_or(row[1], |(_, filter)| filter);
        let permit = match share {
            Some((share, _)) => authorizer.receive_shared(share, row[3], NOW),
            None => authorizer.receive(row[3], NOW),
        };
        let matches = mqtt::matches(filter, row[3], AWS);
        let why_not = match (matches, permit.is_ok()) {
            (false, _) => Some("match"),
            (true, false) => Some("policy"),
            // A retained message needs an exact filter besides.
            (true, true) if row[0] == "R13" && filter.contains(['+', '#']) => Some("retained"),
            (true, true) => None,
        };
        let expected = row.get(5).copied();
        let delivered = if why_not.is_none() { "yes" } else { "no" };
        if (delivered, why_not) == (row[4], expected) {
            vec![]
        } else {
            vec![format!("{delivered} {why_not:?}")]
        }
    });
}

#[test]
fn connect_attributes() {
    let attributes = |values: &str| -> Vec<&str> {
        let name = |value| if value == "P" { "PersistentConnect" } else { "LastWill" };
        values.split_whitespace().map(name).collect()
    };
    check(include_str!("truth/c.txt"), 'C', 10, |row| {
        let statement = |text: &str| {
            let (effect, condition) = text.split_once(' ').unwrap_or((text, ""));
            let mut statement = json!({ "Effect": effect, "Action": "iot:Connect", "Resource": "*" });
            if !condition.is_empty() {
                let (operator, values) = condition.split_once(' ').unwrap_or((condition, ""));
                statement["Condition"] = json!({ operator: { "iot:ConnectAttributes": attributes(values) } });
            }
            statement
        };
        let document = json!({ "Statement": row[1].split("; ").map(statement).collect::<Vec<_>>() });
        let authorizer = authorizer(std::slice::from_ref(&document), context("client=c1"));
        let cells = [(false, false), (true, false), (false, true), (true, true)].into_iter().zip(&row[2..]);
        let fault = |((persistent, last_will), cell): ((bool, bool), &&str)| {
            let facts = ConnectFacts { persistent, last_will, last_will_topic: last_will.then_some("w") };
            let expected = match *cell {
                "allow" => "ALLOWED",
                "implicit" => "IMPLICIT_DENY",
                _ => "EXPLICIT_DENY",
            };
            let engine = decide(&authorizer, "iot:Connect", "c1", facts);
            let mut flat = flat(&context("client=c1"));
            let names =
                [(persistent, "P"), (last_will, "L")].into_iter().filter(|(is, _)| *is).map(|(_, n)| n);
            let values = attributes(&names.collect::<Vec<_>>().join(" "));
            flat.insert("iot:ConnectAttributes".into(), values.into_iter().map(str::to_owned).collect());
            let arn = site().arn("client", "c1");
            let naive = oracle::policy::decide(std::slice::from_ref(&document), "iot:Connect", &arn, &flat);
            let fault =
                || format!("P {persistent}, L {last_will}: engine {engine}, oracle {naive}, table {cell}");
            ((engine, naive) != (expected, expected)).then(fault)
        };
        cells.filter_map(fault).collect()
    });
}
