//! Commands that ask a running server what AWS's API cannot be asked, and those that reason about policies.

pub mod bench;
pub mod bill;
pub mod cli;
pub mod device;
pub mod divergences;
pub mod policy;
pub mod provoke;
pub mod tail;
pub mod top;
pub mod why;

use std::fmt;
use std::io::{self, Write as _};

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

/// Writes to standard output. `false` if nobody reads it any more, which is how `| head` ends a command.
fn say(text: &str) -> Result<bool, CommandProblem> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(problem(format!("standard output: {error}"))),
    }
}

/// A text from the network as it may be shown: control characters in names are escaped.
fn plain(text: &str) -> String {
    telemetry::plain(text)
}

/// `03:04:05.678` UTC.
fn clock(seconds: f64) -> String {
    // Milliseconds fit an i64 far beyond any calendar.
    let time = jiff::Timestamp::from_millisecond((seconds * 1000.0).round() as i64);
    time.map_or_else(
        |_| String::new(),
        |time| time.to_zoned(jiff::tz::TimeZone::UTC).strftime("%H:%M:%S%.3f").to_string(),
    )
}

/// One call of the server that the arguments point at.
fn ask(args: &ServerArgs, call: &Call) -> Result<Value, CommandProblem> {
    let server = Server::find(args, &|name| std::env::var(name).ok()).map_err(problem)?;
    Client::new(&server).call(call).map_err(problem)
}
