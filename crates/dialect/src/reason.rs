//! Why a connection ended, in AWS's spelling.

use std::fmt;

macro_rules! reasons {
    ($($(#[$doc:meta])* $name:ident = $text:literal, will: $will:literal;)*) => {
        /// `disconnectReason` of lifecycle events and logs. Source: developer guide, *Lifecycle events*.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum DisconnectReason {
            $($(#[$doc])* $name,)*
        }

        impl DisconnectReason {
            /// All of them, in the order of AWS's list.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// AWS's spelling.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }

            /// Whether the will of a connection that ended so is published.
            pub fn sends_will(self) -> bool {
                match self { $(Self::$name => $will,)* }
            }
        }
    };
}

reasons! {
    /// Authentication or authorization failed.
    AuthError = "AUTH_ERROR", will: true;
    /// The client said DISCONNECT, or closed its WebSocket with a Close frame.
    ClientInitiatedDisconnect = "CLIENT_INITIATED_DISCONNECT", will: false;
    /// The client broke the protocol or a size limit.
    ClientError = "CLIENT_ERROR", will: true;
    /// The network took the connection away.
    ConnectionLost = "CONNECTION_LOST", will: true;
    /// Another connection took the client id.
    DuplicateClientId = "DUPLICATE_CLIENTID", will: true;
    /// The client may not connect, for example from this address.
    ForbiddenAccess = "FORBIDDEN_ACCESS", will: true;
    /// Nothing was heard for 1.5 times the keep-alive interval.
    MqttKeepAliveTimeout = "MQTT_KEEP_ALIVE_TIMEOUT", will: true;
    /// The broker failed.
    ServerError = "SERVER_ERROR", will: true;
    /// The broker ends connections on purpose, for example to stop.
    ServerInitiatedDisconnect = "SERVER_INITIATED_DISCONNECT", will: true;
    /// DeleteConnection. Its caller may withhold the will (`preventWillMessage`).
    ApiInitiatedDisconnect = "API_INITIATED_DISCONNECT", will: true;
    /// A limit was passed in a way that ends the connection.
    Throttled = "THROTTLED", will: true;
    /// A WebSocket reached its 24 hours.
    WebsocketTtlExpiration = "WEBSOCKET_TTL_EXPIRATION", will: true;
    /// A custom authorizer's `disconnectAfterInSeconds` passed.
    CustomauthTtlExpiration = "CUSTOMAUTH_TTL_EXPIRATION", will: true;
}

impl fmt::Display for DisconnectReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_clients_own_goodbye_withholds_the_will() {
        let silent: Vec<_> = DisconnectReason::ALL.iter().filter(|r| !r.sends_will()).collect();
        assert_eq!(silent, [&DisconnectReason::ClientInitiatedDisconnect]);
    }
}
