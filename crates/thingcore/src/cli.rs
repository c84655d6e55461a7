//! The command line: what may be typed, and nothing of what it does.

mod bench;
mod policy;

use std::net::IpAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

pub use bench::{BenchCommand, BenchDevicesArgs};
pub use policy::{
    AnalysisArgs, CheckFormat, ExpectedAnswer, PoliciesArgs, PolicyCheckArgs, PolicyCommand, PolicyDiffArgs,
    PolicyExplainArgs, PolicyMatrixArgs, PolicyReachArgs, PolicyReplayArgs, PolicySuggestArgs, SeverityName,
    ThingName, TrafficArgs,
};

/// A message broker that behaves like AWS IoT Core's.
#[derive(Debug, Parser)]
#[command(name = "thingcore", version, about, max_term_width = 100)]
pub struct Cli {
    /// Without one: `serve` with its defaults.
    #[command(subcommand)]
    pub command: Option<Command>,
}

impl Cli {
    /// `thingcore` alone: `serve` without flags. The environment still counts.
    pub fn serve_by_default() -> ServeArgs {
        match Self::parse_from(["thingcore", "serve"]).command {
            Some(Command::Serve(args)) => *args,
            _ => ServeArgs::default(),
        }
    }
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the broker.
    Serve(Box<ServeArgs>),
    /// Make and show devices.
    #[command(subcommand)]
    Device(DeviceCommand),
    /// Show what clients met that the MQTT standard does differently
    Divergences(DivergencesArgs),
    /// Say why a client was last refused, throttled or disconnected, and what to change
    Why(WhyArgs),
    /// Follow events as they happen
    Tail(Box<TailArgs>),
    /// Show connections, rates, busy and troubled clients, topics and refusals, live
    Top(TopArgs),
    /// Show what AWS would bill, live
    Bill(Box<BillArgs>),
    /// Provoke what AWS permits itself and this broker normally does not do
    #[command(subcommand)]
    Quirks(QuirksCommand),
    /// Put a fleet of devices on a broker as load, and measure it
    #[command(subcommand)]
    Bench(Box<BenchCommand>),
    /// Reason about policies: check, explain, reach, diff, matrix
    #[command(subcommand)]
    Policy(PolicyCommand),
}

/// Options of `thingcore serve`. Each may also stand in the environment as `THINGCORE_` and its name (a flag wins), or
/// in the file of `--config` (environment and flags win).
#[derive(Clone, Debug, Default, Args)]
pub struct ServeArgs {
    /// Folder of all state; made at the first start [default: thingcore-data]
    #[arg(long, value_name = "DIR", env = "THINGCORE_DATA_DIR")]
    pub data_dir: Option<PathBuf>,
    /// Write this file (JSON: ports, URLs, keys) when every listener accepts
    #[arg(long, value_name = "FILE")]
    pub ready_file: Option<PathBuf>,
    /// Configuration file (TOML)
    #[arg(long, value_name = "FILE", env = "THINGCORE_CONFIG")]
    pub config: Option<PathBuf>,
    /// Whose rules: AWS IoT Core's, or those of the OASIS MQTT standards [default: aws]
    #[arg(long, env = "THINGCORE_DIALECT")]
    pub dialect: Option<DialectName>,
    /// Whose quotas: AWS's, those of its Regions with lower ones, or none [default: aws; unlimited with --dialect oasis]
    #[arg(long, value_name = "PROFILE", env = "THINGCORE_QUOTAS")]
    pub quotas: Option<ProfileName>,
    /// MQTT over TLS with client certificates; 0 = any free port [default: 8883]
    #[arg(long, value_name = "N", env = "THINGCORE_MQTT_PORT")]
    pub mqtt_port: Option<u16>,
    /// The 443 port: MQTT by ALPN, WebSocket and HTTPS; 0 = any free port [default: 443, or 4443 where 443 is not permitted]
    #[arg(long, value_name = "N", env = "THINGCORE_TLS_PORT")]
    pub tls_port: Option<u16>,
    /// HTTPS with client certificates; 0 = any free port [default: 8443]
    #[arg(long, value_name = "N", env = "THINGCORE_HTTPS_PORT")]
    pub https_port: Option<u16>,
    /// The AWS IoT API (control plane and data plane); 0 = any free port [default: 7080]
    #[arg(long, value_name = "N", env = "THINGCORE_API_PORT")]
    pub api_port: Option<u16>,
    /// Metrics and health; 0 = any free port [default: 7090]
    #[arg(long, value_name = "N", env = "THINGCORE_ADMIN_PORT")]
    pub admin_port: Option<u16>,
    /// Plaintext MQTT for tests, on loopback only; 0 = any free port [default: no such listener]
    #[arg(long, value_name = "N", env = "THINGCORE_PLAIN_PORT")]
    pub plain_port: Option<u16>,
    /// Whom clients of the plaintext port count as; allowed everything [default: plain]
    #[arg(long, value_name = "NAME", env = "THINGCORE_PLAIN_PRINCIPAL")]
    pub plain_principal: Option<String>,
    /// Address of the device ports [default: all addresses]
    #[arg(long, value_name = "ADDR", env = "THINGCORE_BIND")]
    pub bind: Option<IpAddr>,
    /// For development: everything on loopback, access key test/test accepted, pages in browsers refused
    #[arg(long, env = "THINGCORE_DEV")]
    pub dev: bool,
    /// Another name or address in the server certificate; may be repeated
    #[arg(long = "server-name", value_name = "NAME", env = "THINGCORE_SERVER_NAMES", value_delimiter = ',')]
    pub server_names: Vec<String>,
    /// At the end, write which clients met differences from the MQTT standard to this file (JSON)
    #[arg(long, value_name = "FILE", env = "THINGCORE_DIVERGENCES_FILE")]
    pub divergences_file: Option<PathBuf>,
    /// Form of the log [default: human]
    #[arg(long, env = "THINGCORE_LOG")]
    pub log: Option<LogFormat>,
    /// Least level that is logged [default: info]
    #[arg(long, value_name = "LEVEL", env = "THINGCORE_LOG_LEVEL")]
    pub log_level: Option<LogLevel>,
    /// Export metrics and log entries to this OpenTelemetry collector (OTLP over HTTP), such as http://127.0.0.1:4318
    #[arg(long, value_name = "URL", env = "THINGCORE_OTLP_ENDPOINT")]
    pub otlp_endpoint: Option<String>,
}

/// A dialect by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DialectName {
    /// AWS IoT Core.
    Aws,
    /// The OASIS standards MQTT 3.1.1 and 5.0 without departures.
    Oasis,
}

/// Values for all quotas, by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ProfileName {
    /// AWS's defaults in most Regions.
    Aws,
    /// AWS's defaults in the Regions that have lower ones.
    AwsSelect,
    /// No rates, and counts as wide as this broker can bear.
    Unlimited,
}

/// Form of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// One line of words per event.
    Human,
    /// One JSON object per event.
    Json,
}

/// Least level that is logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogLevel {
    /// What the broker could not do.
    Error,
    /// Refusals and losses.
    Warn,
    /// Connections, subscriptions and changes.
    Info,
    /// Every message.
    Debug,
}

/// What to do with devices.
#[derive(Debug, Subcommand)]
pub enum DeviceCommand {
    /// Make a thing with a certificate, a key and a policy, and write what the device needs
    Create(Box<DeviceCreateArgs>),
}

/// Options of `thingcore device create`.
#[derive(Clone, Debug, Args)]
pub struct DeviceCreateArgs {
    /// Name of the thing; also the MQTT client id and the first level of its topics
    pub name: String,
    /// Policy document (JSON) instead of the default one, which allows the device its own topics
    #[arg(long, value_name = "FILE")]
    pub policy: Option<PathBuf>,
    /// Folder for certificate, keys and the sample program [default: a folder of the device's name]
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Which server
    #[command(flatten)]
    pub server: ServerArgs,
    /// Form of the answer
    #[arg(long, value_enum, default_value_t = OutputFormat::Table)]
    pub format: OutputFormat,
}

/// Options of `thingcore divergences`.
#[derive(Clone, Debug, Args)]
pub struct DivergencesArgs {
    /// Exit with 3 if a client met one of these (ids of docs/reference/divergences.md), or `any`
    #[arg(long, value_name = "ID[,ID...]|any", value_delimiter = ',')]
    pub fail_on: Vec<String>,
    /// Forget what was seen, after showing it
    #[arg(long, conflicts_with = "from")]
    pub reset: bool,
    /// Read the file that `serve --divergences-file` wrote, instead of asking a server
    #[arg(long, value_name = "FILE")]
    pub from: Option<PathBuf>,
    /// Which server
    #[command(flatten)]
    pub server: ServerArgs,
    /// Form of the answer
    #[arg(long, value_enum, default_value_t = OutputFormat::Table)]
    pub format: OutputFormat,
}

/// Options of `thingcore why`. Exit code 3: nothing is known of the client.
#[derive(Clone, Debug, Args)]
pub struct WhyArgs {
    /// Client id, certificate id, thing name, access key or IP address
    pub subject: String,
    /// Go on, and show what happens to it from now on
    #[arg(long)]
    pub follow: bool,
    /// With --follow: stop after so many seconds [default: never]
    #[arg(long = "for", value_name = "SECONDS", requires = "follow")]
    pub seconds: Option<f64>,
    /// Which server
    #[command(flatten)]
    pub server: ServerArgs,
    /// Form of the answer
    #[arg(long, value_enum, default_value_t = OutputFormat::Table)]
    pub format: OutputFormat,
}

/// Options of `thingcore tail`. Only what all of them ask for is shown.
#[derive(Clone, Debug, Args)]
pub struct TailArgs {
    /// Client ids; * is any text
    #[arg(long, value_name = "PATTERN", default_value = "")]
    pub client: String,
    /// A client id, certificate id, access key or IP address, whichever it is
    #[arg(long, value_name = "WHO", default_value = "")]
    pub subject: String,
    /// Topics that this filter matches; + and # are wildcards
    #[arg(long, value_name = "FILTER", default_value = "")]
    pub topic: String,
    /// Kinds of events (docs/reference/events.md), whole or by their first part: publish.denied, publish
    #[arg(long = "kind", value_name = "KIND[,KIND...]", value_delimiter = ',')]
    pub kinds: Vec<String>,
    /// A reason: of AWS's log, of the table of refusals, or a disconnectReason
    #[arg(long, value_name = "REASON", default_value = "")]
    pub reason: String,
    /// Least level [default: info; debug with --kind]
    #[arg(long, value_name = "LEVEL")]
    pub level: Option<LogLevel>,
    /// Stop after so many events [default: never]
    #[arg(long, value_name = "N")]
    pub count: Option<u64>,
    /// Stop after so many seconds [default: never]
    #[arg(long = "for", value_name = "SECONDS")]
    pub seconds: Option<f64>,
    /// Which server
    #[command(flatten)]
    pub server: ServerArgs,
    /// Form of the events: lines for people, or one JSON object a line
    #[arg(long, value_enum, default_value_t = OutputFormat::Table)]
    pub format: OutputFormat,
}

/// Options of `thingcore top`.
#[derive(Clone, Debug, Args)]
pub struct TopArgs {
    /// Show one picture and end, instead of a live view
    #[arg(long)]
    pub once: bool,
    /// Seconds between two looks, from which the rates are made
    #[arg(long, value_name = "SECONDS", default_value_t = 1.0)]
    pub interval: f64,
    /// Which server
    #[command(flatten)]
    pub server: ServerArgs,
    /// Form of the picture; json goes with --once
    #[arg(long, value_enum, default_value_t = OutputFormat::Table)]
    pub format: OutputFormat,
}

/// Options of `thingcore bill`.
#[derive(Clone, Debug, Args)]
pub struct BillArgs {
    /// `what-if`: what the same traffic would cost, done otherwise
    #[arg(value_enum)]
    pub command: Option<BillCommand>,
    /// Split the bill up
    #[arg(long, value_enum)]
    pub by: Option<BillBy>,
    /// Only what began at or after this time: RFC 3339, or a length of time before now such as 2h
    #[arg(long, value_name = "TIME")]
    pub from: Option<String>,
    /// Only what began before this time
    #[arg(long, value_name = "TIME")]
    pub to: Option<String>,
    /// Only the running minute
    #[arg(long, conflicts_with_all = ["from", "to"])]
    pub minute: bool,
    /// Only this client id
    #[arg(long, value_name = "ID")]
    pub client: Option<String>,
    /// Scale what was measured to this time, such as 30d
    #[arg(long, value_name = "TIME", requires = "devices")]
    pub project: Option<String>,
    /// Scale what was measured to so many devices
    #[arg(long, value_name = "N", requires = "project")]
    pub devices: Option<u64>,
    /// Exit with 3 if it costs more than this file (TOML: per_device_day, total) allows
    #[arg(long, value_name = "FILE")]
    pub budget: Option<PathBuf>,
    /// Price list (TOML) instead of the shipped one of the Region
    #[arg(long, value_name = "FILE")]
    pub prices: Option<PathBuf>,
    /// Prices of this Region instead of the server's
    #[arg(long, value_name = "REGION", conflicts_with = "prices")]
    pub region: Option<String>,
    /// Apply the free tier of an account's first twelve months
    #[arg(long)]
    pub free_tier: bool,
    /// Decide an open point otherwise, for example shadow-message=off; may be repeated
    #[arg(long = "set", value_name = "NAME=on|off")]
    pub switches: Vec<String>,
    /// Read what --save wrote, instead of asking a server
    #[arg(long, value_name = "FILE", conflicts_with_all = ["from", "to", "minute", "save"])]
    pub usage: Option<PathBuf>,
    /// Write the numbers behind the bill to this file (JSON)
    #[arg(long, value_name = "FILE")]
    pub save: Option<PathBuf>,
    /// Which server
    #[command(flatten)]
    pub server: ServerArgs,
    /// Form of the answer
    #[arg(long, value_enum, default_value_t = BillFormat::Table)]
    pub format: BillFormat,
}

/// More about a bill.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum BillCommand {
    /// What the same traffic would cost, done otherwise; biggest saving first
    WhatIf,
}

/// By what a bill is split.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum BillBy {
    /// Client id.
    Client,
    /// Thing that the client speaks for: by its principal, or by its name.
    Thing,
    /// First levels of the topic.
    Topic,
    /// Kind of event.
    Kind,
    /// Certificate, access key or other principal.
    Principal,
    /// Thing group that the client's thing is in; one in several counts in each.
    ThingGroup,
    /// Billing group of the client's thing.
    BillingGroup,
    /// Rule: of Basic Ingest; rules themselves are not built yet.
    Rule,
}

/// Form of a bill.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum BillFormat {
    /// For people.
    Table,
    /// For programs.
    Json,
    /// For spreadsheets.
    Csv,
}

/// What to do about quirks. The rules last until the server stops; those of the configuration are back at its next start.
#[derive(Debug, Subcommand)]
pub enum QuirksCommand {
    /// Show the rules in force
    List {
        /// Which server
        #[command(flatten)]
        server: ServerArgs,
        /// Form of the answer
        #[arg(long, value_enum, default_value_t = OutputFormat::Table)]
        format: OutputFormat,
    },
    /// Add a rule, or change the one for the same row and clients
    Set(QuirkSetArgs),
    /// Remove all rules
    Clear {
        /// Which server
        #[command(flatten)]
        server: ServerArgs,
        /// Form of the answer
        #[arg(long, value_enum, default_value_t = OutputFormat::Table)]
        format: OutputFormat,
    },
}

/// Options of `thingcore quirks set`.
#[derive(Clone, Debug, Args)]
pub struct QuirkSetArgs {
    /// The quirk by its row, for example qos0-duplicates
    pub row: String,
    /// How often, from 0 to 1
    #[arg(long, value_name = "P", default_value_t = 1.0)]
    pub probability: f64,
    /// Client ids that it is for: * is any text, ? any one character
    #[arg(long, value_name = "PATTERN", default_value = "*")]
    pub client: String,
    /// The same seed gives the same sequence
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub seed: u64,
    /// Longest delay or life, for quirks that have one [default: AWS's]
    #[arg(long, value_name = "SECONDS")]
    pub up_to: Option<f64>,
    /// Which server
    #[command(flatten)]
    pub server: ServerArgs,
    /// Form of the answer
    #[arg(long, value_enum, default_value_t = OutputFormat::Table)]
    pub format: OutputFormat,
}

/// How a command that talks to a server finds it.
#[derive(Clone, Debug, Args)]
pub struct ServerArgs {
    /// The server's API, with credentials from AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY; https:// is trusted by
    /// AWS_CA_BUNDLE or the system's certificates
    #[arg(long, value_name = "URL", env = "THINGCORE_API_URL")]
    pub api_url: Option<String>,
    /// Without --api-url: data folder of the server on this machine
    #[arg(long, value_name = "DIR", env = "THINGCORE_DATA_DIR", default_value = crate::config::DEFAULT_DATA_DIR)]
    pub data_dir: PathBuf,
}

/// Form of a command's answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum OutputFormat {
    /// For people.
    Table,
    /// For programs.
    Json,
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
    fn the_black_box_contract_is_accepted() {
        let line = "thingcore serve --data-dir d --ready-file r --config c --dialect oasis --quotas aws-select --mqtt-port 0 --tls-port 0 \
             --https-port 0 --api-port 0 --admin-port 0 --plain-port 0 --plain-principal p --bind 127.0.0.1 --dev \
             --server-name a --server-name b --log json --log-level debug";
        let cli = Cli::try_parse_from(line.split_whitespace()).unwrap();
        let Some(Command::Serve(args)) = cli.command else { panic!("not serve") };
        assert_eq!(args.server_names, ["a", "b"]);
        assert_eq!(args.dialect, Some(DialectName::Oasis));
        assert_eq!(args.quotas, Some(ProfileName::AwsSelect));
        assert_eq!(args.plain_port, Some(0));
    }

    #[test]
    fn no_subcommand_is_fine() {
        assert!(Cli::try_parse_from(["thingcore"]).unwrap().command.is_none());
    }
}
