//! Where one function runs.

use crate::Endpoint;
use crate::command::Program;

/// Where one function runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// Behind this URL, which is posted to as it stands.
    Url(Endpoint),
    /// In a process of its own for each invocation.
    Command(Program),
}

impl Place {
    /// A program and its arguments; `None` if there is no program.
    pub fn command(words: &[String]) -> Option<Self> {
        let (program, arguments) = words.split_first().filter(|(program, _)| !program.is_empty())?;
        Some(Self::Command(Program { program: program.clone(), arguments: arguments.to_vec() }))
    }
}
