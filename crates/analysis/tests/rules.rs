//! The table of rules in docs/policies.md is the table in the code.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use thingcore_analysis::rules;

const BEGIN: &str = "<!-- rules: begin -->\n";
const END: &str = "<!-- rules: end -->\n";

#[test]
fn the_documents_table_is_the_codes() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/policies.md");
    let text = std::fs::read_to_string(path).unwrap();
    let (head, rest) = text.split_once(BEGIN).unwrap();
    let (old, tail) = rest.split_once(END).unwrap();
    let row = |rule: &thingcore_analysis::Rule| {
        let audit = rule.audit.map(|code| format!("`{code}`")).unwrap_or_default();
        format!("| `{}` | {} | {} | {audit} |\n", rule.id, rule.severity.name(), rule.title)
    };
    let rows: String = rules::ALL.iter().map(row).collect();
    let table = format!("| id | severity | what it says | audit |\n|---|---|---|---|\n{rows}");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(path, format!("{head}{BEGIN}{table}{END}{tail}")).unwrap();
    } else {
        assert_eq!(old, table, "run UPDATE_DOCS=1 cargo test -p thingcore-analysis --test rules");
    }
}
