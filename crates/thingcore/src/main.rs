//! thingcore: an MQTT broker that behaves like AWS IoT Core. This file is the table of contents.

mod backup;
mod cli;
mod config;
mod data_dir;
mod entropy;
mod serve;

use std::error::Error;
use std::io::Write as _;
use std::process::ExitCode;

use clap::Parser;

use crate::cli::{Cli, Command, ServeArgs};
use crate::config::{ConfigFile, Settings};

/// Messages are made by one thread and dropped by another: docs/adr/0012-allocator.md.
#[cfg(feature = "mimalloc")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    // Two providers may be linked in; whoever builds a TLS configuration without naming one gets this.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    match carry_out(command()) {
        Ok(code) => code,
        Err(problem) => {
            // Whether anybody reads it or not, the exit code says it.
            let _ = writeln!(std::io::stderr(), "thingcore: {problem}");
            ExitCode::FAILURE
        }
    }
}

fn carry_out(command: Command) -> Result<ExitCode, Box<dyn Error>> {
    match command {
        Command::Serve(args) => serve(*args)?,
        Command::Backup(args) => backup::backup(&args)?,
        Command::Restore(args) => backup::restore(&args)?,
        Command::Check(args) => return Ok(backup::check(&args)?),
        Command::Device(command) => commands::device::run(command)?,
        Command::Divergences(args) => return Ok(commands::divergences::run(&args)?),
        Command::Why(args) => return Ok(commands::why::run(&args)?),
        Command::Tail(args) => commands::tail::run(&args)?,
        Command::Top(args) => commands::top::run(&args)?,
        Command::Bill(args) => return Ok(commands::bill::run(&args)?),
        Command::Bench(command) => commands::bench::run(&command)?,
        Command::Policy(command) => return Ok(commands::policy::run(&command)?),
        Command::Quirks(command) => commands::provoke::run(&command)?,
    }
    Ok(ExitCode::SUCCESS)
}

/// What was typed; nothing means `serve`, with its environment variables.
fn command() -> Command {
    match Cli::parse().command {
        Some(command) => command,
        None => Command::Serve(Box::new(Cli::serve_by_default())),
    }
}

fn serve(args: ServeArgs) -> Result<(), Box<dyn Error>> {
    let file = args.config.as_deref().map(ConfigFile::read).transpose()?.unwrap_or_default();
    let settings = Settings::merge(args, file)?;
    Ok(serve::run(settings)?)
}
