//! The command line: what may be typed, and nothing of what it does.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use crate::stamp::STAMP_BYTES;

/// A load.
#[derive(Clone, Debug, Subcommand)]
pub enum Load {
    /// N publishers to N subscribers, one to one
    Pairs(LoadArgs),
    /// One publisher to N subscribers
    FanOut(LoadArgs),
    /// N publishers to one subscriber
    FanIn(LoadArgs),
    /// N publishers to a shared subscription with N members
    Shared(LoadArgs),
    /// N requesters and N responders: how long a question takes to its answer
    Request(LoadArgs),
    /// Retained messages: store them, then let new subscribers fetch all of them
    Retained(StoredArgs),
    /// Sessions whose devices are away: fill their queues, then let them drain
    Offline(StoredArgs),
    /// Connect and disconnect as fast as the broker answers
    Connect(StormArgs),
    /// N connections that do nothing: what each costs in memory
    Idle(IdleArgs),
}

impl Load {
    /// The options that all loads have.
    pub const fn target(&self) -> &TargetArgs {
        match self {
            Self::Pairs(args)
            | Self::FanOut(args)
            | Self::FanIn(args)
            | Self::Shared(args)
            | Self::Request(args) => &args.target,
            Self::Retained(args) | Self::Offline(args) => &args.target,
            Self::Connect(args) => &args.target,
            Self::Idle(args) => &args.target,
        }
    }
}

/// Which broker, and how.
#[derive(Clone, Debug, Args)]
pub struct TargetArgs {
    /// Name or address of the broker
    #[arg(long, default_value = "127.0.0.1")]
    pub host: String,
    /// Port of the broker [default: 1883; tls 8883, ws 80, wss 443]
    #[arg(long)]
    pub port: Option<u16>,
    /// MQTT version: 3 (3.1.1) or 5
    #[arg(long = "version", value_name = "3|5", default_value = "5")]
    pub protocol: Protocol,
    /// What carries MQTT
    #[arg(long, value_enum, default_value_t = Transport::Tcp)]
    pub transport: Transport,
    /// CA certificates to trust (PEM); tls and wss need it
    #[arg(long, value_name = "FILE")]
    pub ca: Option<PathBuf>,
    /// Certificate of the clients (PEM), or a folder of NAME.cert.pem files that they take in turn
    #[arg(long, value_name = "FILE|DIR", requires = "ca")]
    pub cert: Option<PathBuf>,
    /// Private key (PEM), or a folder of NAME.private.key files [default: the folder of --cert]
    #[arg(long, value_name = "FILE|DIR", requires = "cert")]
    pub key: Option<PathBuf>,
    /// Protocol to offer in TLS (ALPN), such as x-amzn-mqtt-ca for MQTT on port 443
    #[arg(long, value_name = "NAME", requires = "ca")]
    pub alpn: Option<String>,
    /// Path of the WebSocket
    #[arg(long, default_value = "/mqtt")]
    pub path: String,
    /// Sign the WebSocket's request (Signature Version 4) for this Region, with AWS_ACCESS_KEY_ID,
    /// AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN
    #[arg(long, value_name = "REGION")]
    pub sigv4: Option<String>,
    /// User name in CONNECT
    #[arg(long, value_name = "NAME")]
    pub user: Option<String>,
    /// Password in CONNECT; better in the environment
    #[arg(long, requires = "user", env = "THINGCORE_BENCH_PASSWORD", hide_env_values = true)]
    pub password: Option<String>,
    /// Client ids: new ones in each run, or the NAMEs of the certificates' files (things, whose policies ask for that)
    #[arg(long, value_enum, default_value_t = ClientIds::Run)]
    pub client_ids: ClientIds,
    /// First level of all topics; the second is the number of the run
    #[arg(long, value_name = "TEXT", default_value = "bench", value_parser = level)]
    pub prefix: String,
    /// Process of the broker on this machine: measures its CPU time and memory
    #[arg(long, value_name = "PID")]
    pub broker_pid: Option<u32>,
    /// Form of the result on standard output
    #[arg(long, value_enum, default_value_t = Format::Table)]
    pub format: Format,
    /// Draw latency and rate into this file, .svg or .html
    #[arg(long, value_name = "FILE", value_parser = picture)]
    pub plot: Option<PathBuf>,
    /// No line a second on standard error
    #[arg(long)]
    pub quiet: bool,
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

/// What carries MQTT.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Transport {
    /// TCP without encryption; AWS has no such port
    Tcp,
    /// TLS, with a client certificate if --cert names one
    Tls,
    /// WebSocket without encryption; AWS has no such port
    Ws,
    /// WebSocket over TLS: signed (--sigv4), or let in by a custom authorizer or a password
    Wss,
}

/// Where client ids come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ClientIds {
    /// bench-RUN-ROLE-NUMBER
    Run,
    /// The NAME of each client's NAME.cert.pem, one client for each
    Device,
}

/// Form of the result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people
    Table,
    /// For programs
    Json,
}

/// Options of the patterns that move messages.
#[derive(Clone, Debug, Args)]
pub struct LoadArgs {
    /// Which broker.
    #[command(flatten)]
    pub target: TargetArgs,
    /// What is sent.
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
    /// Messages a second of all publishers together; latency counts from when a message was due [default: as fast as
    /// they are delivered]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=10_000_000))]
    pub rate: Option<u64>,
    /// Topics that each publisher takes in turn; with more than one, subscribers use wildcard filters
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub topics: u32,
    /// Subscribers have a wildcard filter of its own for each of the --topics, instead of one for all (pairs)
    #[arg(long)]
    pub own_filters: bool,
    /// Wildcard filters that match nothing and are there before the load begins
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u32).range(0..=2_000_000))]
    pub ballast_filters: u32,
    /// Connections that hold those filters, or do nothing at all
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u32).range(0..=100_000))]
    pub ballast_clients: u32,
}

/// Options of the patterns whose messages are stored on their way.
#[derive(Clone, Debug, Args)]
pub struct StoredArgs {
    /// Which broker.
    #[command(flatten)]
    pub target: TargetArgs,
    /// Devices that fetch; for each, one publisher stores
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=20_000))]
    pub clients: u32,
    /// Messages that each publisher stores
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub messages: u32,
    /// Bytes of a payload
    #[arg(long, value_name = "BYTES", default_value_t = 128, value_parser = size)]
    pub size: usize,
    /// Messages of one publisher that may be unacknowledged
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub in_flight: u32,
    /// `offline`: fill the queues and end the sessions, without draining them
    #[arg(long)]
    pub enqueue_only: bool,
}

/// Options of `connect`.
#[derive(Clone, Debug, Args)]
pub struct StormArgs {
    /// Which broker.
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
#[derive(Clone, Debug, Args)]
pub struct IdleArgs {
    /// Which broker.
    #[command(flatten)]
    pub target: TargetArgs,
    /// Connections
    #[arg(long, value_name = "N", default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub clients: u32,
    /// How long they stay before the memory is read
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=600))]
    pub seconds: u64,
    /// Each subscribes to one topic of its own
    #[arg(long)]
    pub subscribe: bool,
}

/// Options of `devices`, which `thingcore bench` has besides the loads.
#[derive(Clone, Debug, Args)]
pub struct DevicesArgs {
    /// Devices
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=20_000))]
    pub count: u32,
    /// Beginning of their names: NAME-00001...
    #[arg(long, value_name = "NAME", default_value = "bench-device")]
    pub name: String,
    /// First level of the topics that the load will use (its --prefix)
    #[arg(long, value_name = "TEXT", default_value = "bench", value_parser = level)]
    pub prefix: String,
    /// Folder for NAME.cert.pem, NAME.private.key and root-CA.crt
    #[arg(long, value_name = "DIR", default_value = "bench-devices")]
    pub out: PathBuf,
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

fn level(text: &str) -> Result<String, String> {
    if text.is_empty() || text.contains(['/', '+', '#', '$']) {
        return Err("one topic level, without / + # $".into());
    }
    Ok(text.to_owned())
}

fn picture(text: &str) -> Result<PathBuf, String> {
    if text.ends_with(".svg") || text.ends_with(".html") {
        return Ok(text.into());
    }
    Err("the name must end with .svg or .html".into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::{CommandFactory, Parser};

    #[derive(Debug, Parser)]
    struct Cli {
        #[command(subcommand)]
        load: Load,
    }

    #[test]
    fn the_definition_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_payload_holds_a_stamp() {
        assert_eq!(size("28"), Ok(28));
        assert!(size("27").is_err() && size("131073").is_err() && size("a").is_err());
    }

    #[test]
    fn options_that_need_another_say_so() {
        let parse = |line: &str| Cli::try_parse_from(line.split_whitespace()).is_ok();
        assert!(parse("b pairs --transport tls --ca a --cert b --key c"));
        assert!(!parse("b pairs --cert b --key c"));
        assert!(!parse("b pairs --prefix a/b"));
        assert!(!parse("b idle --plot x.png"));
        assert!(parse("b offline --messages 5 --plot x.svg"));
    }
}
