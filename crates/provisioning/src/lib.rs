//! Provisioning templates: text in, a plan of what to create out.
//!
//! Invariant: nothing here creates anything, and whatever a template and its parameters say, a plan costs bounded
//! time and memory ([`limits`]). The same template and the same parameters give the same plan.
//!
//! The way of a template: [`Template::parse`] checks its grammar for one [`Kind`] of use, [`Template::plan`] puts the
//! parameters in and answers a [`Plan`]. A [`Fault`] says what is wrong and at which place of the template.
//!
//! Source: developer guide, *Provisioning templates*, *Just-in-time provisioning*; API reference, *RegisterThing*.

mod evaluate;
mod expression;
mod fault;
mod grammar;
pub mod limits;
mod plan;
mod resources;
mod subject;
mod template;
mod unconfirmed;

pub use fault::Fault;
pub use plan::{
    Attachment, CertificatePlan, CertificateSource, Override, Plan, PolicyPlan, PolicySource, Status,
    ThingPlan,
};
pub use subject::{CERTIFICATE_ID, is_implicit, subject_parameters};
pub use template::{Kind, Template};
pub use unconfirmed::UNCONFIRMED;

#[cfg(test)]
mod tests;
