//! `arrows`: crates are the walls of the house. A crate may depend only on crates above it in the list below, and
//! what touches sockets, disks and clocks stays in the adapters and the product.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::Complaints;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Tier {
    /// Names, packets, facts: what everybody talks about.
    Word,
    /// The traits that storage stands behind.
    Port,
    /// Decides, without knowing other engines.
    Engine,
    /// Arranges engines over the port.
    Heart,
    /// Acts on the outside world; adapters do not know each other.
    Adapter,
    Product,
    Workshop,
}

/// Every crate of the workspace, top to bottom, with its tier.
const HOUSE: &[(&str, Tier)] = &[
    ("thingcore-identity", Tier::Word),
    ("thingcore-mqtt", Tier::Word),
    ("thingcore-dialect", Tier::Word),
    ("thingcore-events", Tier::Word),
    ("thingcore-store", Tier::Port),
    ("thingcore-session", Tier::Engine),
    ("thingcore-router", Tier::Engine),
    ("thingcore-policy", Tier::Engine),
    ("thingcore-analysis", Tier::Engine),
    ("thingcore-quirks", Tier::Engine),
    ("thingcore-customauth", Tier::Engine),
    ("thingcore-pki", Tier::Engine),
    ("thingcore-sigv4", Tier::Engine),
    ("thingcore-provisioning", Tier::Engine),
    ("thingcore-metering", Tier::Engine),
    ("thingcore-registry", Tier::Engine),
    ("thingcore-standing", Tier::Heart),
    ("thingcore-records", Tier::Heart),
    ("thingcore-broker", Tier::Heart),
    ("thingcore-services", Tier::Heart),
    ("thingcore-access", Tier::Heart),
    ("thingcore-functions", Tier::Adapter),
    ("thingcore-store-redb", Tier::Adapter),
    ("thingcore-gateway", Tier::Adapter),
    ("thingcore-api", Tier::Adapter),
    ("thingcore-telemetry", Tier::Adapter),
    ("thingcore-fleet", Tier::Adapter),
    ("thingcore-ready", Tier::Product),
    ("thingcore-commands", Tier::Product),
    ("thingcore", Tier::Product),
    ("thingcore-oracle", Tier::Workshop),
    ("thingcore-models", Tier::Workshop),
    ("thingcore-bench", Tier::Workshop),
    ("thingcore-count", Tier::Workshop),
    ("thingcore-simulator", Tier::Workshop),
    ("thingcore-xtask", Tier::Workshop),
];

/// The only arrows between engines and from an engine to the port: the registry keeps policy documents, in the store;
/// the answer of a custom authorizer holds policy documents; the analysis reasons about what the policies decide.
const EXCEPTIONS: [(&str, &str); 4] = [
    ("thingcore-registry", "thingcore-policy"),
    ("thingcore-registry", "thingcore-store"),
    ("thingcore-customauth", "thingcore-policy"),
    ("thingcore-analysis", "thingcore-policy"),
];

/// Crates with sockets, disks, threads or clocks inside: adapters, product and workshop only.
const OUTSIDE_WORLD: [&str; 12] = [
    "tokio",
    "tokio-rustls",
    "tokio-tungstenite",
    "rustls",
    "hyper",
    "hyper-util",
    "axum",
    "redb",
    "async-nats",
    "ureq",
    "mio",
    "tracing-subscriber",
];

struct Arrow {
    from: String,
    to: String,
    /// `None` for an ordinary dependency, else `dev` or `build`.
    kind: Option<String>,
}

/// Checks the manifests of the checkout at `root`.
///
/// # Errors
/// When cargo cannot tell the graph.
pub fn check(root: &Path) -> Result<Complaints, String> {
    let metadata = metadata(root)?;
    let packages = metadata.get("packages").and_then(Value::as_array).ok_or("cargo metadata: no packages")?;
    let mut complaints = Complaints::new();
    for package in packages {
        let name = text(package, "name");
        if place(&name).is_none() {
            complaints
                .push(format!("{name}: stands nowhere in the house: give it a line in arrows.rs and a tier"));
            continue;
        }
        let dependencies = package.get("dependencies").and_then(Value::as_array).into_iter().flatten();
        complaints.extend(dependencies.filter_map(|dependency| {
            let kind = dependency.get("kind").and_then(Value::as_str).map(str::to_owned);
            judge(&Arrow { from: name.clone(), to: text(dependency, "name"), kind })
        }));
    }
    Ok(complaints)
}

fn metadata(root: &Path) -> Result<Value, String> {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".into());
    let output = Command::new(cargo)
        .args(["metadata", "--format-version", "1", "--no-deps", "--offline"])
        .current_dir(root)
        .output()
        .map_err(|error| format!("cargo metadata: {error}"))?;
    if !output.status.success() {
        return Err(format!("cargo metadata: {}", String::from_utf8_lossy(&output.stderr)));
    }
    serde_json::from_slice(&output.stdout).map_err(|error| format!("cargo metadata: {error}"))
}

fn text(value: &Value, key: &str) -> String {
    value.get(key).and_then(Value::as_str).unwrap_or_default().to_owned()
}

fn place(name: &str) -> Option<(usize, Tier)> {
    let index = HOUSE.iter().position(|(crate_name, _)| *crate_name == name)?;
    HOUSE.get(index).map(|(_, tier)| (index, *tier))
}

/// What is wrong with one arrow, if anything.
fn judge(arrow: &Arrow) -> Option<String> {
    let Arrow { from, to, kind } = arrow;
    let (from_place, from_tier) = place(from)?;
    if OUTSIDE_WORLD.contains(&to.as_str()) {
        let allowed = matches!(from_tier, Tier::Adapter | Tier::Product | Tier::Workshop);
        return (!allowed)
            .then(|| format!("{from} -> {to}: only adapters and the product touch the outside world"));
    }
    let (to_place, to_tier) = place(to)?;
    if EXCEPTIONS.contains(&(from.as_str(), to.as_str())) || from_tier == Tier::Workshop {
        return None;
    }
    let for_tests = kind.as_deref() == Some("dev");
    if to_tier == Tier::Workshop {
        return (!for_tests).then(|| format!("{from} -> {to}: the workshop is for tests (dev-dependencies)"));
    }
    if to_place >= from_place {
        return Some(format!("{from} -> {to}: arrows point up the list only"));
    }
    match (from_tier, to_tier) {
        (Tier::Engine, Tier::Engine) => Some(format!("{from} -> {to}: engines do not know each other")),
        (Tier::Engine, Tier::Port) => {
            Some(format!("{from} -> {to}: engines do no I/O, not even through the port"))
        }
        (Tier::Adapter, Tier::Adapter) => Some(format!("{from} -> {to}: adapters do not know each other")),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrong(from: &str, to: &str, kind: Option<&str>) -> bool {
        judge(&Arrow { from: from.into(), to: to.into(), kind: kind.map(str::to_owned) }).is_some()
    }

    #[test]
    fn arrows_point_up_only() {
        assert!(!wrong("thingcore-broker", "thingcore-session", None));
        assert!(wrong("thingcore-session", "thingcore-broker", None));
        assert!(wrong("thingcore-broker", "thingcore-services", None));
    }

    #[test]
    fn engines_and_adapters_do_not_know_their_like() {
        assert!(wrong("thingcore-router", "thingcore-session", None));
        assert!(wrong("thingcore-api", "thingcore-gateway", None));
        assert!(!wrong("thingcore-registry", "thingcore-policy", None));
        assert!(wrong("thingcore-policy", "thingcore-store", None));
    }

    #[test]
    fn the_outside_world_stays_outside() {
        assert!(wrong("thingcore-broker", "tokio", None));
        assert!(wrong("thingcore-session", "tokio", Some("dev")));
        assert!(!wrong("thingcore-gateway", "tokio", None));
    }

    #[test]
    fn the_workshop_serves_tests_only() {
        assert!(wrong("thingcore-policy", "thingcore-oracle", None));
        assert!(!wrong("thingcore-policy", "thingcore-oracle", Some("dev")));
    }
}
