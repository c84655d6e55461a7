//! Everything in a store, row by row, as it was at one moment: what a backup is made of.

use std::path::Path;

use redb::{Database, ReadTransaction, ReadableDatabase, ReadableTable};
use store::StoreError;

use crate::disk;
use crate::error::{OpenError, reason};
use crate::layout::{BLOCKS, BODIES, MARKS, RECORDS, USES};
use crate::overlay::Overlay;
use crate::verify::{self, Left};

/// A page is full when it has so many bytes; one row more may stand in it.
const PAGE_BYTES: usize = 1 << 20;
/// The most rows in a page.
const PAGE_ROWS: usize = 4_000;
/// Bytes of the file kept in memory while a file is copied that no server has open.
pub(crate) const CACHE_BYTES: usize = 16 << 20;

/// A table of the file. The order is that of a copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// Counters, and the number of the layout.
    Marks,
    /// Records by space and key.
    Records,
    /// Bodies of messages.
    Bodies,
    /// How many sessions wait for a body.
    Uses,
    /// Which messages a session waits for.
    Blocks,
}

impl Part {
    /// All of them, in the order of a copy.
    pub const ALL: [Self; 5] = [Self::Marks, Self::Records, Self::Bodies, Self::Uses, Self::Blocks];

    /// The letter by which backups name it.
    #[must_use]
    pub fn letter(self) -> char {
        match self {
            Self::Marks => 'M',
            Self::Records => 'R',
            Self::Bodies => 'B',
            Self::Uses => 'U',
            Self::Blocks => 'K',
        }
    }

    /// The part of a letter.
    #[must_use]
    pub fn of(letter: char) -> Option<Self> {
        Self::ALL.into_iter().find(|part| part.letter() == letter)
    }
}

/// One row. Numbers are big-endian.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Its table.
    pub part: Part,
    /// Its key.
    pub key: Vec<u8>,
    /// What stands there.
    pub value: Vec<u8>,
}

/// What a store held at one moment.
pub struct Copy {
    snapshot: ReadTransaction,
    /// Of a file that no store has open.
    _file: Option<Database>,
}

impl Copy {
    pub(crate) fn of(snapshot: ReadTransaction) -> Self {
        Self { snapshot, _file: None }
    }

    /// Opens the file of a store that is not running, and leaves it as it is.
    ///
    /// # Errors
    /// [`OpenError`]: in use, unusable, damaged.
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        let opened = look(path).and_then(|(file, _)| Ok((file.begin_read()?, file)));
        let (snapshot, file) = opened.map_err(|error| OpenError::from_redb(path.to_owned(), error))?;
        Ok(Self { snapshot, _file: Some(file) })
    }

    /// The rows after this one, or the first: about a mebibyte of them. None: that was all.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn rows(&self, after: Option<(Part, &[u8])>) -> Result<Vec<Row>, StoreError> {
        let first = after.map_or(Part::Marks, |(part, _)| part);
        for part in Part::ALL.into_iter().filter(|part| *part >= first) {
            let after = after.filter(|(last, _)| *last == part).map(|(_, key)| key);
            let page = self.page(part, after).map_err(|error| StoreError::unavailable(reason(&error)))?;
            if !page.is_empty() {
                return Ok(page);
            }
        }
        Ok(Vec::new())
    }

    fn page(&self, part: Part, after: Option<&[u8]>) -> Result<Vec<Row>, redb::Error> {
        let mut page = Page { part, rows: Vec::new(), bytes: 0 };
        match part {
            Part::Marks => {
                let table = self.snapshot.open_table(MARKS)?;
                let rows = table.iter()?.map(|row| {
                    row.map(|(name, mark)| {
                        (name.value().as_bytes().to_vec(), mark.value().to_be_bytes().to_vec())
                    })
                });
                let later = |key: &[u8]| after.is_none_or(|after| key > after);
                page.take(rows.filter(|row| row.as_ref().map_or(true, |(key, _)| later(key))))?;
            }
            Part::Records => page.take_bytes(&self.snapshot.open_table(RECORDS)?, after)?,
            Part::Blocks => page.take_bytes(&self.snapshot.open_table(BLOCKS)?, after)?,
            Part::Bodies => {
                let table = self.snapshot.open_table(BODIES)?;
                page.take(table.range(number_after(after)..)?.map(|row| {
                    row.map(|(key, value)| (key.value().to_be_bytes().to_vec(), value.value().to_vec()))
                }))?;
            }
            Part::Uses => {
                let table = self.snapshot.open_table(USES)?;
                page.take(table.range(number_after(after)..)?.map(|row| {
                    row.map(|(key, uses)| {
                        (key.value().to_be_bytes().to_vec(), uses.value().to_be_bytes().to_vec())
                    })
                }))?;
            }
        }
        Ok(page.rows)
    }
}

/// Opens a file for looking at it only, every page compared with its checksum. How it was left.
pub(crate) fn look(path: &Path) -> Result<(Database, Left), redb::Error> {
    disk::refuse_empty(path)?;
    verify::open(Overlay::open(path)?, true, CACHE_BYTES)
}

struct Page {
    part: Part,
    rows: Vec<Row>,
    bytes: usize,
}

type Pair = (Vec<u8>, Vec<u8>);

impl Page {
    fn take(
        &mut self,
        rows: impl Iterator<Item = Result<Pair, redb::StorageError>>,
    ) -> Result<(), redb::Error> {
        for row in rows {
            let (key, value) = row?;
            self.bytes += key.len() + value.len();
            self.rows.push(Row { part: self.part, key, value });
            if self.bytes >= PAGE_BYTES || self.rows.len() >= PAGE_ROWS {
                break;
            }
        }
        Ok(())
    }

    fn take_bytes(
        &mut self,
        table: &impl ReadableTable<&'static [u8], &'static [u8]>,
        after: Option<&[u8]>,
    ) -> Result<(), redb::Error> {
        // The smallest key after this one is the same key with a NUL behind it.
        let first = after.map_or_else(Vec::new, |after| [after, &[0]].concat());
        let rows = table.range::<&[u8]>(first.as_slice()..)?;
        self.take(rows.map(|row| row.map(|(key, value)| (key.value().to_vec(), value.value().to_vec()))))
    }
}

/// The number after the one that these bytes hold.
fn number_after(after: Option<&[u8]>) -> u64 {
    let last = after.and_then(|after| <[u8; 8]>::try_from(after).ok());
    last.map_or(0, |last| u64::from_be_bytes(last).saturating_add(1))
}
