//! A folder with a record that is not what it should be: the program does not serve it, and says which and what to do.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]
#![cfg(unix)]

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use store::{Batch, Key, Space, Store, block_on};
use store_redb::{Options, RedbStore};

const PROGRAM: &str = env!("CARGO_BIN_EXE_thingcore");
const PATIENCE: Duration = Duration::from_secs(60);

fn serve(folder: &Path) -> Command {
    let mut command = Command::new(PROGRAM);
    command
        .arg("serve")
        .args(["--data-dir".as_ref(), folder.join("data").as_os_str()])
        .args(["--ready-file".as_ref(), folder.join("ready.json").as_os_str()])
        .args(["--mqtt-port=0", "--tls-port=0", "--https-port=0", "--api-port=0", "--admin-port=0"])
        .args(["--plain-port=0", "--bind", "127.0.0.1"])
        .stdin(Stdio::null());
    command
}

fn check(folder: &Path) -> Output {
    let data = folder.join("data");
    Command::new(PROGRAM).args(["check".as_ref(), "--data-dir".as_ref(), data.as_os_str()]).output().unwrap()
}

fn ended(process: &mut Child) -> Option<i32> {
    let began = Instant::now();
    loop {
        if let Some(status) = process.try_wait().unwrap() {
            return status.code();
        }
        if began.elapsed() > PATIENCE {
            process.kill().unwrap();
            panic!("it serves");
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// A server whose client, with a session and a will, was there when it was killed.
fn killed(folder: &Path) {
    let mut process = serve(folder).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let began = Instant::now();
    while !folder.join("ready.json").exists() {
        assert!(process.try_wait().unwrap().is_none() && began.elapsed() < PATIENCE, "it does not start");
        std::thread::sleep(Duration::from_millis(10));
    }
    let ready: Value =
        serde_json::from_str(&std::fs::read_to_string(folder.join("ready.json")).unwrap()).unwrap();
    let port = ready["ports"]["plain"].as_u64().unwrap().try_into().unwrap();
    let mut device = TcpStream::connect(("127.0.0.1", port)).unwrap();
    // CONNECT of "c" for a session that lasts, with the will "x" to "w", and SUBSCRIBE to "a" with QoS 1.
    let hello = b"\x10\x13\0\x04MQTT\x04\x04\0\0\0\x01c\0\x01w\0\x01x\x82\x06\0\x01\0\x01a\x01";
    device.write_all(hello).unwrap();
    device.read_exact(&mut [0; 9]).unwrap();
    process.kill().unwrap();
    process.wait().unwrap();
}

/// Changes a text in the one record of a space.
fn damage(folder: &Path, space: Space, from: &str, to: &str) {
    let store = RedbStore::open(&folder.join("data/store.redb"), Options::default()).unwrap();
    let found = block_on(store.scan(space, &[], None, 10)).unwrap();
    assert_eq!(found.len(), 1);
    let text = String::from_utf8(found[0].value.to_vec()).unwrap();
    assert!(text.contains(from), "{text}");
    let mut batch = Batch::new();
    batch.put(space, Key::of(&["c"]), text.replace(from, to));
    block_on(store.commit(batch)).unwrap();
    store.close();
}

#[test]
fn a_start_refuses_a_damaged_record_and_changes_nothing() {
    for (space, from, to, why) in [
        (records::SESSIONS.space(), "\"filter\":\"a\"", "\"filter\":\"a+\"", "1 of its subscriptions"),
        (records::WILLS.space(), "\"message\":\"01", "\"message\":\"02", "its message cannot be read"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        killed(folder);
        damage(folder, space, from, to);
        let named = format!("record c of {}", space.as_str());
        for _ in 0..2 {
            let mut process = serve(folder).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
            let status = ended(&mut process);
            let mut told = String::new();
            process.stderr.take().unwrap().read_to_string(&mut told).unwrap();
            assert_eq!(status, Some(1), "{told}");
            assert!(
                told.contains(&named) && told.contains(why) && told.contains("restore a backup"),
                "{told}"
            );
        }
        let found = check(folder);
        let told = String::from_utf8(found.stdout).unwrap() + &String::from_utf8(found.stderr).unwrap();
        assert!(found.status.code() == Some(3) && told.contains(why), "{told}");
        damage(folder, space, to, from);
        assert_eq!(check(folder).status.code(), Some(0));
    }
}
