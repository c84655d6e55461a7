//! The command line: what may be typed, and nothing of what it does.

use std::net::IpAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

pub use commands::cli::LogLevel;
use commands::cli::{
    BenchCommand, BillArgs, DeviceCommand, DivergencesArgs, PolicyCommand, QuirksCommand, TailArgs, TopArgs,
    WhyArgs,
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
    /// Put the data folder into one file, while its server runs or not
    Backup(BackupArgs),
    /// Make a data folder out of a backup
    Restore(RestoreArgs),
    /// Say whether a data folder, or a backup, is sound: exit code 0 if it is, 3 if it is not
    Check(CheckArgs),
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

/// Options of `thingcore backup`.
#[derive(Clone, Debug, Args)]
pub struct BackupArgs {
    /// The backup (mode 0600: it holds keys), or - for standard output. One that is there is replaced when the new one
    /// is whole
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// The data folder
    #[arg(long, value_name = "DIR", env = "THINGCORE_DATA_DIR", default_value = ready::DEFAULT_DATA_DIR)]
    pub data_dir: PathBuf,
}

/// Options of `thingcore restore`.
#[derive(Clone, Debug, Args)]
pub struct RestoreArgs {
    /// The backup, or - for standard input
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// The data folder to make; it must not be there yet, or be empty
    #[arg(long, value_name = "DIR", env = "THINGCORE_DATA_DIR", default_value = ready::DEFAULT_DATA_DIR)]
    pub data_dir: PathBuf,
}

/// Options of `thingcore check`.
#[derive(Clone, Debug, Args)]
pub struct CheckArgs {
    /// The data folder. While its server runs, what the server holds at one moment is read, and the pages of the store's file are not
    /// compared
    #[arg(long, value_name = "DIR", env = "THINGCORE_DATA_DIR", default_value = ready::DEFAULT_DATA_DIR)]
    pub data_dir: PathBuf,
    /// Look at this backup instead; it is unpacked into the system's folder for temporary files, and away again
    #[arg(long, value_name = "FILE")]
    pub backup: Option<PathBuf>,
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
