//! The cell: one client's session and live connection behind one leaf lock. Its only door is [`Cell::enter`].

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll, Waker};

use dialect::{Dialect, Fault};
use identity::{ClientId, Timestamp};
use parking_lot::Mutex;
use quirks::Dice;
use router::Route;
use session::group::GroupPlace;
use session::mutation::{self, Mutation};
use session::{Conversation, Named, Offer, Paper, Parcel, Session, Subscription, WillPlan};

use crate::connections::LastTerms;
use crate::direct::Awaited;
use crate::durable::Saved;
use standing::{Flow, Glance, Standing};

/// About how many bytes one `poll_output` gives.
pub(crate) const WRITE_BUDGET: usize = 64 * 1024;

/// A client's place in the directory.
#[derive(Debug)]
pub(crate) struct Cell {
    /// Whose.
    pub client_id: ClientId,
    /// What others may know without entering: see [`Seat::presence`].
    presence: AtomicU8,
    seat: Mutex<Seat>,
}

/// What is behind the lock.
#[derive(Debug, Default)]
pub(crate) struct Seat {
    /// The session, if there is one.
    pub kept: Option<Kept>,
    /// The connection, if the client is there.
    pub live: Option<Live>,
    /// Its session is where it must be, so that it gets its CONNACK. Before, it may still be refused.
    pub accepted: bool,
    /// What the session was before a CONNECT that is not accepted yet resumed it.
    pub before: Option<Box<Before>>,
    /// Connections that lost their seat and have not noticed yet: what they still have to write.
    pub ousted: Vec<(u64, Conversation)>,
    /// The cell has left the directory: look there again.
    pub retired: bool,
    /// The place in the order of arrival of the last CONNECT that had the seat.
    pub arrival: u64,
    /// `versionNumber` of the next connection's lifecycle events; nothing while the cell is new.
    pub next_version: Option<u64>,
    /// How often it was asked for quirks.
    pub dice: Dice,
    /// What the store holds of it.
    pub saved: Saved,
    /// Writes of its records that are under way: what the store holds of it is known when they are done.
    pub writing: u16,
    /// Wills that were taken out and are not where they have to be yet: until then the record of one stays.
    pub wills: u8,
    /// Journals of sessions that are over, to be forgotten when the store knows that they are.
    pub abandoned: Vec<store::Key>,
    /// It stands in the loader's queue.
    pub wants_page: bool,
    /// When it will be looked at because of its expiry.
    pub armed: Option<Timestamp>,
}

/// A session with the id under which the route table knows it.
#[derive(Debug)]
pub(crate) struct Kept {
    pub id: u64,
    pub session: Session,
    /// Tells its journal from that of the client's other sessions.
    pub incarnation: Arc<str>,
    /// When its last connection ended.
    pub ended: Option<Timestamp>,
    /// When an offline session ends.
    pub ends_at: Timestamp,
    /// A will that waits for its delay (only where the dialect honours it).
    pub will: Option<Box<Delayed>>,
}

/// A will that waits: until when, and whose it is.
#[derive(Debug)]
pub(crate) struct Delayed {
    pub due: Timestamp,
    pub standing: Arc<Standing>,
    pub will: Box<WillPlan>,
}

/// What a CONNECT changes of a session that it resumes: if it is refused the session is again what it was.
#[derive(Debug)]
pub(crate) struct Before {
    terms: (mqtt::Version, u32),
    ended: Option<Timestamp>,
    ends_at: Timestamp,
    pub will: Option<Box<Delayed>>,
}

/// A connection that has the seat.
#[derive(Debug)]
pub(crate) struct Live {
    pub generation: u64,
    pub talk: Conversation,
    pub waker: Option<Waker>,
    /// Publishes that were taken and wait for the disk.
    pub unsettled: usize,
    /// PUBACKs among what they wait to be answered with.
    pub owed: usize,
    pub standing: Arc<Standing>,
    /// At the standing, for each message that it gets.
    pub glance: Glance,
    pub since: Timestamp,
    /// When the server ends it, and by which fault: connection-life, or the end of the link's life.
    pub until: (Timestamp, Fault),
    /// `sessionIdentifier` of its lifecycle events.
    pub session_identifier: Arc<str>,
    /// `versionNumber` of its lifecycle events.
    pub version_number: u64,
    /// Our side of its link.
    pub local: SocketAddr,
    /// Direct messages whose senders wait for the client's acknowledgement.
    pub awaited: Vec<Awaited>,
}

/// A connection that lost its seat, with what is still to be done about it.
#[derive(Debug)]
pub(crate) struct Ended {
    pub standing: Arc<Standing>,
    pub since: Timestamp,
    pub version: mqtt::Version,
    pub session_identifier: Arc<str>,
    pub version_number: u64,
    pub will: Option<Box<WillPlan>>,
    /// The session that ended with it, to be unrouted.
    pub over: Option<Kept>,
    /// The session's id, and the place of its CONNECT in the order of arrival.
    pub session: u64,
    pub arrival: u64,
    /// Messages of shared subscriptions' groups: done with, and not acknowledged.
    pub settled: Vec<Arc<GroupPlace>>,
    pub returned: Vec<Offer>,
    /// Direct messages that will not be acknowledged any more.
    pub awaited: Vec<Awaited>,
    /// What GetConnection tells of it for a while.
    pub terms: LastTerms,
}

#[cfg(debug_assertions)]
thread_local! {
    static INSIDE: std::cell::Cell<bool> = const { std::cell::Cell::new(false) };
}

impl Named for Cell {
    fn new(client_id: ClientId) -> Self {
        Self { client_id, presence: AtomicU8::new(0), seat: Mutex::new(Seat::default()) }
    }

    fn client_id(&self) -> &ClientId {
        &self.client_id
    }
}

impl Cell {
    /// True if a connection has the seat, and was accepted. A hint: it may be over in a moment.
    pub(crate) fn is_online(&self) -> bool {
        self.presence.load(Ordering::Relaxed) & ONLINE != 0
    }

    /// True if it also has room for a message of QoS 1. A hint.
    pub(crate) fn is_ready(&self) -> bool {
        self.presence.load(Ordering::Relaxed) & READY != 0
    }

    /// True if the client's session outlives its connection. A hint.
    pub(crate) fn is_persistent(&self) -> bool {
        self.presence.load(Ordering::Relaxed) & PERSISTENT != 0
    }

    /// False if the connection that has the seat may be read: none of its messages waits for the disk, and it takes its
    /// answers. A hint.
    pub(crate) fn is_busy(&self) -> bool {
        self.presence.load(Ordering::Relaxed) & BUSY != 0
    }

    /// The only way in. The closure must not enter another cell: a debug build stops on it.
    pub(crate) fn enter<R>(&self, visit: impl FnOnce(&mut Seat) -> R) -> R {
        #[cfg(debug_assertions)]
        let _guard = Inside::mark();
        let mut seat = self.seat.lock();
        let result = visit(&mut seat);
        self.presence.store(seat.presence(), Ordering::Relaxed);
        result
    }
}

#[cfg(debug_assertions)]
struct Inside;

#[cfg(debug_assertions)]
impl Inside {
    fn mark() -> Self {
        INSIDE.with(|inside| {
            assert!(!inside.replace(true), "a cell was entered from inside a cell");
        });
        Self
    }
}

#[cfg(debug_assertions)]
impl Drop for Inside {
    fn drop(&mut self) {
        INSIDE.with(|inside| inside.set(false));
    }
}

/// A connection has the seat, and was accepted.
const ONLINE: u8 = 1;
/// It has room for a message.
const READY: u8 = 2;
/// The session outlives it.
const PERSISTENT: u8 = 4;
/// It takes no answers, or has messages that wait for the disk.
const BUSY: u8 = 8;

impl Seat {
    fn presence(&self) -> u8 {
        let Some(kept) = &self.kept else { return 0 };
        let (online, ready) = match &self.live {
            Some(_) if !self.accepted => (0, 0),
            None => (0, 0),
            Some(live) if kept.session.is_ready(&live.talk) => (ONLINE, READY),
            Some(_) => (ONLINE, 0),
        };
        let busy = self.live.as_ref().is_some_and(|live| live.unsettled > 0 || live.talk.is_congested());
        let persistent = kept.session.expiry > 0 || self.before.is_some();
        online | ready | if persistent { PERSISTENT } else { 0 } | if busy { BUSY } else { 0 }
    }

    /// The connection of a generation, with its session.
    pub(crate) fn of(&mut self, generation: u64) -> Option<(&mut Live, &mut Kept)> {
        let live = self.live.as_mut().filter(|live| live.generation == generation)?;
        Some((live, self.kept.as_mut()?))
    }

    /// Takes the seat from whoever has it, because of a fault. The old driver finds its last words in `ousted`.
    pub(crate) fn oust(
        &mut self,
        fault: Fault,
        trace: &str,
        dialect: &Dialect,
        now: Timestamp,
    ) -> Option<(Ended, Option<Waker>)> {
        let mut live = self.live.take()?;
        live.talk.close(fault, trace, dialect);
        let waker = live.waker.take();
        let generation = live.generation;
        let (ended, talk) = self.conclude(live, dialect, now);
        self.ousted.push((generation, talk));
        Some((ended, waker))
    }

    /// What a connection leaves behind: its session goes on or ends.
    pub(crate) fn conclude(
        &mut self,
        live: Live,
        dialect: &Dialect,
        now: Timestamp,
    ) -> (Ended, Conversation) {
        let Live { mut talk, standing, since, session_identifier, version_number, awaited, .. } = live;
        let version = talk.terms().version;
        let terms = LastTerms::of(talk.terms());
        // Who was not accepted has no will.
        let before = self.before.take();
        let will = talk.terms_mut().will.take().filter(|_| self.accepted && before.is_none());
        self.wills = self.wills.saturating_add(u8::from(will.is_some()));
        let (session, arrival) = (self.kept.as_ref().map_or(0, |kept| kept.id), self.arrival);
        let mut over = None;
        let (mut settled, mut returned) = (Vec::new(), Vec::new());
        if let Some(kept) = &mut self.kept {
            returned = kept.session.surrender();
            settled = kept.session.take_settled();
            if let Some(before) = before {
                before.put_back(kept, dialect);
            } else if kept.session.expiry == 0 {
                over = self.kept.take();
            } else {
                kept.session.detach();
                kept.ended = Some(now);
                kept.ends_at = match kept.session.expiry {
                    u32::MAX => Timestamp::NEVER,
                    _ if mutation::is(Mutation::SessionsLastForEver) => Timestamp::NEVER,
                    _ if mutation::is(Mutation::SessionsEndAtOnce) => now + std::time::Duration::from_secs(1),
                    seconds => now + std::time::Duration::from_secs(seconds.into()),
                };
            }
        }
        let ended = Ended {
            standing,
            version_number,
            since,
            version,
            session_identifier,
            will,
            over,
            session,
            arrival,
            settled,
            returned,
            awaited,
            terms,
        };
        (ended, talk)
    }

    /// A will that was taken out is where it has to be, or is to be nowhere.
    pub(crate) fn will_done(&mut self) {
        self.wills = self.wills.saturating_sub(1);
    }

    /// True if the store holds something of it, or may, or its journals.
    pub(crate) fn is_stored(&self) -> bool {
        self.saved.session || self.saved.will || self.writing > 0 || !self.abandoned.is_empty()
    }

    /// True if nothing keeps the cell in the directory. What the store still holds does: who comes before the end of a
    /// session is written waits for that, or the session could come back.
    pub(crate) fn is_vacant(&self) -> bool {
        let stored = self.is_stored() && !mutation::is(Mutation::VacatesBeforeTheDisk);
        self.kept.is_none() && self.live.is_none() && !stored && !mutation::is(Mutation::KeepsVacantCells)
    }
}

impl Kept {
    /// When there is something to be done about a session whose client is away: its will, or its end.
    pub(crate) fn next(&self) -> Timestamp {
        self.will.as_ref().map_or(self.ends_at, |will| self.ends_at.min(will.due))
    }
}

impl Before {
    /// A CONNECT is about to resume the session; what it does not leave is taken.
    pub(crate) fn of(kept: &mut Kept) -> Box<Self> {
        let terms = (kept.session.version(), kept.session.expiry);
        Box::new(Self { terms, ended: kept.ended, ends_at: kept.ends_at, will: kept.will.take() })
    }

    /// The CONNECT was refused, or its client was gone before it was accepted.
    fn put_back(self, kept: &mut Kept, dialect: &Dialect) {
        let (version, expiry) = self.terms;
        kept.session.detach();
        kept.session.resume_as(version, expiry, dialect);
        (kept.ended, kept.ends_at, kept.will) = (self.ended, self.ends_at, self.will);
    }
}

impl Live {
    /// Appends what waits, or keeps the waker.
    pub(crate) fn write<P: Paper>(
        &mut self,
        cx: &mut Context<'_>,
        out: &mut P,
        expired: &mut Vec<Arc<Parcel>>,
        now: Timestamp,
    ) -> Poll<Flow> {
        if self.talk.write(out, expired, WRITE_BUDGET, now) {
            return Poll::Ready(Flow::Continue);
        }
        self.waker = Some(cx.waker().clone());
        Poll::Pending
    }
}

/// A session as the route table knows it.
#[derive(Clone, Debug)]
pub(crate) struct Subscriber {
    pub cell: Arc<Cell>,
    pub session: u64,
    /// When the subscription takes effect, if not at once (suback-before-active).
    pub from: Timestamp,
}

impl Subscriber {
    /// The route of a subscription.
    pub(crate) fn route(self, known: &Subscription) -> Route<Self> {
        let Subscription { qos, no_local, retain_as_published, .. } = *known;
        let identifiers = known.identifier.into_iter().collect();
        Route { target: self, qos, no_local, retain_as_published, identifiers }
    }
}

impl router::Target for Subscriber {
    fn id(&self) -> u64 {
        self.session
    }

    fn is_same(&self, other: &Self) -> bool {
        self.session == other.session && self.from == other.from
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// There is one for each client, and one of the second for each connection. 1335 and 560 bytes they were before somebody
    /// looked.
    #[test]
    fn cells_and_connections_are_small() {
        let sizes = [size_of::<Cell>(), size_of::<crate::Connection>()];
        let most = [1000, 192];
        assert!(
            sizes.iter().zip(most).all(|(size, most)| *size <= most),
            "{sizes:?} bytes, at most {most:?}"
        );
    }
}
