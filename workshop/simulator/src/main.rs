//! `thingcore-sim`: runs a seed, runs many, finds mistakes on purpose.

mod record;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand};
use models::marks::Mark;
use thingcore_simulator::flaw::Flaw;
use thingcore_simulator::run::{Case, STEPS, Totals, many, numbers};
use thingcore_simulator::world::{Failure, World};

#[derive(Parser)]
#[command(name = "thingcore-sim", about = "The production broker in simulated worlds")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Runs one world.
    Run {
        /// Decides everything.
        #[arg(long)]
        seed: u64,
        /// How many steps are drawn.
        #[arg(long, default_value_t = STEPS)]
        steps: usize,
        /// Which edition of worlds: 1 for what was recorded without one.
        #[arg(long, default_value_t = 1)]
        edition: u32,
        /// Which of them are carried out, for example 1,4-6; all if it is not given.
        #[arg(long)]
        keep: Option<String>,
        /// A mistake on purpose, by its name.
        #[arg(long)]
        flaw: Option<String>,
        /// Prints everything that happens.
        #[arg(long)]
        tell: bool,
        /// Does not look for a shorter trace.
        #[arg(long)]
        no_shrink: bool,
    },
    /// Runs new worlds for a while.
    Soak {
        /// How long: seconds, or a number with s, m or h.
        #[arg(long = "for", default_value = "1h")]
        time: String,
        /// The first seed; the time of day if it is not given.
        #[arg(long)]
        first: Option<u64>,
        /// How many steps are drawn for each.
        #[arg(long, default_value_t = STEPS)]
        steps: usize,
        /// A file to which a line about it is appended (JSON): docs/evidence/simulator.jsonl.
        #[arg(long)]
        record: Option<PathBuf>,
    },
    /// Finds each mistake on purpose, and says in which world.
    Flaws {
        /// How many worlds at most.
        #[arg(long, default_value_t = 200)]
        seeds: u64,
        /// The first world; the one that each mistake names if it is not given.
        #[arg(long)]
        first: Option<u64>,
        /// Only this one.
        #[arg(long)]
        only: Option<String>,
        /// A file for what was seen (JSON): docs/evidence/flaws.json.
        #[arg(long, conflicts_with = "only")]
        record: Option<PathBuf>,
    },
}

fn main() -> ExitCode {
    match Arguments::parse().command {
        Command::Run { seed, steps, edition, keep, flaw, tell, no_shrink } => {
            match case(seed, steps, keep.as_deref(), flaw.as_deref()) {
                Ok(case) => one(&Case { edition, ..case }, tell, !no_shrink),
                Err(what) => wrong(what),
            }
        }
        Command::Soak { time, first, steps, record } => match seconds(&time) {
            Some(time) => soak(first.unwrap_or_else(fresh), steps, time, record.as_deref()),
            None => wrong("--for takes a number with s, m or h, for example 30m"),
        },
        Command::Flaws { seeds, first, only, record } => {
            flaws(seeds, first, only.as_deref(), record.as_deref())
        }
    }
}

fn case(seed: u64, steps: usize, keep: Option<&str>, flaw: Option<&str>) -> Result<Case, &'static str> {
    let list = |text| numbers(text).ok_or("--keep takes numbers and ranges, for example 1,4-6");
    let named = |name| Flaw::named(name).ok_or("there is no such mistake: `thingcore-sim flaws` lists them");
    let (keep, flaw) = (keep.map(list).transpose()?, flaw.map(named).transpose()?);
    Ok(Case { keep, flaw, ..Case::new(seed, steps) })
}

fn wrong(what: &str) -> ExitCode {
    eprintln!("{what}");
    ExitCode::from(2)
}

fn fresh() -> u64 {
    std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(1, |time| time.as_millis() as u64)
}

fn seconds(text: &str) -> Option<Duration> {
    let (number, unit) = match text.strip_suffix(['s', 'm', 'h']) {
        Some(number) => (number, text.get(number.len()..)?),
        None => (text, "s"),
    };
    let factor = [("s", 1), ("m", 60), ("h", 3600)].into_iter().find(|(name, _)| *name == unit)?.1;
    Some(Duration::from_secs(number.parse::<u64>().ok()?.checked_mul(factor)?))
}

fn one(case: &Case, tell: bool, shrinks: bool) -> ExitCode {
    let mut world = World::new(case);
    if tell {
        world.tell(|now, fact| println!("{:>9} {fact:?}", now.millis() % 1_000_000_000));
    }
    let trace = case.trace();
    for action in trace.iter().filter(|_| tell) {
        println!("step {:>4}: {}", action.number, action.deed.text());
    }
    match world.run(&trace) {
        None => {
            println!("seed {}: {} steps, every promise held", case.seed, trace.len());
            ExitCode::SUCCESS
        }
        Some(failure) => {
            tell_of(case, &failure, shrinks);
            ExitCode::FAILURE
        }
    }
}

/// The failure, and the shortest command that is found for it.
fn tell_of(case: &Case, failure: &Failure, shrinks: bool) {
    println!("seed {}, step {}: {}: {}", case.seed, failure.step, failure.checker, failure.what);
    println!("again:   {}", case.command());
    if !shrinks {
        return;
    }
    let (small, found) = case.shrink(failure);
    println!("shorter: {}", small.command());
    println!("         {}: {}", found.checker, found.what);
}

fn soak(first: u64, steps: usize, time: Duration, record: Option<&Path>) -> ExitCode {
    let run = record::Run::begin();
    let totals = many(first, steps, time, 5);
    if let Some(path) = record {
        let line = record::soak(&run, first, steps, &totals);
        record::append(path, &line);
    }
    for (case, failure) in &totals.failures {
        tell_of(case, failure, true);
    }
    print_totals(first, &totals);
    if totals.failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn print_totals(first: u64, totals: &Totals) {
    for mark in Mark::ALL {
        println!("{:>10}  {}", totals.marks.count(*mark), mark.text());
    }
    println!("{} worlds from seed {first}, {} failures", totals.seeds, totals.failures.len());
}

fn flaws(seeds: u64, first: Option<u64>, only: Option<&str>, record: Option<&Path>) -> ExitCode {
    let (run, mut missed, mut all) = (record::Run::begin(), 0, Vec::new());
    for flaw in Flaw::all().into_iter().filter(|flaw| only.is_none_or(|only| flaw.name() == only)) {
        let first = first.unwrap_or(flaw.first_seed());
        let mut entry = record::Flaw { name: flaw.name(), first, seen: None };
        let found = (first..first + seeds).find_map(|seed| {
            let case = Case { flaw: Some(flaw), ..Case::new(seed, STEPS) };
            let failure = case.run().0.filter(|failure| flaw.breaks().contains(&failure.checker))?;
            Some((case, failure))
        });
        match found {
            Some((case, failure)) => {
                println!("{:24} seed {:>4}  {}: {}", flaw.name(), case.seed, failure.checker, failure.what);
                entry.seen = Some((case.seed, failure.checker));
            }
            None => {
                missed += 1;
                println!("{:24} NOT SEEN in {seeds} worlds", flaw.name());
            }
        }
        all.push(entry);
    }
    record.into_iter().for_each(|path| record::write(path, &record::flaws(&run, &all)));
    if missed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
