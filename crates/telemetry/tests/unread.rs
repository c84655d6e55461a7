//! What nobody reads is not put into words: all observers of the program together, with nobody listening.

#![allow(clippy::unwrap_used)]

use std::fmt;
use std::io::{self, Write};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex};

use dialect::Fault;
use events::{
    Client, Event, Kind, KindSet, Level, Observer, Observers, PublishDenied, PublishIn, PublishOut,
    PublishRefused, SubscribeRefused,
};
use identity::{Principal, Timestamp};
use mqtt::QoS;
use thingcore_telemetry::{
    DivergenceReport, FlightRecorder, FlightSettings, LogObserver, LogSettings, LogThread, MetricsObserver,
    Tail, TailFilter, Traffic,
};

const AT: Timestamp = Timestamp(1_800_000_000_000);

/// Counts how often it is put into words.
#[derive(Default)]
struct Counted(AtomicUsize);

impl Counted {
    fn times(&self) -> usize {
        self.0.load(Relaxed)
    }
}

impl fmt::Display for Counted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fetch_add(1, Relaxed);
        f.write_str("no statement matched")
    }
}

/// Keeps the lines of the log.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// As `thingcore serve` puts them together.
struct House {
    observers: Observers,
    tail: Arc<Tail>,
    log: LogThread,
    lines: Lines,
}

fn house(level: Level, recorder: FlightSettings) -> House {
    let lines = Lines::default();
    let settings = LogSettings { level, ..LogSettings::default() };
    let (writer, log) = LogObserver::start(settings, Box::new(lines.clone())).unwrap();
    let tail = Tail::new();
    let list: [Arc<dyn Observer>; 6] = [
        writer,
        MetricsObserver::new(),
        DivergenceReport::new(),
        FlightRecorder::new(recorder),
        tail.clone(),
        Traffic::new(),
    ];
    House { observers: Observers::new(list), tail, log, lines }
}

impl House {
    fn lines(self) -> String {
        self.log.finish();
        String::from_utf8(self.lines.0.lock().unwrap().clone()).unwrap()
    }
}

fn client(principal: &Principal) -> Client<'_> {
    Client { client_id: "sensor-7", principal, peer: None, version: None, standing: 1 }
}

/// A message from a client to another.
fn message<'a>(client: Client<'a>, topic: &'a str) -> [Event<'a>; 2] {
    let (qos, bytes, properties) = (QoS::AtLeastOnce, 200, 0);
    let (origin, retain, packet_id) = (client.into(), false, None);
    [
        PublishIn { origin, topic, topic_key: 0, qos, retain, bytes, packet_id, properties }.into(),
        PublishOut { client, topic, topic_key: 0, qos, bytes, properties }.into(),
    ]
}

/// Refusals whose details only the event can write.
fn refusals<'a>(client: Client<'a>, topic: &'a str, words: &'a Counted) -> [Event<'a>; 3] {
    let (origin, trace, fault, detail) = (client.into(), None, Fault::Qos2Publish, words);
    let (decision, remedy, action) = (words, words, "iot:Publish");
    [
        PublishDenied { origin, action, topic, decision, remedy, trace }.into(),
        PublishRefused { origin, topic, fault, detail, trace }.into(),
        SubscribeRefused { client, filter: topic, fault: Fault::TooManyFilters, detail, trace }.into(),
    ]
}

#[test]
fn messages_are_never_put_into_words() {
    let house = house(Level::Info, FlightSettings::default());
    let principal = Principal::Plain("p".into());
    for number in 0..10_000 {
        let topic = format!("dev/{number}");
        message(client(&principal), &topic).iter().for_each(|event| house.observers.emit(AT, event));
    }
    assert_eq!(house.lines(), "");
}

#[test]
fn the_recorder_is_not_even_told_of_messages() {
    let wanted = FlightRecorder::new(FlightSettings::default()).wanted();
    let traffic = [
        Kind::PublishIn,
        Kind::PublishOut,
        Kind::Queued,
        Kind::Acknowledged,
        Kind::PingAnswered,
        Kind::SubscribeReceived,
        Kind::RetainedStored,
        Kind::ApiCall,
    ];
    assert!(traffic.iter().all(|kind| !wanted.has(*kind)));
    let off = FlightRecorder::new(FlightSettings { bytes: 0, ..FlightSettings::default() });
    assert_eq!(off.wanted(), KindSet::NONE, "what is switched off is told nothing");
}

#[test]
fn a_flood_of_refusals_is_put_into_words_a_few_times() {
    let house = house(Level::Info, FlightSettings::default());
    let (principal, words) = (Principal::Plain("p".into()), Counted::default());
    for _ in 0..10_000 {
        refusals(client(&principal), "dev/7", &words)
            .iter()
            .for_each(|event| house.observers.emit(AT, event));
    }
    // Of each of the three: once for the log, once for the recorder; a denial has two texts; a summary is one more.
    assert!(words.times() <= 16, "{}", words.times());
    assert!(house.lines().contains("more in 10 s"));
}

#[test]
fn nobody_reading_means_no_words_at_all() {
    let house = house(Level::Error, FlightSettings { bytes: 0, ..FlightSettings::default() });
    let (principal, words) = (Principal::Plain("p".into()), Counted::default());
    for number in 0..1_000 {
        let topic = format!("dev/{number}");
        refusals(client(&principal), &topic, &words).iter().for_each(|event| house.observers.emit(AT, event));
    }
    assert_eq!(words.times(), 0);
    // A reader of something else changes nothing; one of this makes words.
    let reads =
        |topic: &str| TailFilter { topic: topic.to_owned(), ..TailFilter::default() }.ready().unwrap();
    house.tail.open(reads("other/#"), AT).unwrap();
    let tell = || {
        let all = refusals(client(&principal), "dev/7", &words);
        all.iter().for_each(|event| house.observers.emit(AT, event));
    };
    tell();
    assert_eq!(words.times(), 0);
    house.tail.open(reads("dev/#"), AT).unwrap();
    tell();
    assert!(words.times() > 0);
}
