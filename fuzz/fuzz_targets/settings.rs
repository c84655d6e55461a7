//! Any text as the configuration file: it becomes settings, or a problem that says what is wrong and where.
#![no_main]
#![allow(dead_code, unused_imports)]

// The program's own files: it is no library.
#[path = "../../crates/thingcore/src/cli.rs"]
mod cli;
#[path = "../../crates/thingcore/src/config/mod.rs"]
mod config;

use std::path::Path;

use cli::ServeArgs;
use config::{ConfigFile, Settings};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let file = match ConfigFile::parse(text, Path::new("t.toml")) {
        Ok(file) => file,
        Err(problem) => {
            assert!(problem.to_string().starts_with("t.toml:"), "{problem}");
            return;
        }
    };
    if let Err(problem) = Settings::merge(ServeArgs::default(), file) {
        assert!(!problem.to_string().is_empty());
    }
});
