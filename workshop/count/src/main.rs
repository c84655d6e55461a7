//! Instructions of the five engines on a message's way: decode, match, decide, encode, meter. valgrind counts them, so that a
//! busy machine says the same as an idle one, and a rise of more than 5 percent against the checked-in counts fails.
//!
//! `check` compares, `update` writes the counts anew, `run NAME TURNS` is what valgrind runs.

mod baseline;
mod counted;
mod work;

use std::path::Path;
use std::process::ExitCode;

use crate::baseline::Baseline;
use crate::work::Work;

/// The counts, beside this crate.
const BASELINE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/baseline.json");

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let outcome = match words.as_slice() {
        ["run", name, turns] => run(name, turns),
        ["check"] => check(),
        ["update"] => update(),
        _ => Err("say `check`, `update`, or `run NAME TURNS`".into()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("thingcore-count: {why}");
            ExitCode::FAILURE
        }
    }
}

fn run(name: &str, turns: &str) -> Result<(), String> {
    let work = Work::named(name).ok_or_else(|| format!("no work {name}"))?;
    work.run(turns.parse().map_err(|error| format!("{turns}: {error}"))?)
}

fn check() -> Result<(), String> {
    let (baseline, here) = (Baseline::read(Path::new(BASELINE))?, counted::compiler()?);
    if let Some(why) = baseline.not_for(&here) {
        println!("skipped: {why}");
        return Ok(());
    }
    let mut risen = Vec::new();
    for work in Work::ALL {
        let (now, before) = (counted::count(work)?, baseline.of(work));
        let change = before.map(|before| now / before - 1.0);
        let shown = change.map_or_else(|| "new".into(), |change| format!("{:+.1} %", change * 100.0));
        println!("{:<8} {now:>9.1} instructions a turn, {shown}", work.name());
        if change.is_none_or(|change| change > baseline::MOST_RISE) {
            risen.push(work.name());
        }
    }
    if risen.is_empty() {
        return Ok(());
    }
    Err(format!(
        "{} cost more than {:.0} % above workshop/count/baseline.json; if that is worth it, say why in the commit and run \
         `cargo run -p thingcore-count --profile count -- update`",
        risen.join(", "),
        baseline::MOST_RISE * 100.0
    ))
}

fn update() -> Result<(), String> {
    let mut counts = Vec::new();
    for work in Work::ALL {
        counts.push((work, counted::count(work)?));
    }
    Baseline::write(Path::new(BASELINE), &counted::compiler()?, &counts)
}
