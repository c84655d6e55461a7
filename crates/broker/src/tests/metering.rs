//! Every test of this crate has its bill computed twice: by the meter, and by the naive oracle from the recorded events.

use std::collections::HashMap;
use std::sync::Mutex;

use events::{Event, Observer};
use identity::Timestamp;
use metering::{Ledger, Meter, Span, Switches};
use mqtt::{Packet, QoS, Version};
use oracle::metering::{Fact, Units, units};

use super::house::House;

/// Topics count in full.
const LEVELS: usize = 64;

pub(super) struct Bill {
    meter: Meter,
    recorded: Mutex<Recorded>,
}

#[derive(Default)]
struct Recorded {
    facts: Vec<Fact>,
    connections: HashMap<String, u64>,
}

impl Bill {
    pub(super) fn new() -> Self {
        Self { meter: Meter::new(1024, LEVELS), recorded: Mutex::default() }
    }

    /// Both bills must be the same, to the unit.
    pub(super) fn compare(&self, begin: Timestamp, end: Timestamp) {
        let mut ledger = Ledger::new(Switches::default(), begin);
        ledger.read(&self.meter, end);
        let mut found = Units::new();
        for row in ledger.usage(Span::All).rows.iter().filter(|row| row.counts.units > 0) {
            // The oracle has no opinion on what is only told for findings.
            if row.name.item != metering::Item::QueueExpired {
                let key = (row.name.item.name(), row.name.client.clone(), row.name.topic.clone());
                *found.entry(key).or_insert(0) += row.counts.units;
            }
        }
        let expected = units(&self.recorded.lock().unwrap().facts, 1024, end.millis());
        match found.keys().any(|(_, client, _)| client == metering::OTHERS) {
            // More rows than an answer has.
            true => assert_eq!(by_item(found), by_item(expected)),
            false => assert_eq!(found, expected),
        }
    }
}

fn by_item(units: Units) -> Units {
    let mut sums = Units::new();
    for ((item, ..), amount) in units {
        *sums.entry((item, String::new(), String::new())).or_insert(0) += amount;
    }
    sums
}

impl Observer for Bill {
    fn observe(&self, at: Timestamp, event: &Event<'_>) {
        self.meter.observe(at, event);
        let mut recorded = self.recorded.lock().unwrap();
        let fact = recorded.fact(event);
        recorded.facts.extend(fact.map(|fact| Fact { name: event.kind().name(), at: at.millis(), ..fact }));
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
            Event::PublishIn(e) => {
                let http = matches!(e.origin, events::Origin::Http { .. });
                Fact { retain: e.retain, http, ..message(e.bytes, e.properties) }
            }
            Event::WillPublished(e) => Fact { retain: e.retain, ..message(e.bytes, e.properties) },
            Event::PublishOut(e) => message(e.bytes, e.properties),
            Event::Redelivered(e) => message(e.bytes, e.properties),
            Event::Queued(e) => message(e.bytes, e.properties),
            Event::Acknowledged(e) => plain(e.bytes),
            Event::SubscribeReceived(e) => plain(e.bytes),
            _ => return None,
        })
    }
}

/// Every kind of packet that is metered by itself is told of.
#[test]
fn pings_acknowledgements_and_subscriptions_are_told() {
    let house = House::new();
    for version in [Version::V311, Version::V5] {
        let mut client = house.client("c", version);
        client.subscribe("t", QoS::AtLeastOnce);
        client.send([Packet::PingReq, Packet::PingReq]);
        assert_eq!(client.take(), [Packet::PingResp, Packet::PingResp]);
    }
    let told = |name: &str| house.events().iter().filter(|event| event.contains(name)).count();
    assert_eq!((told("ping.answered"), told("subscribe.received")), (4, 2), "{:?}", house.events());
}
