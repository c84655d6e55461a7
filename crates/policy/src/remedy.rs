//! The way out of a denial: which statement of which policy to change, and how.

use std::fmt;

use crate::examine::{Finding, Matched, Miss, Question, examine};
use crate::explain::{Name, short};
use crate::set::Located;
use crate::{Authorizer, Denial, Effect};

/// What would have allowed it, in words: "add arn:... to the Resource of statement 2 of policy P". Worked out when it is
/// written.
#[derive(Clone, Copy)]
pub struct Remedy<'a>(pub(crate) Denial<'a>);

impl fmt::Display for Remedy<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let denial = &self.0;
        let arn = denial.arn();
        let question = Question {
            action: denial.action,
            arn: identity::Arn::parse(&arn).ok(),
            moment: denial.authorizer.moment(denial.connect.map(Into::into), denial.now),
        };
        advise(f, denial.authorizer, &question, &arn)
    }
}

fn advise(
    f: &mut fmt::Formatter<'_>,
    authorizer: &Authorizer,
    question: &Question<'_>,
    arn: &str,
) -> fmt::Result {
    let side = authorizer.side().map(|side| format!(" of {side}")).unwrap_or_default();
    if authorizer.set().is_empty() {
        return write!(f, "attach a policy that allows {} on {arn} to the principal{side}", question.action);
    }
    let mut nearest: Option<(Located<'_>, Miss<'_>)> = None;
    for (located, finding) in examine(authorizer, question) {
        match (located.statement.effect, finding) {
            (Effect::Deny, Finding::Applies(matched)) => return undeny(f, authorizer, located, &matched),
            (Effect::Allow, Finding::Misses(miss))
                if nearest.as_ref().is_none_or(|(_, best)| best.likeness() < miss.likeness()) =>
            {
                nearest = Some((located, miss));
            }
            _ => {}
        }
    }
    match nearest {
        Some((located, miss)) => mend(f, authorizer, located, &miss, arn),
        None => add(f, authorizer, question.action, arn),
    }
}

/// No Deny can be overruled: it has to be narrowed.
fn undeny(
    f: &mut fmt::Formatter<'_>,
    authorizer: &Authorizer,
    located: Located<'_>,
    matched: &Matched<'_>,
) -> fmt::Result {
    match matched {
        Matched::Resource { text, .. } => {
            write!(
                f,
                "narrow or remove {} in {}: it denies, and no Allow overrules it",
                short(authorizer, text),
                Name(located)
            )
        }
        Matched::NotResource(_) => {
            write!(
                f,
                "add the resource to the NotResource of {}: it denies, and no Allow overrules it",
                Name(located)
            )
        }
    }
}

fn mend(
    f: &mut fmt::Formatter<'_>,
    authorizer: &Authorizer,
    located: Located<'_>,
    miss: &Miss<'_>,
    arn: &str,
) -> fmt::Result {
    let name = Name(located);
    match miss {
        Miss::Condition { condition, .. } => {
            write!(f, "let the client fulfil the condition {condition} of {name}, or change the condition")
        }
        Miss::Variable { text, name: variable, .. } => write!(
            f,
            "give {} a value (for iot:Connection.Thing.*: attach the certificate to the thing and use the thing's name as client id), \
             or write {arn} instead of {} in {name}",
            variable.text,
            short(authorizer, text)
        ),
        Miss::Excluded { text } => {
            write!(f, "take {} out of the NotResource of {name}", short(authorizer, text))
        }
        Miss::Resource { .. } => write!(f, "add {arn} to the Resource of {name}"),
    }
}

/// No statement speaks of the action: a whole one is needed.
fn add(f: &mut fmt::Formatter<'_>, authorizer: &Authorizer, action: &str, arn: &str) -> fmt::Result {
    f.write_str("add to policy ")?;
    for (index, source) in authorizer.set().sources().iter().enumerate() {
        write!(f, "{}{}", if index == 0 { "" } else { " or " }, source.policy)?;
    }
    write!(f, r#" the statement {{"Effect":"Allow","Action":"{action}","Resource":"{arn}"}}"#)
}
