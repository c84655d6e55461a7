//! What may be typed after `thingcore` and a command that is a client, and nothing of what it does.

mod bench;
mod policy;

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

pub use bench::{BenchCommand, BenchDevicesArgs};
pub use policy::{
    AnalysisArgs, CheckFormat, ExpectedAnswer, PoliciesArgs, PolicyCheckArgs, PolicyCommand, PolicyDiffArgs,
    PolicyExplainArgs, PolicyMatrixArgs, PolicyReachArgs, PolicyReplayArgs, PolicySuggestArgs, SeverityName,
    ThingName, TrafficArgs,
};

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
    #[arg(long, value_name = "DIR", env = "THINGCORE_DATA_DIR", default_value = ready::DEFAULT_DATA_DIR)]
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
