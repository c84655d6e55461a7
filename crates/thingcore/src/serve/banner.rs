//! What a person at the terminal is told when the server has started.

use std::fmt::Write as _;
use std::path::Path;

use crate::config::DEFAULT_DATA_DIR;
use crate::data_dir::Place;
use ready::Ready;

/// The text, ending with the next command to type.
pub fn banner(ready: &Ready, place: &Place) -> String {
    let data_dir = place.folder.as_path();
    let ports = &ready.ports;
    let mut text = String::new();
    let state = if place.first_start { "made at this first start" } else { "reused" };
    let _ = writeln!(text, "\nthingcore {} is running\n", ready.version);
    let mut line = |name: &str, value: &str| {
        let _ = writeln!(text, "  {name:<12}{value}");
    };
    line("MQTT", &format!("port {}  (TLS 1.2/1.3, client certificate)", ports.mqtt));
    line("443", &format!("port {}  (MQTT by ALPN, WebSocket /mqtt, HTTPS)", ports.tls));
    line("HTTPS", &format!("port {}  (client certificate)", ports.https));
    if let Some(plain) = ports.plain {
        line("MQTT plain", &format!("port {plain}  (loopback, no authentication: for tests)"));
    }
    line("AWS IoT API", &ready.api_url);
    line("Metrics", &format!("http://127.0.0.1:{}/metrics", ports.admin));
    line("Account", &format!("{}  in {}", ready.account, ready.region));
    line("Access key", &format!("{}  (its secret is in {})", ready.access_key_id, data_dir.display()));
    line("CA file", &ready.ca_file.display().to_string());
    line("Data", &format!("{}  ({state})", data_dir.display()));
    let _ = writeln!(text, "\nNext:  {}\n", next_command(data_dir));
    text
}

fn next_command(data_dir: &Path) -> String {
    let command = format!("{} device create my-device", program());
    match data_dir == Path::new(DEFAULT_DATA_DIR) {
        true => command,
        false => format!("{command} --data-dir {}", data_dir.display()),
    }
}

/// As it was typed: a program that was just built is on nobody's path.
fn program() -> String {
    std::env::args().next().unwrap_or_else(|| "thingcore".to_owned())
}

#[cfg(test)]
mod tests {
    use ready::ReadyPorts;

    use super::*;

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

    #[test]
    fn it_names_the_next_command_and_never_the_secret() {
        let ready = example();
        let text = banner(&ready, &Place { folder: "elsewhere".into(), first_start: true });
        assert!(text.contains(" device create my-device --data-dir elsewhere"), "{text}");
        assert!(!text.contains(&ready.secret_access_key));
        let again = Place { folder: DEFAULT_DATA_DIR.into(), first_start: false };
        assert!(banner(&ready, &again).contains("create my-device\n"));
    }
}
