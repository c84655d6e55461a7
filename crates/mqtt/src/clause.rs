//! The clauses that a packet can break, in both documents: 3.1.1 and 5.0 number the same rule differently.
//!
//! Where a rule has no conformance statement of its own, the section stands here (`5.0 section 2.2.2.2`).

use crate::version::Version;

/// One rule, with its number in each document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Clause {
    v3: &'static str,
    v5: &'static str,
}

impl Clause {
    pub(crate) const fn number(self, version: Version) -> &'static str {
        match version {
            Version::V311 => self.v3,
            Version::V5 => self.v5,
        }
    }
}

macro_rules! clauses {
    ($($(#[$doc:meta])* $name:ident = $v3:literal, $v5:literal;)+) => {
        $($(#[$doc])* pub(crate) const $name: &Clause = &Clause { v3: $v3, v5: $v5 };)+
    };
}

clauses! {
    // The fixed header and the basic types.
    PACKET_TYPE = "3.1.1 section 2.2.1", "5.0 section 2.1.2";
    RESERVED_FLAGS = "MQTT-2.2.2-2", "MQTT-2.1.3-1";
    REMAINING_LENGTH = "3.1.1 section 2.2.3", "MQTT-1.5.5-1";
    PACKET_SIZE = "3.1.1 section 2.2.3", "5.0 section 3.2.2.3.6";
    LENGTH = "3.1.1 section 2.2.3", "5.0 section 2.1.4";
    VARIABLE_INTEGER = "3.1.1 section 2.2.3", "MQTT-1.5.5-1";
    UTF8 = "MQTT-1.5.3-1", "MQTT-1.5.4-1";
    NUL = "MQTT-1.5.3-2", "MQTT-1.5.4-2";
    PACKET_ID = "MQTT-2.3.1-1", "MQTT-2.2.1-3";
    PROPERTY_SET = "5.0 section 2.2.2", "5.0 section 2.2.2.2";
    // CONNECT.
    FIRST_PACKET = "MQTT-3.1.0-1", "MQTT-3.1.0-1";
    DIRECTION = "3.1.1 section 2.2.1", "5.0 section 2.1.2";
    PROTOCOL_NAME = "MQTT-3.1.2-1", "MQTT-3.1.2-1";
    PROTOCOL_LEVEL = "MQTT-3.1.2-2", "MQTT-3.1.2-2";
    CONNECT_RESERVED = "MQTT-3.1.2-3", "MQTT-3.1.2-3";
    WILL_QOS_WITHOUT_WILL = "MQTT-3.1.2-13", "MQTT-3.1.2-11";
    WILL_QOS = "MQTT-3.1.2-14", "MQTT-3.1.2-12";
    WILL_RETAIN_WITHOUT_WILL = "MQTT-3.1.2-15", "MQTT-3.1.2-13";
    PASSWORD_WITHOUT_NAME = "MQTT-3.1.2-22", "5.0 section 3.1.3.6";
    CONNECT_RECEIVE_MAXIMUM = "-", "5.0 section 3.1.2.11.3";
    CONNECT_PACKET_SIZE = "-", "5.0 section 3.1.2.11.4";
    REQUEST_RESPONSE = "-", "5.0 section 3.1.2.11.6";
    REQUEST_PROBLEM = "-", "5.0 section 3.1.2.11.7";
    CONNECT_AUTHENTICATION = "-", "5.0 section 3.1.2.11.10";
    // CONNACK.
    CONNACK_FLAGS = "3.1.1 section 3.2.2.1", "MQTT-3.2.2-1";
    SESSION_PRESENT = "MQTT-3.2.2-4", "MQTT-3.2.2-6";
    CONNACK_CODE = "3.1.1 section 3.2.2.3", "MQTT-3.2.2-8";
    CONNACK_RECEIVE_MAXIMUM = "-", "5.0 section 3.2.2.3.3";
    MAXIMUM_QOS = "-", "5.0 section 3.2.2.3.4";
    RETAIN_AVAILABLE = "-", "5.0 section 3.2.2.3.5";
    CONNACK_PACKET_SIZE = "-", "5.0 section 3.2.2.3.6";
    WILDCARD_AVAILABLE = "-", "5.0 section 3.2.2.3.11";
    IDENTIFIERS_AVAILABLE = "-", "5.0 section 3.2.2.3.12";
    SHARED_AVAILABLE = "-", "5.0 section 3.2.2.3.13";
    CONNACK_AUTHENTICATION = "-", "5.0 section 3.2.2.3.18";
    // PUBLISH.
    DUP = "MQTT-3.3.1-2", "MQTT-3.3.1-2";
    QOS = "MQTT-3.3.1-4", "MQTT-3.3.1-4";
    TOPIC_WILDCARD = "MQTT-3.3.2-2", "MQTT-3.3.2-2";
    TOPIC_EMPTY = "MQTT-4.7.3-1", "MQTT-4.7.3-1";
    TOPIC_MISSING = "MQTT-4.7.3-1", "5.0 section 3.3.2.1";
    TOPIC_ALIAS = "-", "MQTT-3.3.2-8";
    PAYLOAD_FORMAT = "-", "5.0 section 3.3.2.3.2";
    RESPONSE_TOPIC = "-", "MQTT-3.3.2-14";
    IDENTIFIER_FROM_CLIENT = "-", "MQTT-3.3.4-6";
    PUBLISH_IDENTIFIER = "-", "5.0 section 3.3.2.3.8";
    // Acknowledgements.
    PUBACK_CODE = "-", "MQTT-3.4.2-1";
    PUBREC_CODE = "-", "MQTT-3.5.2-1";
    PUBREL_CODE = "-", "MQTT-3.6.2-1";
    PUBCOMP_CODE = "-", "MQTT-3.7.2-1";
    // SUBSCRIBE and UNSUBSCRIBE.
    SUBSCRIBE_EMPTY = "MQTT-3.8.3-3", "MQTT-3.8.3-2";
    SUBSCRIBE_OPTIONS = "MQTT-3.8.3-4", "MQTT-3.8.3-5";
    SUBSCRIBE_QOS = "MQTT-3.8.3-4", "5.0 section 3.8.3.1";
    RETAIN_HANDLING = "-", "5.0 section 3.8.3.1";
    NO_LOCAL_SHARED = "-", "MQTT-3.8.3-4";
    SUBSCRIBE_IDENTIFIER = "-", "5.0 section 3.8.2.1.2";
    SUBACK_EMPTY = "MQTT-3.9.3-1", "MQTT-3.9.3-1";
    SUBACK_CODE = "MQTT-3.9.3-2", "MQTT-3.9.3-2";
    UNSUBSCRIBE_EMPTY = "MQTT-3.10.3-2", "MQTT-3.10.3-2";
    UNSUBACK_EMPTY = "-", "MQTT-3.11.3-1";
    UNSUBACK_CODE = "-", "MQTT-3.11.3-2";
    // DISCONNECT and AUTH.
    DISCONNECT_CODE = "-", "MQTT-3.14.2-1";
    EXPIRY_FROM_SERVER = "-", "MQTT-3.14.2-2";
    AUTH_CODE = "-", "MQTT-3.15.2-1";
    AUTH_METHOD = "-", "5.0 section 3.15.2.2.2";
}
