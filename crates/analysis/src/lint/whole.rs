//! Rules about a document as a whole.

use std::sync::Arc;

use policy::{Document, Effect, Piece, Source, VariableKind};
use serde_json::{Value, json};

use super::{Finding, Subject, rules};
use crate::cohort::{Association, Cohort};
use crate::pattern::Pattern;
use crate::reach::Deed;
use crate::topics::TopicSet;
use crate::witness::{Answer, Witness};

pub(super) fn check(subject: &Subject<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    findings.extend(version(subject));
    findings.extend(never_applies(subject));
    findings.extend(client_id_form(subject));
    findings.extend(will(subject));
    let connects = |association| subject.analyst.connects(&subject.cohort, association) != Answer::No;
    if !allows(subject, "iot:Connect") || !Association::ALL.into_iter().any(connects) {
        let others = ["iot:Publish", "iot:Subscribe", "iot:Receive"];
        if let Some(action) = others.into_iter().find(|action| allows(subject, action)) {
            let reason = "no statement allows iot:Connect: without another policy nobody can use this one";
            let finding = subject.at_action_of(rules::NO_CONNECT, action, reason.into());
            let client = format!("client/{}", super::trial::DEVICE);
            let shown = subject.tried(|trial| trial.refused("iot:Connect", &client));
            findings.push(
                finding.shown_by(shown).fix("Allow iot:Connect on client/${iot:Connection.Thing.ThingName}."),
            );
        }
        return findings;
    }
    findings.extend(messages(subject));
    findings.extend(retained(subject));
    findings.extend(leak(subject));
    findings
}

/// A witness in a line.
pub(super) fn shown(witness: &Witness) -> String {
    let mut parts: Vec<String> = Vec::new();
    if let Some(first) = witness.devices.first() {
        parts.push(first.to_string());
    }
    if let Some(filter) = &witness.filter {
        parts.push(format!("subscribes to {filter}, gets topic {}", witness.name));
    } else {
        parts.push(witness.name.clone());
    }
    if let Some(second) = witness.devices.get(1) {
        parts.push(format!("published by {second}"));
    }
    parts.join(", ")
}

fn allows(subject: &Subject<'_>, action: &str) -> bool {
    subject.document.views().any(|view| view.effect() == Effect::Allow && view.covers(action))
}

fn version(subject: &Subject<'_>) -> Option<Finding> {
    let version = subject.outline.version.as_ref();
    let old = version.is_none_or(|version| version.text != "2012-10-17");
    (old && subject.text.contains("${")).then(|| {
        let reason = "without Version 2012-10-17 there are no variables: ${...} is literal text".into();
        let literal = subject
            .document
            .views()
            .find(|view| view.resources().any(|resource| resource.text().contains("${")));
        let shown = literal.and_then(|view| {
            let text = view.resources().find(|resource| resource.text().contains("${"))?.text();
            let (head, rest) = text.split_once("${")?;
            let (_, tail) = rest.split_once('}')?;
            let all = format!("{head}{}{tail}", super::trial::DEVICE);
            let field = all.splitn(6, ':').last()?.replace(['*', '?'], "x");
            let actions = crate::diff::actions();
            let action = actions.into_iter().find(|action| view.covers(action))?;
            subject.tried(|trial| trial.missed(view.number(), action, &field))
        });
        let number = literal.map_or(1, |view| view.number());
        let finding = subject.at_statement(rules::NO_VARIABLES, number, reason);
        finding.shown_by(shown).fix("Write \"Version\": \"2012-10-17\".")
    })
}

fn undecided(subject: &Subject<'_>, action: &str, what: &str, why: &str) -> Finding {
    let reason = format!("{what}: unknown, because {why}; treat it as if it were so");
    subject
        .at_action_of(rules::UNDECIDED, action, reason)
        .fix("Write simpler patterns, or ask policy reach with a larger --states.")
}

/// Statements of Allow that allow nothing, even with every client id: shadowed by a Deny, or without a name to match.
fn never_applies(subject: &Subject<'_>) -> Vec<Finding> {
    let Ok(Value::Object(document)) = serde_json::from_str::<Value>(subject.text) else { return Vec::new() };
    let statements: Vec<Value> = match document.get("Statement") {
        Some(Value::Array(list)) => list.clone(),
        Some(one) => vec![one.clone()],
        None => return Vec::new(),
    };
    let denies: Vec<&Value> = statements.iter().filter(|s| s.get("Effect") == Some(&json!("Deny"))).collect();
    if denies.is_empty() {
        return Vec::new();
    }
    let version = document.get("Version").cloned().unwrap_or(json!("2008-10-17"));
    let allowing = |list: Vec<&Value>| -> Option<Answer> {
        let text = json!({ "Version": version, "Statement": list }).to_string();
        let document = Arc::new(Document::parse(&text).ok()?);
        let source = subject.cohort.sources.first()?;
        let sources = vec![Source { document, ..source.clone() }];
        let cohort = Cohort { sources, ..subject.cohort.clone() };
        Some(subject.analyst.allows_something(&cohort))
    };
    let mut findings = Vec::new();
    for (index, statement) in statements.iter().enumerate() {
        if statement.get("Effect") != Some(&json!("Allow")) || !meets_a_deny(subject, index + 1) {
            continue;
        }
        let all = std::iter::once(statement).chain(denies.iter().copied()).collect();
        if allowing(all) != Some(Answer::No) {
            continue;
        }
        let Some(alone @ (Answer::Yes(_) | Answer::Unknown(_))) = allowing(vec![statement]) else { continue };
        let reason = "a Deny covers everything that this statement allows".into();
        let finding = subject.at_statement(rules::NEVER_APPLIES, index + 1, reason);
        let shown = alone.witness().map(|witness| format!("{} is allowed by it, and denied", shown(witness)));
        findings.push(finding.shown_by(shown).fix("Remove the statement, or narrow the Deny."));
    }
    findings
}

/// Whether a Deny speaks of an action of the data plane that a statement speaks of.
fn meets_a_deny(subject: &Subject<'_>, number: usize) -> bool {
    let Some(statement) = subject.document.views().find(|view| view.number() == number) else { return false };
    let mut denies = subject.document.views().filter(|view| view.effect() == Effect::Deny);
    denies.any(|deny| crate::diff::actions().any(|action| deny.covers(action) && statement.covers(action)))
}

/// Thing variables need the client id to be the thing's name, and Connect allows others.
fn client_id_form(subject: &Subject<'_>) -> Option<Finding> {
    let uses_thing = |view: policy::StatementView<'_>| {
        view.effect() == Effect::Allow
            && !view.covers("iot:Connect")
            && view.resources().any(|r| r.variables().any(|v| v.kind() == VariableKind::ThingName))
    };
    if !subject.document.views().any(uses_thing) {
        return None;
    }
    let stranger = subject.analyst.connects(&subject.cohort, Association::None);
    let id = &stranger.witness()?.devices.first()?.client_id;
    let reason = "Connect allows client ids that are no thing's name: for them iot:Connection.Thing.ThingName has no \
                  value, and the statements that use it match nothing";
    let finding = subject.at_action_of(rules::CLIENT_ID_FORM, "iot:Connect", reason.into());
    let fix =
        "Allow iot:Connect on client/${iot:Connection.Thing.ThingName} only, or attach things exclusively.";
    let witness = format!("client id {id:?} may connect, and then do nothing with the topics of its thing");
    Some(finding.witness(witness).fix(fix))
}

/// Connect demands a Will on a topic that may not be published to, or permits Wills where nothing may be published.
fn will(subject: &Subject<'_>) -> Option<Finding> {
    let connects = |v: &policy::StatementView<'_>| v.effect() == Effect::Allow && v.covers("iot:Connect");
    for view in subject.document.views().filter(connects) {
        for condition in view.conditions().filter(|condition| condition.key().is_connect_only()) {
            let by_topic = condition.key().name().eq_ignore_ascii_case("iot:LastWillTopic");
            let topics = condition.values().filter_map(|text| match by_topic {
                true => text.split_once("topic/").map(|(_, topic)| topic),
                false => (text == "LastWill" && !condition.operator().contains("Not")).then_some("*"),
            });
            for topic in topics.filter(|topic| !topic.contains("${")) {
                if let Some(finding) = will_on(subject, view.number(), topic) {
                    return Some(finding);
                }
            }
        }
    }
    None
}

fn will_on(subject: &Subject<'_>, statement: usize, topic: &str) -> Option<Finding> {
    let set = crate::topics::TopicSet::Pattern(topic.to_owned());
    if subject.analyst.can(&subject.cohort, Deed::Publish, Some(&set)) != Answer::No {
        return None;
    }
    let reason = match topic {
        "*" => "Wills are permitted, but no topic may be published to, so a CONNECT with one is refused"
            .to_owned(),
        topic => format!("the Will topic {topic} may not be published to, so such a CONNECT is refused"),
    };
    let field = format!("topic/{}", topic.replace(['*', '?'], "x"));
    let shown = subject.tried(|trial| trial.refused("iot:Publish", &field));
    let finding = subject.at_statement(rules::WILL, statement, reason).shown_by(shown);
    Some(finding.fix(format!("Allow iot:Publish on topic/{topic}.")))
}

fn messages(subject: &Subject<'_>) -> Vec<Finding> {
    let (subscribe, receive) = (allows(subject, "iot:Subscribe"), allows(subject, "iot:Receive"));
    if receive && !subscribe {
        let reason = "messages may be received, but no subscription is allowed: only answers and direct messages arrive";
        let finding = subject.at_action_of(rules::NO_SUBSCRIBE, "iot:Receive", reason.into());
        let speaks =
            subject.document.views().filter(|v| v.effect() == Effect::Allow && v.covers("iot:Receive"));
        let named = speaks
            .flat_map(|view| view.resources().map(|r| subject.example(&r.pieces())).collect::<Vec<_>>());
        let topic = named.into_iter().find_map(|field| field.strip_prefix("topic/").map(str::to_owned));
        let filter = format!("topicfilter/{}", topic.unwrap_or_else(|| "x".into()));
        let shown = subject.tried(|trial| trial.refused("iot:Subscribe", &filter));
        return vec![
            finding.shown_by(shown).fix("Allow iot:Subscribe on topicfilter/... for the same topics."),
        ];
    }
    if !subscribe {
        return Vec::new();
    }
    match subject.analyst.can(&subject.cohort, Deed::Receive, None) {
        Answer::Yes(_) => silent(subject),
        Answer::Unknown(why) => vec![undecided(subject, "iot:Receive", "whether messages arrive", &why)],
        Answer::No => {
            let granted = subject.analyst.can(&subject.cohort, Deed::Subscribe, None);
            let Some(witness) = granted.witness() else { return Vec::new() };
            let reason = "subscriptions are granted, but iot:Receive is allowed on none of their topics: nothing arrives";
            let finding = subject.at_action_of(rules::NO_RECEIVE, "iot:Subscribe", reason.into());
            let finding =
                finding.witness(format!("filter {} is granted and brings no message", witness.name));
            vec![finding.fix("Allow iot:Receive on topic/... for the topics that the filters match.")]
        }
    }
}

/// Filters of which no message arrives, where others bring some. Patterns with variables are not looked at.
fn silent(subject: &Subject<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for view in subject.document.views().filter(|v| v.effect() == Effect::Allow && v.covers("iot:Subscribe"))
    {
        for (index, resource) in view.resources().enumerate().filter(|_| !view.negates_resources()) {
            let plain = resource.variables().next().is_none();
            let Some(filters) = Pattern::spelled(&|_| None, &resource, "topicfilter/") else { continue };
            let Some(topics) = filters.brings().filter(|_| plain).map(|topics| topics.to_string()) else {
                continue;
            };
            let of = |deed, names: &str| {
                subject.analyst.can(&subject.cohort, deed, Some(&TopicSet::Pattern(names.to_owned())))
            };
            if topics.contains("${") || of(Deed::Receive, &topics) != Answer::No {
                continue;
            }
            let granted = of(Deed::Subscribe, &filters.to_string());
            let Some(witness) = granted.witness() else { continue };
            let reason =
                format!("iot:Receive is allowed on no topic of {topics}: such subscriptions bring nothing");
            let finding = subject.at_resource(rules::NO_RECEIVE, view.number(), index, reason);
            let finding =
                finding.witness(format!("filter {} is granted and brings no message", witness.name));
            findings.push(finding.fix(format!("Allow iot:Receive on topic/{topics}.")));
        }
    }
    findings
}

fn retained(subject: &Subject<'_>) -> Option<Finding> {
    if allows(subject, "iot:RetainPublish") {
        return match subject.analyst.can(&subject.cohort, Deed::Retain, None) {
            Answer::No => {
                let reason = "iot:RetainPublish is allowed on no topic on which iot:Publish is: no message can be retained";
                let finding = subject.at_action_of(rules::RETAIN_ALONE, "iot:RetainPublish", reason.into());
                let speaks = subject.document.views().find(|view| view.covers("iot:RetainPublish"));
                let named = speaks.and_then(|view| view.resources().next());
                let field = named.map(|resource| subject.example(&resource.pieces())).unwrap_or_default();
                let shown = subject.tried(|trial| trial.refused("iot:Publish", &field));
                Some(finding.shown_by(shown).fix("Allow iot:Publish on the same topics."))
            }
            Answer::Unknown(why) => {
                Some(undecided(subject, "iot:RetainPublish", "whether messages can be retained", &why))
            }
            Answer::Yes(_) => None,
        };
    }
    allows(subject, "iot:Publish").then(|| {
        let reason =
            "messages and Wills with RETAIN are refused: they need iot:RetainPublish besides iot:Publish";
        let finding = subject.at_action_of(rules::NO_RETAIN, "iot:Publish", reason.into());
        let granted = subject.analyst.can(&subject.cohort, Deed::Publish, None);
        let shown = granted.witness().and_then(|witness| {
            let id = &witness.devices.first()?.client_id;
            Some(format!("client id {id:?} may publish to {}, and not with RETAIN", witness.name))
        });
        finding.shown_by(shown).fix("Allow iot:RetainPublish if devices retain messages.")
    })
}

/// Devices publish on topics of their own, and others can read them.
fn leak(subject: &Subject<'_>) -> Option<Finding> {
    let own = |piece: &Piece<'_>| {
        matches!(piece, Piece::Variable(v) if matches!(v.kind(),
            VariableKind::ClientId | VariableKind::ThingName | VariableKind::CertificateId))
    };
    let publishes_own = subject.document.views().any(|view| {
        view.effect() == Effect::Allow
            && view.covers("iot:Publish")
            && view.resources().any(|resource| resource.pieces().iter().any(own))
    });
    if !publishes_own {
        return None;
    }
    match subject.analyst.leaks(&subject.cohort) {
        Answer::No => None,
        Answer::Unknown(why) => {
            Some(undecided(subject, "iot:Subscribe", "whether devices see each other's messages", &why))
        }
        Answer::Yes(witness) => {
            let reason = "two devices with this policy and different client ids see each other's messages";
            let finding = subject.at_action_of(rules::FLEET_LEAK, "iot:Subscribe", reason.into());
            let fix = "Put ${iot:Connection.Thing.ThingName} into the topics of Subscribe and Receive too, as a level of its own.";
            Some(finding.witness(shown(&witness)).fix(fix))
        }
    }
}
