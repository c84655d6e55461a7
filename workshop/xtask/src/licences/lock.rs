//! `Cargo.lock`: every package of every platform, with its origin.

use std::path::Path;

/// One `[[package]]` of the lock file.
pub(super) struct Locked {
    pub(super) name: String,
    pub(super) version: String,
    /// Empty for the crates of this workspace.
    pub(super) source: String,
}

impl Locked {
    pub(super) fn is_local(&self) -> bool {
        self.source.is_empty() && self.name.starts_with("thingcore")
    }

    pub(super) fn is_from_registry(&self) -> bool {
        self.source.starts_with("registry+")
    }
}

/// Reads the lock file of the checkout.
pub(super) fn read(root: &Path) -> Result<Vec<Locked>, String> {
    let text =
        std::fs::read_to_string(root.join("Cargo.lock")).map_err(|error| format!("Cargo.lock: {error}"))?;
    let table: toml::Table = text.parse().map_err(|error| format!("Cargo.lock: {error}"))?;
    let packages = table.get("package").and_then(toml::Value::as_array).ok_or("Cargo.lock: no packages")?;
    let field = |package: &toml::Value, key: &str| {
        package.get(key).and_then(toml::Value::as_str).unwrap_or_default().to_owned()
    };
    Ok(packages
        .iter()
        .map(|p| Locked { name: field(p, "name"), version: field(p, "version"), source: field(p, "source") })
        .collect())
}
