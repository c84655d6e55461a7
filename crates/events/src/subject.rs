//! Who and what events speak of.

use std::fmt;
use std::net::SocketAddr;

use identity::Principal;
use mqtt::Version;

/// A client, as far as it is known when something happens to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Client<'a> {
    /// Empty while no CONNECT was read.
    pub client_id: &'a str,
    /// Who the transport authenticated.
    pub principal: &'a Principal,
    /// The other end of the socket; none for a session that is away.
    pub peer: Option<SocketAddr>,
    /// None while no CONNECT was read.
    pub version: Option<Version>,
}

impl fmt::Display for Client<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.client_id, self.peer) {
            ("", Some(peer)) => write!(f, "a client at {peer}"),
            ("", None) => f.write_str("a client"),
            (id, _) => f.write_str(id),
        }
    }
}

/// Where a publish came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin<'a> {
    /// An MQTT client.
    Client(Client<'a>),
    /// An HTTPS request; it has no client id.
    Http {
        /// Who signed the request or showed a certificate.
        principal: &'a Principal,
        /// The other end of the socket.
        peer: Option<SocketAddr>,
    },
    /// The broker itself: what happens is told under `$aws/events/`.
    Service,
}

impl<'a> Origin<'a> {
    /// Who it was; nobody if it was the broker itself.
    pub fn principal(&self) -> Option<&'a Principal> {
        match self {
            Self::Client(client) => Some(client.principal),
            Self::Http { principal, .. } => Some(principal),
            Self::Service => None,
        }
    }

    /// The client id; empty for HTTP and for the broker itself.
    pub fn client_id(&self) -> &'a str {
        match self {
            Self::Client(client) => client.client_id,
            Self::Http { .. } | Self::Service => "",
        }
    }

    /// The other end of the socket.
    pub fn peer(&self) -> Option<SocketAddr> {
        match self {
            Self::Client(client) => client.peer,
            Self::Http { peer, .. } => *peer,
            Self::Service => None,
        }
    }

    /// `MQTT` or `HTTP`, as AWS's logs and the dimension `Protocol` of its metrics spell it.
    pub fn protocol(&self) -> &'static str {
        match self {
            Self::Client(_) | Self::Service => "MQTT",
            Self::Http { .. } => "HTTP",
        }
    }
}

impl fmt::Display for Origin<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Client(client) => client.fmt(f),
            Self::Http { principal, .. } => write!(f, "{principal} (HTTPS)"),
            Self::Service => f.write_str("the broker"),
        }
    }
}

impl<'a> From<Client<'a>> for Origin<'a> {
    fn from(client: Client<'a>) -> Self {
        Self::Client(client)
    }
}

macro_rules! drop_reasons {
    ($($name:ident = $code:literal, $doc:literal, $remedy:literal;)*) => {
        /// Why a message did not reach a client that subscribed to it.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum DropReason {
            $(#[doc = $doc] $name,)*
        }

        impl DropReason {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// A stable name, for metrics and logs.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => $code,)* }
            }

            /// What it means.
            pub fn doc(self) -> &'static str {
                match self { $(Self::$name => $doc,)* }
            }

            /// What to do about it.
            pub fn remedy(self) -> &'static str {
                match self { $(Self::$name => $remedy,)* }
            }
        }
    };
}

drop_reasons! {
    OutboxFull = "OUTBOX_FULL", "The client reads too slowly and the message was of QoS 0.",
        "find out why the client reads so slowly, send it less, or use QoS 1 where every message counts";
    QueueFull = "QUEUE_FULL", "The session holds as many messages as it may.",
        "let the client connect more often or subscribe to less, or raise session-queue-messages";
    Expired = "EXPIRED", "The message's expiry interval passed.",
        "publish with a longer Message Expiry Interval, or let the client connect before it ends";
    TooLargeForClient = "TOO_LARGE_FOR_CLIENT", "The packet would exceed the client's Maximum Packet Size.",
        "raise the Maximum Packet Size in the client's CONNECT, or publish smaller messages";
    RetryWindow = "RETRY_WINDOW", "The client did not acknowledge the message within the retry window.",
        "let the client acknowledge what it gets (PUBACK), before its own work with the message";
    Rate = "THROTTLED", "More messages in a second than may be sent to the client, and the message was of QoS 0.",
        "send the client at most 100 messages a second, use QoS 1, or raise publishes-per-connection";
    QueueRate = "THROTTLED_WHILE_QUEUEING", "More messages in a second than the account may queue.",
        "publish less in a second to sessions that are away, or raise the quota of queued messages";
}

impl fmt::Display for DropReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
