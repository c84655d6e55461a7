//! AWS's log levels: which entries are written, by whom they are about.
//!
//! Sources: API reference, *SetV2LoggingLevel*, *SetV2LoggingOptions*, *LogEventConfiguration*.

use std::collections::HashMap;
use std::net::IpAddr;

use events::{Event, Kind, KindSet, Level, LogType};

/// The quietest entry that is still written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Threshold {
    /// This level and what is above.
    From(Level),
    /// Nothing.
    Silent,
}

impl Threshold {
    /// Whether an entry of this level is written.
    pub fn admits(self, level: Level) -> bool {
        matches!(self, Self::From(least) if level >= least)
    }
}

/// What the account wants to see of whom. The most specific level that fits an entry decides: that of the client id,
/// else of the principal, the address, the client's thing groups (the loudest), the type of event, else the default.
///
/// It speaks of the entries that AWS's log has, and of what happens to a client. The broker's own life, the refusals of
/// its API and its store's failures are not in it: they follow [`super::LogSettings::level`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogLevels {
    /// For everybody else.
    pub default: Threshold,
    /// By `eventType`; of a ping there is an entry only if this says so.
    pub events: HashMap<String, Threshold>,
    /// By client id.
    pub clients: HashMap<String, Threshold>,
    /// By principal, as `principalId` of the entries shows it.
    pub principals: HashMap<String, Threshold>,
    /// By address.
    pub addresses: HashMap<IpAddr, Threshold>,
    /// By client id: what the groups of the thing of that name say.
    pub members: HashMap<String, Threshold>,
}

impl LogLevels {
    /// The same for everybody.
    pub fn new(default: Threshold) -> Self {
        let (clients, principals, members) = (HashMap::new(), HashMap::new(), HashMap::new());
        Self { default, events: HashMap::new(), clients, principals, addresses: HashMap::new(), members }
    }

    /// Says what the group of a thing wants. A thing of several groups is as loud as the loudest wants it.
    pub fn member(&mut self, thing: String, threshold: Threshold) {
        let known = self.members.entry(thing).or_insert(threshold);
        *known = threshold.min(*known);
    }

    /// Kinds that can have a line at all under these levels, or that are the broker's own and of at least `own`.
    pub(super) fn kinds(&self, own: Level) -> KindSet {
        let kinds = Kind::ALL.iter().filter(|kind| self.is_possible(**kind) || is_own(**kind, own));
        kinds.fold(KindSet::NONE, |set, kind| set.with(*kind))
    }

    fn is_possible(&self, kind: Kind) -> bool {
        let single = [self.clients.values(), self.principals.values(), self.members.values()];
        let mut all = single.into_iter().flatten().chain(self.addresses.values());
        let level = loudest(kind);
        // Its type is the operation's, which only the event knows; such calls are rare.
        kind == Kind::DeviceCall
            || self.of_type(kind.log_type()).admits(level)
            || all.any(|threshold| threshold.admits(level))
    }

    /// What the account says of a type of entry, without a look at whom it is about.
    fn of_type(&self, log: Option<LogType>) -> Threshold {
        log.and_then(|log| self.events.get(log.as_str())).copied().unwrap_or(self.default)
    }

    /// Whether this is written.
    pub(super) fn admits(&self, event: &Event<'_>, own: Level) -> bool {
        let kind = event.kind();
        if kind.log_type().is_none() && event.client_id().is_empty() {
            return kind.level() >= own;
        }
        if kind.log_type() == Some(LogType::Ping) && !self.events.contains_key(LogType::Ping.as_str()) {
            return false;
        }
        self.of_whom(event).unwrap_or_else(|| self.of_type(event.log_type())).admits(level(event))
    }

    /// The level of whom it is about.
    fn of_whom(&self, event: &Event<'_>) -> Option<Threshold> {
        let client_id = event.client_id();
        if let Some(threshold) = self.clients.get(client_id) {
            return Some(*threshold);
        }
        let by_principal = || {
            let principal = match event.client() {
                Some(client) => Some(client.principal),
                None => event.origin().and_then(|origin| origin.principal()),
            };
            self.principals.get(principal?.identifier())
        };
        let by_address = || self.addresses.get(&address(event)?);
        let by_principal = (!self.principals.is_empty()).then(by_principal).flatten();
        by_principal
            .or_else(|| (!self.addresses.is_empty()).then(by_address).flatten())
            .or_else(|| self.members.get(client_id))
            .copied()
    }
}

/// `logLevel` of an entry. AWS logs what succeeds at INFO and what fails at ERROR; only pings are DEBUG.
pub(super) fn level(event: &Event<'_>) -> Level {
    let kind = event.kind();
    match kind.log_type() {
        Some(_) if event.is_failure() && (kind.level() >= Level::Warn || kind == Kind::DeviceCall) => {
            Level::Error
        }
        _ => usual(kind),
    }
}

fn usual(kind: Kind) -> Level {
    match kind.log_type() {
        Some(LogType::Ping) => Level::Debug,
        Some(_) => Level::Info,
        None => kind.level(),
    }
}

/// The highest level that an entry of this kind can have.
fn loudest(kind: Kind) -> Level {
    let fails = kind.level() >= Level::Warn || kind == Kind::DeviceCall;
    if kind.log_type().is_some() && fails { Level::Error } else { usual(kind) }
}

/// Whether a kind can be the broker's own, and loud enough.
fn is_own(kind: Kind, own: Level) -> bool {
    kind.log_type().is_none() && kind.level() >= own
}

/// The other end, in the spelling of IPv4 where it is one.
fn address(event: &Event<'_>) -> Option<IpAddr> {
    let http = || event.origin().and_then(|origin| origin.peer()).map(|peer| peer.ip());
    super::address(event).or_else(http).map(|address| address.to_canonical())
}
