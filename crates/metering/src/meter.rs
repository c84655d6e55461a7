//! The meter: an observer that counts. It is called on the threads that carry traffic; a message costs it a hash and two
//! additions to what only its thread writes to. Names are noted when a row is new, connections when they come and go, both
//! behind leaf locks.
//!
//! When the rows are all taken, who comes late is counted by item, and in two sketches; who is seen there to be heavy gets
//! a row of the reserve. What it had before stays with the others: less than one part in [`crate::HEAVY_PART`] of what is
//! there, or [`crate::HEAVY_LEAST`] units.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hasher};
use std::sync::atomic::Ordering::Relaxed;

use events::{Event, KindSet, Observer};
use foldhash::quality::RandomState;
use identity::Timestamp;
use parking_lot::Mutex;

use crate::charge::{Charge, WANTED, charges, of_message};
use crate::item::Item;
use crate::lane::{Added, Lanes};
use crate::sketch::Sketch;
use crate::table::{Counters, Table};
use crate::usage::{BASIC_INGEST, Counts, Name};

const MINUTE: u64 = 60_000;
/// One ping in this time is free.
const PING_EVERY: u64 = 30_000;
/// A ping may come this much too early.
const PING_EARLY: u64 = 1_000;
/// Connections whose minutes are counted while they last. The minutes of others are counted when they end.
const MOST_OPEN: usize = 2_000_000;
const SHARDS: usize = 16;
/// Bytes of a name that are kept.
const MOST_NAME: usize = 512;

/// A row that appeared.
#[derive(Debug)]
pub(crate) struct Fresh {
    pub id: u32,
    pub name: Name,
}

/// Where something is counted.
#[derive(Clone, Copy)]
enum Place {
    /// In this row.
    Row(u32),
    /// Without one: hashes of the client and of the row that there is not.
    Rest { client: u64, key: u64 },
}

/// An open connection.
struct Open {
    /// Where its minutes are counted.
    place: Place,
    since: Timestamp,
    /// Minutes that are counted already.
    counted: u64,
}

/// Counts what costs money.
pub struct Meter {
    table: Table,
    lanes: Lanes,
    rest: Vec<Counters>,
    /// Of clients, for what is in `rest`.
    sketch: Sketch,
    /// Of rows that there are not: who becomes heavy here gets one.
    late: Sketch,
    fresh: Mutex<Vec<Fresh>>,
    open: Vec<Mutex<HashMap<u64, Open, RandomState>>>,
    hasher: RandomState,
    /// Of keys that are made of numbers.
    seeds: (u64, u64),
    kilobyte: u64,
    levels: usize,
}

impl Meter {
    /// All at zero. `kilobyte` is 1024 or 1000; `levels` of a topic make its prefix, at least one.
    pub fn new(kilobyte: u64, levels: usize) -> Self {
        let hasher = RandomState::default();
        Self {
            table: Table::new(),
            lanes: Lanes::new(),
            rest: Item::ALL.iter().map(|_| Counters::default()).collect(),
            sketch: Sketch::new(),
            late: Sketch::new(),
            fresh: Mutex::default(),
            open: (0..SHARDS).map(|_| Mutex::default()).collect(),
            seeds: (hasher.hash_one(1), hasher.hash_one(2)),
            hasher,
            kilobyte,
            levels: levels.max(1),
        }
    }

    /// Bytes in a KB.
    pub fn kilobyte(&self) -> u64 {
        self.kilobyte
    }

    fn key(&self, client: &str, principal: &str, topic: &str, item: Item) -> u64 {
        let mut hasher = self.hasher.build_hasher();
        for part in [client, principal, topic] {
            hasher.write(part.as_bytes());
            hasher.write_u8(0xFF);
        }
        hasher.write_u8(item as u8);
        hasher.finish()
    }

    /// Stands for a charge's row and its whole topic. Names are read only where nothing stands for them.
    #[inline(always)]
    fn quick_key(&self, charge: &Charge<'_>) -> u64 {
        let row = charge.standing << 8 | charge.item as u64;
        let key = match (charge.standing, charge.topic_key) {
            (0, _) | (_, 0) => self.key_by_names(charge, row),
            (_, topic) => fold(row ^ self.seeds.0, topic ^ self.seeds.1),
        };
        // 0 is a slot that counts nothing yet.
        key.max(1)
    }

    #[inline(never)]
    fn key_by_names(&self, charge: &Charge<'_>, row: u64) -> u64 {
        let mut hasher = self.hasher.build_hasher();
        if charge.standing == 0 {
            for name in [charge.client, charge.principal.identifier()] {
                hasher.write(name.as_bytes());
                hasher.write_u8(0xFF);
            }
        }
        hasher.write_u64(row);
        hasher.write(charge.topic.as_bytes());
        hasher.finish()
    }

    /// The row for `units` more of something; its name is noted if it is new. Where there is no room, only who is heavy
    /// among all without a row gets one.
    fn place(&self, client: &str, principal: &str, topic: &str, item: Item, units: u64) -> Place {
        let key = self.key(client, principal, topic, item);
        let found = self.table.find(key).or_else(|| {
            self.late.add(key, units);
            self.late.is_heavy(key).then(|| self.table.admit(key))?
        });
        let Some(found) = found else { return Place::Rest { client: self.hasher.hash_one(client), key } };
        if found.new {
            let name = Name { client: kept(client), principal: kept(principal), topic: kept(topic), item };
            self.fresh.lock().push(Fresh { id: found.id, name });
        }
        Place::Row(found.id)
    }

    /// Counts a message, which mostly is small and finds its slot.
    #[inline(always)]
    fn count_message(&self, charge: Charge<'_>, at: Timestamp) {
        let is_small = (1..=self.kilobyte).contains(&charge.bytes);
        if is_small && self.lanes.add_small(self.quick_key(&charge), charge.bytes) {
            return;
        }
        self.count_slowly(charge, at);
    }

    #[cold]
    #[inline(never)]
    fn count_slowly(&self, charge: Charge<'_>, at: Timestamp) {
        self.count(&charge, at);
    }

    fn count(&self, charge: &Charge<'_>, at: Timestamp) {
        let counts = Counts::of(charge.item, charge.bytes, charge.topic_bytes, self.kilobyte);
        let place = || {
            let topic = prefix(charge.topic, self.levels);
            self.place(charge.client, charge.principal.identifier(), topic, charge.item, counts.units)
        };
        if charge.item == Item::Ping {
            return self.count_ping(charge, counts, place(), at);
        }
        let mut rest = None;
        let row = || match place() {
            Place::Row(id) => Some(id),
            none @ Place::Rest { .. } => {
                rest = Some(none);
                None
            }
        };
        match self.lanes.add(self.quick_key(charge), counts, row, |id| self.table.row(id)) {
            Added::Counted => {}
            Added::NoRow => rest.into_iter().for_each(|place| self.add(place, charge.item, counts)),
            Added::NoLane => self.add(place(), charge.item, counts),
        }
    }

    fn count_ping(&self, charge: &Charge<'_>, counts: Counts, place: Place, at: Timestamp) {
        self.add(place, Item::Ping, counts);
        if let Place::Row(id) = place
            && self.table.row(id).is_some_and(|counters| is_beyond(counters, at))
        {
            self.count(&Charge { item: Item::PingBeyond, ..*charge }, at);
        }
    }

    /// Counts in a row itself, or in the rest.
    fn add(&self, place: Place, item: Item, counts: Counts) {
        match place {
            Place::Row(id) => self.table.row(id).into_iter().for_each(|counters| counters.add(counts)),
            Place::Rest { client, .. } => {
                self.rest.get(item as usize).into_iter().for_each(|counters| counters.add(counts));
                self.sketch.add(client, counts.units);
            }
        }
    }

    /// About how many units, of all items, a client has beside its rows since this meter began: never too low; see
    /// [`crate::SKETCH_ERROR`].
    pub fn estimate_rest(&self, client: &str) -> u64 {
        self.sketch.estimate(self.hasher.hash_one(client))
    }

    fn shard(&self, connection: u64) -> Option<&Mutex<HashMap<u64, Open, RandomState>>> {
        self.open.get(connection as usize % SHARDS)
    }

    fn opened(&self, at: Timestamp, e: &events::Connected<'_>) {
        let (client, principal) = (e.client.client_id, e.client.principal.identifier());
        let connection = self.hasher.hash_one(e.session_identifier);
        let Some(shard) = self.shard(connection) else { return };
        let place = self.place(client, principal, "", Item::ConnectionMinute, 1);
        let mut open = shard.lock();
        if open.len() < MOST_OPEN / SHARDS {
            open.insert(connection, Open { place, since: at, counted: 1 });
            drop(open);
            self.count_minutes(place, 1);
        }
    }

    fn closed(&self, e: &events::Disconnected<'_>) {
        let (client, principal) = (e.client.client_id, e.client.principal.identifier());
        let connection = self.hasher.hash_one(e.session_identifier);
        let known = self.shard(connection).and_then(|shard| shard.lock().remove(&connection));
        let minutes = minutes(u64::try_from(e.duration.as_millis()).unwrap_or(u64::MAX));
        let (place, counted) = match known {
            Some(open) => (open.place, open.counted),
            None => (self.place(client, principal, "", Item::ConnectionMinute, minutes), 0),
        };
        self.count_minutes(place, minutes.saturating_sub(counted));
    }

    fn count_minutes(&self, place: Place, minutes: u64) {
        self.add(place, Item::ConnectionMinute, Counts { units: minutes, ..Counts::default() });
    }

    /// Counts the minutes that open connections began since it was called last.
    pub(crate) fn age(&self, now: Timestamp) {
        for shard in &self.open {
            for open in shard.lock().values_mut() {
                let minutes = minutes(now.millis().saturating_sub(open.since.millis()));
                let more = minutes.saturating_sub(open.counted);
                if more > 0 {
                    open.counted = minutes;
                    if let Place::Rest { key, .. } = open.place {
                        self.late.add(key, more);
                    }
                    self.count_minutes(open.place, more);
                }
            }
        }
    }

    /// The rows that appeared since it was called last.
    pub(crate) fn fresh(&self) -> Vec<Fresh> {
        std::mem::take(&mut *self.fresh.lock())
    }

    /// What a row says.
    pub(crate) fn read(&self, id: u32) -> Counts {
        self.table.row(id).map(Counters::read).unwrap_or_default()
    }

    /// What threads counted lately and did not give to the rows yet. To be asked after the rows.
    pub(crate) fn lately(&self) -> HashMap<u32, Counts> {
        self.lanes.read()
    }

    /// What is counted without a row.
    pub(crate) fn read_rest(&self, item: Item) -> Counts {
        self.rest.get(item as usize).map(Counters::read).unwrap_or_default()
    }

    /// Puts what was counted in an earlier run into a row. The row's number, or `None`: it went to the rest.
    pub(crate) fn restore(&self, name: &Name, counts: Counts) -> Option<u32> {
        if name.client != crate::usage::OTHERS {
            let key = self.key(&name.client, &name.principal, &name.topic, name.item);
            if let Some(found) = self.table.find(key) {
                found.counters.add_all(counts);
                return Some(found.id);
            }
        }
        if let Some(counters) = self.rest.get(name.item as usize) {
            counters.add_all(counts);
        }
        None
    }
}

impl Counters {
    /// All of them, whatever the size.
    fn add_all(&self, counts: Counts) {
        self.add(Counts { extra: 0, ..counts });
        self.add(Counts { units: 0, bytes: 0, ..counts });
    }
}

impl Observer for Meter {
    fn observe(&self, at: Timestamp, event: &Event<'_>) {
        if let Some(charge) = of_message(event) {
            return self.count_message(charge, at);
        }
        match event {
            Event::Connected(e) => self.opened(at, e),
            Event::Disconnected(e) => return self.closed(e),
            _ => {}
        }
        charges(event, |charge| self.count(&charge, at));
    }

    fn wanted(&self) -> KindSet {
        WANTED
    }
}

impl std::fmt::Debug for Meter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Meter")
    }
}

/// Two numbers as one: the halves of their product together.
#[inline(always)]
const fn fold(one: u64, other: u64) -> u64 {
    let product = one as u128 * other as u128;
    (product as u64) ^ (product >> 64) as u64
}

/// Started minutes, one at least.
fn minutes(millis: u64) -> u64 {
    millis.div_ceil(MINUTE).max(1)
}

/// Whether a ping at `at` comes sooner than is free. `aux` is the time from which the next one is.
fn is_beyond(counters: &Counters, at: Timestamp) -> bool {
    let at = at.millis();
    let free =
        |next: u64| (at.saturating_add(PING_EARLY) >= next).then(|| next.max(at).saturating_add(PING_EVERY));
    counters.aux.fetch_update(Relaxed, Relaxed, free).is_err()
}

/// The first levels of a topic; of Basic Ingest, as many as name the rule.
fn prefix(topic: &str, levels: usize) -> &str {
    let levels = if topic.starts_with(BASIC_INGEST) { levels.max(3) } else { levels };
    let end = topic.bytes().enumerate().filter(|(_, byte)| *byte == b'/').nth(levels - 1);
    end.and_then(|(at, _)| topic.get(..at)).unwrap_or(topic)
}

fn kept(text: &str) -> String {
    text.get(..text.floor_char_boundary(MOST_NAME)).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topic_has_one_row_whatever_stands_for_it() {
        let (meter, principal) = (Meter::new(1024, 2), identity::Principal::Plain("p".into()));
        for (standing, topic_key) in [(0, 0), (3, 0), (3, 9), (3, 9), (0, 9)] {
            let client =
                events::Client { client_id: "c", principal: &principal, peer: None, version: None, standing };
            let (topic, qos) = ("a/b/c", mqtt::QoS::AtMostOnce);
            let fact = events::PublishOut { client, topic, topic_key, qos, bytes: 10, properties: 0 };
            meter.observe(Timestamp(1), &fact.into());
        }
        let rows = meter.fresh();
        assert_eq!(rows.iter().map(|row| row.name.topic.as_str()).collect::<Vec<_>>(), ["a/b"]);
        let lately = meter.lately();
        let counted =
            rows.iter().map(|row| meter.read(row.id) + lately.get(&row.id).copied().unwrap_or_default());
        assert_eq!(counted.map(|counts| (counts.units, counts.bytes)).collect::<Vec<_>>(), [(5, 75)]);
    }

    #[test]
    fn prefixes_are_whole_levels() {
        assert_eq!(prefix("a/b/c", 2), "a/b");
        assert_eq!(prefix("a/b/c", 1), "a");
        assert_eq!(prefix("a/b", 2), "a/b");
        assert_eq!(prefix("/a/b", 2), "/a");
        assert_eq!(prefix("", 2), "");
        assert_eq!(prefix("$aws/rules/r/a/b", 2), "$aws/rules/r");
    }

    #[test]
    fn one_ping_in_thirty_seconds_is_free() {
        let counters = Counters::default();
        let beyond = |at: u64| is_beyond(&counters, Timestamp(at));
        assert!(!beyond(100_000));
        assert!(beyond(128_999));
        assert!(!beyond(129_000), "a second too early is forgiven");
        assert!(!beyond(160_000));
        assert!(beyond(170_000));
        assert!(!beyond(900_000));
    }

    #[test]
    fn minutes_are_started_minutes() {
        assert_eq!([0, 1, 60_000, 60_001].map(minutes), [1, 1, 1, 2]);
    }
}
