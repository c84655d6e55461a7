//! The bill twice: by the production meter, and by the naive oracle from the recorded events.

use std::collections::BTreeMap;

use events::{Event, Observer};
use identity::Timestamp;
use metering::{Ledger, Meter, Span, Switches};
use oracle::metering::{Fact, Units, units};
use parking_lot::Mutex;

/// Topics count in full.
const LEVELS: usize = 64;
/// Bytes in a billed KB.
const KB: u64 = 1024;

/// Listens to one process.
pub struct Bill {
    meter: Meter,
    begin: Timestamp,
    miscounts: bool,
    recorded: Mutex<Recorded>,
}

#[derive(Default)]
struct Recorded {
    facts: Vec<Fact>,
    connections: BTreeMap<String, u64>,
    deliveries: u64,
}

impl Bill {
    /// An empty one. With `miscounts` the meter does not hear of every 25th delivery: a mistake on purpose.
    pub fn new(begin: Timestamp, miscounts: bool) -> Self {
        Self { meter: Meter::new(KB as _, LEVELS), begin, miscounts, recorded: Mutex::default() }
    }

    /// Both bills until `end`, where they differ.
    pub fn compare(&self, end: Timestamp) -> Result<(), String> {
        let mut ledger = Ledger::new(Switches::default(), self.begin);
        ledger.read(&self.meter, end);
        let mut found = Units::new();
        for row in ledger.usage(Span::All).rows.iter().filter(|row| row.counts.units > 0) {
            // The oracle has no opinion on what is only told for findings.
            if row.name.item != metering::Item::QueueExpired {
                let key = (row.name.item.name(), row.name.client.clone(), row.name.topic.clone());
                *found.entry(key).or_insert(0) += row.counts.units;
            }
        }
        let expected = units(&self.recorded.lock().facts, KB, end.millis());
        if found == expected {
            return Ok(());
        }
        let differs = expected.keys().chain(found.keys()).find(|key| expected.get(*key) != found.get(*key));
        let key = differs.cloned().unwrap_or_default();
        let (billed, seen) =
            (found.get(&key).copied().unwrap_or(0), expected.get(&key).copied().unwrap_or(0));
        Err(format!("{} of {} on {:?}: {billed} billed, {seen} happened", key.0, key.1, key.2))
    }
}

impl Observer for Bill {
    fn observe(&self, at: Timestamp, event: &Event<'_>) {
        let mut recorded = self.recorded.lock();
        let fact = recorded.fact(event);
        recorded.facts.extend(fact.map(|fact| Fact { name: event.kind().name(), at: at.millis(), ..fact }));
        let skipped =
            self.miscounts && recorded.deliveries % 25 == 24 && matches!(event, Event::PublishOut(_));
        drop(recorded);
        if !skipped {
            self.meter.observe(at, event);
        }
    }
}

impl Recorded {
    fn connection(&mut self, identifier: &str) -> u64 {
        let next = self.connections.len() as u64;
        *self.connections.entry(identifier.to_owned()).or_insert(next)
    }

    fn fact(&mut self, event: &Event<'_>) -> Option<Fact> {
        let (client, topic) = (event.client_id().to_owned(), event.topic().unwrap_or_default().to_owned());
        let fact = Fact { client, topic, ..Fact::default() };
        let message = |bytes: usize, properties: usize| Fact {
            bytes: bytes as u64,
            properties: properties as u64,
            ..fact.clone()
        };
        let plain = |bytes: usize| Fact { topic: String::new(), ..message(bytes, 0) };
        Some(match event {
            Event::Connected(e) => {
                Fact { connection: self.connection(e.session_identifier), ..plain(e.bytes) }
            }
            Event::Disconnected(e) => Fact { connection: self.connection(e.session_identifier), ..plain(0) },
            Event::ConnectRefused(_) | Event::PingAnswered(_) => plain(0),
            Event::PublishIn(e) => Fact { retain: e.retain, ..message(e.bytes, e.properties) },
            Event::WillPublished(e) => Fact { retain: e.retain, ..message(e.bytes, e.properties) },
            Event::PublishOut(e) => {
                self.deliveries += 1;
                message(e.bytes, e.properties)
            }
            Event::Redelivered(e) => message(e.bytes, e.properties),
            Event::Queued(e) => message(e.bytes, e.properties),
            Event::Acknowledged(e) => plain(e.bytes),
            Event::SubscribeReceived(e) => plain(e.bytes),
            _ => return None,
        })
    }
}
