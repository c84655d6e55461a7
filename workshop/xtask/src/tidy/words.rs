//! Names and texts: words that say nothing, marks left behind, and places that exist on one machine only.

use super::Finding;

/// Words that name no responsibility, so everything ends up behind them.
const BANNED: [&str; 8] = ["manager", "handler", "helper", "helpers", "util", "utils", "misc", "common"];
/// AWS's own nouns win over the ban.
const ALLOWED_PHRASES: [&str; 1] = ["common_name"];
/// Module names that are banned although the word is fine elsewhere.
const BANNED_MODULES: [&str; 2] = ["core", "types"];

/// The banned word in a name, if any: `SessionManager`, `topic_utils`.
pub(super) fn banned_word(name: &str) -> Option<&'static str> {
    let mut plain = snake(name);
    for phrase in ALLOWED_PHRASES {
        plain = plain.replace(phrase, "");
    }
    BANNED.into_iter().find(|banned| plain.split('_').any(|word| word == *banned))
}

/// The banned word in the name of a module, if any.
pub(super) fn banned_module(name: &str) -> Option<&'static str> {
    banned_word(name).or_else(|| BANNED_MODULES.into_iter().find(|banned| name == *banned))
}

/// `SessionManager` -> `session_manager`; names that are snake case already stay.
fn snake(name: &str) -> String {
    let mut out = String::with_capacity(name.len() + 4);
    let mut after_lower = false;
    for letter in name.chars() {
        if letter.is_uppercase() && after_lower {
            out.push('_');
        }
        after_lower = letter.is_lowercase() || letter.is_ascii_digit();
        out.extend(letter.to_lowercase());
    }
    out
}

/// A file or folder of source whose name says nothing.
pub(super) fn file_name(path: &str) -> Option<Finding> {
    let stems = path.split('/').map(|part| part.strip_suffix(".rs").unwrap_or(part));
    let word = stems.into_iter().find_map(banned_module)?;
    let text = format!("`{word}` names no responsibility: call it by what it does");
    Some(Finding { rule: "banned-name", place: path.into(), line: 0, text })
}

/// Marks of unfinished work, and tests switched off without a word.
pub(super) fn left_over_marks(path: &str, text: &str) -> Vec<Finding> {
    let marks = [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("XX", "X"), concat!("#[ig", "nore]")];
    search(path, text, "left-over", &marks, "finish it, file an issue, or give the reason")
}

/// Paths of one machine and hosts of package registries: they mean nothing elsewhere.
pub(super) fn machine_places(path: &str, text: &str) -> Vec<Finding> {
    if path.ends_with(".lock") {
        return Vec::new();
    }
    let places = [
        concat!("/wo", "rk/"),
        concat!("/ro", "ot/"),
        concat!("/fa", "rm/"),
        concat!("/tmp/", "plan"),
        concat!("registry.npm", "js.org"),
        concat!("pyp", "i.org"),
        concat!("files.python", "hosted.org"),
    ];
    search(path, text, "machine-place", &places, "exists on one machine only")
}

fn search(path: &str, text: &str, rule: &'static str, needles: &[&str], remedy: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (index, row) in text.lines().enumerate() {
        if let Some(needle) = needles.iter().find(|needle| row.contains(*needle)) {
            let text = format!("`{needle}`: {remedy}");
            findings.push(Finding { rule, place: path.into(), line: index + 1, text });
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn banned_words_are_found_in_both_spellings() {
        assert_eq!(banned_word("SessionManager"), Some("manager"));
        assert_eq!(banned_word("topic_utils"), Some("utils"));
        assert_eq!(banned_word("handle"), None);
        assert_eq!(banned_word("CommonName"), None);
    }

    #[test]
    fn core_is_banned_for_modules_only() {
        assert_eq!(banned_module("core"), Some("core"));
        assert_eq!(banned_word("core"), None);
        assert!(file_name("crates/mqtt/src/util.rs").is_some());
        assert!(file_name("crates/mqtt/src/codec.rs").is_none());
    }

    #[test]
    fn machine_paths_are_found_outside_lock_files() {
        let text = concat!("see /wo", "rk/main");
        assert_eq!(machine_places("docs/a.md", text).len(), 1);
        assert!(machine_places("Cargo.lock", text).is_empty());
    }
}
