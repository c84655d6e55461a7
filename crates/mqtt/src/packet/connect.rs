//! CONNECT and the will that it carries.

use bytes::Bytes;

use crate::packet::MessageProperties;
use crate::properties::UserProperties;
use crate::text::Text;
use crate::version::{QoS, Version};

/// A client asks to connect (MQTT 5.0 section 3.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connect {
    /// The version that this connection will speak.
    pub version: Version,
    /// Clean Start (MQTT 5.0), Clean Session (3.1.1).
    pub clean_start: bool,
    /// Keep alive in seconds; 0 = off.
    pub keep_alive: u16,
    /// The client identifier; may be empty.
    pub client_id: Text,
    /// The user name.
    pub user_name: Option<Text>,
    /// The password: binary, at most 65 535 bytes.
    pub password: Option<Bytes>,
    /// The will message.
    pub will: Option<Box<Will>>,
    /// MQTT 5.0 properties; empty in 3.1.1.
    pub properties: ConnectProperties,
}

/// The properties of CONNECT (MQTT 5.0 section 3.1.2.11).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConnectProperties {
    /// Seconds; `u32::MAX` = never expires; absent = 0.
    pub session_expiry_interval: Option<u32>,
    /// How many QoS 1 and 2 messages the client takes unacknowledged; never 0; absent = 65 535.
    pub receive_maximum: Option<u16>,
    /// The largest packet the client takes, in bytes; never 0; absent = no limit.
    pub maximum_packet_size: Option<u32>,
    /// The highest topic alias the client takes; absent = 0 = none.
    pub topic_alias_maximum: Option<u16>,
    /// Whether the client asks for Response Information; absent = no.
    pub request_response_information: Option<bool>,
    /// Whether reason strings and user properties may be sent on any packet; absent = yes.
    pub request_problem_information: Option<bool>,
    /// User properties.
    pub user_properties: UserProperties,
    /// The method of enhanced authentication.
    pub authentication_method: Option<Text>,
    /// Data of enhanced authentication; only with a method.
    pub authentication_data: Option<Bytes>,
}

/// The message that the server publishes when the client is lost (MQTT 5.0 section 3.1.2.5).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Will {
    /// Where to. The decoder checks the string rules only; the session judges the topic.
    pub topic: Text,
    /// What, at most 65 535 bytes.
    pub payload: Bytes,
    /// Quality of service.
    pub qos: QoS,
    /// Whether it becomes the retained message of its topic.
    pub retain: bool,
    /// Seconds between the loss and the will; absent = 0.
    pub delay_interval: Option<u32>,
    /// What travels end to end.
    pub properties: MessageProperties,
    /// Seconds that the message lives after it is published.
    pub message_expiry_interval: Option<u32>,
}
