//! CONNACK.

use bytes::Bytes;

use crate::properties::UserProperties;
use crate::reason::ReasonCode;
use crate::text::Text;
use crate::version::QoS;

/// The server answers a CONNECT (MQTT 5.0 section 3.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnAck {
    /// Whether the server had a session for the client. Always false with a failure `[MQTT-3.2.2-6]`.
    pub session_present: bool,
    /// The verdict; the codec maps it to the return codes 0 to 5 of 3.1.1.
    pub code: ReasonCode,
    /// MQTT 5.0 properties; not written in 3.1.1.
    pub properties: ConnAckProperties,
}

/// The properties of CONNACK (MQTT 5.0 section 3.2.2.3).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConnAckProperties {
    /// Seconds, when the server uses another value than the client asked for.
    pub session_expiry_interval: Option<u32>,
    /// How many QoS 1 and 2 messages the server takes unacknowledged; never 0; absent = 65 535.
    pub receive_maximum: Option<u16>,
    /// The highest QoS the server takes: 0 or 1; absent = 2.
    pub maximum_qos: Option<QoS>,
    /// Whether the server keeps retained messages; absent = yes.
    pub retain_available: Option<bool>,
    /// The largest packet the server takes, in bytes; never 0.
    pub maximum_packet_size: Option<u32>,
    /// The client identifier that the server chose for a client without one.
    pub assigned_client_identifier: Option<Text>,
    /// The highest topic alias the server takes; absent = 0 = none.
    pub topic_alias_maximum: Option<u16>,
    /// A text for people.
    pub reason_string: Option<Text>,
    /// User properties.
    pub user_properties: UserProperties,
    /// Whether wildcards are taken in filters; absent = yes.
    pub wildcard_subscription_available: Option<bool>,
    /// Whether subscription identifiers are taken; absent = yes.
    pub subscription_identifiers_available: Option<bool>,
    /// Whether shared subscriptions are taken; absent = yes.
    pub shared_subscription_available: Option<bool>,
    /// Seconds: the keep alive that the client must use instead of its own.
    pub server_keep_alive: Option<u16>,
    /// The basis for response topics.
    pub response_information: Option<Text>,
    /// Another server to use.
    pub server_reference: Option<Text>,
    /// The method of enhanced authentication.
    pub authentication_method: Option<Text>,
    /// Data of enhanced authentication.
    pub authentication_data: Option<Bytes>,
}

impl ConnAck {
    /// An answer without properties.
    #[must_use]
    pub fn new(code: ReasonCode) -> Self {
        Self { session_present: false, code, properties: ConnAckProperties::default() }
    }
}
