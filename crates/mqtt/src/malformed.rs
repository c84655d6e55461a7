//! `Malformed`: why bytes are no packet, which clause says so and what to answer.

use std::fmt;

use crate::clause::Clause;
use crate::packet::PacketKind;
use crate::properties::Property;
use crate::reason::ReasonCode;
use crate::version::Version;

/// A packet that breaks the standard. After one, the byte stream is worth nothing any more: close it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed {
    /// What is wrong.
    pub fault: MalformedFault,
    /// The broken rule: a conformance statement (`MQTT-3.3.1-4`) or a section (`5.0 section 2.2.2.2`).
    pub clause: &'static str,
    /// The packet it was found in, such as `PUBLISH`; `packet` when not even the type is valid.
    pub packet: &'static str,
}

/// What can be wrong with one packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MalformedFault {
    /// The type of the packet is reserved.
    PacketType {
        /// The type, 0 to 15.
        number: u8,
    },
    /// The lower half of the first byte is not what this packet must have.
    FixedHeaderFlags {
        /// The four bits.
        flags: u8,
    },
    /// The remaining length takes more than four bytes, or more than it needs.
    RemainingLength,
    /// The packet is longer than this side takes; known from its first bytes.
    PacketTooLarge {
        /// Bytes of the whole packet.
        length: u32,
        /// Bytes this side takes.
        limit: u32,
    },
    /// A server received something else than CONNECT first.
    NotConnectFirst,
    /// This packet is never sent in this direction.
    UnexpectedPacket,
    /// The packet ends in the middle of a field.
    Truncated,
    /// Bytes are left over after the last field.
    TrailingBytes {
        /// How many.
        count: u32,
    },
    /// A variable byte integer takes more than four bytes, or more than it needs.
    VariableByteInteger,
    /// A string is not well-formed UTF-8.
    NotUtf8,
    /// A string contains U+0000.
    NulCharacter,
    /// A packet identifier is 0.
    PacketIdZero,
    /// The client speaks another protocol than MQTT 3.1.1 or 5.0.
    UnsupportedProtocol {
        /// `MQTT`, `MQIsdp` (3.1) or `another name`.
        name: &'static str,
        /// The protocol level.
        level: u8,
    },
    /// The reserved bit of the connect flags is set.
    ReservedConnectFlag,
    /// A will QoS without a will.
    WillQosWithoutWill,
    /// A will QoS of 3.
    WillQos,
    /// Will retain without a will.
    WillRetainWithoutWill,
    /// A password without a user name (3.1.1).
    PasswordWithoutUserName,
    /// Authentication data without an authentication method.
    DataWithoutMethod,
    /// AUTH without an authentication method.
    MethodMissing,
    /// A reserved bit of the CONNACK flags is set.
    ConnAckFlags {
        /// The byte.
        flags: u8,
    },
    /// Session present together with a failure.
    SessionPresentWithFailure,
    /// A reason code or return code that this packet may not carry.
    ReasonCode {
        /// The number.
        code: u8,
    },
    /// DUP with QoS 0.
    DupWithQos0,
    /// A QoS of 3.
    Qos,
    /// A topic name, or a response topic, contains a wildcard.
    WildcardInTopic,
    /// The topic name is empty.
    EmptyTopic,
    /// The topic name is empty and there is no topic alias.
    TopicMissing,
    /// No topic filter.
    NoFilters,
    /// Reserved bits of the subscription options are set.
    SubscriptionOptions {
        /// The byte.
        options: u8,
    },
    /// A retain handling of 3.
    RetainHandling,
    /// No Local on a shared subscription.
    NoLocalOnShared,
    /// An answer without a code.
    NoReasonCodes,
    /// No property has this identifier.
    UnknownProperty {
        /// The identifier.
        id: u32,
    },
    /// This property does not belong into this packet.
    PropertyNotAllowed {
        /// The property.
        property: Property,
    },
    /// This property may stand only once.
    DuplicateProperty {
        /// The property.
        property: Property,
    },
    /// The value is outside of what this property may say.
    PropertyValue {
        /// The property.
        property: Property,
    },
    /// This property may be sent only from the other side.
    PropertyDirection {
        /// The property.
        property: Property,
    },
}

impl MalformedFault {
    /// What an MQTT 5 peer is told: Malformed Packet when the bytes cannot be parsed, Protocol Error when they can
    /// but may not say this (MQTT 5.0 section 1.2 and 4.13).
    #[must_use]
    pub const fn reason_code(self) -> ReasonCode {
        match self {
            Self::PacketTooLarge { .. } => ReasonCode::PacketTooLarge,
            Self::UnsupportedProtocol { .. } => ReasonCode::UnsupportedProtocolVersion,
            Self::NotConnectFirst
            | Self::UnexpectedPacket
            | Self::DataWithoutMethod
            | Self::MethodMissing
            | Self::SessionPresentWithFailure
            | Self::ReasonCode { .. }
            | Self::TopicMissing
            | Self::NoFilters
            | Self::NoReasonCodes
            | Self::RetainHandling
            | Self::NoLocalOnShared
            | Self::DuplicateProperty { .. }
            | Self::PropertyDirection { .. } => ReasonCode::ProtocolError,
            Self::PropertyValue { property: Property::TopicAlias } => ReasonCode::TopicAliasInvalid,
            Self::PropertyValue { .. } => ReasonCode::ProtocolError,
            _ => ReasonCode::MalformedPacket,
        }
    }
}

impl Malformed {
    /// What an MQTT 5 peer is told.
    #[must_use]
    pub const fn reason_code(&self) -> ReasonCode {
        self.fault.reason_code()
    }
}

impl fmt::Display for MalformedFault {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PacketType { number } => write!(out, "packet type {number} is reserved"),
            Self::FixedHeaderFlags { flags } => write!(out, "the flags of the first byte are {flags:04b}"),
            Self::PacketTooLarge { length, limit } => {
                write!(out, "the packet has {length} bytes, more than the {limit} taken here")
            }
            Self::TrailingBytes { count } => write!(out, "{count} bytes are left over after the last field"),
            Self::UnsupportedProtocol { name, level } => {
                write!(out, "protocol {name:?} level {level} is not spoken here, only MQTT 3.1.1 and 5")
            }
            Self::ConnAckFlags { flags } => write!(out, "reserved acknowledge flags are set: {flags:08b}"),
            Self::ReasonCode { code } => {
                write!(out, "code 0x{code:02X} is not one that this packet may carry")
            }
            Self::SubscriptionOptions { options } => {
                write!(out, "reserved subscription options are set: {options:08b}")
            }
            Self::UnknownProperty { id } => write!(out, "no property has the identifier 0x{id:02X}"),
            Self::PropertyNotAllowed { property } => write!(out, "{property} does not belong here"),
            Self::DuplicateProperty { property } => write!(out, "{property} stands there twice"),
            Self::PropertyValue { property } => write!(out, "{property} has a value that is not allowed"),
            Self::PropertyDirection { property } => write!(out, "only the other side may send {property}"),
            plain => out.write_str(plain.sentence()),
        }
    }
}

impl MalformedFault {
    /// The faults that need no number to be told.
    const fn sentence(self) -> &'static str {
        match self {
            Self::RemainingLength => "the remaining length is not a valid variable byte integer",
            Self::NotConnectFirst => "the first packet is not CONNECT",
            Self::UnexpectedPacket => "this packet is never sent in this direction",
            Self::Truncated => "the packet ends in the middle of a field",
            Self::VariableByteInteger => "a variable byte integer has too many bytes",
            Self::NotUtf8 => "a string is not well-formed UTF-8",
            Self::NulCharacter => "a string contains the character U+0000",
            Self::PacketIdZero => "the packet identifier is 0",
            Self::ReservedConnectFlag => "the reserved connect flag is set",
            Self::WillQosWithoutWill => "there is a will QoS but no will",
            Self::WillQos => "the will QoS is 3",
            Self::WillRetainWithoutWill => "will retain is set but there is no will",
            Self::PasswordWithoutUserName => "there is a password but no user name",
            Self::DataWithoutMethod => "there is authentication data but no authentication method",
            Self::MethodMissing => "the authentication method is missing",
            Self::SessionPresentWithFailure => "session present is set although the connection is refused",
            Self::DupWithQos0 => "DUP is set although the QoS is 0",
            Self::Qos => "the QoS is 3",
            Self::WildcardInTopic => "a topic name contains + or #",
            Self::EmptyTopic => "the topic name is empty",
            Self::TopicMissing => "the topic name is empty and there is no topic alias",
            Self::NoFilters => "there is no topic filter",
            Self::RetainHandling => "the retain handling is 3",
            Self::NoLocalOnShared => "No Local is set on a shared subscription",
            Self::NoReasonCodes => "there is no reason code",
            _ => "the packet is malformed",
        }
    }
}

impl fmt::Display for Malformed {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "malformed {}: {} [{}]", self.packet, self.fault, self.clause)
    }
}

impl std::error::Error for Malformed {}

/// A fault on its way up, before it knows packet and version.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Flaw {
    fault: MalformedFault,
    clause: &'static Clause,
}

impl Flaw {
    pub(crate) const fn new(fault: MalformedFault, clause: &'static Clause) -> Self {
        Self { fault, clause }
    }

    pub(crate) const fn within(self, packet: Option<PacketKind>, version: Version) -> Malformed {
        let packet = match packet {
            Some(kind) => kind.name(),
            None => "packet",
        };
        Malformed { fault: self.fault, clause: self.clause.number(version), packet }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clause;

    #[test]
    fn it_reads_as_a_sentence() {
        let flaw = Flaw::new(MalformedFault::Qos, clause::QOS);
        let malformed = flaw.within(Some(PacketKind::Publish), Version::V5);
        assert_eq!(malformed.to_string(), "malformed PUBLISH: the QoS is 3 [MQTT-3.3.1-4]");
        assert_eq!(malformed.reason_code(), ReasonCode::MalformedPacket);
        let fault = MalformedFault::PacketTooLarge { length: 9, limit: 8 };
        let malformed = Flaw::new(fault, clause::PACKET_SIZE).within(None, Version::V311);
        assert_eq!(
            malformed.to_string(),
            "malformed packet: the packet has 9 bytes, more than the 8 taken here [3.1.1 section 2.2.3]"
        );
    }
}
