//! Opening the file with or without a look at every page. A file that was closed cleanly and is not as it was
//! written is refused, and stays untouched: an older state of it would be wrong data without a word.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use redb::{Builder, Database, DatabaseError, StorageBackend};

use crate::error::{contradiction, database_error};

/// Where the header says how the file was left.
const STATE_BYTE: u64 = 9;
/// It was not closed.
const NOT_CLOSED: u8 = 2;
/// At this share of its work the engine has found that the last commit does not hold, and turns to the one before.
const TURNING_BACK: std::ops::RangeInclusive<f64> = 0.2..=0.5;

/// Opens the database. After a crash the last commit may be torn: it was never answered, and the one before counts.
pub(crate) fn open<B: StorageBackend>(
    backend: B,
    verify: bool,
    cache_bytes: usize,
    on_repair: Arc<dyn Fn(f64) + Send + Sync>,
) -> Result<Database, redb::Error> {
    let closed = was_closed(&backend);
    let turned_back = Arc::new(AtomicBool::new(false));
    let told = Arc::clone(&turned_back);
    let mut builder = Builder::new();
    builder.set_cache_size(cache_bytes).set_check_integrity_on_open(verify).set_repair_callback(
        move |repair| {
            if closed && TURNING_BACK.contains(&repair.progress()) {
                told.store(true, Ordering::Relaxed);
                return repair.abort();
            }
            if !closed {
                on_repair(repair.progress());
            }
        },
    );
    builder.create_with_backend(backend).map_err(|error| match error {
        DatabaseError::RepairAborted if turned_back.load(Ordering::Relaxed) => {
            contradiction("a page is not as it was written, and the file was closed cleanly after that")
        }
        error => database_error(error),
    })
}

/// True if the file was closed by a store that was stopped.
fn was_closed(backend: &impl StorageBackend) -> bool {
    let mut state = [0];
    backend.read(STATE_BYTE, &mut state).is_ok() && state.iter().all(|byte| byte & NOT_CLOSED == 0)
}
