//! Typed records: one [`Keyspace`] per family, JSON inside, unknown members tolerated.

use std::marker::PhantomData;
use std::sync::Arc;

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::{Batch, Change, Condition, Key, Revision, Space, Store, StoreError};

/// A family of records of type `V`. Declare one as a constant:
/// `pub const THINGS: Keyspace<ThingRecord> = Keyspace::new("things");`
pub struct Keyspace<V> {
    space: Space,
    kind: PhantomData<fn() -> V>,
}

/// A record as it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored<V> {
    /// Its key.
    pub key: Key,
    /// What it holds.
    pub value: V,
    /// When it was written: the token for `put_if` and `delete_if`.
    pub revision: Revision,
}

/// A change of one record, decoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changed<V> {
    /// Its key.
    pub key: Key,
    /// What it holds now; `None`: it was deleted.
    pub value: Option<V>,
    /// When.
    pub revision: Revision,
}

impl<V> Keyspace<V> {
    /// Names the family; the rules of [`Space::new`] apply.
    #[must_use]
    pub const fn new(name: &'static str) -> Self {
        Self { space: Space::new(name), kind: PhantomData }
    }

    /// The untyped space.
    #[must_use]
    pub const fn space(&self) -> Space {
        self.space
    }

    /// Deletes the record, if there is one.
    pub fn delete(&self, batch: &mut Batch, key: &Key) {
        batch.delete(self.space, key.clone());
    }

    /// Deletes the record if nobody wrote it since `revision`.
    pub fn delete_if(&self, batch: &mut Batch, key: &Key, revision: Revision) {
        batch.delete_if(self.space, key.clone(), revision);
    }

    /// Demands something of a record that the batch need not write.
    pub fn check(&self, batch: &mut Batch, key: &Key, condition: Condition) {
        batch.check(self.space, key.clone(), condition);
    }
}

impl<V: Serialize> Keyspace<V> {
    /// Writes the record, whatever was there. A value that has no JSON form makes the commit fail.
    pub fn put(&self, batch: &mut Batch, key: &Key, value: &V) {
        match serde_json::to_vec(value) {
            Ok(json) => {
                batch.put(self.space, key.clone(), json);
            }
            Err(error) => batch.spoil(self.unreadable(key, &error)),
        }
    }

    /// Writes the record if there is none yet.
    pub fn put_if_absent(&self, batch: &mut Batch, key: &Key, value: &V) {
        self.check(batch, key, Condition::Absent);
        self.put(batch, key, value);
    }

    /// Writes the record if nobody wrote it since `revision`.
    pub fn put_if(&self, batch: &mut Batch, key: &Key, revision: Revision, value: &V) {
        self.check(batch, key, Condition::Revision(revision));
        self.put(batch, key, value);
    }
}

impl<V: DeserializeOwned> Keyspace<V> {
    /// The record under `key`.
    ///
    /// # Errors
    /// [`StoreError::Unreadable`] when it is of another shape; unavailability.
    pub async fn get(&self, store: &dyn Store, key: &Key) -> Result<Option<Stored<V>>, StoreError> {
        let found = store.get(self.space, key.as_bytes()).await?;
        found.map(|found| self.stored(key.clone(), found.revision, &found.value)).transpose()
    }

    /// Records whose keys begin with `prefix` and are greater than `after`, ascending: `limit` of them, or fewer when
    /// there are no more. Pages of the port are joined here; the caller's `limit` bounds the memory.
    ///
    /// # Errors
    /// [`StoreError::Unreadable`] when one is of another shape; unavailability.
    pub async fn scan(
        &self,
        store: &dyn Store,
        prefix: &Key,
        after: Option<&Key>,
        limit: usize,
    ) -> Result<Vec<Stored<V>>, StoreError> {
        let mut found: Vec<Stored<V>> = Vec::new();
        let mut last = after.cloned();
        while found.len() < limit {
            let after = last.as_ref().map(Key::as_bytes);
            let page = store.scan(self.space, prefix.as_bytes(), after, limit - found.len()).await?;
            let Some(end) = page.last() else { break };
            last = Some(end.key.clone());
            for entry in page {
                found.push(self.stored(entry.key, entry.revision, &entry.value)?);
            }
        }
        Ok(found)
    }

    /// `None` when the change is about another family; else the change, decoded.
    ///
    /// # Errors
    /// [`StoreError::Unreadable`] when the value is of another shape.
    pub fn changed(&self, change: &Change) -> Option<Result<Changed<V>, StoreError>> {
        (change.space == self.space).then(|| {
            let value = change.value.as_ref().map(|value| self.decode(&change.key, value)).transpose()?;
            Ok(Changed { key: change.key.clone(), value, revision: change.revision })
        })
    }

    fn stored(&self, key: Key, revision: Revision, value: &Bytes) -> Result<Stored<V>, StoreError> {
        let value = self.decode(&key, value)?;
        Ok(Stored { key, value, revision })
    }

    fn decode(&self, key: &Key, value: &Bytes) -> Result<V, StoreError> {
        serde_json::from_slice(value).map_err(|error| self.unreadable(key, &error))
    }
}

impl<V> Keyspace<V> {
    fn unreadable(&self, key: &Key, error: &serde_json::Error) -> StoreError {
        StoreError::Unreadable { space: self.space, key: key.clone(), detail: Arc::from(error.to_string()) }
    }
}
