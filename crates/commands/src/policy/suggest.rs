//! `thingcore policy suggest`: the least policy that recorded traffic needs, and what of today's policy it does not.

use std::collections::BTreeMap;
use std::process::ExitCode;

use analysis::recorded::{Resources, Traffic};
use identity::Site;
use policy::{Document, Origin, Outcome, Source};
use serde_json::{Value, json};

use super::super::{CommandProblem, note, plain, problem, say};
use super::traffic::judge;
use super::{sources, traffic};
use crate::cli::{OutputFormat, PolicySuggestArgs};

pub(super) fn run(args: &PolicySuggestArgs) -> Result<ExitCode, CommandProblem> {
    let traffic = traffic::read(&args.traffic)?;
    let files = sources::read(&args.today)?;
    let site = sources::site(&args.analysis, files.iter().map(|file| file.text.as_str()))?;
    let resources = traffic.resources(traffic::association(&args.traffic), args.collapse);
    let document = document(&resources, &site);
    let text = format!("{document:#}");
    let parsed = Document::parse(&text).map_err(|fault| {
        problem(format!(
            "what was recorded does not fit into one policy: {fault}. Use --collapse or --client"
        ))
    })?;
    check(&traffic, &site, args, parsed)?;
    let today = today(&traffic, &files, &site, args)?;
    let denied = traffic.requests.keys().filter(|request| !request.allowed).count();
    if args.format == OutputFormat::Json {
        let answer = json!({ "policy": document, "today": today, "deniedRequests": denied });
        say(&format!("{answer:#}\n"))?;
        return Ok(ExitCode::SUCCESS);
    }
    say(&format!("{text}\n"))?;
    today.iter().for_each(|row| note(&sentence(row)));
    if denied > 0 {
        note(&format!("{denied} different requests were denied when recorded; they are not in the policy"));
    }
    Ok(ExitCode::SUCCESS)
}

fn document(resources: &Resources, site: &Site) -> Value {
    let statements = resources.iter().map(|((action, kind), names)| {
        let arns: Vec<String> = names.iter().map(|name| site.arn(kind, name)).collect();
        json!({ "Effect": "Allow", "Action": action, "Resource": arns })
    });
    json!({ "Version": "2012-10-17", "Statement": statements.collect::<Vec<_>>() })
}

/// The engine must allow by the suggested policy what it allowed when it was recorded.
fn check(
    traffic: &Traffic,
    site: &Site,
    args: &PolicySuggestArgs,
    parsed: Document,
) -> Result<(), CommandProblem> {
    let policy = identity::PolicyName::new("suggested").map_err(problem)?;
    let origin = Origin::Other("suggested".into());
    let source = Source { policy, version: 1, origin, document: parsed.into() };
    let mut judge = judge(site, vec![source], &args.traffic);
    for (request, made) in traffic.requests.iter().filter(|(request, _)| request.allowed) {
        let decision = judge.decide(request, made.from);
        if decision.outcome != Outcome::Allowed {
            return Err(problem(format!(
                "the suggested policy would not allow {} on {}/{} for client id {:?}, which was allowed: {}",
                plain(request.action),
                plain(request.kind),
                plain(&request.name),
                request.client_id,
                plain(&decision.explanation.unwrap_or_default())
            )));
        }
    }
    Ok(())
}

/// How often each statement of today's policies was needed: an Allow that allowed, a Deny that denied.
fn today(
    traffic: &Traffic,
    files: &[sources::File],
    site: &Site,
    args: &PolicySuggestArgs,
) -> Result<Vec<Value>, CommandProblem> {
    let cohort = sources::cohort("today", files, site)?;
    let mut judge = judge(site, cohort.sources.clone(), &args.traffic);
    let mut used: BTreeMap<(String, usize), u64> = BTreeMap::new();
    for (request, made) in &traffic.requests {
        let decision = judge.decide(request, made.from);
        for by in decision.allowed_by.iter().chain(&decision.denied_by) {
            *used.entry((by.policy.as_str().to_owned(), by.statement)).or_default() += made.times;
        }
    }
    let mut rows = Vec::new();
    for source in &cohort.sources {
        for view in source.document.views() {
            let name = source.policy.as_str();
            let times = used.get(&(name.to_owned(), view.number())).copied().unwrap_or_default();
            let effect = if view.effect() == policy::Effect::Deny { "Deny" } else { "Allow" };
            rows.push(json!({
                "policy": name, "statement": view.number(), "sid": view.sid(), "effect": effect, "requests": times,
            }));
        }
    }
    Ok(rows)
}

fn sentence(row: &Value) -> String {
    let (policy, number) = (row["policy"].as_str().unwrap_or_default(), &row["statement"]);
    let place = format!("policy {policy}, statement {number}");
    match (row["requests"].as_u64(), row["effect"].as_str()) {
        (Some(0), Some("Deny")) => {
            format!("{place}: this Deny met no request; keep it unless you know why it is there")
        }
        (Some(0), _) => format!("{place}: no recorded request needed it; it would go"),
        (times, _) => format!("{place}: {} requests met it", times.unwrap_or_default()),
    }
}
