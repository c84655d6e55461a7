//! The file of a piece of evidence: what was measured, when, of which commit, on which machine, with which settings, and
//! whether the rules are met. The page of all evidence is made of such files.

use std::fs;
use std::path::Path;
use std::process::Command;

use fleet::BenchError;
use serde_json::{Map, Value, json};

use crate::machine;
use crate::soak::verdict::Rule;

/// What every file of evidence says at its top.
pub fn head(kind: &str, commit: Option<&str>, settings: Value, rules: &[Rule]) -> Map<String, Value> {
    let mut machine = machine::describe();
    let date = now();
    if let Some(machine) = machine.as_object_mut() {
        machine.remove("date");
        machine.insert("nice".into(), json!(niceness()));
        machine.insert("load_average_at_the_end".into(), json!(machine::busy()));
    }
    let verdict: Vec<Value> = rules.iter().map(Rule::to_json).collect();
    let all = json!({
        "kind": kind, "date": date, "commit": commit.map_or_else(head_commit, str::to_owned), "machine": machine,
        "settings": settings, "met": rules.iter().all(|rule| rule.met), "verdict": verdict,
    });
    match all {
        Value::Object(fields) => fields,
        _ => Map::new(),
    }
}

/// Writes it, with its samples a line each.
///
/// # Errors
/// The file cannot be written.
pub fn write(path: &Path, head: Map<String, Value>, samples: &[Value]) -> Result<(), BenchError> {
    let unusable = |error: std::io::Error| BenchError::Option(format!("{}: {error}", path.display()));
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(unusable)?;
    }
    let text = format!("{:#}", Value::Object(head));
    let rows: Vec<String> = samples.iter().map(|sample| format!("    {sample}")).collect();
    let body = text.strip_suffix("\n}").unwrap_or(&text);
    fs::write(path, format!("{body},\n  \"samples\": [\n{}\n  ]\n}}\n", rows.join(",\n"))).map_err(unusable)
}

/// Prints the rules, and says whether all are met.
///
/// # Errors
/// One is not.
pub fn judge(rules: &[Rule]) -> Result<(), BenchError> {
    for rule in rules {
        println!("{}", rule.to_text());
    }
    let broken = rules.iter().filter(|rule| !rule.met).count();
    if broken == 0 { Ok(()) } else { Err(BenchError::NotTheLoad(format!("{broken} rules are not met"))) }
}

fn said(program: &str, words: &[&str]) -> String {
    let output = Command::new(program).args(words).output().map(|output| output.stdout).unwrap_or_default();
    String::from_utf8_lossy(&output).trim().to_owned()
}

/// Day and time, UTC.
fn now() -> String {
    said("date", &["-u", "+%FT%TZ"])
}

/// The commit of the folder that this runs in; empty without one.
fn head_commit() -> String {
    said("git", &["rev-parse", "HEAD"])
}

/// Field 19 of `stat`: the broker inherits it.
fn niceness() -> Option<i64> {
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    stat.rsplit_once(')')?.1.split_whitespace().nth(16)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_json_with_a_line_for_each_sample() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sub/soak.json");
        let rules = [Rule::at_most("errors", 0.0, 0.0, "errors"), Rule::at_least("rate", 1.0, 2.0, "msg/s")];
        let head = head("soak", Some("abc"), json!({ "share": 0.7 }), &rules);
        write(&path, head, &[json!({ "second": 1 }), json!({ "second": 2 })]).unwrap();
        let text = fs::read_to_string(&path).unwrap();
        let all: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(all["kind"], "soak");
        assert_eq!((&all["commit"], &all["met"]), (&json!("abc"), &json!(false)));
        assert_eq!(all["verdict"][1]["met"], false);
        assert_eq!(all["samples"].as_array().unwrap().len(), 2);
        assert!(text.contains("\n    {\"second\":1},\n"), "{text}");
        write(&path, self::head("x", None, json!({}), &[]), &[]).unwrap();
        serde_json::from_str::<Value>(&fs::read_to_string(&path).unwrap()).unwrap();
        assert!(judge(&rules).is_err() && judge(&rules[..1]).is_ok());
    }
}
