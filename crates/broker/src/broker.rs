//! The broker as a whole: what it is made of and how it begins and ends.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use dialect::{Dialect, Divergence, Fault};
use events::{Event, Observers};
use futures_util::future::join;
use identity::{CertificateId, ClientId, Site, Timestamp};
use mqtt::MatchRules;
use parking_lot::Mutex;
use quirks::Quirks;
use registry::CertificateRecord;
use router::{RetainedIndex, RouteTable};
use standing::{Principals, Standing};
use store::{Journal, Store, StoreError};

use crate::cell::{Cell, Subscriber};
use crate::connections::{self, Departed};
use crate::direct::Confirmations;
use crate::durable::{Committer, Loader};
use crate::groups::Groups;
use crate::lifecycle;
use crate::publish::Kept;
use crate::renew::Renewals;
use session::lately::Lately;
use session::throttle::Throttles;
use session::{Directory, Moments};

/// Bytes of retained messages that are kept in memory. AWS counts messages only; a process has to count bytes too.
const RETAINED_BYTES: usize = 1 << 30;

/// What a broker is made of.
pub struct BrokerParts {
    /// The Region and account that it plays.
    pub site: Arc<Site>,
    /// How it speaks MQTT.
    pub dialect: Arc<Dialect>,
    /// Where certificates, policies and things are.
    pub store: Arc<dyn Store>,
    /// Where messages wait for persistent sessions. Without one, sessions and retained messages live in memory.
    pub journal: Option<Arc<dyn Journal>>,
    /// What a PUBACK promises.
    pub durability: Durability,
    /// Who is told of events.
    pub observers: Observers,
    /// Makes generated identifiers and choices differ from run to run; the same seed gives the same ones.
    pub seed: u64,
}

/// When a message that waits for a persistent session is acknowledged to its publisher.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// After its group was synced to disk: it survives a crash and a loss of power.
    #[default]
    Group,
    /// At once: what was acknowledged in the last moments before a crash may be lost.
    Relaxed,
}

/// How much a broker keeps of its clients. Nothing outlives their sessions but moments that are still to come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Footprint {
    /// Clients that are connected or have a session, or whose session's end is not on the disk yet.
    pub clients: usize,
    /// Subscriptions.
    pub subscriptions: usize,
    /// Groups of shared subscriptions that queue, and rows of such as are over and not trimmed.
    pub groups: usize,
    /// Records that the permissions of those who are connected were made from.
    pub records: usize,
    /// Moments in which somebody will be looked at.
    pub moments: usize,
}

/// What tells the time. It never runs back.
pub type Clock<'a> = &'a (dyn Fn() -> Timestamp + Send + Sync);

/// The broker. Cloning gives another handle to the same one.
#[derive(Clone)]
pub struct Broker(pub(crate) Arc<Inner>);

pub(crate) struct Inner {
    pub site: Arc<Site>,
    pub dialect: Arc<Dialect>,
    pub store: Arc<dyn Store>,
    pub journal: Option<Arc<dyn Journal>>,
    pub durability: Durability,
    pub committer: Committer,
    pub loader: Loader,
    pub observers: Observers,
    pub directory: Directory<Cell>,
    pub routes: RouteTable<Subscriber>,
    pub groups: Groups,
    pub retained: RetainedIndex<Kept>,
    pub principals: Principals,
    /// Whose custom authorizer is to be asked again, and when.
    pub renewals: Renewals,
    /// Who learns later of changes (policy-propagation).
    pub late: Mutex<Vec<(Timestamp, Arc<Standing>)>>,
    pub expiry: Moments<Cell>,
    pub throttles: Throttles,
    /// `versionNumber` of whoever comes back.
    pub versions: Lately<u64>,
    pub quirks: Arc<Quirks>,
    /// How connections ended, for GetConnection.
    pub departed: Lately<Departed>,
    pub confirmations: Confirmations,
    ids: AtomicU64,
    seen: AtomicU64,
    /// When expired retained messages were looked for.
    pub swept: AtomicU64,
    entropy: AtomicU64,
}

impl fmt::Debug for Broker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Broker").field("site", &self.0.site).finish_non_exhaustive()
    }
}

impl Broker {
    /// A broker without clients. It follows the store only while [`Broker::follow_feed`] runs.
    pub fn new(parts: BrokerParts) -> Self {
        let principals = Principals::new(parts.site.clone(), parts.store.clone(), parts.dialect.clone());
        let rules = match_rules(&parts.dialect);
        let one_copy = !parts.dialect.has(Divergence::OverlappingSubscriptionsCopies);
        let throttles = Throttles::new(&parts.dialect);
        let most_clients = parts.dialect.limits().connections;
        let most_retained = parts.dialect.limits().retained_messages;
        Self(Arc::new(Inner {
            site: parts.site,
            dialect: parts.dialect,
            store: parts.store,
            journal: parts.journal,
            durability: parts.durability,
            committer: Committer::default(),
            loader: Loader::default(),
            observers: parts.observers,
            directory: Directory::new(most_clients),
            routes: RouteTable::new(rules, one_copy),
            groups: Groups::default(),
            retained: RetainedIndex::new(most_retained, RETAINED_BYTES),
            principals,
            renewals: Renewals::default(),
            late: Mutex::default(),
            expiry: Moments::default(),
            throttles,
            versions: lifecycle::versions(),
            quirks: Arc::default(),
            departed: connections::departures(),
            confirmations: Confirmations::default(),
            ids: AtomicU64::new(1),
            seen: AtomicU64::new(0),
            swept: AtomicU64::new(0),
            entropy: AtomicU64::new(parts.seed),
        }))
    }

    /// The dialect it speaks.
    pub fn dialect(&self) -> &Arc<Dialect> {
        &self.0.dialect
    }

    /// What the registry says of a certificate; `None` if it does not know it.
    pub async fn certificate(&self, id: &CertificateId) -> Result<Option<CertificateRecord>, StoreError> {
        let key = registry::certificates::certificate_key(id.as_str());
        let found = registry::CERTIFICATES.get(&*self.0.store, &key).await?;
        Ok(found.map(|found| found.value))
    }

    /// Ends what is due: sessions whose time is over, wills that waited. Returns when to call again at the latest.
    pub fn on_time(&self, now: Timestamp) -> Timestamp {
        self.0.sees(now);
        // What is due after the end is the next process's business: nothing can be made durable any more.
        if self.0.committer.is_closed() {
            return Timestamp::NEVER;
        }
        for cell in self.0.expiry.due(now) {
            self.0.look_at(&cell, now);
        }
        self.0.save_again(now);
        self.0.committer.nudge();
        let confirmation = self.0.confirmations.on_time(now);
        self.0.expiry.next().min(self.0.tick_groups(now)).min(confirmation)
    }

    /// Takes every seat; MQTT 5 clients are told that the server is shutting down. Drivers find it at their next poll.
    pub fn shutdown(&self, now: Timestamp) {
        let mut cells = self.0.directory.all();
        cells.sort_by(|one, other| one.client_id.as_str().cmp(other.client_id.as_str()));
        for cell in cells {
            self.0.oust(&cell, |_| true, Fault::ServerShutdown, &"the server is shutting down", now);
        }
    }

    /// Makes durable what is to be, and reads waiting messages back, until [`Broker::finish`]. To be polled for as long
    /// as the broker lives.
    pub async fn work(&self, clock: Clock<'_>) {
        join(self.0.commit_jobs(clock), self.0.load_pages(clock)).await;
    }

    /// Ends [`Broker::work`] once everything that waits is written. To be called after [`Broker::shutdown`].
    pub fn finish(&self) {
        self.0.loader.close();
        self.0.committer.close();
    }

    /// What waits to be made durable: how many jobs, and their bytes.
    pub fn waiting_writes(&self) -> (usize, usize) {
        self.0.committer.size()
    }

    /// How much it keeps of its clients.
    pub fn footprint(&self) -> Footprint {
        let inner = &self.0;
        Footprint {
            clients: inner.directory.all().len(),
            subscriptions: inner.routes.len(),
            groups: inner.groups.size(),
            records: inner.principals.records(),
            moments: inner.expiry.len(),
        }
    }

    /// How many clients are connected.
    pub fn connections(&self) -> usize {
        self.0.directory.all().iter().filter(|cell| cell.is_online()).count()
    }
}

impl Inner {
    /// An id that this process has not used yet.
    pub fn next_id(&self) -> u64 {
        self.ids.fetch_add(1, Ordering::Relaxed)
    }

    pub fn sees(&self, now: Timestamp) {
        self.seen.fetch_max(now.millis(), Ordering::Relaxed);
    }

    /// The time of the last [`Broker::on_time`] or CONNECT.
    pub fn last_seen(&self) -> Timestamp {
        Timestamp(self.seen.load(Ordering::Relaxed))
    }

    /// The next number of a seeded sequence (splitmix64): spread evenly, not secret.
    pub fn random(&self) -> u64 {
        let mut z = self
            .entropy
            .fetch_add(0x9E37_79B9_7F4A_7C15, Ordering::Relaxed)
            .wrapping_add(0x9E37_79B9_7F4A_7C15);
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A UUID of the seeded sequence: names traces and sessions, guards nothing.
    pub fn uuid(&self) -> String {
        let bytes = (u128::from(self.random()) << 64) | u128::from(self.random());
        uuid::Builder::from_random_bytes(bytes.to_be_bytes()).into_uuid().to_string()
    }

    /// The client id for a client that brought none. In AWS's form `$` keeps it apart from every id that a client can
    /// choose.
    pub fn generated_client_id(&self) -> Result<ClientId, identity::InvalidName> {
        let form = if self.dialect.has(Divergence::GeneratedClientIdForm) { "$GEN/" } else { "" };
        ClientId::new(&format!("{form}{}", self.uuid()))
    }

    pub fn emit(&self, now: Timestamp, event: &Event<'_>) {
        self.observers.emit(now, event);
    }
}

pub(crate) fn match_rules(dialect: &Dialect) -> MatchRules {
    MatchRules { hash_matches_parent: !dialect.has(Divergence::HashExcludesParent) }
}
