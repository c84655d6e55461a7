//! DISCONNECT and AUTH: a reason code and properties, nothing else.

use bytes::Bytes;

use crate::properties::UserProperties;
use crate::reason::ReasonCode;
use crate::text::Text;

/// Either side says goodbye (MQTT 5.0 section 3.14). 3.1.1 has it from the client only, and without content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Disconnect {
    /// Why; [`ReasonCode::Success`] = normal disconnection.
    pub code: ReasonCode,
    /// Seconds; only from the client `[MQTT-3.14.2-2]`.
    pub session_expiry_interval: Option<u32>,
    /// A text for people.
    pub reason_string: Option<Text>,
    /// User properties.
    pub user_properties: UserProperties,
    /// Another server to use.
    pub server_reference: Option<Text>,
}

impl Disconnect {
    /// A goodbye without properties.
    #[must_use]
    pub const fn new(code: ReasonCode) -> Self {
        Self {
            code,
            session_expiry_interval: None,
            reason_string: None,
            user_properties: UserProperties::EMPTY,
            server_reference: None,
        }
    }
}

/// A step of enhanced authentication (MQTT 5.0 section 3.15).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Auth {
    /// Success, Continue authentication or Re-authenticate.
    pub code: ReasonCode,
    /// The method; absent only in the short form (success and nothing else).
    pub authentication_method: Option<Text>,
    /// Data of the method.
    pub authentication_data: Option<Bytes>,
    /// A text for people.
    pub reason_string: Option<Text>,
    /// User properties.
    pub user_properties: UserProperties,
}
