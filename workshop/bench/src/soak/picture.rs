//! The pictures of a soak: latency over time; memory, descriptors and rate over time.

use std::path::Path;

use fleet::{BenchError, Chart, Figure, Line, Scale, Summary, svg};

use crate::soak::sample::Sample;

/// The file beside this one with another ending: `soak.json`, `latency` is `soak-latency.svg`.
pub fn beside(path: &Path, what: &str) -> std::path::PathBuf {
    let stem = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    path.with_file_name(format!("{stem}-{what}.svg"))
}

/// Writes figures as one picture.
///
/// # Errors
/// The file cannot be written.
pub fn write(path: &Path, figures: &[impl Figure]) -> Result<(), BenchError> {
    std::fs::write(path, svg(figures))
        .map_err(|error| BenchError::Option(format!("{}: {error}", path.display())))
}

/// Time and a chart's label for it.
pub type Clock = (f64, &'static str);

/// Latency over time, from when a message was due to its arrival.
pub fn latency(samples: &[Sample], clock: Clock, title: &str) -> Chart {
    let line = |name: &str, of: fn(&Summary) -> std::time::Duration| Line {
        name: name.into(),
        points: samples
            .iter()
            .filter_map(|sample| Some((sample.second / clock.0, of(&sample.latency?).as_secs_f64() * 1e3)))
            .collect(),
    };
    Chart {
        title: title.into(),
        x: (clock.1.into(), Scale::Linear),
        y: ("ms".into(), Scale::Log),
        lines: vec![
            line("max", |summary| summary.max),
            line("p99.9", |summary| summary.p999),
            line("p99", |summary| summary.p99),
            line("p50", |summary| summary.p50),
        ],
    }
}

/// The name of a line, and what of a sample it shows.
pub type Shown<'a> = (&'a str, fn(&Sample) -> f64);

/// Numbers over time.
pub fn curve(samples: &[Sample], clock: Clock, title: &str, unit: &str, of: &[Shown<'_>]) -> Chart {
    let line = |(name, of): &Shown<'_>| Line {
        name: (*name).into(),
        points: samples.iter().map(|sample| (sample.second / clock.0, of(sample))).collect(),
    };
    Chart {
        title: title.into(),
        x: (clock.1.into(), Scale::Linear),
        y: (unit.into(), Scale::Linear),
        lines: of.iter().map(line).collect(),
    }
}

/// Memory, descriptors, rate and processors over time.
pub fn resources(samples: &[Sample], clock: Clock) -> Vec<Chart> {
    const MIB: f64 = 1024.0 * 1024.0;
    vec![
        curve(
            samples,
            clock,
            "Memory of the broker",
            "MiB",
            &[("resident", |sample| sample.resident as f64 / MIB)],
        ),
        curve(
            samples,
            clock,
            "Descriptors and threads of the broker",
            "number",
            &[
                ("descriptors", |sample| sample.descriptors as f64),
                ("threads", |sample| sample.threads as f64),
            ],
        ),
        curve(
            samples,
            clock,
            "Size of the data folder",
            "MiB",
            &[("stored", |sample| sample.stored as f64 / MIB)],
        ),
        curve(samples, clock, "Messages that arrived", "messages/s", &[("delivered", Sample::rate)]),
        curve(
            samples,
            clock,
            "Processors taken",
            "cores",
            &[
                ("broker", |sample| sample.broker_cores),
                ("generator", |sample| sample.own_cores),
                ("others", |sample| sample.other_cores),
            ],
        ),
    ]
}
