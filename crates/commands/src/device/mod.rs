//! `thingcore device`: what a person would otherwise do with five API calls and a text editor.
//!
//! It speaks to the same API as everybody else, so nothing here can do what boto3 could not.

mod client;
mod create;
mod kit;
mod paste;
mod policy;
mod server;
mod trust;

use std::fmt;

pub use client::{Call, CallFailed, Client};
pub use server::Server;

use crate::cli::DeviceCommand;

/// The command could not be carried out; says what to do.
#[derive(Debug)]
pub struct DeviceProblem(String);

impl fmt::Display for DeviceProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for DeviceProblem {}

impl DeviceProblem {
    fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }
}

/// Carries out the command and prints its answer.
pub fn run(command: DeviceCommand) -> Result<(), DeviceProblem> {
    match command {
        DeviceCommand::Create(args) => create::run(&args),
    }
}
