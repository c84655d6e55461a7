//! Checks a decoded input against the constraints of its shape, with AWS's texts.

use std::fmt::Write as _;

use serde_json::{Map, Value};

use crate::model::{Kind, Location, Member, Shape};

/// How many violations a message lists.
const LISTED: usize = 20;
/// How much of a value a message repeats, in characters.
const REPEATED: usize = 256;

/// Checks the input of an operation. The error is the message of an `InvalidRequestException`.
pub fn check(input: &Shape, members: &Map<String, Value>) -> Result<(), String> {
    let mut found = Violations::default();
    found.members(input.members(), members, "");
    found.message()
}

#[derive(Default)]
struct Violations {
    texts: Vec<String>,
}

impl Violations {
    fn message(self) -> Result<(), String> {
        let count = self.texts.len();
        if count == 0 {
            return Ok(());
        }
        let plural = if count == 1 { "" } else { "s" };
        Err(format!("{count} validation error{plural} detected: {}", self.texts.join("; ")))
    }

    fn add(&mut self, at: &str, shape: &Shape, value: &Value, constraint: &str) {
        if self.texts.len() >= LISTED {
            return;
        }
        let shown = match value {
            Value::Null => " null".into(),
            _ if shape.sensitive => String::new(),
            value => format!(" '{}'", shown(value)),
        };
        self.texts
            .push(format!("Value{shown} at '{at}' failed to satisfy constraint: Member must {constraint}"));
    }

    fn members(&mut self, members: &[Member], values: &Map<String, Value>, prefix: &str) {
        for member in members.iter().filter(|m| !is_raw(m)) {
            // Inside the body, members go by their name in the body.
            let key = if member.at == Location::Body { member.wire } else { member.name };
            let at = if prefix.is_empty() { key.to_owned() } else { format!("{prefix}.{key}") };
            match values.get(key) {
                None | Some(Value::Null) if member.required => {
                    self.add(&at, member.shape, &Value::Null, "not be null")
                }
                None | Some(Value::Null) => {}
                Some(_) if member.json_value => {}
                Some(value) => self.value(member.shape, value, &at),
            }
        }
    }

    fn value(&mut self, shape: &Shape, value: &Value, at: &str) {
        match (&shape.kind, value) {
            (Kind::Structure(members), Value::Object(object)) => self.members(members, object, at),
            (Kind::List(element), Value::Array(items)) => self.list(shape, element, items, value, at),
            (Kind::Map(key, element), Value::Object(object)) => {
                self.length(shape, value, object.len(), at);
                for (name, entry) in object {
                    self.text(key, name, at);
                    self.value(element, entry, &format!("{at}.{name}.member"));
                }
            }
            (Kind::Text, Value::String(text)) => self.text(shape, text, at),
            (Kind::Blob, Value::String(text)) => self.length(shape, value, text.len() / 4 * 3, at),
            (Kind::Integer, Value::Number(number)) if number.is_i64() || number.is_u64() => {
                self.number(shape, value, number.as_f64(), at);
            }
            (Kind::Number | Kind::Time, Value::Number(number)) => {
                self.number(shape, value, number.as_f64(), at)
            }
            (Kind::Boolean, Value::Bool(_)) => {}
            (kind, value) => self.add(at, shape, value, &format!("be {}", noun(kind))),
        }
    }

    fn list(&mut self, shape: &Shape, element: &Shape, items: &[Value], value: &Value, at: &str) {
        self.length(shape, value, items.len(), at);
        for (index, item) in items.iter().enumerate() {
            self.value(element, item, &format!("{at}.{}.member", index + 1));
        }
    }

    fn text(&mut self, shape: &Shape, text: &str, at: &str) {
        let value = Value::from(text);
        self.length(shape, &value, text.chars().count(), at);
        if let Some(pattern) = shape.pattern.filter(|pattern| !pattern.fits(text)) {
            self.add(at, shape, &value, &format!("satisfy regular expression pattern: {}", pattern.source()));
        }
        if !shape.values.is_empty() && !shape.values.contains(&text) {
            self.add(at, shape, &value, &format!("satisfy enum value set: [{}]", shape.values.join(", ")));
        }
    }

    fn length(&mut self, shape: &Shape, value: &Value, length: usize, at: &str) {
        self.bounds(shape, value, length as f64, "length", at);
    }

    fn number(&mut self, shape: &Shape, value: &Value, number: Option<f64>, at: &str) {
        self.bounds(shape, value, number.unwrap_or(f64::NAN), "value", at);
    }

    fn bounds(&mut self, shape: &Shape, value: &Value, actual: f64, what: &str, at: &str) {
        if let Some(min) = shape.min.filter(|min| actual < *min) {
            self.add(at, shape, value, &format!("have {what} greater than or equal to {min}"));
        }
        if let Some(max) = shape.max.filter(|max| actual > *max) {
            self.add(at, shape, value, &format!("have {what} less than or equal to {max}"));
        }
    }
}

/// A body that is not read here: no structure.
fn is_raw(member: &Member) -> bool {
    member.at == Location::Payload && !matches!(member.shape.kind, Kind::Structure(_))
}

fn noun(kind: &Kind) -> &'static str {
    match kind {
        Kind::Structure(_) | Kind::Map(..) => "a JSON object",
        Kind::List(_) => "a JSON array",
        Kind::Text => "a string",
        Kind::Blob => "a base64 string",
        Kind::Integer => "a whole number",
        Kind::Number => "a number",
        Kind::Time => "a number of seconds",
        Kind::Boolean => "true or false",
    }
}

/// A value as Java would print it, cut to a bounded length.
fn shown(value: &Value) -> String {
    let mut out = String::new();
    show(value, &mut out);
    match out.char_indices().nth(REPEATED) {
        Some((end, _)) => format!("{}...", out.get(..end).unwrap_or_default()),
        None => out,
    }
}

fn show(value: &Value, out: &mut String) {
    if out.len() > REPEATED * 4 {
        return;
    }
    match value {
        Value::String(text) => out.push_str(text),
        Value::Array(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                out.push_str(if index == 0 { "" } else { ", " });
                show(item, out);
            }
            out.push(']');
        }
        Value::Object(object) => {
            out.push('{');
            for (index, (key, item)) in object.iter().enumerate() {
                let _ = write!(out, "{}{key}=", if index == 0 { "" } else { ", " });
                show(item, out);
            }
            out.push('}');
        }
        other => {
            let _ = write!(out, "{other}");
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::model::Service;
    use crate::route;

    fn checked(operation: &str, input: Value) -> Result<(), String> {
        let operations = Service::ALL.into_iter().flat_map(route::operations);
        let operation = operations.into_iter().find(|o| o.name == operation).unwrap();
        check(operation.input, input.as_object().unwrap())
    }

    #[test]
    fn violations_have_the_words_of_aws() {
        for (operation, input, message) in [
            (
                "CreateThing",
                json!({"thingName": "a b"}),
                "1 validation error detected: Value 'a b' at 'thingName' failed to satisfy constraint: Member must \
                 satisfy regular expression pattern: [a-zA-Z0-9:_-]+",
            ),
            (
                "CreatePolicy",
                json!({"policyName": "p"}),
                "1 validation error detected: Value null at 'policyDocument' failed to satisfy constraint: Member must \
                 not be null",
            ),
            (
                "ListPolicies",
                json!({"pageSize": 0}),
                "1 validation error detected: Value '0' at 'pageSize' failed to satisfy constraint: Member must have \
                 value greater than or equal to 1",
            ),
            (
                "UpdateCertificate",
                json!({"certificateId": "ab", "newStatus": "ON"}),
                "2 validation errors detected: Value 'ab' at 'certificateId' failed to satisfy constraint: Member must \
                 have length greater than or equal to 64; Value 'ON' at 'newStatus' failed to satisfy constraint: \
                 Member must satisfy enum value set: [ACTIVE, INACTIVE, REVOKED, PENDING_TRANSFER, \
                 REGISTER_INACTIVE, PENDING_ACTIVATION]",
            ),
        ] {
            assert_eq!(checked(operation, input).unwrap_err(), message);
        }
    }

    #[test]
    fn nested_members_are_checked_where_they_are() {
        let error = checked(
            "CreateThing",
            json!({"thingName": "t", "attributePayload": {"attributes": {"a b": "c"}}}),
        );
        assert!(error.unwrap_err().contains("Value 'a b' at 'attributePayload.attributes'"));
        let error =
            checked("TagResource", json!({"resourceArn": "x", "tags": [{"Key": "k"}, {"Value": "v"}]}));
        assert!(error.unwrap_err().contains("Value null at 'tags.2.member.Key'"));
        let error = checked("CreateThing", json!({"thingName": "t", "attributePayload": 7}));
        assert!(
            error
                .unwrap_err()
                .contains("at 'attributePayload' failed to satisfy constraint: Member must be a JSON object")
        );
    }

    #[test]
    fn long_values_are_cut_and_long_lists_end() {
        let name = "x".repeat(5000);
        assert!(checked("CreateThing", json!({"thingName": name})).unwrap_err().len() < 600);
        let tags: Vec<Value> = (0..500).map(|_| json!({})).collect();
        let error = checked("TagResource", json!({"resourceArn": "x", "tags": tags})).unwrap_err();
        assert!(error.starts_with("20 validation errors"), "{error}");
    }

    #[test]
    fn what_keeps_the_rules_passes() {
        assert_eq!(checked("CreateThing", json!({"thingName": "a:b_c-9"})), Ok(()));
        assert_eq!(
            checked("CreatePolicy", json!({"policyName": "p", "policyDocument": "{}", "tags": []})),
            Ok(())
        );
    }
}
