//! `thingcore bench`: the load generator (crate `fleet`), and the devices that a load connects as.

mod devices;

use std::error::Error;

use crate::cli::BenchCommand;

/// Carries out the command and prints what was found.
pub fn run(command: &BenchCommand) -> Result<(), Box<dyn Error>> {
    match command {
        BenchCommand::Devices(args) => Ok(devices::run(args)?),
        BenchCommand::Load(load) => {
            let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
            Ok(runtime.block_on(fleet::run(load))?)
        }
    }
}
