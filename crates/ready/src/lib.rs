//! How programs on one machine find a running server: the ready file, the lock of its data folder, and the way in which
//! files for the owner's eyes only are written.

mod file;
mod lock;
mod secret_file;

pub use file::{Ready, ReadyPorts};
pub use lock::{Lock, LockProblem, is_held};
pub use secret_file::{sync_folder, write_secret, write_secret_with};

/// The data folder of who names none.
pub const DEFAULT_DATA_DIR: &str = "thingcore-data";

/// In the data folder, the ready file of the server that runs on it.
pub const RUNTIME_FILE: &str = "runtime.json";
