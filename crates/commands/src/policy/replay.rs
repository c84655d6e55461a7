//! `thingcore policy replay`: recorded traffic against a changed policy: what would fail now, and what is newly open.

use std::process::ExitCode;

use analysis::recorded::Request;
use analysis::{Answer, Difference};
use policy::Outcome;
use serde_json::{Value, json};

use super::super::{CommandProblem, plain, say};
use super::traffic::judge;
use super::{analyst, answer_json, answer_text, sources, traffic, verdict};
use crate::cli::{OutputFormat, PolicyReplayArgs};

/// Rows of each kind that are shown; more are counted.
const SHOWN: usize = 100;

pub(super) fn run(args: &PolicyReplayArgs) -> Result<ExitCode, CommandProblem> {
    let recorded = traffic::read(&args.traffic)?;
    let (changed, today) = (sources::read(&args.policies)?, sources::read(&args.today)?);
    let texts = changed.iter().chain(&today).map(|file| file.text.as_str());
    let site = sources::site(&args.analysis, texts)?;
    let cohort = sources::cohort("changed", &changed, &site)?;
    let mut judge = judge(&site, cohort.sources.clone(), &args.traffic);
    let (mut failing, mut passing) = (Vec::new(), Vec::new());
    for (request, made) in &recorded.requests {
        let decision = judge.decide(request, made.from);
        let row = |why: Option<String>| row(request, made.times, decision.outcome, why);
        match (request.allowed, decision.outcome == Outcome::Allowed) {
            (true, false) => failing.push(row(decision.explanation.clone())),
            (false, true) => passing.push(row(None)),
            (true, true) | (false, false) => {}
        }
    }
    let mut open = Vec::new();
    if !today.is_empty() {
        let old = sources::cohort("today", &today, &site)?;
        let differences = analyst(&site, &args.analysis).diff(&old, &cohort);
        open.extend(differences.into_iter().filter(|difference| difference.looser != Answer::No));
    }
    let unwanted = !failing.is_empty() || !open.is_empty();
    say(&Report { failing, passing, open, requests: recorded.requests.len() }.shown(args.format))?;
    Ok(verdict(unwanted))
}

fn row(request: &Request, times: u64, outcome: Outcome, why: Option<String>) -> Value {
    json!({
        "clientId": request.client_id, "action": request.action,
        "resource": format!("{}/{}", request.kind, request.name),
        "times": times, "decision": outcome.as_str(), "why": why,
    })
}

struct Report {
    failing: Vec<Value>,
    passing: Vec<Value>,
    open: Vec<Difference>,
    requests: usize,
}

impl Report {
    fn shown(&self, format: OutputFormat) -> String {
        if format == OutputFormat::Json {
            let open =
                self.open.iter().map(|d| json!({ "action": d.action, "open": answer_json(&d.looser) }));
            let report = json!({
                "requests": self.requests, "newlyFailing": self.failing, "newlyAllowed": self.passing,
                "newlyOpen": open.collect::<Vec<_>>(),
            });
            return format!("{report:#}\n");
        }
        let mut text = format!("{} different requests were recorded.\n", self.requests);
        text.push_str(&listed("would fail now", &self.failing));
        text.push_str(&listed("were denied and would be allowed now", &self.passing));
        for difference in &self.open {
            let (word, how) = answer_text(&difference.looser);
            text.push_str(&format!("newly open, {}: {word}, {how}\n", difference.action));
        }
        text
    }
}

fn listed(what: &str, rows: &[Value]) -> String {
    let mut text = format!("{} {what}\n", rows.len());
    for row in rows.iter().take(SHOWN) {
        let part = |key: &str| row.get(key).and_then(Value::as_str).unwrap_or_default();
        let client = part("clientId");
        let (action, resource) = (plain(part("action")), plain(part("resource")));
        text.push_str(&format!("  client id {client:?}: {action} on {resource}"));
        match part("why") {
            "" => text.push('\n'),
            why => text.push_str(&format!(": {}\n", plain(why))),
        }
    }
    if rows.len() > SHOWN {
        text.push_str(&format!("  and {} more\n", rows.len() - SHOWN));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_devices_asked_for_cannot_forge_lines_or_move_the_cursor() {
        let evil = "a\u{1b}[2J\nb\r\u{9b}1m";
        let row = json!({ "clientId": evil, "action": evil, "resource": evil, "why": evil });
        let text = listed("would fail now", &[row]);
        assert!(crate::tests::is_plain(&text) && text.lines().count() == 2, "{text:?}");
    }
}
