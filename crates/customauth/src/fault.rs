//! Why an answer grants nothing.

use std::fmt;

use crate::Answer;

/// The first rule of *Defining your Lambda function* that an answer breaks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InvalidAnswer {
    /// More bytes than [`Answer::LONGEST`].
    TooLong {
        /// So many.
        bytes: usize,
    },
    /// Not the JSON object that it has to be; with what the reader said.
    Format(String),
    /// `isAuthenticated` is false: no fault, but no grant either.
    NotAuthenticated,
    /// `principalId` is missing (`None`) or breaks its pattern. At most 256 characters of it are kept.
    Principal(Option<String>),
    /// `principalId` is not the id of the client's certificate, which it must be for `CUSTOM_AUTH_X509`.
    OtherPrincipal(String),
    /// `policyDocuments` is missing.
    NoDocuments,
    /// More documents than [`Answer::MOST_DOCUMENTS`].
    TooManyDocuments(usize),
    /// A document has more characters than a policy may have.
    LongDocument {
        /// Which, from 1.
        number: usize,
    },
    /// A document is no policy.
    Document {
        /// Which, from 1.
        number: usize,
        /// AWS's text.
        message: String,
        /// What a person needs to know to mend it.
        detail: String,
    },
    /// A number of seconds is outside its range.
    Seconds {
        /// `refreshAfterInSeconds` or `disconnectAfterInSeconds`.
        member: &'static str,
        /// What the answer says.
        value: i64,
    },
}

impl InvalidAnswer {
    /// The text with which TestInvokeAuthorizer answers `InvalidResponseException`.
    pub fn message(&self) -> String {
        let failed = "failed to satisfy constraint:";
        match self {
            Self::TooLong { .. } | Self::Format(_) => "Lambda invocation result is in invalid format".into(),
            Self::NotAuthenticated => "The client is not authenticated".into(),
            Self::Principal(value) => format!(
                "{} at principalId {failed} Member must satisfy ([a-zA-Z0-9]){{1,128}}",
                value.as_deref().unwrap_or("null")
            ),
            Self::OtherPrincipal(value) => {
                format!("{value} at principalId {failed} Member must be the id of the client's certificate")
            }
            Self::NoDocuments => format!("policyDocuments {failed} List of policies cannot be null."),
            Self::TooManyDocuments(_) => format!(
                "policyDocuments {failed} Number of policies allowed cannot exceed {}",
                Answer::MOST_DOCUMENTS
            ),
            Self::LongDocument { .. } => format!(
                "policyDocuments {failed} Size of a policy document cannot exceeds hard limit of {}",
                policy::Document::LONGEST
            ),
            Self::Document { message, .. } => format!("policyDocuments {failed} {message}"),
            Self::Seconds { member, value } => format!(
                "{value} at {member} {failed} Member must be greater than 5 minutes and less than 24 hours."
            ),
        }
    }
}

/// For the operator: the message, and what to look at.
impl fmt::Display for InvalidAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong { bytes } => {
                write!(f, "the answer has {bytes} bytes, the limit is {}", Answer::LONGEST)
            }
            Self::Format(detail) => {
                write!(f, "the answer is not the JSON object that it has to be: {detail}")
            }
            Self::NotAuthenticated => f.write_str("isAuthenticated is false"),
            Self::TooManyDocuments(count) => {
                write!(f, "policyDocuments has {count} documents, the limit is {}", Answer::MOST_DOCUMENTS)
            }
            Self::LongDocument { number } => write!(
                f,
                "policy document {number} has more than {} characters without white space",
                policy::Document::LONGEST
            ),
            Self::Document { number, detail, .. } => write!(f, "policy document {number}: {detail}"),
            other => f.write_str(&other.message()),
        }
    }
}

impl std::error::Error for InvalidAnswer {}
