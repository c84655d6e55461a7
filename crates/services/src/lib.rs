//! The operations of the registry and the data plane, as the REST API and the reserved topics call them.
//!
//! Invariant: what an operation checks still holds when it writes. Each one reads, asks the rules of `registry`, and
//! commits one conditional batch; if somebody else was faster it reads and asks again, a bounded number of times.
//! Deletions and their clean-up are one batch, except for the members of large groups.
//!
//! [`iam`] has who may sign. One file per resource. Inputs and outputs are AWS's own shapes ([`shapes`], generated from the service models);
//! lengths and patterns have been checked before an operation is called, everything else is checked here.

mod ca_certificates;
mod certificates;
mod commit;
mod endpoint;
mod entropy;
mod error;
pub mod generated;
pub mod iam;
mod page;
mod policies;
mod policy_attachments;
mod publish;
mod registration_code;
mod retained;
mod service_quotas;
mod services;
mod signer;
mod tags;
mod target;
mod thing_group_lists;
mod thing_groups;
mod thing_memberships;
mod thing_principals;
mod thing_types;
mod things;
mod throttle;

pub use endpoint::EndpointAddress;
pub use entropy::Entropy;
pub use error::{ApiError, ErrorCode};
pub use generated::shapes;
pub use iam::SessionKey;
pub use services::{Services, ServicesParts};
pub use signer::{NoSigner, OwnerKeys, Signer};

#[cfg(test)]
mod tests;
