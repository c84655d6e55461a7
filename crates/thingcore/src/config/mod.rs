//! What the server shall do: file, then environment, then flags; each later one wins.

mod file;
mod functions;
mod iam;
mod settings;

pub use file::{ConfigFile, MeteringSection};
pub use settings::{AccessKey, Port, Ports, Settings};

pub use ready::DEFAULT_DATA_DIR;
