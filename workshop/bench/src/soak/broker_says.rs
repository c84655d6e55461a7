//! What the broker itself counts of things that must not happen, or have a name when they do: from its metrics.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpStream};
use std::time::Duration;

use serde_json::{Value, json};

/// Families that are kept.
const FAMILIES: [&str; 6] = [
    "thingcore_deliveries_dropped_total",
    "thingcore_refusals_total",
    "thingcore_handshake_failures_total",
    "thingcore_store_failures_total",
    "thingcore_log_lines_dropped_total",
    "thingcore_disconnects_total",
];
const PATIENCE: Duration = Duration::from_secs(10);

/// Counters by name and labels.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Said(BTreeMap<String, f64>);

impl Said {
    /// Asks the administration port; nothing if nobody answers.
    pub fn ask(port: Option<u16>) -> Self {
        port.and_then(|port| metrics(port).ok()).map_or_else(Self::default, |text| Self::parse(&text))
    }

    fn parse(text: &str) -> Self {
        let lines = text.lines().filter(|line| FAMILIES.iter().any(|family| line.starts_with(family)));
        let split = lines.filter_map(|line| {
            let (name, value) = line.rsplit_once(' ')?;
            Some((name.to_owned(), value.parse().ok()?))
        });
        Self(split.collect())
    }

    /// What has been added since.
    pub fn since(&self, before: &Self) -> Self {
        let more = |(name, value): (&String, &f64)| {
            let more = value - before.0.get(name).copied().unwrap_or(0.0);
            (more > 0.0).then(|| (name.clone(), more))
        };
        Self(self.0.iter().filter_map(more).collect())
    }

    /// The sum of a family.
    pub fn sum(&self, family: &str) -> f64 {
        let of_it = self.0.iter().filter(|(name, _)| name.starts_with(family));
        of_it.fold(0.0, |sum, (_, value)| sum + value)
    }

    /// What was refused to a client. That a new connection takes the place of one whose end the broker has not seen yet is
    /// counted there, too, and is no refusal: it happens when a device comes back as fast as it left.
    pub fn refusals(&self) -> f64 {
        let taken_over = "thingcore_refusals_total{fault=\"TakenOver\"}";
        self.sum("thingcore_refusals_total") - self.sum(taken_over)
    }

    /// By name.
    pub fn to_json(&self) -> Value {
        json!(self.0)
    }
}

fn metrics(port: u16) -> std::io::Result<String> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_added_is_told_by_name() {
        let before =
            Said::parse("# TYPE x counter\nthingcore_refusals_total{reason=\"a\"} 3\nthingcore_other 9\n");
        let after = Said::parse(
            "thingcore_refusals_total{reason=\"a\"} 5\nthingcore_refusals_total{reason=\"b\"} 1\n\
             thingcore_store_failures_total 0\n",
        );
        let more = after.since(&before);
        assert_eq!(more.sum("thingcore_refusals_total"), 3.0);
        assert_eq!(more.to_json().as_object().unwrap().len(), 2);
        let taken = Said::parse(
            "thingcore_refusals_total{fault=\"TakenOver\"} 3\nthingcore_refusals_total{fault=\"x\"} 1\n",
        );
        assert_eq!(taken.refusals(), 1.0);
        assert_eq!(Said::ask(None), Said::default());
    }
}
