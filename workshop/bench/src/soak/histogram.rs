//! The histogram of latencies over time: what a soak's samples saw, by minute.

use fleet::{BANDS, HeatMap, band_of};
use serde_json::{Value, json};

use super::picture::Clock;
use super::sample::Sample;

/// Columns of one length; microseconds, from when a message was due to its arrival.
pub struct Histogram {
    clock: Clock,
    /// Seconds of a column.
    span: f64,
    columns: Vec<Vec<u64>>,
}

impl Histogram {
    /// A column for each unit of the clock, or for each sample if these are longer.
    pub fn of(samples: &[Sample], clock: Clock) -> Self {
        let span = samples.iter().map(|sample| sample.interval).fold(clock.0, f64::max);
        let mut columns: Vec<Vec<u64>> = Vec::new();
        for sample in samples {
            // A sample tells what came before it.
            let middle = (sample.second - sample.interval / 2.0).max(0.0);
            let at = (middle / span) as usize;
            if columns.len() <= at {
                columns.resize(at + 1, vec![0; BANDS]);
            }
            let column = columns.get_mut(at).into_iter().flatten();
            column.zip(&sample.bands).for_each(|(sum, count)| *sum += count);
        }
        Self { clock, span, columns }
    }

    /// Bands by where they end, and how many messages of each column fell into them.
    pub fn to_json(&self) -> Value {
        let ends: Vec<f64> = (0..BANDS).map(|band| (band_of(band).1 * 10.0).round() / 10.0).collect();
        json!({
            "column_seconds": self.span, "band_end_us": ends,
            "columns": self.columns,
        })
    }

    /// As a picture.
    pub fn picture(&self, title: &str) -> HeatMap {
        let millis = |(from, to): (f64, f64)| (from / 1e3, to / 1e3);
        let edge = |column: usize| column as f64 * self.span / self.clock.0;
        let columns = self.columns.iter().enumerate();
        HeatMap {
            title: title.to_owned(),
            x: self.clock.1.to_owned(),
            y: "ms".to_owned(),
            bands: (0..BANDS).map(|band| millis(band_of(band))).collect(),
            columns: columns.map(|(at, column)| ((edge(at), edge(at + 1)), column.clone())).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use fleet::Latencies;

    use super::*;

    fn sample(second: f64, micros: u64) -> Sample {
        let mut latencies = Latencies::new();
        latencies.record(Duration::from_micros(micros).as_nanos() as u64);
        Sample { second, interval: 5.0, bands: latencies.bands(), ..Sample::default() }
    }

    #[test]
    fn a_sample_belongs_to_the_minute_before_it() {
        let samples = [sample(5.0, 50), sample(60.0, 50), sample(65.0, 5_000), sample(185.0, 50)];
        let histogram = Histogram::of(&samples, (60.0, "minutes"));
        let told = histogram.to_json();
        let columns = told["columns"].as_array().unwrap();
        let sums: Vec<u64> = columns
            .iter()
            .map(|column| column.as_array().unwrap().iter().filter_map(Value::as_u64).sum())
            .collect();
        assert_eq!(sums, [2, 1, 0, 1]);
        let band = |micros: f64| (0..BANDS).find(|band| band_of(*band).1 > micros).unwrap();
        assert_eq!((&columns[0][band(50.0)], &columns[1][band(5_000.0)]), (&json!(2), &json!(1)));
        assert_eq!(told["band_end_us"].as_array().unwrap().len(), BANDS);
        let seconds = Histogram::of(&samples, (1.0, "seconds"));
        assert_eq!((seconds.span, seconds.columns.len()), (5.0, 37));
        let picture = histogram.picture("latency");
        assert_eq!((picture.columns.len(), picture.columns[3].0), (4, (3.0, 4.0)));
    }
}
