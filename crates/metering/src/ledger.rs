//! The ledger: reads the meter once a second, keeps what it read by minute and by hour, and says what to write down.
//!
//! Bounds: rows are those of the meter; of a past minute or hour the [`MOST_KEPT`] heaviest rows are kept and the others
//! lumped together by item, so sums by item stay exact.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::sync::Arc;

use identity::Timestamp;

use crate::Switches;
use crate::item::Item;
use crate::journal::Record;
use crate::meter::Meter;
use crate::replay::{Open, Replay};
use crate::tallies::{Kept, Tallies};
use crate::usage::{Counts, Name, OTHERS, Usage, UsageRow};

const MINUTE: u64 = 60_000;
const HOUR: u64 = 60 * MINUTE;
/// Minutes that are kept: a day.
const MINUTES: usize = 24 * 60;
/// Hours that are kept: two months.
const HOURS: usize = 62 * 24;
/// Rows of a past minute or hour that are kept.
pub const MOST_KEPT: usize = 256;
/// Rows that are read before what the threads have counted lately: so much is copied at a time.
const READ_AT_ONCE: usize = 8192;
/// Rows of an answer.
const MOST_ROWS: usize = 20_000;

/// A past minute or hour.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Period {
    /// When it began.
    pub from: Timestamp,
    /// Numbers of rows, and what was counted in them.
    pub rows: Vec<(u32, Counts)>,
    /// Distinct clients that were connected: those of the rows that are not kept, too.
    pub devices: u64,
}

/// A past minute or hour as the ledger keeps it, for a day or more.
struct Past {
    from: Timestamp,
    rows: Kept,
    devices: u64,
}

impl Past {
    fn period(&self) -> Period {
        Period { from: self.from, rows: self.rows.rows().collect(), devices: self.devices }
    }
}

/// The rows as they were read last.
struct Entry {
    who: Arc<Who>,
    topic: Arc<str>,
    item: Item,
    /// The meter's row. None: the rest of its item.
    id: Option<u32>,
    counts: Counts,
}

/// Whose a row is. Most clients have several, and share it among them.
#[derive(PartialEq, Eq, Hash)]
struct Who {
    client: Box<str>,
    principal: Box<str>,
}

/// Names that came together, each kept once.
#[derive(Default)]
struct Names {
    who: HashSet<Arc<Who>>,
    topics: HashSet<Arc<str>>,
}

impl Names {
    fn entry(&mut self, name: Name, id: Option<u32>, counts: Counts) -> Entry {
        let Name { client, principal, topic, item } = name;
        let who = Who { client: client.into(), principal: principal.into() };
        let who = self.who.get(&who).cloned().unwrap_or_else(|| {
            let who = Arc::new(who);
            self.who.insert(who.clone());
            who
        });
        let topic = self.topics.get(topic.as_str()).cloned().unwrap_or_else(|| {
            let topic: Arc<str> = topic.into();
            self.topics.insert(topic.clone());
            topic
        });
        Entry { who, topic, item, id, counts }
    }
}

impl Entry {
    fn read(&self, meter: &Meter) -> Counts {
        match self.id {
            Some(id) => meter.read(id),
            None => meter.read_rest(self.item),
        }
    }

    fn name(&self) -> Name {
        Name {
            client: self.who.client.to_string(),
            principal: self.who.principal.to_string(),
            topic: self.topic.to_string(),
            item: self.item,
        }
    }
}

/// What is wanted of a ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Span {
    /// Everything since the first start.
    All,
    /// Since the running minute began.
    Minute,
    /// What began in this time; minutes if they are still kept, else hours.
    Between(Timestamp, Timestamp),
}

/// Keeps books over a meter.
pub struct Ledger {
    since: Timestamp,
    read: Timestamp,
    switches: Switches,
    entries: Vec<Entry>,
    minute: Current,
    hour: Current,
    minutes: VecDeque<Past>,
    hours: VecDeque<Past>,
    /// Where rows are copied to when they are read, once a second.
    copied: Vec<Counts>,
}

/// The period that runs.
struct Current {
    from: Timestamp,
    length: u64,
    rows: Tallies,
}

impl Current {
    fn new(now: Timestamp, length: u64) -> Self {
        Self { from: Timestamp(now.millis() / length * length), length, rows: Tallies::default() }
    }

    /// The last moment of it.
    fn last(&self) -> Timestamp {
        Timestamp(self.from.millis().saturating_add(self.length - 1))
    }

    /// Ends it if it is over.
    fn turn(&mut self, now: Timestamp, entries: &[Entry]) -> Option<Period> {
        if now <= self.last() {
            return None;
        }
        std::mem::replace(self, Self::new(now, self.length)).ended(entries)
    }

    /// It as a past one, if anything was counted.
    fn ended(self, entries: &[Entry]) -> Option<Period> {
        let rows = self.rows.read();
        if rows.is_empty() {
            return None;
        }
        let counted = rows.iter().filter_map(|(row, _)| entries.get(*row as usize));
        let devices = devices(counted.map(|entry| (entry.item, &*entry.who.client)));
        Some(Period { from: self.from, rows: heaviest(rows, entries), devices })
    }
}

/// The heaviest rows, and the others as the rest of their items.
fn heaviest(mut rows: Vec<(u32, Counts)>, entries: &[Entry]) -> Vec<(u32, Counts)> {
    rows.sort_unstable_by_key(|(row, counts)| (std::cmp::Reverse(counts.units), *row));
    let light = rows.split_off(rows.len().min(MOST_KEPT));
    let mut rest: BTreeMap<u32, Counts> = BTreeMap::new();
    for (row, counts) in light {
        if let Some(entry) = entries.get(row as usize) {
            *rest.entry(entry.item as u32).or_default() += counts;
        }
    }
    for (row, counts) in rest {
        match rows.iter_mut().find(|(kept, _)| *kept == row) {
            Some((_, sum)) => *sum += counts,
            None => rows.push((row, counts)),
        }
    }
    rows
}

impl Ledger {
    /// Empty books.
    pub fn new(switches: Switches, now: Timestamp) -> Self {
        // The first entries are the rests of the items, so that their number is the item's.
        let mut names = Names::default();
        let rest = |item: &Item| names.entry(Name::others(*item), None, Counts::default());
        Self {
            since: now,
            read: now,
            switches,
            entries: Item::ALL.iter().map(rest).collect(),
            minute: Current::new(now, MINUTE),
            hour: Current::new(now, HOUR),
            minutes: VecDeque::new(),
            hours: VecDeque::new(),
            copied: Vec::new(),
        }
    }

    /// Books continued from what an earlier run wrote down, and put back into the meter. Numbers of rows are those of
    /// the records; when more than half of the meter's rows would be taken, light ones become part of the rest.
    pub fn restore(meter: &Meter, switches: Switches, records: Vec<Record>, now: Timestamp) -> Self {
        let mut ledger = Self::new(switches, now);
        let mut replay = Replay::of(records);
        ledger.since = replay.since.unwrap_or(now);
        let (mut moved, mut known) = (HashMap::new(), Names::default());
        for (place, (row, counts)) in replay.heavy().into_iter().enumerate() {
            let Some(name) = replay.names.get(&row) else { continue };
            let room = place < crate::table::MOST_ROWS / 2;
            let name = if room { name.clone() } else { Name::others(name.item) };
            moved.insert(row, ledger.enter(meter, &mut known, name, counts));
        }
        let names = replay.names;
        let now_at = |row| {
            let others = names.get(&row).map(|name| name.item as u32);
            moved.get(&row).copied().or(others)
        };
        for (is_minute, periods) in [(true, replay.minutes), (false, replay.hours)] {
            periods.ended.into_iter().for_each(|period| ledger.keep(is_minute, &period, now_at));
            periods.open.into_iter().for_each(|open| ledger.reopen(is_minute, &open, now_at));
        }
        ledger
    }

    /// A period that ran when an earlier run ended: it goes on, or it is over meanwhile.
    fn reopen(&mut self, is_minute: bool, open: &Open, row: impl Fn(u32) -> Option<u32>) {
        let current = if is_minute { &mut self.minute } else { &mut self.hour };
        let mut reopened = Current::new(open.at, current.length);
        for (old, counts) in &open.rows {
            row(*old).into_iter().for_each(|row| reopened.rows.add(row, *counts));
        }
        // A clock that was put back ends it, too: what comes now is not of a time to come.
        if reopened.from == current.from {
            *current = reopened;
        } else if let Some(period) = reopened.ended(&self.entries) {
            self.keep(is_minute, &period, Some);
        }
    }

    /// One row of an earlier run: the number of its entry now.
    fn enter(&mut self, meter: &Meter, names: &mut Names, name: Name, counts: Counts) -> u32 {
        match meter.restore(&name, counts) {
            Some(id) => self.push(names.entry(name, Some(id), counts)),
            None => {
                let place = name.item as u32;
                if let Some(entry) = self.entries.get_mut(place as usize) {
                    entry.counts += counts;
                }
                place
            }
        }
    }

    fn push(&mut self, entry: Entry) -> u32 {
        if self.entries.len() == self.entries.capacity() {
            // An eighth: twice as much would be room for as many rows again, for ever.
            self.entries.reserve_exact((self.entries.len() / 8).max(64));
        }
        self.entries.push(entry);
        u32::try_from(self.entries.len() - 1).unwrap_or(u32::MAX)
    }

    fn keep(&mut self, is_minute: bool, period: &Period, row: impl Fn(u32) -> Option<u32>) {
        let rows: Vec<_> =
            period.rows.iter().filter_map(|(old, counts)| Some((row(*old)?, *counts))).collect();
        let past = Past { from: period.from, rows: Kept::new(&rows), devices: period.devices };
        let (kept, most) = match is_minute {
            true => (&mut self.minutes, MINUTES),
            false => (&mut self.hours, HOURS),
        };
        kept.push_back(past);
        while kept.len() > most {
            kept.pop_front();
        }
    }

    /// Reads the meter. What is to be written down comes back, in order.
    pub fn read(&mut self, meter: &Meter, now: Timestamp) -> Vec<Record> {
        meter.age(now);
        let mut records = Vec::new();
        let mut names = Names::default();
        for fresh in meter.fresh() {
            let name = fresh.name.clone();
            let row = self.push(names.entry(fresh.name, Some(fresh.id), Counts::default()));
            records.push(Record::Name { row, name });
        }
        // A period takes what is counted until it is seen to be over: a second more at most.
        let mut changed = Vec::new();
        let mut numbers = 0u32..;
        for some in self.entries.chunks_mut(READ_AT_ONCE) {
            self.copied.clear();
            self.copied.extend(some.iter().map(|entry| entry.read(meter)));
            let lately = meter.lately();
            for ((entry, counts), row) in some.iter_mut().zip(&self.copied).zip(numbers.by_ref()) {
                let more = entry.id.and_then(|id| lately.get(&id)).copied().unwrap_or_default();
                // What is on its way from a thread to a row is missing for a moment.
                let counts = (*counts + more).max(entry.counts);
                if counts != entry.counts {
                    let more = counts - entry.counts;
                    entry.counts = counts;
                    self.minute.rows.add(row, more);
                    self.hour.rows.add(row, more);
                    changed.push((row, counts));
                }
            }
        }
        if !changed.is_empty() {
            records.push(Record::Counts { at: self.in_minute(now), rows: changed });
        }
        if let Some(period) = self.minute.turn(now, &self.entries) {
            self.keep(true, &period, Some);
            records.push(Record::Minute(period));
        }
        if let Some(period) = self.hour.turn(now, &self.entries) {
            self.keep(false, &period, Some);
            records.push(Record::Hour(period));
        }
        self.read = now;
        records
    }

    /// The moment of the running minute that is nearest to `at`. What a look finds after the end of a minute is that
    /// minute's. A kill may cut off the line that says so; the time of the counters says it, too.
    fn in_minute(&self, at: Timestamp) -> Timestamp {
        at.clamp(self.minute.from, self.minute.last())
    }

    /// Everything that is known, as records: what a fresh file begins with.
    pub fn whole(&self) -> Vec<Record> {
        let mut records = vec![Record::Begin { since: self.since, kilobyte: self.switches.kilobyte }];
        let names = (0u32..).zip(&self.entries).map(|(row, entry)| Record::Name { row, name: entry.name() });
        records.extend(names);
        // Where the counters stood when the running hour began, what they grew by until the running minute began, and in it.
        let open = |current: &Current| current.rows.read().into_iter().collect::<HashMap<_, _>>();
        let (minute, hour) = (open(&self.minute), open(&self.hour));
        let counts = |but: Option<&HashMap<u32, Counts>>, of: Option<&HashMap<u32, Counts>>| {
            let rows =
                (0u32..).zip(&self.entries).filter(|(row, _)| of.is_none_or(|of| of.contains_key(row)));
            let less = |row| but.and_then(|but| but.get(&row)).copied().unwrap_or_default();
            rows.map(|(row, entry)| (row, entry.counts - less(row))).collect::<Vec<_>>()
        };
        records.push(Record::Counts { at: self.hour.from, rows: counts(Some(&hour), None) });
        records.extend(self.hours.iter().map(|past| Record::Hour(past.period())));
        if !hour.is_empty() {
            let rows = counts(Some(&minute), Some(&hour));
            records.push(Record::Counts { at: self.minute.from, rows });
        }
        records.extend(self.minutes.iter().map(|past| Record::Minute(past.period())));
        if !minute.is_empty() {
            let rows = counts(None, Some(&minute));
            records.push(Record::Counts { at: self.in_minute(self.read), rows });
        }
        records
    }

    /// What was used in a span of time, as it was read last.
    pub fn usage(&self, span: Span) -> Usage {
        let (from, to, rows, least) = match span {
            Span::All => {
                let rows = (0u32..).zip(&self.entries).map(|(row, entry)| (row, entry.counts));
                (self.since, self.read, rows.collect(), 0)
            }
            Span::Minute => (self.minute.from.max(self.since), self.read, self.minute.rows.read(), 0),
            Span::Between(from, to) => self.between(from, to),
        };
        let named = |(row, counts): (u32, Counts)| {
            let entry = self.entries.get(row as usize)?;
            (!counts.is_zero()).then(|| UsageRow { name: entry.name(), counts })
        };
        let rows: Vec<UsageRow> = rows.into_iter().filter_map(named).collect();
        let devices = devices(rows.iter().map(|row| (row.name.item, row.name.client.as_str()))).max(least);
        let unnamed = |row: &UsageRow| row.name.item == Item::ConnectionMinute && row.name.client == OTHERS;
        let devices_at_least = rows.iter().any(unnamed);
        let switches = self.switches.clone();
        Usage { from, to, switches, rows: limited(rows), devices, devices_at_least }
    }

    /// Sums over everybody since the first start, as they were read last: one for each item that was counted.
    pub fn items(&self) -> BTreeMap<Item, Counts> {
        let mut items = BTreeMap::new();
        for entry in self.entries.iter().filter(|entry| !entry.counts.is_zero()) {
            *items.entry(entry.item).or_insert_with(Counts::default) += entry.counts;
        }
        items
    }

    /// The kept periods that began in a time, and the running one if it did; and how many devices there were at least.
    fn between(&self, from: Timestamp, to: Timestamp) -> (Timestamp, Timestamp, Vec<(u32, Counts)>, u64) {
        let first = self.minutes.front().map_or(self.minute.from, |first| first.from);
        // Hours only for what is so old that its minutes are gone.
        let (periods, current) = match from >= first || self.minutes.len() < MINUTES {
            true => (&self.minutes, &self.minute),
            false => (&self.hours, &self.hour),
        };
        let mut rows: HashMap<u32, Counts> = HashMap::new();
        let within = |at: Timestamp| from <= at && at < to;
        let mut least = 0;
        for period in periods.iter().filter(|period| within(period.from)) {
            least = least.max(period.devices);
            period.rows.rows().for_each(|(row, counts)| *rows.entry(row).or_default() += counts);
        }
        if within(current.from) {
            current.rows.read().into_iter().for_each(|(row, counts)| *rows.entry(row).or_default() += counts);
        }
        (from.max(self.since), to.min(self.read), rows.into_iter().collect(), least)
    }

    /// The switches in force.
    pub fn switches(&self) -> &Switches {
        &self.switches
    }
}

impl std::fmt::Debug for Ledger {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Ledger({} rows)", self.entries.len())
    }
}

/// Distinct clients with connection minutes.
fn devices<'a>(rows: impl Iterator<Item = (Item, &'a str)>) -> u64 {
    let minutes = rows.filter(|(item, client)| *item == Item::ConnectionMinute && *client != OTHERS);
    minutes.map(|(_, client)| client).collect::<HashSet<_>>().len() as u64
}

/// Heaviest first; what is beyond the limit of an answer becomes the rest of its items.
fn limited(mut rows: Vec<UsageRow>) -> Vec<UsageRow> {
    rows.sort_by(|a, b| b.counts.units.cmp(&a.counts.units).then_with(|| a.name.cmp(&b.name)));
    let light = rows.split_off(rows.len().min(MOST_ROWS));
    let mut rest: BTreeMap<Item, Counts> = BTreeMap::new();
    for row in light {
        *rest.entry(row.name.item).or_default() += row.counts;
    }
    rows.extend(rest.into_iter().map(|(item, counts)| UsageRow { name: Name::others(item), counts }));
    rows
}

#[cfg(test)]
mod tests;
