//! Commands that ask a running server what AWS's API cannot be asked, and those that reason about policies.

pub mod divergences;
pub mod policy;
pub mod provoke;

use std::fmt;

use serde_json::Value;

use crate::cli::ServerArgs;
use crate::device::{Call, Client, Server};

/// The command could not be carried out; says what to do.
#[derive(Debug)]
pub struct CommandProblem(String);

impl fmt::Display for CommandProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for CommandProblem {}

fn problem(error: impl fmt::Display) -> CommandProblem {
    CommandProblem(error.to_string())
}

/// One call of the server that the arguments point at.
fn ask(args: &ServerArgs, call: &Call) -> Result<Value, CommandProblem> {
    let server = Server::find(args, &|name| std::env::var(name).ok()).map_err(problem)?;
    Client::new(&server).call(call).map_err(problem)
}
