//! JSON as policies need it: positions for every element, duplicate names refused, nothing kept but borrowed text.
//!
//! Elements stay raw text until the grammar asks for them, so nesting deeper than the grammar is never walked.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::MalformedPolicy;

/// One JSON value inside a document.
#[derive(Clone, Copy)]
pub(crate) struct Node<'a> {
    document: &'a str,
    raw: &'a RawValue,
}

/// What kind of value a node is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    Object,
    Array,
    String,
    Scalar,
    Null,
}

impl<'a> Node<'a> {
    /// The whole document.
    pub(crate) fn root(document: &'a str) -> Result<Self, MalformedPolicy> {
        match serde_json::from_str(document) {
            Ok(raw) => Ok(Self { document, raw }),
            Err(error) => Err(MalformedPolicy::syntax(format!("it is not JSON: {error}"), None)),
        }
    }

    pub(crate) fn shape(&self) -> Shape {
        match self.raw.get().as_bytes().first() {
            Some(b'{') => Shape::Object,
            Some(b'[') => Shape::Array,
            Some(b'"') => Shape::String,
            Some(b'n') => Shape::Null,
            _ => Shape::Scalar,
        }
    }

    /// A fault at this place.
    pub(crate) fn fault(&self, detail: impl Into<String>) -> MalformedPolicy {
        MalformedPolicy::syntax(detail.into(), Some(self.offset()).map(|at| self.position(at)))
    }

    /// The same with AWS's text for a resource that is not an ARN.
    pub(crate) fn resource_fault(&self, value: &str) -> MalformedPolicy {
        MalformedPolicy::resource(value, Some(self.position(self.offset())))
    }

    /// Names and values of an object.
    pub(crate) fn members(&self, what: &str) -> Result<Vec<(String, Self)>, MalformedPolicy> {
        if self.shape() != Shape::Object {
            return Err(self.fault(format!("{what} must be an object")));
        }
        let Members(members) = self.read()?;
        let mut seen = std::collections::BTreeSet::new();
        let mut nodes = Vec::with_capacity(members.len());
        for (name, raw) in &members {
            let node = Self { document: self.document, raw };
            if !seen.insert(name.as_str()) {
                return Err(node.fault(format!("{what} has two elements named {name:?}")));
            }
            nodes.push((name.clone(), node));
        }
        Ok(nodes)
    }

    /// The elements of an array, or the value itself.
    pub(crate) fn elements(&self) -> Result<Vec<Self>, MalformedPolicy> {
        if self.shape() != Shape::Array {
            return Ok(vec![*self]);
        }
        let elements: Vec<&'a RawValue> = self.read()?;
        Ok(elements.into_iter().map(|raw| Self { document: self.document, raw }).collect())
    }

    /// The text of a string.
    pub(crate) fn string(&self, what: &str) -> Result<String, MalformedPolicy> {
        match self.shape() {
            Shape::String => self.read(),
            _ => Err(self.fault(format!("{what} must be a string"))),
        }
    }

    /// The text of a string, number or boolean.
    pub(crate) fn scalar(&self, what: &str) -> Result<String, MalformedPolicy> {
        match self.shape() {
            Shape::String => self.read(),
            Shape::Scalar => Ok(self.raw.get().to_owned()),
            _ => Err(self.fault(format!("{what} must be a string, a number or a boolean"))),
        }
    }

    fn read<T: Deserialize<'a>>(&self) -> Result<T, MalformedPolicy> {
        serde_json::from_str(self.raw.get()).map_err(|error| self.fault(format!("it is not JSON: {error}")))
    }

    /// Where it begins.
    pub(crate) fn at(&self) -> crate::Position {
        self.position(self.offset())
    }

    fn offset(&self) -> usize {
        (self.raw.get().as_ptr() as usize).saturating_sub(self.document.as_ptr() as usize)
    }

    fn position(&self, offset: usize) -> crate::Position {
        let before = self.document.get(..offset).unwrap_or_default();
        let line = before.rsplit('\n').next().unwrap_or_default();
        crate::Position { line: before.matches('\n').count() + 1, column: line.chars().count() + 1 }
    }
}

/// The members of an object in their order, duplicates included.
struct Members<'a>(Vec<(String, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(MembersVisitor)
    }
}

struct MembersVisitor;

impl<'de> Visitor<'de> for MembersVisitor {
    type Value = Members<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut members = Vec::new();
        while let Some(member) = map.next_entry()? {
            members.push(member);
        }
        Ok(Members(members))
    }
}
