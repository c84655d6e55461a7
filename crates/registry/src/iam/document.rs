//! The two kinds of documents of IAM: what an identity may do, and who may assume a role.
//!
//! Source: IAM user guide, *Grammar of the IAM JSON policy language*, *AWS JSON policy elements: Principal*.

use policy::{Document, MalformedPolicy};
use serde_json::{Map, Value};

/// Reads an identity policy. Its grammar is that of AWS IoT policies.
///
/// # Errors
/// The document is not one, or has more than `longest` characters.
pub fn parse_identity_policy(text: &str, longest: usize) -> Result<Document, MalformedPolicy> {
    Document::parse_within(text, longest)
}

/// A trust policy, read.
///
/// It is an identity policy whose statements have a Principal instead of a Resource. For a question it becomes the
/// identity policy of those statements that name the one who asks, so that actions and conditions are decided by the
/// engine that decides everything else.
#[derive(Clone, Debug)]
pub struct TrustPolicy {
    version: Option<Value>,
    statements: Vec<(Principals, Map<String, Value>)>,
}

/// Whom a statement names: pairs of kind (`AWS`, `Service`, `Federated`) and name; `*` of no kind is everybody.
type Principals = Vec<(String, String)>;

impl TrustPolicy {
    /// Reads one.
    ///
    /// # Errors
    /// What is wrong, for a person.
    pub fn parse(text: &str, longest: usize) -> Result<Self, String> {
        if Document::characters(text) > longest {
            return Err(format!("it has more than {longest} characters"));
        }
        let json: Value = serde_json::from_str(text).map_err(|error| format!("it is not JSON: {error}"))?;
        let Value::Object(mut root) = json else { return Err("it is not a JSON object".into()) };
        let list = match root.remove("Statement") {
            Some(Value::Array(list)) if !list.is_empty() => list,
            Some(one @ Value::Object(_)) => vec![one],
            _ => return Err("it has no Statement".into()),
        };
        let statements = list.into_iter().map(statement).collect::<Result<_, _>>()?;
        let trust = Self { version: root.remove("Version"), statements };
        // What the engine will not understand later is refused now.
        trust.whole(longest)?;
        Ok(trust)
    }

    /// All statements that name somebody, as an identity policy; `None` if there is none.
    ///
    /// # Errors
    /// They are not understood.
    pub fn whole(&self, longest: usize) -> Result<Option<Document>, String> {
        self.document_if(longest, |_, _| true)
    }

    /// The statements that name one of `principals` (kind and name), as an identity policy; `None` if there is none.
    ///
    /// # Errors
    /// They are not understood.
    pub fn naming(&self, principals: &[(&str, &str)], longest: usize) -> Result<Option<Document>, String> {
        self.document_if(longest, |kind, name| {
            (kind.is_empty() && name == "*")
                || principals.iter().any(|(k, n)| *k == kind && (name == "*" || *n == name))
        })
    }

    /// The statements that name this principal itself, and not only as one of everybody.
    ///
    /// # Errors
    /// They are not understood.
    pub fn naming_itself(&self, principal: (&str, &str), longest: usize) -> Result<Option<Document>, String> {
        self.document_if(longest, |kind, name| (kind, name) == principal)
    }

    fn document_if(
        &self,
        longest: usize,
        names: impl Fn(&str, &str) -> bool,
    ) -> Result<Option<Document>, String> {
        let chosen = self
            .statements
            .iter()
            .filter(|(principals, _)| principals.iter().any(|(kind, name)| names(kind, name)));
        let chosen: Vec<Value> = chosen.map(|(_, statement)| Value::Object(statement.clone())).collect();
        if chosen.is_empty() {
            return Ok(None);
        }
        let mut root = Map::new();
        root.extend(self.version.clone().map(|version| ("Version".to_owned(), version)));
        root.insert("Statement".into(), chosen.into());
        // A Resource is added to each statement: what is allowed beside the text's own length.
        let longest = longest.saturating_mul(2);
        let document = Document::parse_within(&Value::Object(root).to_string(), longest);
        document.map(Some).map_err(|malformed| malformed.to_string())
    }
}

fn statement(value: Value) -> Result<(Principals, Map<String, Value>), String> {
    let Value::Object(mut statement) = value else { return Err("a statement is not an object".into()) };
    if ["Resource", "NotResource", "NotPrincipal"].iter().any(|name| statement.contains_key(*name)) {
        return Err(
            "a statement has Resource, NotResource or NotPrincipal: a trust policy has Principal only".into(),
        );
    }
    let principals = match statement.remove("Principal") {
        Some(Value::String(all)) if all == "*" => vec![(String::new(), all)],
        Some(Value::Object(kinds)) => kinds.into_iter().map(named).collect::<Result<Vec<_>, _>>()?.concat(),
        _ => return Err("a statement has no Principal, or one that is neither \"*\" nor an object".into()),
    };
    statement.insert("Resource".into(), "*".into());
    Ok((principals, statement))
}

fn named((kind, names): (String, Value)) -> Result<Principals, String> {
    if !["AWS", "Service", "Federated", "CanonicalUser"].contains(&kind.as_str()) {
        return Err(format!("a Principal is of the kind {kind:?}, which does not exist"));
    }
    let names = match names {
        Value::Array(list) => list,
        one => vec![one],
    };
    let text = |name: Value| match name {
        Value::String(name) => Ok((kind.clone(), name)),
        _ => Err(format!("a Principal of the kind {kind} is not a string")),
    };
    names.into_iter().map(text).collect()
}
