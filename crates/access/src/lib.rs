//! Who is let in: IAM and its sessions, custom authorizers, and the endpoints that say which proof counts.
//!
//! Invariant: nobody is let in who has not shown, now, a proof that is in force: a signature by an active key, a token, or
//! an authorizer's yes. Nothing is remembered of a proof but what an authorizer says may be (`enableCachingForHttp`), and
//! whoever cannot be asked has not said yes.
//!
//! [`iam`] has who may sign. One file per resource. Inputs and outputs are AWS's own shapes, as in
//! [`services`], and so are the errors.

mod access;
mod authentication;
mod authorizer_test;
mod authorizers;
mod certificate_callback;
mod domain_configurations;
mod domains;
mod functions;
mod https_guest;
pub mod iam;
mod loopback;
mod server_certificates;
mod signer;

pub use access::{Access, AccessParts};
pub use authentication::{Authenticated, AuthenticationRefused, RefusalReason};
pub use domains::{Domain, DomainCertificate};
pub use functions::{FunctionFailed, Functions, Invoking, Line, NoFunctions};
pub use https_guest::{HttpsAuthorizer, HttpsGuest, http_part};
pub use iam::SessionKey;
pub use loopback::{is_loopback, is_loopback_origin};
pub use signer::{NoSigner, OwnerKeys, Signer};

#[cfg(test)]
mod tests;
