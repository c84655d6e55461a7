//! A batch: writes that happen together or not at all, and the conditions under which they may.

use std::collections::HashSet;

use bytes::Bytes;

use crate::{Key, Limit, Revision, Space, StoreError};

/// What must be true of a key, before any write of its batch, for the batch to be committed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Condition {
    /// There is no such record.
    Absent,
    /// There is such a record, whatever it holds.
    Exists,
    /// The record is there and was last written at this revision.
    Revision(Revision),
}

impl Condition {
    /// Whether the condition holds for a key last written at `current` (`None`: there is no record).
    #[must_use]
    pub fn holds(self, current: Option<Revision>) -> bool {
        match self {
            Self::Absent => current.is_none(),
            Self::Exists => current.is_some(),
            Self::Revision(expected) => current == Some(expected),
        }
    }
}

/// A condition on one key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// The key's space.
    pub space: Space,
    /// The key.
    pub key: Key,
    /// What must hold.
    pub condition: Condition,
}

/// A write to one key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Write {
    /// The key's space.
    pub space: Space,
    /// The key.
    pub key: Key,
    /// What it holds from now on; `None` deletes it.
    pub value: Option<Bytes>,
}

/// Collects writes and conditions for [`Store::commit`](crate::Store::commit).
///
/// All conditions are about the state before the batch. When one key is written twice the last write counts; the
/// conditions of both still hold. Deleting what is not there is no fault.
#[derive(Debug, Clone, Default)]
pub struct Batch {
    checks: Vec<Check>,
    writes: Vec<Write>,
    fault: Option<StoreError>,
}

impl Batch {
    /// The most writes, and separately the most conditions, of one batch.
    pub const MAX_WRITES: usize = 1_000;
    /// The longest value, in bytes.
    pub const MAX_VALUE_BYTES: usize = 1 << 20;
    /// The most bytes of keys and values together.
    pub const MAX_BYTES: usize = 16 << 20;

    /// An empty batch.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Writes `value`, whatever was there.
    pub fn put(&mut self, space: Space, key: Key, value: impl Into<Bytes>) -> &mut Self {
        self.writes.push(Write { space, key, value: Some(value.into()) });
        self
    }

    /// Writes `value` if there is no record yet.
    pub fn put_if_absent(&mut self, space: Space, key: Key, value: impl Into<Bytes>) -> &mut Self {
        self.check(space, key.clone(), Condition::Absent).put(space, key, value)
    }

    /// Writes `value` if the record is as it was at `revision`.
    pub fn put_if(
        &mut self,
        space: Space,
        key: Key,
        revision: Revision,
        value: impl Into<Bytes>,
    ) -> &mut Self {
        self.check(space, key.clone(), Condition::Revision(revision)).put(space, key, value)
    }

    /// Deletes the record, if there is one.
    pub fn delete(&mut self, space: Space, key: Key) -> &mut Self {
        self.writes.push(Write { space, key, value: None });
        self
    }

    /// Deletes the record if it is as it was at `revision`.
    pub fn delete_if(&mut self, space: Space, key: Key, revision: Revision) -> &mut Self {
        self.check(space, key.clone(), Condition::Revision(revision)).delete(space, key)
    }

    /// Demands something of a key that this batch need not write.
    pub fn check(&mut self, space: Space, key: Key, condition: Condition) -> &mut Self {
        self.checks.push(Check { space, key, condition });
        self
    }

    /// Adds everything of another batch: then both happen or neither.
    pub fn absorb(&mut self, other: Self) -> &mut Self {
        self.checks.extend(other.checks);
        self.writes.extend(other.writes);
        self.fault = self.fault.take().or(other.fault);
        self
    }

    /// Bytes of the keys and values that were added.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.writes.iter().map(Write::bytes).sum()
    }

    /// Makes the commit of this batch fail with `error`: for a value that cannot be encoded.
    pub(crate) fn spoil(&mut self, error: StoreError) {
        self.fault.get_or_insert(error);
    }

    /// True when nothing would be written.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.writes.is_empty() && self.fault.is_none()
    }

    /// How many writes were added.
    #[must_use]
    pub fn len(&self) -> usize {
        self.writes.len()
    }

    /// For backends: enforces the bounds and leaves one write per key, in the order in which they were added.
    ///
    /// # Errors
    /// [`StoreError::Limit`], or what made the batch unfit while it was built.
    pub fn seal(self) -> Result<Sealed, StoreError> {
        if let Some(fault) = self.fault {
            return Err(fault);
        }
        Limit::BatchWrites.admit(self.writes.len(), Self::MAX_WRITES)?;
        Limit::BatchWrites.admit(self.checks.len(), Self::MAX_WRITES)?;
        self.checks.iter().try_for_each(|check| admit_key(&check.key))?;
        self.writes.iter().try_for_each(admit_write)?;
        let bytes = self.writes.iter().map(Write::bytes).sum();
        Limit::BatchBytes.admit(bytes, Self::MAX_BYTES)?;
        Ok(Sealed { checks: self.checks, writes: last_of_each(self.writes), bytes })
    }
}

/// A batch within bounds, each key written at most once. Only [`Batch::seal`] makes one.
#[derive(Debug, Clone)]
pub struct Sealed {
    checks: Vec<Check>,
    writes: Vec<Write>,
    bytes: usize,
}

impl Sealed {
    /// The conditions, in the order in which they were added.
    #[must_use]
    pub fn checks(&self) -> &[Check] {
        &self.checks
    }

    /// The writes.
    #[must_use]
    pub fn writes(&self) -> &[Write] {
        &self.writes
    }

    /// The writes, to keep.
    #[must_use]
    pub fn into_writes(self) -> Vec<Write> {
        self.writes
    }

    /// Bytes of keys and values together.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }
}

impl Write {
    fn bytes(&self) -> usize {
        self.key.len() + self.value.as_ref().map_or(0, Bytes::len)
    }
}

fn admit_write(write: &Write) -> Result<(), StoreError> {
    admit_key(&write.key)?;
    Limit::ValueBytes.admit(write.value.as_ref().map_or(0, Bytes::len), Batch::MAX_VALUE_BYTES)
}

pub(crate) fn admit_key(key: &Key) -> Result<(), StoreError> {
    if key.is_empty() {
        return Err(StoreError::Limit { what: Limit::EmptyKey, size: 0, limit: Key::MAX_BYTES });
    }
    Limit::KeyBytes.admit(key.len(), Key::MAX_BYTES)
}

fn last_of_each(mut writes: Vec<Write>) -> Vec<Write> {
    let mut seen = HashSet::with_capacity(writes.len());
    writes.reverse();
    writes.retain(|write| seen.insert((write.space, write.key.clone())));
    writes.reverse();
    writes
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPACE: Space = Space::new("things");

    #[test]
    fn the_last_write_to_a_key_counts() {
        let mut batch = Batch::new();
        let (a, b) = (Key::of(&["a"]), Key::of(&["b"]));
        batch.put(SPACE, a.clone(), "1").put(SPACE, b.clone(), "2").delete(SPACE, a.clone());
        let writes = batch.seal().unwrap().into_writes();
        assert_eq!(
            writes,
            [
                Write { space: SPACE, key: b, value: Some(Bytes::from("2")) },
                Write { space: SPACE, key: a, value: None }
            ]
        );
    }

    #[test]
    fn a_spoiled_batch_says_why() {
        let mut batch = Batch::new();
        batch.spoil(StoreError::unavailable("first"));
        batch.spoil(StoreError::unavailable("second"));
        assert!(!batch.is_empty());
        assert_eq!(batch.seal().unwrap_err(), StoreError::unavailable("first"));
    }

    #[test]
    fn conditions() {
        let at = Some(Revision(3));
        assert!(Condition::Absent.holds(None) && !Condition::Absent.holds(at));
        assert!(Condition::Exists.holds(at) && !Condition::Exists.holds(None));
        assert!(Condition::Revision(Revision(3)).holds(at));
        assert!(!Condition::Revision(Revision(2)).holds(at));
        assert!(!Condition::Revision(Revision(0)).holds(None));
    }
}
