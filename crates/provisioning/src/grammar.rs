//! Reading JSON objects whose members are known, with the place of what is wrong.

use serde_json::{Map, Value};

use crate::fault::{Fault, Place};

/// An object at a place, whose members must all be among those that are known.
#[derive(Clone, Copy)]
pub(crate) struct Object<'a> {
    members: &'a Map<String, Value>,
    place: &'a Place<'a>,
}

impl<'a> Object<'a> {
    /// Demands an object with no members but `known`.
    pub fn new(value: &'a Value, known: &[&str], place: &'a Place<'a>) -> Result<Self, Fault> {
        let members = object(value, place)?;
        if let Some(name) = members.keys().find(|name| !known.contains(&name.as_str())) {
            return Err(Fault::at(
                &place.member(name),
                format!("is not known here; {} are", known.join(", ")),
            ));
        }
        Ok(Self { members, place })
    }

    /// A member, if it is there.
    pub fn get(&self, name: &str) -> Option<&'a Value> {
        self.members.get(name)
    }

    /// A member that must be there.
    pub fn require(&self, name: &str) -> Result<&'a Value, Fault> {
        self.get(name).ok_or_else(|| Fault::at(self.place, format!("{name} is missing")))
    }

    /// Those of `names` of which exactly one must be there.
    pub fn one_of(&self, names: &[&'static str]) -> Result<(&'static str, &'a Value), Fault> {
        let mut present = names.iter().filter_map(|name| Some((*name, self.get(name)?)));
        match (present.next(), present.next()) {
            (Some(one), None) => Ok(one),
            _ => Err(Fault::at(self.place, format!("exactly one of {} must be given", names.join(", ")))),
        }
    }
}

/// Demands an object.
pub(crate) fn object<'a>(value: &'a Value, place: &Place<'_>) -> Result<&'a Map<String, Value>, Fault> {
    value.as_object().ok_or_else(|| Fault::at(place, "must be an object"))
}

/// Demands a text.
pub(crate) fn text<'a>(value: &'a Value, place: &Place<'_>) -> Result<&'a str, Fault> {
    value.as_str().ok_or_else(|| Fault::at(place, "must be text"))
}
