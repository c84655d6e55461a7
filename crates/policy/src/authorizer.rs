//! The policies of an identity, made ready for one connection: what is fixed is substituted once, and the five
//! actions that the broker asks for have their own short lists of patterns.

use std::fmt;
use std::sync::Arc;

use identity::{Arn, Site, Timestamp};
use smallvec::SmallVec;

use crate::condition::Settled;
use crate::decision::{Denial, DenialKind};
use crate::examine::Question;
use crate::glob::Glob;
use crate::key::{Key, MomentaryKey};
use crate::resource::Pattern;
use crate::set::{Asked, Kind, Located};
use crate::values::Moment;
use crate::{
    Action, Connect, ConnectFacts, ConnectionContext, Decision, Effect, Epoch, Outcome, Permit, PolicySet,
    Publish, Receive, RequestFacts, RetainPublish, Subscribe,
};

/// Decides for one connection. Cheap to ask: a decision neither locks nor allocates, a connect condition on
/// `iot:LastWillTopic` and shared names beyond 512 bytes excepted.
pub struct Authorizer {
    site: Arc<Site>,
    set: Arc<PolicySet>,
    context: ConnectionContext,
    epoch: Epoch,
    rules: Arc<Rules>,
    /// Whose policies these are, for reasons: where two have to allow, a denial says which did not.
    side: Option<Arc<str>>,
    /// Who has to allow as well.
    also: Box<[(Counts, Authorizer)]>,
}

/// For which actions a second authorizer counts; see [`Authorizer::and`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counts {
    /// For all: a session policy.
    Always,
    /// For those that AWS IoT policies govern even for an identity of Amazon Cognito: Connect, Publish, Subscribe,
    /// Receive, Get-, Update- and DeleteThingShadow. `iot:RetainPublish` goes with Publish.
    ForDevices,
}

impl Counts {
    fn covers(self, action: &str) -> bool {
        const DEVICES: [&str; 8] = [
            "iot:Connect",
            "iot:Publish",
            "iot:RetainPublish",
            "iot:Subscribe",
            "iot:Receive",
            "iot:GetThingShadow",
            "iot:UpdateThingShadow",
            "iot:DeleteThingShadow",
        ];
        self == Self::Always || DEVICES.iter().any(|name| name.eq_ignore_ascii_case(action))
    }
}

/// The statements that can decide on each action, in one row: a connection has its own, so it is as short as it can be.
pub(crate) struct Rules {
    /// By action, and of each first those that deny.
    row: Box<[Rule]>,
    /// Where in the row those of an action begin, where those that deny it end, and where those that allow it do.
    bounds: [[u32; 3]; Asked::COUNT],
    depends_on_time: bool,
}

impl Rules {
    /// Those that deny an action, and those that allow it.
    fn of(&self, asked: Asked) -> (&[Rule], &[Rule]) {
        let bounds = self.bounds.get(asked as usize).copied().unwrap_or_default();
        let [start, deny, allow] = bounds.map(|bound| bound as usize);
        (self.row.get(start..deny).unwrap_or_default(), self.row.get(deny..allow).unwrap_or_default())
    }

    fn new(set: &PolicySet, site: &Site, context: &ConnectionContext) -> Self {
        let mut buckets = <[[Vec<Rule>; 2]; Asked::COUNT]>::default();
        let mut depends_on_time = false;
        for located in set.statements() {
            let Some(conditions) = settle(&located, context) else { continue };
            depends_on_time |= conditions.iter().any(reads_the_clock);
            let conditions = (!conditions.is_empty()).then(|| conditions.into());
            let mut own = Own::default();
            for (asked, [deny, allow]) in Asked::ALL.into_iter().zip(&mut buckets) {
                let Some(names) = names(&located, asked, site, context, &mut own) else { continue };
                let negated = located.statement.resources.negated;
                let rule = Rule { negated, names, conditions: Option::clone(&conditions) };
                match located.statement.effect {
                    Effect::Allow => allow.push(rule),
                    Effect::Deny => deny.push(rule),
                }
            }
        }
        let mut end = 0;
        let mut after = |rules: usize| {
            end += rules;
            u32::try_from(end).unwrap_or(u32::MAX)
        };
        let bounds = buckets.each_ref().map(|[deny, allow]| [0, deny.len(), allow.len()].map(&mut after));
        Self { row: buckets.into_iter().flatten().flatten().collect(), bounds, depends_on_time }
    }
}

/// One statement as seen by one action.
#[derive(Clone)]
struct Rule {
    /// NotResource: it applies where no pattern matches.
    negated: bool,
    names: Arc<[Glob]>,
    /// Those that depend on the request.
    conditions: Option<Arc<[Settled]>>,
}

impl Authorizer {
    /// Substitutes the variables and settles the conditions that are fixed while the connection lasts.
    pub fn new(site: Arc<Site>, set: Arc<PolicySet>, context: ConnectionContext, epoch: Epoch) -> Self {
        let rules = set.rules(&site, || Arc::new(Rules::new(&set, &site, &context)));
        Self { site, set, context, epoch, rules, side: None, also: Box::default() }
    }

    /// The same, with a name for its policies that reads well after "by": reasons of denials begin with it.
    #[must_use]
    pub fn named(mut self, side: impl Into<Arc<str>>) -> Self {
        self.side = Some(side.into());
        self
    }

    /// Both must allow what `counts` says; everything else is decided as before. A denial carries the reason of the one
    /// that denied: of an explicit denial before an implicit one, else of the first.
    #[must_use]
    pub fn and(mut self, counts: Counts, other: Self) -> Self {
        self.also = std::mem::take(&mut self.also).into_iter().chain([(counts, other)]).collect();
        self
    }

    /// The name of its policies.
    pub(crate) fn side(&self) -> Option<&str> {
        self.side.as_deref()
    }

    /// The epoch that its permits carry.
    pub fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// What it was made for.
    pub fn context(&self) -> &ConnectionContext {
        &self.context
    }

    /// The policies behind it.
    pub fn set(&self) -> &Arc<PolicySet> {
        &self.set
    }

    /// The site whose resources it decides on.
    pub fn site(&self) -> &Arc<Site> {
        &self.site
    }

    /// True if some statement has a condition on the time of day: then a decision must not be cached.
    pub fn depends_on_time(&self) -> bool {
        self.rules.depends_on_time || self.also.iter().any(|(_, other)| other.depends_on_time())
    }

    /// `iot:Connect` on `client/CLIENT_ID`. A Will also needs [`publish`](Self::publish), and
    /// [`retain_publish`](Self::retain_publish) with RETAIN.
    pub fn connect<'a>(
        &'a self,
        client_id: &'a str,
        facts: ConnectFacts<'a>,
        now: Timestamp,
    ) -> Result<Permit<Connect>, Denial<'a>> {
        self.ask(Asked::Connect, client_id, Some(facts), now)
    }

    /// `iot:Publish` on `topic/TOPIC`.
    pub fn publish<'a>(&'a self, topic: &'a str, now: Timestamp) -> Result<Permit<Publish>, Denial<'a>> {
        self.ask(Asked::Publish, topic, None, now)
    }

    /// `iot:RetainPublish` on `topic/TOPIC`; `iot:Publish` is needed too.
    pub fn retain_publish<'a>(
        &'a self,
        topic: &'a str,
        now: Timestamp,
    ) -> Result<Permit<RetainPublish>, Denial<'a>> {
        self.ask(Asked::RetainPublish, topic, None, now)
    }

    /// `iot:Subscribe` on `topicfilter/FILTER`, the filter spelled as sent, `$share/...` included.
    pub fn subscribe<'a>(&'a self, filter: &'a str, now: Timestamp) -> Result<Permit<Subscribe>, Denial<'a>> {
        self.ask(Asked::Subscribe, filter, None, now)
    }

    /// `iot:Receive` on `topic/TOPIC`.
    pub fn receive<'a>(&'a self, topic: &'a str, now: Timestamp) -> Result<Permit<Receive>, Denial<'a>> {
        self.ask(Asked::Receive, topic, None, now)
    }

    /// `iot:Receive` for a delivery to a shared subscription: allowed on `topic/TOPIC` or on
    /// `topic/$share/NAME/TOPIC`, and denied if either is denied explicitly. Which of the two AWS asks for is not
    /// documented; see [`UNCONFIRMED`](crate::UNCONFIRMED).
    pub fn receive_shared<'a>(
        &'a self,
        share_name: &'a str,
        topic: &'a str,
        now: Timestamp,
    ) -> Result<Permit<Receive>, Denial<'a>> {
        let moment = self.moment(None, now);
        let mut long: SmallVec<[u8; 512]> = SmallVec::new();
        for part in ["$share/", share_name, "/", topic] {
            long.extend_from_slice(part.as_bytes());
        }
        // Always UTF-8, being made of it.
        let shared = std::str::from_utf8(&long).unwrap_or(topic);
        let verdict = |side: &Self| {
            let ask = |name| side.verdict(Asked::Receive, name, &moment);
            match [ask(topic), ask(shared)] {
                [Outcome::ExplicitDeny, _] | [_, Outcome::ExplicitDeny] => Outcome::ExplicitDeny,
                [Outcome::ImplicitDeny, Outcome::ImplicitDeny] => Outcome::ImplicitDeny,
                _ => Outcome::Allowed,
            }
        };
        let (side, kind) = match self.joint(Receive::NAME, &verdict) {
            (_, Outcome::Allowed) => return Ok(Permit::new(self.epoch)),
            (side, Outcome::ExplicitDeny) => (side, DenialKind::Explicit),
            (side, Outcome::ImplicitDeny) => (side, DenialKind::Implicit),
        };
        let denial = side.denial(Asked::Receive, Receive::NAME, kind, topic);
        Err(Denial { share_name: Some(share_name), now, ..denial })
    }

    /// Any action on any resource of this site, with the reasons: `decide("iot:GetThingShadow", "thing", "T1", ..)`.
    /// [`ConnectFacts`] count for `iot:Connect` only.
    pub fn decide<'a>(
        &self,
        action: &str,
        kind: &str,
        name: &str,
        facts: impl Into<RequestFacts<'a>>,
        now: Timestamp,
    ) -> Decision {
        self.decide_arn(action, &self.site.arn(kind, name), facts, now)
    }

    /// The same on a resource given as a full ARN, or on `*` for actions without a resource.
    pub fn decide_arn<'a>(
        &self,
        action: &str,
        arn: &str,
        facts: impl Into<RequestFacts<'a>>,
        now: Timestamp,
    ) -> Decision {
        let connects = action.eq_ignore_ascii_case(Connect::NAME);
        let request = Some(facts.into()).filter(|it| connects == matches!(it, RequestFacts::Connect(_)));
        let question = Question { action, arn: Arn::parse(arn).ok(), moment: self.moment(request, now) };
        self.decide_jointly(&question)
    }

    fn decide_jointly(&self, question: &Question<'_>) -> Decision {
        let others = self.also.iter().filter(|(counts, _)| counts.covers(question.action));
        let own = crate::examine::decide(self, question);
        others.fold(own, |one, (_, other)| one.and(other.decide_jointly(question)))
    }

    /// The worst verdict of all who have to allow, and the first of them who gave it.
    fn joint<'a>(&'a self, action: &str, verdict: &impl Fn(&Self) -> Outcome) -> (&'a Self, Outcome) {
        let mut worst = (self, verdict(self));
        for (_, other) in self.also.iter().filter(|(counts, _)| counts.covers(action)) {
            let theirs = other.joint(action, verdict);
            if theirs.1.severity() > worst.1.severity() {
                worst = theirs;
            }
        }
        worst
    }

    pub(crate) fn moment<'a>(&'a self, request: Option<RequestFacts<'a>>, now: Timestamp) -> Moment<'a> {
        Moment { site: &self.site, request, now }
    }

    fn ask<'a, A: Action>(
        &'a self,
        asked: Asked,
        name: &'a str,
        connect: Option<ConnectFacts<'a>>,
        now: Timestamp,
    ) -> Result<Permit<A>, Denial<'a>> {
        let moment = self.moment(connect.map(RequestFacts::Connect), now);
        let (side, kind) = match self.joint(A::NAME, &|side| side.verdict(asked, name, &moment)) {
            (_, Outcome::Allowed) => return Ok(Permit::new(self.epoch)),
            (side, Outcome::ExplicitDeny) => (side, DenialKind::Explicit),
            (side, Outcome::ImplicitDeny) => (side, DenialKind::Implicit),
        };
        Err(Denial { connect, now, ..side.denial(asked, A::NAME, kind, name) })
    }

    fn denial<'a>(
        &'a self,
        asked: Asked,
        action: &'static str,
        kind: DenialKind,
        name: &'a str,
    ) -> Denial<'a> {
        let resource_kind = asked.kind().name();
        let (connect, share_name, now) = (None, None, Timestamp(0));
        Denial { authorizer: self, action, kind, resource_kind, name, share_name, connect, now }
    }

    fn verdict(&self, asked: Asked, name: &str, moment: &Moment<'_>) -> Outcome {
        let (deny, allow) = self.rules.of(asked);
        if deny.iter().any(|rule| rule.applies(name, moment)) {
            return Outcome::ExplicitDeny;
        }
        match allow.iter().any(|rule| rule.applies(name, moment)) {
            true => Outcome::Allowed,
            false => Outcome::ImplicitDeny,
        }
    }
}

impl Rule {
    fn applies(&self, name: &str, moment: &Moment<'_>) -> bool {
        self.names.iter().any(|glob| glob.matches(name)) != self.negated
            && self.conditions.iter().flat_map(|conditions| conditions.iter()).all(|c| holds_now(c, moment))
    }
}

fn holds_now(condition: &Settled, moment: &Moment<'_>) -> bool {
    match condition.key {
        Key::Momentary(key) => condition.holds(moment.values(key).as_ref()),
        _ => false,
    }
}

fn reads_the_clock(condition: &Settled) -> bool {
    matches!(condition.key, Key::Momentary(MomentaryKey::CurrentTime | MomentaryKey::EpochTime))
}

/// The conditions that depend on the request; nothing if one that does not is false.
fn settle(located: &Located<'_>, context: &ConnectionContext) -> Option<Vec<Settled>> {
    let mut open = Vec::new();
    for condition in &located.statement.conditions {
        let settled = condition.settle(context, located.statement.effect);
        match &settled.key {
            Key::Momentary(_) => open.push(settled),
            fixed if settled.holds(context.fixed_values(fixed).as_ref()) => {}
            _ => return None,
        }
    }
    Some(open)
}

/// A statement's resources, resolved for one connection, and the patterns made of them.
#[derive(Default)]
struct Own {
    /// Nothing inside if the lack of a variable forbids the statement to apply.
    resolved: Option<Option<Vec<Pattern>>>,
    /// By [`Kind`]: several actions may ask for the same.
    names: [Option<Arc<[Glob]>>; Kind::COUNT],
}

/// The patterns for names by which a statement decides on an action; nothing if it cannot apply. `own` keeps what the
/// next action of the same statement needs as well.
fn names(
    located: &Located<'_>,
    asked: Asked,
    site: &Site,
    context: &ConnectionContext,
    own: &mut Own,
) -> Option<Arc<[Glob]>> {
    if !located.entry.covers(asked) {
        return None;
    }
    let negated = located.statement.resources.negated;
    let names = match located.entry.shared_names(site, asked.kind()) {
        Some(shared) => shared,
        None => {
            let patterns = own.resolved.get_or_insert_with(|| resolve(located, site, context)).as_ref()?;
            let kind = asked.kind();
            let made = || patterns.iter().flat_map(|pattern| pattern.names(kind.prefix())).collect();
            own.names.get_mut(kind as usize)?.get_or_insert_with(made).clone()
        }
    };
    (negated || !names.is_empty()).then_some(names)
}

/// The resources of the site that have all their variables; nothing if the lack of one forbids the statement to
/// apply at all.
fn resolve(located: &Located<'_>, site: &Site, context: &ConnectionContext) -> Option<Vec<Pattern>> {
    let statement = located.statement;
    let mut patterns = Vec::with_capacity(statement.resources.of.len());
    for resource in &statement.resources.of {
        match resource.resolve(context) {
            Ok(pattern) if pattern.is_of(site) => patterns.push(pattern),
            Err(_) if statement.needs_every_variable() => return None,
            Ok(_) | Err(_) => {}
        }
    }
    Some(patterns)
}

impl fmt::Debug for Rules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = |asked| (self.of(asked).0.len(), self.of(asked).1.len());
        f.debug_list().entries(Asked::ALL.map(count)).finish()
    }
}

impl fmt::Debug for Authorizer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authorizer")
            .field("epoch", &self.epoch)
            .field("context", &self.context)
            .field("rules", &self.rules)
            .finish_non_exhaustive()
    }
}
