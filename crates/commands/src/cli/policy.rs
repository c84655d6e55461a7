//! What may be typed after `thingcore policy`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use super::{OutputFormat, ServerArgs};

/// What to find out about policies.
#[derive(Debug, Subcommand)]
pub enum PolicyCommand {
    /// Find what is wrong, or more open than it looks, in policy documents
    Check(PolicyCheckArgs),
    /// Explain one decision, statement by statement
    Explain(Box<PolicyExplainArgs>),
    /// Prove what devices can reach, and whether they see each other's messages
    Reach(Box<PolicyReachArgs>),
    /// Compare two policies: stricter, looser, equal or neither, with examples
    Diff(PolicyDiffArgs),
    /// Show who may publish, subscribe and receive what
    Matrix(Box<PolicyMatrixArgs>),
    /// Write the least policy that recorded traffic needs
    Suggest(Box<PolicySuggestArgs>),
    /// Try recorded traffic against a changed policy: what would fail, what is newly open
    Replay(Box<PolicyReplayArgs>),
}

/// Options of `thingcore policy check`.
#[derive(Clone, Debug, Args)]
pub struct PolicyCheckArgs {
    /// Policy documents, CloudFormation or CDK templates, Terraform plans (all JSON), or folders of them
    #[arg(required = true, value_name = "FILE|DIR")]
    pub files: Vec<PathBuf>,
    /// Form of the answer
    #[arg(long, value_enum, default_value_t = CheckFormat::Human)]
    pub format: CheckFormat,
    /// Least severity for which the exit code is 3
    #[arg(long, value_enum, default_value_t = SeverityName::High)]
    pub fail_on: SeverityName,
    /// Which site, and how much work
    #[command(flatten)]
    pub analysis: AnalysisArgs,
}

/// Form of the findings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum CheckFormat {
    /// For people.
    Human,
    /// For programs.
    Json,
    /// SARIF 2.1.0, for code scanning.
    Sarif,
}

/// A severity by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum SeverityName {
    /// Worth knowing.
    Note,
    /// Probably not meant.
    Medium,
    /// Open to others, or without effect.
    High,
    /// Open to everybody, or no policy.
    Critical,
    /// No finding changes the exit code.
    Never,
}

/// Where the policies apply, and how much work a question may be.
#[derive(Clone, Debug, Args)]
pub struct AnalysisArgs {
    /// Region of the resources [default: the first that an ARN of the policies names]
    #[arg(long, value_name = "REGION")]
    pub region: Option<String>,
    /// Account of the resources [default: the first that an ARN of the policies names]
    #[arg(long, value_name = "ID")]
    pub account: Option<String>,
    /// States that one question may visit before the answer is "unknown"
    #[arg(long, value_name = "N", default_value_t = analysis::Budget::DEFAULT)]
    pub states: u32,
}

/// Whose policies: those of files, or those that a running server attaches.
#[derive(Clone, Debug, Args)]
pub struct PoliciesArgs {
    /// A policy document, template or plan (JSON); several together are the policies of one principal
    #[arg(long = "policy", value_name = "FILE")]
    pub policies: Vec<PathBuf>,
    /// A certificate id, a thing name or thinggroup/NAME (its things) of a running server, instead of files
    #[arg(long = "principal", value_name = "ID", conflicts_with = "policies")]
    pub principals: Vec<String>,
    /// Which server, for --principal
    #[command(flatten)]
    pub server: ServerArgs,
}

/// How connections stand to things.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ThingName {
    /// The client id is the name of a thing that the principal is attached to.
    Attached,
    /// The principal belongs to one thing, whatever the client id.
    Exclusive,
    /// There is no thing.
    None,
}

/// Options of `thingcore policy explain`.
#[derive(Clone, Debug, Args)]
pub struct PolicyExplainArgs {
    /// Whose policies
    #[command(flatten)]
    pub of: PoliciesArgs,
    /// iot:Publish for instance
    #[arg(long, value_name = "ACTION")]
    pub action: String,
    /// An ARN, or its last field: topic/a/b for instance
    #[arg(long, value_name = "ARN")]
    pub resource: String,
    /// Client id of the connection
    #[arg(long, value_name = "ID")]
    pub client_id: Option<String>,
    /// Name of the thing that the connection is associated with
    #[arg(long, value_name = "NAME")]
    pub thing: Option<String>,
    /// Value of another variable or key, for example aws:SourceIp=10.0.0.1; may be repeated
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub values: Vec<String>,
    /// Which site
    #[command(flatten)]
    pub analysis: AnalysisArgs,
    /// Form of the answer
    #[arg(long, value_enum, default_value_t = OutputFormat::Table)]
    pub format: OutputFormat,
}

/// Options of `thingcore policy reach`.
#[derive(Clone, Debug, Args)]
pub struct PolicyReachArgs {
    /// Whose policies
    #[command(flatten)]
    pub of: PoliciesArgs,
    /// Policies of the devices whose messages might be read [default: the same policies]
    #[arg(long = "writer", value_name = "FILE")]
    pub writers: Vec<PathBuf>,
    /// The same of a running server: a certificate id, a thing name or thinggroup/NAME; may be repeated
    #[arg(long = "writer-principal", value_name = "ID")]
    pub writing: Vec<String>,
    /// Only topics of this set: an IAM pattern (a/*) or an MQTT filter (a/#)
    #[arg(long, value_name = "SET")]
    pub topics: Option<String>,
    /// How connections stand to things; may be repeated [default: each way]
    #[arg(long = "thing", value_enum, value_name = "HOW")]
    pub things: Vec<ThingName>,
    /// A variable that differs from device to device, as client id and thing name do
    #[arg(long = "differ", value_name = "KEY")]
    pub differ: Vec<String>,
    /// Exit with 3 unless "devices read each other's messages" is answered so
    #[arg(long, value_enum)]
    pub expect: Option<ExpectedAnswer>,
    /// Which site, and how much work
    #[command(flatten)]
    pub analysis: AnalysisArgs,
    /// Form of the answer
    #[arg(long, value_enum, default_value_t = OutputFormat::Table)]
    pub format: OutputFormat,
}

/// The answer that is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ExpectedAnswer {
    /// They do.
    Yes,
    /// They cannot.
    No,
}

/// Options of `thingcore policy diff`.
#[derive(Clone, Debug, Args)]
pub struct PolicyDiffArgs {
    /// The policy as it was
    pub first: PathBuf,
    /// The policy as it will be
    pub second: PathBuf,
    /// Exit with 3 if the second allows anything that the first does not
    #[arg(long)]
    pub no_looser: bool,
    /// Which site, and how much work
    #[command(flatten)]
    pub analysis: AnalysisArgs,
    /// Form of the answer
    #[arg(long, value_enum, default_value_t = OutputFormat::Table)]
    pub format: OutputFormat,
}

/// Options of `thingcore policy matrix`.
#[derive(Clone, Debug, Args)]
pub struct PolicyMatrixArgs {
    /// Whose policies; each document is a principal of its own here
    #[command(flatten)]
    pub of: PoliciesArgs,
    /// A topic or a set of topics (a/*, a/#); may be repeated
    #[arg(long = "topics", value_name = "SET", required = true)]
    pub topics: Vec<String>,
    /// Which site, and how much work
    #[command(flatten)]
    pub analysis: AnalysisArgs,
    /// Form of the answer
    #[arg(long, value_enum, default_value_t = OutputFormat::Table)]
    pub format: OutputFormat,
}

/// Recorded traffic.
#[derive(Clone, Debug, Args)]
pub struct TrafficArgs {
    /// What `thingcore tail --level debug --format json` wrote, or the server's JSON log at level debug; may be repeated
    #[arg(long = "log", value_name = "FILE")]
    pub logs: Vec<PathBuf>,
    /// Follow a running server for so long, as `thingcore tail` does
    #[arg(long, value_name = "SECONDS")]
    pub live: Option<f64>,
    /// What a running server remembers of a client: its connections, subscriptions and refusals, without messages
    #[arg(long = "remembered", value_name = "CLIENT")]
    pub remembered: Vec<String>,
    /// Which server, for --live and --remembered
    #[command(flatten)]
    pub server: ServerArgs,
    /// Only requests of this client id
    #[arg(long, value_name = "ID")]
    pub client: Option<String>,
    /// How connections stood to things: with `none` client ids are no things' names [default: attached]
    #[arg(long, value_enum, value_name = "HOW")]
    pub thing: Option<ThingName>,
}

/// Options of `thingcore policy suggest`.
#[derive(Clone, Debug, Args)]
pub struct PolicySuggestArgs {
    /// Which traffic
    #[command(flatten)]
    pub traffic: TrafficArgs,
    /// Today's policy: which of its statements was needed is told; may be repeated
    #[arg(long = "today", value_name = "FILE")]
    pub today: Vec<PathBuf>,
    /// More topics than this that differ in one level only become one with a wildcard
    #[arg(long, value_name = "N", default_value_t = 8)]
    pub collapse: usize,
    /// Which site
    #[command(flatten)]
    pub analysis: AnalysisArgs,
    /// Form of the answer
    #[arg(long, value_enum, default_value_t = OutputFormat::Table)]
    pub format: OutputFormat,
}

/// Options of `thingcore policy replay`.
#[derive(Clone, Debug, Args)]
pub struct PolicyReplayArgs {
    /// Which traffic
    #[command(flatten)]
    pub traffic: TrafficArgs,
    /// The changed policy; several together are the policies of each principal
    #[arg(long = "policy", value_name = "FILE", required = true)]
    pub policies: Vec<PathBuf>,
    /// Today's policy: what the changed one opens beyond it is told, recorded or not
    #[arg(long = "today", value_name = "FILE")]
    pub today: Vec<PathBuf>,
    /// Which site, and how much work
    #[command(flatten)]
    pub analysis: AnalysisArgs,
    /// Form of the answer
    #[arg(long, value_enum, default_value_t = OutputFormat::Table)]
    pub format: OutputFormat,
}
