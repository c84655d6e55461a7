//! What is written down once a second, as lines of JSON: names once, counters whenever they changed (absolute, so that a
//! line read twice does no harm), minutes and hours when they end.
//!
//! What was counted in the minute and the hour that run is no line of its own: it is by how much the counters grew since the
//! last line of a minute, or of an hour. A fresh file tells for this where they stood at the begin of both.

use std::io::{self, Write};

use identity::Timestamp;
use serde::{Deserialize, Serialize};

use crate::ledger::Period;
use crate::usage::{Counts, Name};

/// A line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Record {
    /// The first line.
    Begin {
        /// When counting began.
        since: Timestamp,
        /// The KB that it was counted in.
        kilobyte: u64,
    },
    /// A row.
    Name {
        /// Its number.
        row: u32,
        /// Who and what.
        name: Name,
    },
    /// What rows say.
    Counts {
        /// When they were read, or the end of the minute that this still counts for if that is earlier.
        at: Timestamp,
        /// Numbers and counters.
        rows: Vec<(u32, Counts)>,
    },
    /// A minute that ended.
    Minute(Period),
    /// An hour that ended.
    Hour(Period),
    /// Lines that were damaged: what follows them could be read. Never written.
    Gap {
        /// The first of them, from 1.
        line: usize,
        /// How many.
        lines: usize,
    },
}

/// The lines as they stand in the file.
#[derive(Serialize, Deserialize)]
enum Line {
    #[serde(rename = "thingcore-bill")]
    Begin(u32, u64, u64),
    #[serde(rename = "n")]
    Name(u32, Name),
    #[serde(rename = "c")]
    Counts(u64, Vec<[u64; 6]>),
    #[serde(rename = "m")]
    Minute(u64, Vec<[u64; 6]>, #[serde(default)] u64),
    #[serde(rename = "h")]
    Hour(u64, Vec<[u64; 6]>, #[serde(default)] u64),
}

/// The form of the lines.
const FORM: u32 = 1;

fn packed(rows: &[(u32, Counts)]) -> Vec<[u64; 6]> {
    rows.iter().map(|(row, c)| [u64::from(*row), c.units, c.bytes, c.extra, c.spill, c.near]).collect()
}

fn unpacked(rows: Vec<[u64; 6]>) -> Vec<(u32, Counts)> {
    let one = |[row, units, bytes, extra, spill, near]: [u64; 6]| {
        Some((u32::try_from(row).ok()?, Counts { units, bytes, extra, spill, near }))
    };
    rows.into_iter().filter_map(one).collect()
}

/// Writes records as text, a line each.
///
/// # Errors
/// Those of `out`.
pub fn write<'a>(records: impl IntoIterator<Item = &'a Record>, out: &mut impl Write) -> io::Result<()> {
    for record in records {
        let line = match record {
            Record::Begin { since, kilobyte } => Line::Begin(FORM, since.millis(), *kilobyte),
            Record::Name { row, name } => Line::Name(*row, name.clone()),
            Record::Counts { at, rows } => Line::Counts(at.millis(), packed(rows)),
            Record::Minute(period) => {
                Line::Minute(period.from.millis(), packed(&period.rows), period.devices)
            }
            Record::Hour(period) => Line::Hour(period.from.millis(), packed(&period.rows), period.devices),
            Record::Gap { .. } => continue,
        };
        serde_json::to_writer(&mut *out, &line)?;
        out.write_all(b"\n")?;
    }
    Ok(())
}

/// Records as text, a line each.
pub fn written(records: &[Record]) -> String {
    let mut text = Vec::new();
    // Numbers and texts always become JSON, and memory takes it.
    let _ = write(records, &mut text);
    String::from_utf8(text).unwrap_or_default()
}

/// The records of a file. What cannot be read at its end was cut off when it was written, and is left out; elsewhere it is
/// damage, and a [`Record::Gap`] stands in its place: what follows it is as good as before.
///
/// # Errors
/// It does not begin as such a file does.
pub fn read(text: &[u8]) -> Result<Vec<Record>, String> {
    let (mut records, mut unread) = (Vec::new(), 0);
    for (before, line) in text.split(|byte| *byte == b'\n').enumerate() {
        let Some(record) = record(line) else {
            unread += 1;
            continue;
        };
        if unread > 0 {
            records.push(Record::Gap { line: before + 1 - unread, lines: unread });
            unread = 0;
        }
        records.push(record);
    }
    match records.first() {
        Some(Record::Begin { .. }) => Ok(records),
        _ => Err("it does not begin as a file of counters does".to_owned()),
    }
}

/// What damage there is among records that were read, in words.
pub fn damage(records: &[Record]) -> Option<String> {
    let gap = |record: &Record| match record {
        Record::Gap { line, lines } => Some((*line, *lines)),
        _ => None,
    };
    let (first, _) = records.iter().find_map(gap)?;
    let lines: usize = records.iter().filter_map(gap).map(|(_, lines)| lines).sum();
    let lines = if lines == 1 { "1 line".to_owned() } else { format!("{lines} lines") };
    Some(format!("{lines} of it cannot be read (line {first}), and what follows can"))
}

fn record(line: &[u8]) -> Option<Record> {
    Some(match serde_json::from_slice(line).ok()? {
        Line::Begin(FORM, since, kilobyte) => Record::Begin { since: Timestamp(since), kilobyte },
        Line::Begin(..) => return None,
        Line::Name(row, name) => Record::Name { row, name },
        Line::Counts(at, rows) => Record::Counts { at: Timestamp(at), rows: unpacked(rows) },
        Line::Minute(from, rows, devices) => {
            Record::Minute(Period { from: Timestamp(from), rows: unpacked(rows), devices })
        }
        Line::Hour(from, rows, devices) => {
            Record::Hour(Period { from: Timestamp(from), rows: unpacked(rows), devices })
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Item;

    fn records() -> Vec<Record> {
        let name =
            Name { client: "c\n\"".into(), principal: "p".into(), topic: "a/b".into(), item: Item::Will };
        let rows = vec![(7, Counts { units: 3, bytes: 9000, extra: 2, spill: 1, near: 1 })];
        vec![
            Record::Begin { since: Timestamp(5), kilobyte: 1024 },
            Record::Name { row: 7, name },
            Record::Counts { at: Timestamp(6), rows: rows.clone() },
            Record::Minute(Period { from: Timestamp(0), rows: rows.clone(), devices: 4 }),
            Record::Hour(Period { from: Timestamp(0), rows, devices: 5 }),
        ]
    }

    #[test]
    fn what_is_written_is_read() {
        assert_eq!(read(written(&records()).as_bytes()).unwrap(), records());
    }

    #[test]
    fn periods_of_older_files_have_no_devices() {
        let text = "{\"thingcore-bill\":[1,5,1024]}\n{\"m\":[60000,[[7,1,2,0,0,0]]]}\n";
        let Some(Record::Minute(period)) = read(text.as_bytes()).unwrap().pop() else { panic!("{text}") };
        assert_eq!((period.from, period.rows.len(), period.devices), (Timestamp(60_000), 1, 0));
    }

    #[test]
    fn a_line_that_was_cut_off_is_the_end() {
        let text = written(&records());
        let cut = &text[..text.len() - 4];
        assert_eq!(read(cut.as_bytes()).unwrap(), records()[..4]);
        assert_eq!(damage(&read(cut.as_bytes()).unwrap()), None);
        assert!(read(b"").is_err() && read(b"{}\n").is_err());
        let headless = text.split_once('\n').unwrap().1;
        assert!(read(headless.as_bytes()).is_err(), "in what KB it was counted is not known");
    }

    /// One byte at a time becomes what no line has: not UTF-8, or the end of a line.
    #[test]
    fn damage_takes_the_lines_that_it_is_in_and_no_others() {
        let text = written(&records());
        let lines: Vec<&str> = text.lines().collect();
        for (place, byte) in (0..text.len() - 1).flat_map(|place| [(place, 0xff), (place, b'\n')]) {
            let mut broken = text.clone().into_bytes();
            if std::mem::replace(&mut broken[place], byte) == byte {
                continue;
            }
            let line = text[..place].matches('\n').count();
            // The end of a line may be what is gone: then two lines are one.
            let gone = if text.as_bytes()[place] == b'\n' { line..=line + 1 } else { line..=line };
            let left: Vec<Record> = (0..lines.len())
                .filter(|line| !gone.contains(line))
                .filter_map(|line| record(lines[line].as_bytes()))
                .collect();
            let Ok(mut found) = read(&broken) else {
                assert!(gone.contains(&0), "{place}");
                continue;
            };
            let told = damage(&found).is_some();
            found.retain(|record| !matches!(record, Record::Gap { .. }));
            assert_eq!((found, told), (left, !gone.contains(&(lines.len() - 1))), "{place}");
        }
    }

    #[test]
    fn damage_is_told_by_where_it_begins() {
        let text = written(&records()).replace("{\"c\"", "{\"x\"").replace("{\"m\"", "\u{0}\n\u{0}");
        let found = read(text.as_bytes()).unwrap();
        assert_eq!(found[2], Record::Gap { line: 3, lines: 3 });
        assert_eq!(damage(&found).unwrap(), "3 lines of it cannot be read (line 3), and what follows can");
    }
}
