//! `licences`: what the dependencies are allowed to be, checked without a network against the rules of `deny.toml`
//! (the same file cargo-deny reads, for those who have it): licences, banned crates, duplicate versions, origins.

mod built;
mod expression;
mod lock;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::Complaints;
use built::Built;
use lock::Locked;

/// Checks `Cargo.lock` and the licences of what this machine builds.
///
/// # Errors
/// When a file or cargo's answer cannot be read.
pub fn check(root: &Path) -> Result<Complaints, String> {
    let rules = Rules::read(root)?;
    let built = built::read(root)?;
    let mut complaints = origins(&lock::read(root)?);
    complaints.extend(banned(&rules, &built));
    complaints.extend(duplicates(&rules, &built));
    complaints.extend(licences(&rules, &built));
    Ok(complaints)
}

/// The parts of `deny.toml` that are checked here.
struct Rules {
    allowed: BTreeSet<String>,
    denied: BTreeMap<String, String>,
    /// `name@version` of the duplicates that are known and why.
    skipped: BTreeMap<String, String>,
}

impl Rules {
    fn read(root: &Path) -> Result<Self, String> {
        let text =
            std::fs::read_to_string(root.join("deny.toml")).map_err(|error| format!("deny.toml: {error}"))?;
        let table: toml::Table = text.parse().map_err(|error| format!("deny.toml: {error}"))?;
        let list = |section: &str, key: &str| -> Vec<toml::Value> {
            let value =
                table.get(section).and_then(|section| section.get(key)).and_then(toml::Value::as_array);
            value.cloned().unwrap_or_default()
        };
        let allowed =
            list("licenses", "allow").iter().filter_map(|v| v.as_str().map(str::to_owned)).collect();
        Ok(Self {
            allowed,
            denied: with_reasons(&list("bans", "deny"))?,
            skipped: with_reasons(&list("bans", "skip"))?,
        })
    }
}

fn with_reasons(rows: &[toml::Value]) -> Result<BTreeMap<String, String>, String> {
    rows.iter()
        .map(|row| {
            let field = |key: &str| row.get(key).and_then(toml::Value::as_str).map(str::to_owned);
            match (field("crate"), field("reason")) {
                (Some(name), Some(reason)) if !reason.is_empty() => Ok((name, reason)),
                _ => Err(format!("deny.toml: expected {{ crate = .., reason = .. }}, found {row}")),
            }
        })
        .collect()
}

/// Everything comes from the registry or from this workspace.
fn origins(locked: &[Locked]) -> Complaints {
    let foreign = locked.iter().filter(|package| !package.is_local() && !package.is_from_registry());
    foreign
        .map(|p| format!("{} {}: comes from {}, not from the registry", p.name, p.version, p.source))
        .collect()
}

fn banned(rules: &Rules, built: &BTreeSet<Built>) -> Complaints {
    let found = built.iter().filter_map(|package| Some((package, rules.denied.get(&package.name)?)));
    found
        .map(|(package, reason)| format!("{} {}: is banned: {reason}", package.name, package.version))
        .collect()
}

/// One version of each crate, except those listed; and no listing that is not needed.
fn duplicates(rules: &Rules, built: &BTreeSet<Built>) -> Complaints {
    let mut versions: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for package in built {
        versions.entry(&package.name).or_default().push(&package.version);
    }
    let mut complaints = Complaints::new();
    for (name, versions) in versions.iter().filter(|(_, versions)| versions.len() > 1) {
        let known = |version: &&&str| rules.skipped.contains_key(&format!("{name}@{version}"));
        let unknown: Vec<&&str> = versions.iter().filter(|version| !known(version)).collect();
        if unknown.len() > 1 {
            complaints.push(format!(
                "{name}: in versions {}: agree on one, or list all but one under [bans] skip with the reason",
                versions.join(", ")
            ));
        }
    }
    let is_duplicate = |entry: &String| {
        let (name, version) = entry.split_once('@').unwrap_or((entry, ""));
        versions.get(name).is_some_and(|found| found.len() > 1 && found.contains(&version))
    };
    // Another system builds other crates: there a row may rest.
    if !cfg!(target_os = "linux") {
        return complaints;
    }
    let idle = rules.skipped.keys().filter(|entry| !is_duplicate(entry));
    complaints
        .extend(idle.map(|entry| format!("deny.toml: `{entry}` is no duplicate any more: delete the row")));
    complaints
}

fn licences(rules: &Rules, built: &BTreeSet<Built>) -> Complaints {
    let refused = built.iter().filter(|package| !expression::allows(&package.licence, &rules.allowed));
    refused
        .map(|p| format!("{} {}: licence `{}` is not on the list of deny.toml", p.name, p.version, p.licence))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn built(rows: &[(&str, &str)]) -> BTreeSet<Built> {
        let package = |&(name, version): &(&str, &str)| Built {
            name: name.into(),
            version: version.into(),
            licence: "MIT".into(),
        };
        rows.iter().map(package).collect()
    }

    fn rules(skipped: &[&str]) -> Rules {
        let row = |name: &&str| ((*name).to_owned(), "a reason".to_owned());
        Rules {
            allowed: BTreeSet::new(),
            denied: BTreeMap::new(),
            skipped: skipped.iter().map(row).collect(),
        }
    }

    #[test]
    fn a_duplicate_must_be_listed_and_a_listing_needed() {
        let two = built(&[("a", "1.0.0"), ("a", "2.0.0")]);
        assert_eq!(duplicates(&rules(&[]), &two).len(), 1);
        assert!(duplicates(&rules(&["a@1.0.0"]), &two).is_empty());
        assert_eq!(duplicates(&rules(&["b@1.0.0"]), &built(&[("b", "1.0.0")])).len(), 1);
    }

    #[test]
    fn sources_other_than_the_registry_are_refused() {
        let from = |source: &str| Locked { name: "a".into(), version: "1.0.0".into(), source: source.into() };
        assert_eq!(origins(&[from("registry+index"), from("git+elsewhere"), from("")]).len(), 2);
    }
}
