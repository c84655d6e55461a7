//! Why a request is not believed, in AWS's words as far as they are known, and in ours where that helps.

use std::fmt;

/// Why a request is not believed. Every one is answered with 403.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refused {
    /// There is no signature at all.
    Missing,
    /// The signature lacks a part, which the text names.
    Incomplete(&'static str),
    /// The access key is not one of ours.
    UnknownKey(String),
    /// Signed for another Region.
    Region {
        /// The Region signed for.
        signed: String,
        /// The Region that this is.
        here: String,
    },
    /// Signed for another service.
    Service {
        /// The service signed for.
        signed: String,
        /// The services that this may be signed for, with `', '` between them.
        here: String,
    },
    /// The day of the scope is not the day of the moment.
    ScopeDate {
        /// The day in the scope.
        scope: String,
        /// The moment.
        moment: String,
    },
    /// Signed too long ago.
    Expired {
        /// The moment signed.
        signed: String,
        /// The time here.
        now: String,
    },
    /// Signed in the future.
    NotYetCurrent {
        /// The moment signed.
        signed: String,
        /// The time here.
        now: String,
    },
    /// A header that must be signed is not.
    UnsignedHeader(String),
    /// `X-Amz-Content-Sha256` is not the body's hash.
    BodyHash,
    /// All the rest is right, the signature is not.
    Signature {
        /// SHA-256 of the canonical request here, in hexadecimal: a client that logs its own can compare.
        canonical_hash: String,
    },
}

impl Refused {
    /// The name of AWS's exception.
    pub fn error_type(&self) -> &'static str {
        match self {
            Self::Missing => "MissingAuthenticationTokenException",
            Self::Incomplete(_) => "IncompleteSignatureException",
            Self::UnknownKey(_) => "UnrecognizedClientException",
            _ => "InvalidSignatureException",
        }
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => f.write_str(
                "Missing Authentication Token. Sign the request with Signature Version 4 (Authorization header or \
                 X-Amz-Signature query).",
            ),
            Self::Incomplete(what) => write!(f, "The signature is incomplete: {what}."),
            Self::UnknownKey(id) => write!(
                f,
                "The security token included in the request is invalid. The access key {id:?} is not known here; the \
                 server prints its key at the first start and keeps it in its data folder."
            ),
            Self::Region { signed, here } => write!(
                f,
                "Credential should be scoped to a valid region. It is signed for {signed:?}; this is {here}."
            ),
            Self::Service { signed, here } => {
                write!(f, "Credential should be scoped to correct service: '{here}'. It is signed for {signed:?}.")
            }
            Self::ScopeDate { scope, moment } => write!(
                f,
                "Date in Credential scope does not match YYYYMMDD from the request's date: {scope:?} against {moment:?}."
            ),
            Self::Expired { signed, now } => {
                write!(f, "Signature expired: signed at {signed}, here it is {now}. Check the clock of the client.")
            }
            Self::NotYetCurrent { signed, now } => write!(
                f,
                "Signature not yet current: signed at {signed}, here it is {now}. Check the clock of the client."
            ),
            Self::UnsignedHeader(name) => {
                write!(f, "'{name}' must be a 'SignedHeader' in the AWS 'Authorization'.")
            }
            Self::BodyHash => f.write_str("X-Amz-Content-Sha256 is not the SHA-256 of the body that arrived."),
            Self::Signature { canonical_hash } => write!(
                f,
                "The request signature we calculated does not match the signature you provided. Check your AWS Secret \
                 Access Key and signing method. Access key, date, Region and service are right; the SHA-256 of the \
                 canonical request is {canonical_hash} here."
            ),
        }
    }
}

impl std::error::Error for Refused {}
