//! Which clients lean on MQTT that AWS does not give: the sums of what was observed, per client and row.

mod text;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap};
use std::fmt::{self, Write as _};
use std::hash::{BuildHasher as _, RandomState};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use dialect::Divergence;
use events::{DivergenceObserved, Event, Kind, KindSet, Observer};
use identity::Timestamp;
use serde::{Deserialize, Serialize};

/// Clients that are kept. What others do is only counted.
pub const MOST_CLIENTS: usize = 16_384;
/// Rows of all clients together that are kept. What shows beyond that is only counted.
pub const MOST_ROWS: usize = 8 * MOST_CLIENTS;
/// Bytes of a detail that are kept.
pub const MOST_DETAIL: usize = 256;
const SHARDS: usize = 16;

/// Sums up the divergences that clients met. One entry a client, one row a divergence.
pub struct DivergenceReport {
    shards: Vec<Mutex<Shard>>,
    hasher: RandomState,
    dropped: AtomicU64,
}

/// A part of the clients.
#[derive(Default)]
struct Shard {
    clients: HashMap<Box<str>, Client>,
    rows: usize,
}

/// What is kept of a client.
#[derive(Default)]
struct Client {
    principal: String,
    rows: BTreeMap<Divergence, Row>,
}

#[derive(Default)]
struct Row {
    count: u64,
    last_seen: Timestamp,
    packet: &'static str,
    detail: String,
}

impl DivergenceReport {
    /// Nothing was seen.
    pub fn new() -> Arc<Self> {
        let shards = (0..SHARDS).map(|_| Mutex::default()).collect();
        Arc::new(Self { shards, hasher: RandomState::new(), dropped: AtomicU64::new(0) })
    }

    /// All that was seen, clients and rows in order.
    pub fn summary(&self) -> DivergenceSummary {
        let mut clients = Vec::new();
        for shard in &self.shards {
            clients.extend(lock(shard).clients.iter().map(|(id, client)| client.summary(id)));
        }
        clients.sort_unstable_by(|a, b| a.client_id.cmp(&b.client_id));
        DivergenceSummary { clients, dropped: self.dropped.load(Relaxed) }
    }

    /// Forgets everything.
    pub fn reset(&self) {
        self.shards.iter().for_each(|shard| *lock(shard) = Shard::default());
        self.dropped.store(0, Relaxed);
    }

    fn add(&self, at: Timestamp, fact: &DivergenceObserved<'_>) {
        let client_id = fact.client_id;
        let place = self.hasher.hash_one(client_id) as usize % SHARDS;
        let Some(shard) = self.shards.get(place) else { return };
        if !lock(shard).add(at, fact) {
            self.dropped.fetch_add(1, Relaxed);
        }
    }
}

impl Shard {
    /// False if there is no room.
    fn add(&mut self, at: Timestamp, fact: &DivergenceObserved<'_>) -> bool {
        let known = self.clients.get(fact.client_id);
        if known.is_none() && self.clients.len() >= MOST_CLIENTS / SHARDS {
            return false;
        }
        if known.is_none_or(|client| !client.rows.contains_key(&fact.divergence)) {
            if self.rows >= MOST_ROWS / SHARDS {
                return false;
            }
            self.rows += 1;
        }
        match self.clients.get_mut(fact.client_id) {
            Some(client) => client.add(at, fact),
            None => self.clients.entry(fact.client_id.into()).or_default().add(at, fact),
        }
        true
    }
}

impl Client {
    fn add(&mut self, at: Timestamp, fact: &DivergenceObserved<'_>) {
        // The name of a principal is long and seldom changes; writing it once is enough.
        if let (true, Some(client)) = (self.principal.is_empty(), fact.client) {
            rewrite(&mut self.principal, &client.principal);
        }
        let row = self.rows.entry(fact.divergence).or_default();
        row.count += 1;
        row.last_seen = at;
        row.packet = fact.packet;
        rewrite(&mut row.detail, fact.detail);
    }

    fn summary(&self, client_id: &str) -> ClientSummary {
        let rows = self.rows.iter().map(|(divergence, row)| RowSummary {
            id: divergence.id().to_owned(),
            count: row.count,
            last_seen: row.last_seen.millis() as f64 / 1000.0,
            packet: row.packet.to_owned(),
            detail: row.detail.clone(),
            standard: divergence.row().standard.to_owned(),
        });
        ClientSummary {
            client_id: client_id.to_owned(),
            principal: self.principal.clone(),
            rows: rows.collect(),
        }
    }
}

impl Observer for DivergenceReport {
    fn observe(&self, at: Timestamp, event: &Event<'_>) {
        if let Event::DivergenceObserved(fact) = event {
            self.add(at, fact);
        }
    }

    fn wanted(&self) -> KindSet {
        KindSet::NONE.with(Kind::DivergenceObserved)
    }
}

impl fmt::Debug for DivergenceReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DivergenceReport")
    }
}

fn lock(shard: &Mutex<Shard>) -> MutexGuard<'_, Shard> {
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Writes into the same memory again, as much as is kept.
fn rewrite(text: &mut String, value: &dyn fmt::Display) {
    text.clear();
    // The end of the room is the only error that there is.
    let _ = write!(Room(text), "{value}");
}

/// A text that takes no more than [`MOST_DETAIL`].
struct Room<'a>(&'a mut String);

impl fmt::Write for Room<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = MOST_DETAIL.saturating_sub(self.0.len());
        let taken = text.get(..text.floor_char_boundary(room)).unwrap_or_default();
        self.0.push_str(taken);
        if taken.len() < text.len() { Err(fmt::Error) } else { Ok(()) }
    }
}

/// The report as it is told to programs, and what a person's table is made of.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct DivergenceSummary {
    /// By client id.
    pub clients: Vec<ClientSummary>,
    /// Observations for which there was no room.
    pub dropped: u64,
}

/// What one client met.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ClientSummary {
    /// Empty for clients whose CONNECT was refused before they had a name.
    pub client_id: String,
    /// Who the transport authenticated; empty if the client was away whenever something was seen.
    pub principal: String,
    /// In the order of the table of divergences.
    pub rows: Vec<RowSummary>,
}

/// How often one client met one divergence.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RowSummary {
    /// The divergence, for example `no-qos2`.
    pub id: String,
    /// How often.
    pub count: u64,
    /// Seconds since 1970, with fractions, as AWS writes times in JSON.
    pub last_seen: f64,
    /// The packet in which it showed, the last time.
    pub packet: String,
    /// What the client did, or what it did not get, the last time.
    pub detail: String,
    /// What the standard would have done.
    pub standard: String,
}

impl DivergenceSummary {
    /// True if nothing was seen, not even of clients that there was no room for.
    pub fn is_empty(&self) -> bool {
        self.clients.is_empty() && self.dropped == 0
    }

    /// The rows that were seen, whoever met them, each once.
    pub fn ids(&self) -> Vec<&str> {
        let rows = self.clients.iter().flat_map(|client| &client.rows);
        let mut ids: Vec<&str> = rows.map(|row| row.id.as_str()).collect();
        ids.sort_unstable();
        ids.dedup();
        ids
    }
}
