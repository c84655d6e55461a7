//! How a run goes, a line a second on standard error, and the same numbers kept for the report.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use crate::load::Shared;

const SECOND: Duration = Duration::from_secs(1);
/// Looks come a little early or late.
const ALMOST: Duration = Duration::from_millis(950);

/// One second of a run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sample {
    /// Seconds since the load began.
    pub second: f64,
    /// Messages delivered a second since the sample before.
    pub rate: f64,
}

/// Tells how a run goes.
#[derive(Debug)]
pub struct Progress {
    quiet: bool,
    begun: Instant,
    last: Instant,
    delivered: u64,
    samples: Vec<Sample>,
}

impl Progress {
    /// `quiet`: keeps the numbers and prints nothing.
    pub fn new(quiet: bool) -> Self {
        Self { quiet, begun: Instant::now(), last: Instant::now(), delivered: 0, samples: Vec::new() }
    }

    /// Takes a sample when a second is over. A run has at most 660 of them.
    pub fn look(&mut self, phase: &str, shared: &Shared) {
        if self.samples.is_empty() && self.delivered == 0 && shared.snapshot().sent == 0 {
            // The clock starts with the load, not with the connecting before it.
            (self.begun, self.last) = (Instant::now(), Instant::now());
        }
        let since = self.last.elapsed();
        if since < ALMOST {
            return;
        }
        let counts = shared.snapshot();
        let rate = counts.delivered.saturating_sub(self.delivered) as f64 / since.as_secs_f64();
        self.delivered = counts.delivered;
        self.last = Instant::now();
        let second = self.begun.elapsed().as_secs_f64();
        self.samples.push(Sample { second, rate });
        self.say(&format!(
            "{second:5.0} s  {phase:<8} {rate:>9.0} messages/s, {} on their way, {} duplicated, {} refused",
            shared.outstanding(),
            counts.duplicated,
            counts.refused
        ));
    }

    /// What has been seen.
    pub fn samples(&self) -> Vec<Sample> {
        self.samples.clone()
    }

    /// Prints a line.
    pub fn say(&self, line: &str) {
        if !self.quiet {
            eprintln!("{line}");
        }
    }

    /// Tells a count once a second, until the answer is dropped.
    pub fn watch(&self, what: &'static str, count: &Arc<AtomicU64>) -> Watched {
        let (count, begun, quiet) = (Arc::clone(count), Instant::now(), self.quiet);
        Watched(tokio::spawn(async move {
            if quiet {
                return;
            }
            loop {
                tokio::time::sleep(SECOND).await;
                eprintln!("{:5.0} s  {} {what}", begun.elapsed().as_secs_f64(), count.load(Relaxed));
            }
        }))
    }
}

/// A count that is being told.
#[derive(Debug)]
pub struct Watched(tokio::task::JoinHandle<()>);

impl Drop for Watched {
    fn drop(&mut self) {
        self.0.abort();
    }
}
