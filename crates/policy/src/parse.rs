//! The grammar of policy documents: IAM's, without principals.
//!
//! Sources: IAM user guide, *Grammar of the IAM JSON policy language*; developer guide, *AWS IoT Core policies*;
//! API reference, *CreatePolicy*.

use std::collections::BTreeSet;

use crate::condition::Condition;
use crate::document::{Choice, Statement};
use crate::glob::Glob;
use crate::json::{Node, Shape};
use crate::operator::Operator;
use crate::resource::Resource;
use crate::{Document, Effect, MalformedPolicy};

type Parsed<T> = Result<T, MalformedPolicy>;

pub(crate) fn document(text: &str, longest: usize) -> Parsed<Document> {
    check_size(text, longest)?;
    let root = Node::root(text)?;
    let (mut statement, mut variables) = (None, false);
    for (name, node) in root.members("the policy document")? {
        match name.as_str() {
            "Version" => variables = version(&node)?,
            "Id" => drop(node.string("Id")?),
            "Statement" => statement = Some(node),
            _ => return Err(node.fault(unknown(&name, "the policy document", "Version, Id and Statement"))),
        }
    }
    let list = statement.ok_or_else(|| root.fault("the policy document has no Statement"))?;
    let mut sids = BTreeSet::new();
    let mut statements = Vec::new();
    for node in list.elements()? {
        let statement = Draft::read(&node, variables)?.finish(&node)?;
        if statement.sid.as_ref().is_some_and(|sid| !sids.insert(sid.clone())) {
            return Err(node.fault("two statements have the same Sid"));
        }
        statements.push(statement);
    }
    if statements.is_empty() {
        return Err(list.fault("Statement is empty: it needs at least one statement"));
    }
    Resource::share_places(statements.iter_mut().flat_map(|statement| &mut statement.resources.of));
    Ok(Document { statements: statements.into() })
}

fn check_size(text: &str, longest: usize) -> Parsed<()> {
    // The bytes first: nothing is walked character by character that a caller had no right to send.
    let as_sent =
        text.len() > Document::LONGEST_AS_SENT * 4 || text.chars().count() > Document::LONGEST_AS_SENT;
    if as_sent {
        return Err(MalformedPolicy::size(text.len(), longest));
    }
    let characters = Document::characters(text);
    if characters > longest { Err(MalformedPolicy::size(characters, longest)) } else { Ok(()) }
}

/// True if the version has variables.
fn version(node: &Node<'_>) -> Parsed<bool> {
    match node.string("Version")?.as_str() {
        "2012-10-17" => Ok(true),
        "2008-10-17" => Ok(false),
        other => Err(node.fault(format!("Version {other:?} does not exist: use \"2012-10-17\""))),
    }
}

fn unknown(name: &str, place: &str, known: &str) -> String {
    format!("{place} has an unknown element {name:?}: it may have {known}")
}

/// A statement as far as it has been read.
#[derive(Default)]
struct Draft {
    sid: Option<Box<str>>,
    effect: Option<Effect>,
    actions: Option<Choice<Glob>>,
    resources: Option<Choice<Resource>>,
    conditions: Vec<Condition>,
}

impl Draft {
    fn read(node: &Node<'_>, variables: bool) -> Parsed<Self> {
        let mut draft = Self::default();
        for (name, node) in node.members("a statement")? {
            match name.as_str() {
                "Sid" => draft.sid = Some(node.string("Sid")?.into()),
                "Effect" => draft.effect = Some(effect(&node)?),
                "Action" | "NotAction" => set(&mut draft.actions, &node, actions(&name, &node)?)?,
                "Resource" | "NotResource" => {
                    set(&mut draft.resources, &node, resources(&name, &node, variables)?)?;
                }
                "Condition" => draft.conditions = conditions(&node, variables)?,
                "Principal" | "NotPrincipal" => {
                    let why = "the principals of an AWS IoT policy are those it is attached to";
                    return Err(node.fault(format!("a statement has {name}, but {why}: remove it")));
                }
                _ => {
                    let known = "Sid, Effect, Action, NotAction, Resource, NotResource and Condition";
                    return Err(node.fault(unknown(&name, "a statement", known)));
                }
            }
        }
        Ok(draft)
    }

    fn finish(self, node: &Node<'_>) -> Parsed<Statement> {
        let missing = |name: &str| node.fault(format!("a statement has no {name}"));
        Ok(Statement {
            sid: self.sid,
            effect: self.effect.ok_or_else(|| missing("Effect"))?,
            actions: self.actions.ok_or_else(|| missing("Action"))?,
            resources: self.resources.ok_or_else(|| missing("Resource"))?,
            conditions: self.conditions.into(),
        })
    }
}

/// An element and its Not form exclude each other.
fn set<T>(slot: &mut Option<Choice<T>>, node: &Node<'_>, choice: Choice<T>) -> Parsed<()> {
    match slot.replace(choice) {
        None => Ok(()),
        Some(_) => Err(node.fault("a statement has both an element and its Not form: keep one")),
    }
}

fn effect(node: &Node<'_>) -> Parsed<Effect> {
    match node.string("Effect")?.as_str() {
        "Allow" => Ok(Effect::Allow),
        "Deny" => Ok(Effect::Deny),
        other => Err(node.fault(format!("Effect {other:?} does not exist: use \"Allow\" or \"Deny\""))),
    }
}

/// The texts of a string or a list of strings, at least one.
fn strings<'a>(name: &str, node: &Node<'a>) -> Parsed<Vec<(String, Node<'a>)>> {
    let texts: Vec<_> =
        node.elements()?.into_iter().map(|n| n.string(name).map(|text| (text, n))).collect::<Parsed<_>>()?;
    if texts.is_empty() { Err(node.fault(format!("{name} is empty"))) } else { Ok(texts) }
}

fn actions(name: &str, node: &Node<'_>) -> Parsed<Choice<Glob>> {
    let mut of = Vec::new();
    for (text, node) in strings(name, node)? {
        let letters = |vendor: &str| {
            !vendor.is_empty() && vendor.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
        };
        let named = text.split_once(':').is_some_and(|(vendor, name)| letters(vendor) && !name.is_empty());
        if !named && text != "*" {
            return Err(node.fault(format!("the action {text:?} is not of the form iot:Name, or *")));
        }
        of.push(Glob::parse(&text.to_ascii_lowercase()));
    }
    Ok(Choice { negated: name == "NotAction", of: of.into() })
}

fn resources(name: &str, node: &Node<'_>, variables: bool) -> Parsed<Choice<Resource>> {
    let mut of = Vec::new();
    for (text, node) in strings(name, node)? {
        of.push(Resource::parse(&text, variables).ok_or_else(|| node.resource_fault(&text))?);
    }
    Ok(Choice { negated: name == "NotResource", of: of.into() })
}

fn conditions(node: &Node<'_>, variables: bool) -> Parsed<Vec<Condition>> {
    let mut conditions = Vec::new();
    for (name, node) in node.members("Condition")? {
        let operator = Operator::parse(&name)
            .ok_or_else(|| node.fault(format!("the condition operator {name:?} does not exist")))?;
        for (key, node) in node.members(&name)? {
            if !key.split_once(':').is_some_and(|(vendor, rest)| !vendor.is_empty() && !rest.is_empty()) {
                return Err(node.fault(format!("the condition key {key:?} is not of the form iot:Name")));
            }
            let values = values(&key, &node)?;
            let condition = Condition::new(&name, operator, &key, &values, variables)
                .map_err(|value| node.fault(format!("{name} cannot compare {key} with {value:?}")))?;
            conditions.push(condition);
        }
    }
    Ok(conditions)
}

fn values(key: &str, node: &Node<'_>) -> Parsed<Vec<String>> {
    if node.shape() == Shape::Object {
        return Err(node.fault(format!("the values of {key} must be a string or a list of strings")));
    }
    node.elements()?.iter().map(|node| node.scalar(key)).collect()
}
