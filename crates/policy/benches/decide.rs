//! How long a decision takes, by number of statements, and what making an authorizer costs.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::hint::black_box;
use std::sync::Arc;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use identity::{AccountId, ClientId, PolicyName, Region, Site, Timestamp};
use thingcore_policy::{Authorizer, ConnectionContext, Document, Epoch, Origin, PolicySet, Source};

/// Statements spread over as many policies as their size demands; the last one allows what the bench asks.
fn set(statements: usize) -> Arc<PolicySet> {
    let statement = |n: usize| {
        let topic = if n + 1 == statements { "dev/${iot:ClientId}/*".into() } else { format!("dev/x{n}/*") };
        let arn = format!("arn:aws:iot:eu-west-1:123456789012:topic/{topic}");
        format!(r#"{{"Effect":"Allow","Action":["iot:Publish","iot:Receive"],"Resource":"{arn}"}}"#)
    };
    let all: Vec<String> = (0..statements).map(statement).collect();
    let source = |(n, texts): (usize, &[String])| {
        let text = format!(r#"{{"Version":"2012-10-17","Statement":[{}]}}"#, texts.join(","));
        let document = Arc::new(Document::parse(&text).unwrap());
        let policy = PolicyName::new(&format!("p{n}")).unwrap();
        Source { policy, version: 1, origin: Origin::Certificate, document }
    };
    Arc::new(PolicySet::compile(all.chunks(10).enumerate().map(source).collect()))
}

fn authorizer(set: &Arc<PolicySet>) -> Authorizer {
    let (region, account) = (Region::new("eu-west-1").unwrap(), AccountId::new("123456789012").unwrap());
    let client_id = Some(ClientId::new("sensor-7").unwrap());
    let context = ConnectionContext { client_id, ..Default::default() };
    Authorizer::new(Arc::new(Site { region, account }), Arc::clone(set), context, Epoch(1))
}

fn decide(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("decide");
    for statements in [1, 10, 100] {
        let set = set(statements);
        let authorizer = authorizer(&set);
        let id = |name| BenchmarkId::new(name, statements);
        assert!(authorizer.publish("dev/sensor-7/data", Timestamp(0)).is_ok());
        group.bench_function(id("publish allowed"), |b| {
            b.iter(|| authorizer.publish(black_box("dev/sensor-7/data"), Timestamp(0)).is_ok());
        });
        group.bench_function(id("publish denied"), |b| {
            b.iter(|| authorizer.publish(black_box("dev/sensor-8/data"), Timestamp(0)).is_ok());
        });
        group.bench_function(id("authorizer"), |b| b.iter(|| crate::authorizer(black_box(&set))));
    }
    group.finish();
}

criterion_group!(benches, decide);
criterion_main!(benches);
