//! Who is asking.

use std::fmt;
use std::sync::Arc;

use crate::CertificateId;

/// An authenticated identity.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Principal {
    /// An X.509 client certificate registered with the account.
    Certificate(CertificateId),
    /// An AWS access key: the control plane's callers.
    AccessKey(Arc<str>),
    /// The nameless neighbour of the plaintext test listener, under the name the operator gave it.
    Plain(Arc<str>),
}

impl Principal {
    /// What lifecycle events and logs call `principalIdentifier`: the certificate id, or the credential's id.
    pub fn identifier(&self) -> &str {
        match self {
            Self::Certificate(id) => id.as_str(),
            Self::AccessKey(id) | Self::Plain(id) => id,
        }
    }
}

impl fmt::Display for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Certificate(id) => write!(f, "certificate {id}"),
            Self::AccessKey(id) => write!(f, "access key {id}"),
            Self::Plain(name) => write!(f, "plaintext principal {name}"),
        }
    }
}
