//! Which files there are, and what each of them is.

use std::path::Path;
use std::process::Command;

/// Files larger than this are data, not something a person wrote.
const LARGEST_TEXT: u64 = 2 * 1024 * 1024;

/// Every file git knows or would add, relative to the root, with `/` between folders.
pub(super) fn tracked(root: &Path) -> Result<Vec<String>, String> {
    let listing = Command::new("git")
        .args(["ls-files", "--cached", "--others", "--exclude-standard", "-z"])
        .current_dir(root)
        .output()
        .map_err(|error| format!("git ls-files: {error}"))?;
    if !listing.status.success() {
        return Err(format!("git ls-files: {}", String::from_utf8_lossy(&listing.stderr)));
    }
    let text = String::from_utf8_lossy(&listing.stdout);
    Ok(text.split('\0').filter(|path| !path.is_empty()).map(str::to_owned).collect())
}

/// The text of a file; `None` if it is gone, is not text or is too large to have been written by hand.
pub(super) fn read(root: &Path, path: &str) -> Result<Option<String>, String> {
    let full = root.join(path);
    match std::fs::metadata(&full) {
        Ok(meta) if meta.is_file() && meta.len() <= LARGEST_TEXT => {}
        _ => return Ok(None),
    }
    let bytes = std::fs::read(&full).map_err(|error| format!("{path}: {error}"))?;
    Ok(String::from_utf8(bytes).ok())
}

/// Output of a generator: exempt from every limit of size.
pub(super) fn is_generated(path: &str) -> bool {
    path.split('/').any(|part| part == "generated")
}

/// A file that holds nothing but tests or benchmarks.
pub(super) fn is_test(path: &str) -> bool {
    let in_folder = path.split('/').any(|part| matches!(part, "tests" | "benches" | "fuzz" | "examples"));
    in_folder || path.ends_with("/tests.rs") || path.ends_with("_tests.rs")
}

/// `crates/mqtt` for `crates/mqtt/src/codec.rs`.
pub(super) fn crate_of(path: &str) -> Option<String> {
    let mut parts = path.split('/');
    let (area, name) = (parts.next()?, parts.next()?);
    matches!(area, "crates" | "workshop").then(|| format!("{area}/{name}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tests_and_generated_files_are_told_apart_from_code() {
        assert!(is_test("crates/mqtt/tests/vectors.rs") && is_test("crates/mqtt/src/codec/tests.rs"));
        assert!(!is_test("crates/mqtt/src/codec.rs"));
        assert!(is_generated("crates/services/src/generated/shapes.rs"));
        assert_eq!(crate_of("crates/mqtt/src/lib.rs").as_deref(), Some("crates/mqtt"));
        assert_eq!(crate_of("docs/testing.md"), None);
    }
}
