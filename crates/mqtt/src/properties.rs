//! The properties of MQTT 5.0: which exist, what type they have and which packets may carry them.

mod user;

use std::fmt;

pub use user::{UserProperties, UserPropertiesIter};

use crate::packet::PacketKind;

/// Where a property may stand: one bit per packet type, bit 0 for the will inside CONNECT.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Places(u16);

impl Places {
    /// The will properties, a section of its own inside CONNECT (MQTT 5.0 section 3.1.3.2).
    pub const WILL: Self = Self(1);

    /// The properties of this packet.
    #[must_use]
    pub const fn of(kind: PacketKind) -> Self {
        Self(1 << kind.number())
    }

    /// These places and the property section of one packet more.
    const fn and(self, kind: PacketKind) -> Self {
        Self(self.0 | Self::of(kind).0)
    }

    /// Whether all of `other` is among these.
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

const WILL: Places = Places::WILL;
const CONNECT: Places = Places::of(PacketKind::Connect);
const CONNACK: Places = Places::of(PacketKind::ConnAck);
const PUBLISH: Places = Places::of(PacketKind::Publish);
const MESSAGE: Places = PUBLISH.and_will();
const ANSWERS: Places = CONNACK
    .and(PacketKind::PubAck)
    .and(PacketKind::PubRec)
    .and(PacketKind::PubRel)
    .and(PacketKind::PubComp)
    .and(PacketKind::SubAck)
    .and(PacketKind::UnsubAck)
    .and(PacketKind::Disconnect)
    .and(PacketKind::Auth);
const EVERYWHERE: Places =
    Places(ANSWERS.0 | MESSAGE.0 | CONNECT.0).and(PacketKind::Subscribe).and(PacketKind::Unsubscribe);

impl Places {
    const fn and_will(self) -> Self {
        Self(self.0 | Self::WILL.0)
    }
}

/// The type of a property's value (MQTT 5.0 section 2.2.2.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PropertyType {
    /// One byte that says no (0) or yes (1).
    Flag,
    /// Two bytes.
    TwoByteInteger,
    /// Four bytes.
    FourByteInteger,
    /// One to four bytes.
    VariableByteInteger,
    /// A string.
    Text,
    /// Bytes after a two-byte length.
    Binary,
    /// A key and a value.
    TextPair,
}

macro_rules! properties {
    ($($name:ident = $id:literal, $text:literal, $kind:ident, $places:expr;)+) => {
        /// A property of MQTT 5.0 (table 2-4).
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u8)]
        pub enum Property {
            $(#[doc = concat!($text, ".")] $name = $id,)+
        }

        impl Property {
            /// All of them, by identifier.
            pub const ALL: &'static [Self] = &[$(Self::$name),+];

            /// The property with this identifier, if there is one.
            #[must_use]
            pub const fn from_id(id: u8) -> Option<Self> {
                match id { $($id => Some(Self::$name),)+ _ => None }
            }

            /// The standard's name for it.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$name => $text,)+ }
            }

            /// The type of its value.
            #[must_use]
            pub const fn value_type(self) -> PropertyType {
                match self { $(Self::$name => PropertyType::$kind,)+ }
            }

            /// Where it may stand.
            #[must_use]
            pub const fn places(self) -> Places {
                match self { $(Self::$name => $places,)+ }
            }
        }
    };
}

properties! {
    PayloadFormatIndicator = 0x01, "Payload Format Indicator", Flag, MESSAGE;
    MessageExpiryInterval = 0x02, "Message Expiry Interval", FourByteInteger, MESSAGE;
    ContentType = 0x03, "Content Type", Text, MESSAGE;
    ResponseTopic = 0x08, "Response Topic", Text, MESSAGE;
    CorrelationData = 0x09, "Correlation Data", Binary, MESSAGE;
    SubscriptionIdentifier = 0x0B, "Subscription Identifier", VariableByteInteger, PUBLISH.and(PacketKind::Subscribe);
    SessionExpiryInterval = 0x11, "Session Expiry Interval", FourByteInteger,
        CONNECT.and(PacketKind::ConnAck).and(PacketKind::Disconnect);
    AssignedClientIdentifier = 0x12, "Assigned Client Identifier", Text, CONNACK;
    ServerKeepAlive = 0x13, "Server Keep Alive", TwoByteInteger, CONNACK;
    AuthenticationMethod = 0x15, "Authentication Method", Text, CONNECT.and(PacketKind::ConnAck).and(PacketKind::Auth);
    AuthenticationData = 0x16, "Authentication Data", Binary, CONNECT.and(PacketKind::ConnAck).and(PacketKind::Auth);
    RequestProblemInformation = 0x17, "Request Problem Information", Flag, CONNECT;
    WillDelayInterval = 0x18, "Will Delay Interval", FourByteInteger, WILL;
    RequestResponseInformation = 0x19, "Request Response Information", Flag, CONNECT;
    ResponseInformation = 0x1A, "Response Information", Text, CONNACK;
    ServerReference = 0x1C, "Server Reference", Text, CONNACK.and(PacketKind::Disconnect);
    ReasonString = 0x1F, "Reason String", Text, ANSWERS;
    ReceiveMaximum = 0x21, "Receive Maximum", TwoByteInteger, CONNECT.and(PacketKind::ConnAck);
    TopicAliasMaximum = 0x22, "Topic Alias Maximum", TwoByteInteger, CONNECT.and(PacketKind::ConnAck);
    TopicAlias = 0x23, "Topic Alias", TwoByteInteger, PUBLISH;
    MaximumQos = 0x24, "Maximum QoS", Flag, CONNACK;
    RetainAvailable = 0x25, "Retain Available", Flag, CONNACK;
    UserProperty = 0x26, "User Property", TextPair, EVERYWHERE;
    MaximumPacketSize = 0x27, "Maximum Packet Size", FourByteInteger, CONNECT.and(PacketKind::ConnAck);
    WildcardSubscriptionAvailable = 0x28, "Wildcard Subscription Available", Flag, CONNACK;
    SubscriptionIdentifierAvailable = 0x29, "Subscription Identifier Available", Flag, CONNACK;
    SharedSubscriptionAvailable = 0x2A, "Shared Subscription Available", Flag, CONNACK;
}

impl Property {
    /// The identifier on the wire.
    #[must_use]
    pub const fn id(self) -> u8 {
        self as u8
    }

    /// Whether it may stand more than once in one section. (A PUBLISH may carry several subscription
    /// identifiers, a SUBSCRIBE only one: section 3.8.2.1.2.)
    #[must_use]
    pub const fn may_repeat(self, place: Places) -> bool {
        matches!(self, Self::UserProperty)
            || (matches!(self, Self::SubscriptionIdentifier) && PUBLISH.contains(place))
    }
}

impl fmt::Display for Property {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.pad(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_and_properties_agree() {
        assert_eq!(Property::ALL.len(), 27);
        for property in Property::ALL {
            assert_eq!(Property::from_id(property.id()), Some(*property));
        }
        assert_eq!(Property::from_id(0), None);
        assert_eq!(Property::from_id(0x2B), None);
    }

    #[test]
    fn ping_packets_carry_nothing() {
        for property in Property::ALL {
            for kind in [PacketKind::PingReq, PacketKind::PingResp] {
                assert!(!property.places().contains(Places::of(kind)), "{property} in {kind}");
            }
        }
    }
}
