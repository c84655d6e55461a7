//! Findings as a SARIF 2.1.0 log, for code scanning.

use analysis::{Rule, Severity, rules};
use serde_json::{Value, json};

use super::check::{Placed, uri};

const SCHEMA: &str = "https://json.schemastore.org/sarif-2.1.0.json";

/// One run with all findings.
pub(super) fn log(placed: &[Placed]) -> Value {
    let driver = json!({
        "name": "thingcore policy check",
        "version": env!("CARGO_PKG_VERSION"),
        "rules": rules::ALL.iter().map(rule).collect::<Vec<_>>(),
    });
    let results: Vec<Value> = placed.iter().map(result).collect();
    json!({ "$schema": SCHEMA, "version": "2.1.0", "runs": [{ "tool": { "driver": driver }, "results": results }] })
}

fn level(severity: Severity) -> &'static str {
    match severity {
        Severity::Note => "note",
        Severity::Medium => "warning",
        Severity::High | Severity::Critical => "error",
    }
}

fn rule(rule: &Rule) -> Value {
    json!({
        "id": rule.id,
        "shortDescription": { "text": rule.title },
        "defaultConfiguration": { "level": level(rule.severity) },
        "properties": { "severity": rule.severity.name(), "audit": rule.audit },
    })
}

fn result(placed: &Placed) -> Value {
    let finding = &placed.finding;
    let witness = finding.witness.as_ref().map(|witness| format!(" Witness: {witness}.")).unwrap_or_default();
    let region = json!({ "startLine": placed.at.line, "startColumn": placed.at.column });
    json!({
        "ruleId": finding.rule.id,
        "level": level(finding.rule.severity),
        "message": { "text": format!("{}.{witness} Fix: {}", finding.reason, finding.fix) },
        "locations": [{ "physicalLocation": {
            "artifactLocation": { "uri": uri(&placed.path) }, "region": region,
        } }],
    })
}
