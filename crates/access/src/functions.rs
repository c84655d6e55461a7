//! The port behind which Lambda functions are: custom authorizers ask one.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;

/// What an invocation comes to.
pub type Invoking<'a> = Pin<Box<dyn Future<Output = Result<Bytes, FunctionFailed>> + Send + 'a>>;

/// For whom a function is invoked. Each has places of its own: who knocks at the door turns nobody out who is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Line {
    /// For somebody who wants to come in, and may be anybody.
    Entry,
    /// For somebody who wants to come in and has proved a certificate: strangers cannot stand there.
    Proven,
    /// For a connection that was let in, and is to stay.
    Renewal,
    /// For an operator who tries a function.
    Test,
}

/// Invokes functions, wherever they run.
///
/// How many run at a time is bounded by who implements it, for each [`Line`]; others wait, within their own limit, or are
/// refused at once if that is not enough.
pub trait Functions: Send + Sync {
    /// Invokes the function with this Lambda ARN, and answers what it answered. It ends within `limit`, waiting
    /// included, and what it began is stopped when the future is dropped.
    fn invoke<'a>(&'a self, arn: &'a str, payload: Bytes, limit: Duration, line: Line) -> Invoking<'a>;
}

/// No functions at all: every invocation is refused as not configured.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoFunctions;

impl Functions for NoFunctions {
    fn invoke<'a>(&'a self, _arn: &'a str, _payload: Bytes, _limit: Duration, _line: Line) -> Invoking<'a> {
        Box::pin(std::future::ready(Err(FunctionFailed::NotConfigured)))
    }
}

/// Why an invocation has no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FunctionFailed {
    /// Nobody said where this function runs.
    NotConfigured,
    /// It did not answer within the limit.
    TimedOut,
    /// There was no place for it within the limit, or there would have been none: others ran. It is not known what the
    /// function would say.
    Busy {
        /// How many may run at a time.
        places: usize,
    },
    /// It could not be reached or started, or whoever runs it does not want to.
    Refused(String),
    /// It ran and failed: `MESSAGE: TYPE` as it reports it (`X-Amz-Function-Error`), or how the command ended.
    FunctionError(String),
    /// It answered more than is read.
    TooLarge,
}

impl fmt::Display for FunctionFailed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotConfigured => f.write_str(
                "no function is configured for this ARN: write [[function]] with the ARN and a url or a command into \
                 the configuration, or an endpoint for all functions under [functions]",
            ),
            Self::TimedOut => f.write_str("the function did not answer in time"),
            Self::Busy { places } => {
                write!(f, "the function could not be invoked: {places} others run, which is the limit, and too many wait")
            }
            Self::Refused(detail) => write!(f, "the function could not be invoked: {detail}"),
            Self::FunctionError(detail) => write!(f, "the function encountered an error: {detail}"),
            Self::TooLarge => f.write_str("the function answered more than is read"),
        }
    }
}

impl std::error::Error for FunctionFailed {}
