//! The heart: arranges what the engines decide.
//!
//! Invariant: nothing is published, subscribed or delivered without a [`policy::Permit`] for it, and every lock in
//! here is a leaf: none is held while another is taken, none across an `await`.
//!
//! The data's way: [`Broker::connect`] seats a client; the gateway's driver gives packets to
//! [`Connection::receive`], whose steps are carried out under `receive/`; a message goes through the stages under
//! `publish/`: authorise, retain, route, deliver. What a principal may do [`standing`] reads from the store; `feed`
//! keeps it up to date, which follows the store's feed: the only road from the control plane to here.

mod broker;
mod cell;
mod connect;
mod connection;
mod connections;
mod direct;
mod durable;
mod farewell;
mod feed;
mod groups;
mod http;
mod lifecycle;
mod provoke;
mod publish;
mod receive;
mod renew;
mod report;
mod tidings;

pub use broker::{Broker, BrokerParts, Clock, Durability, Footprint};
pub use connect::{Refused, Turn};
pub use connection::Connection;
pub use connections::{
    ConnectionDescription, ConnectionRefusal, ConnectionState, Deletion, SubscriptionDescription,
};
pub use dialect::DirectFailure;
pub use direct::{DirectMessage, DirectRefusal};
pub use http::{PublishRefusal, PublishRequest, RetainedMessage};
pub use renew::Due;
pub use standing::{Credential, Flow, HttpOrigin, Link, LinkEnd};
pub use standing::{Grant, GrantedDocument, NotRenewed, Renewal, Renewing};

#[cfg(test)]
mod tests;
