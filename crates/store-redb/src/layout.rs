//! Tables of the file and the bytes in them. A change here needs a new [`FORMAT`] and a way to read the old one.

use redb::{Database, ReadableDatabase, ReadableTable, Table, TableDefinition, TableError, WriteTransaction};
use store::{Position, Revision};

/// The number of this layout.
pub(crate) const FORMAT: u64 = 1;

/// Records: `space, NUL, key` to `revision (8 bytes, big-endian), value`.
pub(crate) const RECORDS: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("records");
/// Message bodies by global position: new ones are always appended at the end.
pub(crate) const BODIES: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("bodies");
/// How many sessions still wait for a body.
pub(crate) const USES: TableDefinition<'_, u64, u32> = TableDefinition::new("uses");
/// Blocks of references to bodies: `length of session (2), session, position (8)` to `{position (8), tag length (1),
/// tag}*`. A block's key is not after its first reference and after the last one of the block before.
pub(crate) const BLOCKS: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("blocks");
/// Counters.
pub(crate) const MARKS: TableDefinition<'_, &str, u64> = TableDefinition::new("marks");

/// The counters: where the store is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Marks {
    /// Of the last batch.
    pub(crate) revision: Revision,
    /// Of the last message body.
    pub(crate) position: Position,
    /// Of the last group commit: tells after a failure whether it happened.
    pub(crate) group: u64,
}

impl Marks {
    /// Reads the counters; all are zero in a new file.
    pub(crate) fn read(table: &impl ReadableTable<&'static str, u64>) -> Result<Self, redb::Error> {
        let mark = |name| -> Result<u64, redb::Error> { Ok(table.get(name)?.map_or(0, |mark| mark.value())) };
        Ok(Self {
            revision: Revision(mark("revision")?),
            position: Position(mark("position")?),
            group: mark("group")?,
        })
    }

    /// Reads the counters of an open database.
    pub(crate) fn of(database: &Database) -> Result<Self, redb::Error> {
        Self::read(&database.begin_read()?.open_table(MARKS)?)
    }

    pub(crate) fn write(self, table: &mut Table<'_, &'static str, u64>) -> Result<(), redb::Error> {
        table.insert("revision", self.revision.0)?;
        table.insert("position", self.position.0)?;
        table.insert("group", self.group)?;
        Ok(())
    }
}

/// The tables of one write transaction.
pub(crate) struct Tables<'txn> {
    pub(crate) records: Table<'txn, &'static [u8], &'static [u8]>,
    pub(crate) bodies: Table<'txn, u64, &'static [u8]>,
    pub(crate) uses: Table<'txn, u64, u32>,
    pub(crate) blocks: Table<'txn, &'static [u8], &'static [u8]>,
    pub(crate) marks: Table<'txn, &'static str, u64>,
}

impl<'txn> Tables<'txn> {
    pub(crate) fn open(transaction: &'txn WriteTransaction) -> Result<Self, redb::Error> {
        Ok(Self {
            records: transaction.open_table(RECORDS)?,
            bodies: transaction.open_table(BODIES)?,
            uses: transaction.open_table(USES)?,
            blocks: transaction.open_table(BLOCKS)?,
            marks: transaction.open_table(MARKS)?,
        })
    }
}

/// Makes the tables of a new file, or finds out which layout an old one has.
pub(crate) fn prepare(database: &Database) -> Result<u64, redb::Error> {
    let snapshot = database.begin_read()?;
    match snapshot.open_table(MARKS) {
        Ok(marks) => Ok(marks.get("format")?.map_or(0, |format| format.value())),
        Err(TableError::TableDoesNotExist(_)) => create(database),
        Err(error) => Err(error.into()),
    }
}

fn create(database: &Database) -> Result<u64, redb::Error> {
    let transaction = database.begin_write()?;
    Tables::open(&transaction)?.marks.insert("format", FORMAT)?;
    transaction.commit()?;
    Ok(FORMAT)
}
