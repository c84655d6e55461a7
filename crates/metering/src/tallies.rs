//! What was counted by row in a period: one that runs, and one that is over. Most rows count little: those take two small
//! numbers each.

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
        let Some((units, bytes)) = small(counts) else { return false };
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
            .map(|(row, (units, bytes))| (row, full(*units, *bytes) + large.remove(&row).unwrap_or_default()))
            .collect();
        rows.extend(large);
        rows
    }
}

/// Units and bytes of a row that has nothing else, if they are small.
fn small(counts: Counts) -> Option<(u32, u32)> {
    let Counts { units, bytes, extra: 0, spill: 0, near: 0 } = counts else { return None };
    Some((u32::try_from(units).ok()?, u32::try_from(bytes).ok()?))
}

fn full(units: u32, bytes: u32) -> Counts {
    Counts { units: units.into(), bytes: bytes.into(), ..Counts::default() }
}

/// The rows of a period that is over, as small as they can be: there are some of each minute of a day, and nobody adds to them.
#[derive(Debug)]
pub(crate) struct Kept {
    /// Number, units and bytes.
    small: Box<[(u32, u32, u32)]>,
    /// What does not fit there.
    large: Box<[(u32, Counts)]>,
}

impl Kept {
    /// Of these rows.
    pub fn new(rows: &[(u32, Counts)]) -> Self {
        let small_row = |(row, counts): &(u32, Counts)| {
            let (units, bytes) = small(*counts)?;
            Some((*row, units, bytes))
        };
        let is_large = |(_, counts): &&(u32, Counts)| small(*counts).is_none();
        Self {
            small: rows.iter().filter_map(small_row).collect(),
            large: rows.iter().filter(is_large).copied().collect(),
        }
    }

    /// The rows, in no order.
    pub fn rows(&self) -> impl Iterator<Item = (u32, Counts)> + '_ {
        let small = self.small.iter().map(|(row, units, bytes)| (*row, full(*units, *bytes)));
        small.chain(self.large.iter().copied())
    }

    /// Bytes that it takes beside itself.
    #[cfg(test)]
    pub fn size(&self) -> usize {
        size_of_val(&*self.small) + size_of_val(&*self.large)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// What is kept of a period is what it had.
        #[test]
        fn no_row_is_lost_or_changed_when_it_is_kept(
            rows in prop::collection::btree_map(any::<u32>(), (any::<u64>(), any::<u64>(), any::<[bool; 3]>(), any::<bool>()), 0..50)
        ) {
            let counts = |(units, bytes, [extra, spill, near], is_small): (u64, u64, [bool; 3], bool)| {
                let number = |number: u64| if is_small { number % 100_000 } else { number };
                let more = |more: bool| if is_small { 0 } else { u64::from(more) };
                Counts {
                    units: number(units), bytes: number(bytes), extra: more(extra), spill: more(spill), near: more(near),
                }
            };
            let rows: Vec<(u32, Counts)> = rows.into_iter().map(|(row, of)| (row, counts(of))).collect();
            let mut kept: Vec<(u32, Counts)> = Kept::new(&rows).rows().collect();
            kept.sort_unstable_by_key(|(row, _)| *row);
            prop_assert_eq!(kept, rows);
        }
    }

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
