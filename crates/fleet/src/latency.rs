//! Latencies, in a histogram of bounded size: three significant digits from a microsecond to a minute.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hdrhistogram::Histogram;
use serde_json::{Value, json};

/// Longer than this counts as this.
const LONGEST_MICROSECONDS: u64 = 60_000_000;
/// Histograms that clients share: few, because each takes some 100 kB; several, so that they seldom wait.
const SHARDS: usize = 8;

/// Percentiles of a curve.
const CURVE: [f64; 17] = [
    0.0, 10.0, 25.0, 50.0, 75.0, 90.0, 95.0, 97.5, 99.0, 99.5, 99.75, 99.9, 99.95, 99.975, 99.99, 99.999,
    100.0,
];

/// Bands of a coarse histogram, from a microsecond up.
pub const BANDS: usize = 64;
/// So many bands go to a power of ten.
const BANDS_OF_TEN: f64 = 8.0;

/// From where to where a band goes, microseconds.
pub fn band_of(band: usize) -> (f64, f64) {
    let edge = |band: usize| 10f64.powf(band as f64 / BANDS_OF_TEN);
    (edge(band), edge(band + 1))
}

/// One histogram.
#[derive(Debug)]
pub struct Latencies(Option<Histogram<u64>>);

impl Default for Latencies {
    fn default() -> Self {
        Self::new()
    }
}

impl Latencies {
    /// An empty one.
    pub fn new() -> Self {
        // The bounds are constants within what the histogram takes.
        Self(Histogram::new_with_bounds(1, LONGEST_MICROSECONDS, 3).ok())
    }

    /// Records one latency; nanoseconds.
    pub fn record(&mut self, nanoseconds: u64) {
        if let Some(histogram) = &mut self.0 {
            histogram.saturating_record((nanoseconds / 1_000).max(1));
        }
    }

    /// Adds all that another holds.
    pub fn add(&mut self, other: &Self) {
        if let (Some(histogram), Some(other)) = (&mut self.0, &other.0) {
            // Equal bounds: adding cannot fail.
            let _ = histogram.add(other);
        }
    }

    fn clear(&mut self) {
        if let Some(histogram) = &mut self.0 {
            histogram.reset();
        }
    }

    /// Percentiles and their latencies in microseconds, denser towards the end; empty when nothing was recorded.
    pub fn curve(&self) -> Vec<(f64, u64)> {
        let recorded = self.0.as_ref().filter(|histogram| !histogram.is_empty());
        let Some(histogram) = recorded else { return Vec::new() };
        let at = |percentile: &f64| (*percentile, histogram.value_at_percentile(*percentile));
        CURVE.iter().map(at).collect()
    }

    /// How many are in each band.
    pub fn bands(&self) -> Vec<u64> {
        let mut bands = vec![0; BANDS];
        for step in self.0.iter().flat_map(Histogram::iter_recorded) {
            let band = (step.value_iterated_to().max(1) as f64).log10() * BANDS_OF_TEN;
            if let Some(count) = bands.get_mut((band as usize).min(BANDS - 1)) {
                *count += step.count_at_value();
            }
        }
        bands
    }

    /// The few numbers that a report shows; `None` when nothing was recorded.
    pub fn summary(&self) -> Option<Summary> {
        let histogram = self.0.as_ref().filter(|histogram| !histogram.is_empty())?;
        let at = |quantile| Duration::from_micros(histogram.value_at_quantile(quantile));
        Some(Summary {
            count: histogram.len(),
            p50: at(0.5),
            p99: at(0.99),
            p999: at(0.999),
            max: Duration::from_micros(histogram.max()),
        })
    }
}

/// Latencies that many clients record at once.
#[derive(Debug)]
pub struct Recorder([Mutex<Latencies>; SHARDS]);

impl Default for Recorder {
    fn default() -> Self {
        Self::new()
    }
}

impl Recorder {
    /// An empty one.
    pub fn new() -> Self {
        Self(std::array::from_fn(|_| Mutex::new(Latencies::new())))
    }

    /// The histogram that a client records in. Hold it for a batch, never across an await.
    pub fn shard(&self, client: usize) -> MutexGuard<'_, Latencies> {
        let [first, ..] = &self.0;
        self.0.get(client % SHARDS).unwrap_or(first).lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// All of them as one, and empty again: an interval's worth.
    pub fn take(&self) -> Latencies {
        let mut all = Latencies::new();
        for shard in &self.0 {
            let mut shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
            all.add(&shard);
            shard.clear();
        }
        all
    }

    /// All of them as one.
    pub fn merged(&self) -> Latencies {
        let mut all = Latencies::new();
        for shard in &self.0 {
            all.add(&shard.lock().unwrap_or_else(PoisonError::into_inner));
        }
        all
    }
}

/// What a report shows of a histogram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Summary {
    /// How many were recorded.
    pub count: u64,
    /// Half were at most this.
    pub p50: Duration,
    /// 99 of 100 were at most this.
    pub p99: Duration,
    /// 999 of 1000 were at most this.
    pub p999: Duration,
    /// The longest.
    pub max: Duration,
}

impl Summary {
    /// Microseconds by name.
    pub fn to_json(self) -> Value {
        let micros = |duration: Duration| u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        json!({
            "count": self.count,
            "p50_us": micros(self.p50),
            "p99_us": micros(self.p99),
            "p999_us": micros(self.p999),
            "max_us": micros(self.max),
        })
    }

    /// One line for people.
    pub fn to_text(self) -> String {
        let millis = |duration: Duration| format!("{:.2}", duration.as_secs_f64() * 1_000.0);
        let [p50, p99, p999, max] = [self.p50, self.p99, self.p999, self.max].map(millis);
        format!("p50 {p50}, p99 {p99}, p99.9 {p999}, max {max} ms")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_right_to_three_digits() {
        let recorder = Recorder::new();
        for micros in 1..=10_000_u64 {
            recorder.shard(micros as usize).record(micros * 1_000 + 999);
        }
        let summary = recorder.merged().summary().unwrap();
        assert_eq!(summary.count, 10_000);
        let near = |found: Duration, micros: f64| (found.as_secs_f64() * 1e6 / micros - 1.0).abs() < 0.002;
        assert!(near(summary.p50, 5_000.0), "{summary:?}");
        assert!(near(summary.p99, 9_900.0), "{summary:?}");
        assert!(near(summary.p999, 9_990.0), "{summary:?}");
        assert!(near(summary.max, 10_000.0), "{summary:?}");
    }

    #[test]
    fn each_is_in_the_band_that_it_belongs_to() {
        let mut latencies = Latencies::new();
        for micros in [1, 2, 150, 150, 59_000_000] {
            latencies.record(micros * 1_000);
        }
        let bands = latencies.bands();
        let of = |micros: f64| (0..BANDS).find(|band| (band_of(*band).0..band_of(*band).1).contains(&micros));
        assert_eq!([1.0, 2.0, 150.0, 59e6].map(|micros| bands[of(micros).unwrap()]), [1, 1, 2, 1]);
        assert_eq!((bands.iter().sum::<u64>(), Latencies::new().bands()), (5, vec![0; BANDS]));
    }

    #[test]
    fn what_was_taken_is_not_there_any_more() {
        let recorder = Recorder::new();
        recorder.shard(3).record(5_000_000);
        let mut all = recorder.take();
        assert_eq!(recorder.take().summary(), None);
        recorder.shard(4).record(7_000_000);
        all.add(&recorder.take());
        assert_eq!(all.summary().unwrap().count, 2);
    }

    #[test]
    fn extremes_are_kept_and_nothing_is_no_zero() {
        let recorder = Recorder::new();
        assert_eq!(recorder.merged().summary(), None);
        recorder.shard(0).record(0);
        recorder.shard(1).record(u64::MAX);
        let summary = recorder.merged().summary().unwrap();
        assert_eq!(summary.count, 2);
        assert!(summary.max.as_secs_f64() > 59.0);
    }

    #[test]
    fn text_is_in_milliseconds() {
        let p = Duration::from_micros;
        let summary = Summary { count: 1, p50: p(1_500), p99: p(2_000), p999: p(3_000), max: p(4_000) };
        assert_eq!(summary.to_text(), "p50 1.50, p99 2.00, p99.9 3.00, max 4.00 ms");
    }
}
