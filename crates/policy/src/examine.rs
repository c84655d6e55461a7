//! The slow and thorough way to decide: every statement that speaks of an action is asked, and answers why.
//!
//! It serves explanations and the TestAuthorization operation, and by going its own way it checks the fast one.

use std::collections::BTreeSet;

use identity::Arn;

use crate::condition::Condition;
use crate::key::KeyName;
use crate::resource::{Pattern, Resource};
use crate::set::Located;
use crate::values::Moment;
use crate::{Authorizer, ConnectionContext, Decision, Effect, Outcome, StatementMatch};

/// May this be done?
#[derive(Clone, Copy)]
pub(crate) struct Question<'a> {
    pub(crate) action: &'a str,
    /// `None` for actions without a resource: only `*` matches.
    pub(crate) arn: Option<Arn<'a>>,
    pub(crate) moment: Moment<'a>,
}

/// What a statement answers.
pub(crate) enum Finding<'a> {
    Applies(Matched<'a>),
    Misses(Miss<'a>),
}

/// The resource by which a statement applies.
pub(crate) enum Matched<'a> {
    Resource { text: &'a str, pattern: Pattern },
    NotResource(Vec<&'a str>),
}

/// Why a statement on the right action does not apply.
pub(crate) enum Miss<'a> {
    /// The resource matches, a condition does not.
    Condition { matched: Matched<'a>, condition: &'a Condition },
    /// A resource names a variable without value.
    Variable { text: &'a str, name: &'a KeyName, likeness: usize },
    /// NotResource covers the resource.
    Excluded { text: &'a str },
    /// No resource matches; this one comes nearest.
    Resource { text: &'a str, pattern: Pattern, likeness: usize },
}

impl Miss<'_> {
    /// How near it came.
    pub(crate) fn likeness(&self) -> usize {
        match self {
            Self::Condition { .. } => usize::MAX,
            Self::Excluded { .. } => usize::MAX - 1,
            Self::Variable { likeness, .. } | Self::Resource { likeness, .. } => *likeness,
        }
    }
}

/// Every statement on the action, in order, with its answer.
pub(crate) fn examine<'a>(
    authorizer: &'a Authorizer,
    question: &Question<'_>,
) -> Vec<(Located<'a>, Finding<'a>)> {
    let action = question.action.to_ascii_lowercase();
    let covering = authorizer.set().statements().filter(|located| located.statement.covers(&action));
    covering.map(|located| (located, find(located, authorizer.context(), question))).collect()
}

fn find<'a>(located: Located<'a>, context: &ConnectionContext, question: &Question<'_>) -> Finding<'a> {
    let statement = located.statement;
    let matched = match match_resources(located, context, question) {
        Ok(matched) => matched,
        Err(miss) => return Finding::Misses(miss),
    };
    let fails = |condition: &&Condition| {
        let values = context.values(&condition.key.key, &question.moment);
        !condition.settle(context, statement.effect).holds(values.as_ref())
    };
    match statement.conditions.iter().find(fails) {
        Some(condition) => Finding::Misses(Miss::Condition { matched, condition }),
        None => Finding::Applies(matched),
    }
}

fn match_resources<'a>(
    located: Located<'a>,
    context: &ConnectionContext,
    question: &Question<'_>,
) -> Result<Matched<'a>, Miss<'a>> {
    let statement = located.statement;
    let name = question.arn.map_or("*", |arn| arn.resource);
    let mut nearest: Option<Miss<'a>> = None;
    for resource in &statement.resources.of {
        let text = &*resource.text;
        let miss = match resource.resolve(context) {
            Ok(pattern) if pattern.covers(question.arn.as_ref()) => {
                return match statement.resources.negated {
                    true => Err(Miss::Excluded { text }),
                    false => Ok(Matched::Resource { text, pattern }),
                };
            }
            Ok(pattern) => Miss::Resource { text, likeness: pattern.likeness(name), pattern },
            Err(missing) => missing_variable(resource, missing, name),
        };
        let decisive = statement.needs_every_variable() && matches!(miss, Miss::Variable { .. });
        if decisive || nearest.as_ref().is_none_or(|best| best.likeness() < miss.likeness()) {
            nearest = Some(miss);
        }
        if decisive {
            break;
        }
    }
    match nearest {
        Some(miss @ Miss::Variable { .. }) if statement.needs_every_variable() => Err(miss),
        Some(miss) if !statement.resources.negated => Err(miss),
        _ => {
            Ok(Matched::NotResource(statement.resources.of.iter().map(|resource| &*resource.text).collect()))
        }
    }
}

/// A missing variable is nearer than all resources that do not match, if all before it matches.
fn missing_variable<'a>(resource: &'a Resource, name: &'a KeyName, wanted: &str) -> Miss<'a> {
    let (likeness, whole) = resource.likeness_before_variables(wanted);
    let likeness = if whole { likeness + usize::from(u16::MAX) } else { likeness };
    Miss::Variable { text: &resource.text, name, likeness }
}

/// The decision with all that took part in it.
pub(crate) fn decide(authorizer: &Authorizer, question: &Question<'_>) -> Decision {
    let findings = examine(authorizer, question);
    let matches = |effect| {
        let applying = findings.iter().filter(move |(located, _)| located.statement.effect == effect);
        applying.filter_map(|(located, finding)| match finding {
            Finding::Applies(matched) => Some(statement_match(located, matched)),
            Finding::Misses(_) => None,
        })
    };
    let allowed_by: Vec<_> = matches(Effect::Allow).collect();
    let denied_by: Vec<_> = matches(Effect::Deny).collect();
    let outcome = match (denied_by.is_empty(), allowed_by.is_empty()) {
        (false, _) => Outcome::ExplicitDeny,
        (true, false) => Outcome::Allowed,
        (true, true) => Outcome::ImplicitDeny,
    };
    let speaks =
        |policy: &identity::PolicyName| allowed_by.iter().chain(&denied_by).any(|m| m.policy == *policy);
    let silent = authorizer.set().sources().iter().map(|source| &source.policy).filter(|p| !speaks(p));
    Decision {
        outcome,
        silent: silent.cloned().collect(),
        missing_context: missing_context(authorizer, question, &findings),
        explanation: (outcome != Outcome::Allowed)
            .then(|| crate::explain::Explanation { authorizer, questions: &[*question] }.to_string()),
        allowed_by,
        denied_by,
    }
}

fn statement_match(located: &Located<'_>, matched: &Matched<'_>) -> StatementMatch {
    StatementMatch {
        policy: located.source.policy.clone(),
        version: located.source.version,
        statement: located.number,
        sid: located.statement.sid.as_deref().map(str::to_owned),
        resource: match matched {
            Matched::Resource { pattern, .. } => pattern.to_string(),
            Matched::NotResource(texts) => texts.join(", "),
        },
    }
}

fn missing_context(
    authorizer: &Authorizer,
    question: &Question<'_>,
    findings: &[(Located<'_>, Finding<'_>)],
) -> Vec<String> {
    let context = authorizer.context();
    let mut missing = BTreeSet::new();
    for (located, _) in findings {
        let statement = located.statement;
        let conditions = statement.conditions.iter();
        let variables = statement.resources.of.iter().flat_map(Resource::variables);
        let variables = variables.chain(conditions.clone().flat_map(Condition::variables));
        missing
            .extend(variables.filter(|name| context.variable(&name.key).is_none()).map(|name| &*name.text));
        let keys = conditions.map(|condition| &condition.key);
        let absent = keys.filter(|name| context.values(&name.key, &question.moment).is_none());
        missing.extend(absent.map(|name| &*name.text));
    }
    missing.into_iter().map(str::to_owned).collect()
}
