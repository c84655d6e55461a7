//! What one message costs in the codec: decode, encode for one more receiver, match one filter.
#![allow(clippy::unwrap_used, missing_docs)]

use std::hint::black_box;

use bytes::{Bytes, BytesMut};
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use thingcore_mqtt::*;

const TOPIC: &str = "devices/sensor-0123456789/telemetry/temp";
const PAYLOADS: [(&str, usize); 2] = [("64 B", 64), ("1 KiB", 1024)];
/// Packets in one read of the socket.
const BATCH: usize = 16;

fn publish(version: Version, qos: QoS, payload: usize) -> Publish {
    let mut publish = Publish {
        qos,
        topic: Text::from_static(TOPIC),
        packet_id: (qos != QoS::AtMostOnce).then_some(PacketId::FIRST),
        payload: Bytes::from(vec![b'x'; payload]),
        ..Publish::default()
    };
    if version == Version::V5 {
        publish.message_expiry_interval = Some(60);
        let pair = (Text::from_static("key"), Text::from_static("value"));
        publish.properties.user_properties = [pair].into_iter().collect();
    }
    publish
}

fn cases() -> impl Iterator<Item = (String, Version, Publish)> {
    let versions = [("3.1.1", Version::V311), ("5", Version::V5)];
    versions.into_iter().flat_map(|(version_name, version)| {
        [QoS::AtMostOnce, QoS::AtLeastOnce].into_iter().flat_map(move |qos| {
            PAYLOADS.map(|(size, bytes)| {
                (format!("{version_name} QoS {qos} {size}"), version, publish(version, qos, bytes))
            })
        })
    })
}

fn decode(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("decode publish");
    group.throughput(Throughput::Elements(BATCH as u64));
    for (name, version, publish) in cases() {
        let mut bytes = BytesMut::new();
        for _ in 0..BATCH {
            encode(&Packet::Publish(Box::new(publish.clone())), version, &mut bytes).unwrap();
        }
        let mut decoder = Decoder::for_client(version, u32::MAX);
        group.bench_function(name, |bencher| {
            bencher.iter_batched(
                || bytes.clone(),
                |mut buffer| {
                    while let Some(packet) = decoder.decode(&mut buffer).unwrap() {
                        black_box(packet);
                    }
                },
                BatchSize::SmallInput,
            );
        });
    }
}

fn fan_out(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("encode for one more receiver");
    for (name, version, publish) in cases() {
        let frame = PublishFrame::new(&publish.parts(), version).unwrap();
        let mut out = BytesMut::with_capacity(64 * 1024);
        let flags = PublishFlags::default();
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                if out.len() > 60 * 1024 {
                    out.clear();
                }
                frame.write_into(black_box(&mut out), Some(PacketId::FIRST), flags, Some(59));
            });
        });
    }
}

fn matching(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("match");
    for filter in [TOPIC, "devices/+/telemetry/temp", "devices/#", "other/#"] {
        group.bench_function(filter, |bencher| {
            bencher.iter(|| matches(black_box(filter), black_box(TOPIC), MatchRules::OASIS));
        });
    }
}

fn acknowledge(criterion: &mut Criterion) {
    let mut decoder = Decoder::for_client(Version::V5, u32::MAX);
    criterion.bench_function("decode and encode PUBACK", |bencher| {
        let mut buffer = BytesMut::with_capacity(1024);
        bencher.iter(|| {
            buffer.extend_from_slice(&[0x40, 2, 0, 1]);
            let packet = decoder.decode(&mut buffer).unwrap().unwrap();
            encode(&packet, Version::V5, &mut buffer).unwrap();
            black_box(decoder.decode(&mut buffer).unwrap());
        });
    });
}

criterion_group!(benches, decode, fan_out, matching, acknowledge);
criterion_main!(benches);
