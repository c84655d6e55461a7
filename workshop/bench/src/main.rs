//! Comparisons: starts this broker and its peers in turn under one load generator (crate `fleet`), keeps every turn in a
//! file, and makes docs/performance.md of it; and docs/evidence.md of what other runs left. What the numbers mean is in the README.

mod broker;
mod capacity;
mod cli;
mod compare;
mod evidence;
mod figures;
mod flame;
mod fsyncs;
mod growth;
mod machine;
mod overload;
mod prepared;
mod proof;
mod report;
mod results;
mod rows;
mod soak;

use std::process::ExitCode;

use clap::Parser;
use fleet::BenchError;

use crate::cli::{Cli, Command};

#[tokio::main]
async fn main() -> ExitCode {
    let outcome = match &Cli::parse().command {
        Command::Load(load) => fleet::run(load).await,
        Command::Compare(args) => until_stopped(compare::run(args)).await,
        Command::Growth(args) => until_stopped(growth::run(args)).await,
        Command::Flame(args) => until_stopped(flame::run(args)).await,
        Command::Soak(args) => soak::run(args, stopped()).await,
        Command::Overload(args) => until_stopped(overload::run(args)).await,
        Command::Capacity(args) => until_stopped(capacity::run(args)).await,
        Command::Report(args) => report::run(args),
        Command::Evidence(args) => proof::run(args),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("thingcore-bench: {error}");
            ExitCode::FAILURE
        }
    }
}

/// When somebody wants this to end: the signal.
async fn stopped() -> &'static str {
    use tokio::signal::unix::{SignalKind, signal};
    match signal(SignalKind::terminate()) {
        Ok(mut terminate) => tokio::select! {
            _ = terminate.recv() => "SIGTERM",
            _ = tokio::signal::ctrl_c() => "SIGINT",
        },
        Err(_) => std::future::pending().await,
    }
}

/// Returning lets everything that runs be dropped: brokers that were started end with it.
async fn until_stopped(work: impl Future<Output = Result<(), BenchError>>) -> Result<(), BenchError> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate =
        signal(SignalKind::terminate()).map_err(|error| BenchError::Option(format!("signals: {error}")))?;
    tokio::select! {
        outcome = work => outcome,
        _ = terminate.recv() => Err(BenchError::Interrupted("SIGTERM")),
        _ = tokio::signal::ctrl_c() => Err(BenchError::Interrupted("SIGINT")),
    }
}
