//! The events that the broker tells: each fact is put into words elsewhere, here it is only gathered.
//!
//! Nothing here is called from inside a cell.

use std::fmt::{self, Display};
use std::sync::Arc;
use std::time::Duration;

use dialect::{DisconnectReason, Divergence, Fault, QuotaId};
use events::{Client, DropReason, Event, Origin};
use identity::{ClientId, Principal, Timestamp};
use mqtt::{Ack, Message, Packet, PacketId, QoS, Subscribe, Text, Version};
use session::mutation::{self, Mutation};
use session::throttle::Exceeded;
use session::{Dropped, Note, Terms, Violation};

use crate::broker::Inner;
use crate::connection::Connection;
use crate::publish::{Denied, Fate, Report, WayOut};
use standing::{Link, Standing};

/// A client at its CONNECT.
pub(crate) fn arriving<'a>(
    client_id: &'a str,
    principal: &'a Principal,
    link: &Link,
    version: Version,
) -> Client<'a> {
    Client { client_id, principal, peer: Some(link.peer), version: Some(version), standing: 0 }
}

/// A client by its standing alone.
pub(crate) fn standing_of(standing: &Standing) -> Client<'_> {
    let client_id = standing.bearer.client_id.as_ref().map_or("", ClientId::as_str);
    Client {
        client_id,
        principal: &standing.bearer.principal,
        peer: Some(standing.bearer.peer),
        version: None,
        standing: standing.id,
    }
}

impl Inner {
    pub fn report_connect_refused(
        &self,
        client: Client<'_>,
        (fault, detail): (Fault, &dyn Display),
        remedy: Option<&dyn Display>,
        trace: &str,
        now: Timestamp,
    ) {
        let (trace, inactive) = (Some(trace), Reactivate(client.principal));
        let remedy = remedy.or_else(|| inactive.concerns(fault));
        self.emit(now, &events::ConnectRefused { client, fault, detail, remedy, trace }.into());
    }

    pub fn report_connected(
        &self,
        connection: &Connection,
        terms: &Terms,
        arrived: &Arrived,
        now: Timestamp,
    ) {
        let (client, view) = (connection.client(), connection.standing.view());
        let thing = view.authorizer.context().thing.as_ref();
        let fact = events::Connected {
            client,
            thing_name: thing.map_or("", |thing| thing.name.as_str()),
            keep_alive: terms.keep_alive,
            session_expiry: terms.session_expiry,
            clean: terms.clean_start,
            session_present: arrived.resumed,
            session_identifier: &arrived.session_identifier,
            bytes: arrived.bytes,
        };
        self.emit(now, &fact.into());
        if arrived.resumed {
            let Arrived { subscriptions, queued, .. } = *arrived;
            self.emit(now, &events::SessionResumed { client, subscriptions, queued }.into());
        }
    }

    /// What the session noted while it took in packets.
    pub fn report_notes(&self, client: Client<'_>, notes: &[Note], now: Timestamp) {
        for Note { divergence, packet, detail } in notes {
            self.diverges(*divergence, client, packet, detail, now);
        }
    }

    /// A client sees a divergence.
    pub fn diverges(
        &self,
        divergence: Divergence,
        client: Client<'_>,
        packet: &'static str,
        detail: &dyn Display,
        now: Timestamp,
    ) {
        let (client_id, client) = (client.client_id, Some(client));
        self.emit(now, &events::DivergenceObserved { divergence, client_id, client, packet, detail }.into());
    }

    /// A client that may be away sees a divergence, sooner or later.
    pub fn diverges_for(
        &self,
        divergence: Divergence,
        client_id: &str,
        packet: &'static str,
        detail: &dyn Display,
        now: Timestamp,
    ) {
        let client = None;
        self.emit(now, &events::DivergenceObserved { divergence, client_id, client, packet, detail }.into());
    }

    /// The divergences that a client sees in the answer to a fault.
    pub fn report_shown(
        &self,
        fault: Fault,
        client: Client<'_>,
        packet: &'static str,
        detail: &dyn Display,
        now: Timestamp,
    ) {
        let Some(version) = client.version.filter(|_| self.observers.wants(events::Kind::DivergenceObserved))
        else {
            return;
        };
        for divergence in self.dialect.shown(fault, version) {
            self.diverges(divergence, client, packet, detail, now);
        }
    }

    /// The divergences that a client sees in the answer to a violation that the session does not know of.
    pub fn report_violation(
        &self,
        violation: &Violation,
        client: Client<'_>,
        packet: &'static str,
        now: Timestamp,
    ) {
        let detail = &violation.detail;
        if let Some(row) = violation.row.filter(|row| self.dialect.has(*row)) {
            self.diverges(row, client, packet, detail, now);
        }
        self.report_shown(violation.fault, client, packet, detail, now);
    }

    /// The divergences that show in what became of a message.
    fn report_fate(&self, client_id: &ClientId, report: &Report, now: Timestamp) {
        if !self.observers.wants(events::Kind::DivergenceObserved) {
            return;
        }
        let message = &report.parcel.message;
        let (row, what) = match report.fate {
            // expiry-zero-out
            Fate::Sent if is_in_its_last_second(report, now) => {
                (Divergence::ExpiryZeroOut, "got a Message Expiry Interval of 0 with")
            }
            Fate::SentAgain(_) => (Divergence::DupUnsupported, "got again, without DUP,"),
            Fate::Dropped(Dropped::RetryWindow) => {
                (Divergence::RetryGivesUp, "did not acknowledge in the retry window")
            }
            Fate::Dropped(Dropped::QueueFull) => (Divergence::SessionQueueBound, "had no room left for"),
            Fate::Dropped(Dropped::Expired) if message.published_by_v5 && report.version == Version::V311 => {
                (Divergence::ExpiryCrossesVersions, "did not get, because it expired,")
            }
            _ => return,
        };
        if self.dialect.has(row) {
            let detail = &format_args!("{what} {}", message.topic.as_str());
            match report.standing.as_deref() {
                Some(standing) => self.diverges(row, standing_of(standing), "PUBLISH", detail, now),
                None => self.diverges_for(row, client_id.as_str(), "PUBLISH", detail, now),
            }
        }
    }

    /// What was sent again on a connection that lasts: retry-while-connected.
    pub fn report_retries(&self, client_id: &ClientId, reports: &[Report], now: Timestamp) {
        for report in reports.iter().filter(|report| matches!(report.fate, Fate::SentAgain(_))) {
            let topic = report.parcel.message.topic.as_str();
            let detail = &format_args!("left {topic} unacknowledged and got it again");
            let client_id = client_id.as_str();
            self.diverges_for(Divergence::RetryWhileConnected, client_id, "PUBLISH", detail, now);
        }
    }

    pub fn report_publish_in(
        &self,
        origin: Origin<'_>,
        message: &Message,
        (packet_id, topic_key): (Option<PacketId>, u64),
        now: Timestamp,
    ) {
        let is_omitted = mutation::is(Mutation::OmitsProperties);
        let fact = events::PublishIn {
            origin,
            topic: message.topic.as_str(),
            topic_key,
            qos: message.qos,
            retain: message.retain,
            bytes: message.payload.len(),
            packet_id: packet_id.map(PacketId::get),
            properties: if is_omitted { 0 } else { message.properties.byte_len() },
        };
        self.emit(now, &fact.into());
    }

    pub fn report_publish_denied(
        &self,
        origin: Origin<'_>,
        denied: &Denied<'_>,
        trace: &str,
        now: Timestamp,
    ) {
        let (action, topic, trace, remedy) = (denied.action, denied.topic, Some(trace), &WayOut(denied));
        self.emit(
            now,
            &events::PublishDenied { origin, action, topic, decision: denied, remedy, trace }.into(),
        );
    }

    pub fn report_publish_refused(
        &self,
        origin: Origin<'_>,
        topic: &str,
        violation: &Violation,
        trace: &str,
        now: Timestamp,
    ) {
        let (fault, detail, trace) = (violation.fault, &violation.detail as &dyn Display, Some(trace));
        self.emit(now, &events::PublishRefused { origin, topic, fault, detail, trace }.into());
    }

    /// A publish to `$aws/...` behind which nothing is built, or a Basic Ingest without its rule.
    pub fn report_unserved(&self, origin: Origin<'_>, topic: &str, missing: &dyn Display, now: Timestamp) {
        self.emit(now, &events::ReservedUnserved { origin, topic, missing }.into());
    }

    pub fn report_will(&self, client: Client<'_>, message: &Message, now: Timestamp) {
        let (topic, bytes) = (message.topic.as_str(), message.payload.len());
        let (retain, properties) = (message.retain, message.properties.byte_len());
        self.emit(now, &events::WillPublished { client, topic, retain, bytes, properties }.into());
    }

    pub fn report_will_refused(&self, client: Client<'_>, denied: &Denied<'_>, now: Timestamp) {
        let (topic, remedy) = (denied.topic, &WayOut(denied));
        self.emit(now, &events::WillRefused { client, topic, decision: denied, remedy }.into());
    }

    pub fn report_retained_stored(&self, topic: &str, bytes: usize, now: Timestamp) {
        self.emit(now, &events::RetainedStored { topic, bytes }.into());
    }

    pub fn report_retained_deleted(&self, topic: &str, now: Timestamp) {
        self.emit(now, &events::RetainedDeleted { topic }.into());
    }

    pub fn report_retained_full(&self, topic: &str, now: Timestamp) {
        let limit = self.dialect.limits().retained_messages;
        self.emit(now, &events::RetainedFull { topic, limit }.into());
    }

    /// A connection went faster than it may.
    pub fn report_throttle_exceeded(&self, client: Client<'_>, quota: QuotaId, now: Timestamp) {
        let value = self.dialect.limits().get(quota).unwrap_or_default();
        self.emit(now, &events::ThrottleExceeded { client, quota: quota.row().name, value }.into());
    }

    /// Tells of the packets that say nothing but themselves. In the order in which they came; what follows a packet
    /// that costs the connection is told of too.
    pub fn report_received(&self, client: Client<'_>, packets: &[Packet], now: Timestamp) {
        for packet in packets {
            match packet {
                Packet::PubAck(_) if mutation::is(Mutation::AcknowledgesUntold) => {}
                Packet::PubAck(ack) => self.report_acknowledged(client, ack, now),
                Packet::Subscribe(asked) => self.report_subscribe_received(client, asked, now),
                Packet::PingReq => self.emit(now, &events::PingAnswered { client }.into()),
                _ => {}
            }
        }
    }

    fn report_acknowledged(&self, client: Client<'_>, ack: &Ack, now: Timestamp) {
        let bytes = ack.user_properties.byte_len() + ack.reason_string.as_ref().map_or(0, |text| text.len());
        let packet_id = ack.packet_id.get();
        self.emit(now, &events::Acknowledged { client, packet_id, bytes }.into());
    }

    fn report_subscribe_received(&self, client: Client<'_>, asked: &Subscribe, now: Timestamp) {
        let filters: usize = asked.filters.iter().map(|request| request.filter.len()).sum();
        let bytes = filters + asked.user_properties.byte_len();
        let filters = asked.filters.len();
        let times = 1 + u8::from(mutation::is(Mutation::SubscribesTwice));
        let event = events::SubscribeReceived { client, filters, bytes }.into();
        (0..times).for_each(|_| self.emit(now, &event));
    }

    pub fn report_subscribed(&self, client: Client<'_>, filter: &str, qos: QoS, now: Timestamp) {
        self.emit(now, &events::Subscribed { client, filter, qos }.into());
    }

    pub fn report_subscribe_refused(
        &self,
        client: Client<'_>,
        filter: &Text,
        violation: &Violation,
        now: Timestamp,
    ) {
        let (fault, detail) = (violation.fault, &violation.detail as &dyn Display);
        self.emit(now, &events::SubscribeRefused { client, filter, fault, detail, trace: None }.into());
    }

    pub fn report_subscribe_denied(
        &self,
        client: Client<'_>,
        filter: &str,
        denial: &policy::Denial<'_>,
        now: Timestamp,
    ) {
        let (decision, remedy) = (denial, &denial.remedy());
        self.emit(now, &events::SubscribeDenied { client, filter, decision, remedy, trace: None }.into());
    }

    pub fn report_unsubscribed(&self, client: Client<'_>, filter: &str, existed: bool, now: Timestamp) {
        self.emit(now, &events::Unsubscribed { client, filter, existed }.into());
    }

    pub fn report_session_expired(&self, client_id: &str, queued: usize, now: Timestamp) {
        self.emit(now, &events::SessionExpired { client_id, queued }.into());
    }

    /// Tells what became of messages for a client.
    pub fn report_all(&self, client_id: &ClientId, reports: &[Report], now: Timestamp) {
        for report in reports {
            self.report(client_id, report, now);
        }
    }

    pub fn report(&self, client_id: &ClientId, report: &Report, now: Timestamp) {
        self.report_fate(client_id, report, now);
        let message = &report.parcel.message;
        let (topic, bytes, qos) = (message.topic.as_str(), message.payload.len(), report.qos);
        // MQTT 3.1.1 carries no properties.
        let properties = if report.version == Version::V5 { message.properties.byte_len() } else { 0 };
        let client = report.standing.as_deref().map(standing_of);
        let client_id = client_id.as_str();
        if let (Fate::Dropped(Dropped::Rate(Exceeded::Connection)), Some(client)) = (&report.fate, client) {
            self.report_throttle_exceeded(client, QuotaId::PublishesPerConnection, now);
        }
        let event: Event<'_> = match (&report.fate, client) {
            (Fate::Sent, Some(_)) if mutation::is(Mutation::DeliversUntold) => return,
            (Fate::Sent, Some(client)) => {
                let topic_key = report.parcel.topic_key();
                events::PublishOut { client, topic, topic_key, qos, bytes, properties }.into()
            }
            (Fate::SentAgain(attempt), Some(client)) => {
                events::Redelivered { client, topic, attempt: *attempt, bytes, properties }.into()
            }
            (Fate::Denied(share), Some(client)) => {
                return self.report_receive_denied(client, report, share.as_ref(), now);
            }
            (Fate::Queued, None) => events::Queued { client_id, topic, bytes, properties }.into(),
            (Fate::Dropped(why), _) => match drop_reason(*why) {
                Some(why) => events::DeliveryDropped { client_id, topic, why }.into(),
                None => return,
            },
            // A message that waits for the window of a client that is there is nobody's concern yet.
            (Fate::Queued, Some(_)) | (Fate::Sent | Fate::SentAgain(_) | Fate::Denied(_), None) => return,
        };
        self.emit(now, &event);
    }

    /// The decision is taken once more, for its words: it is the same as long as the policies are.
    fn report_receive_denied(
        &self,
        client: Client<'_>,
        report: &Report,
        share: Option<&Arc<str>>,
        now: Timestamp,
    ) {
        if !self.observers.wants(events::Kind::ReceiveDenied) {
            return;
        }
        let Some(standing) = &report.standing else { return };
        let topic = report.parcel.message.topic.as_str();
        let view = standing.view_full();
        let decision = match share {
            None => view.authorizer.receive(topic, now).err(),
            Some(share) => view.authorizer.receive_shared(share, topic, now).err(),
        };
        let remedy = decision.as_ref().map(policy::Denial::remedy);
        let decision =
            decision.as_ref().map_or(&"the policies changed meanwhile" as &dyn Display, |denial| denial);
        let remedy = remedy.as_ref().map_or(&"none needed" as &dyn Display, |remedy| remedy);
        self.emit(now, &events::ReceiveDenied { client, topic, decision, remedy }.into());
    }
}

/// What a CONNECT brought about, for its event.
#[derive(Default)]
pub(crate) struct Arrived {
    pub version_number: u64,
    pub resumed: bool,
    pub subscriptions: usize,
    pub queued: usize,
    pub session_identifier: Arc<str>,
    /// Of the CONNECT, as they count for the bill.
    pub bytes: usize,
}

/// How a connection ended.
#[derive(Clone, Copy)]
pub(crate) struct Departure<'a> {
    pub reason: DisconnectReason,
    pub fault: Option<Fault>,
    pub detail: &'a dyn Display,
    /// What to do, where more is known than fault and reason tell.
    pub remedy: Option<&'a dyn Display>,
    pub trace: Option<&'a str>,
    /// No event told of the fault before.
    pub untold: bool,
    /// The will goes out.
    pub will: bool,
    /// The session is thrown away with it.
    pub over: bool,
}

impl<'a> Departure<'a> {
    /// By a fault of the client or a decision of the broker.
    pub fn by(fault: Fault, detail: &'a dyn Display, trace: &'a str) -> Self {
        let reason = fault.disconnect_reason();
        let (untold, will, over) = (false, reason.sends_will(), false);
        Self { reason, fault: Some(fault), detail, remedy: None, trace: Some(trace), untold, will, over }
    }

    /// By something that is nobody's fault.
    pub fn because(reason: DisconnectReason, detail: &'a dyn Display) -> Self {
        let (untold, will, over) = (false, reason.sends_will(), false);
        Self { reason, fault: None, detail, remedy: None, trace: None, untold, will, over }
    }
}

impl Inner {
    pub fn report_disconnected(
        &self,
        client: Client<'_>,
        departure: &Departure<'_>,
        duration: Duration,
        session_identifier: &str,
        now: Timestamp,
    ) {
        let Departure { reason, fault, detail, remedy, trace, untold, .. } = *departure;
        let inactive = Reactivate(client.principal);
        let remedy = remedy.or_else(|| inactive.concerns(fault?));
        let fact = events::Disconnected {
            client,
            reason,
            fault,
            detail,
            remedy,
            duration,
            session_identifier,
            trace,
            untold,
        };
        self.emit(now, &fact.into());
    }
}

/// How a certificate that is not ACTIVE gets in again.
struct Reactivate<'a>(&'a Principal);

impl Reactivate<'_> {
    /// Only certificates have such a command.
    fn concerns(&self, fault: Fault) -> Option<&dyn Display> {
        let certificate = matches!(self.0, Principal::Certificate(_));
        (fault == Fault::CertificateNotActive && certificate).then_some(self as &dyn Display)
    }
}

impl Display for Reactivate<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let id = self.0.identifier();
        write!(
            f,
            "aws iot update-certificate --certificate-id {id} --new-status ACTIVE (what is REVOKED needs a new certificate)"
        )
    }
}

/// Less than a second is left of its expiry.
fn is_in_its_last_second(report: &Report, now: Timestamp) -> bool {
    let end = report.parcel.message.expires_at;
    report.version == Version::V5 && end.is_some_and(|end| end.saturating_sub(now.millis()) < 1000)
}

fn drop_reason(why: Dropped) -> Option<DropReason> {
    match why {
        // Nobody promised to keep it: QoS 0, or a session that ended with its connection.
        Dropped::Offline => None,
        Dropped::OutboxFull => Some(DropReason::OutboxFull),
        Dropped::QueueFull => Some(DropReason::QueueFull),
        Dropped::Expired => Some(DropReason::Expired),
        Dropped::TooLargeForClient => Some(DropReason::TooLargeForClient),
        Dropped::RetryWindow => Some(DropReason::RetryWindow),
        Dropped::Rate(_) => Some(DropReason::Rate),
        Dropped::QueueRate => Some(DropReason::QueueRate),
    }
}
