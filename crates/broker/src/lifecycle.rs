//! Lifecycle events: who connected, was refused, left, subscribed and unsubscribed, as messages under `$aws/events/`.
//!
//! Source: developer guide, *Lifecycle events*. They cannot be switched off; ordinary clients subscribe to them. Nobody
//! hears of a client whose id has `+` or `#` in it.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::time::Duration;

use dialect::{DisconnectReason, Fault};
use identity::{ClientId, Timestamp};
use router::Matches;
use serde_json::{Map, Value};

use crate::broker::Inner;
use crate::cell::Subscriber;
use session::lately::Lately;
use standing::{Bearer, Standing};

/// How long a client that is away without a session keeps its number.
const REMEMBERED: Duration = Duration::from_secs(60 * 60);
/// How many such clients are remembered. Beyond that the one that left first starts from 0 again.
const MOST_REMEMBERED: usize = 100_000;

/// Tidings that wait for the one that is being told on this thread.
type Waiting = VecDeque<(String, Map<String, Value>)>;

thread_local! {
    static WAITING: RefCell<Option<Waiting>> = const { RefCell::new(None) };
}

/// `versionNumber` of clients that are away and have no cell: the next one.
pub(crate) fn versions() -> Lately<u64> {
    Lately::new(REMEMBERED, MOST_REMEMBERED)
}

/// A connection as its lifecycle events name it.
pub(crate) struct Named<'a> {
    pub standing: &'a Standing,
    pub session_identifier: &'a str,
    /// Of its comings and goings only.
    pub version_number: Option<u64>,
}

/// What happened to subscriptions.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Change {
    Subscribed,
    Unsubscribed,
}

impl Inner {
    /// `presence/connected`.
    pub fn tell_connected(&self, who: &Named<'_>, now: Timestamp) {
        let bearer = &who.standing.bearer;
        self.tell("presence/connected", bearer, now, || {
            let mut fields = fields_of(who.standing, "connected", who.session_identifier, now);
            fields.insert("ipAddress".into(), bearer.peer.ip().to_string().into());
            fields.insert("versionNumber".into(), who.version_number.into());
            fields
        });
    }

    /// `presence/disconnected`.
    pub fn tell_disconnected(&self, who: &Named<'_>, reason: DisconnectReason, now: Timestamp) {
        self.tell("presence/disconnected", &who.standing.bearer, now, || {
            let mut fields = fields_of(who.standing, "disconnected", who.session_identifier, now);
            let by_client = reason == DisconnectReason::ClientInitiatedDisconnect;
            fields.insert("clientInitiatedDisconnect".into(), by_client.into());
            fields.insert("disconnectReason".into(), reason.as_str().into());
            fields.insert("versionNumber".into(), who.version_number.into());
            fields
        });
    }

    /// `presence/connect_failed`, for what AWS tells of: no iot:Connect, or no iot:Publish for the will.
    pub fn tell_connect_failed(&self, standing: &Standing, fault: Fault, now: Timestamp) {
        if !matches!(fault, Fault::ConnectDenied | Fault::WillDenied) {
            return;
        }
        self.tell("presence/connect_failed", &standing.bearer, now, || {
            let mut fields = fields_of(standing, "connect_failed", &self.uuid(), now);
            fields.insert("connectFailureReason".into(), "AUTHORIZATION_FAILED".into());
            fields.insert("ipAddress".into(), standing.bearer.peer.ip().to_string().into());
            fields
        });
    }

    /// `subscriptions/subscribed` and `subscriptions/unsubscribed`: one for each packet, with all its filters.
    pub fn tell_subscriptions<'a>(
        &self,
        who: &Named<'_>,
        change: Change,
        filters: impl Iterator<Item = &'a str>,
        now: Timestamp,
    ) {
        let mut filters = filters.peekable();
        if filters.peek().is_none() {
            return;
        }
        let kind = match change {
            Change::Subscribed => "subscribed",
            Change::Unsubscribed => "unsubscribed",
        };
        self.tell(&format!("subscriptions/{kind}"), &who.standing.bearer, now, || {
            let mut fields = fields_of(who.standing, kind, who.session_identifier, now);
            fields.insert("topics".into(), filters.collect());
            fields
        });
    }

    /// Publishes a tiding, if somebody listens. Telling may end a client, which is told of in its turn: one after the
    /// other, not one inside the other. Not to be called inside a cell.
    fn tell(&self, kind: &str, bearer: &Bearer, now: Timestamp, fields: impl FnOnce() -> Map<String, Value>) {
        let Some(client_id) = bearer.client_id.as_ref().map(ClientId::as_str) else { return };
        if client_id.contains(['+', '#']) {
            return;
        }
        let topic = format!("$aws/events/{kind}/{client_id}");
        if !self.is_listened_to(&topic) {
            return;
        }
        let first = WAITING.with_borrow_mut(|waiting| {
            let first = waiting.is_none();
            waiting.get_or_insert_default().push_back((topic, fields()));
            first
        });
        if !first {
            return;
        }
        while let Some((topic, fields)) = WAITING.with_borrow_mut(|waiting| waiting.as_mut()?.pop_front()) {
            self.publish_tiding(&topic, Value::Object(fields).to_string().into(), now);
        }
        WAITING.set(None);
    }

    /// Whether somebody subscribed to the topic of a tiding.
    pub fn is_listened_to(&self, topic: &str) -> bool {
        let mut found = Matches::<Subscriber>::default();
        self.routes.matches(topic, &mut |routes| (!routes.is_empty()).then_some(0), &mut found);
        !(found.direct.is_empty() && found.shared.is_empty())
    }
}

/// The fields that all of them have.
fn fields_of(
    standing: &Standing,
    kind: &str,
    session_identifier: &str,
    now: Timestamp,
) -> Map<String, Value> {
    let bearer = &standing.bearer;
    let mut fields = Map::new();
    let client_id = bearer.client_id.as_ref().map_or("", ClientId::as_str);
    fields.insert("clientId".into(), client_id.into());
    let view = standing.view();
    // Only an exclusive attachment says that the connection is the thing's.
    if let Some(thing) = view.authorizer.context().thing.as_ref().filter(|_| view.is_exclusive) {
        fields.insert("thingName".into(), thing.name.as_str().into());
    }
    fields.insert("timestamp".into(), now.millis().into());
    fields.insert("eventType".into(), kind.into());
    fields.insert("sessionIdentifier".into(), session_identifier.into());
    fields.insert("principalIdentifier".into(), bearer.principal.identifier().into());
    fields
}
