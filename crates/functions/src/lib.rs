//! Where Lambda functions run: behind an HTTP endpoint that speaks Lambda's Invoke API, or as a command on this machine.
//!
//! Invariant: an invocation ends within its limit, and leaves nothing running.

mod command;
mod endpoint;
mod place;

use std::collections::HashMap;
use std::fmt;
use std::time::Duration;

use access::{FunctionFailed, Functions, Invoking, Line};
use bytes::Bytes;
use tokio::sync::Semaphore;

pub use command::Program;
pub use endpoint::{Endpoint, InvalidEndpoint};
pub use place::Place;

/// Invocations for who wants to come in that run at a time; others wait within their limit.
pub const IN_FLIGHT: usize = 32;
/// The same for connections that are to stay ([`Line::Renewal`]).
pub const RENEWALS_IN_FLIGHT: usize = 16;
/// Bytes that an answer may have.
pub const ANSWER_MAX: usize = 1024 * 1024;

/// Functions by configuration.
pub struct ConfiguredFunctions {
    /// Where every function is that has no place of its own.
    endpoint: Option<Endpoint>,
    places: HashMap<String, Place>,
    entries: Semaphore,
    renewals: Semaphore,
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
            entries: Semaphore::new(IN_FLIGHT),
            renewals: Semaphore::new(RENEWALS_IN_FLIGHT),
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

    async fn within(
        &self,
        arn: &str,
        payload: Bytes,
        limit: Duration,
        line: Line,
    ) -> Result<Bytes, FunctionFailed> {
        let end = tokio::time::Instant::now() + limit;
        let (running, places) = match line {
            Line::Entry => (&self.entries, IN_FLIGHT),
            Line::Renewal => (&self.renewals, RENEWALS_IN_FLIGHT),
        };
        let place = tokio::time::timeout_at(end, running.acquire()).await;
        let Ok(Ok(_place)) = place else { return Err(FunctionFailed::Busy { places }) };
        tokio::time::timeout_at(end, self.run(arn, payload)).await.unwrap_or(Err(FunctionFailed::TimedOut))
    }
}

impl Functions for ConfiguredFunctions {
    fn invoke<'a>(&'a self, arn: &'a str, payload: Bytes, limit: Duration, line: Line) -> Invoking<'a> {
        Box::pin(self.within(arn, payload, limit, line))
    }
}

#[cfg(test)]
mod tests;
