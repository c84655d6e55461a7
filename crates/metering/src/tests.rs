//! The meter and its ledger against the naive oracle, over random events, with kills in between.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::{Ledger, Meter, Record, Span, Switches, Usage, read_records, written_records};
use dialect::DisconnectReason;
use events::{
    Acknowledged, ApiCall, Client, Connected, Disconnected, Event, Observer, Origin, PingAnswered, PublishIn,
    PublishOut, Queued, Redelivered, SubscribeReceived, WillPublished,
};
use identity::{Principal, Timestamp};
use mqtt::QoS;
use oracle::metering::{Fact, Units, units};
use proptest::prelude::*;

const TOPICS: [&str; 6] = [
    "a/b",
    "a",
    "$aws/rules/r",
    "$aws/things/t/shadow/update",
    "$aws/events/presence/connected/c",
    "$aws/things/t/jobs/get",
];
const OPERATIONS: [&str; 7] = [
    "Publish",
    "SendDirectMessage",
    "GetRetainedMessage",
    "ListRetainedMessages",
    "CreateThing",
    "DescribeThing",
    "CreatePolicy",
];
const NAMES: [&str; 11] = [
    "publish.accepted",
    "delivery.sent",
    "delivery.repeated",
    "delivery.queued",
    "will.published",
    "delivery.acknowledged",
    "subscribe.received",
    "ping.answered",
    "api.call",
    "connect.accepted",
    "connection.ended",
];

/// A step of a scenario: how long after the one before, and what.
fn step() -> impl Strategy<Value = (u64, Fact)> {
    let sizes = prop_oneof![0u64..200, 4_900u64..5_400, 0u64..131_072];
    let event = (
        0..NAMES.len(),
        0..4u8,
        0..TOPICS.len(),
        sizes.clone(),
        prop_oneof![3 => Just(0u64), 1 => 0u64..6000],
        any::<(bool, bool)>(),
    );
    let call = (0..OPERATIONS.len(), prop_oneof![Just(200u16), Just(404), Just(503)], sizes.clone(), sizes);
    let gap = prop_oneof![3 => 0u64..5_000, 1 => 20_000u64..130_000];
    (gap, event, call, prop::bool::weighted(0.04)).prop_map(|(gap, event, call, killed)| {
        let (name, client, topic, bytes, properties, (retain, http)) = event;
        let name = if killed { "killed" } else { NAMES[name] };
        let client = format!("client-{client}");
        let fact = Fact { name, client, bytes, ..Fact::default() };
        let fact = match name {
            "publish.accepted" | "will.published" => {
                Fact { topic: TOPICS[topic].into(), properties, retain, http, ..fact }
            }
            "delivery.sent" | "delivery.repeated" | "delivery.queued" => {
                Fact { topic: TOPICS[topic].into(), properties, ..fact }
            }
            "api.call" => {
                let (operation, status, request, response) = call;
                Fact {
                    topic: OPERATIONS[operation].into(),
                    client: String::new(),
                    call: (status, request, response),
                    ..fact
                }
            }
            _ => fact,
        };
        let nameless = name == "publish.accepted" && fact.http;
        (gap, if nameless { Fact { client: String::new(), ..fact } } else { fact })
    })
}

/// Gives times and connections: an end ends the client's connection, if there is one.
fn timed(steps: Vec<(u64, Fact)>) -> (Vec<Fact>, u64) {
    let (mut now, mut open, mut next) = (1_000_000, BTreeMap::new(), 0);
    let mut facts = Vec::new();
    for (gap, mut fact) in steps {
        now += gap;
        fact.at = now;
        match fact.name {
            "connect.accepted" => {
                next += 1;
                fact.connection = next;
                open.entry(fact.client.clone()).or_insert_with(Vec::new).push((next, now));
            }
            "connection.ended" => match open.get_mut(&fact.client).and_then(Vec::pop) {
                Some((connection, _)) => fact.connection = connection,
                None => continue,
            },
            "killed" => open.clear(),
            _ => {}
        }
        facts.push(fact);
    }
    (facts, now + 61_000)
}

fn tell(meter: &Meter, fact: &Fact, since: &BTreeMap<u64, u64>) {
    let principal = Principal::Plain("p".into());
    let client =
        Client { client_id: &fact.client, principal: &principal, peer: None, version: None, standing: 0 };
    let (topic, bytes, properties, retain) =
        (fact.topic.as_str(), fact.bytes as usize, fact.properties as usize, fact.retain);
    let (qos, session) = (QoS::AtLeastOnce, format!("s-{}", fact.connection));
    let session_identifier = session.as_str();
    let origin = match fact.http {
        true => Origin::Http { principal: &principal, peer: None },
        false => Origin::Client(client),
    };
    let (status, request, response) = fact.call;
    let started = since.get(&fact.connection).copied().unwrap_or(fact.at);
    let event: Event<'_> = match fact.name {
        "publish.accepted" => {
            PublishIn { origin, topic, qos, retain, bytes, packet_id: None, properties }.into()
        }
        "delivery.sent" => PublishOut { client, topic, qos, bytes, properties }.into(),
        "delivery.repeated" => Redelivered { client, topic, attempt: 2, bytes, properties }.into(),
        "delivery.queued" => Queued { client_id: &fact.client, topic, bytes, properties }.into(),
        "will.published" => WillPublished { client, topic, retain, bytes, properties }.into(),
        "delivery.acknowledged" => Acknowledged { client, packet_id: 1, bytes }.into(),
        "subscribe.received" => SubscribeReceived { client, filters: 1, bytes }.into(),
        "ping.answered" => PingAnswered { client }.into(),
        "api.call" => ApiCall {
            operation: topic,
            access_key: "k",
            status,
            duration: Duration::ZERO,
            request_bytes: request as usize,
            response_bytes: response as usize,
        }
        .into(),
        "connect.accepted" => {
            let (keep_alive, session_expiry, clean, session_present) = (30, 0, true, false);
            Connected {
                client,
                keep_alive,
                session_expiry,
                clean,
                session_present,
                session_identifier,
                bytes,
            }
            .into()
        }
        "connection.ended" => Disconnected {
            client,
            reason: DisconnectReason::ConnectionLost,
            fault: None,
            detail: &"",
            duration: Duration::from_millis(fact.at - started),
            session_identifier,
            remedy: None,
            trace: None,
            untold: false,
        }
        .into(),
        other => panic!("{other}"),
    };
    meter.observe(Timestamp(fact.at), &event);
}

fn counted(usage: &Usage) -> Units {
    let mut units = Units::new();
    for row in usage.rows.iter().filter(|row| row.counts.units > 0) {
        let key = (row.name.item.name(), row.name.client.clone(), row.name.topic.clone());
        *units.entry(key).or_insert(0) += row.counts.units;
    }
    units
}

/// Runs the facts; a kill throws away everything but what was written down.
fn run(facts: &[Fact], end: u64, kilobyte: u64) -> (Usage, Ledger) {
    let switches = || Switches { kilobyte, ..Switches::default() };
    let mut meter = Meter::new(kilobyte, 8);
    let mut ledger = Ledger::new(switches(), Timestamp(1_000_000));
    let mut file = written_records(&ledger.whole());
    let mut since = BTreeMap::new();
    for (place, fact) in facts.iter().enumerate() {
        if fact.name == "killed" {
            file += &written_records(&ledger.read(&meter, Timestamp(fact.at)));
            let records = read_records(&(file.clone() + "{\"c\":[1,[[")).unwrap();
            meter = Meter::new(kilobyte, 8);
            ledger = Ledger::restore(&meter, switches(), records, Timestamp(fact.at));
            file = written_records(&ledger.whole());
            continue;
        }
        if fact.name == "connect.accepted" {
            since.insert(fact.connection, fact.at);
        }
        tell(&meter, fact, &since);
        if place % 7 == 0 {
            file += &written_records(&ledger.read(&meter, Timestamp(fact.at)));
        }
    }
    ledger.read(&meter, Timestamp(end));
    (ledger.usage(Span::All), ledger)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn the_bill_is_the_oracles_to_the_unit(steps in prop::collection::vec(step(), 1..120), decimal: bool) {
        let (facts, end) = timed(steps);
        let kilobyte = if decimal { 1000 } else { 1024 };
        let (usage, ledger) = run(&facts, end, kilobyte);
        let mut expected = units(&facts, kilobyte, end);
        // A kill forgets when pings were free; that only forgives.
        if facts.iter().any(|fact| fact.name == "killed") {
            expected.retain(|(item, _, _), _| *item != "ping-beyond");
        }
        let mut found = counted(&usage);
        if facts.iter().any(|fact| fact.name == "killed") {
            found.retain(|(item, _, _), _| *item != "ping-beyond");
        }
        prop_assert_eq!(found, expected);
        // Minutes and hours add up to the whole.
        let sum = |span| ledger.usage(span).items().into_iter()
            .filter(|(_, counts)| counts.units > 0).map(|(item, counts)| (item, counts.units)).collect::<BTreeMap<_, _>>();
        if !facts.iter().any(|fact| fact.name == "killed") {
            prop_assert_eq!(sum(Span::Between(Timestamp(0), Timestamp::NEVER)), sum(Span::All));
        }
    }
}

#[test]
fn a_table_without_room_keeps_the_sums() {
    let meter = Meter::new(1024, 1);
    let mut ledger = Ledger::new(Switches::default(), Timestamp(0));
    let clients = 330_000u64;
    for number in 0..clients {
        let fact = Fact { name: "delivery.acknowledged", client: format!("c{number}"), ..Fact::default() };
        tell(&meter, &fact, &BTreeMap::new());
    }
    let records = ledger.read(&meter, Timestamp(1));
    assert!(matches!(records.last(), Some(Record::Counts { .. })));
    let usage = ledger.usage(Span::All);
    assert_eq!(usage.items().values().map(|counts| counts.units).sum::<u64>(), clients);
    assert!(usage.rows.len() <= 20_100, "{}", usage.rows.len());
    let rest: u64 =
        usage.rows.iter().filter(|row| row.name.client == crate::OTHERS).map(|row| row.counts.units).sum();
    assert!(rest > 30_000);
    assert!(meter.estimate_rest("c329999") <= 30);
}
