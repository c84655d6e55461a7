//! Writes the serde structures of the built operations.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::Value;

use super::model::{Model, camel, snake, strings, text_at};

/// What stands above the structures: the types of AWS's scalars that Rust has no type for.
const PRELUDE: &str = include_str!("shapes_prelude.txt");

/// The text of `shapes.rs` for the given operations of each model.
pub fn emit(models: &[(&Model, &[&str])], header: &str) -> Result<String, String> {
    let mut out = format!("{header}\n{PRELUDE}");
    let mut written = BTreeMap::new();
    for (model, built) in models {
        for name in *built {
            let operation = model
                .operations
                .iter()
                .find(|o| o.name == *name)
                .ok_or_else(|| format!("{} has no operation {name}", model.origin))?;
            let mut shapes = Vec::new();
            for root in [&operation.input, &operation.output].into_iter().flatten() {
                model.closure(root, &mut shapes);
            }
            for shape in shapes {
                emit_once(model, &shape, &mut written)?;
            }
        }
    }
    for text in written.values() {
        out.push_str(text);
    }
    Ok(out)
}

fn emit_once(model: &Model, shape: &str, written: &mut BTreeMap<String, String>) -> Result<(), String> {
    let text = match model.kind(shape) {
        "structure" => structure(model, shape)?,
        "string" if model.shape(shape).get("enum").is_some() => enumeration(model, shape),
        _ => return Ok(()),
    };
    match written.insert(type_name(shape), text.clone()) {
        Some(other) if other != text => Err(format!("two services have different shapes named {shape}")),
        _ => Ok(()),
    }
}

fn structure(model: &Model, name: &str) -> Result<String, String> {
    let members = model.members(name);
    let no_default = members.iter().any(|m| m.required && is_enumeration(model, m.shape));
    let default = if no_default { "" } else { "Default, " };
    let mut out =
        format!("\n/// `{name}`\n#[derive(Clone, Debug, {default}PartialEq, Serialize, Deserialize)]\n");
    if members.is_empty() {
        let _ = writeln!(out, "pub struct {} {{}}", type_name(name));
        return Ok(out);
    }
    let _ = writeln!(out, "pub struct {} {{", type_name(name));
    for member in members {
        let facts = facts(model, member.shape);
        let place = match member.location {
            "body" => String::new(),
            place => format!(" ({place} `{}`)", member.wire),
        };
        let deprecated = if member.deprecated { "; deprecated" } else { "" };
        let _ = writeln!(out, "    /// `{}`{place}{facts}{deprecated}", member.name);
        let key = if member.location == "body" { member.wire } else { member.name };
        let base = if member.json_value { "Value".to_owned() } else { rust_type(model, member.shape)? };
        let raw = member.location == "payload" && model.kind(member.shape) == "blob";
        let (attribute, typed) = match (raw, member.required) {
            (true, _) => ("skip".to_owned(), "Bytes".to_owned()),
            (false, true) => (format!("rename = \"{key}\""), base),
            (false, false) => (
                format!("rename = \"{key}\", default, skip_serializing_if = \"Option::is_none\""),
                format!("Option<{base}>"),
            ),
        };
        let _ = writeln!(out, "    #[serde({attribute})]\n    pub {}: {typed},", field_name(member.name));
    }
    out.push_str("}\n");
    Ok(out)
}

fn enumeration(model: &Model, name: &str) -> String {
    let type_name = type_name(name);
    let values = strings(model.shape(name).get("enum"));
    let mut out =
        format!("\n/// `{name}`\n#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]\n");
    let _ = writeln!(out, "pub enum {type_name} {{");
    for value in &values {
        let _ = writeln!(out, "    /// `{value}`\n    #[serde(rename = \"{value}\")]\n    {},", camel(value));
    }
    let _ = write!(
        out,
        "}}\n\nimpl {type_name} {{\n    /// The spelling on the wire.\n    pub fn as_str(self) -> &'static str {{\n        match self {{\n"
    );
    for value in &values {
        let _ = writeln!(out, "            Self::{} => \"{value}\",", camel(value));
    }
    let _ = write!(
        out,
        "        }}\n    }}\n}}\n\nimpl std::str::FromStr for {type_name} {{\n    type Err = UnknownValue;\n    fn from_str(text: &str) -> Result<Self, UnknownValue> {{\n        match text {{\n"
    );
    for value in &values {
        let _ = writeln!(out, "            \"{value}\" => Ok(Self::{}),", camel(value));
    }
    out.push_str("            _ => Err(UnknownValue),\n        }\n    }\n}\n");
    out
}

fn rust_type(model: &Model, shape: &str) -> Result<String, String> {
    let value = model.shape(shape);
    Ok(match model.kind(shape) {
        "structure" => type_name(shape),
        "string" if value.get("enum").is_some() => type_name(shape),
        "string" if value.get("sensitive").is_some() => "Secret".into(),
        "string" => "String".into(),
        "integer" => "i32".into(),
        "long" => "i64".into(),
        "double" | "float" => "f64".into(),
        "boolean" => "bool".into(),
        "timestamp" => "EpochSeconds".into(),
        "blob" => "Blob".into(),
        "list" => format!("Vec<{}>", rust_type(model, text_at(value, &["member", "shape"]))?),
        "map" => format!("BTreeMap<String, {}>", rust_type(model, text_at(value, &["value", "shape"]))?),
        other => return Err(format!("shape {shape} has the unknown type {other:?}")),
    })
}

/// The limits of a shape in a few words, for the field's documentation.
fn facts(model: &Model, shape: &str) -> String {
    let value = model.shape(shape);
    let bound = |key: &str| value.get(key).and_then(Value::as_f64);
    let unit = match model.kind(shape) {
        "string" => " characters",
        "list" | "map" => " entries",
        "blob" => " bytes",
        _ => "",
    };
    let mut out = match (bound("min"), bound("max")) {
        (Some(low), Some(high)) => format!(", {low} to {high}{unit}"),
        (Some(low), None) => format!(", at least {low}{unit}"),
        (None, Some(high)) => format!(", at most {high}{unit}"),
        (None, None) => String::new(),
    };
    if let Some(pattern) = value.get("pattern").and_then(Value::as_str) {
        let _ = write!(out, ", `{pattern}`");
    }
    out
}

fn is_enumeration(model: &Model, shape: &str) -> bool {
    model.shape(shape).get("enum").is_some()
}

fn type_name(shape: &str) -> String {
    let (head, tail) = shape.split_at(shape.chars().next().map_or(0, char::len_utf8));
    head.to_uppercase() + tail
}

fn field_name(member: &str) -> String {
    match snake(member).as_str() {
        word @ ("type" | "match" | "ref" | "enum" | "use" | "in" | "move") => format!("r#{word}"),
        name => name.to_owned(),
    }
}
