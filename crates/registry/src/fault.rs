//! Why a rule said no.

use std::fmt;

/// A rule of the registry that a request breaks. The text is for the caller of the API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The request makes no sense, or not with what is there (`InvalidRequestException`).
    Invalid(String),
    /// A quota is used up (`LimitExceededException`).
    LimitExceeded(String),
    /// The caller expected another version (`VersionConflictException`).
    VersionConflict {
        /// What was asked for.
        expected: u64,
        /// What is there.
        actual: u64,
    },
    /// A policy has as many versions as it may have (`VersionsLimitExceededException`).
    VersionsLimitExceeded(String),
    /// Something still depends on what is to be deleted (`DeleteConflictException`).
    DeleteConflict(String),
    /// The status of the certificate does not permit it (`CertificateStateException`).
    CertificateState(String),
    /// What the request names does not exist (`ResourceNotFoundException`).
    NotFound(String),
}

impl Fault {
    /// [`Fault::Invalid`].
    pub fn invalid(text: impl Into<String>) -> Self {
        Self::Invalid(text.into())
    }

    /// [`Fault::LimitExceeded`].
    pub fn limit(text: impl Into<String>) -> Self {
        Self::LimitExceeded(text.into())
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Invalid(text)
            | Self::LimitExceeded(text)
            | Self::VersionsLimitExceeded(text)
            | Self::DeleteConflict(text)
            | Self::CertificateState(text)
            | Self::NotFound(text) => f.write_str(text),
            Self::VersionConflict { expected, actual } => {
                write!(f, "The version of the resource is {actual}, the request expected {expected}")
            }
        }
    }
}

impl std::error::Error for Fault {}
