//! Answers, and the proof by example: concrete connections that the broker's own engine lets do what is claimed.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use identity::{Site, Timestamp};
use mqtt::TopicFilter;
use policy::{Authorizer, ConditionView, ConnectFacts, Document, Effect, Epoch, PolicySet};

use crate::cohort::{Association, CLIENT_ID, Cohort, THING_NAME, context};
use crate::search::Found;
use crate::world::Assumed;

/// The answer to a question about sets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It can be, and this is how: checked against the engine that the broker uses.
    Yes(Box<Witness>),
    /// It cannot be: proved for all topics, filters and client ids within the quotas.
    No,
    /// Neither could be shown; says why. To be treated as a yes.
    Unknown(String),
}

impl Answer {
    /// The witness of a yes.
    pub fn witness(&self) -> Option<&Witness> {
        match self {
            Self::Yes(witness) => Some(witness),
            Self::No | Self::Unknown(_) => None,
        }
    }

    /// `yes`, `no` or `unknown`.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Yes(_) => "yes",
            Self::No => "no",
            Self::Unknown(_) => "unknown",
        }
    }

    /// A yes of either is a yes, and only two proofs make a no.
    #[must_use]
    pub fn or(self, other: impl FnOnce() -> Self) -> Self {
        match self {
            Self::Yes(_) => self,
            Self::No => other(),
            Self::Unknown(why) => match other() {
                yes @ Self::Yes(_) => yes,
                Self::No | Self::Unknown(_) => Self::Unknown(why),
            },
        }
    }
}

/// What shows that something can be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Witness {
    /// The connections that take part: the one that reads or acts first.
    pub devices: Vec<WitnessDevice>,
    /// The filter that is subscribed to.
    pub filter: Option<String>,
    /// The topic, client id or name that it is about.
    pub name: String,
}

/// One connection of a witness.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WitnessDevice {
    /// The principal's name.
    pub principal: String,
    /// With which it connects.
    pub client_id: String,
    /// How it stands to a thing.
    pub association: Association,
    /// The thing's name, if it matters.
    pub thing: Option<String>,
    /// Further values, by name: attributes, certificate fields, addresses.
    pub values: BTreeMap<String, String>,
}

impl fmt::Display for WitnessDevice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "client id {:?}", self.client_id)?;
        match (self.association, &self.thing) {
            (Association::Attached, _) => f.write_str(" (also its thing's name)")?,
            (Association::Exclusive, Some(thing)) => write!(f, " of thing {thing:?}")?,
            _ => {}
        }
        self.values.iter().try_for_each(|(name, value)| write!(f, ", {name} {value:?}"))
    }
}

/// A connection with its decisions.
pub(crate) struct Actor {
    authorizer: Authorizer,
    pub(crate) shown: WitnessDevice,
    now: Timestamp,
}

impl Actor {
    /// Nothing if the values are impossible.
    pub(crate) fn stand(
        site: &Site,
        principal: &Cohort,
        association: Association,
        values: &BTreeMap<String, String>,
        assumed: &Assumed,
        now: Timestamp,
    ) -> Option<Self> {
        let documents: Vec<&Document> = principal.documents().collect();
        let effects: BTreeMap<String, Effect> = conditions(&documents);
        let met = |condition: ConditionView<'_>| {
            let text = condition.to_string();
            assumed.get(&text).copied().unwrap_or(effects.get(&text) == Some(&Effect::Allow))
        };
        let context = context(&documents, association, values, &met)?;
        let set = Arc::new(PolicySet::compile(principal.sources.clone()));
        let client_id = values.get(CLIENT_ID)?.clone();
        let thing = context.thing.as_ref().map(|thing| thing.name.to_string());
        let further = values.iter().filter(|(name, _)| !matches!(name.as_str(), CLIENT_ID | THING_NAME));
        let values = further.map(|(name, value)| (name.clone(), value.clone())).collect();
        let shown =
            WitnessDevice { principal: principal.name.clone(), client_id, association, thing, values };
        let authorizer = Authorizer::new(Arc::new(site.clone()), set, context, Epoch(0));
        Some(Self { authorizer, shown, now })
    }

    /// Some CONNECT, with or without a persistent session and a Will.
    pub(crate) fn may_connect(&self) -> bool {
        let flags = [(false, false), (true, false), (false, true), (true, true)];
        flags.into_iter().any(|(persistent, last_will)| {
            let facts = ConnectFacts { persistent, last_will, last_will_topic: None };
            self.authorizer.connect(&self.shown.client_id, facts, self.now).is_ok()
        })
    }

    pub(crate) fn may(&self, action: &str, kind: &str, name: &str) -> bool {
        self.may_at(action, kind, name, ConnectFacts::default())
    }

    /// The same for a certain CONNECT.
    pub(crate) fn may_at(&self, action: &str, kind: &str, name: &str, facts: ConnectFacts<'_>) -> bool {
        let decision = self.authorizer.decide(action, kind, name, facts, self.now);
        decision.outcome == policy::Outcome::Allowed
    }

    /// Every statement with its answer to an action on a whole last field such as `topic/a`.
    pub(crate) fn consider(&self, action: &str, field: &str) -> Vec<policy::Considered> {
        let arn = format!("{}{field}", self.authorizer.site().arn_prefix());
        self.authorizer.consider(action, &arn, ConnectFacts::default(), self.now)
    }

    pub(crate) fn may_subscribe(&self, filter: &str) -> bool {
        self.authorizer.subscribe(filter, self.now).is_ok()
    }

    /// Through a subscription to the filter.
    pub(crate) fn may_receive(&self, filter: &str, topic: &str) -> bool {
        match TopicFilter::try_from(filter).ok().as_ref().and_then(TopicFilter::share_name) {
            Some(share) => self.authorizer.receive_shared(share, topic, self.now).is_ok(),
            None => self.authorizer.receive(topic, self.now).is_ok(),
        }
    }

    pub(crate) fn may_publish(&self, topic: &str, retain: bool) -> bool {
        self.authorizer.publish(topic, self.now).is_ok()
            && (!retain || self.authorizer.retain_publish(topic, self.now).is_ok())
    }
}

/// The conditions of some documents, with the effect of a statement that has them; Deny wins.
fn conditions(documents: &[&Document]) -> BTreeMap<String, Effect> {
    let mut effects = BTreeMap::new();
    for statement in documents.iter().flat_map(|document| document.views()) {
        for condition in statement.conditions() {
            let effect = effects.entry(condition.to_string()).or_insert(Effect::Allow);
            if statement.effect() == Effect::Deny {
                *effect = Effect::Deny;
            }
        }
    }
    effects
}

/// Whether texts are within the quotas and what MQTT and the reserved topics permit.
pub(crate) fn is_real(found: &Found) -> bool {
    let filter = found.filter.as_str();
    let real_filter = filter.is_empty()
        || (TopicFilter::try_from(filter)
            .is_ok_and(|f| f.matcher().len() <= LONGEST && f.slashes() <= SLASHES)
            && dialect::subscribe_allowed(filter).is_ok());
    let topic = dialect::effective_topic(&found.topic);
    real_filter && topic.len() <= LONGEST && topic.matches('/').count() <= SLASHES
}

/// Bytes of a topic or filter (quota L-ECD9BEEF).
pub(crate) const LONGEST: usize = 256;
/// Slashes of a topic or filter (quota L-AD5A8D4F): eight levels.
pub(crate) const SLASHES: usize = 7;
/// Bytes of a client id (quota L-E2D9C89C).
pub(crate) const LONGEST_CLIENT_ID: usize = 128;
