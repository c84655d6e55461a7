//! One remembered fact: what the event said, in little room, and the event again when somebody reads it.
//!
//! Only what an event cannot lend for longer is copied. Sentences are not made here: they are made of the event that
//! [`Record::event`] puts together again.

use std::fmt::{self, Display, Write as _};
use std::net::SocketAddr;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use dialect::{DisconnectReason, Divergence, Fault};
use events::*;
use identity::{Principal, Timestamp};
use mqtt::{QoS, Version};

/// Bytes of a topic, a detail or a remedy that are kept.
pub const MOST_TEXT: usize = 640;

/// The texts of a fact that repeats itself are written anew after this time.
const STALE: Duration = Duration::from_secs(1);

/// The kinds that are remembered. Traffic is not: see `Traffic`.
pub(super) const KINDS: [Kind; 28] = [
    Kind::HandshakeFailed,
    Kind::ConnectionRefusedLimit,
    Kind::Connected,
    Kind::ConnectRefused,
    Kind::Disconnected,
    Kind::PublishRefused,
    Kind::PublishDenied,
    Kind::ReceiveDenied,
    Kind::DeliveryDropped,
    Kind::DirectMessageRefused,
    Kind::Redelivered,
    Kind::Subscribed,
    Kind::SubscribeRefused,
    Kind::SubscribeDenied,
    Kind::Unsubscribed,
    Kind::ThrottleExceeded,
    Kind::WillPublished,
    Kind::WillRefused,
    Kind::SessionResumed,
    Kind::SessionExpired,
    Kind::ReservedUnserved,
    Kind::DivergenceObserved,
    Kind::PolicyReloaded,
    Kind::CertificateDeactivated,
    Kind::CredentialRevoked,
    Kind::CertificateNotRegistered,
    Kind::ProvisioningFailed,
    Kind::ApiRefused,
];

/// What of an event is small: enough to tell two facts apart without formatting either.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Outline {
    fault: Option<Fault>,
    reason: Option<DisconnectReason>,
    drop: Option<DropReason>,
    divergence: Option<Divergence>,
    /// A word of the broker's: an action, a reason, a quota, a packet.
    word: &'static str,
    /// Another.
    second: &'static str,
    yes: [bool; 2],
}

/// A fact about a subject, as often as it repeated itself.
#[derive(Debug)]
pub(super) struct Record {
    /// The first time.
    pub at: Timestamp,
    /// The last time.
    pub last: Timestamp,
    /// When its texts were written.
    written: Timestamp,
    /// How often.
    pub times: u32,
    pub kind: Kind,
    outline: Outline,
    pub principal: Option<Arc<Principal>>,
    pub peer: Option<SocketAddr>,
    version: Option<Version>,
    http: bool,
    topic: Box<str>,
    /// Facts that went well have none.
    said: Option<Box<Said>>,
    numbers: [u64; 2],
}

/// What was said of a fact beside its topic.
#[derive(Debug, Default)]
struct Said {
    detail: Box<str>,
    /// Only if it is worked out anew for each event.
    remedy: Box<str>,
    other: Box<str>,
}

static NOTHING_SAID: LazyLock<Said> = LazyLock::new(Said::default);

impl Said {
    fn of(event: &Event<'_>, other: Box<str>) -> Option<Box<Self>> {
        let (detail, remedy) = texts(event);
        let is_empty = [&detail, &remedy, &other].iter().all(|text| text.is_empty());
        (!is_empty).then(|| Box::new(Self { detail, remedy, other }))
    }
}

/// Who an event is about: principal, address, version of MQTT, and whether it came by HTTP.
pub(super) struct Whom<'a> {
    pub principal: Option<&'a Principal>,
    pub peer: Option<SocketAddr>,
    pub version: Option<Version>,
    pub http: bool,
}

impl<'a> Whom<'a> {
    pub fn of(event: &Event<'a>) -> Self {
        let (client, origin) = (event.client(), event.origin());
        let own = match event {
            Event::HandshakeFailed(e) => Some(e.peer),
            Event::ConnectionRefusedLimit(e) => Some(e.peer),
            Event::ApiRefused(e) => Some(e.peer),
            _ => None,
        };
        let principal = match event {
            Event::PolicyReloaded(e) => Some(e.principal),
            Event::CertificateDeactivated(e) => Some(e.principal),
            Event::CredentialRevoked(e) => Some(e.principal),
            _ => client.map(|client| client.principal).or_else(|| origin.and_then(|o| o.principal())),
        };
        Self {
            principal,
            peer: own
                .or_else(|| client.and_then(|client| client.peer))
                .or_else(|| origin.and_then(|o| o.peer())),
            version: client.and_then(|client| client.version),
            http: matches!(origin, Some(Origin::Http { .. })),
        }
    }
}

impl Outline {
    pub fn of(event: &Event<'_>) -> Self {
        let mut outline = Self { fault: event.fault(), ..Self::default() };
        match event {
            Event::HandshakeFailed(e) => (outline.word, outline.second) = (e.reason, e.authentication),
            Event::Connected(e) => outline.yes = [e.clean, e.session_present],
            Event::Disconnected(e) => outline.reason = Some(e.reason),
            Event::PublishDenied(e) => outline.word = e.action,
            Event::DeliveryDropped(e) => outline.drop = Some(e.why),
            Event::DirectMessageRefused(e) => outline.word = e.reason,
            Event::Unsubscribed(e) => outline.yes = [e.existed, false],
            Event::ThrottleExceeded(e) => outline.word = e.quota,
            Event::DivergenceObserved(e) => {
                (outline.divergence, outline.word) = (Some(e.divergence), e.packet)
            }
            Event::ProvisioningFailed(e) => outline.yes = [e.is_ours, false],
            _ => {}
        }
        outline
    }
}

impl Record {
    /// Remembers an event. `known` is a principal that the subject's records share already.
    pub fn new(
        at: Timestamp,
        event: &Event<'_>,
        whom: &Whom<'_>,
        outline: Outline,
        known: Option<&Arc<Principal>>,
    ) -> Self {
        let known = known.filter(|known| whom.principal.is_some_and(|principal| ***known == *principal));
        let principal =
            known.cloned().or_else(|| whom.principal.map(|principal| Arc::new(principal.clone())));
        Self {
            at,
            last: at,
            written: at,
            times: 1,
            kind: event.kind(),
            outline,
            principal,
            peer: whom.peer,
            version: whom.version,
            http: whom.http,
            topic: clipped(&event.topic().unwrap_or_default()),
            said: Said::of(event, clipped(&other(event))),
            numbers: numbers(event),
        }
    }

    /// Whether the event says the same again. Details are not compared: they would have to be formatted.
    pub fn says(&self, event: &Event<'_>, whom: &Whom<'_>, outline: &Outline) -> bool {
        self.kind == event.kind()
            && self.outline == *outline
            && self.peer.map(|peer| peer.ip()) == whom.peer.map(|peer| peer.ip())
            && self.principal.as_deref() == whom.principal
            && event.topic().unwrap_or_default().starts_with(&*self.topic)
            && other(event).starts_with(&*self.said().other)
            && !(self.topic.is_empty() && event.topic().is_some_and(|topic| !topic.is_empty()))
    }

    /// It happened again. Its texts are written anew at most once a second: what is said of a policy that changed
    /// meanwhile has to change too.
    pub fn again(&mut self, at: Timestamp, event: &Event<'_>, whom: &Whom<'_>) {
        (self.times, self.last, self.peer) = (self.times.saturating_add(1), at, whom.peer);
        if at.since(self.written) >= STALE {
            self.written = at;
            let other = self.said.take().map(|said| said.other).unwrap_or_default();
            self.said = Said::of(event, other);
            self.numbers = numbers(event);
        }
    }

    fn said(&self) -> &Said {
        match &self.said {
            Some(said) => said,
            None => &NOTHING_SAID,
        }
    }

    /// Bytes that it takes.
    pub fn size(&self) -> usize {
        let beside = self
            .said
            .as_ref()
            .map_or(0, |said| size_of::<Said>() + said.detail.len() + said.remedy.len() + said.other.len());
        size_of::<Self>() + self.topic.len() + beside
    }

    /// The event again. `None` for kinds that are not remembered.
    pub fn event<'a>(&'a self, client_id: &'a str, nobody: &'a Principal) -> Option<Event<'a>> {
        let principal = self.principal.as_deref().unwrap_or(nobody);
        let client = Client { client_id, principal, peer: self.peer, version: self.version, standing: 0 };
        self.of_connection(client).or_else(|| self.of_messages(client)).or_else(|| self.of_doors(principal))
    }

    fn of_connect<'a>(&'a self, client: Client<'a>) -> Event<'a> {
        let number = |place: usize| self.numbers.get(place).copied().unwrap_or_default();
        let [clean, session_present] = self.outline.yes;
        Connected {
            thing_name: "",
            client,
            keep_alive: u16::try_from(number(0)).unwrap_or(u16::MAX),
            session_expiry: u32::try_from(number(1)).unwrap_or(u32::MAX),
            clean,
            session_present,
            session_identifier: "",
            bytes: 0,
        }
        .into()
    }

    fn of_disconnect<'a>(&'a self, client: Client<'a>) -> Option<Event<'a>> {
        let duration = Duration::from_millis(self.numbers.first().copied().unwrap_or_default());
        let ended = Disconnected {
            client,
            reason: self.outline.reason?,
            fault: self.outline.fault,
            detail: &self.said().detail,
            remedy: (!self.said().remedy.is_empty()).then_some(&self.said().remedy as &dyn Display),
            duration,
            session_identifier: "",
            trace: None,
            untold: false,
        };
        Some(ended.into())
    }

    fn of_connection<'a>(&'a self, client: Client<'a>) -> Option<Event<'a>> {
        let (detail, trace) = (&self.said().detail as &dyn Display, None);
        let remedy = (!self.said().remedy.is_empty()).then_some(&self.said().remedy as &dyn Display);
        let fault = self.outline.fault;
        let number = |place: usize| self.numbers.get(place).copied().unwrap_or_default();
        Some(match self.kind {
            Kind::Connected => self.of_connect(client),
            Kind::ConnectRefused => ConnectRefused { client, fault: fault?, detail, remedy, trace }.into(),
            Kind::Disconnected => self.of_disconnect(client)?,
            Kind::SessionResumed => {
                let count = |place| usize::try_from(number(place)).unwrap_or(usize::MAX);
                SessionResumed { client, subscriptions: count(0), queued: count(1) }.into()
            }
            Kind::SessionExpired => {
                let queued = usize::try_from(number(0)).unwrap_or(usize::MAX);
                SessionExpired { client_id: client.client_id, queued }.into()
            }
            Kind::ThrottleExceeded => {
                ThrottleExceeded { client, quota: self.outline.word, value: number(0) }.into()
            }
            Kind::DivergenceObserved => DivergenceObserved {
                divergence: self.outline.divergence?,
                client_id: client.client_id,
                client: Some(client),
                packet: self.outline.word,
                detail,
            }
            .into(),
            _ => return None,
        })
    }

    fn of_messages<'a>(&'a self, client: Client<'a>) -> Option<Event<'a>> {
        let (topic, filter, trace) = (&*self.topic, &*self.topic, None);
        let (detail, decision) = (&self.said().detail as &dyn Display, &self.said().detail as &dyn Display);
        let (remedy, word) = (&self.said().remedy as &dyn Display, self.outline.word);
        let origin = match self.http {
            true => Origin::Http { principal: client.principal, peer: client.peer },
            false => Origin::Client(client),
        };
        let fault = self.outline.fault;
        let first = self.numbers.first().copied().unwrap_or_default();
        Some(match self.kind {
            Kind::PublishRefused => PublishRefused { origin, topic, fault: fault?, detail, trace }.into(),
            Kind::PublishDenied => {
                PublishDenied { origin, action: word, topic, decision, remedy, trace }.into()
            }
            Kind::ReceiveDenied => ReceiveDenied { client, topic, decision, remedy }.into(),
            Kind::DeliveryDropped => {
                DeliveryDropped { client_id: client.client_id, topic, why: self.outline.drop? }.into()
            }
            Kind::DirectMessageRefused => {
                let client_id = client.client_id;
                DirectMessageRefused { origin, client_id, topic, reason: word, detail }.into()
            }
            Kind::Redelivered => Redelivered {
                client,
                topic,
                attempt: u32::try_from(first).unwrap_or(u32::MAX),
                bytes: 0,
                properties: 0,
            }
            .into(),
            Kind::Subscribed => Subscribed { client, filter, qos: qos(first) }.into(),
            Kind::SubscribeRefused => {
                SubscribeRefused { client, filter, fault: fault?, detail, trace }.into()
            }
            Kind::SubscribeDenied => SubscribeDenied { client, filter, decision, remedy, trace }.into(),
            Kind::Unsubscribed => {
                let [existed, _] = self.outline.yes;
                Unsubscribed { client, filter, existed }.into()
            }
            Kind::WillPublished => {
                WillPublished { client, topic, bytes: 0, properties: 0, retain: false }.into()
            }
            Kind::WillRefused => WillRefused { client, topic, decision, remedy }.into(),
            Kind::ReservedUnserved => ReservedUnserved { origin, topic, missing: detail }.into(),
            _ => return None,
        })
    }

    fn of_doors<'a>(&'a self, principal: &'a Principal) -> Option<Event<'a>> {
        let (detail, remedy, other) =
            (&self.said().detail as &dyn Display, &*self.said().remedy, &*self.said().other);
        let Outline { word, second, yes: [is_ours, _], .. } = self.outline;
        let first = self.numbers.first().copied().unwrap_or_default();
        Some(match self.kind {
            Kind::HandshakeFailed => HandshakeFailed {
                peer: self.peer?,
                local: None,
                server_name: None,
                authentication: second,
                certificate_id: (!other.is_empty()).then_some(other),
                reason: word,
                detail,
                remedy,
            }
            .into(),
            Kind::ConnectionRefusedLimit => {
                let limit = usize::try_from(first).unwrap_or(usize::MAX);
                ConnectionRefusedLimit { listener: other, peer: self.peer?, limit }.into()
            }
            Kind::PolicyReloaded => PolicyReloaded { principal, epoch: first }.into(),
            Kind::CertificateDeactivated => CertificateDeactivated { principal, status: other }.into(),
            Kind::CredentialRevoked => CredentialRevoked { principal, reason: other }.into(),
            Kind::CertificateNotRegistered => {
                CertificateNotRegistered { certificate_id: other, detail, remedy }.into()
            }
            Kind::ProvisioningFailed => {
                let ca_certificate_id = "";
                ProvisioningFailed { certificate_id: other, ca_certificate_id, detail, remedy, is_ours }
                    .into()
            }
            Kind::ApiRefused => {
                let mut words = other.split(' ');
                let mut word = || words.next().unwrap_or_default();
                let (access_key, error, operation) = (word(), word(), word());
                ApiRefused { operation, error, message: detail, access_key, peer: self.peer? }.into()
            }
            _ => return None,
        })
    }
}

/// Detail and remedy in writing.
fn texts(event: &Event<'_>) -> (Box<str>, Box<str>) {
    let detail = detail(event).map(clipped).unwrap_or_default();
    (detail, own_remedy(event).map(|text| clipped(&text)).unwrap_or_default())
}

fn qos(number: u64) -> QoS {
    if number == 0 { QoS::AtMostOnce } else { QoS::AtLeastOnce }
}

/// What an event says that only it can format.
fn detail<'a>(event: &Event<'a>) -> Option<&'a dyn Display> {
    Some(match event {
        Event::HandshakeFailed(e) => e.detail,
        Event::ConnectRefused(e) => e.detail,
        Event::Disconnected(e) => e.detail,
        Event::PublishRefused(e) => e.detail,
        Event::PublishDenied(e) => e.decision,
        Event::ReceiveDenied(e) => e.decision,
        Event::DirectMessageRefused(e) => e.detail,
        Event::SubscribeRefused(e) => e.detail,
        Event::SubscribeDenied(e) => e.decision,
        Event::WillRefused(e) => e.decision,
        Event::ReservedUnserved(e) => e.missing,
        Event::DivergenceObserved(e) => e.detail,
        Event::CertificateNotRegistered(e) => e.detail,
        Event::ProvisioningFailed(e) => e.detail,
        Event::ApiRefused(e) => e.message,
        _ => return None,
    })
}

/// The remedy, if no table has it.
fn own_remedy<'a>(event: &Event<'a>) -> Option<Remedy<'a>> {
    let lends = matches!(
        event.kind(),
        Kind::HandshakeFailed | Kind::CertificateNotRegistered | Kind::ProvisioningFailed
    );
    event.remedy().filter(|remedy| lends || matches!(remedy, Remedy::Written(_)))
}

/// A name that is neither client, topic nor principal.
fn other<'a>(event: &Event<'a>) -> std::borrow::Cow<'a, str> {
    match event {
        Event::HandshakeFailed(e) => e.certificate_id.unwrap_or_default().into(),
        Event::ConnectionRefusedLimit(e) => e.listener.into(),
        Event::CertificateDeactivated(e) => e.status.into(),
        Event::CredentialRevoked(e) => e.reason.into(),
        Event::CertificateNotRegistered(e) => e.certificate_id.into(),
        Event::ProvisioningFailed(e) => e.certificate_id.into(),
        Event::ApiRefused(e) => format!("{} {} {}", e.access_key, e.error, e.operation).into(),
        _ => "".into(),
    }
}

fn numbers(event: &Event<'_>) -> [u64; 2] {
    match event {
        Event::Connected(e) => [e.keep_alive.into(), e.session_expiry.into()],
        Event::Disconnected(e) => [u64::try_from(e.duration.as_millis()).unwrap_or(u64::MAX), 0],
        Event::SessionResumed(e) => [e.subscriptions as u64, e.queued as u64],
        Event::SessionExpired(e) => [e.queued as u64, 0],
        Event::ThrottleExceeded(e) => [e.value, 0],
        Event::Subscribed(e) => [e.qos as u64, 0],
        Event::Redelivered(e) => [e.attempt.into(), 0],
        Event::ConnectionRefusedLimit(e) => [e.limit as u64, 0],
        Event::PolicyReloaded(e) => [e.epoch, 0],
        _ => [0, 0],
    }
}

/// As much of a text as is kept.
pub(crate) fn clipped(value: &dyn Display) -> Box<str> {
    let mut room = Room(String::new());
    // The end of the room is the only error that there is.
    let _ = write!(room, "{value}");
    room.0.into_boxed_str()
}

struct Room(String);

impl fmt::Write for Room {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = MOST_TEXT.saturating_sub(self.0.len());
        let taken = text.get(..text.floor_char_boundary(room)).unwrap_or_default();
        self.0.push_str(taken);
        if taken.len() < text.len() { Err(fmt::Error) } else { Ok(()) }
    }
}
