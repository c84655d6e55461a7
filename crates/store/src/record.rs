//! What a store holds and reports: spaces, revisions, versioned values, changes.

use std::fmt;

use bytes::Bytes;

use crate::Key;

/// A point in the store's history. Every batch that writes something moves the store to a greater revision.
///
/// Revisions order changes; their distance means nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Revision(pub u64);

impl Revision {
    /// Before the first write.
    pub const ZERO: Self = Self(0);
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// The name of a family of records, such as `certificates`: 1 to 64 of `a-z`, `0-9`, `-`, `_`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Space(&'static str);

impl Space {
    /// Names a space. Meant for constants: a name against the rules does not compile there.
    ///
    /// # Panics
    /// When `name` is not 1 to 64 of `a-z`, `0-9`, `-`, `_`.
    #[must_use]
    pub const fn new(name: &'static str) -> Self {
        assert!(spelled_well(name.as_bytes()), "a space's name is 1 to 64 of a-z, 0-9, '-', '_'");
        Self(name)
    }

    /// The name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        self.0
    }
}

const fn spelled_well(name: &[u8]) -> bool {
    let mut rest = name;
    while let [byte, tail @ ..] = rest {
        if !matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_') {
            return false;
        }
        rest = tail;
    }
    !name.is_empty() && name.len() <= 64
}

impl fmt::Display for Space {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

/// A value with the revision that wrote it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Versioned {
    /// Written at. The token for [`Condition::Revision`](crate::Condition::Revision).
    pub revision: Revision,
    /// The bytes.
    pub value: Bytes,
}

/// One row of a scan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The whole key, prefix included.
    pub key: Key,
    /// Written at.
    pub revision: Revision,
    /// The bytes.
    pub value: Bytes,
}

/// One key that a committed batch wrote or deleted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The revision from which a feed resumes after this change's batch.
    pub revision: Revision,
    /// Which family of records.
    pub space: Space,
    /// Which record.
    pub key: Key,
    /// What it holds now; `None` when it was deleted.
    pub value: Option<Bytes>,
}
