//! What finding the receivers of one message costs, by size of the table, and what changing the table costs.
#![allow(clippy::unwrap_used, missing_docs)]

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use mqtt::{MatchRules, QoS, TopicFilter};
use thingcore_router::{Matches, Route, RouteTable, Target};

const WILDCARDS: u64 = 1_000;

#[derive(Clone)]
struct Subscriber(u64);

impl Target for Subscriber {
    fn id(&self) -> u64 {
        self.0
    }
}

fn filter(text: &str) -> TopicFilter {
    TopicFilter::try_from(text).unwrap()
}

fn route(id: u64) -> Route<Subscriber> {
    Route {
        target: Subscriber(id),
        qos: QoS::AtLeastOnce,
        no_local: false,
        retain_as_published: false,
        identifiers: Default::default(),
    }
}

/// A fleet: each device subscribes to its own commands, services to what the devices of one site send.
fn table(exact: u64) -> RouteTable<Subscriber> {
    let table = RouteTable::new(MatchRules { hash_matches_parent: false }, true);
    for device in 0..exact {
        table.subscribe(&filter(&format!("devices/{device}/commands")), route(device));
    }
    for site in 0..WILDCARDS {
        let text =
            if site % 2 == 0 { format!("sites/{site}/+/telemetry") } else { format!("sites/{site}/#") };
        table.subscribe(&filter(&text), route(exact + site));
    }
    table
}

fn matches(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("match");
    let topics = [
        ("exact", "devices/500/commands", 1),
        ("one level", "sites/500/sensor-7/telemetry", 1),
        ("many levels", "sites/501/sensor-7/telemetry/temp", 1),
        ("nobody", "elsewhere/500/sensor-7/telemetry", 0),
    ];
    for exact in [1_000, 100_000] {
        let (table, mut found) = (table(exact), Matches::default());
        for (name, topic, receivers) in topics {
            table.matches(topic, &mut |_| None, &mut found);
            assert_eq!(found.direct.len(), receivers, "{topic}");
            group.bench_function(BenchmarkId::new(name, exact), |bencher| {
                bencher.iter(|| table.matches(black_box(topic), &mut |_| None, &mut found));
            });
        }
    }
    group.finish();
}

fn change(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("subscribe and unsubscribe");
    let table = table(100_000);
    for (name, text) in [("exact", "devices/new/commands"), ("wildcard", "sites/new/+/telemetry")] {
        let filter = filter(text);
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                assert!(table.subscribe(black_box(&filter), route(u64::MAX)));
                assert!(table.unsubscribe(black_box(&filter), u64::MAX));
            });
        });
    }
    group.finish();
}

criterion_group!(benches, matches, change);
criterion_main!(benches);
