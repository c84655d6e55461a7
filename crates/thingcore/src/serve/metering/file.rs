//! The file of the counters: lines are appended, and the whole is written anew when it has grown too long.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use metering::{Record, read_records, written_records};

use crate::data_dir::write_secret;

/// A file shorter than this is never written anew for its length.
const LONG: u64 = 16 * 1024 * 1024;
/// A file longer than this is not read.
const MOST: u64 = 1024 * 1024 * 1024;

/// The records of a file that is there, and what was odd about it. What cannot be continued is kept under another name.
pub fn read(path: &Path, kilobyte: u64) -> io::Result<(Option<Vec<Record>>, Option<String>)> {
    let length = match fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok((None, None)),
        found => found?.len(),
    };
    let records = match length {
        0..=MOST => read_records(&String::from_utf8_lossy(&fs::read(path)?)),
        _ => Err(format!("it is longer than {MOST} bytes")),
    };
    let problem = match records {
        Ok(records) => match records.first() {
            Some(Record::Begin { kilobyte: then, .. }) if *then != kilobyte => {
                format!("it was counted in KB of {then} bytes, and now it is {kilobyte}")
            }
            _ => return Ok((Some(records), None)),
        },
        Err(error) => error,
    };
    let kept = path.with_extension("old");
    fs::rename(path, &kept)?;
    let text = format!(
        "the counters of {} cannot be continued: {problem}; they are kept as {}, and counting begins at 0",
        path.display(),
        kept.display()
    );
    Ok((None, Some(text)))
}

/// The open file.
pub struct BillFile {
    path: PathBuf,
    file: File,
    /// Bytes when it was written anew.
    whole: u64,
    appended: u64,
}

impl BillFile {
    /// Writes a new file with these records in place of the one that is there.
    pub fn create(path: &Path, records: &[Record]) -> io::Result<Self> {
        let text = written_records(records);
        write_secret(path, text.as_bytes())?;
        let file = OpenOptions::new().append(true).open(path)?;
        Ok(Self { path: path.to_owned(), file, whole: text.len() as u64, appended: 0 })
    }

    /// The same, for an open file.
    pub fn replace(&mut self, records: &[Record]) -> io::Result<()> {
        *self = Self::create(&self.path, records)?;
        Ok(())
    }

    /// Adds lines. They are on disk when this returns: neither a kill nor a power failure takes them back.
    pub fn append(&mut self, records: &[Record]) -> io::Result<()> {
        if records.is_empty() {
            return Ok(());
        }
        let text = written_records(records);
        self.file.write_all(text.as_bytes())?;
        self.appended += text.len() as u64;
        self.file.sync_data()
    }

    /// Most of it is old.
    pub fn is_long(&self) -> bool {
        self.appended > LONG.max(4 * self.whole)
    }

    /// The last time.
    pub fn finish(&self) {
        // A failure loses what the system has not written yet, and only if it goes down too.
        let _ = self.file.sync_all();
    }
}

#[cfg(test)]
mod tests {
    use identity::Timestamp;

    use super::*;
    use metering::{Counts, Item, Ledger, Meter, Name, Span, Switches};

    fn counts(units: u64) -> Counts {
        Counts { units, bytes: 9, ..Counts::default() }
    }

    fn records(units: u64) -> Vec<Record> {
        let name = Name { client: "c".into(), principal: "p".into(), topic: "t".into(), item: Item::Will };
        vec![
            Record::Name { row: 99, name },
            Record::Counts { at: Timestamp(1), rows: vec![(99, counts(units))] },
        ]
    }

    #[test]
    fn what_was_written_is_continued() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("bill.jsonl");
        let fresh = Ledger::new(Switches::default(), Timestamp(7));
        let mut file = BillFile::create(&path, &fresh.whole()).unwrap();
        file.append(&records(3)).unwrap();
        file.append(&records(5)).unwrap();
        // Killed in the middle of a line.
        file.file.write_all(b"{\"c\":[4,[[99,").unwrap();
        let (found, warning) = read(&path, 1024).unwrap();
        assert_eq!(warning, None);
        let meter = Meter::new(1024, 2);
        let ledger = Ledger::restore(&meter, Switches::default(), found.unwrap(), Timestamp(9));
        let usage = ledger.usage(Span::All);
        assert_eq!((usage.from, usage.rows.len(), usage.rows[0].counts), (Timestamp(7), 1, counts(5)));
    }

    /// The power fails at any byte of what was not synced yet, and the disk shows zeros, or nothing, where the rest would
    /// be: what an earlier append acknowledged is there.
    #[test]
    fn a_power_failure_takes_what_came_after_the_last_sync() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("bill.jsonl");
        let fresh = Ledger::new(Switches::default(), Timestamp(7));
        let mut file = BillFile::create(&path, &fresh.whole()).unwrap();
        let mut synced = vec![fs::metadata(&path).unwrap().len() as usize];
        for second in 1..=3 {
            file.append(&records(second)).unwrap();
            synced.push(fs::metadata(&path).unwrap().len() as usize);
        }
        let whole = fs::read(&path).unwrap();
        let units_after = |content: &[u8]| {
            fs::write(&path, content).unwrap();
            let (found, warning) = read(&path, 1024).unwrap();
            assert_eq!(warning, None);
            let meter = Meter::new(1024, 2);
            let ledger = Ledger::restore(&meter, Switches::default(), found.unwrap(), Timestamp(9));
            ledger.usage(Span::All).rows.first().map_or(0, |row| row.counts.units)
        };
        for (second, ends) in synced.windows(2).enumerate() {
            for cut in ends[0]..=ends[1] {
                let promised = second as u64..=second as u64 + 1;
                let mut zeros = whole[..cut].to_vec();
                assert!(promised.contains(&units_after(&zeros)), "cut at {cut}");
                zeros.resize(ends[1], 0);
                assert!(promised.contains(&units_after(&zeros)), "zeros from {cut}");
            }
        }
    }

    #[test]
    fn what_cannot_be_continued_is_kept_aside() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("bill.jsonl");
        assert_eq!(read(&path, 1024).unwrap(), (None, None));
        let fresh = Ledger::new(Switches::default(), Timestamp(7));
        BillFile::create(&path, &fresh.whole()).unwrap();
        let (found, warning) = read(&path, 1000).unwrap();
        assert!(found.is_none() && warning.unwrap().contains("KB of 1024"));
        assert!(folder.path().join("bill.old").exists() && !path.exists());
        fs::write(&path, "nonsense").unwrap();
        assert!(read(&path, 1024).unwrap().1.unwrap().contains("begins at 0"));
    }
}
