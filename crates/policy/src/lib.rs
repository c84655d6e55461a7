//! AWS IoT policies: documents, compiled sets, decisions with reasons, permits.
//!
//! Invariant: a [`Permit`] exists only if an Allow statement applied and no Deny statement did.
//!
//! The way through: [`Document::parse`] reads a document, [`PolicySet::compile`] puts the documents of an identity
//! together, [`Authorizer::new`] substitutes what is fixed for a connection, and its methods decide. Sources:
//! developer guide, *AWS IoT Core policies*, *AWS IoT Core policy variables*, *Example AWS IoT Core policies*;
//! IAM user guide, *Policy evaluation logic*, *Grammar of the IAM JSON policy language*.

mod authorizer;
mod condition;
mod consider;
mod context;
mod decision;
mod document;
mod examine;
mod explain;
mod glob;
mod json;
mod key;
mod loosened;
mod operator;
mod outline;
mod parse;
mod permit;
mod remedy;
mod resource;
mod scalar;
mod set;
mod template;
mod unconfirmed;
mod values;
mod view;

pub use authorizer::{Authorizer, Counts};
pub use consider::Considered;
pub use context::{CallFacts, ConnectFacts, ConnectionContext, IamFacts, RequestFacts, ThingFacts};
pub use decision::{Decision, Denial, DenialKind, Outcome, StatementMatch};
pub use document::{Document, Effect, MalformedPolicy, Position};
pub use loosened::{Absent, Loosened};
pub use outline::{Outline, OutlinedStatement, OutlinedText};
pub use permit::{Action, Connect, Epoch, Permit, Publish, Receive, RetainPublish, Subscribe};
pub use remedy::Remedy;
pub use set::{Origin, PolicySet, Source};
pub use unconfirmed::UNCONFIRMED;
pub use view::{ConditionView, Piece, ResourceView, StatementView, Variable, VariableKind};
