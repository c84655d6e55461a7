//! `thingcore bench`: the load generator (crate `fleet`), and the devices that a load connects as.

use std::error::Error;

use fleet::devices::{self, Api, ApiFault, Request};
use serde_json::Value;

use crate::cli::{BenchCommand, BenchDevicesArgs};
use crate::device::{Call, CallFailed, Client, Server};

/// Carries out the command and prints what was found.
pub fn run(command: &BenchCommand) -> Result<(), Box<dyn Error>> {
    match command {
        BenchCommand::Devices(args) => make_devices(args),
        BenchCommand::Load(load) => {
            let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
            Ok(runtime.block_on(fleet::run(load))?)
        }
    }
}

fn make_devices(args: &BenchDevicesArgs) -> Result<(), Box<dyn Error>> {
    let server = Server::find(&args.server, &|name| std::env::var(name).ok())?;
    let made = devices::make(&args.devices, server.ca_file.as_deref(), &Signed { server: &server })?;
    let (there, folder) = (args.devices.count - made, args.devices.out.display());
    crate::say(&format!("{made} devices made, {there} were there: {folder}\n"))?;
    Ok(())
}

/// The server's API, with its owner's signature.
struct Signed<'a> {
    server: &'a Server,
}

impl Api for Signed<'_> {
    fn call(&self, request: Request<'_>) -> Result<Value, ApiFault> {
        let mut call = Call::new(request.operation, request.method, request.path).query(request.query);
        if let Some((name, value)) = request.header {
            call = call.header(name, value);
        }
        if let Some(body) = request.body {
            call = call.body(body);
        }
        Client::new(self.server).call(&call).map_err(|failed| {
            let text = failed.to_string();
            match failed {
                CallFailed::Refused { code, .. } => ApiFault { code, text },
                CallFailed::Unreachable(..) | CallFailed::TooLong { .. } => {
                    ApiFault { code: String::new(), text }
                }
            }
        })
    }
}
