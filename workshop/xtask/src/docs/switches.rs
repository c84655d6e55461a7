//! Compares what the table says of each divergence's switch with the code that reads it.

use std::fs;
use std::path::Path;

use dialect::{DIVERGENCES, Divergence, DivergenceRow, REFUSALS, State};

use crate::Complaints;

/// Rows that say more or less than the code does.
pub fn check(root: &Path) -> Result<Complaints, String> {
    let mut source = String::new();
    read(&root.join("crates"), &mut source)?;
    Ok(DIVERGENCES.iter().filter_map(|row| judge(row, &source)).collect())
}

fn judge(row: &DivergenceRow, source: &str) -> Option<String> {
    let read = is_read(row.divergence, source);
    let wrong = match row.state {
        State::Switch if !read => {
            "says that its switch works, but nothing reads it: make it Fixed or Pending"
        }
        State::Fixed | State::OnDemand | State::Pending if read => {
            "says that its switch does nothing, but something reads it: make it Switch"
        }
        _ => return None,
    };
    Some(format!("divergence {} {wrong} (crates/dialect/src/divergence)", row.id()))
}

/// Whether anything reads the switch: the tables of quotas and refusals, or `source` without its white space.
pub(super) fn is_read(divergence: Divergence, source: &str) -> bool {
    let turns =
        |reply: &dialect::Reply| [reply.without, reply.with].iter().flatten().any(|(d, _)| *d == divergence);
    !divergence.quotas().is_empty()
        || REFUSALS.iter().any(|row| turns(&row.v3) || turns(&row.v5))
        || source.contains(&format!("has(Divergence::{divergence:?})"))
}

/// All Rust source below a folder, without white space, so that a line break inside a call does not matter.
fn read(folder: &Path, out: &mut String) -> Result<(), String> {
    let failed = |error: std::io::Error| format!("{}: {error}", folder.display());
    for entry in fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if path.is_dir() {
            if path.file_name().is_some_and(|name| name != "tests" && name != "target") {
                read(&path, out)?;
            }
        } else if path.extension().is_some_and(|end| end == "rs") {
            let text = fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
            let code = text.lines().filter(|line| !line.trim_start().starts_with("//"));
            out.extend(code.flat_map(str::chars).filter(|c| !c.is_whitespace()));
        }
    }
    Ok(())
}
