//! The doors of the broker: listeners, TLS, who it is that comes, HTTP and WebSocket, and the task that drives one
//! MQTT connection.
//!
//! Invariants:
//! * Nothing here decides what MQTT or a policy means: bytes become packets, packets go to `broker::Connection`,
//!   its bytes go out. Which certificate may enter is the registry's word, asked for on every connection.
//! * Whatever a peer does or leaves undone, it ends within a limit of [`Limits`], and costs bounded memory until then.
//! * An idle connection holds no buffer.

mod budget;
mod clock;
mod converse;
mod credential;
mod custom;
mod door;
mod driver;
mod endpoint;
mod farewell;
mod greet;
mod handshake;
mod http;
mod limits;
mod refusal;
mod report;
mod rewound;
mod scratch;
mod tls;
mod way;
mod websocket;

pub use clock::Clock;
pub use door::{Door, Gateway, GatewayParts};
pub use http::{Answering, Requests};
pub use limits::Limits;
pub use tls::{ServerIdentity, UnusableServerCertificate};
