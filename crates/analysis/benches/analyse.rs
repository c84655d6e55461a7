//! How long the lint of a large document takes, and reach for a fleet that shares policies.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, missing_docs)]

use std::sync::Arc;

use criterion::{Criterion, criterion_group, criterion_main};
use identity::{AccountId, PolicyName, Region, Site, Timestamp};
use policy::{Document, Origin, Source};
use thingcore_analysis::{Analyst, Answer, Association, Cohort};

fn site() -> Site {
    Site { region: Region::new("us-east-1").unwrap(), account: AccountId::new("123456789012").unwrap() }
}

/// A policy of a device, of nearly 2 KB without white space.
fn document(group: usize) -> String {
    let arn = "arn:aws:iot:us-east-1:123456789012:";
    let own = "${iot:Connection.Thing.ThingName}";
    let mut statements =
        vec![format!(r#"{{"Effect":"Allow","Action":"iot:Connect","Resource":"{arn}client/{own}"}}"#)];
    for n in 0..4 {
        statements.push(format!(
            r#"{{"Effect":"Allow","Action":["iot:Publish","iot:Receive"],"Resource":"{arn}topic/g{group}/{own}/c{n}/*"}}"#
        ));
        statements.push(format!(
            r#"{{"Effect":"Allow","Action":"iot:Subscribe","Resource":"{arn}topicfilter/g{group}/{own}/c{n}/*"}}"#
        ));
    }
    statements.push(format!(
        r#"{{"Effect":"Deny","Action":"iot:Publish","Resource":"{arn}topic/g{group}/{own}/c0/secret"}}"#
    ));
    format!(r#"{{"Version":"2012-10-17","Statement":[{}]}}"#, statements.join(","))
}

fn cohort(n: usize, document: &Arc<Document>) -> Cohort {
    let name = format!("device-{n}");
    let known = [("iot:clientid".to_owned(), name.clone())].into();
    let policy = PolicyName::new("fleet").unwrap();
    let source = Source { policy, version: 1, origin: Origin::Certificate, document: document.clone() };
    Cohort { associations: vec![Association::Attached], known, ..Cohort::new(name, vec![source]) }
}

fn lint(criterion: &mut Criterion) {
    let (site, text) = (site(), document(1));
    assert!((1500..2048).contains(&Document::characters(&text)), "{}", Document::characters(&text));
    let analyst = Analyst::new(&site, Timestamp(1));
    criterion.bench_function("lint of a document of 2 KB", |b| b.iter(|| analyst.lint(&text)));
}

/// 10 000 principals with names of their own and 20 policies: each pair of policies is looked at once, symbolically.
fn fleet(criterion: &mut Criterion) {
    let site = site();
    let analyst = Analyst::new(&site, Timestamp(1));
    let documents: Vec<Arc<Document>> =
        (0..20).map(|group| Arc::new(Document::parse(&document(group)).unwrap())).collect();
    let cohorts: Vec<Cohort> = (0..10_000).map(|n| cohort(n, &documents[n % 20])).collect();
    let mut group = criterion.benchmark_group("reach");
    group.sample_size(10);
    group.bench_function("who reads whom among 10 000 principals", |b| {
        b.iter(|| {
            let groups = Cohort::alike(&cohorts);
            assert_eq!(groups.len(), 20);
            let fleets: Vec<Cohort> = groups.iter().map(|group| cohorts[group[0]].symbolic()).collect();
            for one in &fleets {
                for other in &fleets {
                    let answer = analyst.reads(one, other, None);
                    assert_eq!(answer, Answer::No);
                }
            }
        });
    });
    group.finish();
}

criterion_group!(benches, lint, fleet);
criterion_main!(benches);
