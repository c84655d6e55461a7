//! Statements that would let through more than they say, because they name what never has a value.
//!
//! Whatever is not in the catalogue is absent from every request. Most statements that name it do less harm than they could:
//! an Allow that asks for it allows nothing, a Deny that asks for its opposite denies always. A Deny that cannot apply, and an
//! Allow whose condition always holds, are another matter.

use std::fmt;

use crate::condition::{Condition, Operand};
use crate::document::Statement;
use crate::key::{Key, KeyName};
use crate::operator::{Operator, Quantifier, Test};
use crate::{Document, Effect};

/// The first statement of a document that would let through more than it says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Loosened<'a> {
    /// Its place in the document, from 1.
    pub statement: usize,
    /// Its Sid.
    pub sid: Option<&'a str>,
    /// Allow or Deny.
    pub effect: Effect,
    /// What never has a value.
    pub absent: Absent,
    /// The name of that, as the document spells it.
    pub name: &'a str,
}

/// What can be without a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Absent {
    /// The key of a condition.
    ConditionKey,
    /// `${...}` in a resource or in the value of a condition.
    Variable,
}

impl Document {
    /// The first statement that would let through more than it says, if there is one.
    pub fn loosened(&self) -> Option<Loosened<'_>> {
        self.statements.iter().enumerate().find_map(|(index, statement)| {
            let (absent, name) = statement.loosened_by()?;
            let (sid, effect) = (statement.sid.as_deref(), statement.effect);
            Some(Loosened { statement: index + 1, sid, effect, absent, name: &name.text })
        })
    }
}

impl Statement {
    fn loosened_by(&self) -> Option<(Absent, &KeyName)> {
        let denies = self.effect == Effect::Deny;
        let keys = self.conditions.iter().filter(|condition| condition.holds_without_key() != denies);
        let keys = keys.map(|condition| (Absent::ConditionKey, &condition.key));
        // A value that names one matches nothing. What then would allow more does not apply: see `Settled`, and
        // `needs_every_variable` of resources.
        let values = self.conditions.iter().filter(|condition| denies && !condition.operator.negated);
        let values = values.flat_map(Condition::variables);
        let resources = self.resources.of.iter().filter(|_| denies && !self.resources.negated);
        let variables = values.chain(resources.flat_map(|resource| resource.variables()));
        let mut all = keys.chain(variables.map(|name| (Absent::Variable, name)));
        all.find(|(_, name)| name.key == Key::Unknown)
    }
}

impl Condition {
    /// Whether it holds for a request that does not have its key.
    fn holds_without_key(&self) -> bool {
        let Operator { quantifier, test, negated, if_exists } = self.operator;
        match (test, quantifier) {
            (Test::Null, _) => self.operands.iter().any(Operand::is_true),
            _ if if_exists => true,
            (_, Quantifier::Plain) => negated,
            (_, Quantifier::ForAllValues) => true,
            (_, Quantifier::ForAnyValue) => false,
        }
    }
}

impl fmt::Display for Loosened<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { statement, name, .. } = self;
        write!(f, "statement {statement}")?;
        if let Some(sid) = self.sid {
            write!(f, " (Sid {sid:?})")?;
        }
        let (what, part) = match self.absent {
            Absent::ConditionKey => ("condition key", "condition"),
            Absent::Variable => ("policy variable", "variable"),
        };
        let consequence = match self.effect {
            Effect::Allow => "this Allow would allow what its condition is to keep out",
            Effect::Deny => "this Deny would not deny what it is written for",
        };
        write!(
            f,
            ": the {what} {name} is not built in thingcore and never has a value, so that {consequence}. Leave out the \
             statement, or write it without this {part} if you know what that means"
        )
    }
}
