//! Reasons for people: which statement denied, or which came nearest and why it did not apply.

use std::fmt;

use crate::condition::Condition;
use crate::examine::{Finding, Matched, Miss, Question, examine};
use crate::key::{Key, KeyName, ThingKey};
use crate::resource::Pattern;
use crate::set::{Kind, Located};
use crate::{Authorizer, ConnectionContext, Effect, Origin};

/// Writes the reason of a denial. There are several questions where one yes would have been enough.
pub(crate) fn explain(
    f: &mut fmt::Formatter<'_>,
    authorizer: &Authorizer,
    questions: &[Question<'_>],
) -> fmt::Result {
    if let Some(side) = authorizer.side() {
        write!(f, "by {side}: ")?;
    }
    if authorizer.set().is_empty() {
        return f.write_str("no policy is attached");
    }
    let mut nearest: Option<(Located<'_>, Miss<'_>, &Question<'_>)> = None;
    for question in questions {
        for (located, finding) in examine(authorizer, question) {
            match (located.statement.effect, finding) {
                (Effect::Deny, Finding::Applies(matched)) => {
                    return denied(f, authorizer, located, &matched);
                }
                (Effect::Allow, Finding::Misses(miss))
                    if nearest.as_ref().is_none_or(|(_, best, _)| best.likeness() < miss.likeness()) =>
                {
                    nearest = Some((located, miss, question));
                }
                _ => {}
            }
        }
    }
    f.write_str("no statement matched; ")?;
    match nearest {
        Some((located, miss, question)) => {
            write!(f, "nearest: {} ", Name(located))?;
            missed(f, authorizer, &miss, question)
        }
        None => silent(f, authorizer, questions),
    }
}

/// What one statement answers, in words.
pub(crate) struct Answer<'a> {
    pub(crate) authorizer: &'a Authorizer,
    pub(crate) finding: &'a Finding<'a>,
    pub(crate) question: &'a Question<'a>,
}

impl fmt::Display for Answer<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.finding {
            Finding::Applies(matched) => {
                f.write_str("(")?;
                written(f, self.authorizer, matched)?;
                f.write_str(")")
            }
            Finding::Misses(miss) => missed(f, self.authorizer, miss, self.question),
        }
    }
}

/// The same as a value that displays itself.
pub(crate) struct Explanation<'a> {
    pub(crate) authorizer: &'a Authorizer,
    pub(crate) questions: &'a [Question<'a>],
}

impl fmt::Display for Explanation<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        explain(f, self.authorizer, self.questions)
    }
}

/// `statement 2 "Sid" of policy P`, and by which way it came.
pub(crate) struct Name<'a>(pub(crate) Located<'a>);

impl fmt::Display for Name<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Located { source, number, statement, .. } = self.0;
        write!(f, "statement {number}")?;
        if let Some(sid) = &statement.sid {
            write!(f, " {sid:?}")?;
        }
        write!(f, " of policy {}", source.policy)?;
        match &source.origin {
            Origin::Certificate => Ok(()),
            Origin::ThingGroup(group) => write!(f, " of thing group {group}"),
            Origin::Other(text) => write!(f, " from {text}"),
        }
    }
}

fn denied(
    f: &mut fmt::Formatter<'_>,
    authorizer: &Authorizer,
    located: Located<'_>,
    matched: &Matched<'_>,
) -> fmt::Result {
    write!(f, "denied explicitly by {}, version {} (", Name(located), located.source.version)?;
    written(f, authorizer, matched)?;
    f.write_str(")")
}

fn written(f: &mut fmt::Formatter<'_>, authorizer: &Authorizer, matched: &Matched<'_>) -> fmt::Result {
    match matched {
        Matched::Resource { text, pattern } => resource(f, authorizer, text, pattern),
        Matched::NotResource(texts) => {
            f.write_str("NotResource")?;
            texts.iter().try_for_each(|text| write!(f, " {}", short(authorizer, text)))
        }
    }
}

/// `Resource topic/${iot:ClientId}/x resolved to topic/c1/x`.
fn resource(
    f: &mut fmt::Formatter<'_>,
    authorizer: &Authorizer,
    text: &str,
    pattern: &Pattern,
) -> fmt::Result {
    write!(f, "Resource {}", short(authorizer, text))?;
    let resolved = pattern.to_string();
    if resolved == text { Ok(()) } else { write!(f, " resolved to {}", short(authorizer, &resolved)) }
}

/// An ARN without what all ARNs of the site have in common.
pub(crate) fn short<'a>(authorizer: &Authorizer, text: &'a str) -> &'a str {
    text.strip_prefix(&authorizer.site().arn_prefix()).unwrap_or(text)
}

fn missed(
    f: &mut fmt::Formatter<'_>,
    authorizer: &Authorizer,
    miss: &Miss<'_>,
    question: &Question<'_>,
) -> fmt::Result {
    f.write_str("(")?;
    match miss {
        Miss::Condition { matched, condition } => {
            written(f, authorizer, matched)?;
            write!(f, " matches, but the condition {condition} does not: ")?;
            condition_values(f, authorizer.context(), condition, question)?;
        }
        Miss::Variable { text, name, .. } => {
            write!(f, "Resource {}: ", short(authorizer, text))?;
            no_value(f, authorizer.context(), name)?;
        }
        Miss::Excluded { text } => write!(f, "NotResource {} excludes it", short(authorizer, text))?,
        Miss::Resource { text, pattern, .. } => {
            resource(f, authorizer, text, pattern)?;
            hint(f, pattern, question)?;
        }
    }
    f.write_str(")")
}

/// Mistakes that are often made: another kind of resource, another Region or account.
fn hint(f: &mut fmt::Formatter<'_>, pattern: &Pattern, question: &Question<'_>) -> fmt::Result {
    let Some(arn) = question.arn else { return Ok(()) };
    if !pattern.is_of(question.moment.site) {
        return f.write_str(", which is not of this Region and account");
    }
    let kind = Kind::ALL.iter().map(|kind| kind.prefix()).find(|prefix| arn.resource.starts_with(prefix));
    match kind.filter(|prefix| pattern.names(prefix).is_empty()) {
        Some(prefix) => write!(f, ", but {} is decided on {prefix} resources", question.action),
        None => Ok(()),
    }
}

fn condition_values(
    f: &mut fmt::Formatter<'_>,
    context: &ConnectionContext,
    condition: &Condition,
    question: &Question<'_>,
) -> fmt::Result {
    if let Some(name) = condition.variables().find(|name| context.variable(&name.key).is_none()) {
        return no_value(f, context, name);
    }
    match context.values(&condition.key.key, &question.moment) {
        None => no_value(f, context, &condition.key),
        Some(values) => {
            f.write_str("the request has [")?;
            for (index, value) in values.iter().enumerate() {
                write!(f, "{}{:?}", if index == 0 { "" } else { ", " }, value.text())?;
            }
            f.write_str("]")
        }
    }
}

fn no_value(f: &mut fmt::Formatter<'_>, context: &ConnectionContext, name: &KeyName) -> fmt::Result {
    write!(f, "{} has no value, because {}", name.text, why(context, &name.key))
}

fn why(context: &ConnectionContext, key: &Key) -> &'static str {
    match key {
        Key::ClientId => "there is no MQTT client id",
        Key::SourceIp => "the client's address is not known",
        Key::DomainName => "the client named no server",
        Key::Thing(ThingKey::IsAttached) => "the connection is not an MQTT connection",
        Key::Thing(_) if context.thing.is_none() => "the connection is not associated with a thing",
        Key::Thing(ThingKey::TypeName) => "the thing has no type",
        Key::Thing(_) => "the thing has no such attribute",
        Key::CertificateId => "there is no client certificate",
        Key::Certificate(_) if context.certificate.is_none() => "there is no client certificate",
        Key::Certificate(_) if context.fixed_values(key).is_some() => {
            "its value is a list, is too long, or contains one of * $ + ? #"
        }
        Key::Certificate(_) => "the certificate has none",
        Key::Iam(_) if context.iam.is_none() => "it exists in IAM policies only",
        Key::Iam(_) => "whoever signed has none",
        Key::Momentary(_) => "it has one only as a condition key, and only in the requests that it is about",
        Key::Unknown => "no such variable exists",
    }
}

fn silent(f: &mut fmt::Formatter<'_>, authorizer: &Authorizer, questions: &[Question<'_>]) -> fmt::Result {
    let action = questions.first().map_or("this action", |question| question.action);
    write!(f, "no Allow statement of")?;
    for (index, source) in authorizer.set().sources().iter().enumerate() {
        write!(f, "{}{}", if index == 0 { " " } else { ", " }, source.policy)?;
    }
    write!(f, " speaks of {action}")
}
