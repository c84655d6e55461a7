//! AWS's words for why a direct message did not arrive.
//!
//! Source: developer guide, *Direct Messaging*, *Monitoring* (`reason` of its log entries).

macro_rules! failures {
    ($($(#[$doc:meta])+ $name:ident = $code:literal;)+) => {
        /// Why a direct message did not arrive, as AWS's log names it (`reason`).
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum DirectFailure {
            $($(#[$doc])+ $name,)+
        }

        impl DirectFailure {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$name,)+];

            /// AWS's word for it.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $code,)+
                }
            }
        }
    };
}

failures! {
    /// The client id is none: 400.
    MalformedClientId = "MALFORMED_CLIENTID";
    /// The topic, or a property, breaks a rule: 400.
    InvalidTopic = "INVALID_TOPIC";
    /// The timeout is not one of 1 to 15 seconds: 400.
    InvalidTimeout = "INVALID_TIMEOUT_PARAMETER";
    /// The payload is too large: 413. AWS lists no word for it.
    PayloadTooLarge = "PAYLOAD_LIMIT_EXCEEDED";
    /// The receiver's policies do not allow iot:Receive: 403.
    ReceiveDenied = "RECEIVE_AUTHORIZATION_FAILURE";
    /// No such client, connected or with a session: 404.
    ClientNotFound = "TARGET_CLIENT_ID_NOT_FOUND";
    /// The client is away; it has a session: 404.
    ClientNotConnected = "TARGET_CLIENT_NOT_CONNECTED";
    /// The account sends too many: 429.
    Throttled = "SEND_DIRECT_MESSAGE_THROTTLED";
    /// The receiver gets too many: 429.
    ReceiverThrottled = "RECEIVE_SESSION_THROTTLED";
    /// The receiver owes as many acknowledgements as it may: 429.
    WindowFull = "RECEIVER_MAX_UNACKED_QOS1_EXCEEDED";
    /// No PUBACK came in time: 504.
    ConfirmationTimeout = "DELIVERY_CONFIRMATION_TIMEOUT";
    /// The sender went away before the PUBACK came: nobody is answered.
    SenderGone = "DELIVERY_CONFIRMATION_SENDER_DISCONNECT";
    /// The client takes no such message, or nothing at all now: 500.
    NotWritable = "CLIENT_ENDPOINT_NOT_WRITABLE";
}
