//! Policy documents inside other JSON: CloudFormation and CDK templates, Terraform plans, answers of the AWS CLI.
//!
//! Positions are those of the outer text. A document that is a string inside stands at the place of that string.

use policy::Position;
use serde_json::Value;
use serde_json::value::RawValue;
use std::collections::BTreeMap;

/// A document and where it was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Extracted {
    /// What it is called there: a logical id, a resource's address; empty for the document itself.
    pub name: String,
    /// The document's text, with intrinsic functions carried out.
    pub text: String,
    /// Where it begins.
    pub at: Position,
    /// True if lines and columns inside it can be told.
    pub in_place: bool,
}

/// The text holds no policy document; says what was expected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NothingFound(pub String);

/// Deeper modules of a Terraform plan than this are not looked into.
const DEEPEST: usize = 32;

type Raw<'a> = BTreeMap<String, &'a RawValue>;

/// Finds the documents in a JSON text. `place` gives Region and account for the pseudo parameters of CloudFormation.
///
/// # Errors
/// The text is not JSON, or has no document.
pub fn extract(text: &str, place: (&str, &str)) -> Result<Vec<Extracted>, NothingFound> {
    let root: Raw<'_> = serde_json::from_str(text).map_err(|error| {
        let hint =
            if text.trim_start().starts_with('{') { "" } else { " (YAML is not read: convert it to JSON)" };
        NothingFound(format!("it is not a JSON object: {error}{hint}"))
    })?;
    let mut found = Vec::new();
    if root.contains_key("Statement") {
        let at = Position { line: 1, column: 1 };
        return Ok(vec![Extracted { name: String::new(), text: text.into(), at, in_place: true }]);
    }
    if let Some(raw) = root.get("policyDocument") {
        found.extend(embedded(text, "policyDocument", raw, place));
    }
    if let Some(resources) = root.get("Resources") {
        found.extend(of_template(text, resources, place));
    }
    let values = root.get("planned_values").and_then(|raw| object(raw));
    if let Some(module) = values.as_ref().and_then(|values| values.get("root_module")) {
        found.extend(of_module(text, module, place, 0));
    }
    if found.is_empty() {
        return Err(NothingFound(
            "it has no policy document: neither Statement, nor policyDocument, nor Resources of AWS::IoT::Policy, nor \
             planned_values of aws_iot_policy"
                .into(),
        ));
    }
    Ok(found)
}

fn object(raw: &RawValue) -> Option<Raw<'_>> {
    serde_json::from_str(raw.get()).ok()
}

fn list(raw: &RawValue) -> Vec<&RawValue> {
    serde_json::from_str(raw.get()).unwrap_or_default()
}

fn string(raw: &RawValue) -> Option<String> {
    serde_json::from_str(raw.get()).ok()
}

fn of_template(text: &str, resources: &RawValue, place: (&str, &str)) -> Vec<Extracted> {
    let policies = object(resources).unwrap_or_default().into_iter().filter_map(|(name, raw)| {
        let resource = object(raw)?;
        if string(resource.get("Type")?)? != "AWS::IoT::Policy" {
            return None;
        }
        let document = *object(resource.get("Properties")?)?.get("PolicyDocument")?;
        embedded(text, &name, document, place)
    });
    policies.collect()
}

fn of_module(text: &str, module: &RawValue, place: (&str, &str), depth: usize) -> Vec<Extracted> {
    let Some(module) = object(module).filter(|_| depth < DEEPEST) else { return Vec::new() };
    let mut found = Vec::new();
    for raw in module.get("resources").map(|raw| list(raw)).unwrap_or_default() {
        let Some(resource) = object(raw) else { continue };
        let kind = resource.get("type").and_then(|raw| string(raw));
        let document =
            resource.get("values").and_then(|raw| object(raw)).and_then(|v| v.get("policy").copied());
        if let (Some("aws_iot_policy"), Some(document)) = (kind.as_deref(), document) {
            let name = resource.get("address").and_then(|raw| string(raw)).unwrap_or_default();
            found.extend(embedded(text, &name, document, place));
        }
    }
    for child in module.get("child_modules").map(|raw| list(raw)).unwrap_or_default() {
        found.extend(of_module(text, child, place, depth + 1));
    }
    found
}

/// A document as an object or as a string.
fn embedded(text: &str, name: &str, raw: &RawValue, place: (&str, &str)) -> Option<Extracted> {
    let at = position(text, raw);
    if let Some(inner) = string(raw) {
        return Some(Extracted { name: name.into(), text: inner, at, in_place: false });
    }
    let intrinsic = raw.get().contains("\"Fn::") || raw.get().contains("\"Ref\"");
    let inner = match intrinsic {
        true => carried_out(serde_json::from_str(raw.get()).ok()?, place).to_string(),
        false => raw.get().to_owned(),
    };
    Some(Extracted { name: name.into(), text: inner, at, in_place: !intrinsic })
}

/// Where a part of a text begins.
fn position(text: &str, raw: &RawValue) -> Position {
    let offset = (raw.get().as_ptr() as usize).saturating_sub(text.as_ptr() as usize);
    let before = text.get(..offset).unwrap_or_default();
    let line = before.rsplit('\n').next().unwrap_or_default();
    Position { line: before.matches('\n').count() + 1, column: line.chars().count() + 1 }
}

/// Carries out the intrinsic functions whose values are known; what a template leaves open gets its name as value.
fn carried_out(value: Value, place: (&str, &str)) -> Value {
    match value {
        Value::Array(list) => Value::Array(list.into_iter().map(|v| carried_out(v, place)).collect()),
        Value::Object(map) => {
            if map.len() == 1
                && let Some((name, argument)) = map.iter().next()
                && let Some(text) = intrinsic(name, argument, place)
            {
                return Value::String(text);
            }
            Value::Object(map.into_iter().map(|(name, v)| (name, carried_out(v, place))).collect())
        }
        plain => plain,
    }
}

fn intrinsic(name: &str, argument: &Value, place: (&str, &str)) -> Option<String> {
    match (name, argument) {
        ("Ref", Value::String(name)) => Some(parameter(name, place)),
        ("Fn::Sub", Value::String(text)) => Some(substituted(text, place)),
        ("Fn::Sub", Value::Array(list)) => list.first()?.as_str().map(|text| substituted(text, place)),
        ("Fn::GetAtt", Value::String(text)) => Some(text.clone()),
        ("Fn::GetAtt", Value::Array(list)) => Some(texts(list, place).join(".")),
        ("Fn::Join", Value::Array(list)) => match list.as_slice() {
            [Value::String(separator), Value::Array(parts)] => Some(texts(parts, place).join(separator)),
            _ => None,
        },
        _ => None,
    }
}

fn texts(list: &[Value], place: (&str, &str)) -> Vec<String> {
    let text = |value: &Value| match carried_out(value.clone(), place) {
        Value::String(text) => text,
        other => other.to_string(),
    };
    list.iter().map(text).collect()
}

fn parameter(name: &str, (region, account): (&str, &str)) -> String {
    match name {
        "AWS::Region" => region.into(),
        "AWS::AccountId" => account.into(),
        "AWS::Partition" => "aws".into(),
        other => other.into(),
    }
}

/// `${NAME}` of CloudFormation; `${!NAME}` is `${NAME}` in the result.
fn substituted(text: &str, place: (&str, &str)) -> String {
    let mut result = String::new();
    let mut rest = text;
    while let Some((head, tail)) = rest.split_once("${") {
        result.push_str(head);
        let Some((name, after)) = tail.split_once('}') else {
            result.push_str("${");
            rest = tail;
            continue;
        };
        match name.strip_prefix('!') {
            Some(literal) => result.push_str(&format!("${{{literal}}}")),
            None => result.push_str(&parameter(name, place)),
        }
        rest = after;
    }
    result + rest
}

impl Extracted {
    /// A position inside the document as one of the outer text.
    pub fn outer(&self, inner: Position) -> Position {
        match (self.in_place, inner.line) {
            (false, _) => self.at,
            (true, 1) => Position { line: self.at.line, column: self.at.column + inner.column - 1 },
            (true, line) => Position { line: self.at.line + line - 1, column: inner.column },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLACE: (&str, &str) = ("eu-west-1", "123456789012");

    #[test]
    fn templates_and_plans_give_their_documents() {
        let template = r#"{"Resources": {
            "P": {"Type": "AWS::IoT::Policy", "Properties": {"PolicyDocument":
              {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "iot:Connect",
               "Resource": {"Fn::Sub": "arn:aws:iot:${AWS::Region}:${AWS::AccountId}:client/${!iot:ClientId}"}}]}}},
            "Q": {"Type": "AWS::IoT::Thing"}}}"#;
        let found = extract(template, PLACE).unwrap();
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].name.as_str(), found[0].at.line), ("P", 3));
        assert!(
            found[0].text.contains("arn:aws:iot:eu-west-1:123456789012:client/${iot:ClientId}"),
            "{}",
            found[0].text
        );
        let plan = r#"{"planned_values": {"root_module": {"child_modules": [{"resources": [
            {"address": "module.m.aws_iot_policy.p", "type": "aws_iot_policy", "values": {"policy": "{\"Statement\": []}"}}]}]}}}"#;
        let found = extract(plan, PLACE).unwrap();
        assert_eq!(
            (found[0].name.as_str(), found[0].text.as_str()),
            ("module.m.aws_iot_policy.p", "{\"Statement\": []}")
        );
        assert_eq!(found[0].outer(Position { line: 9, column: 9 }).line, 2);
    }

    #[test]
    fn other_texts_are_refused_with_a_reason() {
        assert!(extract("a: b", PLACE).unwrap_err().0.contains("YAML"));
        assert!(extract("{}", PLACE).unwrap_err().0.contains("AWS::IoT::Policy"));
    }

    #[test]
    fn joins_and_references_are_carried_out() {
        let join = serde_json::json!({"Fn::Join": ["", ["arn:aws:iot:", {"Ref": "AWS::Region"}, ":x"]]});
        assert_eq!(carried_out(join, PLACE), Value::String("arn:aws:iot:eu-west-1:x".into()));
    }
}
