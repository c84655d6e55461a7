//! The place of the open database: readers borrow it briefly, the writer may close and reopen it.

use std::sync::Arc;

use parking_lot::RwLock;
use redb::{Database, ReadTransaction, ReadableDatabase, WriteTransaction};
use store::StoreError;

use crate::error::reason;

pub(crate) struct Slot {
    state: RwLock<State>,
}

enum State {
    Open(Database),
    Down(Arc<str>),
}

impl Slot {
    pub(crate) fn new(database: Database) -> Self {
        Self { state: RwLock::new(State::Open(database)) }
    }

    /// A snapshot of what is durable. It outlives the borrow of the slot: the lock is held for a moment only.
    pub(crate) fn snapshot(&self) -> Result<ReadTransaction, StoreError> {
        match &*self.state.read() {
            State::Open(database) => {
                database.begin_read().map_err(|error| StoreError::unavailable(reason(&error.into())))
            }
            State::Down(reason) => Err(StoreError::unavailable(Arc::clone(reason))),
        }
    }

    /// For the writer thread, which is the only one: never waits.
    pub(crate) fn begin_write(&self) -> Result<WriteTransaction, redb::Error> {
        match &*self.state.read() {
            State::Open(database) => Ok(database.begin_write()?),
            State::Down(_) => Err(redb::Error::DatabaseClosed),
        }
    }

    /// Why nothing can be read or written, if so.
    pub(crate) fn down(&self) -> Option<Arc<str>> {
        match &*self.state.read() {
            State::Open(_) => None,
            State::Down(reason) => Some(Arc::clone(reason)),
        }
    }

    /// Closes the database, which flushes it if it is sound, and answers readers with `reason` from now on.
    pub(crate) fn close(&self, reason: impl Into<Arc<str>>) -> Result<(), redb::Error> {
        let before = std::mem::replace(&mut *self.state.write(), State::Down(reason.into()));
        match before {
            State::Open(database) => Ok(database.close()?),
            State::Down(_) => Ok(()),
        }
    }

    /// Lets go of a database in which a thread panicked: touching it again, even to close it, may panic too. The
    /// file stays locked until the process ends, and the next opening checks it.
    pub(crate) fn abandon(&self, reason: impl Into<Arc<str>>) {
        std::mem::forget(std::mem::replace(&mut *self.state.write(), State::Down(reason.into())));
    }

    pub(crate) fn reopened(&self, database: Database) {
        *self.state.write() = State::Open(database);
    }
}
