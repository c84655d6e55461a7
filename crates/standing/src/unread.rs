//! Why it is not known what a bearer may do.

use std::fmt;

use store::StoreError;

/// Why a view could not be read. What is not known is not allowed: nobody is let in by it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unread {
    /// The store failed.
    Store(StoreError),
    /// A policy stands in the store in a form that is not understood. It might deny something. A new version of it
    /// helps.
    Policy {
        /// An AWS IoT policy by its name, an inline policy of IAM by `user/NAME/POLICY` or `role/NAME/POLICY`.
        name: Box<str>,
        /// What is wrong with it.
        why: Box<str>,
    },
    /// Changes of what was being read kept passing the reading by.
    Outrun,
}

impl Unread {
    pub(crate) fn policy(name: &str, why: &dyn fmt::Display) -> Self {
        Self::Policy { name: name.into(), why: why.to_string().into() }
    }
}

impl fmt::Display for Unread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Store(error) => error.fmt(f),
            Self::Policy { name, why } => {
                write!(f, "policy {name} is stored in a form that is not understood: {why}")
            }
            Self::Outrun => f.write_str("the registry changes faster than policies can be read"),
        }
    }
}

impl std::error::Error for Unread {}

impl From<StoreError> for Unread {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<Unread> for StoreError {
    /// To a caller who waits for a view, all of them are a store that does not serve.
    fn from(unread: Unread) -> Self {
        match unread {
            Unread::Store(error) => error,
            other => Self::unavailable(other.to_string()),
        }
    }
}
