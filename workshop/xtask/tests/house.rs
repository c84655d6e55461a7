//! The state of the checkout itself: `tidy`, `arrows` and `licences` as tests.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use thingcore_xtask::{Complaints, arrows, licences, root, tidy};

fn assert_none(outcome: Result<Complaints, String>) {
    let complaints = outcome.expect("the check itself works");
    assert!(complaints.is_empty(), "\n{}\n", complaints.join("\n"));
}

#[test]
fn the_source_is_tidy() {
    assert_none(tidy::check(&root()));
}

#[test]
fn arrows_between_crates_point_up() {
    assert_none(arrows::check(&root()));
}

#[test]
fn dependencies_have_allowed_licences_versions_and_origins() {
    assert_none(licences::check(&root()));
}
