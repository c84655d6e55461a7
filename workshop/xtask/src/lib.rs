//! The workshop's own tools: generators of checked-in files, and the checks that keep the house in shape.
//!
//! Each check is a function from the root of the checkout to a list of complaints, so that it runs the same as a
//! command (`cargo run -p thingcore-xtask -- tidy`) and as a test (`cargo test -p thingcore-xtask`).

use std::path::PathBuf;

pub mod arrows;
pub mod docs;
pub mod licences;
pub mod models;
pub mod tidy;

/// One thing that is not as it should be: where, what, and what to do.
pub type Complaints = Vec<String>;

/// The root of the checkout this was built from.
pub fn root() -> PathBuf {
    let here = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).map_or_else(|| here.clone(), PathBuf::from)
}
