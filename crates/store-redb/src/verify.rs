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

/// How a file was left by whoever had it last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Left {
    /// It was closed, or it is new.
    #[default]
    Closed,
    /// It was not closed: a kill, or a loss of power. Its last commit holds.
    Unclosed,
    /// It was not closed, and its last commit does not hold, so the one before it counts. Either a crash has torn it, and
    /// nobody was told that it happened, or its pages were damaged afterwards: the two cannot be told apart.
    Torn,
}

/// Opens the database. After a crash the last commit may be torn: it was never answered, and the one before counts.
pub(crate) fn open<B: StorageBackend>(
    backend: B,
    verify: bool,
    cache_bytes: usize,
) -> Result<(Database, Left), redb::Error> {
    let closed = was_closed(&backend);
    let turned_back = Arc::new(AtomicBool::new(false));
    let told = Arc::clone(&turned_back);
    let mut builder = Builder::new();
    builder.set_cache_size(cache_bytes).set_check_integrity_on_open(verify).set_repair_callback(
        move |repair| {
            if TURNING_BACK.contains(&repair.progress()) {
                told.store(true, Ordering::Relaxed);
                if closed {
                    repair.abort();
                }
            }
        },
    );
    let turned_back = || turned_back.load(Ordering::Relaxed);
    let database = builder.create_with_backend(backend).map_err(|error| match error {
        DatabaseError::RepairAborted if turned_back() => {
            contradiction("a page is not as it was written, and the file was closed cleanly after that")
        }
        error => database_error(error),
    })?;
    let left = match closed {
        true => Left::Closed,
        false if turned_back() => Left::Torn,
        false => Left::Unclosed,
    };
    Ok((database, left))
}

/// True if the file was closed by a store that was stopped, or is empty.
fn was_closed(backend: &impl StorageBackend) -> bool {
    let mut state = [0];
    match backend.read(STATE_BYTE, &mut state) {
        Ok(()) => state.iter().all(|byte| byte & NOT_CLOSED == 0),
        Err(_) => backend.len().is_ok_and(|length| length == 0),
    }
}
