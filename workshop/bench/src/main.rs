//! A load generator for MQTT brokers: good enough to see gross mistakes. What it counts it has seen itself: every
//! payload carries who sent it, when, and as which number, so that losses and duplicates are facts and not guesses.

mod cli;
mod client;
mod compare;
mod course;
mod fault;
mod idle;
mod latency;
mod load;
mod process;
mod report;
mod sequence;
mod stamp;
mod storm;
mod target;
mod tls;
mod window;

use std::process::ExitCode;

use clap::Parser;

use crate::cli::{Cli, Command};
use crate::fault::BenchError;
use crate::load::{Pattern, Plan};
use crate::target::Target;

#[tokio::main]
async fn main() -> ExitCode {
    // Thousands of sockets: take as many descriptors as this process may have. Failing that, fewer clients connect.
    let _ = rlimit::increase_nofile_limit(u64::MAX);
    let command = Cli::parse().command;
    let outcome = tokio::select! {
        outcome = run(command) => outcome,
        signal = interrupted() => Err(BenchError::Interrupted(signal)),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("thingcore-bench: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(command: Command) -> Result<(), BenchError> {
    match command {
        Command::Pairs(args) => load(Pattern::Pairs, &args).await,
        Command::FanOut(args) => load(Pattern::FanOut, &args).await,
        Command::FanIn(args) => load(Pattern::FanIn, &args).await,
        Command::Connect(args) => storm(&args).await,
        Command::Idle(args) => idle(&args).await,
        Command::Compare(args) => compare::run(&args).await,
    }
}

async fn load(pattern: Pattern, args: &cli::LoadArgs) -> Result<(), BenchError> {
    let target = Target::resolve(&args.target).await?;
    let plan = Plan::new(pattern, &args.traffic, target, args.target.broker_pid);
    let report = load::run(&plan).await?;
    print(args.target.json, &report.to_json(), &report.to_text());
    report.verdict()
}

async fn storm(args: &cli::StormArgs) -> Result<(), BenchError> {
    let target = Target::resolve(&args.target).await?;
    let report = storm::run(args, target).await?;
    print(args.target.json, &report.to_json(), &report.to_text());
    report.verdict()
}

async fn idle(args: &cli::IdleArgs) -> Result<(), BenchError> {
    let target = Target::resolve(&args.target).await?;
    let report = idle::run(args, target).await?;
    print(args.target.json, &report.to_json(), &report.to_text());
    report.verdict()
}

fn print(json: bool, value: &serde_json::Value, text: &str) {
    if json { println!("{value:#}") } else { print!("{text}") }
}

/// Returning lets everything that runs be dropped: brokers that `compare` started end with it.
async fn interrupted() -> &'static str {
    use tokio::signal::unix::{SignalKind, signal};
    match signal(SignalKind::terminate()) {
        Ok(mut terminate) => tokio::select! {
            _ = terminate.recv() => "SIGTERM",
            _ = tokio::signal::ctrl_c() => "SIGINT",
        },
        Err(_) => {
            let _ = tokio::signal::ctrl_c().await;
            "SIGINT"
        }
    }
}
