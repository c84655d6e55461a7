//! The file of the counters: lines are appended, and the whole is written anew when it has grown too long.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use metering::{Record, damage, read_records, write_records};
use ready::{sync_folder, write_secret_with};

/// A file shorter than this is never written anew for its length.
const LONG: u64 = 16 * 1024 * 1024;
/// A file longer than this is not read.
const MOST: u64 = 1024 * 1024 * 1024;

/// A folder with more files that were kept than this has another trouble.
const MOST_KEPT: u32 = 1000;

/// The records of a file that is there, and what was odd about it. A file of which not everything can be continued is kept
/// under another name before anybody writes a new one in its place.
pub fn read(path: &Path, kilobyte: u64) -> io::Result<(Option<Vec<Record>>, Option<String>)> {
    let length = match fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok((None, None)),
        found => found?.len(),
    };
    let records = match length {
        0..=MOST => read_records(&fs::read(path)?),
        _ => Err(format!("it is longer than {MOST} bytes")),
    };
    let problem = match records {
        Ok(records) => match records.first() {
            Some(Record::Begin { kilobyte: then, .. }) if *then != kilobyte => {
                format!("it was counted in KB of {then} bytes, and now it is {kilobyte}")
            }
            _ => return continued(path, records),
        },
        Err(error) => error,
    };
    let text = format!(
        "the counters of {} cannot be continued: {problem}; they are kept as {}, and counting begins at 0",
        path.display(),
        keep(path)?.display()
    );
    Ok((None, Some(text)))
}

/// Counters are absolute: whatever comes after damaged lines is worth as much as without them, and what only they said is
/// lost.
fn continued(path: &Path, records: Vec<Record>) -> io::Result<(Option<Vec<Record>>, Option<String>)> {
    let Some(damage) = damage(&records) else { return Ok((Some(records), None)) };
    let text = format!(
        "the counters of {} are damaged: {damage}; the file is kept as {}, and counting goes on from what can be read",
        path.display(),
        keep(path)?.display()
    );
    Ok((Some(records), Some(text)))
}

/// Keeps the file also under a name that no other has, which it answers.
fn keep(path: &Path) -> io::Result<PathBuf> {
    for number in 0..MOST_KEPT {
        let kept = match number {
            0 => path.with_extension("old"),
            _ => path.with_extension(format!("{number}.old")),
        };
        // Some file systems know no second names.
        match fs::hard_link(path, &kept).or_else(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => Err(error),
            _ => copy(path, &kept),
        }) {
            // A start that kept it, and came no further.
            Err(_) if is_same(path, &kept) => return Ok(kept),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            done => {
                done?;
                sync_folder(&kept)?;
                return Ok(kept);
            }
        }
    }
    Err(io::Error::other(format!("{}: too many older ones are kept beside it", path.display())))
}

#[cfg(unix)]
fn is_same(path: &Path, kept: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let file = |path| fs::symlink_metadata(path).ok().map(|found| (found.dev(), found.ino()));
    file(path).is_some_and(|one| file(kept) == Some(one))
}

#[cfg(not(unix))]
fn is_same(_path: &Path, _kept: &Path) -> bool {
    false
}

fn copy(path: &Path, kept: &Path) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut copy = options.open(kept)?;
    let copied = io::copy(&mut File::open(path)?, &mut copy).and_then(|_| copy.sync_all());
    if copied.is_err() {
        let _ = fs::remove_file(kept);
    }
    copied
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
        write_secret_with(path, |file| write_records(records, file))?;
        let file = OpenOptions::new().append(true).open(path)?;
        let whole = file.metadata()?.len();
        Ok(Self { path: path.to_owned(), file, whole, appended: 0 })
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
        let mut text = Vec::new();
        write_records(records, &mut text)?;
        self.file.write_all(&text)?;
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
    use metering::{Counts, Item, Ledger, Meter, Name, Span, Switches, written_records};

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
        let first = fs::read(folder.path().join("bill.old")).unwrap();
        assert_eq!(first, written_records(&fresh.whole()).into_bytes());
        let again = read(&path, 1000).unwrap().1.unwrap();
        assert!(again.contains("bill.old"), "a start that failed after that: {again}");
        fs::write(folder.path().join("new"), "nonsense").unwrap();
        fs::rename(folder.path().join("new"), &path).unwrap();
        let warning = read(&path, 1024).unwrap().1.unwrap();
        assert!(warning.contains("begins at 0") && warning.contains("bill.1.old"), "{warning}");
        assert_eq!(fs::read(folder.path().join("bill.old")).unwrap(), first);
        assert_eq!(fs::read(folder.path().join("bill.1.old")).unwrap(), b"nonsense");
    }

    #[test]
    fn damage_in_the_middle_takes_nothing_that_follows_and_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("bill.jsonl");
        let fresh = Ledger::new(Switches::default(), Timestamp(7));
        let mut file = BillFile::create(&path, &fresh.whole()).unwrap();
        let begun = fs::metadata(&path).unwrap().len() as usize;
        (1..=3).for_each(|units| file.append(&records(units)).unwrap());
        let whole = fs::read(&path).unwrap();
        // Any byte of what the first second wrote: its rows and names come again, and so do the counters.
        for place in begun..begun + written_records(&records(1)).len() {
            let mut broken = whole.clone();
            broken[place] = 0;
            fs::remove_file(&path).unwrap();
            fs::write(&path, &broken).unwrap();
            let (found, warning) = read(&path, 1024).unwrap();
            let meter = Meter::new(1024, 2);
            let ledger = Ledger::restore(&meter, Switches::default(), found.unwrap(), Timestamp(9));
            assert_eq!(ledger.usage(Span::All).rows[0].counts, counts(3), "byte {place}");
            let kept = folder.path().join(match place - begun {
                0 => "bill.old".to_owned(),
                number => format!("bill.{number}.old"),
            });
            let warning = warning.unwrap();
            assert!(warning.contains("damaged") && warning.contains(kept.to_str().unwrap()), "{warning}");
            assert_eq!(fs::read(kept).unwrap(), broken, "byte {place}");
        }
    }

    /// Where the first line of counters is gone, a row that was counted long ago is not counted again for this minute.
    #[test]
    fn what_damage_hides_is_not_counted_as_of_now() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("bill.jsonl");
        let now = Timestamp(100_000_000);
        let meter = Meter::new(1024, 2);
        let [name, many] = records(1_000_000).try_into().unwrap();
        let begin = Record::Begin { since: Timestamp(7), kilobyte: 1024 };
        let first = Ledger::restore(&meter, Switches::default(), vec![begin, name, many], now);
        let mut file = BillFile::create(&path, &first.whole()).unwrap();
        let row = first.whole().iter().find_map(|record| match record {
            Record::Name { row, name } if name.client == "c" => Some(*row),
            _ => None,
        });
        for (row, units) in [(0, 1), (row.unwrap(), 1_000_001), (row.unwrap(), 1_000_003)] {
            file.append(&[Record::Counts { at: now, rows: vec![(row, counts(units))] }]).unwrap();
        }
        let text = fs::read_to_string(&path).unwrap();
        fs::write(&path, text.replacen("{\"c\"", "{\"\"", 1)).unwrap();
        let ledger = Ledger::restore(
            &Meter::new(1024, 2),
            Switches::default(),
            read(&path, 1024).unwrap().0.unwrap(),
            now,
        );
        let units = |span| ledger.usage(span).rows.iter().map(|row| row.counts.units).max().unwrap();
        assert_eq!((units(Span::All), units(Span::Minute)), (1_000_003, 2));
    }
}
