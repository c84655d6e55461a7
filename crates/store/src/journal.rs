//! The journal's port: messages waiting for sessions, appended by anyone, read and trimmed by the session's owner.

use bytes::Bytes;

use crate::batch::admit_key;
use crate::{Boxed, Key, Limit, StoreError};

/// A place in a session's queue. Later records have greater positions; the distance means nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Position(pub u64);

impl Position {
    /// Before the first record.
    pub const START: Self = Self(0);
    /// After every record: trimming up to here empties the queue.
    pub const END: Self = Self(u64::MAX);
}

/// One message for one or many sessions. Backends may keep the body once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Append {
    /// The message.
    pub body: Bytes,
    /// Who waits for it.
    pub to: Vec<Recipient>,
}

/// A session that a message waits for, and what is particular to it (granted QoS, subscription identifiers...).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recipient {
    /// The session's name.
    pub session: Key,
    /// Opaque to the journal, at most [`Recipient::MAX_TAG_BYTES`].
    pub tag: Bytes,
}

/// One message in a session's queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Its place.
    pub position: Position,
    /// As appended for this session.
    pub tag: Bytes,
    /// As appended.
    pub body: Bytes,
}

impl Append {
    /// The longest body, in bytes.
    pub const MAX_BODY_BYTES: usize = 1 << 20;
    /// The most records, one per recipient, in one call of [`Journal::append`].
    pub const MAX_RECORDS: usize = 10_000;
    /// The most bytes of bodies, recipients' names and tags in one call of [`Journal::append`].
    pub const MAX_BYTES: usize = 16 << 20;

    /// For backends: enforces the bounds of one call.
    ///
    /// # Errors
    /// [`StoreError::Limit`].
    pub fn admit(appends: &[Self]) -> Result<(), StoreError> {
        Limit::AppendRecords.admit(appends.iter().map(|append| append.to.len()).sum(), Self::MAX_RECORDS)?;
        Limit::AppendRecords.admit(appends.len(), Self::MAX_RECORDS)?;
        Limit::AppendBytes.admit(appends.iter().map(Self::bytes).sum(), Self::MAX_BYTES)?;
        for append in appends {
            Limit::BodyBytes.admit(append.body.len(), Self::MAX_BODY_BYTES)?;
            append.to.iter().try_for_each(Recipient::admit)?;
        }
        Ok(())
    }

    /// Bytes of the body, names and tags.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.body.len() + self.to.iter().map(|to| to.session.len() + to.tag.len()).sum::<usize>()
    }
}

impl Recipient {
    /// The longest tag, in bytes.
    pub const MAX_TAG_BYTES: usize = 255;

    fn admit(&self) -> Result<(), StoreError> {
        admit_key(&self.session)?;
        Limit::TagBytes.admit(self.tag.len(), Self::MAX_TAG_BYTES)
    }
}

/// Keeps a queue of records per session.
///
/// Once a reader has seen a position of a session, no record with a smaller one appears in it: trimming up to what
/// was read loses nothing. How many records a session may have is the caller's business.
pub trait Journal: Send + Sync {
    /// Appends all or nothing, in order, and answers when it is durable: no record of this call is after the
    /// position answered.
    ///
    /// # Errors
    /// Limits; unavailability, after which the records may or may not be there.
    fn append(&self, appends: Vec<Append>) -> Boxed<'_, Result<Position, StoreError>>;

    /// At most `limit` records of a session after `after`, in order. As with [`Store::scan`](crate::Store::scan), a
    /// page may be shorter; an empty page is the end.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    fn read<'a>(
        &'a self,
        session: &'a Key,
        after: Position,
        limit: usize,
    ) -> Boxed<'a, Result<Vec<Record>, StoreError>>;

    /// The names of at most `limit` queues that hold a record, in an order of the backend's, after the queue `after` in that
    /// order. An empty page is the end.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    fn queues<'a>(&'a self, after: Option<&'a Key>, limit: usize) -> Boxed<'a, Result<Vec<Key>, StoreError>>;

    /// Forgets a session's records up to and including `upto`. Doing it again changes nothing.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    fn trim<'a>(&'a self, session: &'a Key, upto: Position) -> Boxed<'a, Result<(), StoreError>>;
}

/// What became of appends.
#[derive(Debug, Default)]
pub struct Appended {
    /// So many of them are durable, from the first on; of the others it is not known after an error.
    pub taken: usize,
    /// The last position of these.
    pub last: Option<Position>,
    /// Why there are no more.
    pub error: Option<StoreError>,
}

impl Appended {
    /// The last position, if all of them are durable.
    ///
    /// # Errors
    /// Those of [`Journal::append`].
    pub fn all(&self) -> Result<Option<Position>, StoreError> {
        self.error.clone().map_or(Ok(self.last), Err)
    }

    async fn call(&mut self, journal: &dyn Journal, appends: Vec<Append>) -> bool {
        let count = appends.len();
        match journal.append(appends).await {
            Ok(position) => {
                self.taken += count;
                self.last = Some(position);
            }
            Err(error) => self.error = Some(error),
        }
        self.error.is_none()
    }
}

/// In as many calls as the journal's limits ask for, one after the other. After the first error nothing more is written.
pub async fn append_all(journal: &dyn Journal, appends: Vec<Append>) -> Appended {
    let (mut call, mut records, mut bytes, mut appended) = (Vec::new(), 0, 0, Appended::default());
    for append in appends {
        let (count, weight) = (append.to.len().max(1), append.bytes());
        let is_full = records + count > Append::MAX_RECORDS || bytes + weight > Append::MAX_BYTES;
        if is_full && !call.is_empty() {
            if !appended.call(journal, std::mem::take(&mut call)).await {
                return appended;
            }
            (records, bytes) = (0, 0);
        }
        (records, bytes) = (records + count, bytes + weight);
        call.push(append);
    }
    if !call.is_empty() {
        appended.call(journal, call).await;
    }
    appended
}
