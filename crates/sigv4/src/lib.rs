//! AWS Signature Version 4: signing for our own clients, verifying for the server.
//!
//! Invariant: an expected signature never leaves this crate.
//!
//! Source: IAM user guide, *AWS Signature Version 4 for API requests*. Both directions share the canonical form
//! and nothing else. Time is an argument.

mod canonical;
mod claim;
mod date;
mod query;
mod refused;
mod sign;
#[cfg(test)]
mod tests;
mod verify;

pub use canonical::parameters;
pub use claim::Claim;
pub use refused::Refused;
pub use sign::{Credentials, Target, presign, sign};
pub use verify::{Expected, MAX_SKEW, SignedPath};

/// The parts of a request that a signature covers, as they are on the wire.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// `GET`, `POST`...
    pub method: &'a str,
    /// The path, still percent-encoded.
    pub path: &'a str,
    /// The query string without its `?`, still percent-encoded; may be empty.
    pub query: &'a str,
    /// All headers in their order. Names may have any case.
    pub headers: &'a [(&'a str, &'a [u8])],
}

impl<'a> Request<'a> {
    /// The session token of temporary credentials, from its header or from the query.
    pub fn session_token(&self) -> Option<String> {
        let in_query = || query::Signed::read(self.query)?.get("X-Amz-Security-Token");
        self.header("x-amz-security-token").map(str::to_owned).or_else(in_query)
    }

    /// The value of a header that stands once.
    fn header(&self, name: &str) -> Option<&'a str> {
        let mut values = self.headers.iter().filter(|(n, _)| n.eq_ignore_ascii_case(name));
        let (_, value) = values.next()?;
        if values.next().is_some() { None } else { std::str::from_utf8(value).ok() }
    }
}

const ALGORITHM: &str = "AWS4-HMAC-SHA256";
const UNSIGNED_PAYLOAD: &str = "UNSIGNED-PAYLOAD";
