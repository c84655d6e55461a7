//! X.509 for the house: reading certificates and requests, checking signatures, issuing under a private CA.
//!
//! Invariant: no clock and no file is read here, and no private key has a `Debug` form that shows it. Time and serial
//! numbers are arguments; only the making of keys and signatures draws on the system's randomness, inside AWS-LC.
//!
//! Nothing here validates the chains of clients: AWS IoT trusts the registered certificate, not its issuer. [`server`] reads
//! what a server shows, with its chain. For the same reason v1
//! certificates are first-class here, which is what the usual `openssl x509 -req` recipe makes.

mod authority;
mod certificate;
mod der;
mod facts;
mod fault;
mod issue;
mod keys;
pub mod pem;
mod public_key;
mod request;
pub mod server;
mod signature;

pub use authority::{CertificateAuthority, Issued, ServerIdentity};
pub use certificate::Certificate;
pub use facts::{certificate_id, facts, facts_in_pem};
pub use fault::PkiFault;
pub use issue::Serial;
pub use keys::{DeviceKeys, KeyKind, PrivateKey};
pub use public_key::RsaPublicKey;
pub use request::SigningRequest;
