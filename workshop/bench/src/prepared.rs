//! What the turns with mutual TLS share: a data folder of thingcore with devices in it, and their certificates. The peers
//! trust the same CA and show the same server certificate, so that all brokers do the same cryptography.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use fleet::BenchError;
use serde_json::Value;
use tempfile::TempDir;

use crate::broker::serve;

const PATIENCE: Duration = Duration::from_secs(60);
const LOOK: Duration = Duration::from_millis(20);
/// What a copy of a data folder must not have.
const LEFT_OUT: [&str; 2] = ["runtime.json", "lock"];

/// Devices, and where their things are. Dropping it removes all.
pub struct Prepared {
    binary: PathBuf,
    folder: TempDir,
}

impl Prepared {
    /// Makes this many devices.
    ///
    /// # Errors
    /// thingcore does not start, or does not make them.
    pub async fn new(binary: &Path, devices: u32) -> Result<Self, BenchError> {
        let failed = |why: String| BenchError::Broker(binary.into(), why);
        let folder = tempfile::tempdir().map_err(|error| failed(error.to_string()))?;
        let prepared = Self { binary: binary.into(), folder };
        prepared.devices(devices).await?;
        Ok(prepared)
    }

    async fn devices(&self, count: u32) -> Result<(), BenchError> {
        let failed = |why: String| BenchError::Broker(self.binary.clone(), why);
        let ready = self.folder.path().join("ready.json");
        let _ = fs::remove_file(&ready);
        let mut server = serve(&self.binary, &self.data(), &ready);
        server.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut server = Owned(server.spawn().map_err(|error| failed(error.to_string()))?);
        let until = Instant::now() + PATIENCE;
        while !ready.exists() {
            if Instant::now() > until || matches!(server.0.try_wait(), Ok(Some(_))) {
                return Err(failed("it did not become ready to make devices".into()));
            }
            tokio::time::sleep(LOOK).await;
        }
        let mut command = Command::new(&self.binary);
        command.args(["bench", "devices", "--count", &count.to_string(), "--data-dir"]).arg(self.data());
        command.arg("--out").arg(self.certificates()).stdin(Stdio::null());
        let done = tokio::task::spawn_blocking(move || command.output()).await;
        let done =
            done.map_err(|error| failed(error.to_string()))?.map_err(|error| failed(error.to_string()))?;
        if !done.status.success() {
            return Err(failed(format!("`bench devices`: {}", String::from_utf8_lossy(&done.stderr))));
        }
        self.show_server().map_err(|error| failed(format!("its server certificate: {error}")))
    }

    /// Writes the server's certificate and key as the peers want them.
    fn show_server(&self) -> io::Result<()> {
        let server: Value = serde_json::from_slice(&fs::read(self.data().join("server.json"))?)?;
        let part = |name: &str| server.get(name).and_then(Value::as_str).unwrap_or_default();
        fs::write(self.server_certificate(), part("chain"))?;
        fs::write(self.server_key(), part("private_key"))
    }

    /// A data folder with these devices for one turn. What was acknowledged is on disk, so a copy of a killed server's
    /// folder has it.
    ///
    /// # Errors
    /// The disk's.
    pub fn copy_data(&self, to: &Path) -> io::Result<()> {
        copy(&self.data(), to)
    }

    /// The folder of the devices' certificates.
    pub fn certificates(&self) -> PathBuf {
        self.folder.path().join("devices")
    }

    /// The CA of all certificates.
    pub fn ca(&self) -> PathBuf {
        self.data().join("ca.cert.pem")
    }

    /// The server certificate with its chain.
    pub fn server_certificate(&self) -> PathBuf {
        self.folder.path().join("server.cert.pem")
    }

    /// The server's key.
    pub fn server_key(&self) -> PathBuf {
        self.folder.path().join("server.key.pem")
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }
}

/// A child that ends with its value.
struct Owned(std::process::Child);

impl Drop for Owned {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn copy(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    fs::set_permissions(to, fs::metadata(from)?.permissions())?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let name = entry.file_name();
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &to.join(&name))?;
        } else if !LEFT_OUT.iter().any(|left_out| name == *left_out) {
            fs::copy(entry.path(), to.join(&name))?;
        }
    }
    Ok(())
}
