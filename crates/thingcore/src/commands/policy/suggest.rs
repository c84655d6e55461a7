//! `thingcore policy suggest`: the least policy that recorded traffic needs, and what of today's policy it does not.

use std::collections::{BTreeMap, BTreeSet};
use std::process::ExitCode;

use identity::{Site, ThingName as Thing};
use policy::{Document, Origin, Outcome, Source};
use serde_json::{Value, json};

use super::super::{CommandProblem, problem};
use super::traffic::{Judge, Traffic};
use super::{sources, traffic};
use crate::cli::{OutputFormat, PolicySuggestArgs, ThingName};

/// The variable that stands for the device.
const THING: &str = "${iot:Connection.Thing.ThingName}";
const CLIENT: &str = "${iot:ClientId}";

/// A statement for each action.
type Resources = BTreeMap<(&'static str, &'static str), BTreeSet<String>>;

pub(super) fn run(args: &PolicySuggestArgs) -> Result<ExitCode, CommandProblem> {
    let traffic = traffic::read(&args.traffic)?;
    let files = sources::read(&args.today)?;
    let site = sources::site(&args.analysis, files.iter().map(|file| file.text.as_str()))?;
    let resources = resources(&traffic, args);
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
        println!("{:#}", json!({ "policy": document, "today": today, "deniedRequests": denied }));
        return Ok(ExitCode::SUCCESS);
    }
    println!("{text}");
    for row in &today {
        eprintln!("thingcore: {}", sentence(row));
    }
    if denied > 0 {
        eprintln!(
            "thingcore: {denied} different requests were denied when recorded; they are not in the policy"
        );
    }
    Ok(ExitCode::SUCCESS)
}

/// What was allowed, with the device's name as a variable.
fn resources(traffic: &Traffic, args: &PolicySuggestArgs) -> Resources {
    let is_thing =
        |client_id: &str| args.traffic.thing != Some(ThingName::None) && Thing::new(client_id).is_ok();
    let mut resources = Resources::new();
    for request in traffic.requests.keys().filter(|request| request.allowed) {
        let variable = match (is_thing(&request.client_id), request.kind) {
            (true, _) => Some(THING),
            // client/${iot:ClientId} would let in every client id.
            (false, "client") => None,
            (false, _) => Some(CLIENT),
        };
        let name = general(&request.name, &request.client_id, variable);
        resources.entry((request.action, request.kind)).or_default().insert(name);
    }
    for ((_, kind), names) in &mut resources {
        // A wildcard in a filter's place would let # and + in.
        if *kind == "topic" {
            collapse(names, args.collapse);
        }
    }
    resources
}

/// Puts the variable in the place of levels that are the client id; everything else is literal.
fn general(name: &str, client_id: &str, variable: Option<&str>) -> String {
    let level = |level: &str| match variable {
        Some(variable) if level == client_id => variable.to_owned(),
        _ => literal(level),
    };
    name.split('/').map(level).collect::<Vec<_>>().join("/")
}

fn literal(text: &str) -> String {
    text.replace("${", "${$}{").replace('*', "${*}").replace('?', "${?}")
}

/// Where more than `most` names differ in one level only, that level becomes `*`.
fn collapse(names: &mut BTreeSet<String>, most: usize) {
    let deepest = names.iter().map(|name| name.split('/').count()).max().unwrap_or_default();
    for place in 0..deepest {
        let mut alike: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for name in names.iter() {
            let mut levels: Vec<&str> = name.split('/').collect();
            if let Some(level) = levels.get_mut(place) {
                *level = "*";
                alike.entry(levels.join("/")).or_default().push(name.clone());
            }
        }
        for (pattern, members) in alike.into_iter().filter(|(_, members)| members.len() > most) {
            names.retain(|name| !members.contains(name));
            names.insert(pattern);
        }
    }
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
    let mut judge = Judge::new(site, vec![source], args.traffic.thing);
    for (request, made) in traffic.requests.iter().filter(|(request, _)| request.allowed) {
        let decision = judge.decide(request, made.from);
        if decision.outcome != Outcome::Allowed {
            return Err(problem(format!(
                "the suggested policy would not allow {} on {}/{} for client id {:?}, which was allowed: {}",
                request.action,
                request.kind,
                request.name,
                request.client_id,
                decision.explanation.unwrap_or_default()
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
    let mut judge = Judge::new(site, cohort.sources.clone(), args.traffic.thing);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_levels_become_the_variable_and_the_rest_is_literal() {
        assert_eq!(general("fleet/d1/t", "d1", Some(THING)), format!("fleet/{THING}/t"));
        assert_eq!(general("fleet/d10/d1x", "d1", Some(THING)), "fleet/d10/d1x");
        assert_eq!(general("a*/${x}/?", "d", None), "a${*}/${$}{x}/${?}");
    }

    #[test]
    fn many_siblings_become_a_wildcard() {
        let mut names: BTreeSet<String> = (0..6).map(|n| format!("log/{n}/end")).collect();
        names.insert("log/other".into());
        collapse(&mut names, 5);
        assert_eq!(names, BTreeSet::from(["log/*/end".to_owned(), "log/other".to_owned()]));
        let mut few: BTreeSet<String> = (0..5).map(|n| format!("log/{n}")).collect();
        collapse(&mut few, 5);
        assert_eq!(few.len(), 5);
    }
}
