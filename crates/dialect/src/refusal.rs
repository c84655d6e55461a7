//! The table of refusals: what each fault looks like on the wire, in events, metrics and logs.
//!
//! Sources: developer guide, *MQTT* (reason codes), *Lifecycle events*, *AWS IoT metrics and dimensions*; measured
//! behaviour wins over the page where both exist.

use mqtt::ReasonCode;
use mqtt::Version;

use crate::{Answer, DisconnectReason, Divergence, Evidence, Fault, Metric};

/// One version's column of a refusal.
#[derive(Clone, Copy, Debug)]
pub struct Reply {
    /// What the `aws` dialect as shipped answers.
    pub usual: Answer,
    /// The answer of a dialect that lacks this divergence.
    pub without: Option<(Divergence, Answer)>,
    /// The answer of a dialect that has this divergence. It goes after `without`.
    pub with: Option<(Divergence, Answer)>,
    /// How well AWS's answer is known.
    pub evidence: Evidence,
}

/// One row of the table of refusals.
#[derive(Clone, Copy, Debug)]
pub struct RefusalRow {
    /// What happened.
    pub fault: Fault,
    /// The answer to an MQTT 3.1.1 client.
    pub v3: Reply,
    /// The answer to an MQTT 5 client.
    pub v5: Reply,
    /// `disconnectReason`, if the connection ends by it.
    pub disconnect_reason: DisconnectReason,
    /// The AWS metric that counts it.
    pub metric: Option<Metric>,
    /// `reason` of AWS's log entry.
    pub log_reason: &'static str,
    /// Text of the Reason String.
    pub text: &'static str,
    /// What to do about it.
    pub remedy: &'static str,
}

impl RefusalRow {
    /// The column of a version.
    pub fn reply(&self, version: Version) -> &Reply {
        match version {
            Version::V311 => &self.v3,
            Version::V5 => &self.v5,
        }
    }
}

const fn usual(usual: Answer, evidence: Evidence) -> Reply {
    Reply { usual, without: None, with: None, evidence }
}

impl Reply {
    const fn without(mut self, divergence: Divergence, answer: Answer) -> Self {
        self.without = Some((divergence, answer));
        self
    }

    const fn with(mut self, divergence: Divergence, answer: Answer) -> Self {
        self.with = Some((divergence, answer));
        self
    }
}

use Answer::{Close, ConnAck, Disconnect, NoAck, PubAck, SubAck};
use DisconnectReason as Reason;
use Evidence::{Documented, Inferred, Reported, Unconfirmed};
use ReasonCode as Code;

/// The silent close of 3.1.1, where the standard has a return code.
const fn v3_close(evidence: Evidence, standard: Answer) -> Reply {
    usual(Close, evidence).without(Divergence::V3RefusalClose, standard)
}

/// The table, in the order of [`Fault::ALL`].
pub static REFUSALS: [RefusalRow; Fault::COUNT] = [
    RefusalRow {
        fault: Fault::ConnectDenied,
        v3: usual(Close, Reported).without(Divergence::NoConnackOnDenyV3, ConnAck(Code::NotAuthorized)),
        v5: usual(ConnAck(Code::NotAuthorized), Reported),
        disconnect_reason: Reason::AuthError,
        metric: Some(Metric::ConnectAuthError),
        log_reason: "AUTHORIZATION_FAILURE",
        text: "Client is not authenticated/authorized to send the message",
        remedy: "attach a policy to the certificate that allows iot:Connect on the ARN of this client id",
    },
    RefusalRow {
        fault: Fault::ClientIdNotValid,
        v3: v3_close(Unconfirmed, ConnAck(Code::ClientIdentifierNotValid)),
        v5: usual(ConnAck(Code::ClientIdentifierNotValid), Inferred),
        disconnect_reason: Reason::ClientError,
        metric: Some(Metric::ConnectClientError),
        log_reason: "INVALID_CLIENT_ID",
        text: "Client identifier is not valid",
        remedy: "choose a client id of 1 to 128 bytes that does not start with $",
    },
    RefusalRow {
        fault: Fault::WillTopicInvalid,
        v3: usual(Close, Inferred),
        v5: usual(ConnAck(Code::TopicNameInvalid), Documented),
        disconnect_reason: Reason::ClientError,
        metric: Some(Metric::ConnectClientError),
        log_reason: "INVALID_WILL_TOPIC",
        text: "Will topic is not valid",
        remedy: "use a will topic without wildcards, of at most 256 bytes and 7 slashes, outside the $ topics (a mosquitto \
                 bridge: notifications false)",
    },
    RefusalRow {
        fault: Fault::WillQosNotSupported,
        v3: usual(Close, Unconfirmed),
        v5: usual(ConnAck(Code::QosNotSupported), Documented),
        disconnect_reason: Reason::ClientError,
        metric: Some(Metric::ConnectClientError),
        log_reason: "WILL_QOS_NOT_SUPPORTED",
        text: "QoS 2 is not supported for the will",
        remedy: "use QoS 0 or 1 for the will",
    },
    RefusalRow {
        fault: Fault::WillDenied,
        v3: usual(Close, Reported).without(Divergence::NoConnackOnDenyV3, ConnAck(Code::NotAuthorized)),
        v5: usual(ConnAck(Code::NotAuthorized), Reported),
        disconnect_reason: Reason::AuthError,
        metric: Some(Metric::ConnectAuthError),
        log_reason: "AUTHORIZATION_FAILURE",
        text: "Client is not authenticated/authorized to send the message",
        remedy: "allow iot:Publish (and iot:RetainPublish for a retained will) on the will topic",
    },
    RefusalRow {
        fault: Fault::UnsupportedProtocolVersion,
        v3: v3_close(Unconfirmed, ConnAck(Code::UnsupportedProtocolVersion)),
        v5: usual(Close, Unconfirmed)
            .without(Divergence::ConnackCodesListed, ConnAck(Code::UnsupportedProtocolVersion)),
        disconnect_reason: Reason::ClientError,
        metric: Some(Metric::ConnectClientError),
        log_reason: "UNSUPPORTED_PROTOCOL_VERSION",
        text: "Protocol version is not supported",
        remedy: "configure the client for MQTT 3.1.1 or MQTT 5 (a mosquitto bridge, whose first try is level 132: \
                 try_private false)",
    },
    RefusalRow {
        fault: Fault::ClientPacketSizeTooSmall,
        v3: usual(Close, Inferred),
        v5: usual(ConnAck(Code::QuotaExceeded), Inferred),
        disconnect_reason: Reason::ClientError,
        metric: Some(Metric::ConnectClientError),
        log_reason: "MAXIMUM_PACKET_SIZE_TOO_SMALL",
        text: "Maximum Packet Size of the client is too small",
        remedy: "announce a Maximum Packet Size of at least 512 bytes, or none",
    },
    RefusalRow {
        fault: Fault::AuthenticationMethodUnsupported,
        v3: usual(Close, Inferred),
        v5: usual(ConnAck(Code::NotAuthorized), Unconfirmed)
            .without(Divergence::NoAuthPacket, ConnAck(Code::BadAuthenticationMethod)),
        disconnect_reason: Reason::ClientError,
        metric: Some(Metric::ConnectClientError),
        log_reason: "AUTHENTICATION_METHOD_NOT_SUPPORTED",
        text: "Enhanced authentication is not supported",
        remedy: "remove Authentication Method and Authentication Data from the CONNECT",
    },
    RefusalRow {
        fault: Fault::ConnectTooLarge,
        v3: usual(Close, Inferred),
        v5: usual(ConnAck(Code::QuotaExceeded), Inferred)
            .without(Divergence::PayloadTooLargeCode, ConnAck(Code::PacketTooLarge)),
        disconnect_reason: Reason::ClientError,
        metric: Some(Metric::ConnectClientError),
        log_reason: "PAYLOAD_LIMIT_EXCEEDED",
        text: "CONNECT is too large",
        remedy: "keep the CONNECT with its will within 128 KB",
    },
    RefusalRow {
        fault: Fault::ConnectPropertyTooLarge,
        v3: usual(Close, Inferred),
        v5: usual(ConnAck(Code::QuotaExceeded), Inferred),
        disconnect_reason: Reason::ClientError,
        metric: Some(Metric::ConnectClientError),
        log_reason: "PROPERTY_LIMIT_EXCEEDED",
        text: "A property of the CONNECT is too large",
        remedy: "shorten user properties (8 KB), correlation data (8 KB) or content type (256 bytes)",
    },
    RefusalRow {
        fault: Fault::ConnectThrottled,
        v3: v3_close(Unconfirmed, ConnAck(Code::ServerUnavailable)),
        v5: usual(ConnAck(Code::QuotaExceeded), Inferred),
        disconnect_reason: Reason::Throttled,
        metric: Some(Metric::ConnectThrottle),
        log_reason: "THROTTLED",
        text: "The account has reached its limit of connections",
        remedy: "connect later, with a growing random pause between attempts",
    },
    RefusalRow {
        fault: Fault::ClientIdThrottled,
        v3: v3_close(Unconfirmed, ConnAck(Code::ServerUnavailable)),
        v5: usual(ConnAck(Code::QuotaExceeded), Reported),
        disconnect_reason: Reason::Throttled,
        metric: Some(Metric::ConnectClientIdThrottle),
        log_reason: "THROTTLED",
        text: "The client identifier connects too often",
        remedy: "wait at least a second between connects; check that no two devices share the client id",
    },
    RefusalRow {
        fault: Fault::PublishDeniedQos0,
        v3: usual(Close, Reported).without(Divergence::DisconnectOnDenyV3, NoAck),
        v5: usual(Disconnect(Code::NotAuthorized), Reported).without(Divergence::DeniedPublishQos0V5, NoAck),
        disconnect_reason: Reason::AuthError,
        metric: Some(Metric::PublishInAuthError),
        log_reason: "AUTHORIZATION_FAILURE",
        text: "Client is not authenticated/authorized to send the message",
        remedy: "allow iot:Publish on the ARN of this topic in a policy of the certificate",
    },
    RefusalRow {
        fault: Fault::PublishDeniedQos1,
        v3: usual(Close, Reported).without(Divergence::DisconnectOnDenyV3, PubAck(Code::Success)),
        v5: usual(PubAck(Code::NotAuthorized), Reported)
            .with(Divergence::DeniedPublishQos1V5Closes, Disconnect(Code::NotAuthorized)),
        disconnect_reason: Reason::AuthError,
        metric: Some(Metric::PublishInAuthError),
        log_reason: "AUTHORIZATION_FAILURE",
        text: "Client is not authenticated/authorized to send the message",
        remedy: "allow iot:Publish on the ARN of this topic in a policy of the certificate",
    },
    RefusalRow {
        fault: Fault::TopicInvalid,
        v3: usual(Close, Inferred),
        v5: usual(PubAck(Code::TopicNameInvalid), Documented)
            .with(Divergence::InvalidTopicV5Closes, Disconnect(Code::TopicNameInvalid)),
        disconnect_reason: Reason::ClientError,
        metric: Some(Metric::PublishInClientError),
        log_reason: "INVALID_TOPIC",
        text: "Topic is not valid",
        remedy: "use a topic of at most 256 bytes and 7 slashes",
    },
    RefusalRow {
        fault: Fault::ReservedTopicPublish,
        v3: usual(Close, Documented),
        v5: usual(Disconnect(Code::TopicNameInvalid), Inferred)
            .without(Divergence::ReservedTopicPublishV5, PubAck(Code::TopicNameInvalid)),
        disconnect_reason: Reason::ClientError,
        metric: Some(Metric::PublishInClientError),
        log_reason: "RESERVED_TOPIC",
        text: "Topic is reserved",
        remedy: "publish only to the $aws topics of the reserved-topic table, and to no other $ topic",
    },
    RefusalRow {
        fault: Fault::RetainOnReservedTopic,
        v3: usual(Close, Inferred),
        v5: usual(Disconnect(Code::TopicNameInvalid), Inferred)
            .without(Divergence::ReservedTopicPublishV5, PubAck(Code::TopicNameInvalid)),
        disconnect_reason: Reason::ClientError,
        metric: Some(Metric::PublishInClientError),
        log_reason: "RESERVED_TOPIC",
        text: "Messages on reserved topics cannot be retained",
        remedy: "clear RETAIN when publishing to a $ topic",
    },
    RefusalRow {
        fault: Fault::PayloadTooLarge,
        v3: usual(Close, Reported),
        v5: usual(Disconnect(Code::QuotaExceeded), Unconfirmed)
            .without(Divergence::PayloadTooLargeCode, Disconnect(Code::PacketTooLarge)),
        disconnect_reason: Reason::ClientError,
        metric: Some(Metric::PublishInClientError),
        log_reason: "PAYLOAD_LIMIT_EXCEEDED",
        text: "Payload is too large",
        remedy: "keep payloads within 128 KB; put larger data elsewhere and publish a reference",
    },
    RefusalRow {
        fault: Fault::PacketTooLarge,
        v3: usual(Close, Reported),
        v5: usual(Disconnect(Code::QuotaExceeded), Unconfirmed)
            .without(Divergence::PayloadTooLargeCode, Disconnect(Code::PacketTooLarge)),
        disconnect_reason: Reason::ClientError,
        metric: Some(Metric::PublishInClientError),
        log_reason: "PAYLOAD_LIMIT_EXCEEDED",
        text: "Packet is too large",
        remedy: "keep packets within the Maximum Packet Size of the CONNACK",
    },
    RefusalRow {
        fault: Fault::PropertyTooLarge,
        v3: usual(Close, Inferred),
        v5: usual(Disconnect(Code::QuotaExceeded), Unconfirmed),
        disconnect_reason: Reason::ClientError,
        metric: Some(Metric::PublishInClientError),
        log_reason: "PROPERTY_LIMIT_EXCEEDED",
        text: "A property of the message is too large",
        remedy: "shorten user properties (8 KB), correlation data (8 KB) or content type (256 bytes)",
    },
    RefusalRow {
        fault: Fault::Qos2Publish,
        v3: usual(NoAck, Documented).with(Divergence::Qos2PublishV3Close, Close),
        v5: usual(Disconnect(Code::QosNotSupported), Documented),
        disconnect_reason: Reason::ClientError,
        metric: Some(Metric::PublishInClientError),
        log_reason: "QOS_NOT_SUPPORTED",
        text: "QoS 2 is not supported",
        remedy: "publish with QoS 0 or 1",
    },
    RefusalRow {
        fault: Fault::TopicAliasInvalid,
        v3: usual(Close, Inferred),
        v5: usual(Disconnect(Code::TopicAliasInvalid), Documented),
        disconnect_reason: Reason::ClientError,
        metric: Some(Metric::PublishInClientError),
        log_reason: "TOPIC_ALIAS_INVALID",
        text: "Topic alias is not valid",
        remedy: "keep topic aliases within 1 and the Topic Alias Maximum of the CONNACK",
    },
    RefusalRow {
        fault: Fault::SubscriptionIdentifier,
        v3: usual(Close, Inferred),
        v5: usual(Disconnect(Code::SubscriptionIdentifiersNotSupported), Documented),
        disconnect_reason: Reason::ClientError,
        metric: Some(Metric::SubscribeClientError),
        log_reason: "SUBSCRIPTION_IDENTIFIER_NOT_SUPPORTED",
        text: "Subscription identifiers are not supported",
        remedy: "subscribe without a subscription identifier",
    },
    RefusalRow {
        fault: Fault::ReceiveMaximumExceeded,
        v3: usual(NoAck, Documented),
        v5: usual(Disconnect(Code::ReceiveMaximumExceeded), Documented),
        disconnect_reason: Reason::ClientError,
        metric: Some(Metric::PublishInClientError),
        log_reason: "RECEIVE_MAXIMUM_EXCEEDED",
        text: "Too many unacknowledged messages",
        remedy: "wait for PUBACKs before publishing more than 100 messages of QoS 1",
    },
    RefusalRow {
        fault: Fault::SubscribeDenied,
        v3: usual(Close, Reported).without(Divergence::DisconnectOnDenyV3, SubAck(Code::UnspecifiedError)),
        v5: usual(SubAck(Code::NotAuthorized), Reported),
        disconnect_reason: Reason::AuthError,
        metric: Some(Metric::SubscribeAuthError),
        log_reason: "AUTHORIZATION_FAILURE",
        text: "Client is not authenticated/authorized to send the message",
        remedy: "allow iot:Subscribe on the topicfilter ARN of this filter in a policy of the certificate",
    },
    RefusalRow {
        fault: Fault::FilterInvalid,
        v3: usual(Close, Inferred),
        v5: usual(SubAck(Code::TopicFilterInvalid), Documented),
        disconnect_reason: Reason::ClientError,
        metric: Some(Metric::SubscribeClientError),
        log_reason: "INVALID_TOPIC_FILTER",
        text: "Topic filter is not valid",
        remedy: "use a filter of at most 256 bytes and 7 slashes, with + and # alone in their levels and # last",
    },
    RefusalRow {
        fault: Fault::FilterReserved,
        v3: usual(Close, Documented),
        v5: usual(SubAck(Code::TopicFilterInvalid), Documented),
        disconnect_reason: Reason::ClientError,
        metric: Some(Metric::SubscribeClientError),
        log_reason: "RESERVED_TOPIC",
        text: "Topic filter is reserved",
        remedy: "subscribe only to the $aws topics of the reserved-topic table, and to no other $ topic",
    },
    RefusalRow {
        fault: Fault::TooManyFilters,
        v3: usual(SubAck(Code::UnspecifiedError), Unconfirmed).with(Divergence::FiltersOver8Close, Close),
        v5: usual(SubAck(Code::QuotaExceeded), Inferred)
            .with(Divergence::FiltersOver8Close, Disconnect(Code::QuotaExceeded)),
        disconnect_reason: Reason::ClientError,
        metric: Some(Metric::SubscribeThrottle),
        log_reason: "throttled",
        text: "Too many topic filters in one SUBSCRIBE",
        remedy: "send at most 8 filters in one SUBSCRIBE",
    },
    RefusalRow {
        fault: Fault::TooManySubscriptions,
        v3: usual(SubAck(Code::UnspecifiedError), Unconfirmed).with(Divergence::Subscription51Close, Close),
        v5: usual(SubAck(Code::QuotaExceeded), Inferred)
            .with(Divergence::Subscription51Close, Disconnect(Code::QuotaExceeded)),
        disconnect_reason: Reason::ClientError,
        metric: Some(Metric::SubscribeThrottle),
        log_reason: "throttled",
        text: "Too many subscriptions on one connection",
        remedy: "use wildcards to need fewer subscriptions, or raise subscriptions-per-connection",
    },
    RefusalRow {
        fault: Fault::SecondConnect,
        v3: usual(Close, Documented),
        v5: usual(Disconnect(Code::ProtocolError), Inferred),
        disconnect_reason: Reason::ClientError,
        metric: None,
        log_reason: "SECOND_CONNECT",
        text: "CONNECT was sent twice",
        remedy: "send one CONNECT per network connection",
    },
    RefusalRow {
        fault: Fault::NotConnectFirst,
        v3: usual(Close, Inferred),
        v5: usual(Close, Inferred),
        disconnect_reason: Reason::ClientError,
        metric: Some(Metric::ConnectClientError),
        log_reason: "NOT_CONNECT_FIRST",
        text: "The first packet must be CONNECT",
        remedy: "send CONNECT first; check that the client speaks MQTT on this port",
    },
    RefusalRow {
        fault: Fault::Malformed,
        v3: usual(Close, Inferred),
        v5: usual(Disconnect(Code::MalformedPacket), Documented),
        disconnect_reason: Reason::ClientError,
        metric: None,
        log_reason: "MALFORMED_PACKET",
        text: "Packet is malformed",
        remedy: "correct the client library: the details name the clause that the packet breaks",
    },
    RefusalRow {
        fault: Fault::ProtocolError,
        v3: usual(Close, Inferred),
        v5: usual(Disconnect(Code::ProtocolError), Documented),
        disconnect_reason: Reason::ClientError,
        metric: None,
        log_reason: "PROTOCOL_ERROR",
        text: "Packet is not allowed here",
        remedy: "correct the client library: the details name the clause that the packet breaks",
    },
    RefusalRow {
        fault: Fault::SessionExpiryRaised,
        v3: usual(Close, Inferred),
        v5: usual(Disconnect(Code::ProtocolError), Inferred),
        disconnect_reason: Reason::ClientError,
        metric: None,
        log_reason: "SESSION_EXPIRY_RAISED",
        text: "Session expiry cannot be raised from zero",
        remedy: "set the session expiry interval in the CONNECT",
    },
    RefusalRow {
        fault: Fault::KeepAliveTimeout,
        v3: usual(Close, Documented),
        v5: usual(Disconnect(Code::KeepAliveTimeout), Documented),
        disconnect_reason: Reason::MqttKeepAliveTimeout,
        metric: None,
        log_reason: "MQTT_KEEP_ALIVE_TIMEOUT",
        text: "Keep alive timeout",
        remedy: "send PINGREQ within the keep-alive interval; the broker clamps it to 30..1200 seconds",
    },
    RefusalRow {
        fault: Fault::TakenOver,
        v3: usual(Close, Documented),
        v5: usual(Disconnect(Code::SessionTakenOver), Documented),
        disconnect_reason: Reason::DuplicateClientId,
        metric: None,
        log_reason: "DUPLICATE_CLIENT_ID",
        text: "Session was taken over by another connection",
        remedy: "give every device its own client id",
    },
    RefusalRow {
        fault: Fault::ServerShutdown,
        v3: usual(Close, Documented),
        v5: usual(Disconnect(Code::ServerShuttingDown), Documented),
        disconnect_reason: Reason::ServerInitiatedDisconnect,
        metric: None,
        log_reason: "SERVER_INITIATED_DISCONNECT",
        text: "Server is shutting down",
        remedy: "reconnect with a growing random pause between attempts",
    },
    RefusalRow {
        fault: Fault::AdministrativeAction,
        v3: usual(Close, Unconfirmed),
        v5: usual(Disconnect(Code::AdministrativeAction), Inferred),
        disconnect_reason: Reason::ApiInitiatedDisconnect,
        metric: None,
        log_reason: "API_INITIATED_DISCONNECT",
        text: "Connection was ended by DeleteConnection",
        remedy: "none needed: the client may reconnect at once",
    },
    RefusalRow {
        fault: Fault::CertificateNotActive,
        v3: usual(Close, Inferred),
        v5: usual(Disconnect(Code::NotAuthorized), Unconfirmed),
        disconnect_reason: Reason::AuthError,
        metric: None,
        log_reason: "DEVICE_CERTIFICATE_INACTIVE",
        text: "Certificate is not active",
        remedy: "set the certificate's status to ACTIVE with UpdateCertificate, or use another certificate",
    },
    RefusalRow {
        fault: Fault::ServerError,
        v3: usual(Close, Inferred),
        v5: usual(Disconnect(Code::UnspecifiedError), Inferred),
        disconnect_reason: Reason::ServerError,
        metric: Some(Metric::ConnectServerError),
        log_reason: "INTERNAL_SERVER_ERROR",
        text: "Server error",
        remedy: "look at the broker's log for what failed; the client may try again",
    },
    RefusalRow {
        fault: Fault::ConnectTimeout,
        v3: usual(Close, Inferred),
        v5: usual(Close, Inferred),
        disconnect_reason: Reason::ClientError,
        metric: None,
        log_reason: "CONNECT_TIMEOUT",
        text: "No CONNECT came in time",
        remedy: "send CONNECT directly after the TLS handshake",
    },
    RefusalRow {
        fault: Fault::ReceiveDenied,
        v3: usual(NoAck, Reported).with(Divergence::ReceiveDeniedCloses, Close),
        v5: usual(NoAck, Reported).with(Divergence::ReceiveDeniedCloses, Disconnect(Code::NotAuthorized)),
        disconnect_reason: Reason::AuthError,
        metric: Some(Metric::PublishOutAuthError),
        log_reason: "AUTHORIZATION_FAILURE",
        text: "Client is not authorized to receive the message",
        remedy: "allow iot:Receive on the ARN of the topic in a policy of the receiver",
    },
    RefusalRow {
        fault: Fault::PublishThrottledQos0,
        v3: usual(NoAck, Documented).with(Divergence::ThrottledDisconnect, Close),
        v5: usual(NoAck, Documented).with(Divergence::ThrottledDisconnect, Disconnect(Code::QuotaExceeded)),
        disconnect_reason: Reason::Throttled,
        metric: Some(Metric::PublishInThrottle),
        log_reason: "THROTTLED",
        text: "Publish rate exceeded",
        remedy: "publish at most 100 times a second on a connection, or raise the quota that the details name",
    },
    RefusalRow {
        fault: Fault::PublishThrottledQos1,
        v3: usual(NoAck, Reported).with(Divergence::ThrottledDisconnect, Close),
        v5: usual(PubAck(Code::QuotaExceeded), Inferred)
            .without(Divergence::ThrottledPublishPuback, NoAck)
            .with(Divergence::ThrottledDisconnect, Disconnect(Code::QuotaExceeded)),
        disconnect_reason: Reason::Throttled,
        metric: Some(Metric::PublishInThrottle),
        log_reason: "THROTTLED",
        text: "Publish rate exceeded",
        remedy: "publish at most 100 times a second on a connection, or raise the quota that the details name",
    },
    RefusalRow {
        fault: Fault::RetainThrottledQos0,
        v3: usual(NoAck, Documented).with(Divergence::ThrottledDisconnect, Close),
        v5: usual(NoAck, Documented).with(Divergence::ThrottledDisconnect, Disconnect(Code::QuotaExceeded)),
        disconnect_reason: Reason::Throttled,
        metric: Some(Metric::PublishRetainedThrottle),
        log_reason: "THROTTLED",
        text: "Limit of retained messages exceeded",
        remedy: "publish with RETAIN at most once a second to a topic, or raise the quota that the details name",
    },
    RefusalRow {
        fault: Fault::RetainThrottledQos1,
        v3: usual(NoAck, Reported).with(Divergence::ThrottledDisconnect, Close),
        v5: usual(PubAck(Code::QuotaExceeded), Inferred)
            .without(Divergence::ThrottledPublishPuback, NoAck)
            .with(Divergence::ThrottledDisconnect, Disconnect(Code::QuotaExceeded)),
        disconnect_reason: Reason::Throttled,
        metric: Some(Metric::PublishRetainedThrottle),
        log_reason: "THROTTLED",
        text: "Limit of retained messages exceeded",
        remedy: "publish with RETAIN at most once a second to a topic, or raise the quota that the details name",
    },
    RefusalRow {
        fault: Fault::SubscribeThrottled,
        v3: usual(SubAck(Code::UnspecifiedError), Inferred),
        v5: usual(SubAck(Code::QuotaExceeded), Inferred),
        disconnect_reason: Reason::Throttled,
        metric: Some(Metric::SubscribeThrottle),
        log_reason: "THROTTLED",
        text: "Too many subscriptions in a second",
        remedy: "subscribe later, with a growing random pause between attempts",
    },
    RefusalRow {
        fault: Fault::SharedSubscriptionThrottled,
        v3: usual(SubAck(Code::UnspecifiedError), Inferred),
        v5: usual(SubAck(Code::QuotaExceeded), Inferred),
        disconnect_reason: Reason::Throttled,
        metric: Some(Metric::SubscribeThrottle),
        log_reason: "THROTTLED",
        text: "Limit of shared subscriptions exceeded",
        remedy: "use fewer groups or members, or raise the quota that the details name",
    },
    RefusalRow {
        fault: Fault::UnsubscribeThrottled,
        v3: usual(NoAck, Inferred),
        v5: usual(SubAck(Code::UnspecifiedError), Inferred),
        disconnect_reason: Reason::Throttled,
        metric: Some(Metric::UnsubscribeThrottle),
        log_reason: "THROTTLED",
        text: "Too many requests for one shared group in a second",
        remedy: "unsubscribe later, with a growing random pause between attempts",
    },
    RefusalRow {
        fault: Fault::AuthorizerRefused,
        v3: usual(Close, Reported),
        v5: usual(ConnAck(Code::NotAuthorized), Reported),
        disconnect_reason: Reason::AuthError,
        metric: Some(Metric::ConnectAuthError),
        log_reason: "CUSTOM_AUTHENTICATION_FAILED",
        text: "Client is not authenticated/authorized to send the message",
        remedy: "try the authorizer with TestInvokeAuthorizer; the details say what was wrong",
    },
    RefusalRow {
        fault: Fault::WebsocketExpired,
        v3: usual(Close, Documented),
        v5: usual(Disconnect(Code::AdministrativeAction), Unconfirmed),
        disconnect_reason: Reason::WebsocketTtlExpiration,
        metric: None,
        log_reason: "WEBSOCKET_TTL_EXPIRATION",
        text: "WebSocket connection duration exceeded",
        remedy: "none needed: sign a new request and connect again",
    },
    RefusalRow {
        fault: Fault::GrantExpired,
        v3: usual(Close, Documented),
        v5: usual(Disconnect(Code::NotAuthorized), Unconfirmed),
        disconnect_reason: Reason::CustomauthTtlExpiration,
        metric: None,
        log_reason: "CUSTOMAUTH_TTL_EXPIRATION",
        text: "Authorization by the custom authorizer has ended",
        remedy: "connect again; disconnectAfterInSeconds and refreshAfterInSeconds of the authorizer's answer say how long it lasts",
    },
];

#[cfg(test)]
#[path = "refusal_tests.rs"]
mod tests;
