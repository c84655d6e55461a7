//! The registry's record shapes and rules: certificates, policies, attachments, things, types, groups, tags.
//!
//! Invariant: nothing here reads or writes. Records say what the store holds and under which key; rules say, from
//! records alone, what may happen next. The services read, ask, and commit.
//!
//! Start with [`certificates`], [`policies`] and [`attachments`]; [`limits`] lists every number with its AWS quota
//! code; [`order`] and [`guard`] explain the two kinds of record that no API shows.

pub mod account;
pub mod attachments;
pub mod attributes;
pub mod authorizers;
pub mod billing_groups;
pub mod ca_certificates;
pub mod certificates;
pub mod domain_configurations;
mod fault;
pub mod guard;
pub mod hierarchy;
pub mod iam;
pub mod limits;
pub mod logging;
pub mod order;
pub mod policies;
pub mod provisioning_templates;
mod readable;
pub mod server_certificates;
pub mod tags;
pub mod thing_groups;
pub mod thing_principals;
pub mod thing_types;
pub mod things;
mod version;
mod words;

pub use certificates::{CERTIFICATES, CertificateMode, CertificateRecord, CertificateStatus};
pub use fault::Fault;
pub use readable::readable;
pub use version::{FIRST_VERSION, check_expected, next};
