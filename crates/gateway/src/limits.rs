//! What a peer may cost before it has shown who it is, and after: every limit with its consequence.

use std::time::Duration;

/// The limits of the gateway. Times are wall-clock durations; each one names what happens when it is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Open sockets over all doors. Beyond it a new socket is closed at once (event `ConnectionRefusedLimit`).
    pub connections: usize,
    /// TLS handshakes being computed at one time. Beyond it a handshake waits for its turn, within `handshake`.
    pub handshakes_in_flight: usize,
    /// From accept to the end of the TLS handshake. Then the socket is closed (event `HandshakeFailed`).
    pub handshake: Duration,
    /// From the end of the handshake to the last byte of CONNECT. Then the socket is closed (`ConnectTimeout`). The same time
    /// for the head of an HTTP request; and for the first success on an HTTP connection whose peer showed no certificate that
    /// is registered and ACTIVE. Then no further request is taken.
    pub first_packet: Duration,
    /// From the first byte of a packet to its last. Then the link ends as lost.
    pub partial_packet: Duration,
    /// How long a write may make no progress. Then the link ends as lost (`WriteTimeout`).
    pub write_stall: Duration,
    /// For the last bytes of a connection that the broker ends. What is unsent by then is dropped.
    pub flush: Duration,
    /// The life of an HTTP connection without upgrade, once somebody has been let in. Then no further request is taken.
    pub http_connection: Duration,
    /// For the request that is under way at that moment: a body, an authorizer, a message with confirmation. Then the
    /// connection is cut.
    pub last_response: Duration,
    /// How long a closed connection waits for the peer to close too, so that a TCP reset does not
    /// overtake the last packet or response. Then the socket is closed.
    pub linger: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 100_000,
            handshakes_in_flight: 256,
            handshake: Duration::from_secs(10),
            first_packet: Duration::from_secs(10),
            partial_packet: Duration::from_secs(60),
            write_stall: Duration::from_secs(30),
            flush: Duration::from_secs(2),
            http_connection: Duration::from_secs(600),
            last_response: Duration::from_secs(30),
            linger: Duration::from_secs(1),
        }
    }
}
