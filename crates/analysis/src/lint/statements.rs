//! Rules about single statements.

use policy::{Effect, Piece, ResourceView, StatementView, VariableKind};

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
        findings.extend(dead_conditions(subject, statement));
        for (index, resource) in statement.resources().enumerate() {
            let pieces = resource.pieces();
            if resource.is_of(subject.analyst.site) == Some(false) {
                findings.push(foreign(subject, statement, index, resource));
                continue;
            }
            findings.extend(wrong_kind(subject, statement, index, &pieces));
            findings.extend(exact_wildcard(subject, statement, index, &pieces));
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
                .shown_by(not_listed(subject, statement))
                .fix("List what is allowed with Resource, and deny the exceptions."),
        );
    }
    if statement.negates_actions() {
        let reason =
            "Allow with NotAction allows every action that is not listed, those that will exist one day too";
        findings.push(
            at(rules::NOT_ACTION, reason)
                .shown_by(not_listed(subject, statement))
                .fix("List what is allowed with Action."),
        );
    }
    findings
}

/// Something that a negated statement lets through: what belongs to another thing, or any name.
fn not_listed(subject: &Subject<'_>, statement: StatementView<'_>) -> Option<String> {
    let resources: Vec<String> = statement.resources().map(|r| subject.example(&r.pieces())).collect();
    let covered = ACTIONS.iter().filter(|(action, _)| statement.covers(action));
    let fields = covered.flat_map(|(action, kinds)| {
        let others = ["$aws/things/another-thing/shadow/update", "anything"].iter();
        let others: Vec<String> =
            others.flat_map(|name| kinds.iter().map(move |kind| format!("{kind}{name}"))).collect();
        others.into_iter().chain(resources.iter().cloned()).map(move |field| (*action, field))
    });
    fields
        .into_iter()
        .find_map(|(action, field)| subject.tried(|trial| trial.met(statement.number(), action, &field)))
}

/// A condition of which nobody can ever have the key.
fn dead_conditions(subject: &Subject<'_>, statement: StatementView<'_>) -> Option<Finding> {
    let dead = statement.conditions().find(|condition| {
        let positive = !condition.operator().contains("Not")
            && !condition.operator().ends_with("IfExists")
            && !condition.operator().starts_with("ForAllValues:")
            && condition.operator() != "Null";
        positive && condition.key().is_never_known()
    })?;
    let harm = match statement.effect() {
        Effect::Allow => "the statement allows nothing",
        Effect::Deny => "the Deny protects nothing",
    };
    let reason = format!("the condition key {} never has a value, so {harm}", dead.key().name());
    let shown = statement.resources().find_map(|resource| {
        let pieces = resource.pieces();
        let field = subject.example(&pieces);
        let action = action_for(statement, kind(&pieces).unwrap_or_default())?;
        let field = if field == "x" { format!("{}x", kind_of(action)) } else { field };
        subject.tried(|trial| trial.missed(statement.number(), action, &field))
    });
    let fix = "Use a condition key of AWS IoT policies, iot:Connection.Thing.IsAttached for instance.";
    Some(subject.at_statement(rules::UNRESOLVABLE, statement.number(), reason).shown_by(shown).fix(fix))
}

/// The first action that a statement speaks of and that is decided on a kind of resource; else any that it speaks of.
fn action_for(statement: StatementView<'_>, kind: &str) -> Option<&'static str> {
    let covered = || ACTIONS.iter().filter(|(action, _)| statement.covers(action));
    covered().find(|(_, kinds)| kinds.contains(&kind)).or_else(|| covered().next()).map(|(action, _)| *action)
}

/// The kind of resource on which an action is decided.
fn kind_of(action: &str) -> &'static str {
    let row = ACTIONS.iter().find(|(known, _)| *known == action);
    row.and_then(|(_, kinds)| kinds.first().copied()).unwrap_or_default()
}

/// `+` or `#` under Subscribe or Connect: only what is spelled so.
fn exact_wildcard(
    subject: &Subject<'_>,
    statement: StatementView<'_>,
    index: usize,
    pieces: &[Piece<'_>],
) -> Option<Finding> {
    let kind = kind(pieces).filter(|kind| matches!(*kind, "topicfilter/" | "client/"))?;
    let wild = pieces.iter().any(|piece| matches!(piece, Piece::Text(text) if text.contains(['+', '#'])));
    if !wild || statement.effect() != Effect::Allow || statement.negates_resources() {
        return None;
    }
    let action = action_for(statement, kind)?;
    let around = subject.example(pieces).replace(['+', '#'], "x");
    let shown = subject.tried(|trial| trial.missed(statement.number(), action, &around))?;
    let reason = "in a resource + and # are ordinary characters: this allows the one spelling, not the names that \
                  such a filter matches";
    let finding = subject.at_resource(rules::EXACT_WILDCARD, statement.number(), index, reason.into());
    Some(
        finding
            .witness(shown)
            .fix("Leave it if devices send just this filter; else write * where any text may stand."),
    )
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
        // What the resource would be good for, by its kind.
        let shown = statement.resources().find_map(|resource| {
            let pieces = resource.pieces();
            let wanted = kind(&pieces).unwrap_or("topic/");
            let (action, _) = ACTIONS.iter().find(|(_, kinds)| kinds.contains(&wanted))?;
            let field = subject.example(&pieces);
            let field = if field == "x" { "topic/x".to_owned() } else { field };
            subject.tried(|trial| trial.missed(statement.number(), action, &field))
        });
        subject.at_action(rules::UNKNOWN_ACTION, statement.number(), index, reason).shown_by(shown).fix(fix)
    };
    unknown.map(finding).collect()
}

fn foreign(
    subject: &Subject<'_>,
    statement: StatementView<'_>,
    index: usize,
    resource: ResourceView<'_>,
) -> Finding {
    let (site, text) = (subject.analyst.site, resource.text());
    let field = subject.example(&resource.pieces());
    let action = action_for(statement, kind(&resource.pieces()).unwrap_or_default());
    let shown =
        action.and_then(|action| subject.tried(|trial| trial.missed(statement.number(), action, &field)));
    let reason = format!("{text} is not of {}, so it matches nothing here", site.arn_prefix());
    let fix = format!("Begin it with {}, or give --region and --account.", site.arn_prefix());
    subject.at_resource(rules::FOREIGN, statement.number(), index, reason).shown_by(shown).fix(fix)
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
    let name = subject.example(pieces);
    let meant = format!("{wanted}/{}", name.strip_prefix(kind).unwrap_or(&name));
    let shown = subject.tried(|trial| trial.missed(statement.number(), action, &meant));
    Some(subject.at_resource(rules::WRONG_KIND, statement.number(), index, reason).shown_by(shown).fix(fix))
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
    let pieces = resource.pieces();
    let field = subject.example(&pieces);
    let action = action_for(statement, kind(&pieces).unwrap_or_default());
    let shown =
        action.and_then(|action| subject.tried(|trial| trial.missed(statement.number(), action, &field)));
    Some(subject.at_resource(rules::UNRESOLVABLE, statement.number(), index, reason).shown_by(shown).fix(fix))
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
    let example = subject.example(pieces).replace(['+', '#'], "x");
    let action = action_for(statement, "topic/")?;
    Some(
        subject
            .at_resource(rules::LITERAL_WILDCARD, statement.number(), index, reason)
            .shown_by(subject.tried(|trial| trial.missed(statement.number(), action, &example)))
            .fix("Write * where any text may stand."),
    )
}

fn crosses_levels(
    subject: &Subject<'_>,
    statement: StatementView<'_>,
    index: usize,
    pieces: &[Piece<'_>],
) -> Option<Finding> {
    let kind = kind(pieces).filter(|kind| matches!(*kind, "topic/" | "topicfilter/"))?;
    let before =
        |at: usize, text: &str| matches!(pieces.get(at), Some(Piece::Text(after)) if after.starts_with(text));
    let opens = |at: usize| {
        let previous = at.checked_sub(1).and_then(|at| pieces.get(at));
        matches!(previous, Some(Piece::Text(text)) if text.ends_with('/'))
    };
    let ends = |at: usize| {
        let rest = pieces.get(at..).unwrap_or_default();
        let behind = rest.iter().position(|piece| !matches!(piece, Piece::One)).unwrap_or(rest.len());
        behind == rest.len() || before(at + behind, "/")
    };
    // * before a slash, or a level that is made of ? alone.
    let wild = (0..pieces.len()).find(|at| match pieces.get(*at) {
        Some(Piece::Any) => before(at + 1, "/"),
        Some(Piece::One) => opens(*at) && ends(*at),
        _ => false,
    })?;
    let one = matches!(pieces.get(wild), Some(Piece::One));
    let (head, tail) = (pieces.get(..wild)?, pieces.get(wild + 1..)?);
    let across = if one { "/" } else { "x/y" };
    let field = format!("{}{across}{}", subject.example(head), subject.example(tail));
    let action = action_for(statement, kind)?;
    let sign = if one { "?" } else { "*" };
    let reason = format!("{sign} in the place of a level does not stay in it: it also matches slashes");
    Some(
        subject
            .at_resource(rules::CROSSES_LEVELS, statement.number(), index, reason)
            .shown_by(subject.tried(|trial| trial.met(statement.number(), action, &field)))
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
        let value = if kind == "topicfilter/" { "a/#" } else { "a/b" };
        let name = subject.spelled(pieces, VariableKind::ThingAttribute, value);
        let witness = format!("attribute value {value:?} makes it {kind}{name}");
        return Some(
            finding
                .witness(witness)
                .fix("Keep attributes that stand in policies out of the reach of devices."),
        );
    }
    if !named(VariableKind::ClientId) {
        return None;
    }
    let id = if kind == "topicfilter/" { ["+", "#", "a/b"].as_slice() } else { ["a/b"].as_slice() };
    let id = id.iter().find(|id| may_connect(subject, id))?;
    let name = subject.spelled(pieces, VariableKind::ClientId, id);
    let what = if kind == "topicfilter/" { "filter" } else { "topic" };
    let reason = "a client chooses its client id, and Connect allows it to contain +, # or /";
    Some(
        subject
            .at_resource(rules::CHOSEN_BY_CLIENT, statement.number(), index, reason.into())
            .witness(format!("client id {id:?} gets {what} {name}"))
            .fix("Use ${iot:Connection.Thing.ThingName}, which has no such characters; or allow Connect for fixed client ids."),
    )
}

impl Subject<'_> {
    /// The name behind the kind of a resource, with a value for the variables of a kind.
    fn spelled(&self, pieces: &[Piece<'_>], of: VariableKind, value: &str) -> String {
        let text = |piece: &Piece<'_>| match piece {
            Piece::Text(text) => (*text).to_owned(),
            Piece::Variable(v) if v.kind() == of => value.to_owned(),
            Piece::Any | Piece::One | Piece::Variable(_) => "x".to_owned(),
        };
        let all: String = pieces.iter().map(text).collect();
        all.split_once('/').map_or_else(String::new, |(_, name)| name.to_owned())
    }
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
