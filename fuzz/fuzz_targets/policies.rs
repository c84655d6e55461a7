//! Any text as a policy document or a template: the lint answers, within bounds, and what the parser takes stays readable.
#![no_main]

use std::time::Duration;

use analysis::{Analyst, Budget, extract, rules};
use identity::{AccountId, Region, Site, Timestamp};
use libfuzzer_sys::fuzz_target;
use policy::Document;
use thingcore_fuzz::processor_time;

fuzz_target!(|text: &str| {
    let site = Site {
        region: Region::new("us-east-1").expect("a Region"),
        account: AccountId::new("123456789012").expect("an account"),
    };
    let mut analyst = Analyst::new(&site, Timestamp(1));
    analyst.budget = Budget::new(2_000);
    let started = processor_time();
    let findings = analyst.lint(text);
    let _ = extract(text, ("us-east-1", "123456789012"));
    assert!(processor_time().saturating_sub(started) < Duration::from_secs(10), "the lint is not bounded");
    let refused = findings.iter().any(|f| f.rule == rules::MALFORMED || f.rule == rules::TOO_LARGE);
    assert_eq!(Document::parse(text).is_err(), refused, "the lint and the parser disagree");
    for finding in &findings {
        assert!(finding.at.line >= 1 && finding.at.column >= 1 && !finding.fix.is_empty(), "{finding:?}");
    }
});
