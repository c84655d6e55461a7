//! Writes the route and constraint tables that the API interprets at run time, one file per service.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::Value;

use super::model::{Member, Model, Operation, snake, strings, text_at};
use super::patterns::Patterns;

/// Labels that take the rest of the path although the model does not say so: a topic may be written with its
/// slashes as they are (developer guide, *Publish using HTTPS*: `POST /topics/my/topic?qos=1`).
const GREEDY: &[(&str, &str)] = &[("Publish", "topic"), ("GetRetainedMessage", "topic")];

/// The text of one service's table.
pub fn emit(model: &Model, variant: &str, patterns: &mut Patterns, header: &str) -> Result<String, String> {
    let mut shapes = Vec::new();
    for input in model.operations.iter().filter_map(|o| o.input.as_deref()) {
        model.closure(input, &mut shapes);
    }
    let mut statics = BTreeMap::new();
    for name in &shapes {
        let text = shape(model, name, patterns)?;
        if statics.insert(constant(name), text).is_some() {
            return Err(format!("two shapes of {} become {}", model.origin, constant(name)));
        }
    }
    let mut operations: Vec<&Operation> = model.operations.iter().collect();
    operations.sort_by(|a, b| a.name.cmp(&b.name));
    let mut out =
        format!("{header}//! Operations and shapes of `{}` ({}).\n\n", model.signing_name, model.origin);
    let rows: Vec<String> =
        operations.iter().map(|o| self::operation(model, o, variant)).collect::<Result<_, _>>()?;
    let (count, rows) = (rows.len(), rows.concat());
    let bounds = if rows.contains("Bound {") { "Bound, Location, " } else { "" };
    let _ = writeln!(
        out,
        "use super::patterns::*;\nuse crate::model::{{{bounds}Member, Operation, Service, Shape}};\n"
    );
    let _ = writeln!(out, "/// The operations, by name.\n#[rustfmt::skip]");
    let _ = writeln!(out, "pub static OPERATIONS: [Operation; {count}] = [\n{rows}];\n");
    for (name, text) in statics {
        let _ = writeln!(out, "#[rustfmt::skip]\nstatic {name}: Shape = {text};");
    }
    Ok(out)
}

fn operation(model: &Model, operation: &Operation, variant: &str) -> Result<String, String> {
    let Operation { name, method, uri, status, .. } = operation;
    let uri = GREEDY
        .iter()
        .filter(|(op, _)| op == name)
        .fold(uri.clone(), |uri, (_, label)| uri.replace(&format!("{{{label}}}"), &format!("{{{label}+}}")));
    let input =
        operation.input.as_deref().ok_or_else(|| format!("{name} has no input: teach models/tables.rs"))?;
    let input = constant(input);
    let outputs = operation.output.as_deref().map(|o| model.members(o)).unwrap_or_default();
    let bounds: Vec<String> = outputs
        .iter()
        .filter(|m| m.location != "body")
        .map(|m| format!("Bound {{ name: {:?}, wire: {:?}, at: {} }}", m.name, m.wire, location(m.location)))
        .collect();
    let errors: Vec<String> = operation.errors.iter().map(|e| format!("{e:?}")).collect();
    Ok(format!(
        "    Operation {{ service: Service::{variant}, name: {name:?}, method: {method:?}, uri: {uri:?}, status: {status}, \
         input: &{input},\n        output: &[{}],\n        errors: &[{}] }},\n",
        bounds.join(", "),
        errors.join(", ")
    ))
}

fn location(name: &str) -> &'static str {
    match name {
        "uri" => "Location::Uri",
        "querystring" => "Location::Query",
        "header" => "Location::Header",
        "statusCode" => "Location::StatusCode",
        "payload" => "Location::Payload",
        _ => "Location::Body",
    }
}

/// The expression that builds a shape.
fn shape(model: &Model, name: &str, patterns: &mut Patterns) -> Result<String, String> {
    let value = model.shape(name);
    let part = |key: &str| format!("&{}", constant(text_at(value, &[key, "shape"])));
    let mut out = match model.kind(name) {
        "structure" => {
            let members: Vec<String> =
                model.members(name).iter().map(|m| format!("    {},\n", member(m))).collect();
            format!("Shape::structure(&[\n{}])", members.concat())
        }
        "list" => format!("Shape::list({})", part("member")),
        "map" => format!("Shape::map({}, {})", part("key"), part("value")),
        "string" => "Shape::text()".into(),
        "integer" | "long" => "Shape::integer()".into(),
        "double" | "float" => "Shape::number()".into(),
        "boolean" => "Shape::boolean()".into(),
        "timestamp" => "Shape::time()".into(),
        "blob" => "Shape::blob()".into(),
        other => return Err(format!("shape {name} has the unknown type {other:?}")),
    };
    for (key, method) in [("min", "at_least"), ("max", "at_most")] {
        if let Some(bound) = value.get(key).and_then(Value::as_f64) {
            let _ = write!(out, ".{method}({bound:?})");
        }
    }
    if let Some(pattern) = value.get("pattern").and_then(Value::as_str) {
        let _ = write!(out, ".pattern(&{})", patterns.constant(pattern)?);
    }
    let values = strings(value.get("enum"));
    if !values.is_empty() {
        let _ = write!(out, ".one_of(&{values:?})");
    }
    if value.get("sensitive").is_some() {
        out.push_str(".sensitive()");
    }
    Ok(out)
}

fn member(member: &Member<'_>) -> String {
    let constructor = match member.location {
        "uri" => "uri",
        "querystring" => "query",
        "header" => "header",
        "payload" => "payload",
        _ => "body",
    };
    let mut out = format!("Member::{constructor}({:?}, &{})", member.name, constant(member.shape));
    if member.wire != member.name {
        let _ = write!(out, ".wire({:?})", member.wire);
    }
    if member.required {
        out.push_str(".required()");
    }
    if member.json_value {
        out.push_str(".json_value()");
    }
    out
}

/// `ThingName` becomes `THING_NAME`.
fn constant(shape: &str) -> String {
    snake(shape).to_uppercase()
}
