//! A fleet of 10 000 principals that share policies: equal policies are analysed once, whatever the client ids.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

#[allow(dead_code)] // Each test file uses its part.
mod desk;

use std::time::{Duration, Instant};

use desk::{analyst, cohort, site};
use thingcore_analysis::{Answer, Association, Cohort};

const OWN: &str = "${iot:Connection.Thing.ThingName}";

fn policy(group: usize) -> Cohort {
    let mut all = format!("Allow Connect client/{OWN}");
    for n in 0..4 {
        all += &format!("; Allow Publish+Receive topic/g{group}/{OWN}/c{n}/*");
        all += &format!("; Allow Subscribe topicfilter/g{group}/{OWN}/c{n}/*");
    }
    cohort(&all)
}

#[test]
fn ten_thousand_principals_take_seconds() {
    let policies: Vec<Cohort> = (0..20).map(policy).collect();
    let member = |n: usize| {
        let name = format!("device-{n}");
        let known = [("iot:clientid".to_owned(), name.clone())].into();
        Cohort { name, known, associations: vec![Association::Attached], ..policies[n % 20].clone() }
    };
    let fleet: Vec<Cohort> = (0..10_000).map(member).collect();
    let (site, started) = (site(), Instant::now());
    let analyst = analyst(&site);
    let groups = Cohort::alike(&fleet);
    assert_eq!(groups.iter().map(Vec::len).collect::<Vec<_>>(), [500; 20]);
    let groups: Vec<Cohort> = groups.iter().map(|group| fleet[group[0]].symbolic()).collect();
    for one in &groups {
        for other in &groups {
            assert_eq!(analyst.reads(one, other, None), Answer::No);
        }
    }
    println!("who reads whom among 10 000 principals: {:?}", started.elapsed());
    // Without optimisation, beside other tests.
    assert!(started.elapsed() < Duration::from_secs(60));
    assert_eq!(Cohort::shared(&fleet).len(), 10_000, "with their client ids they differ");
}

#[test]
fn the_lint_of_a_large_document_is_soon_done() {
    let mut all = format!("Allow Connect client/{OWN}");
    for n in 0..5 {
        all += &format!(
            "; Allow Publish+Receive topic/g/{OWN}/channel{n}/*; Allow Subscribe topicfilter/g/{OWN}/channel{n}/*"
        );
    }
    let (site, text) = (site(), desk::document(&all).to_string());
    assert!(
        (1500..2048).contains(&policy::Document::characters(&text)),
        "{}",
        policy::Document::characters(&text)
    );
    let analyst = analyst(&site);
    let once = || {
        let started = Instant::now();
        analyst.lint(&text);
        started.elapsed()
    };
    let best = (0..10).map(|_| once()).min().unwrap();
    println!("lint of {} characters: {best:?}", text.len());
    assert!(best < Duration::from_secs(1), "{best:?}");
}
