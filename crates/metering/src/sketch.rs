//! A count-min sketch: units of clients, or of rows, for which there was no room. An estimate is never too low, and too
//! high by more than [`ERROR`] of all that is in the sketch only once in 50 times.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

const WIDTH: usize = 16_384;
const DEPTH: usize = 4;

/// `e / WIDTH`: the part of the sketch's total by which an estimate is too high at most (but for 1.9 %, `e^-DEPTH`).
pub const ERROR: f64 = std::f64::consts::E / WIDTH as f64;

/// Heavy is who has this part of the sketch's total: one in so many.
pub const HEAVY_PART: u64 = 2048;
/// And so many units at least.
pub const HEAVY_LEAST: u64 = 64;

pub(crate) struct Sketch {
    cells: Box<[AtomicU64]>,
    total: AtomicU64,
}

impl Sketch {
    pub fn new() -> Self {
        let cells = (0..WIDTH * DEPTH).map(|_| AtomicU64::new(0)).collect();
        Self { cells, total: AtomicU64::new(0) }
    }

    fn cells(&self, hash: u64) -> impl Iterator<Item = &AtomicU64> {
        let places = (0..DEPTH).map(move |row| {
            let mixed = hash
                .wrapping_mul(0x9E37_79B9_7F4A_7C15 ^ ((row as u64) << 1))
                .rotate_left(17 * row as u32 + 7);
            row * WIDTH + (mixed % WIDTH as u64) as usize
        });
        places.filter_map(|place| self.cells.get(place))
    }

    pub fn add(&self, hash: u64, units: u64) {
        self.total.fetch_add(units, Relaxed);
        self.cells(hash).for_each(|cell| {
            cell.fetch_add(units, Relaxed);
        });
    }

    /// Whether it is heavy: [`HEAVY_LEAST`] units and one in [`HEAVY_PART`] of all. Who is, is always seen to be; of
    /// the others few are, since an estimate that is that much too high is rare.
    pub fn is_heavy(&self, hash: u64) -> bool {
        self.estimate(hash) >= (self.total.load(Relaxed) / HEAVY_PART).max(HEAVY_LEAST)
    }

    /// Not less than what was added.
    pub fn estimate(&self, hash: u64) -> u64 {
        self.cells(hash).map(|cell| cell.load(Relaxed)).min().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::hash::BuildHasher as _;

    #[test]
    fn estimates_are_never_too_low_and_seldom_too_high() {
        let hasher = foldhash::quality::FixedState::with_seed(7);
        let sketch = Sketch::new();
        let clients = 100_000u64;
        (0..clients).for_each(|client| sketch.add(hasher.hash_one(client), 1 + client % 3));
        let total: u64 = (0..clients).map(|client| 1 + client % 3).sum();
        let allowed = (ERROR * total as f64) as u64;
        let mut beyond = 0;
        for client in 0..clients {
            let estimate = sketch.estimate(hasher.hash_one(client));
            assert!(estimate > client % 3);
            beyond += u64::from(estimate > 1 + client % 3 + allowed);
        }
        assert!(beyond < clients / 50, "{beyond} of {clients}");
    }
}
