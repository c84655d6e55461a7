//! Where Lambda functions run: behind an HTTP endpoint that speaks Lambda's Invoke API, or as a command on this machine.
//!
//! Invariant: an invocation ends within its limit, and leaves nothing running.

mod command;
mod endpoint;
mod hall;
mod place;

use std::collections::HashMap;
use std::fmt;
use std::time::Duration;

use access::{FunctionFailed, Functions, Invoking, Line};
use bytes::Bytes;

use hall::Hall;

pub use command::Program;
pub use endpoint::{Endpoint, InvalidEndpoint};
pub use place::Place;

/// Invocations for strangers who want to come in ([`Line::Entry`]) that run at a time; others wait within their limit.
pub const IN_FLIGHT: usize = 32;
/// The same for certificates that are proven ([`Line::Proven`]).
pub const PROVEN_IN_FLIGHT: usize = 16;
/// The same for connections that are to stay ([`Line::Renewal`]).
pub const RENEWALS_IN_FLIGHT: usize = 16;
/// The same for operators who try a function ([`Line::Test`]).
pub const TESTS_IN_FLIGHT: usize = 4;
/// Bytes that an answer may have.
pub const ANSWER_MAX: usize = 1024 * 1024;

/// Functions by configuration.
pub struct ConfiguredFunctions {
    /// Where every function is that has no place of its own.
    endpoint: Option<Endpoint>,
    places: HashMap<String, Place>,
    entries: Hall,
    proven: Hall,
    renewals: Hall,
    tests: Hall,
}

impl fmt::Debug for ConfiguredFunctions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConfiguredFunctions")
            .field("endpoint", &self.endpoint)
            .field("places", &self.places.len())
            .finish_non_exhaustive()
    }
}

impl ConfiguredFunctions {
    /// Each function by its ARN; `endpoint` for all others. Neither: every invocation is refused as not configured.
    pub fn new(endpoint: Option<Endpoint>, places: impl IntoIterator<Item = (String, Place)>) -> Self {
        Self {
            endpoint,
            places: places.into_iter().collect(),
            entries: Hall::new(IN_FLIGHT),
            proven: Hall::new(PROVEN_IN_FLIGHT),
            renewals: Hall::new(RENEWALS_IN_FLIGHT),
            tests: Hall::new(TESTS_IN_FLIGHT),
        }
    }

    async fn run(&self, arn: &str, payload: Bytes) -> Result<Bytes, FunctionFailed> {
        match (self.places.get(arn), &self.endpoint) {
            (Some(Place::Command(command)), _) => command.run(&payload).await,
            (Some(Place::Url(endpoint)), _) => endpoint.post(endpoint.path(), payload).await,
            (None, Some(endpoint)) => endpoint.post(&endpoint.invocations(arn), payload).await,
            (None, None) => Err(FunctionFailed::NotConfigured),
        }
    }

    fn hall(&self, line: Line) -> &Hall {
        match line {
            Line::Entry => &self.entries,
            Line::Proven => &self.proven,
            Line::Renewal => &self.renewals,
            Line::Test => &self.tests,
        }
    }
}

impl Functions for ConfiguredFunctions {
    fn invoke<'a>(&'a self, arn: &'a str, payload: Bytes, limit: Duration, line: Line) -> Invoking<'a> {
        Box::pin(self.hall(line).run(arn, limit, self.run(arn, payload)))
    }
}

#[cfg(test)]
mod tests;
