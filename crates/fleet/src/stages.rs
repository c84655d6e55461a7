//! The outcome of a pattern that goes through stages, each with a count of its own: messages are stored, then fetched.

use std::time::Duration;

use serde_json::{Value, json};

use crate::fault::BenchError;
use crate::load::Snapshot;
use crate::process::{Usage, per_cpu_second, per_second};
use crate::report::{BrokerUse, Lines, cpu, told};

/// One stage.
#[derive(Clone, Copy, Debug)]
pub struct Stage {
    /// What was done: `enqueue`, `drain`, ...
    pub name: &'static str,
    /// How many messages.
    pub messages: u64,
    /// How long it took.
    pub wall: Duration,
    /// What the broker used.
    pub broker: Option<BrokerUse>,
}

/// A stage that is going on.
#[derive(Debug)]
pub struct Begun {
    name: &'static str,
    at: std::time::Instant,
    broker: Option<Usage>,
    pid: Option<u32>,
}

impl Begun {
    /// Begins now.
    ///
    /// # Errors
    /// `/proc` does not tell about the broker.
    pub fn now(name: &'static str, pid: Option<u32>) -> Result<Self, BenchError> {
        Ok(Self { name, at: std::time::Instant::now(), broker: Usage::of_broker(pid)?, pid })
    }

    /// Ends now.
    ///
    /// # Errors
    /// `/proc` does not tell about the broker.
    pub fn end(self, messages: u64) -> Result<Stage, BenchError> {
        let wall = self.at.elapsed();
        let broker = BrokerUse::between(self.broker, Usage::of_broker(self.pid)?);
        Ok(Stage { name: self.name, messages, wall, broker })
    }
}

/// All stages of a run.
#[derive(Debug)]
pub struct StagesReport {
    /// The settings in one line.
    pub title: String,
    /// The pattern's name.
    pub pattern: &'static str,
    /// In their order.
    pub stages: Vec<Stage>,
    /// What was sent, fetched, lost and doubled.
    pub total: Snapshot,
    /// CPU time of the generator.
    pub own_cpu: Duration,
}

impl StagesReport {
    /// For programs.
    pub fn to_json(&self) -> Value {
        let stage = |stage: &Stage| {
            json!({
                "stage": stage.name,
                "messages": stage.messages,
                "seconds": stage.wall.as_secs_f64(),
                "messages_per_second": per_second(stage.messages, stage.wall),
                "messages_per_broker_cpu_second":
                    stage.broker.and_then(|broker| per_cpu_second(stage.messages, broker.cpu)),
                "broker_cpu_seconds": stage.broker.map(|broker| broker.cpu.as_secs_f64()),
                "broker_resident_bytes": stage.broker.map(|broker| broker.resident),
            })
        };
        let total = self.total;
        json!({
            "title": self.title,
            "pattern": self.pattern,
            "stages": self.stages.iter().map(stage).collect::<Vec<_>>(),
            "whole_run": {
                "sent": total.sent, "delivered": total.delivered, "lost": total.lost,
                "duplicated": total.duplicated, "late": total.late, "foreign": total.foreign,
                "acknowledged": total.acknowledged, "refused": total.refused,
            },
            "generator_cpu_seconds": self.own_cpu.as_secs_f64(),
        })
    }

    /// For people.
    pub fn to_text(&self) -> String {
        let mut out = Lines::titled(&self.title);
        for stage in &self.stages {
            let mut text = format!(
                "{} in {:.2} s, {}",
                stage.messages,
                stage.wall.as_secs_f64(),
                told(per_second(stage.messages, stage.wall), "messages/s")
            );
            if let Some(broker) = stage.broker {
                text += &format!(", broker {}", cpu(broker.cpu, stage.wall));
            }
            out.line(stage.name, &text);
        }
        out.line("generator", &format!("{:.2} s CPU", self.own_cpu.as_secs_f64()));
        out.line("lost", &format!("{} of {}", self.total.lost, self.total.sent));
        out.line("duplicated", &format!("{} ({} late)", self.total.duplicated, self.total.late));
        if self.total.refused > 0 {
            out.line("refused", &self.total.refused.to_string());
        }
        out.text
    }

    /// Whether the numbers may be trusted.
    ///
    /// # Errors
    /// Publishes were refused, or nothing came back.
    pub fn verdict(&self) -> Result<(), BenchError> {
        if self.total.refused > 0 {
            return Err(BenchError::NotTheLoad(format!(
                "{} publishes were refused: does the policy allow it (retained ones need iot:RetainPublish), and is no \
                 quota used up?",
                self.total.refused
            )));
        }
        // With one stage nothing was to come back.
        let done = if self.stages.len() > 1 { self.total.delivered } else { self.total.acknowledged };
        if done == 0 {
            return Err(BenchError::NothingDelivered(
                "nothing was stored or delivered: there is no rate to tell".into(),
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stages_have_rates_and_losses_are_told() {
        let stage = Stage { name: "drain", messages: 50, wall: Duration::from_secs(2), broker: None };
        let total = Snapshot { sent: 60, delivered: 50, lost: 10, ..Snapshot::default() };
        let report = StagesReport {
            title: "offline".into(),
            pattern: "offline",
            stages: vec![stage, stage],
            total,
            own_cpu: Duration::ZERO,
        };
        assert_eq!(report.to_json()["stages"][0]["messages_per_second"], 25.0);
        assert!(report.to_text().contains("10 of 60"));
        assert!(report.verdict().is_ok());
        let refused = Snapshot { refused: 1, ..total };
        let text = StagesReport { total: refused, ..report }.verdict().unwrap_err().to_string();
        assert!(text.contains("iot:RetainPublish"), "{text}");
    }
}
