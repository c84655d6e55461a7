//! The criteria of AWS IoT Device Defender's audit checks on policies.
//!
//! Source: developer guide, *AWS IoT policies overly permissive*, *AWS IoT policy potentially misconfigured*.

use policy::{Effect, Piece, StatementView, VariableKind};

use super::probe::{NAME, grants, matches, sample, speaks};
use super::{Finding, Subject, rules};
use crate::reach::Deed;
use crate::topics::TopicSet;

pub(super) fn check(subject: &Subject<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for statement in subject.document.views() {
        match statement.effect() {
            Effect::Allow => findings.extend(broad(subject, statement)),
            Effect::Deny => findings.extend(denied(subject, statement)),
        }
    }
    findings
}

/// The sets that no device policy may contain: actions, and members that show that all of a set is there.
const BROAD: [(&[&str], &[&str]); 3] = [
    (&["iot:Publish"], &["topic/$aws/things/\u{E000}\u{E001}/shadow/update"]),
    (
        &["iot:Subscribe"],
        &[
            "topicfilter/$aws/things/\u{E000}\u{E001}/shadow/update",
            "topicfilter/$aws/things/#",
            "topicfilter/$aws/things/+/shadow/update",
        ],
    ),
    (BROAD_THING, &["thing/\u{E000}\u{E001}"]),
];

const BROAD_THING: &[&str] = &[
    "iot:DeleteThingShadow",
    "iot:GetThingShadow",
    "iot:UpdateThingShadow",
    "iot:DescribeJobExecution",
    "iot:GetPendingJobExecutions",
    "iot:StartNextPendingJobExecution",
    "iot:UpdateJobExecution",
];

fn broad(subject: &Subject<'_>, statement: StatementView<'_>) -> Option<Finding> {
    let found = |action: &str, what: &str, fix: &str| {
        let reason = format!("it allows {action} on {what}: every device, not one");
        let shown = EXAMPLES
            .iter()
            .filter(|(of, _)| of.contains(&action))
            .find_map(|(_, field)| subject.tried(|trial| trial.met(statement.number(), action, field)));
        let shown = shown.or_else(|| own_name(subject, statement, action));
        subject.at_statement(rules::BROAD, statement.number(), reason).shown_by(shown).fix(fix)
    };
    if !requires_attachment(statement) {
        let whole = [format!("client/{NAME}"), format!("client/{NAME}/{NAME}")];
        let all = whole.iter().all(|name| grants(statement, "iot:Connect", name));
        let own =
            statement.covers("iot:Connect") && statement.resources().any(|r| is_own_client_id(&r.pieces()));
        if all || (own && !statement.negates_resources()) {
            let fix = "Use client/${iot:Connection.Thing.ThingName}, with the condition Bool \
                       iot:Connection.Thing.IsAttached true.";
            return Some(found("iot:Connect", "any client id", fix));
        }
    }
    let fix = "Put ${iot:Connection.Thing.ThingName} in the place of the thing's name.";
    BROAD.iter().find_map(|(actions, members)| {
        let action = actions.iter().find(|a| members.iter().any(|name| grants(statement, a, name)))?;
        Some(found(action, "things of any name", fix))
    })
}

/// What belongs to another device, by action.
const EXAMPLES: [(&[&str], &str); 7] = [
    (&["iot:Connect"], "client/device-of-somebody-else"),
    (&["iot:Publish"], "topic/$aws/things/another-thing/shadow/update"),
    (&["iot:Subscribe"], "topicfilter/$aws/things/+/shadow/update"),
    (&["iot:Subscribe"], "topicfilter/$aws/things/#"),
    (&["iot:Subscribe"], "topicfilter/$aws/things/another-thing/shadow/update"),
    (BROAD_THING, "thing/another-thing"),
    (&["iot:Publish"], "topic/$aws/things/another-thing/shadow/get"),
];

/// The client id that a device has chosen itself.
fn own_name(subject: &Subject<'_>, statement: StatementView<'_>, action: &str) -> Option<String> {
    let field = format!("client/{}", super::trial::DEVICE);
    subject.tried(|trial| trial.met(statement.number(), action, &field))
}

/// `client/${iot:ClientId}` is any client id.
fn is_own_client_id(pieces: &[Piece<'_>]) -> bool {
    match pieces {
        [Piece::Text("client/"), Piece::Variable(variable)] => variable.kind() == VariableKind::ClientId,
        _ => false,
    }
}

fn requires_attachment(statement: StatementView<'_>) -> bool {
    statement.conditions().any(|condition| {
        condition.operator() == "Bool"
            && condition.key().kind() == VariableKind::IsAttached
            && condition.values().all(|value| value == "true")
    })
}

fn denied(subject: &Subject<'_>, statement: StatementView<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (index, resource) in statement.resources().enumerate() {
        let pieces = resource.pieces();
        let wild = pieces.iter().any(|piece| matches!(piece, Piece::Text(text) if text.contains(['+', '#'])));
        if wild {
            findings.push(deny_wildcard(subject, statement, index, &pieces));
        } else if statement.covers("iot:Subscribe") && !statement.negates_resources() {
            findings.extend(bypassed(subject, statement, index, &pieces));
        }
    }
    findings
}

fn deny_wildcard(
    subject: &Subject<'_>,
    statement: StatementView<'_>,
    index: usize,
    pieces: &[Piece<'_>],
) -> Finding {
    let spelled: String = sample(pieces).replace(NAME, "*");
    let reason =
        format!("+ and # in a policy are ordinary characters: this denies the spelling {spelled} only");
    let around = subject.example(pieces).replace(['#', '+'], "data");
    let actions = ["iot:Subscribe", "iot:Publish", "iot:Receive", "iot:Connect"];
    let action = actions.into_iter().find(|action| statement.covers(action));
    let shown =
        action.and_then(|action| subject.tried(|trial| trial.missed(statement.number(), action, &around)));
    subject
        .at_resource(rules::DENY_WILDCARD, statement.number(), index, reason)
        .shown_by(shown)
        .fix("Write * for + and #, and deny iot:Receive on the topics as well.")
}

/// Subscribing is denied there, but a wildcard subscription from above brings the topics.
fn bypassed(
    subject: &Subject<'_>,
    statement: StatementView<'_>,
    index: usize,
    pieces: &[Piece<'_>],
) -> Option<Finding> {
    let whole = sample(pieces);
    let name = whole.strip_prefix("topicfilter/")?;
    let topic = format!("topic/{name}");
    let wide = |view: StatementView<'_>| {
        let wildcard = |pieces: &[Piece<'_>]| pieces.iter().any(|p| matches!(p, Piece::Any | Piece::One));
        view.effect() == Effect::Allow
            && view.covers("iot:Subscribe")
            && view.resources().any(|r| wildcard(&r.pieces()) && matches(&r.pieces(), &whole))
    };
    let allowed = |view: StatementView<'_>| grants(view, "iot:Receive", &topic);
    let denied =
        |view: StatementView<'_>| view.effect() == Effect::Deny && speaks(view, "iot:Receive", &topic);
    let views = || subject.document.views();
    if !views().any(wide) || !views().any(allowed) || views().any(denied) {
        return None;
    }
    let set = TopicSet::Pattern(name.replace(NAME, "*").replace('\u{E000}', "?"));
    let reason =
        format!("subscribing to {set} is denied, but a wildcard filter above it is allowed and brings it");
    let finding = subject.at_resource(rules::DENY_BYPASSED, statement.number(), index, reason);
    let finding = finding.fix(format!("Deny iot:Receive on topic/{set} as well."));
    Some(match subject.analyst.can(&subject.cohort, Deed::Receive, Some(&set)).witness() {
        Some(witness) => finding.witness(super::whole::shown(witness)),
        None => finding,
    })
}
