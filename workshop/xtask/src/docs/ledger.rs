//! Looks for the tests that the ledger of quotas names.

use std::fs;
use std::path::Path;

use dialect::{Keeping, QUOTAS};

use crate::Complaints;

/// Tests that are named and do not exist.
pub fn check(root: &Path) -> Result<Complaints, String> {
    let mut source = String::new();
    read(&root.join("crates"), &["rs"], &mut source)?;
    read(&root.join("tests/blackbox"), &["py"], &mut source)?;
    let mut complaints = Complaints::new();
    for quota in &QUOTAS {
        let Keeping::Enforced(tests) = quota.keeping else { continue };
        let missing = tests.iter().filter(|test| {
            !source.contains(&format!("fn {test}(")) && !source.contains(&format!("def {test}("))
        });
        complaints.extend(missing.map(|test| {
            format!("quota {}: there is no test {test} (crates/dialect/src/quota/ledger.rs)", quota.name)
        }));
    }
    Ok(complaints)
}

fn read(folder: &Path, ends: &[&str], out: &mut String) -> Result<(), String> {
    let failed = |error: std::io::Error| format!("{}: {error}", folder.display());
    for entry in fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if path.is_dir() {
            if path.file_name().is_some_and(|name| name != "target" && name != "__pycache__") {
                read(&path, ends, out)?;
            }
        } else if path.extension().is_some_and(|end| ends.iter().any(|wanted| end == *wanted)) {
            out.push_str(&fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?);
        }
    }
    Ok(())
}
