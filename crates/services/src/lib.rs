//! The operations of the registry and the data plane, as the REST API and the reserved topics call them.
//!
//! Invariant: what an operation checks still holds when it writes. Each one reads, asks the rules of `registry`, and
//! commits one conditional batch; if somebody else was faster it reads and asks again, a bounded number of times.
//! Deletions and their clean-up are one batch, except for the members of large groups.
//!
//! One file per resource. Inputs and outputs are AWS's own shapes ([`shapes`], generated from the service models);
//! lengths and patterns have been checked before an operation is called, everything else is checked here.
//!
//! [`commit`], [`page`], [`tags`] and [`entropy`] are also what the operations of `access` are made of.

mod attribution;
mod authorization;
mod billing_groups;
mod billing_memberships;
mod ca_certificates;
mod carry_out;
mod certificates;
pub mod commit;
mod connections;
mod direct_messages;
mod effective_policies;
mod endpoint;
pub mod entropy;
mod error;
mod first_contact;
pub mod generated;
mod logging;
pub mod page;
mod policies;
mod policy_attachments;
mod provisioning_templates;
mod publish;
mod register_thing;
mod registration_code;
mod retained;
mod service_quotas;
mod services;
mod staged;
pub mod tags;
mod target;
mod thing_group_lists;
mod thing_groups;
mod thing_memberships;
mod thing_principals;
mod thing_types;
mod things;
mod throttle;

pub use attribution::Attribution;
pub use certificates::IssuedKeys;
pub use endpoint::EndpointAddress;
pub use entropy::Entropy;
pub use error::{ApiError, ErrorCode};
pub use first_contact::FirstContact;
pub use generated::shapes;
pub use services::{Services, ServicesParts};

#[cfg(test)]
mod tests;
