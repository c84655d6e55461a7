//! A new store's file out of the rows of a copy.

use std::path::{Path, PathBuf};

use redb::{Database, Durability};

use crate::copy::{CACHE_BYTES, Part, Row};
use crate::disk;
use crate::error::{OpenError, contradiction};
use crate::layout::Tables;
use crate::verify;

/// So many bytes are written in one transaction.
const GROUP_BYTES: usize = 8 << 20;

/// A file that is being filled. It is of no use before [`Self::finish`].
pub struct Rebuild {
    path: PathBuf,
    database: Database,
    waiting: Vec<Row>,
    bytes: usize,
}

impl Rebuild {
    /// Makes the file, readable by its owner only.
    ///
    /// # Errors
    /// [`OpenError`]: there is a file already, or none can be made.
    pub fn create(path: &Path) -> Result<Self, OpenError> {
        let failed = |error| OpenError::from_redb(path.to_owned(), error);
        if path.exists() {
            let error = std::io::ErrorKind::AlreadyExists.into();
            return Err(OpenError::Io { path: path.to_owned(), error });
        }
        let file = disk::open(path).map_err(|error| failed(error.into()))?;
        let (database, _) = verify::open(file, false, CACHE_BYTES).map_err(failed)?;
        Ok(Self { path: path.to_owned(), database, waiting: Vec::new(), bytes: 0 })
    }

    /// Adds a row.
    ///
    /// # Errors
    /// [`OpenError`]: the row has not the form of its table, or the disk failed.
    pub fn put(&mut self, row: Row) -> Result<(), OpenError> {
        self.bytes += row.key.len() + row.value.len();
        self.waiting.push(row);
        if self.bytes < GROUP_BYTES { Ok(()) } else { self.write() }
    }

    /// Writes what is left and closes the file. The disk has it then.
    ///
    /// # Errors
    /// [`OpenError`]: the disk failed.
    pub fn finish(mut self) -> Result<(), OpenError> {
        self.write()?;
        let Self { path, database, .. } = self;
        database.close().map_err(|error| OpenError::from_redb(path, error.into()))
    }

    fn write(&mut self) -> Result<(), OpenError> {
        self.bytes = 0;
        let rows = std::mem::take(&mut self.waiting);
        fill(&self.database, rows).map_err(|error| OpenError::from_redb(self.path.clone(), error))
    }
}

fn fill(database: &Database, rows: Vec<Row>) -> Result<(), redb::Error> {
    let mut transaction = database.begin_write()?;
    transaction.set_durability(Durability::Immediate)?;
    let mut tables = Tables::open(&transaction)?;
    rows.into_iter().try_for_each(|row| put(&mut tables, &row))?;
    drop(tables);
    Ok(transaction.commit()?)
}

fn put(tables: &mut Tables<'_>, row: &Row) -> Result<(), redb::Error> {
    let (key, value) = (row.key.as_slice(), row.value.as_slice());
    match row.part {
        Part::Marks => {
            let name =
                std::str::from_utf8(key).map_err(|_| contradiction("the name of a counter is no text"))?;
            tables.marks.insert(name, u64::from_be_bytes(number(value)?)).map(drop)?;
        }
        Part::Records => tables.records.insert(key, value).map(drop)?,
        Part::Bodies => tables.bodies.insert(u64::from_be_bytes(number(key)?), value).map(drop)?,
        Part::Uses => {
            let uses = u32::from_be_bytes(number(value)?);
            tables.uses.insert(u64::from_be_bytes(number(key)?), uses).map(drop)?;
        }
        Part::Blocks => tables.blocks.insert(key, value).map(drop)?,
    }
    Ok(())
}

fn number<const N: usize>(bytes: &[u8]) -> Result<[u8; N], redb::Error> {
    bytes.try_into().map_err(|_| contradiction("a number has another length"))
}
