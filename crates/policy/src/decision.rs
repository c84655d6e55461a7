//! The outcome of a question to the policies, with its reasons.

use std::fmt;

use identity::{PolicyName, Timestamp};

use crate::examine::Question;
use crate::explain::explain;
use crate::{Authorizer, ConnectFacts, Remedy, RequestFacts};

/// The names are those of the TestAuthorization operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// An Allow applies and no Deny.
    Allowed,
    /// A Deny applies.
    ExplicitDeny,
    /// No statement applies.
    ImplicitDeny,
}

impl Outcome {
    /// `ALLOWED`, `EXPLICIT_DENY` or `IMPLICIT_DENY`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Allowed => "ALLOWED",
            Self::ExplicitDeny => "EXPLICIT_DENY",
            Self::ImplicitDeny => "IMPLICIT_DENY",
        }
    }

    /// The order in which verdicts win where several have to allow.
    pub(crate) fn severity(self) -> u8 {
        match self {
            Self::Allowed => 0,
            Self::ImplicitDeny => 1,
            Self::ExplicitDeny => 2,
        }
    }
}

/// Why a [`Denial`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DenialKind {
    /// A Deny statement applies.
    Explicit,
    /// No statement applies.
    Implicit,
}

/// A refusal. It borrows from authorizer and request, so that making one costs nothing; `Display` works out and
/// writes the reason, to be read after "... may not iot:Publish on topic/x: ".
#[derive(Clone, Copy)]
pub struct Denial<'a> {
    pub(crate) authorizer: &'a Authorizer,
    pub(crate) action: &'static str,
    pub(crate) kind: DenialKind,
    pub(crate) resource_kind: &'static str,
    pub(crate) name: &'a str,
    /// For a delivery to a shared subscription.
    pub(crate) share_name: Option<&'a str>,
    pub(crate) connect: Option<ConnectFacts<'a>>,
    pub(crate) now: Timestamp,
}

impl<'a> Denial<'a> {
    /// What would have allowed it: which statement of which policy to change, and how.
    pub fn remedy(&self) -> Remedy<'a> {
        Remedy(*self)
    }

    /// The action's name, `iot:Publish` for instance.
    pub fn action(&self) -> &'static str {
        self.action
    }

    /// Explicit or implicit.
    pub fn kind(&self) -> DenialKind {
        self.kind
    }

    /// `client`, `topic` or `topicfilter`.
    pub fn resource_kind(&self) -> &'static str {
        self.resource_kind
    }

    /// The client id, topic or filter that was refused.
    pub fn resource_name(&self) -> &str {
        self.name
    }

    /// The ARN that would have had to be allowed.
    pub fn arn(&self) -> String {
        self.authorizer.site().arn(self.resource_kind, self.name)
    }
}

impl fmt::Display for Denial<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let moment = self.authorizer.moment(self.connect.map(RequestFacts::Connect), self.now);
        let arn = |name: &str| self.authorizer.site().arn(self.resource_kind, name);
        let plain = arn(self.name);
        let shared = self.share_name.map(|share| arn(&format!("$share/{share}/{}", self.name)));
        let question = |arn| Question { action: self.action, arn: identity::Arn::parse(arn).ok(), moment };
        let questions = std::iter::once(plain.as_str()).chain(shared.as_deref()).map(question);
        explain(f, self.authorizer, &questions.collect::<Vec<_>>())
    }
}

impl fmt::Debug for Denial<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Denial({} on {}/{}: {self})", self.action, self.resource_kind, self.name)
    }
}

/// A statement that applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatementMatch {
    /// The policy it stands in.
    pub policy: PolicyName,
    /// The version of that policy.
    pub version: u32,
    /// Its place in the document, from 1.
    pub statement: usize,
    /// Its Sid.
    pub sid: Option<String>,
    /// The pattern that matched, after substitution; for NotResource, the patterns that did not.
    pub resource: String,
}

/// A decision with all that took part in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// The verdict.
    pub outcome: Outcome,
    /// The Allow statements that applied, even if a Deny overruled them.
    pub allowed_by: Vec<StatementMatch>,
    /// The Deny statements that applied.
    pub denied_by: Vec<StatementMatch>,
    /// The policies of which no statement applied.
    pub silent: Vec<PolicyName>,
    /// Names of variables and keys that statements on this action asked for and that have no value.
    pub missing_context: Vec<String>,
    /// For a denial, the sentence that [`Denial`] would give.
    pub explanation: Option<String>,
}

impl Decision {
    /// Where both have to allow: the worse verdict with its reason, and all that took part in either.
    pub(crate) fn and(mut self, other: Self) -> Self {
        if other.outcome.severity() > self.outcome.severity() {
            (self.outcome, self.explanation) = (other.outcome, other.explanation);
        }
        self.allowed_by.extend(other.allowed_by);
        self.denied_by.extend(other.denied_by);
        self.silent.extend(other.silent);
        self.missing_context.extend(other.missing_context);
        self
    }
}
