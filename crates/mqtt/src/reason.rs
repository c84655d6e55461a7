//! Reason codes of MQTT 5.0 (section 2.4), where each may be used, and their 3.1.1 counterparts.

use std::fmt;

use crate::QoS;
use crate::packet::PacketKind;

macro_rules! reason_codes {
    ($($(#[$doc:meta])* $name:ident = $code:literal, $text:literal;)+) => {
        /// A reason code: below 0x80 success, from 0x80 on a failure.
        ///
        /// 0x00 is also called *Normal disconnection* (DISCONNECT) and *Granted QoS 0* (SUBACK).
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u8)]
        pub enum ReasonCode {
            $($(#[$doc])* #[doc = concat!($text, ".")] $name = $code,)+
        }

        impl ReasonCode {
            /// Every reason code, in numeric order.
            pub const ALL: &'static [Self] = &[$(Self::$name),+];

            /// The name that the standard gives it, such as `Not authorized`.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$name => $text,)+ }
            }

            /// The code with this number, if there is one.
            #[must_use]
            pub const fn from_code(code: u8) -> Option<Self> {
                match code { $($code => Some(Self::$name),)+ _ => None }
            }
        }
    };
}

reason_codes! {
    Success = 0x00, "Success";
    GrantedQos1 = 0x01, "Granted QoS 1";
    GrantedQos2 = 0x02, "Granted QoS 2";
    DisconnectWithWill = 0x04, "Disconnect with Will Message";
    NoMatchingSubscribers = 0x10, "No matching subscribers";
    NoSubscriptionExisted = 0x11, "No subscription existed";
    ContinueAuthentication = 0x18, "Continue authentication";
    ReAuthenticate = 0x19, "Re-authenticate";
    UnspecifiedError = 0x80, "Unspecified error";
    MalformedPacket = 0x81, "Malformed Packet";
    ProtocolError = 0x82, "Protocol Error";
    ImplementationSpecificError = 0x83, "Implementation specific error";
    UnsupportedProtocolVersion = 0x84, "Unsupported Protocol Version";
    ClientIdentifierNotValid = 0x85, "Client Identifier not valid";
    BadUserNameOrPassword = 0x86, "Bad User Name or Password";
    NotAuthorized = 0x87, "Not authorized";
    ServerUnavailable = 0x88, "Server unavailable";
    ServerBusy = 0x89, "Server busy";
    Banned = 0x8A, "Banned";
    ServerShuttingDown = 0x8B, "Server shutting down";
    BadAuthenticationMethod = 0x8C, "Bad authentication method";
    KeepAliveTimeout = 0x8D, "Keep Alive timeout";
    SessionTakenOver = 0x8E, "Session taken over";
    TopicFilterInvalid = 0x8F, "Topic Filter invalid";
    TopicNameInvalid = 0x90, "Topic Name invalid";
    PacketIdentifierInUse = 0x91, "Packet Identifier in use";
    PacketIdentifierNotFound = 0x92, "Packet Identifier not found";
    ReceiveMaximumExceeded = 0x93, "Receive Maximum exceeded";
    TopicAliasInvalid = 0x94, "Topic Alias invalid";
    PacketTooLarge = 0x95, "Packet too large";
    MessageRateTooHigh = 0x96, "Message rate too high";
    QuotaExceeded = 0x97, "Quota exceeded";
    AdministrativeAction = 0x98, "Administrative action";
    PayloadFormatInvalid = 0x99, "Payload format invalid";
    RetainNotSupported = 0x9A, "Retain not supported";
    QosNotSupported = 0x9B, "QoS not supported";
    UseAnotherServer = 0x9C, "Use another server";
    ServerMoved = 0x9D, "Server moved";
    SharedSubscriptionsNotSupported = 0x9E, "Shared Subscriptions not supported";
    ConnectionRateExceeded = 0x9F, "Connection rate exceeded";
    MaximumConnectTime = 0xA0, "Maximum connect time";
    SubscriptionIdentifiersNotSupported = 0xA1, "Subscription Identifiers not supported";
    WildcardSubscriptionsNotSupported = 0xA2, "Wildcard Subscriptions not supported";
}

impl ReasonCode {
    /// What a SUBACK says of a subscription that is granted with this QoS `[MQTT-3.9.3-2]`.
    #[must_use]
    pub const fn granted(qos: QoS) -> Self {
        match qos {
            QoS::AtMostOnce => Self::Success,
            QoS::AtLeastOnce => Self::GrantedQos1,
            QoS::ExactlyOnce => Self::GrantedQos2,
        }
    }

    /// The number on the wire.
    #[must_use]
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// True from 0x80 on.
    #[must_use]
    pub const fn is_failure(self) -> bool {
        self.code() >= 0x80
    }

    /// Whether the standard lists this code for this packet, sent by a client or by a server.
    ///
    /// `[MQTT-3.2.2-8]`, `[MQTT-3.4.2-1]`, `[MQTT-3.5.2-1]`, `[MQTT-3.6.2-1]`, `[MQTT-3.7.2-1]`, `[MQTT-3.9.3-2]`,
    /// `[MQTT-3.11.3-2]`, `[MQTT-3.14.2-1]`, `[MQTT-3.15.2-1]`. Packets without a reason code allow none.
    #[must_use]
    pub const fn allowed_in(self, packet: PacketKind, sent_by_server: bool) -> bool {
        match packet {
            PacketKind::ConnAck => matches!(
                self.code(),
                0x00 | 0x80..=0x8A | 0x8C | 0x90 | 0x95 | 0x97 | 0x99..=0x9D | 0x9F
            ),
            PacketKind::PubAck | PacketKind::PubRec => {
                matches!(self.code(), 0x00 | 0x10 | 0x80 | 0x83 | 0x87 | 0x90 | 0x91 | 0x97 | 0x99)
            }
            PacketKind::PubRel | PacketKind::PubComp => matches!(self.code(), 0x00 | 0x92),
            PacketKind::SubAck => matches!(
                self.code(),
                0x00..=0x02 | 0x80 | 0x83 | 0x87 | 0x8F | 0x91 | 0x97 | 0x9E | 0xA1 | 0xA2
            ),
            PacketKind::UnsubAck => matches!(self.code(), 0x00 | 0x11 | 0x80 | 0x83 | 0x87 | 0x8F | 0x91),
            PacketKind::Disconnect => self.allowed_in_disconnect(sent_by_server),
            PacketKind::Auth => {
                matches!(self.code(), 0x00 | 0x18) || (self.code() == 0x19 && !sent_by_server)
            }
            _ => false,
        }
    }

    /// Table 3-10 of MQTT 5.0, with its column *Sent by*.
    const fn allowed_in_disconnect(self, sent_by_server: bool) -> bool {
        match self.code() {
            0x00 | 0x80..=0x83 | 0x90 | 0x93..=0x99 => true,
            0x04 => !sent_by_server,
            0x87 | 0x89 | 0x8B | 0x8D..=0x8F | 0x9A..=0xA2 => sent_by_server,
            _ => false,
        }
    }

    /// The CONNACK return code of MQTT 3.1.1 (section 3.2.2.3) that comes nearest: 0 to 5.
    #[must_use]
    pub const fn connack_return_code(self) -> u8 {
        match self {
            Self::UnsupportedProtocolVersion => 1,
            Self::ClientIdentifierNotValid => 2,
            Self::BadUserNameOrPassword | Self::BadAuthenticationMethod => 4,
            Self::UnspecifiedError
            | Self::ImplementationSpecificError
            | Self::ServerUnavailable
            | Self::ServerBusy
            | Self::ServerShuttingDown
            | Self::QuotaExceeded
            | Self::UseAnotherServer
            | Self::ServerMoved
            | Self::ConnectionRateExceeded => 3,
            code if code.is_failure() => 5,
            _ => 0,
        }
    }

    /// The reason code for a CONNACK return code of MQTT 3.1.1, unless the return code is reserved.
    #[must_use]
    pub const fn from_connack_return_code(code: u8) -> Option<Self> {
        match code {
            0 => Some(Self::Success),
            1 => Some(Self::UnsupportedProtocolVersion),
            2 => Some(Self::ClientIdentifierNotValid),
            3 => Some(Self::ServerUnavailable),
            4 => Some(Self::BadUserNameOrPassword),
            5 => Some(Self::NotAuthorized),
            _ => None,
        }
    }
}

/// A number that is no reason code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownReasonCode(
    /// The number.
    pub u8,
);

impl fmt::Display for UnknownReasonCode {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "0x{:02X} is no MQTT 5 reason code", self.0)
    }
}

impl std::error::Error for UnknownReasonCode {}

impl TryFrom<u8> for ReasonCode {
    type Error = UnknownReasonCode;
    fn try_from(code: u8) -> Result<Self, UnknownReasonCode> {
        Self::from_code(code).ok_or(UnknownReasonCode(code))
    }
}

impl fmt::Display for ReasonCode {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "0x{:02X} {}", self.code(), self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_codes_agree() {
        assert_eq!(ReasonCode::ALL.len(), 43);
        for &code in ReasonCode::ALL {
            assert_eq!(ReasonCode::try_from(code.code()), Ok(code));
        }
        assert_eq!(ReasonCode::try_from(0x03), Err(UnknownReasonCode(3)));
        assert_eq!(ReasonCode::NotAuthorized.to_string(), "0x87 Not authorized");
    }

    /// Every code belongs to some packet, or it would be unreachable.
    #[test]
    fn each_code_is_used_somewhere() {
        for &code in ReasonCode::ALL {
            let used = PacketKind::ALL
                .iter()
                .any(|kind| code.allowed_in(*kind, true) || code.allowed_in(*kind, false));
            assert!(used, "{code}");
        }
    }

    #[test]
    fn return_codes_of_3_1_1_come_back() {
        for number in 0..=5 {
            let code = ReasonCode::from_connack_return_code(number).unwrap();
            assert_eq!(code.connack_return_code(), number);
        }
        assert_eq!(ReasonCode::from_connack_return_code(6), None);
        assert_eq!(ReasonCode::Banned.connack_return_code(), 5);
        assert_eq!(ReasonCode::QuotaExceeded.connack_return_code(), 3);
    }
}
