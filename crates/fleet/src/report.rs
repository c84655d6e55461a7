//! What a run found, for people and for programs. No number is shown that was not measured.

use std::fmt::Write;
use std::time::Duration;

use serde_json::{Value, json};

use crate::fault::BenchError;
use crate::latency::Summary;
use crate::load::Snapshot;
use crate::process::{Usage, per_cpu_second, per_second};
use crate::progress::Sample;

/// What the broker used in the measured interval.
#[derive(Clone, Copy, Debug)]
pub struct BrokerUse {
    /// CPU time of all its threads.
    pub cpu: Duration,
    /// Resident bytes at the end of the interval.
    pub resident: u64,
}

impl BrokerUse {
    /// What lies between two readings, if there are both.
    pub fn between(begin: Option<Usage>, end: Option<Usage>) -> Option<Self> {
        let (begin, end) = begin.zip(end)?;
        Some(Self { cpu: end.cpu.saturating_sub(begin.cpu), resident: end.resident })
    }
}

/// The outcome of a pattern that moves messages.
#[derive(Clone, Debug)]
pub struct LoadReport {
    /// The settings in one line.
    pub title: String,
    /// The pattern's name.
    pub pattern: &'static str,
    /// Length of the measured interval.
    pub wall: Duration,
    /// Publishes sent in the measured interval.
    pub sent: u64,
    /// Messages delivered in the measured interval.
    pub delivered: u64,
    /// Counts of the whole run, warm-up and drain included.
    pub total: Snapshot,
    /// What the broker used in the measured interval.
    pub broker: Option<BrokerUse>,
    /// CPU time of the generator itself in the measured interval.
    pub own_cpu: Duration,
    /// Messages a second that were asked for.
    pub rate: Option<u64>,
    /// Messages that were due and never sent.
    pub unsent: u64,
    /// From writing a message (at a fixed rate: from when it was due) to reading it, in the measured interval.
    pub latency: Option<Summary>,
    /// The same by percentile, in microseconds.
    pub curve: Vec<(f64, u64)>,
    /// How it went, second by second.
    pub samples: Vec<Sample>,
    /// How often a publisher got no delivery for so long that its messages were given up.
    pub stalls: u64,
    /// Why clients did not reach the end.
    pub losses: Vec<String>,
}

impl LoadReport {
    /// Delivered messages a second; `None` when nothing was delivered.
    pub fn delivered_rate(&self) -> Option<f64> {
        per_second(self.delivered, self.wall)
    }

    /// Delivered messages a second of the broker's CPU time.
    pub fn rate_per_cpu(&self) -> Option<f64> {
        per_cpu_second(self.delivered, self.broker?.cpu)
    }

    /// For programs. A rate that cannot be told is null.
    pub fn to_json(&self) -> Value {
        let total = self.total;
        json!({
            "title": self.title,
            "pattern": self.pattern,
            "measured_seconds": self.wall.as_secs_f64(),
            "sent": self.sent,
            "delivered": self.delivered,
            "delivered_per_second": self.delivered_rate(),
            "delivered_per_broker_cpu_second": self.rate_per_cpu(),
            "asked_per_second": self.rate,
            "unsent": self.unsent,
            "latency": self.latency.map(Summary::to_json),
            "percentiles_us": self.curve,
            "delivered_per_second_by_second":
                self.samples.iter().map(|sample| json!([sample.second, sample.rate])).collect::<Vec<_>>(),
            "whole_run": {
                "sent": total.sent, "delivered": total.delivered, "lost": total.lost,
                "duplicated": total.duplicated, "late": total.late, "foreign": total.foreign,
                "acknowledged": total.acknowledged, "refused": total.refused,
            },
            "broker_cpu_seconds": self.broker.map(|broker| broker.cpu.as_secs_f64()),
            "broker_resident_bytes": self.broker.map(|broker| broker.resident),
            "generator_cpu_seconds": self.own_cpu.as_secs_f64(),
            "stalls": self.stalls,
            "clients_lost": self.losses.len(),
            "first_loss": self.losses.first(),
        })
    }

    /// For people.
    pub fn to_text(&self) -> String {
        let mut out = Lines::titled(&self.title);
        out.line("measured", &format!("{:.1} s", self.wall.as_secs_f64()));
        out.line("delivered", &format!("{} of {} sent", self.delivered, self.sent));
        out.line("rate", &told(self.delivered_rate(), "messages/s"));
        if let Some(broker) = self.broker {
            out.line("per CPU second", &told(self.rate_per_cpu(), "messages/broker CPU s"));
            out.line(
                "broker",
                &format!("{}, {} resident", cpu(broker.cpu, self.wall), bytes(broker.resident)),
            );
        }
        out.line("generator", &cpu(self.own_cpu, self.wall));
        out.line("latency", &self.latency.map_or_else(|| "none".into(), Summary::to_text));
        let total = self.total;
        out.line("lost", &format!("{} of the whole run's {}", total.lost, total.lost + total.delivered));
        out.line(
            "duplicated",
            &format!("{} ({} late, {} foreign)", total.duplicated, total.late, total.foreign),
        );
        if total.acknowledged + total.refused > 0 {
            out.line(
                "acknowledged",
                &format!("{} of {}, {} refused", total.acknowledged, total.sent, total.refused),
            );
        }
        if self.unsent > 0 {
            out.line("never sent", &format!("{} that were due", self.unsent));
        }
        if self.stalls > 0 {
            out.line("stalls", &self.stalls.to_string());
        }
        if let Some(first) = self.losses.first() {
            out.line("clients lost", &format!("{} (first: {first})", self.losses.len()));
        }
        out.text
    }

    /// Whether the numbers may be trusted.
    ///
    /// # Errors
    /// Nothing was delivered, publishes were refused, clients were lost, or the rate was not kept.
    pub fn verdict(&self) -> Result<(), BenchError> {
        let first = self.losses.first().map(|first| format!("; first of the lost clients: {first}"));
        let first = first.unwrap_or_default();
        if self.total.refused > 0 {
            return Err(BenchError::NotTheLoad(format!(
                "{} publishes were refused: does the policy allow iot:Publish below --prefix, and is no quota used up?{first}",
                self.total.refused
            )));
        }
        if self.delivered == 0 {
            return Err(BenchError::NothingDelivered(format!(
                "nothing was delivered: there is no rate to tell{first}"
            )));
        }
        if !self.losses.is_empty() {
            let lost = self.losses.len();
            return Err(BenchError::NotTheLoad(format!(
                "{lost} clients were lost: not the load asked for{first}"
            )));
        }
        // Less than a quarter of a second behind at the end is jitter.
        match self.rate {
            Some(rate) if self.unsent > rate.div_ceil(4) => Err(BenchError::NotTheLoad(format!(
                "{} messages were due and never sent: the broker does not keep {rate} messages/s with this --in-flight",
                self.unsent
            ))),
            _ => Ok(()),
        }
    }
}

/// Lines of a name and a value.
pub struct Lines {
    /// What has been written.
    pub text: String,
}

impl Lines {
    /// Begins with a title.
    pub fn titled(title: &str) -> Self {
        Self { text: format!("{title}\n") }
    }

    /// Appends one line.
    pub fn line(&mut self, name: &str, value: &str) {
        // Writing to a string cannot fail.
        let _ = writeln!(self.text, "  {name:<15} {value}");
    }
}

/// A rate, or that there is none.
pub fn told(rate: Option<f64>, unit: &str) -> String {
    rate.map_or_else(|| "not told: too little to measure".into(), |rate| format!("{rate:.0} {unit}"))
}

/// CPU time, and how many cores that is.
pub fn cpu(cpu: Duration, wall: Duration) -> String {
    let cores = if wall.is_zero() { 0.0 } else { cpu.as_secs_f64() / wall.as_secs_f64() };
    format!("{:.2} s CPU ({cores:.2} cores)", cpu.as_secs_f64())
}

/// Bytes in the unit that people read.
pub fn bytes(bytes: u64) -> String {
    match bytes {
        0..10_240 => format!("{bytes} B"),
        10_240..1_048_576 => format!("{:.1} KiB", bytes as f64 / 1_024.0),
        _ => format!("{:.1} MiB", bytes as f64 / 1_048_576.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(delivered: u64) -> LoadReport {
        LoadReport {
            title: "pairs".into(),
            pattern: "pairs",
            wall: Duration::from_secs(2),
            sent: 10,
            delivered,
            total: Snapshot { sent: 10, delivered, lost: 10 - delivered, ..Snapshot::default() },
            broker: Some(BrokerUse { cpu: Duration::from_secs(1), resident: 20 << 20 }),
            own_cpu: Duration::from_secs(1),
            rate: None,
            unsent: 0,
            latency: None,
            curve: Vec::new(),
            samples: Vec::new(),
            stalls: 0,
            losses: Vec::new(),
        }
    }

    #[test]
    fn a_rate_is_told_of_what_was_delivered() {
        let report = report(8);
        assert_eq!(report.delivered_rate(), Some(4.0));
        assert_eq!(report.rate_per_cpu(), Some(8.0));
        assert!(report.verdict().is_ok());
        assert!(report.to_text().contains("4 messages/s"));
        assert_eq!(report.to_json()["whole_run"]["lost"], 2);
    }

    #[test]
    fn nothing_delivered_is_no_rate_and_a_failure() {
        let report = report(0);
        assert!(matches!(report.verdict(), Err(BenchError::NothingDelivered(_))));
        assert!(report.to_json()["delivered_per_second"].is_null());
        assert!(!report.to_text().contains("messages/"));
    }

    #[test]
    fn lost_clients_are_a_failure() {
        let report = LoadReport { losses: vec!["the broker closed the connection".into()], ..report(8) };
        assert!(matches!(report.verdict(), Err(BenchError::NotTheLoad(_))));
        assert!(report.to_text().contains("closed the connection"));
    }

    #[test]
    fn a_rate_that_was_not_kept_is_a_failure() {
        let report = LoadReport { rate: Some(100), unsent: 26, ..report(8) };
        assert!(report.verdict().unwrap_err().to_string().contains("100 messages/s"));
        assert!(LoadReport { unsent: 25, ..report }.verdict().is_ok());
    }

    #[test]
    fn bytes_have_units() {
        assert_eq!([bytes(900), bytes(11_264), bytes(20 << 20)], ["900 B", "11.0 KiB", "20.0 MiB"]);
    }
}
