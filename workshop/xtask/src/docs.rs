//! `docs [--check]`: writes `docs/reference/` from the tables of `dialect`, `events`, `metering`, `policy` and
//! `provisioning`, or tells what has drifted.

mod ledger;
mod metering;
mod pages;
mod rows;
mod switches;

pub use ledger::check as ledger;
pub use rows::check as rows;
pub use switches::check as switches;

use std::fs;
use std::path::Path;

use crate::Complaints;

const USAGE: &str = "usage: docs [--check]";

/// Writes the pages, or with `--check` compares them.
pub fn run(args: &[String]) -> Result<(), String> {
    let folder = crate::root().join("docs/reference");
    match args {
        [] => write(&folder),
        [flag] if flag == "--check" => match check(&folder) {
            drifted if drifted.is_empty() => Ok(()),
            drifted => Err(drifted.join("\n")),
        },
        _ => Err(USAGE.into()),
    }
}

/// The pages that differ from the tables.
pub fn check(folder: &Path) -> Complaints {
    let drifted = |(name, text): (&str, String)| {
        let path = folder.join(name);
        let complaint = match fs::read_to_string(&path) {
            Ok(found) if found == text => return None,
            Ok(_) => "differs from the tables",
            Err(_) => "is missing",
        };
        let run = "run `cargo run -p thingcore-xtask -- docs`";
        Some(format!("docs/reference/{name} {complaint}: {run}"))
    };
    pages::all().into_iter().filter_map(drifted).collect()
}

fn write(folder: &Path) -> Result<(), String> {
    fs::create_dir_all(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    for (name, text) in pages::all() {
        let path = folder.join(name);
        fs::write(&path, text).map_err(|error| format!("{}: {error}", path.display()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reference_follows_the_tables() {
        let drifted = check(&crate::root().join("docs/reference"));
        assert!(drifted.is_empty(), "{}", drifted.join("\n"));
    }

    #[test]
    fn switches_do_what_their_rows_say() {
        let complaints = switches(&crate::root()).expect("the source can be read");
        assert!(complaints.is_empty(), "{}", complaints.join("\n"));
    }

    #[test]
    fn quotas_are_kept_by_tests_that_exist() {
        let complaints = ledger::check(&crate::root()).expect("the source can be read");
        assert!(complaints.is_empty(), "{}", complaints.join("\n"));
    }

    #[test]
    fn rows_that_must_differ_are_obeyed_and_kept() {
        let complaints = rows::check(&crate::root()).expect("the source can be read");
        assert!(complaints.is_empty(), "{}", complaints.join("\n"));
    }

    #[test]
    fn tables_have_as_many_cells_as_heads() {
        for (name, text) in pages::all() {
            let mut width = None;
            for line in text.lines() {
                let cells = line.starts_with('|').then(|| line.matches('|').count());
                assert!(width.is_none() || cells.is_none() || cells == width, "{name}: {line}");
                width = cells;
            }
        }
    }
}
