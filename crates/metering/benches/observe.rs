//! What counting an event costs the thread that carries the message.

#![allow(missing_docs)]

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use events::{Client, Event, Observer, Origin, PublishIn, PublishOut};
use identity::{Principal, Timestamp};
use mqtt::QoS;
use thingcore_metering::Meter;

fn observe(c: &mut Criterion) {
    let meter = Meter::new(1024, 2);
    let principal =
        Principal::Plain("3f2a0b1c4d5e6f708192a3b4c5d6e7f83f2a0b1c4d5e6f708192a3b4c5d6e7f8".into());
    let client =
        Client { client_id: "sensor-0042", principal: &principal, peer: None, version: None, standing: 42 };
    let (topic, bytes, properties) = ("dt/sensor-0042/telemetry", 200, 0);
    let (qos, retain, packet_id) = (QoS::AtLeastOnce, false, None);
    let origin = Origin::Client(client);
    let publish = PublishIn { origin, topic, topic_key: 0, qos, retain, bytes, packet_id, properties };
    let events: [(&str, Event<'_>); 2] = [
        ("publish in", publish.into()),
        ("publish out", PublishOut { client, topic, topic_key: 0, qos, bytes, properties }.into()),
    ];
    for (name, event) in &events {
        c.bench_function(name, |b| b.iter(|| meter.observe(Timestamp(1), black_box(event))));
    }
    // With as many rows as a mid-sized fleet has, most of them elsewhere in memory.
    let ids: Vec<String> = (0..20_000).map(|n| format!("sensor-{n}")).collect();
    let mut next = (0u64..).zip(ids.iter().cycle());
    c.bench_function("publish out, one of 20 000 clients", |b| {
        b.iter(|| {
            let (number, client_id) = next.next().map_or((0, ""), |(number, id)| (number, id.as_str()));
            let client = Client { client_id, standing: 100 + number % 20_000, ..client };
            meter.observe(
                Timestamp(1),
                &PublishOut { client, topic, topic_key: 0, qos, bytes, properties }.into(),
            );
        });
    });
}

criterion_group!(benches, observe);
criterion_main!(benches);
