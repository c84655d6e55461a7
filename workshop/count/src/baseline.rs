//! The checked-in counts, and the compiler that they hold for.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Value, json};

use crate::work::Work;

/// More is a failure.
pub const MOST_RISE: f64 = 0.05;

/// Counts of one compiler.
#[derive(Debug)]
pub struct Baseline {
    compiler: String,
    counts: BTreeMap<String, f64>,
}

impl Baseline {
    /// Reads the file.
    ///
    /// # Errors
    /// It is missing or holds something else.
    pub fn read(path: &Path) -> Result<Self, String> {
        let wrong = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
        let text = std::fs::read_to_string(path).map_err(|error| wrong(&error))?;
        let value: Value = serde_json::from_str(&text).map_err(|error| wrong(&error))?;
        let compiler =
            value.get("compiler").and_then(Value::as_str).ok_or_else(|| wrong(&"names no compiler"))?;
        let counts =
            value.get("instructions").and_then(Value::as_object).ok_or_else(|| wrong(&"has no counts"))?;
        let counts = counts.iter().filter_map(|(name, count)| Some((name.clone(), count.as_f64()?)));
        Ok(Self { compiler: compiler.into(), counts: counts.collect() })
    }

    /// Writes the file.
    ///
    /// # Errors
    /// The disk's.
    pub fn write(path: &Path, compiler: &str, counts: &[(Work, f64)]) -> Result<(), String> {
        let counts: BTreeMap<&str, f64> =
            counts.iter().map(|(work, count)| (work.name(), (count * 10.0).round() / 10.0)).collect();
        let text = format!("{:#}\n", json!({ "compiler": compiler, "instructions": counts }));
        std::fs::write(path, text).map_err(|error| format!("{}: {error}", path.display()))
    }

    /// Why the counts say nothing about this compiler, if they do not: another one makes other instructions.
    pub fn not_for(&self, compiler: &str) -> Option<String> {
        (self.compiler != compiler)
            .then(|| format!("the counts are of {}, and this is {compiler}", self.compiler))
    }

    /// The count of a work.
    pub fn of(&self, work: Work) -> Option<f64> {
        self.counts.get(work.name()).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_read_and_holds_for_its_compiler_only() {
        let path = std::env::temp_dir().join(format!("thingcore-count-{}.json", std::process::id()));
        Baseline::write(&path, "rustc 1", &[(Work::Decode, 12.34)]).unwrap();
        let baseline = Baseline::read(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        assert_eq!((baseline.of(Work::Decode), baseline.of(Work::Encode)), (Some(12.3), None));
        assert_eq!(baseline.not_for("rustc 1"), None);
        assert!(baseline.not_for("rustc 2").unwrap().contains("rustc 1"));
    }
}
