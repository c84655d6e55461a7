//! Policy decisions by the book: raw JSON and a flat context in, the verdict out. No compilation, no shortcuts.
//!
//! It speaks of documents of version 2012-10-17 and of the String, Numeric, Bool and Null operators.

use std::collections::BTreeMap;

use serde_json::Value;

/// Every key that is present, with its values. A key of several values has a name that no variable can have.
pub type Context = BTreeMap<String, Vec<String>>;

/// What a substituted pattern holds for `*`, for `?` and for a `:` that came with a value.
const ANY: char = '\u{E000}';
const ONE: char = '\u{E001}';
const COLON: &str = "\u{E002}";

/// `ALLOWED`, `EXPLICIT_DENY` or `IMPLICIT_DENY`.
pub fn decide(documents: &[Value], action: &str, arn: &str, context: &Context) -> &'static str {
    let decided = |effect: &str| {
        let statements = documents.iter().flat_map(|document| list(&document["Statement"]));
        statements.filter(|s| s["Effect"] == effect).any(|s| applies(&s, action, arn, context))
    };
    match (decided("Deny"), decided("Allow")) {
        (true, _) => "EXPLICIT_DENY",
        (_, true) => "ALLOWED",
        _ => "IMPLICIT_DENY",
    }
}

/// Two parties, each with its documents and its context, who both have to allow.
pub fn decide_both(
    one: (&[Value], &Context),
    other: (&[Value], &Context),
    action: &str,
    arn: &str,
) -> &'static str {
    let verdicts = [one, other].map(|(documents, context)| decide(documents, action, arn, context));
    match verdicts {
        ["ALLOWED", "ALLOWED"] => "ALLOWED",
        _ if verdicts.contains(&"EXPLICIT_DENY") => "EXPLICIT_DENY",
        _ => "IMPLICIT_DENY",
    }
}

fn applies(statement: &Value, action: &str, arn: &str, context: &Context) -> bool {
    let allow = statement["Effect"] == "Allow";
    let covers =
        |p: &Value| Some(glob(&substitute(&text(p).to_lowercase(), context)?, &action.to_lowercase()));
    let matches = |p: &Value| Some(text(p) == "*" || arn_matches(&substitute(&text(p), context)?, arn));
    chosen(statement, "Action", allow, covers)
        && chosen(statement, "Resource", allow, matches)
        && statement["Condition"].as_object().into_iter().flatten().all(|(operator, keys)| {
            let mut keys = keys.as_object().into_iter().flatten();
            keys.all(|(key, values)| holds(operator, allow, values, context.get(key), context))
        })
}

/// The element or its Not form. What cannot be resolved matches nothing, and keeps an Allow with the Not form
/// from applying.
fn chosen(statement: &Value, name: &str, allow: bool, matches: impl Fn(&Value) -> Option<bool>) -> bool {
    let answers = |name: &str| -> Vec<Option<bool>> { list(&statement[name]).iter().map(&matches).collect() };
    let (positive, negative) = (answers(name), answers(&format!("Not{name}")));
    positive.contains(&Some(true))
        || (positive.is_empty() && !negative.contains(&Some(true)) && !(allow && negative.contains(&None)))
}

fn holds(
    operator: &str,
    allow: bool,
    policy: &Value,
    request: Option<&Vec<String>>,
    context: &Context,
) -> bool {
    let (set, name) = operator.split_once(':').unwrap_or(("", operator));
    let (name, if_exists) = name.strip_suffix("IfExists").map_or((name, false), |name| (name, true));
    let negated = name.contains("Not");
    let policy: Vec<Option<String>> = list(policy).iter().map(|v| substitute(&text(v), context)).collect();
    if negated && allow && policy.contains(&None) {
        return false;
    }
    let policy = || policy.iter().flatten();
    if name == "Null" {
        return policy().any(|p| *p == request.is_none_or(Vec::is_empty).to_string());
    }
    let Some(request) = request else {
        return if_exists || set == "ForAllValues" || (set.is_empty() && negated);
    };
    let hit = |value: &String| policy().any(|p| compare(&name.replace("Not", ""), p, value));
    match set {
        "ForAllValues" => request.iter().all(|value| hit(value) != negated),
        "ForAnyValue" => request.iter().any(|value| hit(value) != negated),
        _ => request.iter().any(hit) != negated,
    }
}

fn compare(name: &str, pattern: &str, request: &str) -> bool {
    let plain = pattern.replace(ANY, "*").replace(ONE, "?").replace(COLON, ":");
    let number = |text: &str| text.parse::<f64>().unwrap_or(f64::NAN);
    match name {
        "StringEquals" => plain == request,
        "StringEqualsIgnoreCase" | "Bool" => plain.to_lowercase() == request.to_lowercase(),
        "StringLike" => glob(&pattern.replace(COLON, ":"), request),
        "NumericEquals" => number(request) == number(&plain),
        "NumericLessThan" => number(request) < number(&plain),
        "NumericGreaterThanEquals" => number(request) >= number(&plain),
        _ => false,
    }
}

/// The text with its variables replaced; nothing if one has no value that may be inserted.
fn substitute(text: &str, context: &Context) -> Option<String> {
    let wild = |text: &str| text.replace('*', &ANY.to_string()).replace('?', &ONE.to_string());
    let variable = text.split_once("${").and_then(|(head, rest)| Some((head, rest.split_once('}')?)));
    let Some((head, (name, tail))) = variable else { return Some(wild(text)) };
    let value = if ["*", "?", "$"].contains(&name) { name } else { context.get(name)?.first()? };
    if name.starts_with("iot:Certificate.") && value.contains(['*', '$', '+', '?', '#']) {
        return None;
    }
    Some(wild(head) + &value.replace(':', COLON) + &substitute(tail, context)?)
}

fn arn_matches(pattern: &str, arn: &str) -> bool {
    let fields = pattern.splitn(6, ':').zip(arn.splitn(6, ':'));
    fields.into_iter().all(|(pattern, field)| glob(&pattern.replace(COLON, ":"), field))
}

fn glob(pattern: &str, text: &str) -> bool {
    let (mut p, mut t) = (pattern.chars(), text.chars());
    match p.next() {
        None => text.is_empty(),
        Some(ANY) => glob(p.as_str(), text) || (t.next().is_some() && glob(pattern, t.as_str())),
        Some(c) => t.next().is_some_and(|d| c == ONE || c == d) && glob(p.as_str(), t.as_str()),
    }
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn list(value: &Value) -> Vec<Value> {
    match value {
        Value::Null => Vec::new(),
        Value::Array(values) => values.clone(),
        one => vec![one.clone()],
    }
}
