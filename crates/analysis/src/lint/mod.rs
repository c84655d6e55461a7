//! Lint: what is wrong, or more open than it looks, in one policy document.
//!
//! Each finding has a place, a reason, a fix and, where harm can be shown, a witness that the broker's engine confirmed.

mod audit;
mod limits;
mod probe;
mod statements;
mod trial;
mod whole;

use policy::{Document, MalformedPolicy, Origin, Outline, Position, Source};

use crate::ask::Analyst;
use crate::cohort::Cohort;

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Worth knowing.
    Note,
    /// Probably not meant.
    Medium,
    /// Open to others, or without the effect it seems to have.
    High,
    /// Open to everybody, or no policy at all.
    Critical,
}

impl Severity {
    /// The word that stands for it in arguments and answers.
    pub fn name(self) -> &'static str {
        match self {
            Self::Note => "note",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }
}

/// A rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rule {
    /// A stable name.
    pub id: &'static str,
    /// How bad it is to break it.
    pub severity: Severity,
    /// What it says.
    pub title: &'static str,
    /// The reason code of AWS IoT Device Defender's audit, if it is one of its criteria.
    pub audit: Option<&'static str>,
}

/// A broken rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Which rule.
    pub rule: Rule,
    /// Where in the document.
    pub at: Position,
    /// The statement, from 1; none if it is about the whole document.
    pub statement: Option<usize>,
    /// Why.
    pub reason: String,
    /// Concrete names that show it.
    pub witness: Option<String>,
    /// What to do.
    pub fix: String,
}

const fn rule(id: &'static str, severity: Severity, title: &'static str) -> Rule {
    Rule { id, severity, title, audit: None }
}

const fn audit(id: &'static str, severity: Severity, title: &'static str, code: &'static str) -> Rule {
    Rule { id, severity, title, audit: Some(code) }
}

/// Every rule by its name; the table of docs and of SARIF.
pub mod rules {
    use super::{Rule, Severity, audit, rule};

    macro_rules! rules {
        ($($name:ident = $rule:expr;)*) => {
            $(#[doc = "A rule of the lint."] pub const $name: Rule = $rule;)*
            /// All of them.
            pub const ALL: &[Rule] = &[$($name),*];
        };
    }

    rules! {
        MALFORMED = rule("malformed", Severity::Critical, "The document cannot be a policy");
        TOO_LARGE = rule("too-large", Severity::Critical, "The document has more characters than a policy may have");
        NO_VARIABLES = rule("version-without-variables", Severity::High, "Variables need Version 2012-10-17");
        BROAD = audit("broad-access", Severity::Critical, "Broad access to data plane actions", "ALLOWS_BROAD_ACCESS_TO_IOT_DATA_PLANE_ACTIONS");
        DENY_WILDCARD = audit("deny-mqtt-wildcard", Severity::Medium, "A Deny names a filter with + or # and denies only that spelling", "POLICY_CONTAINS_MQTT_WILDCARDS_IN_DENY_STATEMENT");
        DENY_BYPASSED = audit("deny-bypassed", Severity::Medium, "A denied topic is received through a wildcard subscription", "TOPIC_FILTERS_INTENDED_TO_DENY_ALLOWED_USING_WILDCARDS");
        LITERAL_WILDCARD = rule("mqtt-wildcard-literal", Severity::High, "+ and # are ordinary characters in a resource");
        WRONG_KIND = rule("wrong-resource-kind", Severity::High, "The resource is of a kind that none of the actions is decided on");
        FOREIGN = rule("foreign-arn", Severity::High, "The ARN is of another partition, Region or account");
        UNRESOLVABLE = rule("unresolvable-variable", Severity::High, "The variable never has a value");
        UNKNOWN_ACTION = rule("unknown-action", Severity::Medium, "The action does not exist");
        NEVER_APPLIES = rule("never-applies", Severity::High, "The statement allows nothing");
        CROSSES_LEVELS = rule("crosses-levels", Severity::Medium, "A wildcard between slashes also matches slashes");
        CHOSEN_BY_CLIENT = rule("client-chosen-variable", Severity::High, "A client can choose a value with +, # or /");
        ATTRIBUTE_WILDCARD = rule("attribute-variable", Severity::Note, "A thing attribute may contain / and #");
        NOT_RESOURCE = rule("allow-not-resource", Severity::Medium, "Allow with NotResource allows everything else");
        NOT_ACTION = rule("allow-not-action", Severity::Medium, "Allow with NotAction allows every other action");
        NO_CONNECT = rule("no-connect", Severity::Note, "No statement allows Connect");
        OPEN_RECEIVE = rule("receive-without-limits", Severity::Medium, "Subscribe is limited by a wildcard, Receive is not limited to match");
        EXACT_WILDCARD = rule("mqtt-wildcard-exact", Severity::Note, "+ and # allow one spelling only, not what the filter matches");
        NO_RECEIVE = rule("subscribe-without-receive", Severity::Medium, "Subscriptions are granted, messages are not");
        NO_SUBSCRIBE = rule("receive-without-subscribe", Severity::Note, "Messages are granted, subscriptions are not");
        RETAIN_ALONE = rule("retain-without-publish", Severity::Medium, "RetainPublish needs Publish on the same topics");
        NO_RETAIN = rule("no-retain-publish", Severity::Note, "A message with RETAIN needs iot:RetainPublish");
        WILL = rule("will-without-publish", Severity::Medium, "A Will needs Publish on its topic");
        CLIENT_ID_FORM = rule("client-id-form", Severity::Medium, "Client ids are allowed for which thing variables have no value");
        FLEET_LEAK = rule("fleet-leak", Severity::High, "A device receives what other devices publish on their own topics");
        UNDECIDED = rule("undecided", Severity::Medium, "Something could not be decided");
    }
}

/// What the rules look at.
pub(crate) struct Subject<'s> {
    pub(crate) analyst: &'s Analyst<'s>,
    pub(crate) text: &'s str,
    pub(crate) document: &'s Document,
    pub(crate) outline: Outline,
    pub(crate) cohort: Cohort,
    pub(crate) trial: Option<trial::Trial>,
}

impl Analyst<'_> {
    /// Checks one document. Bounded by the document's size and the analyst's budget.
    pub fn lint(&self, text: &str) -> Vec<Finding> {
        let document = match Document::parse(text) {
            Ok(document) => std::sync::Arc::new(document),
            Err(fault) => return vec![malformed(&fault)],
        };
        let policy = match identity::PolicyName::new("policy") {
            Ok(policy) => policy,
            Err(_) => return Vec::new(),
        };
        let source = Source { policy, version: 1, origin: Origin::Certificate, document: document.clone() };
        let mut subject = Subject {
            analyst: self,
            text,
            document: &document,
            outline: Outline::read(text).unwrap_or_default(),
            cohort: Cohort::new("device", vec![source]),
            trial: None,
        };
        subject.trial = Some(trial::Trial::of(&subject));
        let mut findings = statements::check(&subject);
        findings.extend(audit::check(&subject));
        findings.extend(limits::check(&subject));
        findings.extend(whole::check(&subject));
        findings.sort_by_key(|finding| (finding.at.line, finding.at.column));
        findings
    }
}

fn malformed(fault: &MalformedPolicy) -> Finding {
    let (rule, fix) = match fault.too_long {
        true => (rules::TOO_LARGE, "Divide it into several policies: a certificate may have ten."),
        false => {
            (rules::MALFORMED, "Mend the document: CreatePolicy refuses it with MalformedPolicyException.")
        }
    };
    Finding {
        rule,
        at: fault.at.unwrap_or(Position { line: 1, column: 1 }),
        statement: None,
        reason: fault.detail.clone(),
        witness: None,
        fix: fix.into(),
    }
}

impl Subject<'_> {
    /// What a trial shows; nothing if it shows something else than a rule claims.
    pub(crate) fn tried(&self, ask: impl FnOnce(&trial::Trial) -> Option<String>) -> Option<String> {
        self.trial.as_ref().and_then(ask)
    }

    /// A name that a pattern matches for the device of the trials.
    pub(crate) fn example(&self, pieces: &[policy::Piece<'_>]) -> String {
        self.trial.as_ref().map(|trial| trial.name(pieces)).unwrap_or_default()
    }

    /// A finding at a resource of a statement.
    pub(crate) fn at_resource(
        &self,
        rule: Rule,
        statement: usize,
        resource: usize,
        reason: String,
    ) -> Finding {
        let outlined = self.outline.statements.get(statement - 1);
        let at = outlined.and_then(|s| s.resources.get(resource)).map(|r| r.at);
        Finding {
            at: at.unwrap_or_else(|| self.start_of(statement)),
            ..self.at_statement(rule, statement, reason)
        }
    }

    /// A finding at an action of a statement.
    pub(crate) fn at_action(&self, rule: Rule, statement: usize, action: usize, reason: String) -> Finding {
        let outlined = self.outline.statements.get(statement - 1);
        let at = outlined.and_then(|s| s.actions.get(action)).map(|a| a.at);
        Finding {
            at: at.unwrap_or_else(|| self.start_of(statement)),
            ..self.at_statement(rule, statement, reason)
        }
    }

    /// A finding at a statement.
    pub(crate) fn at_statement(&self, rule: Rule, statement: usize, reason: String) -> Finding {
        Finding {
            rule,
            at: self.start_of(statement),
            statement: Some(statement),
            reason,
            witness: None,
            fix: String::new(),
        }
    }

    /// A finding about the document, shown at the first statement that speaks of an action.
    pub(crate) fn at_action_of(&self, rule: Rule, action: &str, reason: String) -> Finding {
        let speaks = self.document.views().find(|view| view.covers(action));
        self.at_statement(rule, speaks.map_or(1, |view| view.number()), reason)
    }

    fn start_of(&self, statement: usize) -> Position {
        let outlined = self.outline.statements.get(statement.saturating_sub(1));
        outlined.map_or(Position { line: 1, column: 1 }, |statement| statement.at)
    }
}

impl Finding {
    pub(crate) fn fix(self, fix: impl Into<String>) -> Self {
        Self { fix: fix.into(), ..self }
    }

    pub(crate) fn witness(self, witness: impl Into<String>) -> Self {
        Self { witness: Some(witness.into()), ..self }
    }

    /// With a witness if there is one.
    pub(crate) fn shown_by(self, witness: Option<String>) -> Self {
        Self { witness, ..self }
    }
}
