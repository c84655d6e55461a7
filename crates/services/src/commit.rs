//! Read, decide, commit; and again if somebody else was faster.
//!
//! What the operations of this crate, and of those below it, do with the store: through [`Records`], and with
//! [`until_committed`].

use std::fmt;
use std::sync::Arc;

use events::{Event, Observers, StoreFailed};
use identity::Timestamp;
use registry::guard::{GUARDS, Guard, Guarded};
use serde::Serialize;
use serde::de::DeserializeOwned;
use store::{Batch, CommitError, Condition, Key, Keyspace, Limit, Revision, Store, StoreError, Stored};

use crate::{ApiError, ErrorCode};

/// How often an operation decides anew.
const ATTEMPTS: u32 = 32;

/// Counts the attempts of one operation; it has 32.
#[derive(Debug, Default)]
pub struct Attempts(u32);

/// Runs `$plan`, which reads and fills `$batch`, until the batch commits; answers what the plan answered, or its error,
/// or that of [`Records::commit`].
#[macro_export]
#[doc(hidden)]
macro_rules! until_committed {
    ($records:expr, $now:expr, |$batch:ident| $plan:expr) => {{
        let mut attempts = $crate::commit::Attempts::default();
        loop {
            let mut $batch = ::store::Batch::new();
            let answer = $plan.await?;
            if $records.commit($batch, &mut attempts, $now).await? {
                break Ok(answer);
            }
        }
    }};
}
#[doc(inline)]
pub use until_committed;

/// A guard as it was read; see [`registry::guard`].
#[derive(Debug)]
pub struct Watched {
    key: Key,
    found: Option<(Guard, Revision)>,
}

impl Watched {
    fn condition(&self) -> Condition {
        self.found.map_or(Condition::Absent, |(_, revision)| Condition::Revision(revision))
    }

    /// Demands that nothing was added to the collection.
    pub fn unchanged(&self, batch: &mut Batch) {
        GUARDS.check(batch, &self.key, self.condition());
    }

    /// The same, and says that something is added.
    pub fn added(&self, batch: &mut Batch) {
        self.unchanged(batch);
        let additions = self.found.map_or(0, |(guard, _)| guard.additions).saturating_add(1);
        GUARDS.put(batch, &self.key, &Guard { additions });
    }

    /// The same as [`Self::unchanged`], and takes the guard away with its owner.
    pub fn gone(&self, batch: &mut Batch) {
        self.unchanged(batch);
        GUARDS.delete(batch, &self.key);
    }
}

/// The records of the control plane: a store, and who is told when it fails. Cheap to clone.
///
/// Every error says for the caller what the store could not do, and an event says it to the operator.
#[derive(Clone)]
pub struct Records {
    store: Arc<dyn Store>,
    observers: Observers,
}

impl fmt::Debug for Records {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Records").finish_non_exhaustive()
    }
}

impl Records {
    /// Those of a store.
    pub fn new(store: Arc<dyn Store>, observers: Observers) -> Self {
        Self { store, observers }
    }

    /// The same, told of to the same observers, in another store.
    pub(crate) fn over(&self, store: Arc<dyn Store>) -> Self {
        Self { store, observers: self.observers.clone() }
    }

    /// Where they are.
    pub fn store(&self) -> &dyn Store {
        &*self.store
    }

    /// The same, to keep.
    pub(crate) fn shared_store(&self) -> Arc<dyn Store> {
        Arc::clone(&self.store)
    }

    /// Commits. `false`: a condition did not hold, decide anew. A batch without writes commits without asking.
    ///
    /// # Errors
    /// Throttling after so many attempts as [`Attempts`] has; ServiceUnavailable, InternalFailure for the store;
    /// InvalidRequest for a record that is larger than can be stored.
    pub async fn commit(
        &self,
        batch: Batch,
        attempts: &mut Attempts,
        now: Timestamp,
    ) -> Result<bool, ApiError> {
        if batch.is_empty() {
            return Ok(true);
        }
        match self.store.commit(batch).await {
            Ok(_) => Ok(true),
            Err(CommitError::Store(error)) => Err(self.failed("committing", &error, now)),
            Err(CommitError::Conflict { .. }) => {
                attempts.0 += 1;
                if attempts.0 < ATTEMPTS {
                    return Ok(false);
                }
                // Declared by every operation of the control plane, and SDKs repeat it by themselves.
                Err(ApiError::new(
                    ErrorCode::Throttling,
                    "The resource is being changed by others; try again",
                ))
            }
        }
    }

    /// The record with this key.
    ///
    /// # Errors
    /// ServiceUnavailable, InternalFailure.
    pub async fn get<V: DeserializeOwned>(
        &self,
        space: &Keyspace<V>,
        key: &Key,
        now: Timestamp,
    ) -> Result<Option<Stored<V>>, ApiError> {
        space.get(self.store(), key).await.map_err(|error| self.failed("reading", &error, now))
    }

    /// The records below `prefix` in the order of their keys, after `after`, so many at most.
    ///
    /// # Errors
    /// ServiceUnavailable, InternalFailure.
    pub async fn scan<V: DeserializeOwned>(
        &self,
        space: &Keyspace<V>,
        prefix: &Key,
        after: Option<&Key>,
        (limit, now): (usize, Timestamp),
    ) -> Result<Vec<Stored<V>>, ApiError> {
        let found = space.scan(self.store(), prefix, after, limit).await;
        found.map_err(|error| self.failed("reading", &error, now))
    }

    /// Whether there is any record below `prefix`.
    ///
    /// # Errors
    /// ServiceUnavailable, InternalFailure.
    pub async fn any<V: DeserializeOwned>(
        &self,
        space: &Keyspace<V>,
        prefix: &Key,
        now: Timestamp,
    ) -> Result<bool, ApiError> {
        Ok(!self.scan(space, prefix, None, (1, now)).await?.is_empty())
    }

    /// Reads a guard. Must come before the rows that it guards are counted.
    ///
    /// # Errors
    /// ServiceUnavailable, InternalFailure.
    pub async fn watch(&self, what: Guarded, owner: &str, now: Timestamp) -> Result<Watched, ApiError> {
        let key = what.key(owner);
        let found = self.get(&GUARDS, &key, now).await?.map(|stored| (stored.value, stored.revision));
        Ok(Watched { key, found })
    }

    fn failed(&self, what: &str, error: &StoreError, now: Timestamp) -> ApiError {
        if let StoreError::Limit { what: Limit::ValueBytes, size, limit } = error {
            // The caller's doing, not the store's: AWS's limits on single members let a policy's versions get so large.
            return ApiError::invalid(format!(
                "The resource would have {size} bytes with this, and {limit} can be stored: send documents without \
                 needless white space, or delete old versions"
            ));
        }
        self.observers.emit(now, &Event::StoreFailed(StoreFailed { what, detail: error }));
        match error {
            StoreError::Unavailable { .. } => {
                ApiError::new(ErrorCode::ServiceUnavailable, "The registry is not available; try again later")
            }
            StoreError::Limit { .. } | StoreError::Unreadable { .. } => {
                ApiError::new(ErrorCode::InternalFailure, "The registry could not be read or written")
            }
        }
    }
}

/// Demands that an owner is as it was read, and takes the closing mark off if it stands; see [`registry::guard`].
pub(crate) fn keep_open<V: Serialize + Clone>(
    space: &Keyspace<V>,
    owner: &Stored<V>,
    closing: impl Fn(&mut V) -> &mut bool,
    batch: &mut Batch,
) {
    space.check(batch, &owner.key, Condition::Revision(owner.revision));
    let mut open = owner.value.clone();
    if std::mem::take(closing(&mut open)) {
        space.put(batch, &owner.key, &open);
    }
}
