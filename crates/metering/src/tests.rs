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
            PublishIn { origin, topic, topic_key: 0, qos, retain, bytes, packet_id: None, properties }.into()
        }
        "delivery.sent" => PublishOut { client, topic, topic_key: 0, qos, bytes, properties }.into(),
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
                thing_name: "",
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
            let records = read_records((file.clone() + "{\"c\":[1,[[").as_bytes()).unwrap();
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
        // Minutes add up to the whole.
        let sum = |span| ledger.usage(span).items();
        prop_assert_eq!(sum(Span::Between(Timestamp(0), Timestamp::NEVER)), sum(Span::All));
    }
}

/// How a run ends.
#[derive(Clone, Copy, Debug)]
enum End {
    /// Told to: it looks once more, and writes that down.
    Stop,
    /// Killed between two looks.
    Kill,
    /// Killed while it writes: of the last lines this part is there, in thousandths.
    Torn(usize),
}

fn end() -> impl Strategy<Value = End> {
    prop_oneof![Just(End::Stop), Just(End::Kill), (0..1000usize).prop_map(End::Torn)]
}

type Sums = BTreeMap<crate::Item, crate::Counts>;

fn less(sums: &Sums, but: &Sums) -> Sums {
    let before = |item| but.get(item).copied().unwrap_or_default();
    let rest = sums.iter().map(|(item, counts)| (*item, *counts - before(item)));
    rest.filter(|(_, counts)| !counts.is_zero()).collect()
}

/// A ledger with its file, and a plain list of what each look brought.
struct Books {
    meter: Meter,
    ledger: Ledger,
    file: String,
    /// Where the lines of the last look begin in the file.
    last_lines: usize,
    /// When the ledger looked or began.
    last: u64,
    /// What was counted, and when the look before was: in the minute and hour of that one it stands.
    looks: Vec<(u64, Sums)>,
    known: Sums,
}

impl Books {
    /// Books that begin. `by_hours`: a day of minutes in which nothing was is kept, so that a time before it is told by
    /// hours.
    fn new(by_hours: bool, now: u64) -> Self {
        let mut records = Ledger::new(Switches::default(), Timestamp(now)).whole();
        let empty = || Record::Minute(crate::Period { from: Timestamp(1), rows: Vec::new(), devices: 0 });
        records.extend((0..if by_hours { 24 * 60 } else { 0 }).map(|_| empty()));
        let meter = Meter::new(1024, 8);
        let ledger = Ledger::restore(&meter, Switches::default(), records, Timestamp(now));
        let file = written_records(&ledger.whole());
        let (last_lines, looks, known) = (file.len(), Vec::new(), Sums::new());
        Self { meter, ledger, file, last_lines, last: now, looks, known }
    }

    fn look(&mut self, now: u64) {
        self.last_lines = self.file.len();
        self.file += &written_records(&self.ledger.read(&self.meter, Timestamp(now)));
        let known = self.ledger.items();
        self.looks.push((self.last, less(&known, &self.known)));
        (self.known, self.last) = (known, now);
    }

    /// The file is written anew.
    fn rewrite(&mut self) {
        self.file = written_records(&self.ledger.whole());
        self.last_lines = self.file.len();
    }

    fn restart(&mut self, end: End, now: u64) {
        match end {
            End::Stop => self.look(now),
            End::Kill => {}
            End::Torn(part) => {
                let last = self.file.len() - self.last_lines;
                // Names are ASCII here.
                self.file.truncate(self.last_lines + last * part / 1000);
            }
        }
        let records = read_records(self.file.as_bytes()).unwrap();
        self.meter = Meter::new(1024, 8);
        self.ledger = Ledger::restore(&self.meter, Switches::default(), records, Timestamp(now));
        let known = self.ledger.items();
        if known != self.known {
            // The counters of the last look are not there, and nothing else is missing.
            let (_, lost) = self.looks.pop().unwrap();
            assert_eq!(less(&self.known, &known), lost);
        }
        (self.known, self.last) = (known, now);
        self.rewrite();
    }

    /// What was counted before a time, by periods of a length.
    fn expected(&self, length: u64, from: u64, to: u64) -> Sums {
        let within = |at: u64| (from..to).contains(&(at / length * length));
        let mut sums = Sums::new();
        for (item, counts) in self.looks.iter().filter(|(at, _)| within(*at)).flat_map(|(_, sums)| sums) {
            *sums.entry(*item).or_default() += *counts;
        }
        sums
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    /// However often it was stopped and killed, each minute and each hour has what was counted in it and written down.
    #[test]
    fn no_restart_loses_a_part_of_a_minute_or_hour(
        steps in prop::collection::vec((step(), prop::bool::weighted(0.1), prop::option::weighted(0.1, end())), 1..120),
        by_hours: bool,
    ) {
        // Long breaks pass hours.
        let facts = steps.iter().map(|((gap, fact), long, end)| {
            let name = if end.is_some() { "killed" } else { fact.name };
            (gap * if *long { 40 } else { 1 }, Fact { name, ..fact.clone() })
        });
        let (facts, finish) = timed(facts.collect());
        let mut ends = steps.iter().filter_map(|(_, _, end)| *end).chain(std::iter::repeat(End::Stop));
        let mut books = Books::new(by_hours, 1_000_000);
        let mut since = BTreeMap::new();
        for (place, fact) in facts.iter().enumerate() {
            match fact.name {
                "killed" => books.restart(ends.next().unwrap(), fact.at),
                _ => {
                    if fact.name == "connect.accepted" {
                        since.insert(fact.connection, fact.at);
                    }
                    tell(&books.meter, fact, &since);
                }
            }
            if place % 3 == 0 {
                books.look(fact.at);
            }
            if place % 50 == 49 {
                books.look(fact.at);
                books.rewrite();
            }
        }
        books.look(finish - 60_000);
        let running = books.ledger.usage(Span::Minute).items();
        prop_assert_eq!(running, books.expected(60_000, (finish - 60_000) / 60_000 * 60_000, u64::MAX));
        let length = if by_hours { 3_600_000 } else { 60_000 };
        let begins: std::collections::BTreeSet<u64> =
            books.looks.iter().map(|(at, _)| at / length * length).chain([u64::MAX]).collect();
        for to in begins {
            let found = books.ledger.usage(Span::Between(Timestamp(0), Timestamp(to))).items();
            prop_assert_eq!(found, books.expected(length, 0, to), "before {}", to);
        }
        prop_assert_eq!(books.expected(length, 0, u64::MAX), less(&books.ledger.items(), &Sums::new()));
    }
}

/// A million devices: who is heavy early is exact, who is heavy late lacks what the documented error allows, and nothing
/// is lost.
#[test]
fn a_million_devices_do_not_break_it() {
    let meter = Meter::new(1024, 1);
    let mut ledger = Ledger::new(Switches::default(), Timestamp(0));
    let acknowledge = |client: String| {
        tell(&meter, &Fact { name: "delivery.acknowledged", client, ..Fact::default() }, &BTreeMap::new());
    };
    let (devices, early, late, times) = (1_000_000u64, 50u64, 20u64, 1000u64);
    (0..early).for_each(|number| (0..times).for_each(|_| acknowledge(format!("early{number}"))));
    for number in 0..devices {
        acknowledge(format!("c{number}"));
        // The late ones begin when all rows are taken: a message each for every 25 of the others.
        if number >= devices / 2 && number % 25 == 0 {
            (0..late).for_each(|number| acknowledge(format!("late{number}")));
        }
    }
    let late_times = devices / 2 / 25;
    ledger.read(&meter, Timestamp(1));
    let usage = ledger.usage(Span::All);
    let units_of = |client: &str| -> u64 {
        usage.rows.iter().filter(|row| row.name.client == client).map(|row| row.counts.units).sum()
    };
    let all: u64 = usage.items().values().map(|counts| counts.units).sum();
    assert_eq!(all, devices + early * times + late * late_times);
    assert!(usage.rows.len() <= 20_100, "{}", usage.rows.len());
    (0..early).for_each(|number| assert_eq!(units_of(&format!("early{number}")), times));
    let lacking = (devices / crate::HEAVY_PART).max(crate::HEAVY_LEAST);
    for number in 0..late {
        let client = format!("late{number}");
        let found = units_of(&client);
        assert!((late_times - lacking..=late_times).contains(&found), "{client}: {found} of {late_times}");
        assert!(found + meter.estimate_rest(&client) >= late_times);
    }
    let heaviest: Vec<&str> = usage.rows.iter().map(|row| row.name.client.as_str()).collect();
    let place = |client: &str| heaviest.iter().position(|other| *other == client).unwrap();
    assert!((0..late).all(|number| place(&format!("late{number}")) <= late as usize));
    assert!(units_of(crate::OTHERS) > devices / 2);
    assert!(meter.estimate_rest("c999999") <= 400);
}

/// Whoever has more than the documented part of what is without rows has a row, whatever the order.
#[test]
fn nobody_heavy_stays_among_the_others() {
    let meter = Meter::new(1024, 1);
    let mut ledger = Ledger::new(Switches::default(), Timestamp(0));
    let acknowledge = |client: String| {
        tell(&meter, &Fact { name: "delivery.acknowledged", client, ..Fact::default() }, &BTreeMap::new());
    };
    (0..400_000u64).for_each(|number| acknowledge(format!("first{number}")));
    let mut sent: BTreeMap<u64, u64> = BTreeMap::new();
    let mut seed = 7u64;
    for _ in 0..200_000 {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        // Few have most: the lower of two numbers, squared.
        let (a, b) = ((seed >> 33) % 1000, (seed >> 43) % 1000);
        let number = a.min(b) * a.min(b) / 500;
        *sent.entry(number).or_insert(0) += 1;
        acknowledge(format!("z{number}"));
    }
    ledger.read(&meter, Timestamp(1));
    let (mut names, mut rows) = (BTreeMap::new(), BTreeMap::new());
    for record in ledger.whole() {
        match record {
            Record::Name { row, name } => drop(names.insert(row, name.client)),
            Record::Counts { rows: all, .. } => {
                rows.extend(all.into_iter().map(|(row, counts)| (row, counts.units)));
            }
            _ => {}
        }
    }
    let rows = rows.into_iter().fold(BTreeMap::new(), |mut sums, (row, units)| {
        *sums.entry(names[&row].clone()).or_insert(0) += units;
        sums
    });
    let rest: u64 = rows.get(crate::OTHERS).copied().unwrap_or(0);
    assert!(rest > 0);
    let lacking = (600_000 / crate::HEAVY_PART).max(crate::HEAVY_LEAST);
    for (number, sent) in sent {
        let found = rows.get(&format!("z{number}")).copied().unwrap_or(0);
        assert!(found <= sent && sent - found <= lacking, "z{number}: {found} of {sent}");
    }
}

/// Threads that count for the heavy and the light while there is no room lose nothing, and agree on the heavy one's row.
#[test]
fn threads_without_room_lose_nothing() {
    let meter = Meter::new(1024, 1);
    let mut ledger = Ledger::new(Switches::default(), Timestamp(0));
    let acknowledge = |client: String| {
        tell(&meter, &Fact { name: "delivery.acknowledged", client, ..Fact::default() }, &BTreeMap::new());
    };
    (0..400_000u64).for_each(|number| acknowledge(format!("first{number}")));
    let (threads, each) = (4u64, 20_000u64);
    std::thread::scope(|scope| {
        for thread in 0..threads {
            let acknowledge = &acknowledge;
            scope.spawn(move || {
                for number in 0..each {
                    acknowledge("hot".to_owned());
                    acknowledge(format!("cold{thread}-{number}"));
                }
            });
        }
        (0..5).for_each(|second| drop(ledger.read(&meter, Timestamp(second))));
    });
    ledger.read(&meter, Timestamp(100));
    let all = ledger.items().values().map(|counts| counts.units).sum::<u64>();
    assert_eq!(all, 400_000 + 2 * threads * each);
    let hot: Vec<u64> = ledger
        .usage(Span::All)
        .rows
        .iter()
        .filter(|row| row.name.client == "hot")
        .map(|row| row.counts.units)
        .collect();
    let least = threads * each - (500_000 / crate::HEAVY_PART).max(crate::HEAVY_LEAST);
    assert!(matches!(hot.as_slice(), [one] if (least..=threads * each).contains(one)), "{hot:?}");
}
