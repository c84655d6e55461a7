//! Policy documents: text in, statements out.

use std::fmt;

/// What a statement does when it applies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// It permits.
    Allow,
    /// It forbids, whatever else permits.
    Deny,
}

/// Where in a document.
#[derive(Clone, Debug, PartialEq, Eq)]
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
}

impl fmt::Display for MalformedPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.detail)
    }
}

impl std::error::Error for MalformedPolicy {}

/// A valid policy document.
#[derive(Debug)]
pub struct Document {}

impl Document {
    /// Reads and checks a policy document.
    pub fn parse(_text: &str) -> Result<Self, MalformedPolicy> {
        Ok(Self {})
    }

    pub(crate) fn allow_all() -> Self {
        Self {}
    }
}
