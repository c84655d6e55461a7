//! Records in the file: batches applied by the writer, reads from snapshots.

use bytes::{BufMut, Bytes, BytesMut};
use redb::{ReadTransaction, ReadableTable, Table};
use store::port::page_takes_more;
use store::{Change, CommitError, Entry, Key, Revision, Sealed, Space, Versioned, Write};

use crate::error::contradiction;
use crate::layout::RECORDS;

const REVISION_BYTES: usize = 8;

/// Why a batch was not applied.
pub(crate) enum Refusal {
    /// Its conditions do not hold; the transaction goes on.
    Commit(CommitError),
    /// The file failed; the transaction is lost.
    File(redb::Error),
}

impl<E: Into<redb::Error>> From<E> for Refusal {
    fn from(error: E) -> Self {
        Self::File(error.into())
    }
}

type Records<'txn> = Table<'txn, &'static [u8], &'static [u8]>;

/// Checks all conditions, then writes; a refused batch has written nothing.
pub(crate) fn apply(
    records: &mut Records<'_>,
    batch: Sealed,
    revision: Revision,
) -> Result<Vec<Change>, Refusal> {
    for check in batch.checks() {
        let found = records.get(stored_key(check.space, check.key.as_bytes()).as_ref())?;
        let current = found.map(|found| revision_of(found.value())).transpose()?;
        if !check.condition.holds(current) {
            let conflict = CommitError::Conflict { space: check.space, key: check.key.clone() };
            return Err(Refusal::Commit(conflict));
        }
    }
    let writes = batch.into_writes();
    Ok(writes.into_iter().map(|write| put(records, write, revision)).collect::<Result<_, _>>()?)
}

fn put(records: &mut Records<'_>, write: Write, revision: Revision) -> Result<Change, redb::Error> {
    let Write { space, key, value } = write;
    let stored = stored_key(space, key.as_bytes());
    match &value {
        Some(value) => {
            let size = REVISION_BYTES + value.len();
            let mut place = records.insert_reserve(stored.as_ref(), size)?;
            let mut place: &mut [u8] = place.as_mut();
            place.put_u64(revision.0);
            place.put_slice(value);
        }
        None => drop(records.remove(stored.as_ref())?),
    }
    Ok(Change { revision, space, key, value })
}

pub(crate) fn get(
    snapshot: &ReadTransaction,
    space: Space,
    key: &[u8],
) -> Result<Option<Versioned>, redb::Error> {
    let records = snapshot.open_table(RECORDS)?;
    let found = records.get(stored_key(space, key).as_ref())?;
    found.map(|found| versioned(found.value())).transpose()
}

pub(crate) fn page(
    snapshot: &ReadTransaction,
    space: Space,
    prefix: &[u8],
    after: Option<&[u8]>,
    limit: usize,
) -> Result<Vec<Entry>, redb::Error> {
    let records = snapshot.open_table(RECORDS)?;
    let wanted = stored_key(space, prefix);
    let start = match after {
        // The smallest key after this one is the same key with a NUL behind it.
        Some(after) if after >= prefix => [stored_key(space, after).as_ref(), &[0]].concat(),
        _ => wanted.to_vec(),
    };
    let name = stored_key(space, b"").len();
    let mut page: Vec<Entry> = Vec::new();
    let mut bytes = 0;
    for row in records.range::<&[u8]>(start.as_slice()..)? {
        let (key, value) = row?;
        if !key.value().starts_with(&wanted) || !page_takes_more(limit, page.len(), bytes) {
            break;
        }
        let key = Key::from(Bytes::copy_from_slice(key.value().get(name..).unwrap_or_default()));
        let Versioned { revision, value } = versioned(value.value())?;
        bytes += value.len();
        page.push(Entry { key, revision, value });
    }
    Ok(page)
}

fn stored_key(space: Space, key: &[u8]) -> Bytes {
    let mut stored = BytesMut::with_capacity(space.as_str().len() + 1 + key.len());
    stored.put_slice(space.as_str().as_bytes());
    stored.put_u8(0);
    stored.put_slice(key);
    stored.freeze()
}

fn split(stored: &[u8]) -> Result<(Revision, &[u8]), redb::Error> {
    let (revision, value) = stored
        .split_first_chunk::<REVISION_BYTES>()
        .ok_or_else(|| contradiction("a record is shorter than its revision"))?;
    Ok((Revision(u64::from_be_bytes(*revision)), value))
}

fn revision_of(stored: &[u8]) -> Result<Revision, redb::Error> {
    Ok(split(stored)?.0)
}

fn versioned(stored: &[u8]) -> Result<Versioned, redb::Error> {
    let (revision, value) = split(stored)?;
    Ok(Versioned { revision, value: Bytes::copy_from_slice(value) })
}

/// A row taken apart.
pub(crate) struct Parts<'a> {
    pub(crate) space: &'a str,
    pub(crate) key: &'a [u8],
    pub(crate) revision: Revision,
    pub(crate) value: &'a [u8],
}

/// Takes a row apart, for a look at the whole file.
pub(crate) fn parts<'a>(stored: &'a [u8], value: &'a [u8]) -> Result<Parts<'a>, redb::Error> {
    let unnamed = || contradiction("it is in no space");
    let end = stored.iter().position(|byte| *byte == 0).ok_or_else(unnamed)?;
    let (space, key) = stored.split_at_checked(end).ok_or_else(unnamed)?;
    let space = std::str::from_utf8(space).ok().filter(|space| !space.is_empty()).ok_or_else(unnamed)?;
    let (revision, value) = split(value)?;
    Ok(Parts { space, key: key.get(1..).unwrap_or_default(), revision, value })
}
