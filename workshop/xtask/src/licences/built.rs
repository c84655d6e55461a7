//! What is really compiled on this machine: `Cargo.lock` also names what optional features and other systems would
//! bring.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

/// One crate of the build, tests included.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Built {
    pub(super) name: String,
    pub(super) version: String,
    /// An SPDX expression, empty if the crate names none.
    pub(super) licence: String,
}

/// Asks cargo, without a network.
pub(super) fn read(root: &Path) -> Result<BTreeSet<Built>, String> {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".into());
    let output = Command::new(cargo)
        .args([
            "tree",
            "--workspace",
            "--edges",
            "normal,build,dev",
            "--prefix",
            "none",
            "--format",
            "{p}|{l}",
        ])
        .args(["--locked", "--offline"])
        .current_dir(root)
        .output()
        .map_err(|error| format!("cargo tree: {error}"))?;
    if !output.status.success() {
        return Err(format!("cargo tree: {}", String::from_utf8_lossy(&output.stderr)));
    }
    Ok(String::from_utf8_lossy(&output.stdout).lines().filter_map(parse).collect())
}

/// `serde v1.0.1 (proc-macro)|MIT OR Apache-2.0 (*)`
fn parse(line: &str) -> Option<Built> {
    let (package, licence) = line.split_once('|')?;
    let mut words = package.split(' ');
    let (name, version) = (words.next()?, words.next()?.strip_prefix('v')?);
    let licence = licence.strip_suffix(" (*)").unwrap_or(licence).trim();
    Some(Built { name: name.into(), version: version.into(), licence: licence.into() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_cargo_tree_are_understood() {
        let built = parse("serde_derive v1.0.1 (proc-macro)|MIT OR Apache-2.0 (*)").unwrap();
        assert_eq!((built.name.as_str(), built.version.as_str()), ("serde_derive", "1.0.1"));
        assert_eq!(built.licence, "MIT OR Apache-2.0");
        assert!(parse("").is_none());
    }
}
