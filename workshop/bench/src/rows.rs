//! The rows of the table of targets: what is loaded, what is read off, and what must be reached. A load is written as it
//! is typed after `thingcore bench`; MQTT is 3.1.1 everywhere, because one of the peers speaks nothing newer.

use clap::Parser;
use fleet::BenchError;
use fleet::cli::Load;

/// What is read off a turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Metric {
    /// Messages delivered a second of the broker's CPU time.
    PerCpu,
    /// Resident bytes of one connection.
    Bytes,
    /// Connections a second.
    Connects,
    /// 99th percentile of the latency, microseconds.
    P99,
    /// Messages put into queues on disk a second.
    Enqueued,
}

impl Metric {
    /// Where it stands in a finding.
    pub const fn pointer(self) -> &'static str {
        match self {
            Self::PerCpu => "/delivered_per_broker_cpu_second",
            Self::Bytes => "/broker_resident_bytes_each",
            Self::Connects => "/connected_per_second",
            Self::P99 => "/latency/p99_us",
            Self::Enqueued => "/stages/0/messages_per_second",
        }
    }

    /// Its unit.
    pub const fn unit(self) -> &'static str {
        match self {
            Self::PerCpu => "msg/cpu-s",
            Self::Bytes => "B each",
            Self::Connects => "connects/s",
            Self::P99 => "us",
            Self::Enqueued => "msg/s",
        }
    }

    /// Whether less is better.
    pub const fn less_is_better(self) -> bool {
        matches!(self, Self::Bytes | Self::P99)
    }
}

/// What must be reached.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Goal {
    /// This many times as good as the best peer of the run.
    TimesBest(f64),
    /// No more than this, whatever the peers do.
    AtMost(f64),
    /// No less than this.
    AtLeast(f64),
    /// This many times the same binary under another configuration.
    TimesConfigured(f64),
    /// Nothing: a load of somebody's own.
    None,
}

/// One row.
#[derive(Clone, Debug)]
pub struct Row {
    /// Names it on the command line and in the file.
    pub id: String,
    /// In words.
    pub title: String,
    /// What is typed.
    pub load: String,
    /// Mutual TLS, and for thingcore devices with policies of their own.
    pub tls: bool,
    /// What is read off.
    pub metric: Metric,
    /// What must be reached.
    pub goal: Goal,
}

type Written = (&'static str, &'static str, &'static str, bool, Metric, Goal);

/// All rows. The loads have no broker, no TLS and no length of time: the comparison adds those.
#[rustfmt::skip]
const ROWS: [Written; 17] = [
    ("pairs-tls", "1:1, 50 pairs, QoS 0, 64 B, pipelined, mutual TLS", "pairs --clients 50 --size 64",
        true, Metric::PerCpu, Goal::TimesBest(1.3)),
    ("pairs", "the same, plain TCP", "pairs --clients 50 --size 64", false, Metric::PerCpu, Goal::TimesBest(1.5)),
    ("pairs-qos1", "the same, QoS 1, plain TCP", "pairs --clients 50 --size 64 --qos 1",
        false, Metric::PerCpu, Goal::TimesBest(1.3)),
    ("pairs-one", "1:1, 50 pairs, QoS 0, one message in flight each", "pairs --clients 50 --size 64 --in-flight 1",
        false, Metric::PerCpu, Goal::TimesBest(1.1)),
    ("fan-out", "fan-out 1:500, QoS 0", "fan-out --clients 500 --size 64 --in-flight 20",
        false, Metric::PerCpu, Goal::TimesBest(1.3)),
    ("fan-in", "fan-in 100:1, QoS 0", "fan-in --clients 100 --size 64", false, Metric::PerCpu, Goal::TimesBest(1.2)),
    ("fan-in-qos1", "fan-in 100:1, QoS 1", "fan-in --clients 100 --size 64 --qos 1",
        false, Metric::PerCpu, Goal::TimesBest(1.2)),
    ("wildcards", "beside 100 000 distinct wildcard filters, publish to 50 000 topics",
        "pairs --clients 50 --size 64 --topics 1000 --ballast-filters 100000", false, Metric::PerCpu, Goal::TimesBest(5.0)),
    ("wildcards-own", "100 000 distinct wildcard filters, then publish to each of them",
        "pairs --clients 2000 --size 64 --topics 50 --own-filters --in-flight 5", false, Metric::PerCpu, Goal::TimesBest(5.0)),
    ("wildcards-few", "the same filters held by 50 clients, pipelined",
        "pairs --clients 50 --size 64 --topics 2000 --own-filters", false, Metric::PerCpu, Goal::TimesBest(5.0)),
    ("large", "100 KB payloads, QoS 1", "pairs --clients 10 --size 102400 --qos 1 --in-flight 10",
        false, Metric::PerCpu, Goal::TimesBest(1.0)),
    ("idle-tls", "2 000 idle mutual-TLS connections", "idle --clients 2000", true, Metric::Bytes, Goal::AtMost(14.0 * 1024.0)),
    ("idle", "5 000 idle plain connections with one subscription", "idle --clients 5000 --subscribe",
        false, Metric::Bytes, Goal::AtMost(4.0 * 1024.0)),
    ("connects-tls", "mutual-TLS connects a second", "connect --in-flight 128", true, Metric::Connects, Goal::TimesBest(1.2)),
    ("latency", "p99 at 5 000 msg/s, 100 pairs, QoS 1", "pairs --clients 100 --size 64 --qos 1 --rate 5000",
        false, Metric::P99, Goal::TimesBest(1.0)),
    ("offline", "offline queues on disk: 50 devices away, enqueue", "offline --clients 50 --messages 2000 --enqueue-only",
        false, Metric::Enqueued, Goal::AtLeast(50_000.0)),
    ("overhead", "metering on by metering off, mutual TLS, policies on", "pairs --clients 50 --size 64",
        true, Metric::PerCpu, Goal::TimesConfigured(0.98)),
];

#[derive(Debug, Parser)]
struct Typed {
    #[command(subcommand)]
    load: Load,
}

impl Row {
    /// All rows, in the order of the table.
    pub fn all() -> Vec<Self> {
        let row = |(id, title, load, tls, metric, goal): Written| Self {
            id: id.into(),
            title: title.into(),
            load: load.into(),
            tls,
            metric,
            goal,
        };
        ROWS.into_iter().map(row).collect()
    }

    /// The rows with these ids; `all` is all of them.
    ///
    /// # Errors
    /// There is no such row.
    pub fn chosen(ids: &[String]) -> Result<Vec<Self>, BenchError> {
        let all = Self::all();
        if ids.iter().any(|id| id == "all") {
            return Ok(all);
        }
        let find = |id: &String| {
            let known = || all.iter().map(|row| row.id.as_str()).collect::<Vec<_>>().join(", ");
            all.iter()
                .find(|row| row.id == *id)
                .cloned()
                .ok_or_else(|| BenchError::Option(format!("no row {id}; there are: {}", known())))
        };
        ids.iter().map(find).collect()
    }

    /// A load that somebody typed.
    pub fn own(load: &str, tls: bool) -> Self {
        let metric = match load.split_whitespace().next() {
            Some("idle") => Metric::Bytes,
            Some("connect") => Metric::Connects,
            Some("offline" | "retained") => Metric::Enqueued,
            _ => Metric::PerCpu,
        };
        Self { id: "own".into(), title: load.into(), load: load.into(), tls, metric, goal: Goal::None }
    }

    /// The load for a broker at this port, as if it had been typed.
    ///
    /// # Errors
    /// The words are no load.
    pub fn typed(&self, more: &[String]) -> Result<Load, BenchError> {
        let words = std::iter::once("bench").chain(self.load.split_whitespace()).map(str::to_owned);
        let parsed = Typed::try_parse_from(words.chain(more.iter().cloned()));
        parsed.map(|typed| typed.load).map_err(|error| BenchError::Option(format!("{}: {error}", self.load)))
    }

    /// Whether the load lasts as long as it is told.
    pub fn takes_time(&self) -> bool {
        !matches!(self.load.split_whitespace().next(), Some("offline" | "retained"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_is_a_load() {
        for row in Row::all() {
            let more = ["--port", "1", "--version", "3", "--quiet"].map(str::to_owned);
            row.typed(&more).unwrap();
        }
    }

    #[test]
    fn metering_is_judged_by_what_is_promised() {
        let row = Row::chosen(&["overhead".into()]).unwrap().remove(0);
        let Goal::TimesConfigured(least) = row.goal else { panic!("{row:?}") };
        let promise = format!("at least {least} is the promise");
        assert!(include_str!("../README.md").contains(&promise), "{promise}");
    }

    #[test]
    fn rows_are_chosen_by_id() {
        let ids = |text: &str| text.split(',').map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(Row::chosen(&ids("large,idle")).unwrap().len(), 2);
        assert_eq!(Row::chosen(&ids("all")).unwrap().len(), 17);
        assert!(Row::chosen(&ids("x")).unwrap_err().to_string().contains("pairs-tls"));
    }
}
