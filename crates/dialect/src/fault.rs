//! What a client did wrong (or what befell it), and the forms an answer can take.

use std::fmt;

use mqtt::{QoS, ReasonCode, Version};

use crate::refusal::{REFUSALS, RefusalRow};
use crate::{DisconnectReason, Metric};

macro_rules! faults {
    ($($(#[doc = $doc:literal])+ $name:ident,)*) => {
        /// A reason to refuse, by name. The table of refusals says what each looks like on the wire.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u8)]
        pub enum Fault {
            $($(#[doc = $doc])+ $name,)*
        }

        impl Fault {
            /// All of them, in the order of the table of refusals.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];
            /// How many there are.
            pub const COUNT: usize = Self::ALL.len();

            /// The name as it stands in the table.
            pub fn name(self) -> &'static str {
                match self { $(Self::$name => stringify!($name),)* }
            }

            /// What it means.
            pub fn meaning(self) -> &'static str {
                match self { $(Self::$name => concat!($($doc),+).trim_ascii(),)* }
            }
        }
    };
}

faults! {
    /// No policy allows `iot:Connect`, or one denies it.
    ConnectDenied,
    /// The client id starts with `$`, is too long, or is empty where it may not be.
    ClientIdNotValid,
    /// The will topic breaks the rules of topic names.
    WillTopicInvalid,
    /// The will asks for QoS 2.
    WillQosNotSupported,
    /// The will's topic may not be published to, or not with RETAIN.
    WillDenied,
    /// The CONNECT names a protocol other than MQTT 3.1.1 and 5.
    UnsupportedProtocolVersion,
    /// The client's Maximum Packet Size is below the minimum.
    ClientPacketSizeTooSmall,
    /// The CONNECT asks for enhanced authentication.
    AuthenticationMethodUnsupported,
    /// The CONNECT is larger than allowed.
    ConnectTooLarge,
    /// A property of the CONNECT or its will is larger than allowed.
    ConnectPropertyTooLarge,
    /// The account takes no more connections for now.
    ConnectThrottled,
    /// The client id connects too often.
    ClientIdThrottled,
    /// A policy does not allow a publish of QoS 0.
    PublishDeniedQos0,
    /// A policy does not allow a publish of QoS 1.
    PublishDeniedQos1,
    /// The topic of a publish is too long, too deep or otherwise not acceptable.
    TopicInvalid,
    /// A publish to a `$` topic that does not exist or that clients may not publish to.
    ReservedTopicPublish,
    /// RETAIN on a `$` topic.
    RetainOnReservedTopic,
    /// The payload is larger than allowed.
    PayloadTooLarge,
    /// The packet is larger than allowed.
    PacketTooLarge,
    /// A property of a publish is larger than allowed.
    PropertyTooLarge,
    /// A publish of QoS 2.
    Qos2Publish,
    /// A topic alias of 0 or above the maximum. One that was never set is a protocol error.
    TopicAliasInvalid,
    /// A SUBSCRIBE with a subscription identifier.
    SubscriptionIdentifier,
    /// More unacknowledged publishes than the broker's Receive Maximum.
    ReceiveMaximumExceeded,
    /// A policy does not allow a subscription.
    SubscribeDenied,
    /// The filter is too long, too deep or otherwise not acceptable.
    FilterInvalid,
    /// The filter asks for `$` topics that clients may not subscribe to.
    FilterReserved,
    /// More filters in one SUBSCRIBE than allowed.
    TooManyFilters,
    /// More subscriptions on one connection than allowed.
    TooManySubscriptions,
    /// A second CONNECT on one connection.
    SecondConnect,
    /// The first packet is not a CONNECT.
    NotConnectFirst,
    /// Bytes that are no MQTT packet.
    Malformed,
    /// A packet that the protocol does not allow here.
    ProtocolError,
    /// A DISCONNECT raises a session expiry interval that was zero.
    SessionExpiryRaised,
    /// Silence for 1.5 times the keep-alive interval.
    KeepAliveTimeout,
    /// Another connection took the client id.
    TakenOver,
    /// The broker stops.
    ServerShutdown,
    /// An operator ended the connection (DeleteConnection).
    AdministrativeAction,
    /// The certificate of the connection is no longer ACTIVE.
    CertificateNotActive,
    /// The broker failed, for example because its store did.
    ServerError,
    /// No CONNECT came in time.
    ConnectTimeout,
    /// A message that the client subscribed to may not be received by it.
    ReceiveDenied,
    /// A publish of QoS 0 beyond the rate of its connection or of the account.
    PublishThrottledQos0,
    /// A publish of QoS 1 beyond the rate of its connection or of the account.
    PublishThrottledQos1,
    /// A publish of QoS 0 with RETAIN beyond a rate or the number of retained messages.
    RetainThrottledQos0,
    /// A publish of QoS 1 with RETAIN beyond a rate or the number of retained messages.
    RetainThrottledQos1,
    /// More filters in a second than the account may subscribe to.
    SubscribeThrottled,
    /// More groups of shared subscriptions, more members of one, or more requests to one in a second than allowed.
    SharedSubscriptionThrottled,
    /// More requests to unsubscribe from one shared group in a second than allowed.
    UnsubscribeThrottled,
    /// A custom authorizer did not let the client in, or could not be asked.
    AuthorizerRefused,
    /// A WebSocket reached the end of its life.
    WebsocketExpired,
    /// What a custom authorizer granted is over: its time passed, or it was not renewed.
    GrantExpired,
}

impl Fault {
    /// Its row in the table of refusals.
    pub fn row(self) -> &'static RefusalRow {
        // A test keeps the table in the order of the enum, so the place is always found.
        REFUSALS.get(self as usize).unwrap_or(&REFUSALS[0])
    }

    /// What the `aws` dialect as shipped answers. Where switches matter, ask [`crate::Dialect::answer`].
    pub fn answer(self, version: Version) -> Answer {
        match version {
            Version::V311 => self.row().v3.usual,
            Version::V5 => self.row().v5.usual,
        }
    }

    /// What lifecycle events give as reason if the connection ends by this.
    pub fn disconnect_reason(self) -> DisconnectReason {
        self.row().disconnect_reason
    }

    /// The AWS metric that counts it, if any.
    pub fn metric(self) -> Option<Metric> {
        self.row().metric
    }

    /// The text of the Reason String without packet name and trace id.
    pub fn reason_string(self) -> &'static str {
        self.row().text
    }

    /// The `reason` of AWS's log entries.
    pub fn log_reason(self) -> &'static str {
        self.row().log_reason
    }

    /// What the owner of the device can do about it.
    pub fn remedy(self) -> &'static str {
        self.row().remedy
    }

    /// How well the answer is known.
    pub fn evidence(self, version: Version) -> crate::Evidence {
        match version {
            Version::V311 => self.row().v3.evidence,
            Version::V5 => self.row().v5.evidence,
        }
    }

    /// The Reason String in AWS's measured form, for example
    /// `CONNACK:Client is not authenticated/authorized to send the message:<trace>`.
    pub fn reason_text<'a>(self, packet: &'static str, trace: &'a str) -> ReasonText<'a> {
        ReasonText { packet, text: self.reason_string(), trace }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.reason_string())
    }
}

/// How a fault is answered on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Answer {
    /// The connection is closed without a word.
    Close,
    /// CONNACK with this code, then close. The codec maps it to the return codes of 3.1.1.
    ConnAck(ReasonCode),
    /// DISCONNECT with this code (MQTT 5 only), then close.
    Disconnect(ReasonCode),
    /// PUBACK with this code; the connection stays. In 3.1.1 the code is lost. See [`Answer::for_qos`].
    PubAck(ReasonCode),
    /// This code for the filter in the SUBACK; the connection stays. In 3.1.1 every failure is 0x80.
    SubAck(ReasonCode),
    /// Nothing is sent and the connection stays.
    NoAck,
}

impl Answer {
    /// The answer before the CONNACK was sent, when DISCONNECT is no option: a CONNACK if AWS lists the code for it,
    /// else the connection is closed.
    pub fn before_connack(self) -> Self {
        match self {
            Self::Disconnect(code) if CONNACK_CODES.contains(&code) => Self::ConnAck(code),
            Self::ConnAck(code) => Self::ConnAck(code),
            _ => Self::Close,
        }
    }

    /// The answer to a publish of this QoS: QoS 0 has no PUBACK, so a code for one goes into a DISCONNECT.
    pub fn for_qos(self, qos: QoS) -> Self {
        match self {
            Self::PubAck(ReasonCode::Success) if qos == QoS::AtMostOnce => Self::NoAck,
            Self::PubAck(code) if qos == QoS::AtMostOnce => Self::Disconnect(code),
            other => other,
        }
    }

    /// Whether the connection ends.
    pub fn closes(self) -> bool {
        matches!(self, Self::Close | Self::ConnAck(_) | Self::Disconnect(_))
    }

    /// The reason code that goes over the wire, if any.
    pub fn code(self) -> Option<ReasonCode> {
        match self {
            Self::ConnAck(code) | Self::Disconnect(code) | Self::PubAck(code) | Self::SubAck(code) => {
                Some(code)
            }
            Self::Close | Self::NoAck => None,
        }
    }
}

/// The codes that AWS lists for CONNACK. Source: developer guide, *MQTT*.
pub(crate) const CONNACK_CODES: [ReasonCode; 8] = [
    ReasonCode::Success,
    ReasonCode::UnspecifiedError,
    ReasonCode::ClientIdentifierNotValid,
    ReasonCode::BadUserNameOrPassword,
    ReasonCode::NotAuthorized,
    ReasonCode::TopicNameInvalid,
    ReasonCode::QuotaExceeded,
    ReasonCode::QosNotSupported,
];

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let packet = match self {
            Self::Close => return f.write_str("close"),
            Self::NoAck => return f.write_str("no answer"),
            Self::ConnAck(_) => "CONNACK",
            Self::Disconnect(_) => "DISCONNECT",
            Self::PubAck(_) => "PUBACK",
            Self::SubAck(_) => "SUBACK",
        };
        write!(f, "{packet} {:#04x}", self.code().map_or(0, |code| code as u8))
    }
}

/// A Reason String, formatted only when it is sent.
#[derive(Clone, Copy, Debug)]
pub struct ReasonText<'a> {
    packet: &'static str,
    text: &'static str,
    trace: &'a str,
}

impl fmt::Display for ReasonText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.packet, self.text, self.trace)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reason_string_has_the_measured_form() {
        let text = Fault::ConnectDenied.reason_text("CONNACK", "0b7e").to_string();
        assert_eq!(text, "CONNACK:Client is not authenticated/authorized to send the message:0b7e");
    }

    #[test]
    fn before_connack_only_listed_codes_are_spoken() {
        assert_eq!(Fault::Malformed.answer(Version::V5).before_connack(), Answer::Close);
        let error = Fault::ServerError.answer(Version::V5).before_connack();
        assert_eq!(error, Answer::ConnAck(ReasonCode::UnspecifiedError));
        assert_eq!(Answer::NoAck.before_connack(), Answer::Close);
    }

    #[test]
    fn a_publish_of_qos_0_is_never_acknowledged() {
        let refusal = Answer::PubAck(ReasonCode::TopicNameInvalid);
        assert_eq!(refusal.for_qos(QoS::AtMostOnce), Answer::Disconnect(ReasonCode::TopicNameInvalid));
        assert_eq!(refusal.for_qos(QoS::AtLeastOnce), refusal);
        assert_eq!(Answer::PubAck(ReasonCode::Success).for_qos(QoS::AtMostOnce), Answer::NoAck);
    }
}
