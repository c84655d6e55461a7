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

use std::borrow::Cow;
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
    match out.write_all(harmless(text).as_bytes()).and_then(|()| out.flush()) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(problem(format!("standard output: {error}"))),
    }
}

/// Control characters that JSON leaves in its texts, as JSON may escape them. Tables have none: their names are [`plain`].
fn harmless(text: &str) -> Cow<'_, str> {
    let harmful = |c: char| {
        c != '\n' && c.is_control() || matches!(c, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    if !text.contains(harmful) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match harmful(c) {
            true => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            false => out.push(c),
        }
    }
    Cow::Owned(out)
}

/// Writes a line of words to standard error, whether anybody reads it or not.
fn note(text: &str) {
    let _ = writeln!(io::stderr(), "thingcore: {}", plain(text));
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

#[cfg(test)]
mod tests {
    use super::*;

    /// No control character but the ends of lines.
    pub(crate) fn is_plain(text: &str) -> bool {
        !text.chars().any(|c| (c.is_control() && c != '\n') || ('\u{202a}'..='\u{202e}').contains(&c))
    }

    #[test]
    fn json_that_is_shown_has_no_control_character_and_says_the_same() {
        let evil: String = (0..=0x3000).filter_map(char::from_u32).collect();
        let json = serde_json::to_string(&evil).unwrap();
        let text = harmless(&json);
        assert!(is_plain(&text) && text.lines().count() == 1, "{text:?}");
        assert_eq!(serde_json::from_str::<String>(&text).unwrap(), evil);
    }
}
