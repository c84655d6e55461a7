//! Commands that are ended while they unpack or write a backup: nothing that holds keys stays.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]
#![cfg(unix)]

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const PROGRAM: &str = env!("CARGO_BIN_EXE_thingcore");
const PATIENCE: Duration = Duration::from_secs(60);

/// Becomes the program, with signals as they are by default: whoever runs the tests may ignore some, as `nohup` does.
const NOTHING_IGNORED: &str = "\
import os, signal, sys
for one in signal.SIGHUP, signal.SIGINT, signal.SIGTERM:
    signal.signal(one, signal.SIG_DFL)
os.execv(sys.argv[1], sys.argv[1:])";

/// Unpacks, and waits for the rest of a backup that does not come.
struct Unpacking {
    process: Child,
    _backup: File,
}

impl Unpacking {
    /// Until the first file of the backup stands in a folder whose name begins so.
    fn start(parent: &Path, arguments: &[&str], begin: &str) -> Self {
        let pipe = parent.join("backup");
        if !pipe.exists() {
            assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        }
        let process = Command::new("python3")
            .args(["-c", NOTHING_IGNORED, PROGRAM])
            .args(arguments)
            .env("TMPDIR", parent)
            .current_dir(parent)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut backup = OpenOptions::new().write(true).open(&pipe).unwrap();
        backup.write_all(b"thingcore backup 1\nF\0\0\0\x0a\0\0\0\x06ca.key.pemsecret").unwrap();
        wait(|| left(parent, begin).iter().any(|folder| folder.join("ca.key.pem").exists()));
        Self { process, _backup: backup }
    }

    fn end(mut self, signal: &str) -> Option<i32> {
        let pid = self.process.id().to_string();
        assert!(Command::new("kill").args([signal, &pid]).status().unwrap().success());
        self.process.wait().unwrap().code()
    }
}

impl Drop for Unpacking {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn wait(mut for_it: impl FnMut() -> bool) {
    let began = Instant::now();
    while !for_it() {
        assert!(began.elapsed() < PATIENCE, "it does not come");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn left(parent: &Path, begin: &str) -> Vec<PathBuf> {
    let paths = fs::read_dir(parent).unwrap().map(|entry| entry.unwrap().path());
    paths.filter(|path| path.file_name().unwrap().to_str().unwrap().starts_with(begin)).collect()
}

#[test]
fn a_signal_takes_away_what_was_unpacked() {
    let parent = tempfile::tempdir().unwrap();
    let check: (&[&str], &str) = (&["check", "--backup", "backup"], "thingcore-check");
    let restore: (&[&str], &str) = (&["restore", "backup", "--data-dir", "data"], "data");
    for (arguments, begin) in [check, restore] {
        for (signal, code) in [("-TERM", 143), ("-INT", 130), ("-HUP", 129)] {
            let unpacking = Unpacking::start(parent.path(), arguments, begin);
            let mode = fs::metadata(&left(parent.path(), begin)[0]).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o700);
            assert_eq!(unpacking.end(signal), Some(code), "{arguments:?}");
            assert_eq!(left(parent.path(), begin), Vec::<PathBuf>::new(), "{arguments:?} {signal}");
        }
    }
}

#[test]
fn what_a_kill_left_goes_away_with_the_next_run() {
    let parent = tempfile::tempdir().unwrap();
    let arguments = ["check", "--backup", "backup"];
    let begin = "thingcore-check";
    let killed = Unpacking::start(parent.path(), &arguments, begin);
    let killed_left = left(parent.path(), begin);
    assert_eq!(killed.end("-KILL"), None);
    assert!(killed_left.len() == 1 && killed_left[0].exists());
    let _running = Unpacking::start(parent.path(), &arguments, begin);
    let running = left(parent.path(), begin);
    assert!(running.len() == 1 && running != killed_left, "{running:?}");
    let third =
        Command::new(PROGRAM).args(["check", "--backup", "missing"]).env("TMPDIR", parent.path()).output();
    assert_eq!(third.unwrap().status.code(), Some(1));
    assert_eq!(left(parent.path(), begin), running, "what somebody still fills stays");
}

/// As under `nohup`.
#[test]
fn a_signal_that_is_ignored_stays_ignored() {
    let parent = tempfile::tempdir().unwrap();
    let pipe = parent.path().join("backup");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let mut process = Command::new("sh")
        .args(["-c", "trap '' HUP; exec \"$0\" check --backup backup", PROGRAM])
        .env("TMPDIR", parent.path())
        .current_dir(parent.path())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let backup = OpenOptions::new().write(true).open(&pipe).unwrap();
    wait(|| !left(parent.path(), "thingcore-check").is_empty());
    let pid = process.id().to_string();
    assert!(Command::new("kill").args(["-HUP", &pid]).status().unwrap().success());
    std::thread::sleep(Duration::from_millis(200));
    assert_eq!(process.try_wait().unwrap(), None);
    drop(backup);
    assert_eq!(process.wait().unwrap().code(), Some(1), "the backup is cut short");
    assert_eq!(left(parent.path(), "thingcore-check"), Vec::<PathBuf>::new());
}
