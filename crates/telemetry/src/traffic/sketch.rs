//! The busiest names of many, in room for a few: the space-saving sketch.

use std::collections::HashMap;

use super::{Busy, Counts};

/// Names that are kept.
pub(super) const ROOM: usize = 256;

/// Counts by name.
#[derive(Clone, Default)]
pub(super) struct Sketch {
    names: HashMap<Box<str>, Entry>,
}

#[derive(Clone, Copy, Default)]
struct Entry {
    counts: Counts,
    /// What it inherited: it keeps the name in the sketch, and is not shown.
    inherited: u64,
}

impl Entry {
    fn rank(&self) -> u64 {
        self.inherited + self.counts.weight()
    }
}

impl Sketch {
    pub fn add(&mut self, name: &str, counts: Counts) {
        if let Some(entry) = self.names.get_mut(name) {
            return entry.counts.add(&counts);
        }
        let inherited = if self.names.len() < ROOM { 0 } else { self.make_room() };
        self.names.insert(name.into(), Entry { counts, inherited });
    }

    /// Removes the least busy; gives its rank.
    fn make_room(&mut self) -> u64 {
        let least = self.names.iter().min_by_key(|(_, entry)| entry.rank());
        let Some((name, rank)) = least.map(|(name, entry)| (name.clone(), entry.rank())) else { return 0 };
        self.names.remove(&name);
        rank
    }

    pub fn merge(&mut self, other: &Self) {
        for (name, entry) in &other.names {
            self.names.entry(name.clone()).or_default().counts.add(&entry.counts);
        }
    }

    /// By what they did, most first; of equals by name.
    pub fn sorted(&self) -> Vec<Busy> {
        let entries = self.names.iter();
        let mut list: Vec<_> =
            entries.map(|(name, entry)| Busy { name: name.to_string(), counts: entry.counts }).collect();
        list.sort_by(|a, b| b.counts.weight().cmp(&a.counts.weight()).then_with(|| a.name.cmp(&b.name)));
        list
    }

    #[cfg(test)]
    pub fn len(&self) -> usize {
        self.names.len()
    }
}
