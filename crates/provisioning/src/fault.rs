//! Why a template is none, or gives no plan.

use std::fmt;

/// What is wrong, and where in the template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The place, such as `Resources.thing.Properties.ThingName`; empty for the template as a whole.
    pub place: String,
    /// What is wrong there, for a person.
    pub detail: String,
}

impl Fault {
    pub(crate) fn at(place: &Place<'_>, detail: impl Into<String>) -> Self {
        Self { place: place.to_string(), detail: detail.into() }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.place.is_empty() {
            return f.write_str(&self.detail);
        }
        write!(f, "{}: {}", self.place, self.detail)
    }
}

impl std::error::Error for Fault {}

/// A place in a template, as a chain of names on the stack.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Place<'a> {
    /// The whole template.
    Top,
    /// A member of the place before.
    Member(&'a Place<'a>, &'a str),
    /// An element of the place before.
    Element(&'a Place<'a>, usize),
}

impl<'a> Place<'a> {
    pub fn member(&'a self, name: &'a str) -> Place<'a> {
        Place::Member(self, name)
    }

    pub fn element(&'a self, index: usize) -> Place<'a> {
        Place::Element(self, index)
    }
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Top => Ok(()),
            Self::Member(Self::Top, name) => f.write_str(name),
            Self::Member(before, name) => write!(f, "{before}.{name}"),
            Self::Element(before, index) => write!(f, "{before}[{index}]"),
        }
    }
}
