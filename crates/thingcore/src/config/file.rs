//! The configuration file: TOML, every key known, every mistake with its line.
//!
//! `thingcore.example.toml` beside this crate's Cargo.toml documents each key.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use identity::{AccountId, Region};
use serde::Deserialize;
use telemetry::OtlpSection;

use super::functions::{FunctionSection, FunctionsSection};
use super::iam::IamSection;
use crate::cli::{DialectName, LogFormat, LogLevel, ProfileName};

/// The whole file. Everything is optional.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ConfigFile {
    /// See `--data-dir`; relative to the working directory.
    pub data_dir: Option<PathBuf>,
    /// See `--dialect`.
    pub dialect: Option<DialectName>,
    /// Single divergences from OASIS MQTT switched on or off, by id.
    pub divergences: BTreeMap<String, bool>,
    /// `[quotas]`
    pub quotas: QuotasSection,
    /// `[[quirks]]`: misbehaviour on demand.
    pub quirks: Vec<quirks::Rule>,
    /// `[account]`
    pub account: AccountSection,
    /// `[devices]`
    pub devices: DevicesSection,
    /// `[api]`
    pub api: ListenSection,
    /// `[[access_key]]`
    pub access_key: Vec<AccessKeySection>,
    /// `[iam]`
    pub iam: IamSection,
    /// `[functions]`
    pub functions: FunctionsSection,
    /// `[[function]]`
    pub function: Vec<FunctionSection>,
    /// `[admin]`
    pub admin: ListenSection,
    /// `[limits]`
    pub limits: LimitsSection,
    /// `[metering]`: the live bill.
    pub metering: MeteringSection,
    /// `[log]`
    pub log: LogSection,
    /// `[recorder]`
    pub recorder: RecorderSection,
    /// `[otlp]`
    pub otlp: OtlpSection,
}

/// `[quotas]`: AWS's quotas at other values.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
pub struct QuotasSection {
    /// See `--quotas`.
    pub profile: Option<ProfileName>,
    /// Single quotas by name or by AWS's code, and rates of the API by operation.
    #[serde(flatten)]
    pub values: BTreeMap<String, u64>,
}

/// `[account]`: whom the broker plays. Fixed at the first start of a data folder.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AccountSection {
    /// Twelve digits.
    pub id: Option<AccountId>,
    /// Such as `us-east-1`.
    pub region: Option<Region>,
    /// Host name that DescribeEndpoint gives to devices.
    pub endpoint: Option<String>,
}

/// `[devices]`: the ports for devices.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DevicesSection {
    /// See `--bind`.
    pub bind: Option<IpAddr>,
    /// See `--mqtt-port`.
    pub mqtt_port: Option<u16>,
    /// See `--tls-port`.
    pub tls_port: Option<u16>,
    /// See `--https-port`.
    pub https_port: Option<u16>,
    /// See `--plain-port`.
    pub plain_port: Option<u16>,
    /// See `--plain-principal`.
    pub plain_principal: Option<String>,
    /// See `--server-name`.
    pub server_names: Vec<String>,
    /// Own server certificate chain (PEM) instead of the one issued by the private CA.
    pub certificate_file: Option<PathBuf>,
    /// Private key (PEM) of `certificate_file`.
    pub private_key_file: Option<PathBuf>,
}

/// `[api]` and `[admin]`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ListenSection {
    /// Address [default: 127.0.0.1].
    pub bind: Option<IpAddr>,
    /// Port.
    pub port: Option<u16>,
}

/// `[[access_key]]`: another key pair that the API accepts.
#[derive(Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AccessKeySection {
    /// AWS_ACCESS_KEY_ID.
    pub id: String,
    /// AWS_SECRET_ACCESS_KEY.
    pub secret: String,
}

impl fmt::Debug for AccessKeySection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccessKeySection").field("id", &self.id).finish_non_exhaustive()
    }
}

/// `[limits]`: what a peer may cost; see `gateway::Limits`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LimitsSection {
    /// Open sockets.
    pub connections: Option<usize>,
    /// TLS handshakes computed at once.
    pub handshakes_in_flight: Option<usize>,
    /// Seconds from accept to the end of the TLS handshake.
    pub handshake_seconds: Option<f64>,
    /// Seconds from there to a complete CONNECT.
    pub first_packet_seconds: Option<f64>,
    /// Seconds from the first byte of a packet to its last.
    pub partial_packet_seconds: Option<f64>,
    /// Seconds that a write may make no progress.
    pub write_stall_seconds: Option<f64>,
}

/// `[metering]`: what is counted for the bill.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct MeteringSection {
    /// Whether anything is [default: true].
    pub enabled: Option<bool>,
    /// Levels of a topic that are told apart [default: 2].
    pub topic_levels: Option<usize>,
    /// What nobody outside AWS knows: `kilobyte`, and items by name.
    #[serde(flatten)]
    pub switches: metering::Switches,
}

impl MeteringSection {
    /// Levels of a topic that are told apart.
    pub fn topic_levels(&self) -> usize {
        self.topic_levels.unwrap_or(2)
    }

    /// The section, if its values can be used.
    pub fn checked(self) -> Result<Self, ConfigProblem> {
        self.switches.check().map_err(|error| ConfigProblem(format!("[metering] {error}")))?;
        match self.topic_levels() {
            1..=8 => Ok(self),
            levels => Err(ConfigProblem(format!("[metering] topic_levels = {levels}: it must be 1 to 8"))),
        }
    }
}

/// `[log]`
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LogSection {
    /// See `--log`.
    pub format: Option<LogFormat>,
    /// See `--log-level`.
    pub level: Option<LogLevel>,
}

/// `[recorder]`: what is remembered for `thingcore why`; see `telemetry::FlightSettings`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RecorderSection {
    /// Bytes for one client.
    pub bytes_per_client: Option<usize>,
    /// Bytes for all; 0 remembers nothing.
    pub bytes: Option<usize>,
}

/// The configuration cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigProblem(pub String);

impl fmt::Display for ConfigProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for ConfigProblem {}

impl ConfigFile {
    /// Reads the file at `path`.
    pub fn read(path: &Path) -> Result<Self, ConfigProblem> {
        let text = std::fs::read_to_string(path)
            .map_err(|error| ConfigProblem(format!("{}: cannot be read: {error}", path.display())))?;
        Self::parse(&text, path)
    }

    /// `path` is for the error: `FILE:LINE: what is wrong`.
    pub fn parse(text: &str, path: &Path) -> Result<Self, ConfigProblem> {
        toml::from_str(text).map_err(|error| {
            let start = error.span().map_or(0, |span| span.start);
            let line = text.bytes().take(start).filter(|byte| *byte == b'\n').count() + 1;
            ConfigProblem(format!("{}:{line}: {}", path.display(), error.message()))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(text: &str) -> String {
        ConfigFile::parse(text, Path::new("t.toml")).unwrap_err().to_string()
    }

    #[test]
    fn mistakes_come_with_their_line() {
        assert!(problem("\n[api]\nprot = 1\n").starts_with("t.toml:3: unknown field `prot`"));
        assert!(problem("dialect = \"ibm\"").starts_with("t.toml:1: unknown variant `ibm`"));
        assert!(problem("[devices]\n\nmqtt_port = 99999").starts_with("t.toml:3: "));
        let message = problem("[account]\nid = \"12\"");
        assert_eq!(message, "t.toml:2: accountId is not valid: it must be twelve digits");
    }

    #[test]
    fn the_example_parses_and_uncommented_too() {
        let example = include_str!("../../thingcore.example.toml");
        assert_eq!(ConfigFile::parse(example, Path::new("example")).unwrap(), ConfigFile::default());
        // Keys are commented out as `#key = value`, words as `# words`.
        let active: String = example.lines().map(|line| strip_comment(line) + "\n").collect();
        let parsed = ConfigFile::parse(&active, Path::new("example")).unwrap();
        assert_eq!(parsed.devices.mqtt_port, Some(8883));
        assert_eq!((parsed.access_key.len(), parsed.quirks.len(), parsed.function.len()), (1, 1, 1));
        assert_eq!((parsed.iam.user.len(), parsed.iam.role.len()), (1, 1));
        assert!(parsed.otlp.endpoint.is_some() && parsed.otlp.headers.len() == 1);
        assert!(parsed.functions.endpoint.is_some());
        assert!(parsed.metering.checked().unwrap().switches.billed.len() > 2);
    }

    fn strip_comment(line: &str) -> String {
        match line.strip_prefix('#') {
            Some(rest) if !rest.starts_with([' ', '#']) => rest.to_owned(),
            _ => line.to_owned(),
        }
    }

    #[test]
    fn quotas_have_a_profile_and_single_values() {
        let text = "[quotas]\nprofile = \"aws-select\"\nsubscriptions = 7\nL-083F3861 = 8\nCreateThing = 9";
        let quotas = ConfigFile::parse(text, Path::new("t")).unwrap().quotas;
        assert_eq!(quotas.profile, Some(ProfileName::AwsSelect));
        assert_eq!(quotas.values.get("L-083F3861"), Some(&8));
        assert_eq!(quotas.values.len(), 3);
        assert!(problem("[quotas]\nprofile = \"ibm\"").contains("unknown variant `ibm`"));
        assert!(problem("[quotas]\nsubscriptions = true").contains("u64"));
    }

    #[test]
    fn a_secret_is_not_printed() {
        let file =
            ConfigFile::parse("[[access_key]]\nid = \"a\"\nsecret = \"hush\"", Path::new("t")).unwrap();
        assert!(!format!("{file:?}").contains("hush"));
    }
}
