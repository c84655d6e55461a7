//! The operations of the registry and the data plane, as the REST API and the reserved topics call them.
//!
//! Invariant: what an operation checks still holds when it writes. Each one reads, asks the rules of `registry`, and
//! commits one conditional batch; if somebody else was faster it reads and asks again, a bounded number of times.
//! Deletions and their clean-up are one batch, except for the members of large groups.
//!
//! [`iam`] has who may sign. One file per resource. Inputs and outputs are AWS's own shapes ([`shapes`], generated from the service models);
//! lengths and patterns have been checked before an operation is called, everything else is checked here.

mod authentication;
mod authorizer_test;
mod authorizers;
mod ca_certificates;
mod carry_out;
mod certificate_callback;
mod certificates;
mod commit;
mod connections;
mod direct_messages;
mod domain_configurations;
mod domains;
mod endpoint;
mod entropy;
mod error;
mod first_contact;
mod functions;
pub mod generated;
mod https_guest;
pub mod iam;
mod page;
mod policies;
mod policy_attachments;
mod provisioning_templates;
mod publish;
mod register_thing;
mod registration_code;
mod retained;
mod server_certificates;
mod service_quotas;
mod services;
mod signer;
mod staged;
mod tags;
mod target;
mod thing_group_lists;
mod thing_groups;
mod thing_memberships;
mod thing_principals;
mod thing_types;
mod things;
mod throttle;

pub use authentication::{Authenticated, AuthenticationRefused, RefusalReason};
pub use domains::{Domain, DomainCertificate};
pub use endpoint::EndpointAddress;
pub use entropy::Entropy;
pub use error::{ApiError, ErrorCode};
pub use first_contact::FirstContact;
pub use functions::{FunctionFailed, Functions, Invoking, NoFunctions};
pub use generated::shapes;
pub use https_guest::{HttpsAuthorizer, HttpsGuest, http_part};
pub use iam::SessionKey;
pub use services::{Services, ServicesParts};
pub use signer::{NoSigner, OwnerKeys, Signer};

#[cfg(test)]
mod tests;
