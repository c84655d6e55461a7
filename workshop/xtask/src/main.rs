//! `cargo run -p thingcore-xtask -- COMMAND`: one line per command, the work is in the library.

use std::process::ExitCode;

use thingcore_xtask::{Complaints, arrows, docs, licences, models, root, tidy};

const USAGE: &str = "usage: xtask COMMAND
  tidy       sizes, names and module docs of the source (design rules)
  arrows     which crate may depend on which
  licences   licences, duplicates and origins of the dependencies, against deny.toml
  models     generate the API tables from botocore's service models
  docs       generate docs/reference from the tables; --check tells what has drifted";

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let command = arguments.next().unwrap_or_default();
    let rest: Vec<String> = arguments.collect();
    let outcome = match command.as_str() {
        "tidy" => judge(tidy::check(&root())),
        "arrows" => judge(arrows::check(&root())),
        "licences" => judge(licences::check(&root())),
        "models" => models::run(&rest),
        "docs" => docs::run(&rest),
        _ => Err(USAGE.into()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(text) => {
            eprintln!("{text}");
            ExitCode::FAILURE
        }
    }
}

/// No complaint is success; otherwise one line each.
fn judge(outcome: Result<Complaints, String>) -> Result<(), String> {
    match outcome? {
        complaints if complaints.is_empty() => Ok(()),
        complaints => Err(format!("{}\n{} complaint(s)", complaints.join("\n"), complaints.len())),
    }
}
