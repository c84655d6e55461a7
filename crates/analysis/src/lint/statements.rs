//! Rules about single statements.

use policy::{Effect, Piece, StatementView, VariableKind};

use super::{Finding, Subject, rules};
use crate::cohort::{Association, CLIENT_ID};
use crate::witness::Actor;

/// What can be asked of a policy, with the kinds of resources that decide it. Source: developer guide, *AWS IoT Core
/// policy actions*.
const ACTIONS: &[(&str, &[&str])] = &[
    ("iot:Connect", &["client/"]),
    ("iot:DeleteConnection", &["client/"]),
    ("iot:GetConnection", &["client/"]),
    ("iot:ListSubscriptions", &["client/"]),
    ("iot:SendDirectMessage", &["client/"]),
    ("iot:Publish", &["topic/"]),
    ("iot:RetainPublish", &["topic/"]),
    ("iot:Receive", &["topic/"]),
    ("iot:GetRetainedMessage", &["topic/"]),
    ("iot:ListRetainedMessages", &[]),
    ("iot:Subscribe", &["topicfilter/"]),
    ("iot:GetThingShadow", &["thing/"]),
    ("iot:UpdateThingShadow", &["thing/"]),
    ("iot:DeleteThingShadow", &["thing/"]),
    ("iot:ListNamedShadowsForThing", &["thing/"]),
    ("iot:DescribeJobExecution", &["thing/", "job/"]),
    ("iot:GetPendingJobExecutions", &["thing/"]),
    ("iot:StartNextPendingJobExecution", &["thing/"]),
    ("iot:UpdateJobExecution", &["thing/", "job/"]),
    ("iot:StartCommandExecution", &["command/", "thing/", "client/"]),
    ("iot:AssumeRoleWithCertificate", &["rolealias/"]),
];

pub(super) fn check(subject: &Subject<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for statement in subject.document.views() {
        findings.extend(negations(subject, statement));
        findings.extend(unknown_actions(subject, statement));
        for (index, resource) in statement.resources().enumerate() {
            let pieces = resource.pieces();
            if resource.is_of(subject.analyst.site) == Some(false) {
                findings.push(foreign(subject, statement, index, resource.text()));
                continue;
            }
            findings.extend(wrong_kind(subject, statement, index, &pieces));
            findings.extend(unresolvable(subject, statement, index));
            if statement.effect() == Effect::Allow && !statement.negates_resources() {
                findings.extend(literal_wildcard(subject, statement, index, &pieces));
                findings.extend(crosses_levels(subject, statement, index, &pieces));
                findings.extend(chosen_by_client(subject, statement, index, &pieces));
            }
        }
    }
    findings
}

fn negations(subject: &Subject<'_>, statement: StatementView<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    if statement.effect() != Effect::Allow {
        return findings;
    }
    let at = |rule, reason: &str| subject.at_statement(rule, statement.number(), reason.into());
    if statement.negates_resources() {
        let reason = "Allow with NotResource allows everything that is not listed, reserved topics included";
        findings.push(
            at(rules::NOT_RESOURCE, reason)
                .witness("any name outside the list, $aws/things/another-thing/shadow/update for instance")
                .fix("List what is allowed with Resource, and deny the exceptions."),
        );
    }
    if statement.negates_actions() {
        let reason =
            "Allow with NotAction allows every action that is not listed, those that will exist one day too";
        findings.push(at(rules::NOT_ACTION, reason).fix("List what is allowed with Action."));
    }
    findings
}

fn unknown_actions(subject: &Subject<'_>, statement: StatementView<'_>) -> Vec<Finding> {
    let outlined = subject.outline.statements.get(statement.number() - 1);
    let texts = outlined.into_iter().flat_map(|outlined| outlined.actions.iter().enumerate());
    let unknown = texts.filter(|(index, text)| {
        let ours = text.text.get(..4).is_some_and(|head| head.eq_ignore_ascii_case("iot:"));
        ours && !ACTIONS.iter().any(|(action, _)| statement.action_matches(*index, action))
    });
    let finding = |(index, text): (usize, &policy::OutlinedText)| {
        let reason = format!("no data plane action of AWS IoT is called {}: it never matches", text.text);
        let fix = "Correct the name; actions of the control plane belong into IAM policies.";
        subject.at_action(rules::UNKNOWN_ACTION, statement.number(), index, reason).fix(fix)
    };
    unknown.map(finding).collect()
}

fn foreign(subject: &Subject<'_>, statement: StatementView<'_>, index: usize, text: &str) -> Finding {
    let site = subject.analyst.site;
    let reason = format!("{text} is not of {}, so it matches nothing here", site.arn_prefix());
    let fix = format!("Begin it with {}, or give --region and --account.", site.arn_prefix());
    subject.at_resource(rules::FOREIGN, statement.number(), index, reason).fix(fix)
}

/// The kind that a pattern begins with, if that is certain.
fn kind<'a>(pieces: &[Piece<'a>]) -> Option<&'a str> {
    match pieces.first() {
        Some(Piece::Text(text)) => text.split_inclusive('/').next().filter(|kind| kind.ends_with('/')),
        _ => None,
    }
}

fn wrong_kind(
    subject: &Subject<'_>,
    statement: StatementView<'_>,
    index: usize,
    pieces: &[Piece<'_>],
) -> Option<Finding> {
    let kind = kind(pieces)?;
    let covered: Vec<_> = ACTIONS.iter().filter(|(action, _)| statement.covers(action)).collect();
    let fits = covered.iter().any(|(_, kinds)| kinds.contains(&kind));
    if covered.is_empty() || fits || statement.negates_resources() {
        return None;
    }
    let (action, kinds) = covered.first()?;
    let wanted = kinds.first().map_or("*", |kind| kind.trim_end_matches('/'));
    let reason = format!("{action} is decided on {wanted} resources, so {kind}... never matches");
    let fix = format!("Write {wanted}/... for {kind}...");
    Some(subject.at_resource(rules::WRONG_KIND, statement.number(), index, reason).fix(fix))
}

fn unresolvable(subject: &Subject<'_>, statement: StatementView<'_>, index: usize) -> Option<Finding> {
    let resource = statement.resources().nth(index)?;
    let never = |kind: VariableKind| matches!(kind, VariableKind::Never | VariableKind::Momentary);
    let variable = resource.variables().find(|variable| never(variable.kind()))?;
    let harm = match statement.effect() {
        Effect::Allow => "the resource matches nothing",
        Effect::Deny => "the Deny protects nothing",
    };
    let reason = format!("${{{}}} never has a value in a resource, so {harm}", variable.name());
    let fix = "Use a variable of AWS IoT, iot:Connection.Thing.ThingName for instance.";
    Some(subject.at_resource(rules::UNRESOLVABLE, statement.number(), index, reason).fix(fix))
}

fn literal_wildcard(
    subject: &Subject<'_>,
    statement: StatementView<'_>,
    index: usize,
    pieces: &[Piece<'_>],
) -> Option<Finding> {
    let text = pieces.iter().find_map(|piece| match piece {
        Piece::Text(text) if text.contains(['+', '#']) => Some(*text),
        _ => None,
    })?;
    if kind(pieces) != Some("topic/") {
        return None;
    }
    let reason = format!(
        "no topic contains + or #, so {text:?} matches no topic: in a resource they are ordinary characters"
    );
    let example = text.trim_start_matches("topic/").replace(['+', '#'], "x");
    Some(
        subject
            .at_resource(rules::LITERAL_WILDCARD, statement.number(), index, reason)
            .witness(format!("topic {example} is not allowed by it"))
            .fix("Write * where any text may stand."),
    )
}

fn crosses_levels(
    subject: &Subject<'_>,
    statement: StatementView<'_>,
    index: usize,
    pieces: &[Piece<'_>],
) -> Option<Finding> {
    kind(pieces).filter(|kind| matches!(*kind, "topic/" | "topicfilter/"))?;
    let star = pieces
        .windows(2)
        .position(|pair| matches!(pair, [Piece::Any, Piece::Text(text)] if text.starts_with('/')))?;
    let text = |(at, piece): (usize, &Piece<'_>)| match piece {
        Piece::Text(text) => (*text).to_owned(),
        Piece::Any if at == star => "x/y".to_owned(),
        Piece::Any | Piece::One => "x".to_owned(),
        Piece::Variable(variable) => format!("${{{}}}", variable.name()),
    };
    let example: String = pieces.iter().enumerate().map(text).collect();
    let name = example.split_once('/').map_or("", |(_, name)| name);
    let reason = "* between slashes is not one level: it also matches text with slashes";
    Some(
        subject
            .at_resource(rules::CROSSES_LEVELS, statement.number(), index, reason.into())
            .witness(format!("{name} matches too"))
            .fix("Put a variable in its place, or arrange topics so that the wildcard comes last."),
    )
}

fn chosen_by_client(
    subject: &Subject<'_>,
    statement: StatementView<'_>,
    index: usize,
    pieces: &[Piece<'_>],
) -> Option<Finding> {
    let kind = kind(pieces).filter(|kind| matches!(*kind, "topic/" | "topicfilter/"))?;
    let named = |wanted| pieces.iter().any(|p| matches!(p, Piece::Variable(v) if v.kind() == wanted));
    if named(VariableKind::ThingAttribute) {
        let reason = "the registry permits / and # in thing attributes: a value can add levels, or be a wildcard filter";
        let finding =
            subject.at_resource(rules::ATTRIBUTE_WILDCARD, statement.number(), index, reason.into());
        return Some(finding.fix("Keep attributes that stand in policies out of the reach of devices."));
    }
    if !named(VariableKind::ClientId) {
        return None;
    }
    let id = if kind == "topicfilter/" { ["+", "#", "a/b"].as_slice() } else { ["a/b"].as_slice() };
    let id = id.iter().find(|id| may_connect(subject, id))?;
    let text = |piece: &Piece<'_>| match piece {
        Piece::Text(text) => (*text).to_owned(),
        Piece::Variable(v) if v.kind() == VariableKind::ClientId => (*id).to_owned(),
        Piece::Any | Piece::One | Piece::Variable(_) => "x".to_owned(),
    };
    let example: String = pieces.iter().map(text).collect();
    let name = example.split_once('/').map_or("", |(_, name)| name);
    let what = if kind == "topicfilter/" { "filter" } else { "topic" };
    let reason = "a client chooses its client id, and Connect allows it to contain +, # or /";
    Some(
        subject
            .at_resource(rules::CHOSEN_BY_CLIENT, statement.number(), index, reason.into())
            .witness(format!("client id {id:?} gets {what} {name}"))
            .fix("Use ${iot:Connection.Thing.ThingName}, which has no such characters; or allow Connect for fixed client ids."),
    )
}

/// Whether a client id may connect; without a word on Connect, another policy may allow it.
fn may_connect(subject: &Subject<'_>, id: &str) -> bool {
    if !subject.document.views().any(|view| view.effect() == Effect::Allow && view.covers("iot:Connect")) {
        return true;
    }
    let values = std::collections::BTreeMap::from([(CLIENT_ID.to_owned(), id.to_owned())]);
    let (site, now) = (subject.analyst.site, subject.analyst.now);
    let assumed = std::collections::BTreeMap::new();
    Association::ALL.into_iter().any(|association| {
        Actor::stand(site, &subject.cohort, association, &values, &assumed, now)
            .is_some_and(|a| a.may_connect())
    })
}
