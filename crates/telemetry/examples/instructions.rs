//! Tells observers of messages, for `workshop/instructions.py`, which counts the instructions under valgrind.
//!
//! `instructions WHO MESSAGES`, where WHO is `none`, `all` or one of the observers. Nobody reads what they note.

use std::error::Error;
use std::hint::black_box;
use std::io;
use std::sync::Arc;

use events::{Client, Event, Observer, Observers, PublishIn, PublishOut};
use identity::{Principal, Timestamp};
use mqtt::QoS;
use thingcore_telemetry::{
    DivergenceReport, FlightRecorder, FlightSettings, LogObserver, LogSettings, MetricsObserver, Tail,
    Traffic,
};

fn main() -> Result<(), Box<dyn Error>> {
    let mut words = std::env::args().skip(1);
    let who = words.next().unwrap_or_default();
    let messages: u64 = words.next().unwrap_or_default().parse()?;
    let (log, thread) = LogObserver::start(LogSettings::default(), Box::new(io::sink()))?;
    let list: [(&str, Arc<dyn Observer>); 6] = [
        ("log", log),
        ("metrics", MetricsObserver::new()),
        ("divergences", DivergenceReport::new()),
        ("recorder", FlightRecorder::new(FlightSettings::default())),
        ("tail", Tail::new()),
        ("traffic", Traffic::new()),
    ];
    let chosen = list.into_iter().filter(|(name, _)| who == "all" || who == *name);
    tell(&Observers::new(chosen.map(|(_, observer)| observer)), messages);
    thread.finish();
    Ok(())
}

/// A thousand messages a second: each comes from a client and goes to one.
#[inline(never)]
fn tell(observers: &Observers, messages: u64) {
    let principal = Principal::Plain("3f2a0b1c4d5e6f708192a3b4c5d6e7f8".into());
    let client =
        Client { client_id: "sensor-0042", principal: &principal, peer: None, version: None, standing: 42 };
    let (topic, bytes, properties) = ("dt/sensor-0042/telemetry", 200, 0);
    let (qos, retain, packet_id) = (QoS::AtLeastOnce, false, None);
    for number in 0..messages {
        let at = Timestamp(1_800_000_000_000 + number);
        let origin = client.into();
        let came: Event<'_> =
            PublishIn { origin, topic, topic_key: 0, qos, retain, bytes, packet_id, properties }.into();
        observers.emit(at, black_box(&came));
        let went: Event<'_> = PublishOut { client, topic, topic_key: 0, qos, bytes, properties }.into();
        observers.emit(at, black_box(&went));
    }
}
