//! What may be typed after `thingcore bench`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::ServerArgs;

/// Load for this broker, or any other: throughput, latency, and what they cost.
#[derive(Debug, Subcommand)]
pub enum BenchCommand {
    /// A load.
    #[command(flatten)]
    Load(fleet::cli::Load),
    /// Make devices for a load: things with certificates and policies of their own, through the API
    Devices(BenchDevicesArgs),
}

/// Options of `thingcore bench devices`.
#[derive(Clone, Debug, Args)]
pub struct BenchDevicesArgs {
    /// Devices
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=20_000))]
    pub count: u32,
    /// Beginning of their names: NAME-00001...
    #[arg(long, value_name = "NAME", default_value = "bench-device")]
    pub name: String,
    /// First level of the topics that the load will use (its --prefix)
    #[arg(long, value_name = "TEXT", default_value = "bench")]
    pub prefix: String,
    /// Folder for NAME.cert.pem, NAME.private.key and root-CA.crt
    #[arg(long, value_name = "DIR", default_value = "bench-devices")]
    pub out: PathBuf,
    /// Which server
    #[command(flatten)]
    pub server: ServerArgs,
}
