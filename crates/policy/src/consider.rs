//! Every statement with its answer to one question: for a person who wants to see all of it.

use identity::{Arn, PolicyName, Timestamp};

use crate::examine::{Finding, Question, examine};
use crate::explain::Answer;
use crate::{Action, Authorizer, Connect, ConnectFacts, Effect};

/// One statement and what it says to a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Considered {
    /// The policy it stands in.
    pub policy: PolicyName,
    /// The version of that policy.
    pub version: u32,
    /// Its place in the document, from 1.
    pub statement: usize,
    /// Its Sid.
    pub sid: Option<String>,
    /// Allow or Deny.
    pub effect: Effect,
    /// Whether it applies.
    pub applies: bool,
    /// The resource that matched, or why it does not apply, variables resolved.
    pub why: String,
    /// How near it came, if it speaks of the action and does not apply: the greater the nearer.
    pub nearness: Option<usize>,
}

impl Authorizer {
    /// Every statement, in order, with its answer to an action on a resource given as a full ARN. Policies that have to
    /// allow as well are not looked at.
    pub fn consider(
        &self,
        action: &str,
        arn: &str,
        facts: ConnectFacts<'_>,
        now: Timestamp,
    ) -> Vec<Considered> {
        let connect = action.eq_ignore_ascii_case(Connect::NAME).then_some(facts);
        let question =
            Question { action, arn: Arn::parse(arn).ok(), moment: self.moment(connect.map(Into::into), now) };
        let findings = examine(self, &question);
        let mut considered = Vec::new();
        for located in self.set().statements() {
            let same = |other: &crate::set::Located<'_>| std::ptr::eq(other.entry, located.entry);
            let finding = findings.iter().find(|(other, _)| same(other)).map(|(_, finding)| finding);
            let why = match finding {
                Some(finding) => Answer { authorizer: self, finding, question: &question }.to_string(),
                None => format!("(it does not speak of {action})"),
            };
            considered.push(Considered {
                policy: located.source.policy.clone(),
                version: located.source.version,
                statement: located.number,
                sid: located.statement.sid.as_deref().map(str::to_owned),
                effect: located.statement.effect,
                applies: matches!(finding, Some(Finding::Applies(_))),
                nearness: match finding {
                    Some(Finding::Misses(miss)) => Some(miss.likeness()),
                    _ => None,
                },
                why,
            });
        }
        considered
    }
}
