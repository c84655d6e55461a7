//! The command line: what may be typed, and nothing of what it does.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::load::Pattern;
use crate::stamp::STAMP_BYTES;

/// Load for MQTT brokers: throughput, latency, and what they cost the broker.
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
    /// N publishers to N subscribers, one to one
    Pairs(LoadArgs),
    /// One publisher to N subscribers
    FanOut(LoadArgs),
    /// N publishers to one subscriber
    FanIn(LoadArgs),
    /// Connect and disconnect as fast as the broker answers
    Connect(StormArgs),
    /// N connections that do nothing: what each costs in memory
    Idle(IdleArgs),
    /// Start brokers in turn, load them, and report ratios
    Compare(Box<CompareArgs>),
}

/// Which broker, and how.
#[derive(Clone, Debug, Args)]
pub struct TargetArgs {
    /// Name or address of the broker
    #[arg(long, default_value = "127.0.0.1")]
    pub host: String,
    /// Port of the broker
    #[arg(long, default_value_t = 1883)]
    pub port: u16,
    /// MQTT version: 3 (3.1.1) or 5
    #[arg(long = "version", value_name = "3|5", default_value = "5")]
    pub protocol: Protocol,
    /// TLS instead of plain TCP
    #[arg(long, requires = "ca")]
    pub tls: bool,
    /// CA certificates to trust (PEM)
    #[arg(long, value_name = "FILE", requires = "tls")]
    pub ca: Option<PathBuf>,
    /// Certificate of the clients (PEM), or a folder of NAME.cert.pem files that they share in turn
    #[arg(long, value_name = "FILE|DIR", requires = "tls")]
    pub cert: Option<PathBuf>,
    /// Private key (PEM), or a folder of NAME.private.key files [default: the folder of --cert]
    #[arg(long, value_name = "FILE|DIR", requires = "cert")]
    pub key: Option<PathBuf>,
    /// Process of the broker on this machine: measures its CPU time and memory
    #[arg(long, value_name = "PID")]
    pub broker_pid: Option<u32>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// A protocol version as typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Protocol {
    /// MQTT 3.1.1
    #[value(name = "3")]
    V3,
    /// MQTT 5
    #[value(name = "5")]
    V5,
}

/// Options of the patterns that move messages.
#[derive(Debug, Args)]
pub struct LoadArgs {
    #[command(flatten)]
    pub target: TargetArgs,
    #[command(flatten)]
    pub traffic: TrafficArgs,
}

/// What is sent, how much of it and for how long.
#[derive(Clone, Debug, Args)]
pub struct TrafficArgs {
    /// The N of the pattern
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=20_000))]
    pub clients: u32,
    /// Quality of service of publishes and subscriptions
    #[arg(long, value_name = "0|1", default_value_t = 0, value_parser = clap::value_parser!(u8).range(0..=1))]
    pub qos: u8,
    /// Bytes of a payload
    #[arg(long, value_name = "BYTES", default_value_t = 128, value_parser = size)]
    pub size: usize,
    /// Length of the measured interval
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=600))]
    pub seconds: u64,
    /// Load before the measured interval begins
    #[arg(long, value_name = "SECONDS", default_value_t = 1, value_parser = clap::value_parser!(u64).range(0..=60))]
    pub warm_up: u64,
    /// Messages of one publisher that may be on their way
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub in_flight: u32,
}

/// Options of `connect`.
#[derive(Debug, Args)]
pub struct StormArgs {
    #[command(flatten)]
    pub target: TargetArgs,
    /// Clients that connect at the same time, each again and again
    #[arg(long, value_name = "N", default_value_t = 16, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub in_flight: u32,
    /// Length of the storm
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=600))]
    pub seconds: u64,
}

/// Options of `idle`.
#[derive(Debug, Args)]
pub struct IdleArgs {
    #[command(flatten)]
    pub target: TargetArgs,
    /// Connections
    #[arg(long, value_name = "N", default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub clients: u32,
    /// How long they stay before the memory is read
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=600))]
    pub seconds: u64,
}

/// Options of `compare`.
#[derive(Debug, Args)]
pub struct CompareArgs {
    /// The thingcore binary
    #[arg(long, value_name = "PATH")]
    pub thingcore: PathBuf,
    /// The mosquitto binary to compare with
    #[arg(long, value_name = "PATH")]
    pub mosquitto: Option<PathBuf>,
    /// Compare with the same thingcore under this configuration file
    #[arg(long, value_name = "FILE", conflicts_with = "mosquitto")]
    pub configured: Option<PathBuf>,
    /// Compare with this other build of thingcore
    #[arg(long, value_name = "PATH", conflicts_with_all = ["mosquitto", "configured"])]
    pub baseline: Option<PathBuf>,
    /// Rounds; each starts every broker once
    #[arg(long, value_name = "R", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=20))]
    pub rounds: u32,
    /// What to load them with
    #[arg(long, value_enum, default_value_t = Pattern::Pairs)]
    pub pattern: Pattern,
    /// MQTT version: 3 (3.1.1) or 5
    #[arg(long = "version", value_name = "3|5", default_value = "5")]
    pub protocol: Protocol,
    #[command(flatten)]
    pub traffic: TrafficArgs,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// AWS IoT takes payloads of at most 128 KiB.
const SIZE_MAX: usize = 128 * 1024;

fn size(text: &str) -> Result<usize, String> {
    let bytes: usize = text.parse().map_err(|_| format!("{text} is no number of bytes"))?;
    if (STAMP_BYTES..=SIZE_MAX).contains(&bytes) {
        return Ok(bytes);
    }
    Err(format!("{bytes} is not between {STAMP_BYTES} (what the generator writes itself) and {SIZE_MAX}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_definition_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn payloads_have_room_for_the_stamp() {
        assert!(size("28").is_ok());
        assert!(size("27").unwrap_err().contains("28"));
        assert!(size("131073").is_err());
    }

    #[test]
    fn certificates_need_tls() {
        let parse = |line: &str| Cli::try_parse_from(line.split_whitespace()).is_ok();
        assert!(parse("b pairs --tls --ca a --cert b --key c"));
        assert!(!parse("b pairs --cert b --key c"));
        assert!(!parse("b pairs --tls"));
        assert!(parse("b compare --thingcore t --mosquitto m --pattern fan-out --seconds 3 --rounds 2"));
        assert!(parse("b compare --thingcore t --baseline b"));
        assert!(!parse("b compare --thingcore t --baseline b --mosquitto m"));
    }
}
