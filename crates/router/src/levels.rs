//! A topic or a filter, cut into its levels, with a hash of each: the sum of some of them finds a filter whose other
//! levels are `+`.

use std::hash::{BuildHasher, Hasher};

use smallvec::SmallVec;

/// Random for each table: who chooses topics and filters can't choose their hashes.
pub(crate) type Seed = foldhash::quality::RandomState;

/// One level.
#[derive(Clone, Copy, Debug)]
struct Level {
    /// Where it ends in the text.
    end: usize,
    /// Of its text and its place.
    hash: u64,
    /// Of it and all levels before it.
    path: u64,
}

/// A text with its levels.
#[derive(Debug)]
pub(crate) struct Levels<'a> {
    pub(crate) text: &'a str,
    levels: SmallVec<[Level; 9]>,
}

impl<'a> Levels<'a> {
    /// The levels of a text; those of nothing are one level, which is empty.
    pub(crate) fn of(text: &'a str, seed: &Seed) -> Self {
        let mut levels = SmallVec::new();
        let mut path = 0;
        let mut end = 0;
        // Levels are short: splitting bytes is faster than searching for a character.
        for level in text.as_bytes().split(|byte| *byte == b'/') {
            let mut hasher = seed.build_hasher();
            hasher.write(level);
            hasher.write_usize(levels.len());
            let hash = hasher.finish();
            path ^= hash;
            end += level.len();
            levels.push(Level { end, hash, path });
            end += 1;
        }
        Self { text, levels }
    }

    /// How many.
    pub(crate) fn len(&self) -> usize {
        self.levels.len()
    }

    /// The hash of the first `depth` levels.
    pub(crate) fn path(&self, depth: usize) -> u64 {
        depth.checked_sub(1).and_then(|last| self.levels.get(last)).map_or(0, |level| level.path)
    }

    /// The hash of one level.
    pub(crate) fn hash(&self, at: usize) -> u64 {
        self.levels.get(at).map_or(0, |level| level.hash)
    }

    /// Where a level begins.
    pub(crate) fn start(&self, at: usize) -> usize {
        at.checked_sub(1).and_then(|before| self.levels.get(before)).map_or(0, |level| level.end + 1)
    }
}
