//! What was counted by row in a period that runs. Most rows count little: those take two small numbers each.

use std::collections::HashMap;

use crate::usage::Counts;

/// Counts by the number of a row.
#[derive(Debug, Default)]
pub(crate) struct Tallies {
    /// Units and bytes, by row.
    small: Vec<(u32, u32)>,
    /// What does not fit there, beside it.
    large: HashMap<u32, Counts>,
}

impl Tallies {
    /// Counts more for a row.
    pub fn add(&mut self, row: u32, counts: Counts) {
        if !self.add_small(row, counts) {
            *self.large.entry(row).or_default() += counts;
        }
    }

    fn add_small(&mut self, row: u32, counts: Counts) -> bool {
        let Counts { units, bytes, extra: 0, spill: 0, near: 0 } = counts else { return false };
        let (Ok(units), Ok(bytes)) = (u32::try_from(units), u32::try_from(bytes)) else { return false };
        let at = row as usize;
        if at >= self.small.len() {
            // Rows come in order: room for an eighth more, not for twice as many.
            let more = at + 1 - self.small.len();
            if at >= self.small.capacity() {
                self.small.reserve_exact(more.max(self.small.len() / 8).max(64));
            }
            self.small.resize(at + 1, (0, 0));
        }
        let Some(tally) = self.small.get_mut(at) else { return false };
        match (tally.0.checked_add(units), tally.1.checked_add(bytes)) {
            (Some(units), Some(bytes)) => {
                *tally = (units, bytes);
                true
            }
            _ => false,
        }
    }

    /// The rows that counted something, and what, in no order.
    pub fn read(&self) -> Vec<(u32, Counts)> {
        let mut large = self.large.clone();
        let small = (0u32..).zip(&self.small).filter(|(_, tally)| **tally != (0, 0));
        let mut rows: Vec<(u32, Counts)> = small
            .map(|(row, (units, bytes))| {
                let counts = Counts { units: (*units).into(), bytes: (*bytes).into(), ..Counts::default() };
                (row, counts + large.remove(&row).unwrap_or_default())
            })
            .collect();
        rows.extend(large);
        rows
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Small and large together say what a plain map says.
    #[test]
    fn nothing_is_lost_where_numbers_get_large() {
        let (mut tallies, mut plain) = (Tallies::default(), HashMap::<u32, Counts>::new());
        let large = u64::from(u32::MAX);
        for (row, units, bytes, extra) in [
            (3, 1, 100, 0),
            (3, 1, 100, 0),
            (0, 2, 0, 0),
            (70, large, 5, 0),
            (70, 1, 5, 0),
            (70, large + 1, 0, 0),
            (9, 1, large, 0),
            (9, 0, 1, 0),
            (3, 4, 100, 3),
            (3, 1, 7, 0),
        ] {
            let counts = Counts { units, bytes, extra, ..Counts::default() };
            tallies.add(row, counts);
            *plain.entry(row).or_default() += counts;
        }
        let read = tallies.read();
        assert_eq!(read.len(), plain.len());
        assert!(read.into_iter().all(|(row, counts)| plain.get(&row) == Some(&counts)));
    }
}
