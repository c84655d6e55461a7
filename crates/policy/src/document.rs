//! Policy documents: what a text says once it has been read and checked.

use std::fmt;

use crate::condition::Condition;
use crate::glob::Glob;
use crate::resource::Resource;

/// What a statement does when it applies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// It permits.
    Allow,
    /// It forbids, whatever else permits.
    Deny,
}

/// A place in a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// From 1.
    pub line: usize,
    /// In characters, from 1.
    pub column: usize,
}

/// The document cannot become a policy: MalformedPolicyException.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MalformedPolicy {
    /// The text that AWS answers.
    pub message: String,
    /// What a person needs to know to mend it.
    pub detail: String,
    /// Where, if it is at one place.
    pub at: Option<Position>,
    /// It has more characters than a policy may have.
    pub too_long: bool,
}

impl MalformedPolicy {
    /// The structure is not understood.
    pub(crate) fn syntax(detail: String, at: Option<Position>) -> Self {
        Self {
            message: "Policy document is Malformed: Invalid policy syntax.".into(),
            detail,
            at,
            too_long: false,
        }
    }

    /// A resource is not an ARN.
    pub(crate) fn resource(value: &str, at: Option<Position>) -> Self {
        let detail = format!(
            "the resource {value:?} is not an ARN: it needs the form arn:partition:service:region:account:resource, \
             or be *"
        );
        let message =
            format!("Policy document is Malformed: The resource {value} is not in valid ARN format");
        Self { message, detail, at, too_long: false }
    }

    /// More characters than a policy may have.
    pub(crate) fn size(characters: usize, longest: usize) -> Self {
        let message = format!(
            "Policy document is Malformed: Size of a policy document cannot exceeds hard limit of {longest}"
        );
        let detail = format!(
            "it has {characters} characters without white space, the limit is {longest}: divide it into several policies"
        );
        Self { message, detail, at: None, too_long: true }
    }
}

impl fmt::Display for MalformedPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.at {
            Some(Position { line, column }) => write!(f, "line {line}, column {column}: {}", self.detail),
            None => f.write_str(&self.detail),
        }
    }
}

impl std::error::Error for MalformedPolicy {}

/// A valid policy document.
#[derive(Debug)]
pub struct Document {
    pub(crate) statements: Box<[Statement]>,
}

/// One statement.
#[derive(Debug)]
pub(crate) struct Statement {
    pub(crate) sid: Option<Box<str>>,
    pub(crate) effect: Effect,
    pub(crate) actions: Choice<Glob>,
    pub(crate) resources: Choice<Resource>,
    pub(crate) conditions: Box<[Condition]>,
}

/// Action or NotAction, Resource or NotResource.
#[derive(Debug)]
pub(crate) struct Choice<T> {
    pub(crate) negated: bool,
    pub(crate) of: Box<[T]>,
}

impl Document {
    /// Characters that a document may have, white space not counted (quota L-D9B73671).
    pub const LONGEST: usize = 2048;
    /// Characters that a document may have as sent (API reference, `PolicyDocument`).
    pub const LONGEST_AS_SENT: usize = 404_600;

    /// Characters that the inline policies of an IAM role may have together, white space not counted.
    pub const LONGEST_OF_ROLE: usize = 10_240;

    /// Reads and checks a policy document. Time and memory are bounded by the text's length.
    pub fn parse(text: &str) -> Result<Self, MalformedPolicy> {
        Self::parse_within(text, Self::LONGEST)
    }

    /// The same for a document that may have another number of characters: IAM's limits are not those of AWS IoT.
    pub fn parse_within(text: &str, longest: usize) -> Result<Self, MalformedPolicy> {
        crate::parse::document(text, longest)
    }

    /// How many characters of a text count towards the limits: all but white space.
    pub fn characters(text: &str) -> usize {
        text.chars().filter(|c| !matches!(c, ' ' | '\t' | '\r' | '\n')).count()
    }

    /// How many statements it has; at least one.
    pub fn statement_count(&self) -> usize {
        self.statements.len()
    }

    /// One statement that allows everything on everything.
    pub(crate) fn allow_all() -> Self {
        let statement = Statement {
            sid: None,
            effect: Effect::Allow,
            actions: Choice { negated: false, of: [Glob::anything()].into() },
            resources: Choice { negated: false, of: [Resource::everything()].into() },
            conditions: [].into(),
        };
        Self { statements: [statement].into() }
    }
}

impl Statement {
    /// True if the statement speaks of an action, given in lower case: action names have no case, as in IAM.
    pub(crate) fn covers(&self, lower_case_action: &str) -> bool {
        self.actions.of.iter().any(|glob| glob.matches(lower_case_action)) != self.actions.negated
    }

    /// True if a resource that cannot be resolved keeps the statement from applying: an Allow with NotResource
    /// would otherwise permit the more, the less is known.
    pub(crate) fn needs_every_variable(&self) -> bool {
        self.resources.negated && self.effect == Effect::Allow
    }
}
