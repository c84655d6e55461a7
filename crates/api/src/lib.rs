//! AWS's REST API: HTTP/1.1, Signature Version 4, and the operations of the service models.
//!
//! Invariant: no operation is performed for a request whose signature was not verified and whose input was not
//! checked against the constraints of its service model, nor for anybody whose policies do not allow it. (Two operations of
//! Amazon Cognito are there for whoever has no credentials yet.) What is known of the models is data under `generated/`.

mod account;
mod acm;
mod answer;
mod body;
mod browser;
mod constraints;
mod coverage;
mod decode;
mod device;
mod exchange;
mod generated;
mod json_protocol;
mod keys;
mod model;
mod operations;
mod own;
mod permissions;
mod record;
mod resources;
mod route;
mod server;
mod service_quotas;
mod unfit;
mod workbench;

pub use body::BodyLimits;
pub use coverage::coverage_markdown;
pub use device::DeviceApi;
pub use keys::{AccessKeys, Finding};
pub use model::Service;
pub use own::{InvalidInput, OwnOperations};
pub use server::{ApiParts, ApiServer, ServerLimits};
