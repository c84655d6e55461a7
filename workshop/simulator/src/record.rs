//! What a run leaves as evidence: a line of JSON for a soak, a file for the mistakes on purpose. `thingcore-bench evidence`
//! makes the page of them.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use models::checkers;
use models::marks::Mark;
use serde_json::{Map, Value, json};
use thingcore_simulator::run::{EDITION, Totals};

/// A mistake on purpose, and where it was seen.
pub struct Flaw {
    /// Its name.
    pub name: String,
    /// The first world that was looked at.
    pub first: u64,
    /// The world in which it was seen, and the checker.
    pub seen: Option<(u64, &'static str)>,
}

/// Appends a line; says so if it cannot.
pub fn append(path: &Path, line: &Value) {
    let outcome = OpenOptions::new().create(true).append(true).open(path);
    complain(path, outcome.and_then(|mut file| writeln!(file, "{line}")));
}

/// Writes a file; says so if it cannot.
pub fn write(path: &Path, whole: &Value) {
    complain(path, fs::write(path, format!("{whole:#}\n")));
}

fn complain(path: &Path, outcome: io::Result<()>) {
    if let Err(error) = outcome {
        eprintln!("{}: {error}; nothing is recorded", path.display());
    }
}

/// A run that goes on. What is recorded of it names the commit at which it began: while it runs others may be made.
pub struct Run {
    began: Instant,
    commit: String,
    dirty: bool,
}

impl Run {
    /// It begins now.
    pub fn begin() -> Self {
        Self { began: Instant::now(), commit: commit(), dirty: is_dirty() }
    }
}

/// The line of a soak.
pub fn soak(run: &Run, first: u64, steps: usize, totals: &Totals) -> Value {
    let failures: Vec<Value> = totals
        .failures
        .iter()
        .map(|(case, failure)| json!({ "checker": failure.checker, "what": failure.what, "command": case.command() }))
        .collect();
    let verdict = |name: &str| {
        let broken = totals.failures.iter().filter(|(_, failure)| failure.checker == name).count();
        (name.to_owned(), json!(broken))
    };
    let marks = Mark::ALL.iter().map(|mark| (mark.text().to_owned(), json!(totals.marks.count(*mark))));
    json!({
        "date": now(), "commit": run.commit, "dirty": run.dirty, "edition": EDITION, "assertions": cfg!(debug_assertions),
        "wall_seconds": tenths(run.began.elapsed().as_secs_f64()), "cpu_seconds": cpu().map(|time| tenths(time.as_secs_f64())),
        "virtual_hours": tenths(totals.lived.as_secs_f64() / 3600.0), "first_seed": first, "seeds": totals.seeds,
        "steps": steps, "failures": failures,
        "broken_by_checker": checkers::names().into_iter().map(verdict).collect::<Map<_, _>>(),
        "marks": marks.collect::<Map<_, _>>(),
    })
}

/// The file of the mistakes.
pub fn flaws(run: &Run, all: &[Flaw]) -> Value {
    let row = |flaw: &Flaw| {
        let (seed, checker) = flaw.seen.unzip();
        let worlds = seed.map(|seed| seed + 1 - flaw.first);
        json!({ "flaw": flaw.name, "first_seed": flaw.first, "seed": seed, "worlds": worlds, "checker": checker })
    };
    json!({ "date": now(), "commit": run.commit, "dirty": run.dirty, "flaws": all.iter().map(row).collect::<Vec<_>>() })
}

fn tenths(number: f64) -> f64 {
    (number * 10.0).round() / 10.0
}

/// What this thread, the only one that plays, had of a processor.
fn cpu() -> Option<Duration> {
    let told = fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    Some(Duration::from_nanos(told.split(' ').next()?.parse().ok()?))
}

fn said(program: &str, words: &[&str]) -> String {
    let output = Command::new(program).args(words).output().map(|output| output.stdout).unwrap_or_default();
    String::from_utf8_lossy(&output).trim().to_owned()
}

fn now() -> String {
    said("date", &["-u", "+%FT%TZ"])
}

/// Of the folder that this runs in.
fn commit() -> String {
    said("git", &["rev-parse", "--short=10", "HEAD"])
}

/// Whether files are other ones than those of the commit. What runs leave as evidence is no such change.
fn is_dirty() -> bool {
    !said("git", &["status", "--porcelain", "--", ":/", ":(top,exclude)docs"]).is_empty()
}
