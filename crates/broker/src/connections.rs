//! What the account can see and do about a client's connection over HTTP: describe it, list its subscriptions, end it.
//!
//! Source: API reference (IoT Data Plane), *GetConnection*, *ListSubscriptions*, *DeleteConnection*; developer guide,
//! *MQTT*, connection management.

use std::net::SocketAddr;
use std::sync::Arc;
use std::task::Waker;
use std::time::Duration;

use dialect::{DisconnectReason, Divergence, Fault, Limits, QuotaId};
use identity::Timestamp;
use mqtt::QoS;
use session::Terms;
use session::lately::Lately;
use store::StoreError;

use crate::Broker;
use crate::broker::Inner;
use crate::cell::{Cell, Delayed, Ended, Kept, Seat};
use crate::durable::{Job, Then, Ticket};
use crate::report::Departure;
use standing::Standing;

/// How long it is remembered how and when a connection ended.
const REMEMBERED: Duration = Duration::from_secs(30 * 60);
/// How many ends are remembered. Beyond that the oldest is forgotten early: GetConnection then knows nothing of a clean
/// session any more, and of a persistent one only when it ended.
const MOST_REMEMBERED: usize = 50_000;

/// Why a request about a connection was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConnectionRefusal {
    /// The client is not connected and has no session: 404.
    NotFound(String),
    /// It was asked too often: 429.
    Throttled(String),
    /// What was changed could not be stored: 503. It is changed in memory all the same; ask again.
    Unavailable(String),
}

/// What to do to a connection beside ending it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Deletion {
    /// A persistent session goes too, with its subscriptions and all that waits for it.
    pub clean_session: bool,
    /// The will is not sent.
    pub prevent_will: bool,
}

/// A connection as the API tells of it, or one that ended in the last 30 minutes, or a session without a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectionDescription {
    /// Where it stands.
    pub state: ConnectionState,
    /// The thing that the connection is associated with.
    pub thing_name: Option<String>,
    /// The session ends with the connection.
    pub clean_session: bool,
    /// The interval that the client asked for, in seconds. Not known of a session that came back from the disk.
    pub keep_alive: Option<u16>,
    /// How long the session outlives the connection, in seconds.
    pub session_expiry: u32,
}

/// Whether the client is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConnectionState {
    /// It is.
    Connected {
        /// Since when.
        since: Timestamp,
        /// Its address.
        peer: SocketAddr,
        /// Our address.
        local: SocketAddr,
    },
    /// It is not.
    Disconnected {
        /// Since when, if that is at most 30 minutes ago.
        since: Option<Timestamp>,
        /// Why; not known after a restart.
        reason: Option<DisconnectReason>,
    },
}

/// One subscription as the API tells of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubscriptionDescription {
    /// The filter as the client sent it.
    pub filter: String,
    /// The QoS granted.
    pub qos: QoS,
}

/// What is remembered of the terms of a connection that ended.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LastTerms {
    keep_alive: u16,
    session_expiry: u32,
}

impl LastTerms {
    pub(crate) fn of(terms: &Terms) -> Self {
        Self { keep_alive: terms.asked_keep_alive, session_expiry: terms.session_expiry }
    }
}

/// A connection that ended.
#[derive(Clone, Debug)]
pub(crate) struct Departed {
    reason: DisconnectReason,
    terms: LastTerms,
    thing_name: Option<String>,
}

impl Departed {
    pub(crate) fn of(ended: &Ended, reason: DisconnectReason) -> Self {
        Self { reason, terms: ended.terms, thing_name: thing_name(&ended.standing) }
    }
}

/// The connections that ended lately.
pub(crate) fn departures() -> Lately<Departed> {
    Lately::new(REMEMBERED, MOST_REMEMBERED)
}

fn thing_name(standing: &Standing) -> Option<String> {
    standing.view().authorizer.context().thing.as_ref().map(|thing| thing.name.as_str().to_owned())
}

impl Broker {
    /// What is known of a client's connection.
    ///
    /// # Errors
    /// Throttled, NotFound.
    pub fn describe_connection(
        &self,
        client_id: &str,
        now: Timestamp,
    ) -> Result<ConnectionDescription, ConnectionRefusal> {
        let inner = &self.0;
        let admitted = inner.throttles.get_connection(client_id, now);
        check_rate(admitted, QuotaId::GetConnectionPerClientId, inner.dialect.limits())?;
        let departed = inner.departed.find(client_id, now);
        let cell = inner.directory.find(client_id);
        let present = cell.and_then(|cell| cell.enter(|seat| Present::of(seat)));
        match (present, departed) {
            (Some(present), departed) => Ok(present.describe(departed, now)),
            (None, Some((at, departed))) => Ok(departed.describe(at)),
            (None, None) => Err(not_found(client_id)),
        }
    }

    /// A page of a client's subscriptions in the order of their filters, also of a client that is away and has a
    /// session. `limit` counts subscriptions.
    ///
    /// # Errors
    /// Throttled, NotFound.
    pub fn subscriptions(
        &self,
        client_id: &str,
        after: Option<&str>,
        limit: usize,
        now: Timestamp,
    ) -> Result<Vec<SubscriptionDescription>, ConnectionRefusal> {
        let inner = &self.0;
        let admitted = inner.throttles.list_subscriptions(client_id, now);
        check_rate(admitted, QuotaId::ListSubscriptionsPerClientId, inner.dialect.limits())?;
        let cell = inner.directory.find(client_id).ok_or_else(|| not_found(client_id))?;
        let page = cell.enter(|seat| {
            let session = &seat.kept.as_ref()?.session;
            let rest = session
                .subscriptions()
                .filter(|known| after.is_none_or(|after| known.filter.as_str() > after));
            let describe = |known: &session::Subscription| SubscriptionDescription {
                filter: known.filter.as_str().to_owned(),
                qos: known.qos,
            };
            Some(rest.take(limit).map(describe).collect())
        });
        page.ok_or_else(|| not_found(client_id))
    }

    /// Ends a client's connection, with DISCONNECT 0x98 for MQTT 5, and its session if that is asked for. Answers when
    /// what became of the session is on disk. A session without a connection stays as it is unless it is to go.
    ///
    /// # Errors
    /// Throttled, NotFound, Unavailable.
    pub async fn delete_connection(
        &self,
        client_id: &str,
        deletion: Deletion,
        now: Timestamp,
    ) -> Result<(), ConnectionRefusal> {
        let inner = &self.0;
        let admitted = inner.throttles.delete_connection(client_id, now);
        check_rate(admitted, QuotaId::DeleteConnectionPerClientId, inner.dialect.limits())?;
        let cell = inner.directory.find(client_id).ok_or_else(|| not_found(client_id))?;
        let trace = inner.uuid();
        let deleted = cell.enter(|seat| inner.take_away(seat, deletion, &trace, now));
        let deleted = deleted.ok_or_else(|| not_found(client_id))?;
        // Handed in before anything else can happen to the session: what it writes is this change.
        let ticket = inner.is_kept(&cell).then(|| {
            let ticket = Ticket::new();
            inner.committer.submit(Job::save(&cell, Then::Tell(ticket.clone())));
            ticket
        });
        inner.deleted(&cell, deleted, &trace, now);
        match ticket {
            Some(ticket) => ticket.wait().await.map_err(|error| unavailable(&error)),
            None => Ok(()),
        }
    }
}

/// What DeleteConnection took away.
#[derive(Default)]
struct Deleted {
    ended: Option<(Ended, Option<Waker>)>,
    /// The session of a client that was away, and `versionNumber` of its next connection.
    over: Option<(Kept, u64)>,
    /// The will of such a client that still waited for its delay.
    will: Option<Box<Delayed>>,
}

impl Inner {
    /// Inside the cell. `None`: there is nothing.
    fn take_away(&self, seat: &mut Seat, deletion: Deletion, trace: &str, now: Timestamp) -> Option<Deleted> {
        let kept = seat.kept.as_mut()?;
        let ends = deletion.clean_session;
        let waits = seat.before.as_mut().map_or(&mut kept.will, |before| &mut before.will);
        let will = waits.take_if(|_| ends || deletion.prevent_will);
        let will = will.filter(|_| !deletion.prevent_will);
        seat.wills = seat.wills.saturating_add(u8::from(will.is_some()));
        if ends {
            // It ends with its connection.
            kept.session.expiry = 0;
            seat.before = None;
        }
        if seat.live.is_some() {
            let mut ended = seat.oust(Fault::AdministrativeAction, trace, &self.dialect, now);
            let own =
                ended.as_mut().filter(|_| deletion.prevent_will).and_then(|(ended, _)| ended.will.take());
            own.iter().for_each(|_| seat.will_done());
            return Some(Deleted { ended, over: None, will });
        }
        let next_version = seat.next_version.unwrap_or_default();
        let over = seat.kept.take_if(|_| ends).map(|kept| (kept, next_version));
        Some(Deleted { ended: None, over, will })
    }

    fn deleted(&self, cell: &Arc<Cell>, deleted: Deleted, trace: &str, now: Timestamp) {
        if let Some((ended, waker)) = deleted.ended {
            waker.into_iter().for_each(Waker::wake);
            if ended.version == mqtt::Version::V311 && self.dialect.tells_v3(Fault::AdministrativeAction) {
                let (row, detail) = (Divergence::ServerDisconnectV3Api, &"was told of DeleteConnection");
                self.diverges_for(row, cell.client_id.as_str(), "DISCONNECT", detail, now);
            }
            let by = Departure::by(Fault::AdministrativeAction, &"by DeleteConnection", trace);
            self.conclude(cell, ended, &by, now);
        }
        if let Some(waited) = deleted.will {
            self.publish_will(cell, &waited.standing, &waited.will, now);
        }
        if let Some((over, next_version)) = deleted.over {
            self.versions.remember_greatest(&cell.client_id, next_version, now);
            self.unroute(&over);
            self.forget_queue(cell, &over);
            // The save before may be done already: its journal is forgotten by one that comes after this.
            self.keep(cell);
            self.settle_future(cell);
        }
    }
}

/// What is behind a cell's lock.
struct Present {
    live: Option<(ConnectionState, Arc<Standing>, LastTerms)>,
    session_expiry: u32,
    ended: Option<Timestamp>,
}

impl Present {
    fn of(seat: &Seat) -> Option<Self> {
        let kept = seat.kept.as_ref()?;
        let live = seat.live.as_ref().map(|live| {
            let (since, peer, local) = (live.since, live.standing.bearer.peer, live.local);
            let state = ConnectionState::Connected { since, peer, local };
            (state, live.standing.clone(), LastTerms::of(live.talk.terms()))
        });
        Some(Self { live, session_expiry: kept.session.expiry, ended: kept.ended })
    }

    fn describe(self, departed: Option<(Timestamp, Departed)>, now: Timestamp) -> ConnectionDescription {
        if let Some((state, standing, terms)) = self.live {
            return ConnectionDescription { state, ..terms.describe(thing_name(&standing)) };
        }
        let Some((at, departed)) = departed else {
            let since = self.ended.filter(|ended| now.since(*ended) <= REMEMBERED);
            return ConnectionDescription {
                state: ConnectionState::Disconnected { since, reason: None },
                thing_name: None,
                clean_session: self.session_expiry == 0,
                keep_alive: None,
                session_expiry: self.session_expiry,
            };
        };
        // A client may have changed the expiry with its DISCONNECT.
        ConnectionDescription { session_expiry: self.session_expiry, ..departed.describe(at) }
    }
}

impl LastTerms {
    /// The state is still missing.
    fn describe(self, thing_name: Option<String>) -> ConnectionDescription {
        ConnectionDescription {
            state: ConnectionState::Disconnected { since: None, reason: None },
            thing_name,
            clean_session: self.session_expiry == 0,
            keep_alive: Some(self.keep_alive),
            session_expiry: self.session_expiry,
        }
    }
}

impl Departed {
    fn describe(self, at: Timestamp) -> ConnectionDescription {
        let state = ConnectionState::Disconnected { since: Some(at), reason: Some(self.reason) };
        ConnectionDescription { state, ..self.terms.describe(self.thing_name) }
    }
}

fn check_rate(admitted: bool, quota: QuotaId, limits: &Limits) -> Result<(), ConnectionRefusal> {
    if admitted {
        return Ok(());
    }
    let violation = session::throttle::violation(Fault::ConnectThrottled, quota, limits);
    Err(ConnectionRefusal::Throttled(violation.detail.into_owned()))
}

fn not_found(client_id: &str) -> ConnectionRefusal {
    ConnectionRefusal::NotFound(format!("The client {client_id} is not connected and has no session"))
}

fn unavailable(error: &StoreError) -> ConnectionRefusal {
    ConnectionRefusal::Unavailable(format!("The session could not be stored: {error}"))
}
