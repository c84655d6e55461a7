//! The parts of an AWS service model (botocore's `service-2.json.gz`) that the generator reads.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use flate2::read::GzDecoder;
use serde_json::{Map, Value};

/// One service: its operations and the shapes they name.
pub struct Model {
    /// The service name in a credential scope (`iot`, `iotdata`, `iot-jobs-data`).
    pub signing_name: String,
    /// The file the model came from, below botocore's data folder.
    pub origin: String,
    /// Sorted by name.
    pub operations: Vec<Operation>,
    shapes: BTreeMap<String, Value>,
}

/// One operation as the model declares it.
pub struct Operation {
    /// `CreateThing`.
    pub name: String,
    /// `POST`.
    pub method: String,
    /// `/things/{thingName}`.
    pub uri: String,
    /// The status of a success.
    pub status: u64,
    /// The input structure.
    pub input: Option<String>,
    /// The output structure.
    pub output: Option<String>,
    /// The declared exceptions, in the model's order.
    pub errors: Vec<String>,
}

/// A member of a structure.
pub struct Member<'a> {
    /// The member's name.
    pub name: &'a str,
    /// The name of the shape.
    pub shape: &'a str,
    /// `uri`, `querystring`, `header`, `statusCode`, or `body`, or `payload`.
    pub location: &'a str,
    /// The name at that place.
    pub wire: &'a str,
    /// The model lists it under `required`.
    pub required: bool,
    /// A header that holds base64 of JSON.
    pub json_value: bool,
    /// The model says that it is deprecated.
    pub deprecated: bool,
}

impl Model {
    /// Reads `DATA/SERVICE/VERSION/service-2.json.gz`.
    pub fn read(data: &Path, service: &str, version: &str) -> Result<Self, String> {
        let origin = format!("{service}/{version}/service-2.json.gz");
        let path = data.join(&origin);
        let in_file = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
        let mut text = String::new();
        let file = File::open(&path).map_err(|e| in_file(&e))?;
        GzDecoder::new(file).read_to_string(&mut text).map_err(|e| in_file(&e))?;
        let root: Value = serde_json::from_str(&text).map_err(|e| in_file(&e))?;
        let signing_name = text_at(&root, &["metadata", "signingName"]).to_owned();
        let operations = object(root.get("operations")).values().map(operation).collect();
        let shapes = object(root.get("shapes")).iter().map(|(k, v)| (k.clone(), v.clone())).collect();
        Ok(Self { signing_name, origin, operations, shapes })
    }

    /// A shape by name; an unknown name is an empty shape, which the emitters refuse by its missing type.
    pub fn shape(&self, name: &str) -> &Value {
        self.shapes.get(name).unwrap_or(&Value::Null)
    }

    /// The type of a shape: `structure`, `list`, `map`, `string`, `integer`...
    pub fn kind(&self, name: &str) -> &str {
        text_at(self.shape(name), &["type"])
    }

    /// The members of a structure in the model's order.
    pub fn members(&self, structure: &str) -> Vec<Member<'_>> {
        let shape = self.shape(structure);
        let payload = text_at(shape, &["payload"]);
        let required: BTreeSet<&str> = strings(shape.get("required")).into_iter().collect();
        object(shape.get("members"))
            .iter()
            .map(|(name, value)| Member {
                name,
                shape: text_at(value, &["shape"]),
                location: match value.get("location").and_then(Value::as_str) {
                    Some(location) => location,
                    None if name == payload => "payload",
                    None => "body",
                },
                wire: value.get("locationName").and_then(Value::as_str).unwrap_or(name),
                required: required.contains(name.as_str()),
                json_value: value.get("jsonvalue").and_then(Value::as_bool).unwrap_or(false),
                deprecated: value.get("deprecated").and_then(Value::as_bool).unwrap_or(false),
            })
            .collect()
    }

    /// The shapes that `name` refers to, itself included, in order of discovery.
    pub fn closure(&self, name: &str, found: &mut Vec<String>) {
        if name.is_empty() || found.iter().any(|f| f == name) {
            return;
        }
        found.push(name.to_owned());
        let shape = self.shape(name);
        for member in self.members(name) {
            self.closure(member.shape, found);
        }
        for part in ["member", "key", "value"] {
            self.closure(text_at(shape, &[part, "shape"]), found);
        }
    }
}

fn operation(value: &Value) -> Operation {
    let named = |path: &[&str]| Some(text_at(value, path).to_owned()).filter(|t| !t.is_empty());
    let errors = value.get("errors").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    Operation {
        name: text_at(value, &["name"]).to_owned(),
        method: text_at(value, &["http", "method"]).to_owned(),
        uri: text_at(value, &["http", "requestUri"]).to_owned(),
        status: value.pointer("/http/responseCode").and_then(Value::as_u64).unwrap_or(200),
        input: named(&["input", "shape"]),
        output: named(&["output", "shape"]),
        errors: errors.iter().map(|e| text_at(e, &["shape"]).to_owned()).collect(),
    }
}

/// The text at a path of keys, or nothing.
pub fn text_at<'a>(value: &'a Value, path: &[&str]) -> &'a str {
    path.iter().try_fold(value, |v, key| v.get(key)).and_then(Value::as_str).unwrap_or_default()
}

/// The strings of an array.
pub fn strings(value: Option<&Value>) -> Vec<&str> {
    value.and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect()
}

fn object(value: Option<&Value>) -> &Map<String, Value> {
    static EMPTY: std::sync::OnceLock<Map<String, Value>> = std::sync::OnceLock::new();
    value.and_then(Value::as_object).unwrap_or_else(|| EMPTY.get_or_init(Map::new))
}

/// `thingName` becomes `thing_name`, `certificateARN` `certificate_arn`.
pub fn snake(name: &str) -> String {
    let letters: Vec<char> = name.chars().collect();
    let mut out = String::new();
    for (index, letter) in letters.iter().enumerate() {
        let before = index.checked_sub(1).and_then(|i| letters.get(i));
        let after = letters.get(index + 1);
        let word_starts = before.is_some_and(|b| b.is_lowercase() || b.is_ascii_digit())
            || (before.is_some_and(|b| b.is_uppercase()) && after.is_some_and(|a| a.is_lowercase()));
        if letter.is_uppercase() && word_starts {
            out.push('_');
        }
        out.push(if letter.is_alphanumeric() { letter.to_ascii_lowercase() } else { '_' });
    }
    out
}

/// `PENDING_TRANSFER` becomes `PendingTransfer`, `iot:ClientId` `IotClientId`.
pub fn camel(name: &str) -> String {
    let shouting = !name.chars().any(char::is_lowercase);
    let mut out = String::new();
    for word in name.split(|c: char| !c.is_alphanumeric()).filter(|w| !w.is_empty()) {
        let (head, tail) = word.split_at(word.chars().next().map_or(0, char::len_utf8));
        out.push_str(&head.to_uppercase());
        out.push_str(&if shouting { tail.to_lowercase() } else { tail.to_owned() });
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_change_their_case() {
        for (from, to) in [
            ("thingName", "thing_name"),
            ("certificateARN", "certificate_arn"),
            ("mqtt5Configuration", "mqtt5_configuration"),
            ("PublicKey", "public_key"),
            ("lastModifiedTime", "last_modified_time"),
        ] {
            assert_eq!(snake(from), to);
        }
        assert_eq!(camel("PENDING_TRANSFER"), "PendingTransfer");
        assert_eq!(camel("iot:Thing.ThingName"), "IotThingThingName");
    }
}
