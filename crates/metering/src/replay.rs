//! What the records of an earlier run say: where its rows stood, the periods that ended, and what was counted in those
//! that had not.

use std::collections::HashMap;

use identity::Timestamp;

use crate::journal::Record;
use crate::ledger::Period;
use crate::usage::{Counts, Name};

/// Records, read one after the other. Numbers of rows are those of the earlier run.
#[derive(Default)]
pub(crate) struct Replay {
    pub since: Option<Timestamp>,
    pub names: HashMap<u32, Name>,
    /// None before the first line of counters. What that one says was counted before all that follows.
    counts: Option<HashMap<u32, Counts>>,
    /// Lines before are missing.
    is_torn: bool,
    pub minutes: Periods,
    pub hours: Periods,
}

/// Periods of one length.
#[derive(Default)]
pub(crate) struct Periods {
    pub ended: Vec<Period>,
    pub open: Option<Open>,
}

/// What was counted after the last period that ended.
pub(crate) struct Open {
    /// A time in it.
    pub at: Timestamp,
    pub rows: HashMap<u32, Counts>,
}

impl Periods {
    fn end(&mut self, period: Period) {
        self.ended.push(period);
        self.open = None;
    }

    fn count(&mut self, at: Timestamp, row: u32, more: Counts) {
        let open = self.open.get_or_insert_with(|| Open { at, rows: HashMap::new() });
        *open.rows.entry(row).or_default() += more;
    }
}

impl Replay {
    pub fn of(records: Vec<Record>) -> Self {
        let mut replay = Self::default();
        for record in records {
            match record {
                Record::Begin { since, .. } => replay.since = Some(since),
                Record::Name { row, name } => drop(replay.names.insert(row, name)),
                Record::Counts { at, rows } => replay.count(at, rows),
                Record::Minute(period) => replay.minutes.end(period),
                Record::Hour(period) => replay.hours.end(period),
                Record::Gap { .. } => replay.is_torn = true,
            }
        }
        replay
    }

    fn count(&mut self, at: Timestamp, rows: Vec<(u32, Counts)>) {
        let Some(known) = &mut self.counts else {
            self.counts = Some(rows.into_iter().collect());
            return;
        };
        for (row, counts) in rows {
            // Where lines are missing a row that comes for the first time does not tell when all that was counted.
            let unknown = if self.is_torn { counts } else { Counts::default() };
            let more = counts - known.insert(row, counts).unwrap_or(unknown);
            if !more.is_zero() {
                self.minutes.count(at, row, more);
                self.hours.count(at, row, more);
            }
        }
    }

    /// The rows as they were read last, heaviest first.
    pub fn heavy(&mut self) -> Vec<(u32, Counts)> {
        let mut heavy: Vec<_> = self.counts.take().into_iter().flatten().collect();
        heavy.sort_unstable_by_key(|(row, counts)| (std::cmp::Reverse(counts.units), *row));
        heavy
    }
}
