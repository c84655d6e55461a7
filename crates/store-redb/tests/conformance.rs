//! The embedded backend keeps every promise of the ports.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use proptest::prelude::*;
use proptest::test_runner::Config;
use redb::backends::InMemoryBackend;
use store::conformance;
use store::conformance::model::{Deed, Step};
use thingcore_store_redb::{Options, RedbStore};

/// Makes stores in files of one temporary folder.
struct Files {
    folder: tempfile::TempDir,
    next: AtomicUsize,
}

impl Files {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), next: AtomicUsize::new(0) }
    }

    fn store(&self) -> Arc<RedbStore> {
        let name = self.next.fetch_add(1, Ordering::Relaxed).to_string();
        Arc::new(RedbStore::open(&self.folder.path().join(name), Options::default()).unwrap())
    }
}

#[test]
fn store_conforms() {
    let files = Files::new();
    conformance::store(|| files.store());
}

#[test]
fn journal_conforms() {
    let files = Files::new();
    conformance::journal(|| files.store());
}

fn deeds() -> impl Strategy<Value = Vec<(bool, Vec<u8>, Deed)>> {
    let value = || proptest::collection::vec(any::<u8>(), 0..4);
    let deed = prop_oneof![
        value().prop_map(Deed::Put),
        Just(Deed::Delete),
        any::<bool>().prop_map(Deed::Demand),
        (any::<bool>(), value()).prop_map(|(current, value)| Deed::PutIf(current, value)),
        any::<bool>().prop_map(Deed::DeleteIf),
    ];
    proptest::collection::vec((any::<bool>(), proptest::collection::vec(0_u8..3, 1..3), deed), 0..5)
}

fn step() -> impl Strategy<Value = Step> {
    let bytes = || proptest::collection::vec(0_u8..3, 0..3);
    prop_oneof![
        3 => deeds().prop_map(Step::Commit),
        1 => (any::<bool>(), bytes(), proptest::option::of(bytes()), 0_usize..6)
            .prop_map(|(first, prefix, after, limit)| Step::Scan(first, prefix, after, limit)),
    ]
}

proptest! {
    #![proptest_config(Config::with_cases(64))]

    #[test]
    fn behaves_as_the_model(steps in proptest::collection::vec(step(), 0..40)) {
        let store = RedbStore::with_backend(|| Ok(InMemoryBackend::new()), Options::default()).unwrap();
        conformance::model::run(&store, &steps);
    }
}
