//! The ready file: what tools outside need to find and use a running server. Its keys are a stable contract.

use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::write_secret;

/// The content. It holds the secret key, so the file is 0600.
#[derive(Clone, Serialize, Deserialize)]
pub struct Ready {
    /// The server's process.
    pub pid: u32,
    /// The server's version.
    pub version: String,
    /// Twelve digits.
    pub account: String,
    /// The Region it plays.
    pub region: String,
    /// What DescribeEndpoint returns.
    pub endpoint: String,
    /// Every listener's port.
    pub ports: ReadyPorts,
    /// For the AWS IoT control plane (`endpoint_url` of service `iot`).
    pub api_url: String,
    /// For the AWS IoT data plane (`endpoint_url` of service `iot-data`).
    pub data_url: String,
    /// Certificate of the private CA, which clients must trust.
    pub ca_file: PathBuf,
    /// AWS_ACCESS_KEY_ID
    pub access_key_id: String,
    /// AWS_SECRET_ACCESS_KEY
    pub secret_access_key: String,
}

/// Ports by listener; null where there is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReadyPorts {
    /// MQTT over TLS.
    pub mqtt: u16,
    /// The 443 port.
    pub tls: u16,
    /// HTTPS with a client certificate.
    pub https: u16,
    /// AWS IoT API.
    pub api: u16,
    /// Metrics and health.
    pub admin: u16,
    /// Plaintext MQTT.
    pub plain: Option<u16>,
}

impl Ready {
    /// Writes the file whole or not at all.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn write(&self, path: &Path) -> io::Result<()> {
        let mut text = serde_json::to_string_pretty(self)?;
        text.push('\n');
        write_secret(path, text.as_bytes())
    }

    /// Reads what [`Self::write`] wrote.
    ///
    /// # Errors
    /// Those of the file system, and for a text that is no ready file.
    pub fn read(path: &Path) -> io::Result<Self> {
        Ok(serde_json::from_str(&std::fs::read_to_string(path)?)?)
    }
}

#[cfg(test)]
fn example() -> Ready {
    Ready {
        pid: 1,
        version: "0.1.0".into(),
        account: "123456789012".into(),
        region: "us-east-1".into(),
        endpoint: "localhost".into(),
        ports: ReadyPorts { mqtt: 8883, tls: 4443, https: 8443, api: 7080, admin: 7090, plain: None },
        api_url: "http://127.0.0.1:7080".into(),
        data_url: "http://127.0.0.1:7080".into(),
        ca_file: "/data/ca.cert.pem".into(),
        access_key_id: "AKIA".into(),
        secret_access_key: "hush-hush".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_has_the_keys_of_the_contract_and_is_private() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ready.json");
        std::fs::write(&path, "old").unwrap();
        example().write(&path).unwrap();
        let json: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
        let keys: Vec<_> = json.as_object().unwrap().keys().map(String::as_str).collect();
        let mut wanted = [
            "pid",
            "version",
            "account",
            "region",
            "endpoint",
            "ports",
            "api_url",
            "data_url",
            "ca_file",
            "access_key_id",
            "secret_access_key",
        ];
        wanted.sort_unstable();
        let mut sorted = keys.clone();
        sorted.sort_unstable();
        assert_eq!(sorted, wanted);
        assert!(json["ports"]["plain"].is_null());
        assert_eq!(json["ports"]["mqtt"], 8883);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        }
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "no temporary file stays");
        assert_eq!(Ready::read(&path).unwrap().ports, example().ports);
    }
}
