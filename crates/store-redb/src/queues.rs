//! The journal in the file: bodies once under a global position, references per session in blocks of at most 64.

use std::collections::BTreeMap;

use bytes::{Buf, BufMut, Bytes};
use redb::{AccessGuard, ReadTransaction, ReadableTable};
use store::port::page_takes_more;
use store::{Append, Key, Position, Record};

use crate::error::contradiction;
use crate::layout::{BLOCKS, BODIES, Tables};

/// The most references in one block.
const BLOCK: usize = 64;
/// The most references that one write of the journal gives up, so that one long queue does not stop everybody.
const TRIM_STEP: usize = 4_000;

struct Reference {
    position: Position,
    tag: Bytes,
}

/// A block as it stands in the table.
struct Block {
    key: Vec<u8>,
    references: Vec<Reference>,
}

impl Block {
    fn read(
        row: (AccessGuard<'_, &'static [u8]>, AccessGuard<'_, &'static [u8]>),
    ) -> Result<Self, redb::Error> {
        let (key, block) = row;
        Ok(Self { key: key.value().to_vec(), references: decode(block.value())? })
    }
}

/// Writes bodies and references; answers the last position given.
pub(crate) fn append(
    tables: &mut Tables<'_>,
    appends: Vec<Append>,
    mut last: Position,
) -> Result<Position, redb::Error> {
    let mut sessions: BTreeMap<Key, Vec<Reference>> = BTreeMap::new();
    for append in appends.into_iter().filter(|append| !append.to.is_empty()) {
        last = Position(last.0 + 1);
        // A session named twice gets the message once.
        let tags: BTreeMap<Key, Bytes> = append.to.into_iter().map(|to| (to.session, to.tag)).collect();
        tables.bodies.insert(last.0, append.body.as_ref())?;
        tables.uses.insert(last.0, u32::try_from(tags.len()).unwrap_or(u32::MAX))?;
        for (session, tag) in tags {
            sessions.entry(session).or_default().push(Reference { position: last, tag });
        }
    }
    for (session, references) in sessions {
        enqueue(tables, &session, references)?;
    }
    Ok(last)
}

/// Fills the session's last block, then adds blocks.
fn enqueue(tables: &mut Tables<'_>, session: &Key, added: Vec<Reference>) -> Result<(), redb::Error> {
    let last = last_block(tables, session)?.filter(|block| block.references.len() < BLOCK);
    let mut block = last.unwrap_or(Block { key: Vec::new(), references: Vec::new() });
    for reference in added {
        if block.references.len() == BLOCK {
            put(tables, &block)?;
            block.references.clear();
        }
        if block.references.is_empty() {
            block.key = block_key(session, reference.position);
        }
        block.references.push(reference);
    }
    put(tables, &block)
}

fn put(tables: &mut Tables<'_>, block: &Block) -> Result<(), redb::Error> {
    tables.blocks.insert(block.key.as_slice(), encode(&block.references).as_slice())?;
    Ok(())
}

fn last_block(tables: &Tables<'_>, session: &Key) -> Result<Option<Block>, redb::Error> {
    let (first, last) = (block_key(session, Position::START), block_key(session, Position::END));
    let row = tables.blocks.range::<&[u8]>(first.as_slice()..=last.as_slice())?.next_back();
    row.transpose()?.map(Block::read).transpose()
}

pub(crate) fn page(
    snapshot: &ReadTransaction,
    session: &Key,
    after: Position,
    limit: usize,
) -> Result<Vec<Record>, redb::Error> {
    let blocks = snapshot.open_table(BLOCKS)?;
    let bodies = snapshot.open_table(BODIES)?;
    let first = first_block(&blocks, session, after)?;
    let last = block_key(session, Position::END);
    let mut page: Vec<Record> = Vec::new();
    let mut bytes = 0;
    for row in blocks.range::<&[u8]>(first.as_slice()..=last.as_slice())? {
        let (_, block) = row?;
        let wanted = decode(block.value())?.into_iter().filter(|reference| reference.position > after);
        for Reference { position, tag } in wanted {
            if !page_takes_more(limit, page.len(), bytes) {
                return Ok(page);
            }
            let body =
                bodies.get(position.0)?.ok_or_else(|| contradiction("a queued message has no body"))?;
            let body = Bytes::copy_from_slice(body.value());
            bytes += body.len();
            page.push(Record { position, tag, body });
        }
    }
    Ok(page)
}

/// The key of the block that holds, or would hold, what comes after a position.
fn first_block(
    blocks: &impl ReadableTable<&'static [u8], &'static [u8]>,
    session: &Key,
    after: Position,
) -> Result<Vec<u8>, redb::Error> {
    let (start, end) = (block_key(session, Position::START), block_key(session, after));
    let before = blocks.range::<&[u8]>(start.as_slice()..=end.as_slice())?.next_back();
    Ok(before.transpose()?.map_or(end, |(key, _)| key.value().to_vec()))
}

/// Names of queues. From each the next one is looked up: the cost is that of the names, not of the records.
pub(crate) fn names(
    snapshot: &ReadTransaction,
    after: Option<&Key>,
    limit: usize,
) -> Result<Vec<Key>, redb::Error> {
    let blocks = snapshot.open_table(BLOCKS)?;
    let mut names = Vec::new();
    let mut from = after.map(behind).unwrap_or_default();
    while names.len() < limit {
        let Some(row) = blocks.range::<&[u8]>(from.as_slice()..)?.next() else { break };
        let name = name_of(row?.0.value())?;
        from = behind(&name);
        names.push(name);
    }
    Ok(names)
}

/// The place behind all blocks of a queue.
fn behind(name: &Key) -> Vec<u8> {
    let mut key = block_key(name, Position::END);
    key.push(0);
    key
}

/// What a trim did.
pub(crate) struct Trimmed {
    pub(crate) dropped: usize,
    /// There is more to drop.
    pub(crate) more: bool,
}

/// Drops references up to `upto`, and bodies that nobody waits for any more.
pub(crate) fn trim(tables: &mut Tables<'_>, session: &Key, upto: Position) -> Result<Trimmed, redb::Error> {
    let mut dropped = 0;
    while dropped < TRIM_STEP {
        let Some(mut block) = oldest_block(tables, session, upto)? else {
            return Ok(Trimmed { dropped, more: false });
        };
        let kept = block.references.partition_point(|reference| reference.position <= upto);
        let kept = block.references.split_off(kept);
        let gone = std::mem::replace(&mut block.references, kept);
        if gone.is_empty() {
            return Ok(Trimmed { dropped, more: false });
        }
        if block.references.is_empty() {
            tables.blocks.remove(block.key.as_slice())?;
        } else {
            put(tables, &block)?;
        }
        dropped += gone.len();
        gone.iter().try_for_each(|reference| release(tables, reference.position))?;
    }
    Ok(Trimmed { dropped, more: true })
}

fn oldest_block(tables: &Tables<'_>, session: &Key, upto: Position) -> Result<Option<Block>, redb::Error> {
    let (first, last) = (block_key(session, Position::START), block_key(session, upto));
    let row = tables.blocks.range::<&[u8]>(first.as_slice()..=last.as_slice())?.next();
    row.transpose()?.map(Block::read).transpose()
}

fn release(tables: &mut Tables<'_>, position: Position) -> Result<(), redb::Error> {
    let uses = tables.uses.get(position.0)?.map_or(0, |uses| uses.value());
    if uses > 1 {
        tables.uses.insert(position.0, uses - 1)?;
    } else {
        tables.uses.remove(position.0)?;
        tables.bodies.remove(position.0)?;
    }
    Ok(())
}

/// The length in front keeps one session's blocks apart from those of a session whose name begins with its name.
fn block_key(session: &Key, position: Position) -> Vec<u8> {
    let mut key = Vec::with_capacity(2 + session.len() + 8);
    key.put_u16(u16::try_from(session.len()).unwrap_or(u16::MAX));
    key.put_slice(session.as_bytes());
    key.put_u64(position.0);
    key
}

fn encode(block: &[Reference]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(block.iter().map(|reference| 9 + reference.tag.len()).sum());
    for reference in block {
        bytes.put_u64(reference.position.0);
        bytes.put_u8(u8::try_from(reference.tag.len()).unwrap_or(u8::MAX));
        bytes.put_slice(&reference.tag);
    }
    bytes
}

fn decode(mut bytes: &[u8]) -> Result<Vec<Reference>, redb::Error> {
    let torn = || contradiction("a block of a session's queue is cut short");
    let mut block = Vec::new();
    while !bytes.is_empty() {
        let position = Position(bytes.try_get_u64().map_err(|_| torn())?);
        let length = usize::from(bytes.try_get_u8().map_err(|_| torn())?);
        let (tag, rest) = bytes.split_at_checked(length).ok_or_else(torn)?;
        block.push(Reference { position, tag: Bytes::copy_from_slice(tag) });
        bytes = rest;
    }
    Ok(block)
}

/// The queue that a block belongs to.
fn name_of(key: &[u8]) -> Result<Key, redb::Error> {
    let parts = key.split_first_chunk::<2>().zip(key.len().checked_sub(2 + 8));
    let parts = parts.filter(|((length, _), rest)| usize::from(u16::from_be_bytes(**length)) == *rest);
    let name = parts.and_then(|((_, rest), length)| rest.get(..length));
    let name = name.ok_or_else(|| contradiction("the key of a block has not its form"))?;
    Ok(Key::from(Bytes::copy_from_slice(name)))
}

/// The positions in a block, for a look at the whole file.
pub(crate) fn positions(key: &[u8], block: &[u8]) -> Result<Vec<Position>, redb::Error> {
    name_of(key)?;
    let positions: Vec<_> = decode(block)?.into_iter().map(|reference| reference.position).collect();
    if positions.is_empty() || !positions.is_sorted_by(|a, b| a < b) {
        return Err(contradiction("the references of a block are not in order"));
    }
    Ok(positions)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use redb::backends::InMemoryBackend;
    use redb::{Database, ReadableTableMetadata};
    use store::Recipient;

    use super::*;

    fn message(sessions: &[&str]) -> Append {
        let to = sessions.iter().map(|session| Recipient { session: Key::of(&[session]), tag: Bytes::new() });
        Append { body: Bytes::from_static(b"body"), to: to.collect() }
    }

    /// Rows of bodies, uses and blocks.
    fn rows(tables: &Tables<'_>) -> (u64, u64, u64) {
        (tables.bodies.len().unwrap(), tables.uses.len().unwrap(), tables.blocks.len().unwrap())
    }

    #[test]
    fn a_body_is_kept_once_and_as_long_as_somebody_waits() {
        let database = Database::builder().create_with_backend(InMemoryBackend::new()).unwrap();
        let transaction = database.begin_write().unwrap();
        let mut tables = Tables::open(&transaction).unwrap();
        let appends = (0..130).map(|_| message(&["a", "b", "a"])).collect();
        let last = append(&mut tables, appends, Position::START).unwrap();
        assert_eq!((last, rows(&tables)), (Position(130), (130, 130, 6)));
        let (a, b) = (Key::of(&["a"]), Key::of(&["b"]));
        assert_eq!(trim(&mut tables, &a, Position(70)).unwrap().dropped, 70);
        assert_eq!(rows(&tables), (130, 130, 5));
        assert_eq!(trim(&mut tables, &b, Position::END).unwrap().dropped, 130);
        assert_eq!(rows(&tables), (60, 60, 2));
        assert_eq!(trim(&mut tables, &a, Position::END).unwrap().dropped, 60);
        assert_eq!(rows(&tables), (0, 0, 0));
        assert_eq!(append(&mut tables, vec![message(&[])], last).unwrap(), last, "nobody, nothing");
    }

    #[test]
    fn a_long_queue_is_trimmed_in_steps() {
        let database = Database::builder().create_with_backend(InMemoryBackend::new()).unwrap();
        let transaction = database.begin_write().unwrap();
        let mut tables = Tables::open(&transaction).unwrap();
        let appends = (0..TRIM_STEP + 100).map(|_| message(&["a"])).collect();
        append(&mut tables, appends, Position::START).unwrap();
        let first = trim(&mut tables, &Key::of(&["a"]), Position::END).unwrap();
        assert!(first.more && first.dropped < TRIM_STEP + BLOCK);
        let second = trim(&mut tables, &Key::of(&["a"]), Position::END).unwrap();
        assert!(!second.more && first.dropped + second.dropped == TRIM_STEP + 100);
    }

    proptest! {
        #[test]
        fn blocks_come_back(tags in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..256), 0..64)) {
            let block: Vec<_> = tags
                .iter()
                .enumerate()
                .map(|(at, tag)| Reference { position: Position(at as u64), tag: Bytes::copy_from_slice(tag) })
                .collect();
            let back = decode(&encode(&block)).unwrap();
            prop_assert!(back.iter().zip(&block).all(|(a, b)| a.position == b.position && a.tag == b.tag));
            prop_assert_eq!(back.len(), block.len());
        }
    }

    #[test]
    fn a_torn_block_is_named() {
        let block = [Reference { position: Position(1), tag: Bytes::from_static(b"tag") }];
        let bytes = encode(&block);
        for cut in 1..bytes.len() {
            assert!(matches!(decode(&bytes[..cut]), Err(redb::Error::Corrupted(_))));
        }
    }
}
