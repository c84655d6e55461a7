//! The file that comparisons and growth curves are kept in: JSON, with all turns, so that every number of the report can
//! be looked up.

use std::fs;
use std::io;
use std::path::Path;

use fleet::BenchError;
use serde_json::{Map, Value, json};

/// What a file holds; an empty one if there is none.
///
/// # Errors
/// It cannot be read, or holds something else.
pub fn read(path: &Path) -> Result<Value, BenchError> {
    let unusable = |error: &dyn std::fmt::Display| BenchError::Option(format!("{}: {error}", path.display()));
    match fs::read(path) {
        Ok(bytes) => serde_json::from_slice(&bytes).map_err(|error| unusable(&error)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(json!({})),
        Err(error) => Err(unusable(&error)),
    }
}

/// Puts one entry into a part of the file (`rows` or `growth`), in place of one of the same name, and keeps the rest.
///
/// # Errors
/// The file cannot be read or written.
pub fn keep(path: &Path, part: &str, name: &str, entry: Value) -> Result<(), BenchError> {
    let mut all = read(path)?;
    let unusable = |error: io::Error| BenchError::Option(format!("{}: {error}", path.display()));
    let Some(parts) = all.as_object_mut() else {
        return Err(unusable(io::Error::new(io::ErrorKind::InvalidData, "holds no object")));
    };
    let entries = parts.entry(part).or_insert_with(|| Value::Object(Map::new()));
    if let Some(entries) = entries.as_object_mut() {
        entries.insert(name.to_owned(), entry);
    }
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(unusable)?;
    }
    fs::write(path, format!("{all:#}\n")).map_err(unusable)
}

/// A number at a pointer.
pub fn number(value: &Value, pointer: &str) -> Option<f64> {
    value.pointer(pointer)?.as_f64()
}

/// A text at a pointer; empty if there is none.
pub fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_replaces_its_like_and_no_other() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sub/results.json");
        keep(&path, "rows", "a", json!(1)).unwrap();
        keep(&path, "rows", "b", json!(2)).unwrap();
        keep(&path, "rows", "a", json!(3)).unwrap();
        keep(&path, "growth", "a", json!(4)).unwrap();
        assert_eq!(read(&path).unwrap(), json!({"rows": {"a": 3, "b": 2}, "growth": {"a": 4}}));
        fs::write(&path, "[]").unwrap();
        assert!(keep(&path, "rows", "a", json!(1)).is_err());
    }
}
