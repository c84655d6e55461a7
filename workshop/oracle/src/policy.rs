//! Policy decisions by the book: raw JSON and a flat context in, the verdict out. No compilation, no shortcuts.
//!
//! It speaks of documents of version 2012-10-17 and of the String, Numeric, Bool and Null operators.

use std::collections::BTreeMap;

use serde_json::Value;

/// Every key that is present, with its values. A key of several values has a name that no variable can have.
pub type Context = BTreeMap<String, Vec<String>>;

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

fn applies(statement: &Value, action: &str, arn: &str, context: &Context) -> bool {
    let action = action.to_lowercase();
    let allow = statement["Effect"] == "Allow";
    let covers = |p: &Value| Some(glob(&symbols(&text(p).to_lowercase(), context)?, &chars(&action)));
    let matches = |p: &Value| Some(text(p) == "*" || arn_matches(&text(p), arn, context)?);
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
    let policy: Vec<Option<Vec<Symbol>>> = list(policy).iter().map(|v| symbols(&text(v), context)).collect();
    if negated && allow && policy.contains(&None) {
        return false;
    }
    if name == "Null" {
        let null = request.is_none_or(Vec::is_empty).to_string();
        return policy.iter().flatten().any(|p| plain(p) == null);
    }
    let Some(request) = request else {
        return if_exists || set == "ForAllValues" || (set.is_empty() && negated);
    };
    let hit = |value: &String| policy.iter().flatten().any(|p| compare(&name.replace("Not", ""), p, value));
    match set {
        "ForAllValues" => request.iter().all(|value| hit(value) != negated),
        "ForAnyValue" => request.iter().any(|value| hit(value) != negated),
        _ => request.iter().any(hit) != negated,
    }
}

fn compare(name: &str, policy: &[Symbol], request: &str) -> bool {
    let number = |text: &str| text.parse::<f64>().unwrap_or(f64::NAN);
    let (p, r) = (number(&plain(policy)), number(request));
    match name {
        "StringEquals" => plain(policy) == request,
        "StringEqualsIgnoreCase" | "Bool" => plain(policy).to_lowercase() == request.to_lowercase(),
        "StringLike" => glob(policy, &chars(request)),
        "NumericEquals" => r == p,
        "NumericLessThan" => r < p,
        "NumericGreaterThanEquals" => r >= p,
        _ => false,
    }
}

#[derive(PartialEq)]
enum Symbol {
    Char(char),
    Any,
    One,
}

/// The text with its variables replaced; nothing if one has no value that may be inserted.
fn symbols(text: &str, context: &Context) -> Option<Vec<Symbol>> {
    let mut symbols = Vec::new();
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        rest = &rest[c.len_utf8()..];
        match (c, rest.strip_prefix('{').and_then(|rest| rest.split_once('}'))) {
            ('$', Some((name, after))) => {
                let value =
                    if ["*", "?", "$"].contains(&name) { name } else { context.get(name)?.first()? };
                if name.starts_with("iot:Certificate.") && value.contains(['*', '$', '+', '?', '#']) {
                    return None;
                }
                symbols.extend(value.chars().map(Symbol::Char));
                rest = after;
            }
            ('*', _) => symbols.push(Symbol::Any),
            ('?', _) => symbols.push(Symbol::One),
            _ => symbols.push(Symbol::Char(c)),
        }
    }
    Some(symbols)
}

/// Field by field; colons that a value brings along divide nothing.
fn arn_matches(pattern: &str, arn: &str, context: &Context) -> Option<bool> {
    let mut fields = vec![Vec::new()];
    let mut rest = pattern;
    while let Some(c) = rest.chars().next() {
        let variable = rest.strip_prefix("${").and_then(|rest| rest.find('}')).map_or(0, |end| end + 3);
        let piece = &rest[..variable.max(c.len_utf8())];
        rest = &rest[piece.len()..];
        if piece == ":" && fields.len() < 6 {
            fields.push(Vec::new());
        } else {
            fields.last_mut()?.extend(symbols(piece, context)?);
        }
    }
    Some(fields.iter().zip(arn.splitn(6, ':')).all(|(pattern, field)| glob(pattern, &chars(field))))
}

fn glob(pattern: &[Symbol], text: &[char]) -> bool {
    match (pattern.split_first(), text.split_first()) {
        (None, _) => text.is_empty(),
        (Some((Symbol::Any, rest)), None) => glob(rest, text),
        (Some((Symbol::Any, rest)), Some((_, tail))) => glob(rest, text) || glob(pattern, tail),
        (Some((Symbol::One, rest)), Some((_, tail))) => glob(rest, tail),
        (Some((Symbol::Char(p), rest)), Some((t, tail))) => p == t && glob(rest, tail),
        (Some(_), None) => false,
    }
}

fn plain(symbols: &[Symbol]) -> String {
    let char = |symbol: &Symbol| match symbol {
        Symbol::Char(c) => *c,
        Symbol::Any => '*',
        Symbol::One => '?',
    };
    symbols.iter().map(char).collect()
}

fn chars(text: &str) -> Vec<char> {
    text.chars().collect()
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
