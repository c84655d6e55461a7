//! What this server can be asked beside AWS's operations: divergences that clients met, and quirks to provoke.

use std::sync::Arc;

use api::{InvalidInput, OwnOperations};
use quirks::{Quirks, Rule, Rules};
use serde::Serialize;
use serde_json::{Value, json};
use telemetry::DivergenceReport;

/// The operations under `/thingcore/`.
pub fn operations(report: &Arc<DivergenceReport>, quirks: &Arc<Quirks>) -> OwnOperations {
    let (shown, reset) = (Arc::clone(report), Arc::clone(report));
    let (listed, set) = (Arc::clone(quirks), Arc::clone(quirks));
    OwnOperations::default()
        .with("GetDivergences", "GET", "divergences", move |_| written(&shown.summary()))
        .with("ResetDivergences", "DELETE", "divergences", move |_| {
            reset.reset();
            Ok(json!({}))
        })
        .with("GetQuirks", "GET", "quirks", move |_| list(&listed))
        .with("PutQuirks", "PUT", "quirks", move |body| {
            set.replace(rules(body)?);
            list(&set)
        })
}

fn list(quirks: &Quirks) -> Result<Value, InvalidInput> {
    Ok(json!({ "rules": written(&quirks.rules().list())? }))
}

fn rules(body: Value) -> Result<Rules, InvalidInput> {
    let invalid = |error: String| InvalidInput(format!("The body must be a list of rules: {error}."));
    let list: Vec<Rule> = serde_json::from_value(body).map_err(|error| invalid(error.to_string()))?;
    Rules::new(list).map_err(|error| invalid(error.to_string()))
}

fn written(value: &impl Serialize) -> Result<Value, InvalidInput> {
    serde_json::to_value(value).map_err(|error| InvalidInput(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_checked_as_a_whole() {
        assert!(rules(json!({})).unwrap_err().0.contains("list of rules"));
        let wrong = json!([{ "row": "qos0-duplicates", "probability": 2 }]);
        assert!(rules(wrong).unwrap_err().0.contains("probability"));
        let right = json!([{ "row": "qos0-duplicates", "probability": 0.5, "client": "a*" }]);
        assert_eq!(rules(right).unwrap().list().len(), 1);
        assert!(rules(json!([])).unwrap().is_empty());
    }
}
