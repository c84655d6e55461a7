//! `thingcore policy explain`: one decision with every statement that was considered.

use std::process::ExitCode;
use std::sync::Arc;

use comfy_table::Table;
use comfy_table::presets::NOTHING;
use identity::{ClientId, Site, ThingName};
use policy::{
    Authorizer, ConnectFacts, ConnectionContext, Considered, Decision, Document, Effect, Epoch, Outcome,
    PolicySet, ThingFacts, Variable, VariableKind,
};
use serde_json::{Value, json};

use super::super::{CommandProblem, problem, say};
use super::{now, sources};
use crate::cli::{OutputFormat, PolicyExplainArgs};

pub(super) fn run(args: &PolicyExplainArgs) -> Result<ExitCode, CommandProblem> {
    let (site, cohorts) = sources::cohorts(&args.of, &args.analysis)?;
    let arn = match args.resource.starts_with("arn:") || args.resource == "*" {
        true => args.resource.clone(),
        false => format!("{}{}", site.arn_prefix(), args.resource),
    };
    for cohort in &cohorts {
        let context = context(args)?;
        let set = Arc::new(PolicySet::compile(cohort.sources.clone()));
        let authorizer = Authorizer::new(Arc::new(site.clone()), set, context, Epoch(0));
        let facts = ConnectFacts::default();
        let decision = authorizer.decide_arn(&args.action, &arn, facts, now());
        let considered = authorizer.consider(&args.action, &arn, facts, now());
        say(&shown(args, &site, &decision, &considered))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn context(args: &PolicyExplainArgs) -> Result<ConnectionContext, CommandProblem> {
    let mut context = ConnectionContext::default();
    if let Some(id) = &args.client_id {
        context.client_id = Some(ClientId::new(id).map_err(problem)?);
        context.is_attached = Some(args.thing.is_some());
    }
    if let Some(name) = &args.thing {
        let name = ThingName::new(name).map_err(problem)?;
        context.thing = Some(Arc::new(ThingFacts { name, type_name: None, attributes: Default::default() }));
        context.is_attached = Some(true);
    }
    for given in &args.values {
        let (key, value) = given
            .split_once('=')
            .ok_or_else(|| problem(format!("--set {given}: it needs the form KEY=VALUE")))?;
        set(&mut context, key, value)?;
    }
    Ok(context)
}

/// Gives a value to a variable.
fn set(context: &mut ConnectionContext, key: &str, value: &str) -> Result<(), CommandProblem> {
    // The name is looked up as the policies' own parser reads it.
    let text = json!({ "Version": "2012-10-17", "Statement": [{ "Effect": "Allow", "Action": "iot:Connect",
        "Resource": format!("arn:aws:iot:r:1:${{{key}}}") }] });
    let document = Document::parse(&text.to_string()).map_err(problem)?;
    let variable = |v: &Variable<'_>| v.kind() != VariableKind::Never;
    let named =
        document.views().flat_map(|view| view.resources().flat_map(|r| r.variables()).collect::<Vec<_>>());
    let done = named.filter(variable).any(|variable| variable.set(context, value));
    if done {
        Ok(())
    } else {
        Err(problem(format!(
            "--set {key}={value}: no variable of AWS IoT policies is called that, or it cannot have this value"
        )))
    }
}

/// The statement that came nearest to another decision.
fn nearest<'c>(decision: &Decision, considered: &'c [Considered]) -> Option<&'c Considered> {
    let other = if decision.outcome == Outcome::Allowed { Effect::Deny } else { Effect::Allow };
    let missed = considered.iter().filter(|one| one.effect == other && one.nearness.is_some());
    missed.max_by_key(|one| one.nearness)
}

fn shown(args: &PolicyExplainArgs, site: &Site, decision: &Decision, considered: &[Considered]) -> String {
    let nearest = nearest(decision, considered);
    if args.format == OutputFormat::Json {
        let nearest = nearest.map(one_json);
        return format!(
            "{:#}\n",
            json!({
                "decision": decision.outcome.as_str(), "explanation": decision.explanation,
                "missingContextValues": decision.missing_context, "nearest": nearest,
                "statements": considered.iter().map(one_json).collect::<Vec<_>>(),
            })
        );
    }
    let mut text = format!("{}: {} on {}\n", decision.outcome.as_str(), args.action, args.resource);
    if let Some(explanation) = &decision.explanation {
        text.push_str(&format!("{explanation}\n"));
    }
    if !decision.missing_context.is_empty() {
        text.push_str(&format!("without a value: {}\n", decision.missing_context.join(", ")));
    }
    let mut table = Table::new();
    table.load_preset(NOTHING).set_header(["policy", "statement", "effect", "applies", "why"]);
    for one in considered {
        let number =
            one.sid.as_ref().map_or(one.statement.to_string(), |sid| format!("{} {sid:?}", one.statement));
        let applies = if one.applies { "yes" } else { "no" };
        let why = one.why.replace(&site.arn_prefix(), "");
        table.add_row([one.policy.as_str(), &number, effect(one), applies, &why]);
    }
    text.push_str(&format!("{table}\n"));
    if let Some(one) = nearest {
        text.push_str(&format!(
            "nearest to another decision: statement {} of policy {} {}\n",
            one.statement, one.policy, one.why
        ));
    }
    text
}

fn effect(one: &Considered) -> &'static str {
    match one.effect {
        Effect::Allow => "Allow",
        Effect::Deny => "Deny",
    }
}

fn one_json(one: &Considered) -> Value {
    json!({
        "policy": one.policy.as_str(), "version": one.version, "statement": one.statement, "sid": one.sid,
        "effect": effect(one), "applies": one.applies, "why": one.why,
    })
}
