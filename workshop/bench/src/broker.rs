//! Brokers that a comparison starts: each with a folder and ports of its own, on loopback, and gone with its value.

mod settings;

use std::fs::{self, File};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use fleet::BenchError;
use serde_json::Value;
use tempfile::TempDir;

use crate::prepared::Prepared;

/// How long a broker may take to accept clients.
const PATIENCE: Duration = Duration::from_secs(30);
const LOOK: Duration = Duration::from_millis(20);
/// The profile of quotas that has no rates.
const UNLIMITED: &str = "unlimited";
/// Bytes of a failed broker's log that are shown.
const LOG_TAIL: usize = 2_000;

/// AWS lets one connection have 50 subscriptions, and raises that on request; the peers have no limit.
const MANY_SUBSCRIPTIONS: &str = "[quotas]\nsubscriptions-per-connection = 100000\n";

/// Which broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Make {
    /// Ours.
    Thingcore,
    /// Ours, with a configuration file.
    Configured,
    /// Eclipse Mosquitto.
    Mosquitto,
    /// Another version of it.
    Mosquitto2,
    /// NATS with its MQTT listener.
    Nats,
    /// The broker of the rumqtt project.
    Rumqttd,
    /// FlashMQ.
    Flashmq,
    /// RMQTT.
    Rmqtt,
}

impl Make {
    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Thingcore => "thingcore",
            Self::Configured => "configured",
            Self::Mosquitto => "mosquitto",
            Self::Mosquitto2 => "mosquitto-2",
            Self::Nats => "nats",
            Self::Rumqttd => "rumqttd",
            Self::Flashmq => "flashmq",
            Self::Rmqtt => "rmqtt",
        }
    }

    /// Whether it is this project's.
    pub const fn ours(self) -> bool {
        matches!(self, Self::Thingcore | Self::Configured)
    }
}

/// A broker's binary, and what it is started with.
#[derive(Clone, Debug)]
pub struct Broker {
    /// Which.
    pub make: Make,
    path: PathBuf,
    config: Option<PathBuf>,
    /// Processors that it may use, for `taskset -c`.
    pin: Option<String>,
    /// Whose quotas ours keeps.
    quotas: &'static str,
}

impl Broker {
    /// `config`: for [`Make::Configured`].
    pub fn new(make: Make, path: &Path, config: Option<&Path>) -> Self {
        Self { make, path: path.into(), config: config.map(Path::to_owned), pin: None, quotas: UNLIMITED }
    }

    /// With this profile of quotas. Ours only.
    pub fn under(self, quotas: &'static str) -> Self {
        Self { quotas, ..self }
    }

    /// On these processors only.
    pub fn pinned(self, pin: Option<String>) -> Self {
        Self { pin, ..self }
    }

    /// The binary.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What it says about its version: the first line of that.
    pub fn version(&self) -> String {
        let flag = match self.make {
            Make::Mosquitto | Make::Mosquitto2 => "-h",
            _ => "--version",
        };
        let said = Command::new(&self.path).arg(flag).stdin(Stdio::null()).output();
        let said = said.map(|output| [output.stdout, output.stderr].concat()).unwrap_or_default();
        let text = String::from_utf8_lossy(&said).into_owned();
        text.lines().find(|line| !line.trim().is_empty()).unwrap_or("unknown version").trim().to_owned()
    }
}

/// A broker that accepts clients. Dropping it kills the process and removes its folder.
pub struct Running {
    child: Child,
    /// Ours tells its ports itself.
    tells_ports: bool,
    tls: bool,
    port: u16,
    folder: TempDir,
}

impl Running {
    /// Starts it with what was prepared, and waits until it accepts clients over TCP, or over TLS.
    ///
    /// # Errors
    /// It cannot be started, ends, or is not ready in time.
    pub async fn start(broker: &Broker, tls: bool, prepared: Option<&Prepared>) -> Result<Self, BenchError> {
        let failed = |why: String| BenchError::Broker(broker.path.clone(), why);
        let folder = tempfile::tempdir().map_err(|error| failed(error.to_string()))?;
        let tells_ports = broker.make.ours();
        let port = if tells_ports { 0 } else { free_port().map_err(|error| failed(error.to_string()))? };
        let command = if tells_ports {
            ours(broker, folder.path(), prepared)
        } else {
            let place = settings::Place { folder: folder.path(), port, tls: prepared.filter(|_| tls) };
            settings::command(broker, &place)
        };
        let command = command.map(|command| match &broker.pin {
            Some(processors) => pinned(&command, processors),
            None => command,
        });
        let launched = command.and_then(|mut command| launch(&mut command, folder.path()));
        let child = launched.map_err(|error| failed(error.to_string()))?;
        let mut running = Self { child, tells_ports, tls, port, folder };
        match running.ready().await {
            Ok(()) => Ok(running),
            Err(why) => Err(failed(format!("{why}{}", running.log()))),
        }
    }

    /// Where it takes MQTT.
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Where it takes something else, by the name in its ready file. Ours only.
    pub fn port_of(&self, name: &str) -> Option<u16> {
        ready_port(self.folder.path(), name)
    }

    /// Its data folder. Ours only.
    pub fn data(&self) -> PathBuf {
        data_path(self.folder.path())
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    async fn ready(&mut self) -> Result<(), String> {
        let until = Instant::now() + PATIENCE;
        while Instant::now() < until {
            if let Ok(Some(status)) = self.child.try_wait() {
                return Err(format!("it ended with {status}"));
            }
            if self.tells_ports && self.port == 0 {
                let name = if self.tls { "mqtt" } else { "plain" };
                self.port = ready_port(self.folder.path(), name).unwrap_or(0);
            }
            if self.port != 0 && TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).is_ok() {
                return Ok(());
            }
            tokio::time::sleep(LOOK).await;
        }
        Err(format!("it accepted nobody within {} s", PATIENCE.as_secs()))
    }

    /// The end of its log.
    fn log(&self) -> String {
        let log = fs::read(log_path(self.folder.path())).unwrap_or_default();
        let tail = log.get(log.len().saturating_sub(LOG_TAIL)..).unwrap_or_default();
        if tail.is_empty() { String::new() } else { format!("\n{}", String::from_utf8_lossy(tail)) }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn data_path(folder: &Path) -> PathBuf {
    folder.join("data")
}

fn log_path(folder: &Path) -> PathBuf {
    folder.join("log")
}

fn ready_path(folder: &Path) -> PathBuf {
    folder.join("ready.json")
}

/// A port in the ready file, when that is there.
fn ready_port(folder: &Path, name: &str) -> Option<u16> {
    let ready: Value = serde_json::from_slice(&fs::read(ready_path(folder)).ok()?).ok()?;
    u16::try_from(ready.get("ports")?.get(name)?.as_u64()?).ok()
}

/// One that is free now: the peers cannot choose one themselves.
fn free_port() -> std::io::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

/// The same command on these processors; taskset becomes the broker, so that it is the broker's process.
fn pinned(command: &Command, processors: &str) -> Command {
    let mut outer = Command::new("taskset");
    outer.args(["-c", processors]).arg(command.get_program()).args(command.get_args());
    outer.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    outer
}

fn launch(command: &mut Command, folder: &Path) -> std::io::Result<Child> {
    let log = File::create(log_path(folder))?;
    command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).spawn()
}

fn ours(broker: &Broker, folder: &Path, prepared: Option<&Prepared>) -> std::io::Result<Command> {
    let data = data_path(folder);
    if let Some(prepared) = prepared {
        prepared.copy_data(&data)?;
    }
    let mut command = serve(&broker.path, &data, &ready_path(folder));
    command.env("THINGCORE_QUOTAS", broker.quotas);
    let config = match &broker.config {
        Some(config) => config.clone(),
        None => {
            let path = folder.join("thingcore.toml");
            fs::write(&path, MANY_SUBSCRIPTIONS)?;
            path
        }
    };
    command.arg("--config").arg(config);
    Ok(command)
}

/// The command that serves a data folder on any free ports.
pub fn serve(binary: &Path, data: &Path, ready: &Path) -> Command {
    let mut command = Command::new(binary);
    command.arg("serve").arg("--data-dir").arg(data);
    command.arg("--ready-file").arg(ready).args(["--bind", "127.0.0.1"]);
    for port in ["mqtt", "tls", "https", "api", "admin", "plain"] {
        command.args([&format!("--{port}-port"), "0"]);
    }
    // The work of the broker is measured, not AWS's rates. A variable, because older binaries have no such flag.
    command.env("THINGCORE_QUOTAS", UNLIMITED);
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ready_file_tells_the_ports() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(ready_port(folder.path(), "plain"), None);
        fs::write(ready_path(folder.path()), r#"{"pid":1,"ports":{"mqtt":1,"plain":1885}}"#).unwrap();
        assert_eq!(ready_port(folder.path(), "plain"), Some(1885));
        assert_eq!(ready_port(folder.path(), "mqtt"), Some(1));
        fs::write(ready_path(folder.path()), r#"{"ports":{"plain":null}}"#).unwrap();
        assert_eq!(ready_port(folder.path(), "plain"), None);
    }

    #[test]
    fn a_pinned_command_is_the_same_behind_taskset() {
        let mut command = Command::new("broker");
        command.arg("-c").env("A", "b");
        let pinned = pinned(&command, "0,1");
        let words: Vec<_> = pinned.get_args().collect();
        assert_eq!(words, ["-c", "0,1", "broker", "-c"]);
        assert_eq!(pinned.get_envs().count(), 1);
    }

    #[tokio::test]
    async fn a_broker_that_ends_is_told() {
        let ends = Broker::new(Make::Mosquitto, "/bin/false".as_ref(), None);
        let failed = Running::start(&ends, false, None).await.err().unwrap();
        assert!(failed.to_string().contains("ended with"), "{failed}");
        let missing = Broker::new(Make::Thingcore, "/no/such/broker".as_ref(), None);
        let failed = Running::start(&missing, false, None).await.err().unwrap();
        assert!(failed.to_string().contains("did not start"), "{failed}");
    }
}
