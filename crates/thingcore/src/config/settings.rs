//! What came of file, environment and flags.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;
use std::time::Duration;

use identity::{AccountId, Region};
use telemetry::{FlightSettings, OtlpExport};

use super::DEFAULT_DATA_DIR;
use super::file::{
    AccessKeySection, ConfigFile, ConfigProblem, LimitsSection, MeteringSection, RecorderSection,
};
use super::functions::FunctionPlaces;
use crate::cli::{DialectName, LogFormat, LogLevel, ProfileName, ServeArgs};

/// Everything that `serve` needs to know, decided.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Folder of all state.
    pub data_dir: PathBuf,
    /// Where to announce readiness.
    pub ready_file: Option<PathBuf>,
    /// Whose rules.
    pub dialect: DialectName,
    /// Single divergences switched on or off.
    pub divergences: BTreeMap<String, bool>,
    /// Values for all quotas, if the operator chose them.
    pub quota_profile: Option<ProfileName>,
    /// AWS's quotas at other values.
    pub quotas: BTreeMap<String, u64>,
    /// Misbehaviour on demand.
    pub quirks: Vec<quirks::Rule>,
    /// Where to leave the report of divergences at the end.
    pub divergences_file: Option<PathBuf>,
    /// The account, if the operator chose one.
    pub account: Option<AccountId>,
    /// The Region, if the operator chose one.
    pub region: Option<Region>,
    /// Host name that devices are told, if the operator chose one.
    pub endpoint: Option<String>,
    /// Ports and their addresses.
    pub ports: Ports,
    /// Whom plaintext clients count as.
    pub plain_principal: String,
    /// More names for the server certificate.
    pub server_names: Vec<String>,
    /// Own certificate chain and key instead of the private CA's.
    pub own_certificate: Option<(PathBuf, PathBuf)>,
    /// Key pairs beside the generated one.
    pub access_keys: Vec<AccessKey>,
    /// IAM users and roles.
    pub iam: access::iam::IamConfiguration,
    /// Where Lambda functions run.
    pub functions: FunctionPlaces,
    /// What a peer may cost.
    pub limits: gateway::Limits,
    /// True if the number of connections was chosen, and is not to be derived from what the process may open.
    pub connections_chosen: bool,
    /// What is counted for the bill.
    pub metering: MeteringSection,
    /// Development mode.
    pub dev: bool,
    /// Form of the log.
    pub log: LogFormat,
    /// Least level logged.
    pub log_level: LogLevel,
    /// How much is remembered for `thingcore why`.
    pub recorder: FlightSettings,
    /// Export to an OpenTelemetry collector, if one is wanted.
    pub otlp: Option<OtlpExport>,
}

/// An AWS access key pair.
#[derive(Clone, PartialEq, Eq)]
pub struct AccessKey {
    /// AWS_ACCESS_KEY_ID
    pub id: String,
    /// AWS_SECRET_ACCESS_KEY
    pub secret: String,
}

impl fmt::Debug for AccessKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccessKey").field("id", &self.id).finish_non_exhaustive()
    }
}

/// Where one listener shall be: the first candidate that can be bound.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Port {
    /// Addresses to try in turn.
    pub addresses: Vec<IpAddr>,
    /// Ports to try in turn; a chosen port has no second.
    pub numbers: Vec<u16>,
    /// The option that moves it.
    pub option: &'static str,
}

/// All listeners.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ports {
    /// MQTT over TLS.
    pub mqtt: Port,
    /// The 443 port.
    pub tls: Port,
    /// HTTPS with a client certificate.
    pub https: Port,
    /// AWS IoT API.
    pub api: Port,
    /// Metrics and health.
    pub admin: Port,
    /// Plaintext MQTT, if wanted.
    pub plain: Option<Port>,
}

const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

impl Settings {
    /// Flags and environment (`args`, which clap has merged) over `file`.
    pub fn merge(args: ServeArgs, file: ConfigFile) -> Result<Self, ConfigProblem> {
        let ports = ports(&args, &file)?;
        let mut server_names = args.server_names;
        if server_names.is_empty() {
            server_names = file.devices.server_names;
        }
        let connections_chosen = file.limits.connections.is_some();
        Ok(Self {
            data_dir: args.data_dir.or(file.data_dir).unwrap_or_else(|| DEFAULT_DATA_DIR.into()),
            ready_file: args.ready_file,
            dialect: args.dialect.or(file.dialect).unwrap_or(DialectName::Aws),
            divergences: file.divergences,
            quota_profile: args.quotas.or(file.quotas.profile),
            quotas: file.quotas.values,
            quirks: file.quirks,
            divergences_file: args.divergences_file,
            account: file.account.id,
            region: file.account.region,
            endpoint: file.account.endpoint,
            ports,
            plain_principal: args
                .plain_principal
                .or(file.devices.plain_principal)
                .unwrap_or_else(|| "plain".into()),
            server_names,
            own_certificate: own_certificate(file.devices.certificate_file, file.devices.private_key_file)?,
            access_keys: access_keys(file.access_key)?,
            iam: file.iam.read()?,
            functions: FunctionPlaces::new(file.functions, file.function)?,
            limits: limits(&file.limits)?,
            connections_chosen,
            metering: file.metering.checked()?,
            dev: args.dev,
            log: args.log.or(file.log.format).unwrap_or(LogFormat::Human),
            log_level: args.log_level.or(file.log.level).unwrap_or(LogLevel::Info),
            recorder: recorder(&file.recorder)?,
            otlp: OtlpExport::new(args.otlp_endpoint, file.otlp)
                .map_err(|problem| ConfigProblem(format!("[otlp] {problem}")))?,
        })
    }
}

fn ports(args: &ServeArgs, file: &ConfigFile) -> Result<Ports, ConfigProblem> {
    let devices = addresses(args.bind.or(file.devices.bind), args.dev, "devices")?;
    let api = addresses(Some(file.api.bind.unwrap_or(LOOPBACK)), args.dev, "api")?;
    let admin = addresses(Some(file.admin.bind.unwrap_or(LOOPBACK)), args.dev, "admin")?;
    let port = |addresses: &[IpAddr], chosen: Option<u16>, defaults: &[u16], option| Port {
        addresses: addresses.to_vec(),
        numbers: chosen.map_or_else(|| defaults.to_vec(), |number| vec![number]),
        option,
    };
    let plain = args.plain_port.or(file.devices.plain_port);
    Ok(Ports {
        mqtt: port(&devices, args.mqtt_port.or(file.devices.mqtt_port), &[8883], "--mqtt-port"),
        tls: port(&devices, args.tls_port.or(file.devices.tls_port), &[443, 4443], "--tls-port"),
        https: port(&devices, args.https_port.or(file.devices.https_port), &[8443], "--https-port"),
        api: port(&api, args.api_port.or(file.api.port), &[7080], "--api-port"),
        admin: port(&admin, args.admin_port.or(file.admin.port), &[7090], "--admin-port"),
        plain: plain.map(|number| port(&[LOOPBACK], Some(number), &[], "--plain-port")),
    })
}

fn addresses(chosen: Option<IpAddr>, dev: bool, what: &str) -> Result<Vec<IpAddr>, ConfigProblem> {
    match (chosen, dev) {
        (Some(address), true) if !address.is_loopback() => Err(ConfigProblem(format!(
            "--dev accepts the access key test/test, so it serves loopback only, but the address of {what} is \
             {address}: leave out one of the two"
        ))),
        (Some(address), _) => Ok(vec![address]),
        (None, true) => Ok(vec![LOOPBACK]),
        (None, false) => Ok(vec![Ipv6Addr::UNSPECIFIED.into(), Ipv4Addr::UNSPECIFIED.into()]),
    }
}

fn own_certificate(
    chain: Option<PathBuf>,
    key: Option<PathBuf>,
) -> Result<Option<(PathBuf, PathBuf)>, ConfigProblem> {
    match (chain, key) {
        (Some(chain), Some(key)) => Ok(Some((chain, key))),
        (None, None) => Ok(None),
        _ => Err(ConfigProblem("[devices] certificate_file and private_key_file belong together".into())),
    }
}

/// An empty secret would be anybody's, and of two secrets for one id one would be ignored.
fn access_keys(sections: Vec<AccessKeySection>) -> Result<Vec<AccessKey>, ConfigProblem> {
    let mut keys: Vec<AccessKey> = Vec::with_capacity(sections.len());
    for AccessKeySection { id, secret } in sections {
        let number = keys.len() + 1;
        if id.trim().is_empty() {
            return Err(ConfigProblem(format!("[[access_key]] number {number} has an empty id")));
        }
        if secret.trim().is_empty() {
            return Err(ConfigProblem(format!("[[access_key]] {id:?} has an empty secret")));
        }
        if keys.iter().any(|key| key.id == id) {
            return Err(ConfigProblem(format!("[[access_key]] {id:?} is there twice: remove one of them")));
        }
        keys.push(AccessKey { id, secret });
    }
    Ok(keys)
}

fn limits(section: &LimitsSection) -> Result<gateway::Limits, ConfigProblem> {
    let seconds =
        |name: &str, value: Option<f64>, default: Duration| match value.map(Duration::try_from_secs_f64) {
            None => Ok(default),
            Some(Ok(duration)) if !duration.is_zero() => Ok(duration),
            Some(_) => Err(ConfigProblem(format!("[limits] {name} must be a positive number of seconds"))),
        };
    let count = |name: &str, value: Option<usize>, default: usize| match value {
        Some(0) => Err(ConfigProblem(format!("[limits] {name} must be at least 1"))),
        value => Ok(value.unwrap_or(default)),
    };
    let base = gateway::Limits::default();
    Ok(gateway::Limits {
        connections: count("connections", section.connections, base.connections)?,
        handshakes_in_flight: count(
            "handshakes_in_flight",
            section.handshakes_in_flight,
            base.handshakes_in_flight,
        )?,
        handshake: seconds("handshake_seconds", section.handshake_seconds, base.handshake)?,
        first_packet: seconds("first_packet_seconds", section.first_packet_seconds, base.first_packet)?,
        partial_packet: seconds(
            "partial_packet_seconds",
            section.partial_packet_seconds,
            base.partial_packet,
        )?,
        write_stall: seconds("write_stall_seconds", section.write_stall_seconds, base.write_stall)?,
        ..base
    })
}

/// Less than this for one client would not hold a single refusal with its reasons.
const LEAST_RECORD: usize = 4096;

fn recorder(section: &RecorderSection) -> Result<FlightSettings, ConfigProblem> {
    let usual = FlightSettings::default();
    let settings = FlightSettings {
        bytes_per_client: section.bytes_per_client.unwrap_or(usual.bytes_per_client),
        bytes: section.bytes.unwrap_or(usual.bytes),
    };
    if settings.bytes_per_client < LEAST_RECORD {
        return Err(ConfigProblem(format!(
            "[recorder] bytes_per_client must be at least {LEAST_RECORD}; bytes = 0 turns the recorder off"
        )));
    }
    Ok(settings)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn file(text: &str) -> ConfigFile {
        ConfigFile::parse(text, Path::new("t.toml")).unwrap()
    }

    #[test]
    fn a_flag_wins_over_the_file_and_the_file_over_the_default() {
        let text = "dialect = \"oasis\"\n[devices]\nmqtt_port = 1\ntls_port = 2\nserver_names = [\"file\"]";
        let args =
            ServeArgs { mqtt_port: Some(11), server_names: vec!["flag".into()], ..ServeArgs::default() };
        let settings = Settings::merge(args, file(text)).unwrap();
        assert_eq!(settings.ports.mqtt.numbers, [11]);
        assert_eq!(settings.ports.tls.numbers, [2]);
        assert_eq!(settings.ports.api.numbers, [7080]);
        assert_eq!(settings.dialect, DialectName::Oasis);
        assert_eq!(settings.server_names, ["flag"]);
    }

    #[test]
    fn only_the_default_443_has_a_second_choice() {
        let settings = Settings::merge(ServeArgs::default(), ConfigFile::default()).unwrap();
        assert_eq!(settings.ports.tls.numbers, [443, 4443]);
        let args = ServeArgs { tls_port: Some(443), ..ServeArgs::default() };
        assert_eq!(Settings::merge(args, ConfigFile::default()).unwrap().ports.tls.numbers, [443]);
    }

    #[test]
    fn the_api_is_on_loopback_unless_configured() {
        let settings = Settings::merge(ServeArgs::default(), ConfigFile::default()).unwrap();
        assert_eq!(settings.ports.api.addresses, [LOOPBACK]);
        let opened = Settings::merge(ServeArgs::default(), file("[api]\nbind = \"0.0.0.0\"")).unwrap();
        assert_eq!(opened.ports.api.addresses, [IpAddr::from([0, 0, 0, 0])]);
    }

    #[test]
    fn dev_serves_loopback_only() {
        let dev = ServeArgs { dev: true, ..ServeArgs::default() };
        let settings = Settings::merge(dev.clone(), ConfigFile::default()).unwrap();
        assert_eq!(settings.ports.mqtt.addresses, [LOOPBACK]);
        let bound = ServeArgs { bind: Some([192, 0, 2, 1].into()), ..dev };
        let problem = Settings::merge(bound, ConfigFile::default()).unwrap_err();
        assert!(problem.to_string().contains("--dev"), "{problem}");
    }

    #[test]
    fn limits_are_checked() {
        assert!(Settings::merge(ServeArgs::default(), file("[limits]\nhandshake_seconds = 0.0")).is_err());
        assert!(Settings::merge(ServeArgs::default(), file("[limits]\nconnections = 0")).is_err());
        let settings =
            Settings::merge(ServeArgs::default(), file("[limits]\nhandshake_seconds = 0.5")).unwrap();
        assert_eq!(settings.limits.handshake, Duration::from_millis(500));
    }

    #[test]
    fn the_recorder_holds_a_record_or_nothing() {
        assert!(Settings::merge(ServeArgs::default(), file("[recorder]\nbytes_per_client = 10")).is_err());
        let off = Settings::merge(ServeArgs::default(), file("[recorder]\nbytes = 0")).unwrap();
        assert_eq!(off.recorder, FlightSettings { bytes: 0, ..FlightSettings::default() });
    }

    #[test]
    fn access_keys_have_an_id_of_their_own_and_a_secret() {
        let key = |id: &str, secret: &str| format!("[[access_key]]\nid = \"{id}\"\nsecret = \"{secret}\"\n");
        let merged = |text: String| Settings::merge(ServeArgs::default(), file(&text));
        let keys = merged(key("a", "1") + &key("b", "1")).unwrap().access_keys;
        assert_eq!(keys.len(), 2);
        for (text, says) in [
            (key("", "1"), "number 1 has an empty id"),
            (key("a", "1") + &key(" ", "1"), "number 2 has an empty id"),
            (key("a", ""), "\"a\" has an empty secret"),
            (key("a", "hush") + &key("a", "hush"), "\"a\" is there twice"),
        ] {
            let problem = merged(text).unwrap_err().to_string();
            assert!(problem.contains(says) && !problem.contains("hush"), "{problem}");
        }
    }
}
