//! SUBSCRIBE, UNSUBSCRIBE and their answers.

use smallvec::SmallVec;

use crate::properties::UserProperties;
use crate::reason::ReasonCode;
use crate::text::Text;
use crate::version::{PacketId, QoS, RetainHandling};

/// A client subscribes (MQTT 5.0 section 3.8).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subscribe {
    /// Which answer belongs to it.
    pub packet_id: PacketId,
    /// The number that deliveries for these subscriptions carry: 1 to 268 435 455.
    pub subscription_identifier: Option<u32>,
    /// User properties.
    pub user_properties: UserProperties,
    /// At least one `[MQTT-3.8.3-2]`.
    pub filters: SmallVec<[SubscribeRequest; 1]>,
}

/// One line of a SUBSCRIBE.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubscribeRequest {
    /// A string, not yet judged as a filter: the session answers per filter.
    pub filter: Text,
    /// The highest quality of service to deliver with.
    pub qos: QoS,
    /// Do not send back what this client published.
    pub no_local: bool,
    /// Keep the RETAIN flag as it was published.
    pub retain_as_published: bool,
    /// What to do with retained messages now.
    pub retain_handling: RetainHandling,
}

impl SubscribeRequest {
    /// A request as 3.1.1 can make it.
    #[must_use]
    pub const fn new(filter: Text, qos: QoS) -> Self {
        Self {
            filter,
            qos,
            no_local: false,
            retain_as_published: false,
            retain_handling: RetainHandling::SendAtSubscribe,
        }
    }
}

/// The server answers a SUBSCRIBE (MQTT 5.0 section 3.9).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubAck {
    /// The SUBSCRIBE that is answered.
    pub packet_id: PacketId,
    /// One per filter, in order `[MQTT-3.9.3-1]`; in 3.1.1 every failure is written as 0x80.
    pub codes: SmallVec<[ReasonCode; 2]>,
    /// A text for people.
    pub reason_string: Option<Text>,
    /// User properties.
    pub user_properties: UserProperties,
}

/// A client unsubscribes (MQTT 5.0 section 3.10).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unsubscribe {
    /// Which answer belongs to it.
    pub packet_id: PacketId,
    /// At least one `[MQTT-3.10.3-2]`; not yet judged as filters.
    pub filters: SmallVec<[Text; 1]>,
    /// User properties.
    pub user_properties: UserProperties,
}

/// The server answers an UNSUBSCRIBE (MQTT 5.0 section 3.11).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnsubAck {
    /// The UNSUBSCRIBE that is answered.
    pub packet_id: PacketId,
    /// One per filter, in order `[MQTT-3.11.3-1]`; empty in 3.1.1, which has none.
    pub codes: SmallVec<[ReasonCode; 2]>,
    /// A text for people.
    pub reason_string: Option<Text>,
    /// User properties.
    pub user_properties: UserProperties,
}
