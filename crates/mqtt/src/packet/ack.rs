//! PUBACK, PUBREC, PUBREL, PUBCOMP: four packets of one shape.

use crate::properties::UserProperties;
use crate::reason::ReasonCode;
use crate::text::Text;
use crate::version::PacketId;

/// The answer to a packet identifier (MQTT 5.0 sections 3.4 to 3.7). 3.1.1 carries the identifier only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ack {
    /// Which packet is answered.
    pub packet_id: PacketId,
    /// The verdict; [`ReasonCode::Success`] in 3.1.1.
    pub code: ReasonCode,
    /// A text for people.
    pub reason_string: Option<Text>,
    /// User properties.
    pub user_properties: UserProperties,
}

impl Ack {
    /// An answer without properties.
    #[must_use]
    pub const fn new(packet_id: PacketId, code: ReasonCode) -> Self {
        Self { packet_id, code, reason_string: None, user_properties: UserProperties::EMPTY }
    }

    /// [`ReasonCode::Success`] without properties.
    #[must_use]
    pub const fn success(packet_id: PacketId) -> Self {
        Self::new(packet_id, ReasonCode::Success)
    }
}
