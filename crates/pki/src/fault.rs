//! What can be wrong with a certificate, a request or a key.

use std::fmt;

/// Why something was not accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PkiFault {
    /// Longer than [`crate::pem::MAX_BYTES`].
    TooLong {
        /// Bytes that were given.
        bytes: usize,
    },
    /// Not one PEM block of the expected kind.
    Pem {
        /// `CERTIFICATE`, `CERTIFICATE REQUEST`, ...
        expected: &'static str,
        /// What is wrong.
        detail: &'static str,
    },
    /// The bytes are not what their label says.
    Malformed {
        /// What they should have been.
        what: &'static str,
        /// What the reader said.
        detail: String,
    },
    /// A kind or size of key that AWS IoT does not take.
    Key {
        /// What it is.
        found: String,
    },
    /// A signature algorithm that AWS IoT does not take.
    SignatureAlgorithm {
        /// Its name or object identifier.
        found: String,
    },
    /// The signature does not fit the key that should have made it.
    Signature {
        /// What was signed.
        what: &'static str,
    },
    /// The private key does not belong to the certificate.
    KeyMismatch,
    /// A name that cannot stand in a certificate.
    Name {
        /// The name.
        name: String,
    },
    /// AWS-LC could not make or use a key.
    Crypto {
        /// What was being done.
        doing: &'static str,
    },
}

impl fmt::Display for PkiFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong { bytes } => {
                write!(f, "the text has {bytes} bytes, the limit is {}", crate::pem::MAX_BYTES)
            }
            Self::Pem { expected, detail } => write!(f, "not exactly one PEM block {expected}: {detail}"),
            Self::Malformed { what, detail } => write!(f, "not a well-formed {what}: {detail}"),
            Self::Key { found } => {
                write!(
                    f,
                    "the key is {found}; RSA of at least 2048 bits or ECC on P-256, P-384 or P-521 is needed"
                )
            }
            Self::SignatureAlgorithm { found } => {
                write!(
                    f,
                    "the signature algorithm {found} is not supported; SHA-256, -384 or -512 with RSA or ECDSA is"
                )
            }
            Self::Signature { what } => write!(f, "the signature of the {what} does not verify"),
            Self::KeyMismatch => f.write_str("the private key does not belong to the certificate"),
            Self::Name { name } => write!(f, "{name} is neither a host name nor an IP address"),
            Self::Crypto { doing } => write!(f, "the cryptographic library failed while {doing}"),
        }
    }
}

impl std::error::Error for PkiFault {}

impl PkiFault {
    pub(crate) fn malformed(what: &'static str, detail: impl fmt::Display) -> Self {
        Self::Malformed { what, detail: detail.to_string() }
    }
}
