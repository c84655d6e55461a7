//! Holds back what repeats: so many lines of one key in a window, then only a count.

use std::sync::{Mutex, PoisonError};

use identity::Timestamp;

/// Length of the window, milliseconds.
pub(super) const WINDOW_MS: u64 = 10_000;
/// Keys remembered at one time. A key that finds its place taken pushes the other out, with its count.
const PLACES: usize = 1024;
const SHARDS: usize = 16;

/// What was held back of one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Held {
    /// What it is about.
    pub text: String,
    /// How often.
    pub count: u64,
}

/// The answer to one line.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Verdict {
    /// Whether the line may go out.
    pub passed: bool,
    /// A count that has to be told now, because its place is needed.
    pub pushed_out: Option<Held>,
}

impl Verdict {
    pub const PASSED: Self = Self { passed: true, pushed_out: None };
}

#[derive(Default)]
struct Place {
    key: u64,
    since: u64,
    passed: u32,
    held: u64,
    text: String,
}

/// A bounded table of keys.
pub(super) struct Limiter {
    burst: u32,
    shards: Vec<Mutex<Vec<Place>>>,
}

impl Limiter {
    /// Lets `burst` lines of a key pass in each window.
    pub fn new(burst: u32) -> Self {
        let shard = || Mutex::new((0..PLACES / SHARDS).map(|_| Place::default()).collect());
        Self { burst, shards: (0..SHARDS).map(|_| shard()).collect() }
    }

    /// Whether one more line of this key may go out. `text` is asked for what the summary shall say, once a window.
    pub fn admit(&self, key: u64, at: Timestamp, text: &dyn Fn() -> String) -> Verdict {
        let (shard, place) = (key as usize % SHARDS, key as usize / SHARDS % (PLACES / SHARDS));
        let Some(shard) = self.shards.get(shard) else { return Verdict::PASSED };
        let mut shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(place) = shard.get_mut(place) else { return Verdict::PASSED };
        let mut pushed_out = None;
        if place.key != key || at.0 >= place.since.saturating_add(WINDOW_MS) {
            pushed_out = place.take();
            *place = Place { key, since: at.0, ..Place::default() };
        }
        if place.passed < self.burst {
            place.passed += 1;
            return Verdict { passed: true, pushed_out };
        }
        if place.held == 0 {
            place.text = text();
        }
        place.held += 1;
        Verdict { passed: false, pushed_out }
    }

    /// The counts of windows that are over.
    pub fn sweep(&self, now: Timestamp) -> Vec<Held> {
        self.collect(|place| now.0 >= place.since.saturating_add(WINDOW_MS))
    }

    /// All counts, for the end.
    pub fn drain(&self) -> Vec<Held> {
        self.collect(|_| true)
    }

    fn collect(&self, over: impl Fn(&Place) -> bool) -> Vec<Held> {
        let mut all = Vec::new();
        for shard in &self.shards {
            let mut shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
            all.extend(shard.iter_mut().filter(|place| over(place)).filter_map(Place::take));
        }
        all
    }
}

impl Place {
    fn take(&mut self) -> Option<Held> {
        let count = std::mem::take(&mut self.held);
        (count > 0).then(|| Held { text: std::mem::take(&mut self.text), count })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn text() -> String {
        "x".into()
    }

    #[test]
    fn the_first_passes_and_the_rest_is_counted() {
        let limiter = Limiter::new(1);
        assert!(limiter.admit(1, Timestamp(0), &text).passed);
        for _ in 0..5 {
            assert!(!limiter.admit(1, Timestamp(100), &text).passed);
        }
        assert_eq!(limiter.sweep(Timestamp(WINDOW_MS - 1)), []);
        assert_eq!(limiter.sweep(Timestamp(WINDOW_MS)), [Held { text: "x".into(), count: 5 }]);
        assert_eq!(limiter.sweep(Timestamp(WINDOW_MS * 2)), []);
        assert!(limiter.admit(1, Timestamp(WINDOW_MS), &text).passed);
    }

    #[test]
    fn a_key_that_pushes_another_out_tells_its_count() {
        let limiter = Limiter::new(1);
        limiter.admit(3, Timestamp(0), &text);
        limiter.admit(3, Timestamp(0), &text);
        let verdict = limiter.admit(3 + PLACES as u64, Timestamp(0), &text);
        assert_eq!(verdict, Verdict { passed: true, pushed_out: Some(Held { text: "x".into(), count: 1 }) });
    }

    proptest! {
        #[test]
        fn no_line_is_lost_from_the_count(keys in proptest::collection::vec((0..3000u64, 0..2000u64), 0..400)) {
            let limiter = Limiter::new(2);
            let (mut at, mut passed, mut held) = (0, 0, 0);
            for (key, step) in &keys {
                at += step;
                let verdict = limiter.admit(*key, Timestamp(at), &text);
                passed += u64::from(verdict.passed);
                held += verdict.pushed_out.map_or(0, |held| held.count);
            }
            held += limiter.drain().iter().map(|held| held.count).sum::<u64>();
            prop_assert_eq!(passed + held, keys.len() as u64);
        }
    }
}
