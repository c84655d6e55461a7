//! Brokers that `compare` starts: each with a folder and ports of its own, on loopback, and gone with its value.

use std::fs::{self, File};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

use crate::fault::BenchError;

/// How long a broker may take to accept clients.
const PATIENCE: Duration = Duration::from_secs(30);
const LOOK: Duration = Duration::from_millis(20);
/// Bytes of a failed broker's log that are shown.
const LOG_TAIL: usize = 2_000;

/// Persistence is off, as it is for clean sessions in thingcore; queues have no limit, so that nothing is dropped. The
/// rest are its own defaults: that it lets TCP wait to fill segments serves its throughput.
const MOSQUITTO_SETTINGS: &str = "allow_anonymous true
persistence false
max_inflight_messages 100
max_queued_messages 0
";

/// Which broker, and its binary.
#[derive(Clone, Debug)]
pub enum Make {
    /// Ours.
    Thingcore(PathBuf),
    /// Ours, with a configuration file.
    Configured(PathBuf, PathBuf),
    /// Ours, another build.
    Baseline(PathBuf),
    /// Eclipse Mosquitto.
    Mosquitto(PathBuf),
}

impl Make {
    /// Its name.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Thingcore(_) => "thingcore",
            Self::Configured(..) => "configured",
            Self::Baseline(_) => "baseline",
            Self::Mosquitto(_) => "mosquitto",
        }
    }

    fn binary(&self) -> &Path {
        match self {
            Self::Thingcore(path)
            | Self::Configured(path, _)
            | Self::Baseline(path)
            | Self::Mosquitto(path) => path,
        }
    }
}

/// A broker that accepts clients. Dropping it kills the process and removes its folder.
pub struct Running {
    child: Child,
    port: u16,
    folder: TempDir,
}

impl Running {
    /// Starts it and waits until it accepts clients.
    ///
    /// # Errors
    /// It cannot be started, ends, or is not ready in time.
    pub async fn start(make: &Make) -> Result<Self, BenchError> {
        let failed = |why: String| BenchError::Broker(make.binary().into(), why);
        let folder = tempfile::tempdir().map_err(|error| failed(error.to_string()))?;
        let launched = match make {
            Make::Thingcore(path) | Make::Baseline(path) => launch_thingcore(path, folder.path(), None),
            Make::Configured(path, config) => launch_thingcore(path, folder.path(), Some(config)),
            Make::Mosquitto(path) => launch_mosquitto(path, folder.path()),
        };
        let (child, port) = launched.map_err(|error| failed(error.to_string()))?;
        let mut broker = Self { child, port: port.unwrap_or(0), folder };
        match broker.ready(port.is_some()).await {
            Ok(()) => Ok(broker),
            Err(why) => Err(failed(format!("{why}{}", broker.log()))),
        }
    }

    /// Where it takes plain MQTT.
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    async fn ready(&mut self, port_known: bool) -> Result<(), String> {
        let until = Instant::now() + PATIENCE;
        while Instant::now() < until {
            if let Ok(Some(status)) = self.child.try_wait() {
                return Err(format!("it ended with {status}"));
            }
            if !port_known && self.port == 0 {
                self.port = ready_port(self.folder.path()).unwrap_or(0);
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

fn log_path(folder: &Path) -> PathBuf {
    folder.join("log")
}

fn ready_path(folder: &Path) -> PathBuf {
    folder.join("ready.json")
}

/// The port of plain MQTT in the ready file, when that is there.
fn ready_port(folder: &Path) -> Option<u16> {
    let ready: Value = serde_json::from_slice(&fs::read(ready_path(folder)).ok()?).ok()?;
    u16::try_from(ready.get("ports")?.get("plain")?.as_u64()?).ok()
}

fn launch(command: &mut Command, folder: &Path) -> std::io::Result<Child> {
    let log = File::create(log_path(folder))?;
    command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).spawn()
}

fn launch_thingcore(
    binary: &Path,
    folder: &Path,
    config: Option<&Path>,
) -> std::io::Result<(Child, Option<u16>)> {
    let mut command = Command::new(binary);
    command.arg("serve").arg("--data-dir").arg(folder.join("data"));
    command.arg("--ready-file").arg(ready_path(folder)).args(["--bind", "127.0.0.1"]);
    for port in ["mqtt", "tls", "https", "api", "admin", "plain"] {
        command.args([&format!("--{port}-port"), "0"]);
    }
    if let Some(config) = config {
        command.arg("--config").arg(config);
    }
    // The work of the broker is measured, not AWS's rates. A variable, because older binaries have no such flag.
    command.env("THINGCORE_QUOTAS", "unlimited");
    Ok((launch(&mut command, folder)?, None))
}

fn launch_mosquitto(binary: &Path, folder: &Path) -> std::io::Result<(Child, Option<u16>)> {
    // mosquitto cannot choose a port itself: take one that is free now.
    let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
    let settings = folder.join("mosquitto.conf");
    fs::write(&settings, format!("listener {port} 127.0.0.1\n{MOSQUITTO_SETTINGS}"))?;
    let mut command = Command::new(binary);
    command.arg("-c").arg(settings);
    Ok((launch(&mut command, folder)?, Some(port)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ready_file_tells_the_plain_port() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(ready_port(folder.path()), None);
        fs::write(ready_path(folder.path()), r#"{"pid":1,"ports":{"mqtt":1,"plain":1885}}"#).unwrap();
        assert_eq!(ready_port(folder.path()), Some(1885));
        fs::write(ready_path(folder.path()), r#"{"ports":{"plain":null}}"#).unwrap();
        assert_eq!(ready_port(folder.path()), None);
    }

    #[tokio::test]
    async fn a_broker_that_ends_is_told() {
        let failed = Running::start(&Make::Mosquitto("/bin/false".into())).await.err().unwrap();
        assert!(failed.to_string().contains("ended with"), "{failed}");
        let missing = Running::start(&Make::Thingcore("/no/such/broker".into())).await.err().unwrap();
        assert!(missing.to_string().contains("did not start"), "{missing}");
    }
}
