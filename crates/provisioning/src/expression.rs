//! Values of a template: text, lists, and functions of them, as the template writes them.
//!
//! Source: developer guide, *Provisioning templates*, *Intrinsic functions*.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use crate::fault::{Fault, Place};
use crate::limits;

/// A value that is known when the parameters are.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Expression {
    /// Text, or a number or truth value in JSON's spelling.
    Text(String),
    /// `null`.
    Null,
    /// Several values.
    List(Vec<Self>),
    /// `{"Ref": NAME}`.
    Ref(String),
    /// `{"Fn::Join": [DELIMITER, LIST]}`.
    Join(Box<[Self; 2]>),
    /// `{"Fn::Select": [INDEX, LIST]}`.
    Select(Box<[Self; 2]>),
    /// `{"Fn::FindInMap": [MAP, KEY, SUBKEY]}`.
    FindInMap(Box<[Self; 3]>),
    /// `{"Fn::Split": [DELIMITER, TEXT]}`.
    Split(Box<[Self; 2]>),
    /// `{"Fn::Sub": TEXT}` or `{"Fn::Sub": [TEXT, {NAME: VALUE}]}`.
    Sub(String, BTreeMap<String, Self>),
}

/// What a Ref may name.
pub(crate) trait Names {
    /// Whether a parameter may be referred to.
    fn knows(&self, parameter: &str) -> bool;
}

/// Whether an object is a function and not just an object: its one member is `Ref` or begins with `Fn::`.
pub(crate) fn is_function(object: &Map<String, Value>) -> bool {
    object.len() == 1 && object.keys().all(|name| name == "Ref" || name.starts_with("Fn::"))
}

impl Expression {
    /// Reads a value.
    pub fn parse(value: &Value, names: &dyn Names, place: &Place<'_>) -> Result<Self, Fault> {
        parse(value, names, place, 0)
    }

    /// The names of the parameters whose values become part of a longer text, where Fn::Join and Fn::Sub put them. A
    /// parameter that is the whole text is none of them, nor one that only chooses what `Mappings` hold.
    pub fn embedded(&self) -> BTreeSet<&str> {
        let mut names = BTreeSet::new();
        self.collect_embedded(false, &mut names);
        names
    }

    fn collect_embedded<'a>(&'a self, inside: bool, names: &mut BTreeSet<&'a str>) {
        match self {
            Self::Ref(name) if inside => {
                names.insert(name);
            }
            Self::Text(_) | Self::Null | Self::Ref(_) | Self::FindInMap(_) => {}
            Self::List(elements) => elements.iter().for_each(|it| it.collect_embedded(inside, names)),
            Self::Join(parts) => parts.iter().for_each(|it| it.collect_embedded(true, names)),
            Self::Select(parts) | Self::Split(parts) => {
                parts.iter().for_each(|it| it.collect_embedded(inside, names));
            }
            Self::Sub(text, variables) => {
                variables.values().for_each(|it| it.collect_embedded(true, names));
                names.extend(variable_names(text).filter(|name| !variables.contains_key(*name)));
            }
        }
    }
}

/// The names between `${` and `}` in the text of Fn::Sub, from left to right.
fn variable_names(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let (name, tail) = rest.split_once("${")?.1.split_once('}')?;
        rest = tail;
        Some(name)
    })
}

fn parse(value: &Value, names: &dyn Names, place: &Place<'_>, depth: usize) -> Result<Expression, Fault> {
    if depth > limits::DEPTH {
        return Err(Fault::at(place, format!("functions and lists nest deeper than {}", limits::DEPTH)));
    }
    match value {
        Value::Null => Ok(Expression::Null),
        Value::String(text) => Ok(Expression::Text(text.clone())),
        Value::Bool(_) | Value::Number(_) => Ok(Expression::Text(value.to_string())),
        Value::Array(elements) => list(elements, names, place, depth).map(Expression::List),
        Value::Object(object) => function(object, names, place, depth),
    }
}

fn list(
    elements: &[Value],
    names: &dyn Names,
    place: &Place<'_>,
    depth: usize,
) -> Result<Vec<Expression>, Fault> {
    let parsed = elements.iter().enumerate();
    parsed.map(|(index, element)| parse(element, names, &place.element(index), depth + 1)).collect()
}

fn function(
    object: &Map<String, Value>,
    names: &dyn Names,
    place: &Place<'_>,
    depth: usize,
) -> Result<Expression, Fault> {
    let mut members = object.iter();
    let (Some((name, argument)), None) = (members.next(), members.next()) else {
        return Err(Fault::at(place, "must be text or one function, such as {\"Ref\": \"ThingName\"}"));
    };
    let here = &place.member(name);
    match name.as_str() {
        "Ref" => reference(argument, names, here),
        "Fn::Join" => arguments(argument, names, here, depth).map(Expression::Join),
        "Fn::Select" => arguments(argument, names, here, depth).map(Expression::Select),
        "Fn::FindInMap" => arguments(argument, names, here, depth).map(Expression::FindInMap),
        "Fn::Split" => arguments(argument, names, here, depth).map(Expression::Split),
        "Fn::Sub" => substitution(argument, names, here, depth),
        _ => Err(Fault::at(
            here,
            "no such function: Ref, Fn::Join, Fn::Select, Fn::FindInMap, Fn::Split and Fn::Sub exist",
        )),
    }
}

fn reference(argument: &Value, names: &dyn Names, place: &Place<'_>) -> Result<Expression, Fault> {
    let Value::String(name) = argument else {
        return Err(Fault::at(place, "must be the name of a parameter"));
    };
    if !names.knows(name) {
        return Err(Fault::at(place, format!("the parameter {name} is not declared under Parameters")));
    }
    Ok(Expression::Ref(name.clone()))
}

fn arguments<const COUNT: usize>(
    argument: &Value,
    names: &dyn Names,
    place: &Place<'_>,
    depth: usize,
) -> Result<Box<[Expression; COUNT]>, Fault> {
    let refused = || Fault::at(place, format!("must be a list of {COUNT}"));
    let elements = argument.as_array().ok_or_else(refused)?;
    let parsed: Box<[Expression]> = list(elements, names, place, depth)?.into();
    parsed.try_into().map_err(|_| refused())
}

fn substitution(
    argument: &Value,
    names: &dyn Names,
    place: &Place<'_>,
    depth: usize,
) -> Result<Expression, Fault> {
    let refused = || Fault::at(place, "must be text, or a list of text and an object of variables");
    match argument {
        Value::String(text) => Ok(Expression::Sub(text.clone(), BTreeMap::new())),
        Value::Array(elements) => {
            let [Value::String(text), Value::Object(given)] = elements.as_slice() else {
                return Err(refused());
            };
            let mut variables = BTreeMap::new();
            for (name, value) in given {
                let value = parse(value, names, &place.element(1).member(name), depth + 1)?;
                variables.insert(name.clone(), value);
            }
            Ok(Expression::Sub(text.clone(), variables))
        }
        _ => Err(refused()),
    }
}
