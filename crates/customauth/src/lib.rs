//! Custom authorizers without Lambda: what a client brought, whom it asks for, what the function is told, and what its
//! answer grants.
//!
//! Invariant: an answer that breaks one rule authenticates nobody. Nothing is clamped, cut or skipped.
//!
//! The way through: [`Presented::asks`] and [`choose`] give the authorizer's name, [`Presented::token`] what is to be
//! verified, [`event()`] what the function gets, [`Answer::parse`] the [`Grant`]. Sources: developer guide, *Custom
//! authentication and authorization*, *Defining your Lambda function*, *Connecting to AWS IoT Core by using custom
//! authentication*.

mod answer;
mod choice;
mod event;
mod fault;
mod presented;
mod query;

pub use answer::{Answer, Grant, PolicyText};
pub use choice::{AuthorizerChoice, choose, is_authorizer_name};
pub use event::event;
pub use fault::InvalidAnswer;
pub use presented::{CarrierFault, HttpPart, MqttPart, Presented, SignedToken, TlsPart, Wanted};
