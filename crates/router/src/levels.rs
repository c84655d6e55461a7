//! A topic or a filter, cut into its levels, with a hash of each: the sum of some of them finds a filter whose other
//! levels are `+`.

use std::hash::{BuildHasher, Hasher};

use foldhash::SharedSeed;
use foldhash::quality::{FoldHasher, RandomState};

/// Random for each table: who chooses topics and filters can't choose their hashes.
#[derive(Clone, Debug)]
pub(crate) struct Seed {
    own: u64,
    shared: &'static SharedSeed,
}

impl Default for Seed {
    fn default() -> Self {
        let own = RandomState::default().build_hasher().finish();
        Self { own, shared: SharedSeed::global_random() }
    }
}

impl Seed {
    /// The hash of a level at its place: the same text has another one elsewhere.
    fn hash(&self, level: &[u8], place: usize) -> u64 {
        let seed = self.own.wrapping_add((place as u64).wrapping_mul(STEP));
        let mut hasher = FoldHasher::with_seed(seed, self.shared);
        hasher.write(level);
        hasher.finish()
    }
}

/// Between the seeds of neighbours: odd, so that no two places have one.
const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

/// The highest bit of each byte that is a `/`.
const fn slashes(word: u64) -> u64 {
    const LOW: u64 = 0x7f7f_7f7f_7f7f_7f7f;
    let other = word ^ 0x2f2f_2f2f_2f2f_2f2f;
    !(((other & LOW) + LOW) | other | LOW)
}

/// The last bytes of a text, less than eight, as a number whose other bytes are 0.
fn tail(bytes: &[u8], rest: &[u8]) -> u64 {
    match bytes.last_chunk::<8>() {
        // Read with bytes before them, which are shifted out.
        Some(last) => u64::from_le_bytes(*last).checked_shr(64 - 8 * rest.len() as u32).unwrap_or(0),
        None => rest.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte)),
    }
}

/// One level.
#[derive(Clone, Copy, Debug, Default)]
struct Level {
    /// Where it ends in the text.
    end: usize,
    /// Of its text and its place.
    hash: u64,
    /// Of it and all levels before it.
    path: u64,
}

/// So many levels need no allocation: AWS allows no more.
const FEW: usize = 8;

/// A text with its levels.
#[derive(Debug)]
pub(crate) struct Levels<'a> {
    pub(crate) text: &'a str,
    len: usize,
    few: [Level; FEW],
    more: Vec<Level>,
}

impl<'a> Levels<'a> {
    /// The levels of a text; those of nothing are one level, which is empty.
    #[inline]
    pub(crate) fn of(text: &'a str, seed: &Seed) -> Self {
        let mut all = Self { text, len: 0, few: [Level::default(); FEW], more: Vec::new() };
        all.read(seed);
        all
    }

    fn read(&mut self, seed: &Seed) {
        let bytes = self.text.as_bytes();
        let mut reach = Reach { start: 0, path: 0 };
        // Levels are short: eight bytes at a time is faster than searching for each end.
        let (words, rest) = bytes.as_chunks::<8>();
        let mut at = 0;
        for word in words {
            reach = self.read_word(reach, (u64::from_le_bytes(*word), at), seed);
            at += 8;
        }
        reach = self.read_word(reach, (tail(bytes, rest), at), seed);
        self.push(reach, bytes.len(), seed);
    }

    /// The levels that end in these eight bytes, which stand there.
    #[inline]
    fn read_word(&mut self, mut reach: Reach, (word, at): (u64, usize), seed: &Seed) -> Reach {
        let mut ends = slashes(word);
        while ends != 0 {
            reach = self.push(reach, at + ends.trailing_zeros() as usize / 8, seed);
            ends &= ends - 1;
        }
        reach
    }

    /// The level that begins here and ends there; where the next one begins.
    fn push(&mut self, Reach { start, path }: Reach, end: usize, seed: &Seed) -> Reach {
        let level = self.text.as_bytes().get(start..end).unwrap_or_default();
        let hash = seed.hash(level, self.len);
        let (level, path) = (Level { end, hash, path: path ^ hash }, path ^ hash);
        match self.few.get_mut(self.len) {
            Some(place) => *place = level,
            None => self.more.push(level),
        }
        self.len += 1;
        Reach { start: end + 1, path }
    }

    fn get(&self, at: usize) -> Option<&Level> {
        if at >= self.len {
            return None;
        }
        self.few.get(at).or_else(|| self.more.get(at - FEW))
    }

    /// How many.
    pub(crate) const fn len(&self) -> usize {
        self.len
    }

    /// The hash of the first `depth` levels.
    pub(crate) fn path(&self, depth: usize) -> u64 {
        depth.checked_sub(1).and_then(|last| self.get(last)).map_or(0, |level| level.path)
    }

    /// The hash of one level.
    pub(crate) fn hash(&self, at: usize) -> u64 {
        self.get(at).map_or(0, |level| level.hash)
    }

    /// Where a level begins.
    pub(crate) fn start(&self, at: usize) -> usize {
        at.checked_sub(1).and_then(|before| self.get(before)).map_or(0, |level| level.end + 1)
    }
}

/// How far a text is read.
struct Reach {
    start: usize,
    path: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_what_stands_between_slashes() {
        let seed = Seed::default();
        let long = ["level"; 40].join("/");
        for text in
            ["", "/", "a", "a/b", "//", "12345678", "1234567/", "/2345678/", "12345678/0", "é/ü", &*long]
        {
            let levels = Levels::of(text, &seed);
            let found: Vec<&str> =
                (0..levels.len()).map(|at| &text[levels.start(at)..levels.start(at + 1) - 1]).collect();
            assert_eq!(found, text.split('/').collect::<Vec<_>>());
            let sum = (0..levels.len()).fold(0, |sum, at| sum ^ levels.hash(at));
            assert_eq!(levels.path(levels.len()), sum, "{text}");
        }
    }

    #[test]
    fn a_level_has_another_hash_at_another_place_and_in_another_table() {
        let seed = Seed::default();
        let levels = Levels::of("a/a/aa", &seed);
        let hashes =
            [levels.hash(0), levels.hash(1), levels.hash(2), Levels::of("a", &Seed::default()).hash(0)];
        assert!((0..4).all(|at| !hashes[..at].contains(&hashes[at])));
        assert_eq!(levels.hash(3), 0);
    }
}
