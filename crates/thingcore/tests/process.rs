//! The program as a process: ready file, second start, device create, signals.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]
#![cfg(unix)]

use std::io::{Read, Write};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

const PROGRAM: &str = env!("CARGO_BIN_EXE_thingcore");
const PATIENCE: Duration = Duration::from_secs(60);

struct Server {
    process: Child,
    ready: Value,
}

impl Server {
    fn start(folder: &Path, more: &[&str]) -> Self {
        Self::saying(folder, more, Stdio::piped())
    }

    /// With a standard output of the caller's.
    fn saying(folder: &Path, more: &[&str], out: Stdio) -> Self {
        let ready_file = folder.join("ready.json");
        let mut process = serve(folder, &ready_file).args(more).stdout(out).spawn().unwrap();
        let began = Instant::now();
        while !ready_file.exists() {
            let ended = process.try_wait().unwrap();
            assert!(ended.is_none() && began.elapsed() < PATIENCE, "no ready file; the process: {ended:?}");
            std::thread::sleep(Duration::from_millis(10));
        }
        let ready = serde_json::from_str(&std::fs::read_to_string(&ready_file).unwrap()).unwrap();
        Self { process, ready }
    }

    /// Sends a signal and gives exit status, standard output and standard error.
    fn end(mut self, signal: &str) -> (Option<i32>, String, String) {
        let pid = self.process.id().to_string();
        assert!(Command::new("kill").args([signal, &pid]).status().unwrap().success());
        let (mut out, mut err) = (String::new(), String::new());
        if let Some(mut stream) = self.process.stdout.take() {
            stream.read_to_string(&mut out).unwrap();
        }
        if let Some(mut stream) = self.process.stderr.take() {
            stream.read_to_string(&mut err).unwrap();
        }
        (self.process.wait().unwrap().code(), out, err)
    }

    fn port(&self, name: &str) -> u16 {
        self.ready["ports"][name].as_u64().unwrap().try_into().unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn serve(folder: &Path, ready_file: &Path) -> Command {
    let mut command = Command::new(PROGRAM);
    command
        .arg("serve")
        .args(["--data-dir".as_ref(), folder.join("data").as_os_str()])
        .args(["--ready-file".as_ref(), ready_file.as_os_str()])
        .args(["--mqtt-port=0", "--tls-port=0", "--https-port=0", "--api-port=0", "--admin-port=0"])
        .args(["--bind", "127.0.0.1"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

fn device_create(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(PROGRAM)
        .args(["device", "create"])
        .args(arguments)
        .args(["--data-dir".as_ref(), folder.join("data").as_os_str()])
        .current_dir(folder)
        .output()
        .unwrap()
}

#[test]
fn it_starts_announces_itself_and_stops_cleanly_and_starts_again() {
    let folder = tempfile::tempdir().unwrap();
    let first = Server::start(folder.path(), &["--plain-port=0"]);
    assert!(first.ready["ports"]["https"].is_u64());
    assert!(first.port("plain") > 0);
    for name in ["mqtt", "tls", "api", "admin", "plain"] {
        std::net::TcpStream::connect(("127.0.0.1", first.port(name))).unwrap();
    }
    let identity =
        |ready: &Value| ["account", "region", "access_key_id", "ca_file"].map(|key| ready[key].clone());
    let known = identity(&first.ready);
    let (status, out, err) = first.end("-TERM");
    assert_eq!(status, Some(0), "{err}");
    assert!(out.contains("device create my-device") && out.contains("made at this first start"), "{out}");
    assert!(!folder.path().join("data/runtime.json").exists());

    let second = Server::start(folder.path(), &[]);
    assert_eq!(identity(&second.ready), known);
    assert!(second.ready["ports"]["plain"].is_null());
    let (status, out, _) = second.end("-INT");
    assert_eq!(status, Some(0));
    assert!(out.contains("reused"), "{out}");
}

#[test]
fn a_server_whose_words_nobody_takes_serves_and_stops_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let report = folder.path().join("divergences.json");
    let more = ["--plain-port=0", "--divergences-file", report.to_str().unwrap()];
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    std::fs::write(&report, "of an earlier run").unwrap();
    let mut server = Server::saying(folder.path(), &more, full.into());
    assert!(!report.exists(), "whoever asks it would take the earlier run for this one");
    let mut device = std::net::TcpStream::connect(("127.0.0.1", server.port("plain"))).unwrap();
    // CONNECT of "c", and SUBSCRIBE to "a" with QoS 2: something to tell at the end.
    device.write_all(b"\x10\x0d\0\x04MQTT\x04\x02\0\0\0\x01c\x82\x06\0\x01\0\x01a\x02").unwrap();
    device.read_exact(&mut [0; 9]).unwrap();
    // As a `tee` that the same Ctrl-C ends.
    drop(server.process.stderr.take());
    assert_eq!(server.end("-TERM").0, Some(0));
    let told: Value = serde_json::from_str(&std::fs::read_to_string(&report).unwrap()).unwrap();
    assert_eq!(told["clients"][0]["rows"][0]["id"], "no-qos2", "{told}");
    assert!(!was_unclosed(Server::start(folder.path(), &[])));
}

#[test]
fn a_start_that_fails_once_the_store_is_open_closes_it() {
    let folder = tempfile::tempdir().unwrap();
    let nowhere = folder.path().join("missing/ready.json");
    let refused = serve(folder.path(), &nowhere).output().unwrap();
    let error = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(refused.status.code() == Some(1) && error.contains("ready.json: cannot be written"), "{error}");
    assert!(!folder.path().join("data/runtime.json").exists());
    assert!(!was_unclosed(Server::start(folder.path(), &[])));
    let killed = Server::start(folder.path(), &[]);
    killed.end("-KILL");
    std::fs::remove_file(folder.path().join("ready.json")).unwrap();
    assert!(was_unclosed(Server::start(folder.path(), &[])), "or else nothing is proved here");
}

fn was_unclosed(server: Server) -> bool {
    let (status, _, err) = server.end("-TERM");
    assert_eq!(status, Some(0), "{err}");
    err.contains("the store had not been closed")
}

#[test]
fn a_second_server_on_the_folder_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let _first = Server::start(folder.path(), &[]);
    let second = Command::new(PROGRAM)
        .arg("serve")
        .args(["--data-dir".as_ref(), folder.path().join("data").as_os_str()])
        .args(["--ready-file".as_ref(), folder.path().join("ready.json").as_os_str()])
        .output()
        .unwrap();
    assert_eq!(second.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&second.stderr).contains("another thingcore is running"));
    assert!(folder.path().join("ready.json").exists(), "the first one's");
}

#[test]
fn a_device_is_made_in_one_step_or_not_at_all() {
    let folder = tempfile::tempdir().unwrap();
    let _server = Server::start(folder.path(), &[]);
    let made = device_create(folder.path(), &["lamp"]);
    let text = String::from_utf8_lossy(&made.stdout).into_owned();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    assert!(text.contains("mosquitto_sub -h localhost") && text.contains("lamp/pub"), "{text}");
    for file in
        ["lamp.cert.pem", "lamp.private.key", "lamp.public.key", "root-CA.crt", "lamp.py", "lamp.policy.json"]
    {
        assert!(folder.path().join("lamp").join(file).exists(), "{file}");
    }

    let again = device_create(folder.path(), &["lamp", "--out", "elsewhere"]);
    assert!(!again.status.success());
    assert!(String::from_utf8_lossy(&again.stderr).contains("exists already"));
    assert!(!folder.path().join("elsewhere").exists());

    std::fs::write(folder.path().join("broken.json"), r#"{"Version":"2012-10-17"}"#).unwrap();
    let broken = device_create(folder.path(), &["fan", "--policy", "broken.json"]);
    let error = String::from_utf8_lossy(&broken.stderr).into_owned();
    assert!(!broken.status.success());
    assert!(error.contains("MalformedPolicy") && error.contains("Taken back"), "{error}");
    let statements = r#""Statement":[{"Effect":"Deny","Action":"iot:*","Resource":"*"}]"#;
    let twice = format!(r#"{{"Version":"2012-10-17",{statements},{statements}}}"#);
    std::fs::write(folder.path().join("twice.json"), twice).unwrap();
    let twice = device_create(folder.path(), &["fan", "--policy", "twice.json"]);
    let error = String::from_utf8_lossy(&twice.stderr).into_owned();
    assert!(error.contains("MalformedPolicy") && error.contains("Taken back"), "{error}");
    let mended = device_create(folder.path(), &["fan", "--format", "json"]);
    assert!(mended.status.success(), "nothing of the failed run is left: {mended:?}");
    let json: Value = serde_json::from_slice(&mended.stdout).unwrap();
    assert_eq!(json["thingName"], "fan");
    assert!(Path::new(json["files"]["privateKey"].as_str().unwrap()).is_relative());
}

#[test]
fn mistakes_in_the_configuration_name_file_and_line() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("thingcore.toml");
    std::fs::write(&config, "[devices]\nmqtt-port = 1\n").unwrap();
    let refused = Command::new(PROGRAM).args(["serve", "--config"]).arg(&config).output().unwrap();
    assert_eq!(refused.status.code(), Some(1));
    let error = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(error.contains("thingcore.toml:2: unknown field"), "{error}");
}
