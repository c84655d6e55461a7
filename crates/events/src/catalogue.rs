//! The catalogue. Each entry: a sentence of documentation; name; stable name, level, AWS's log type, AWS's metric,
//! what to do about it; and the fields.

use std::fmt::{self, Display};
use std::net::SocketAddr;
use std::time::Duration;

use dialect::{DisconnectReason, Divergence, Fault, Metric};
use identity::Principal;
use mqtt::QoS;

use crate::declare::{catalogue, optional, text};
use crate::{Client, DropReason, Level, LogType, Origin};

catalogue! {
    /// The broker starts.
    Starting<'a> = "broker.starting", Info, -, -, - {
        /// The program's version.
        version: &'a str,
        /// The name of the dialect.
        dialect: &'a str,
        /// Where its data is.
        data: &'a str,
    }
    /// A listener accepts.
    Listening<'a> = "broker.listening", Info, -, -, - {
        /// Which listener (`mqtt`, `tls`, `https`, `api`, `admin`, `plain`).
        listener: &'a str,
        /// Where.
        address: SocketAddr,
    }
    /// Another server certificate is in service; connections that are there keep theirs.
    ServerCertificateReplaced<'a> = "server.certificate-replaced", Info, -, -, - {
        /// What it is, and until when.
        detail: &'a dyn Display,
    }
    /// The broker stops.
    Stopping = "broker.stopping", Info, -, -, - {}
    /// A connection could not be authenticated.
    HandshakeFailed<'a> = "handshake.failed", Warn, ConnectionAuthNError, ConnectionAuthNError, - {
        /// The other end of the socket.
        peer: SocketAddr,
        /// The broker's end of the socket.
        local: Option<SocketAddr>,
        /// The name that the client asked for (SNI).
        server_name: Option<&'a str>,
        /// How it was to be authenticated: `AWS_X509`, `AWS_SIGV4`, `CUSTOM_AUTH`, `CUSTOM_AUTH_X509`.
        authentication: &'static str,
        /// The id of the certificate that the peer showed, if it showed one that could be read.
        certificate_id: Option<&'a str>,
        /// AWS's reason code, for example `DEVICE_CERTIFICATE_NOT_REGISTERED`.
        reason: &'static str,
        /// What exactly went wrong.
        detail: &'a dyn Display,
        /// What to do about it.
        remedy: &'a str,
    }
    /// A socket was closed because the broker holds as many as it may.
    ConnectionRefusedLimit<'a> = "connection.refused-limit", Warn, -, ConnectThrottle,
        "raise the limit of connections, or find out who opens so many" {
        /// Which listener.
        listener: &'a str,
        /// The other end of the socket.
        peer: SocketAddr,
        /// The limit.
        limit: usize,
    }
    /// A client connected.
    Connected<'a> = "connect.accepted", Info, Connect, ConnectSuccess, - {
        /// Who.
        client: Client<'a>,
        /// The thing that AWS associates with the connection; empty if there is none.
        thing_name: &'a str,
        /// The interval in force, seconds.
        keep_alive: u16,
        /// Session expiry in force, seconds.
        session_expiry: u32,
        /// Whether it asked for a clean start.
        clean: bool,
        /// Whether it continues a session.
        session_present: bool,
        /// The UUID of the session.
        session_identifier: &'a str,
        /// Bytes of the CONNECT that count for the bill: names, password, will, and the texts of its properties.
        bytes: usize,
    }
    /// A CONNECT was refused.
    ConnectRefused<'a> = "connect.refused", Warn, Connect, -, - {
        /// Who.
        client: Client<'a>,
        /// Which rule it broke.
        fault: Fault,
        /// What exactly; the policy's decision for a denial.
        detail: &'a dyn Display,
        /// What to do, where more is known than the fault tells.
        remedy: Option<&'a dyn Display>,
        /// The trace id that the client was told, if any.
        trace: Option<&'a str>,
    }
    /// A connection ended.
    Disconnected<'a> = "connection.ended", Info, Disconnect, -, - {
        /// Who.
        client: Client<'a>,
        /// AWS's reason.
        reason: DisconnectReason,
        /// The fault, if one was the cause.
        fault: Option<Fault>,
        /// What exactly.
        detail: &'a dyn Display,
        /// What to do, where more is known than reason and fault tell.
        remedy: Option<&'a dyn Display>,
        /// How long it lasted.
        duration: Duration,
        /// The UUID of the session.
        session_identifier: &'a str,
        /// The trace id that the client was told, if any.
        trace: Option<&'a str>,
        /// No other event tells of the fault: its metric is counted by this one.
        untold: bool,
    }
    /// A PINGREQ was answered.
    PingAnswered<'a> = "ping.answered", Debug, Ping, PingSuccess, - {
        /// Who.
        client: Client<'a>,
    }
    /// A publish was accepted.
    PublishIn<'a> = "publish.accepted", Debug, PublishIn, PublishInSuccess, - {
        /// From whom.
        origin: Origin<'a>,
        /// Where to.
        topic: &'a str,
        /// Stands for the topic, so that observers need not read it each time: a seeded hash. 0 if nobody has made one.
        topic_key: u64,
        /// Its QoS.
        qos: QoS,
        /// Its RETAIN.
        retain: bool,
        /// Bytes of payload.
        bytes: usize,
        /// Its packet identifier, for QoS 1.
        packet_id: Option<u16>,
        /// Bytes of the MQTT 5 properties that count for the bill: user properties, response topic, correlation data,
        /// content type. 0 where the packet carries none.
        properties: usize,
    }
    /// A publish broke a rule.
    PublishRefused<'a> = "publish.refused", Warn, PublishIn, -, - {
        /// From whom.
        origin: Origin<'a>,
        /// Where to; may be empty if it is not known.
        topic: &'a str,
        /// Which rule it broke.
        fault: Fault,
        /// What exactly.
        detail: &'a dyn Display,
        /// The trace id that the client was told, if any.
        trace: Option<&'a str>,
    }
    /// No policy allowed a publish.
    PublishDenied<'a> = "publish.denied", Warn, PublishIn, PublishInAuthError,
        "allow the action on the ARN of the topic in a policy of the principal" {
        /// From whom.
        origin: Origin<'a>,
        /// `iot:Publish` or `iot:RetainPublish`.
        action: &'static str,
        /// Where to.
        topic: &'a str,
        /// The policies' decision.
        decision: &'a dyn Display,
        /// The statement to add or to change.
        remedy: &'a dyn Display,
        /// The trace id that the client was told, if any.
        trace: Option<&'a str>,
    }
    /// A message was sent to a client.
    PublishOut<'a> = "delivery.sent", Debug, PublishOut, PublishOutSuccess, - {
        /// To whom.
        client: Client<'a>,
        /// Its topic.
        topic: &'a str,
        /// Stands for the topic, so that observers need not read it each time: a seeded hash. 0 if nobody has made one.
        topic_key: u64,
        /// The QoS of the delivery.
        qos: QoS,
        /// Bytes of payload.
        bytes: usize,
        /// Bytes of the MQTT 5 properties that count for the bill: user properties, response topic, correlation data,
        /// content type. 0 where the packet carries none.
        properties: usize,
    }
    /// A message was withheld because its receiver may not receive it.
    ReceiveDenied<'a> = "delivery.denied", Warn, PublishOut, PublishOutAuthError,
        "allow iot:Receive on the ARN of the topic in a policy of the receiver" {
        /// From whom it is withheld.
        client: Client<'a>,
        /// Its topic.
        topic: &'a str,
        /// The policies' decision.
        decision: &'a dyn Display,
        /// The statement to add or to change.
        remedy: &'a dyn Display,
    }
    /// A message was queued for a client that is away.
    Queued<'a> = "delivery.queued", Debug, Queued, QueuedSuccess, - {
        /// For whom.
        client_id: &'a str,
        /// Its topic.
        topic: &'a str,
        /// Bytes of payload.
        bytes: usize,
        /// Bytes of the MQTT 5 properties that count for the bill: user properties, response topic, correlation data,
        /// content type. 0 where the packet carries none.
        properties: usize,
    }
    /// A message was dropped on its way to a client.
    DeliveryDropped<'a> = "delivery.dropped", Warn, PublishOut, -, - {
        /// To whom it was going.
        client_id: &'a str,
        /// Its topic.
        topic: &'a str,
        /// Why.
        why: DropReason,
    }
    /// A direct message did not reach its client, or nobody knows whether it did.
    DirectMessageRefused<'a> = "direct.refused", Warn, SendDirectMessage, -, - {
        /// Who sent it.
        origin: Origin<'a>,
        /// For whom it was.
        client_id: &'a str,
        /// Its topic.
        topic: &'a str,
        /// AWS's word for the failure.
        reason: &'static str,
        /// What exactly.
        detail: &'a dyn Display,
    }
    /// An unacknowledged message was sent again.
    Redelivered<'a> = "delivery.repeated", Info, -, -, - {
        /// To whom.
        client: Client<'a>,
        /// Its topic.
        topic: &'a str,
        /// How many times it was sent so far, this one included.
        attempt: u32,
        /// Bytes of payload.
        bytes: usize,
        /// Bytes of the MQTT 5 properties that count for the bill: user properties, response topic, correlation data,
        /// content type. 0 where the packet carries none.
        properties: usize,
    }
    /// A client acknowledged a delivery of QoS 1.
    Acknowledged<'a> = "delivery.acknowledged", Debug, -, -, - {
        /// Who.
        client: Client<'a>,
        /// The packet identifier of the delivery.
        packet_id: u16,
        /// Bytes of the PUBACK that count for the bill: user properties and reason string.
        bytes: usize,
    }
    /// A SUBSCRIBE came in. What became of its filters is told by events of their own.
    SubscribeReceived<'a> = "subscribe.received", Debug, -, -, - {
        /// Who.
        client: Client<'a>,
        /// How many filters it carries.
        filters: usize,
        /// Bytes of the packet that count for the bill: filters and user properties.
        bytes: usize,
    }
    /// A subscription was granted.
    Subscribed<'a> = "subscribe.accepted", Info, Subscribe, SubscribeSuccess, - {
        /// Who.
        client: Client<'a>,
        /// To what.
        filter: &'a str,
        /// The granted QoS.
        qos: QoS,
    }
    /// A subscription broke a rule.
    SubscribeRefused<'a> = "subscribe.refused", Warn, Subscribe, -, - {
        /// Who.
        client: Client<'a>,
        /// To what.
        filter: &'a str,
        /// Which rule it broke.
        fault: Fault,
        /// What exactly.
        detail: &'a dyn Display,
        /// The trace id that the client was told, if any.
        trace: Option<&'a str>,
    }
    /// No policy allowed a subscription.
    SubscribeDenied<'a> = "subscribe.denied", Warn, Subscribe, SubscribeAuthError,
        "allow iot:Subscribe on the topicfilter ARN of the filter in a policy of the principal" {
        /// Who.
        client: Client<'a>,
        /// To what.
        filter: &'a str,
        /// The policies' decision.
        decision: &'a dyn Display,
        /// The statement to add or to change.
        remedy: &'a dyn Display,
        /// The trace id that the client was told, if any.
        trace: Option<&'a str>,
    }
    /// A subscription ended at the client's wish.
    Unsubscribed<'a> = "unsubscribe.accepted", Info, Unsubscribe, UnsubscribeSuccess, - {
        /// Who.
        client: Client<'a>,
        /// From what.
        filter: &'a str,
        /// Whether there was such a subscription.
        existed: bool,
    }
    /// A message was retained.
    RetainedStored<'a> = "retained.stored", Debug, -, -, - {
        /// Its topic.
        topic: &'a str,
        /// Bytes of payload.
        bytes: usize,
    }
    /// A retained message was deleted or expired.
    RetainedDeleted<'a> = "retained.deleted", Debug, -, -, - {
        /// Its topic.
        topic: &'a str,
    }
    /// A connection passed a limit of so many in a second. What was done about it is an event of its own, if anything.
    ThrottleExceeded<'a> = "throttle.exceeded", Debug, -, ThrottleExceeded,
        "send less in a second on one connection, or raise the quota of that name" {
        /// Whose connection.
        client: Client<'a>,
        /// The name of the quota.
        quota: &'static str,
        /// Its value, in a second.
        value: u64,
    }
    /// A message could not be retained because as many as may be are.
    RetainedFull<'a> = "retained.full", Warn, -, PublishRetainedThrottle,
        "delete retained messages by publishing empty ones, or raise the quota retained-messages" {
        /// Its topic.
        topic: &'a str,
        /// The limit.
        limit: usize,
    }
    /// A will was published.
    WillPublished<'a> = "will.published", Info, -, -, - {
        /// Whose.
        client: Client<'a>,
        /// Its topic.
        topic: &'a str,
        /// Its RETAIN.
        retain: bool,
        /// Bytes of payload.
        bytes: usize,
        /// Bytes of the MQTT 5 properties that count for the bill: user properties, response topic, correlation data,
        /// content type. 0 where the packet carries none.
        properties: usize,
    }
    /// A will was not published, because its client may not publish to its topic any more.
    WillRefused<'a> = "will.refused", Warn, -, PublishInAuthError,
        "allow iot:Publish on the ARN of the will topic in a policy of the principal" {
        /// Whose.
        client: Client<'a>,
        /// Its topic.
        topic: &'a str,
        /// The policies' decision.
        decision: &'a dyn Display,
        /// The statement to add or to change.
        remedy: &'a dyn Display,
    }
    /// A session continued on a new connection.
    SessionResumed<'a> = "session.resumed", Info, -, -, - {
        /// Whose.
        client: Client<'a>,
        /// Its subscriptions.
        subscriptions: usize,
        /// Its waiting messages.
        queued: usize,
    }
    /// A session ended because nobody came back for it.
    SessionExpired<'a> = "session.expired", Info, -, -, - {
        /// Whose.
        client_id: &'a str,
        /// Messages that were waiting in it.
        queued: usize,
    }
    /// A publish to a reserved topic reached nobody, because there is nothing behind the topic.
    ReservedUnserved<'a> = "publish.unserved", Warn, -, -,
        "use the topic only where its service exists; the generated reference lists what is built" {
        /// From whom.
        origin: Origin<'a>,
        /// Where to.
        topic: &'a str,
        /// What is missing.
        missing: &'a dyn Display,
    }
    /// A difference from OASIS MQTT changed what a client sees.
    DivergenceObserved<'a> = "divergence.observed", Debug, -, -, - {
        /// Which. Its row says what the standard would have done.
        divergence: Divergence,
        /// Who sees it.
        client_id: &'a str,
        /// The same, if it is connected.
        client: Option<Client<'a>>,
        /// The packet in which it shows.
        packet: &'static str,
        /// What the client did, or what it did not get.
        detail: &'a dyn Display,
    }
    /// The policies of a live principal changed.
    PolicyReloaded<'a> = "policy.reloaded", Info, -, -, - {
        /// Whose.
        principal: &'a Principal,
        /// Counts the changes.
        epoch: u64,
    }
    /// A certificate in use is no longer ACTIVE.
    CertificateDeactivated<'a> = "certificate.deactivated", Warn, -, -,
        "set its status to ACTIVE with UpdateCertificate if this was not intended" {
        /// Whose.
        principal: &'a Principal,
        /// What it is now.
        status: &'a str,
    }
    /// An access key, a user or a role in use is switched off or gone.
    CredentialRevoked<'a> = "credential.revoked", Warn, -, -,
        "give the client other credentials, or undo the change if it was not intended" {
        /// Whose.
        principal: &'a Principal,
        /// What happened to it.
        reason: &'a str,
    }
    /// A device showed a certificate that a registered CA signed and nobody had registered; it waits for activation now.
    CertificateRegistered<'a> = "certificate.registered", Info, -, -,
        "attach a policy to the certificate and set its status to ACTIVE, or give its CA a provisioning template" {
        /// The certificate's id.
        certificate_id: &'a str,
        /// The id of the CA that signed it.
        ca_certificate_id: &'a str,
        /// Whether it was registered before, and the device came back too early.
        repeated: bool,
    }
    /// A device showed a certificate that its CA may not register just in time.
    CertificateNotRegistered<'a> = "certificate.not-registered", Warn, -, -, - {
        /// The certificate's id; empty if it could not be read.
        certificate_id: &'a str,
        /// Why not.
        detail: &'a dyn Display,
        /// What to do about it.
        remedy: &'a str,
    }
    /// A device was provisioned just in time; it is expected back.
    DeviceProvisioned<'a> = "device.provisioned", Info, -, ProvisionThingSuccess, - {
        /// The certificate's id.
        certificate_id: &'a str,
        /// The id of the CA that signed it.
        ca_certificate_id: &'a str,
        /// The thing; empty if the template makes none.
        thing: &'a str,
    }
    /// The template of a CA could not be carried out for a device.
    ProvisioningFailed<'a> = "device.provisioning-failed", Warn, -, -, - {
        /// The certificate's id.
        certificate_id: &'a str,
        /// The id of the CA that signed it.
        ca_certificate_id: &'a str,
        /// Why not.
        detail: &'a dyn Display,
        /// What to do about it.
        remedy: &'a str,
        /// Whether the broker failed, and not the template or the certificate.
        is_ours: bool,
    }
    /// The store's feed lost its place and everything is read again.
    FeedLagged = "feed.lagged", Warn, -, -,
        "none needed; if it happens often, the machine is too slow for so many changes" {}
    /// The store had not been closed: the server before this one was killed, or the power failed.
    StoreUnclosed = "store.unclosed", Warn, -, -,
        "nothing after a kill or a loss of power; if there was neither, look at the disk, and restore a backup if something is missing" {
        /// Its last commit does not hold, so the one before it counts.
        torn: bool,
    }
    /// The store failed.
    StoreFailed<'a> = "store.failed", Error, -, -,
        "check disk space and permissions of the data folder" {
        /// What was tried.
        what: &'a str,
        /// What went wrong.
        detail: &'a dyn Display,
    }
    /// An API call was answered.
    ApiCall<'a> = "api.call", Debug, -, -, - {
        /// Which operation.
        operation: &'a str,
        /// Who signed it; empty if nobody did.
        access_key: &'a str,
        /// The HTTP status.
        status: u16,
        /// How long it took.
        duration: Duration,
        /// Bytes of the request's body.
        request_bytes: usize,
        /// Bytes of the response's body.
        response_bytes: usize,
    }
    /// A call about a connection or a retained message was answered: AWS's log has an entry of the operation's name.
    DeviceCall<'a> = "device.call", Info, GetConnection, -, - {
        /// Which of them.
        operation: LogType,
        /// The client that it asks about; empty if it asks about none.
        client_id: &'a str,
        /// The topic that it asks about; empty if it asks about none.
        topic: &'a str,
        /// What else of the request and its answer AWS's log tells: the name of its field, and the value.
        asked: &'a [(&'static str, String)],
        /// Who called: the access key or the certificate id.
        caller: &'a str,
        /// Where the call came from.
        peer: SocketAddr,
        /// AWS's name of the error, if it was answered with one.
        error: Option<&'static str>,
        /// What the caller was told then.
        detail: &'a dyn Display,
    }
    /// An API call was refused.
    ApiRefused<'a> = "api.refused", Warn, -, -, - {
        /// Which operation; empty if none was recognised.
        operation: &'a str,
        /// AWS's name of the error.
        error: &'a str,
        /// What the caller was told.
        message: &'a dyn Display,
        /// Who signed it; empty if nobody did.
        access_key: &'a str,
        /// Where it came from.
        peer: SocketAddr,
    }
    /// Something costs more than it has to.
    CostFinding<'a> = "bill.finding", Warn, -, -,
        "`thingcore bill what-if` shows what a change would save" {
        /// Which finding, for example `reconnect-storm`.
        finding: &'static str,
        /// The client or topic prefix.
        subject: &'a str,
        /// What was seen.
        detail: &'a dyn Display,
    }
    /// Something in the configuration is wrong or odd.
    ConfigProblem<'a> = "config.problem", Warn, -, -,
        "correct the setting; thingcore.example.toml documents each" {
        /// The setting.
        setting: &'a str,
        /// What is wrong with it.
        detail: &'a dyn Display,
    }
    /// The collector of `[otlp]` did not take an export. Told once, until it takes one again.
    ExportFailed<'a> = "export.failed", Warn, -, -,
        "look whether the collector of [otlp] runs and takes OTLP over HTTP at this endpoint (usually port 4318)" {
        /// The collector.
        endpoint: &'a str,
        /// What went wrong.
        detail: &'a dyn Display,
    }
    /// The collector of `[otlp]` takes exports again.
    ExportResumed<'a> = "export.resumed", Info, -, -, - {
        /// The collector.
        endpoint: &'a str,
    }
}
