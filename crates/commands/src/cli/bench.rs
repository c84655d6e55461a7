//! What may be typed after `thingcore bench`.

use clap::{Args, Subcommand};

use super::ServerArgs;

/// Load for this broker, or any other: throughput, latency, and what they cost.
#[derive(Debug, Subcommand)]
pub enum BenchCommand {
    /// A load.
    #[command(flatten)]
    Load(Box<fleet::cli::Load>),
    /// Make devices for a load: things with certificates and policies of their own, through the API
    Devices(BenchDevicesArgs),
}

/// Options of `thingcore bench devices`.
#[derive(Clone, Debug, Args)]
pub struct BenchDevicesArgs {
    /// Which devices.
    #[command(flatten)]
    pub devices: fleet::cli::DevicesArgs,
    /// Which server
    #[command(flatten)]
    pub server: ServerArgs,
}
