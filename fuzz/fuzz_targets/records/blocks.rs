//! A block of a queue in the store's file: its key and its references, then what a trim and a new message make of it.

use bytes::Bytes;
use redb::backends::InMemoryBackend;
use redb::{Database, ReadableTable, ReadableTableMetadata};
use store::{Append, Key, Position, Recipient};

use crate::layout::Tables;
use crate::{queues, start};

thread_local! {
    static DATABASE: Database =
        Database::builder().create_with_backend(InMemoryBackend::new()).expect("a database in memory");
}

/// The first byte says how long the key is; the block follows it.
pub fn block(bytes: &[u8]) {
    let Some((length, rest)) = bytes.split_first() else { return };
    let (key, block) = rest.split_at(rest.len().min(usize::from(*length)));
    let Ok(positions) = queues::positions(key, block) else { return };
    assert!(positions.len() * 9 <= block.len(), "more references than there is room for");
    let (name, from) = key[2..].split_at(key.len() - 10);
    start::queue(name);
    let from = Position(u64::from_be_bytes(from.try_into().expect("eight bytes")));
    DATABASE.with(|database| {
        let transaction = database.begin_write().expect("memory can be written");
        let mut tables = Tables::open(&transaction).expect("tables in memory");
        tables.blocks.insert(key, block).expect("a block in memory");
        lives(&mut tables, Key::from(Bytes::copy_from_slice(name)), from, &positions).expect("a sound queue");
        drop(tables);
        transaction.abort().expect("memory can be forgotten");
    });
}

/// A message more, a trim to the middle, a trim to the end: nothing is left, and nothing went before its time.
fn lives(tables: &mut Tables<'_>, name: Key, from: Position, were: &[Position]) -> Result<(), redb::Error> {
    let mut all = were.to_vec();
    if let Some(last) = were.last().filter(|last| **last < Position::END) {
        let to = vec![Recipient { session: name.clone(), tag: Bytes::from_static(b"tag") }];
        all.push(queues::append(tables, vec![Append { body: Bytes::from_static(b"body"), to }], *last)?);
    }
    let middle = were[were.len() / 2];
    let first = queues::trim(tables, &name, middle)?;
    // A block whose key is after its first reference is not where it is looked for.
    if from <= were[0] {
        let left: Vec<Position> = all.iter().copied().filter(|position| *position > middle).collect();
        assert_eq!(first.dropped, all.len() - left.len());
        assert_eq!(positions(tables)?, left, "a trim leaves something else");
    }
    let second = queues::trim(tables, &name, Position::END)?;
    assert_eq!(first.dropped + second.dropped, all.len());
    assert!(
        tables.blocks.is_empty()? && tables.bodies.is_empty()? && tables.uses.is_empty()?,
        "something is left"
    );
    Ok(())
}

/// All references that there are, read from the blocks as they were written.
fn positions(tables: &Tables<'_>) -> Result<Vec<Position>, redb::Error> {
    let mut all = Vec::new();
    for row in tables.blocks.iter()? {
        let (key, block) = row?;
        all.extend(queues::positions(key.value(), block.value())?);
    }
    Ok(all)
}
