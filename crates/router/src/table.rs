//! The route table: exact filters in striped hash maps, wildcard filters in one trie.
//!
//! Most fleets subscribe to exact topics, so a publish hashes its topic once and then walks the trie, which is small.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use hashbrown::HashMap;
use mqtt::{MatchRules, QoS, TopicFilter};
use parking_lot::{Mutex, RwLock};
use smallvec::SmallVec;

use crate::trie::Trie;

const STRIPES: usize = 64;

/// A subscriber as the table sees it. Cloning must be cheap: the table hands out clones.
pub trait Target: Clone {
    /// Distinguishes subscribers; one subscriber keeps one id as long as it has subscriptions.
    fn id(&self) -> u64;
}

/// One subscription that matched.
#[derive(Clone, Debug)]
pub struct Route<T> {
    /// Who.
    pub target: T,
    /// The QoS granted to the subscription.
    pub qos: QoS,
    /// MQTT 5 No Local was asked for.
    pub no_local: bool,
    /// MQTT 5 Retain As Published was asked for.
    pub retain_as_published: bool,
    /// The Subscription Identifier, if there is one; those of all that matched where a subscriber is matched once.
    pub identifiers: SmallVec<[u32; 1]>,
}

/// The member of a shared group that was chosen for a message.
#[derive(Clone, Debug)]
pub struct SharedRoute<T> {
    /// The group's name, for the receive check and for people.
    pub share_name: std::sync::Arc<str>,
    /// The whole filter: it names the group.
    pub filter: std::sync::Arc<str>,
    /// The chosen member.
    pub route: Route<T>,
}

/// A buffer for the outcome of one match, meant to be reused. As long as nobody subscribes or unsubscribes, the next match
/// of the same topic finds a short outcome in it.
#[derive(Debug)]
pub struct Matches<T> {
    /// Ordinary subscriptions, a subscriber at most once if the caller asked for that.
    pub direct: Vec<Route<T>>,
    /// One chosen member for each shared group that has one.
    pub shared: Vec<SharedRoute<T>>,
    /// Whose message it is, 0 if nobody's: No Local keeps it from that subscriber. To be set before each match.
    pub sender: u64,
    /// Some of those that `#` would bring in if it matched its parent (hash-excludes-parent).
    pub missed: Vec<Route<T>>,
    lists: usize,
    /// A shared group is among the filters: each match chooses anew.
    chooses: bool,
    /// The topic that this is the outcome of, and the table's generation then; 0 if the outcome does not keep.
    topic: String,
    generation: u64,
    /// The sender that it was found for.
    found_for: u64,
}

/// How many routes are kept for the next match: so many sessions a publisher may keep from being forgotten.
const MOST_KEPT: usize = 16;

impl<T> Default for Matches<T> {
    fn default() -> Self {
        Self {
            direct: Vec::new(),
            shared: Vec::new(),
            missed: Vec::new(),
            sender: 0,
            lists: 0,
            chooses: false,
            topic: String::new(),
            generation: 0,
            found_for: 0,
        }
    }
}

impl<T> Matches<T> {
    /// Empties the buffer and keeps its room.
    fn clear(&mut self) {
        self.direct.clear();
        self.shared.clear();
        self.missed.clear();
        (self.lists, self.chooses, self.generation) = (0, false, 0);
    }

    /// Lets go of an outcome that will not serve the next match: it keeps sessions alive.
    pub fn release(&mut self) {
        if self.generation == 0 {
            self.clear();
        }
    }

    fn remember(&mut self, topic: &str, generation: u64) {
        if self.chooses || self.direct.len() > MOST_KEPT {
            return;
        }
        (self.generation, self.found_for) = (generation, self.sender);
        if self.topic != topic {
            self.topic.clear();
            self.topic.push_str(topic);
        }
    }
}

/// A shared subscription group on one filter.
#[derive(Debug)]
pub(crate) struct Group<T> {
    name: std::sync::Arc<str>,
    filter: std::sync::Arc<str>,
    members: Roster<T>,
}

/// Subscribers of one kind. A long list has an index by id, so that a whole fleet can subscribe to one filter.
#[derive(Debug)]
pub(crate) struct Roster<T> {
    routes: Vec<Route<T>>,
    places: Option<Box<HashMap<u64, usize, foldhash::quality::RandomState>>>,
}

/// Up to here a list has no room to spare: most filters have one subscriber.
const FEW: usize = 4;
/// From how many on a list has an index.
const LONG: usize = 16;

impl<T> Default for Roster<T> {
    fn default() -> Self {
        Self { routes: Vec::new(), places: None }
    }
}

impl<T: Target> Roster<T> {
    fn place(&self, id: u64) -> Option<usize> {
        match &self.places {
            Some(places) => places.get(&id).copied(),
            None => self.routes.iter().position(|route| route.target.id() == id),
        }
    }

    /// True if it is new, false if it replaced one.
    fn add(&mut self, route: Route<T>) -> bool {
        if let Some(known) = self.place(route.target.id()).and_then(|at| self.routes.get_mut(at)) {
            *known = route;
            return false;
        }
        if let Some(places) = &mut self.places {
            places.insert(route.target.id(), self.routes.len());
        }
        if self.routes.len() < FEW {
            self.routes.reserve_exact(1);
        }
        self.routes.push(route);
        if self.places.is_none() && self.routes.len() > LONG {
            let ids = self.routes.iter().enumerate().map(|(at, route)| (route.target.id(), at));
            self.places = Some(Box::new(ids.collect()));
        }
        true
    }

    fn remove(&mut self, id: u64) -> bool {
        let Some(at) = self.place(id) else { return false };
        self.routes.swap_remove(at);
        if let Some(places) = &mut self.places {
            places.remove(&id);
            if let Some(moved) = self.routes.get(at) {
                places.insert(moved.target.id(), at);
            }
        }
        true
    }
}

/// All that subscribes to one filter.
#[derive(Debug)]
pub(crate) struct Subscribers<T> {
    direct: Roster<T>,
    groups: SmallVec<[Group<T>; 0]>,
}

impl<T> Default for Subscribers<T> {
    fn default() -> Self {
        Self { direct: Roster::default(), groups: SmallVec::new() }
    }
}

/// Chooses among the members of a shared group: the index, or `None` to deliver to nobody.
pub type Choose<'a, T> = &'a mut dyn FnMut(&[Route<T>]) -> Option<usize>;

impl<T: Target> Subscribers<T> {
    pub(crate) fn is_empty(&self) -> bool {
        self.direct.routes.is_empty() && self.groups.is_empty()
    }

    /// True if the subscription is new, false if it replaced one.
    pub(crate) fn add(&mut self, filter: &TopicFilter, route: Route<T>) -> bool {
        let list = match filter.share_name() {
            None => &mut self.direct,
            Some(name) => {
                let at = self.groups.iter().position(|group| &*group.name == name).unwrap_or_else(|| {
                    let (name, filter, members) = (name.into(), filter.as_str().into(), Roster::default());
                    self.groups.push(Group { name, filter, members });
                    self.groups.len() - 1
                });
                match self.groups.get_mut(at) {
                    Some(group) => &mut group.members,
                    None => return false,
                }
            }
        };
        list.add(route)
    }

    pub(crate) fn remove(&mut self, share: Option<&str>, id: u64) -> bool {
        let Some(name) = share else { return self.direct.remove(id) };
        let Some(at) = self.groups.iter().position(|group| &*group.name == name) else { return false };
        let Some(group) = self.groups.get_mut(at) else { return false };
        let gone = group.members.remove(id);
        if group.members.routes.is_empty() {
            self.groups.swap_remove(at);
        }
        gone
    }

    pub(crate) fn collect(&self, choose: Choose<'_, T>, out: &mut Matches<T>) {
        if !self.direct.routes.is_empty() {
            out.lists += 1;
            out.direct.extend(self.direct.routes.iter().cloned());
        }
        out.chooses |= !self.groups.is_empty();
        for group in &self.groups {
            if let Some(route) = choose(&group.members.routes).and_then(|at| group.members.routes.get(at)) {
                let (share_name, filter) = (group.name.clone(), group.filter.clone());
                out.shared.push(SharedRoute { share_name, filter, route: route.clone() });
            }
        }
    }

    pub(crate) fn members(&self, share: &str) -> Vec<Route<T>> {
        let group = self.groups.iter().find(|group| &*group.name == share);
        group.map(|group| group.members.routes.clone()).unwrap_or_default()
    }
}

impl<T: Target> Subscribers<T> {
    /// These are left out because `#` does not match its parent (hash-excludes-parent).
    pub(crate) fn miss(&self, out: &mut Matches<T>) {
        let room = MOST_MISSED.saturating_sub(out.missed.len());
        out.missed.extend(self.direct.routes.iter().take(room).cloned());
    }
}

/// How many that were left out are named.
const MOST_MISSED: usize = 16;

type Stripe<T> = RwLock<HashMap<Box<str>, Subscribers<T>, foldhash::quality::RandomState>>;

/// Filters to subscribers.
#[derive(Debug)]
pub struct RouteTable<T> {
    exact: Box<[Stripe<T>]>,
    wild: RwLock<Trie<T>>,
    hasher: foldhash::quality::RandomState,
    one_copy: bool,
    count: AtomicUsize,
    /// Goes up after each change of the filters, so that who remembers an outcome knows whether it is old.
    generation: AtomicU64,
    /// Members of each group of shared subscriptions, by the whole filter.
    groups: Mutex<HashMap<Box<str>, isize, foldhash::quality::RandomState>>,
}

impl<T: Target> RouteTable<T> {
    /// An empty table. With `one_copy` a subscriber whose filters overlap is matched once, at its highest QoS.
    pub fn new(rules: MatchRules, one_copy: bool) -> Self {
        let stripe = |_| RwLock::new(HashMap::default());
        Self {
            exact: (0..STRIPES).map(stripe).collect(),
            wild: RwLock::new(Trie::new(rules)),
            hasher: foldhash::quality::RandomState::default(),
            one_copy,
            count: AtomicUsize::new(0),
            generation: AtomicU64::new(1),
            groups: Mutex::new(HashMap::default()),
        }
    }

    fn stripe(&self, text: &str) -> Option<&Stripe<T>> {
        use std::hash::BuildHasher;
        self.exact.get(self.hasher.hash_one(text) as usize % STRIPES)
    }

    /// Adds or replaces the subscription of a target to a filter. True if it is new.
    pub fn subscribe(&self, filter: &TopicFilter, route: Route<T>) -> bool {
        let new = self.add(filter, route);
        self.generation.fetch_add(1, Ordering::Release);
        if new {
            self.count.fetch_add(1, Ordering::Relaxed);
            self.count_member(filter, 1);
        }
        new
    }

    /// Two who change one group at a time may come here in another order than into the table; the sum is right.
    fn count_member(&self, filter: &TopicFilter, change: isize) {
        if filter.share_name().is_none() {
            return;
        }
        let mut groups = self.groups.lock();
        let members = groups.entry(filter.as_str().into()).or_insert(0);
        *members += change;
        if *members == 0 {
            groups.remove(filter.as_str());
        }
    }

    /// How many groups of shared subscriptions there are.
    pub fn groups(&self) -> usize {
        self.groups.lock().len()
    }

    /// How many members the group of a shared subscription's filter has.
    pub fn members(&self, filter: &TopicFilter) -> usize {
        self.groups.lock().get(filter.as_str()).map_or(0, |members| usize::try_from(*members).unwrap_or(0))
    }

    fn add(&self, filter: &TopicFilter, route: Route<T>) -> bool {
        if filter.has_wildcard() {
            return self.wild.write().at(filter.matcher()).add(filter, route);
        }
        let Some(stripe) = self.stripe(filter.matcher()) else { return false };
        let mut map = stripe.write();
        match map.get_mut(filter.matcher()) {
            Some(subscribers) => subscribers.add(filter, route),
            None => map.entry(filter.matcher().into()).or_default().add(filter, route),
        }
    }

    /// Removes the subscription of a target to a filter. True if there was one.
    pub fn unsubscribe(&self, filter: &TopicFilter, id: u64) -> bool {
        let gone = self.remove(filter, id);
        self.generation.fetch_add(1, Ordering::Release);
        if gone {
            self.count.fetch_sub(1, Ordering::Relaxed);
            self.count_member(filter, -1);
        }
        gone
    }

    fn remove(&self, filter: &TopicFilter, id: u64) -> bool {
        let share = filter.share_name();
        if filter.has_wildcard() {
            return self.wild.write().remove(filter.matcher(), share, id);
        }
        let Some(stripe) = self.stripe(filter.matcher()) else { return false };
        let mut map = stripe.write();
        let Some(subscribers) = map.get_mut(filter.matcher()) else { return false };
        let gone = subscribers.remove(share, id);
        if subscribers.is_empty() {
            map.remove(filter.matcher());
        }
        gone
    }

    /// The members of a shared subscription's group.
    pub fn group(&self, filter: &TopicFilter) -> Vec<Route<T>> {
        let Some(share) = filter.share_name() else { return Vec::new() };
        if filter.has_wildcard() {
            let wild = self.wild.read();
            return wild.find(filter.matcher()).map(|known| known.members(share)).unwrap_or_default();
        }
        let Some(stripe) = self.stripe(filter.matcher()) else { return Vec::new() };
        stripe.read().get(filter.matcher()).map(|known| known.members(share)).unwrap_or_default()
    }

    /// How many subscriptions there are.
    pub fn len(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }

    /// True if nobody subscribes to anything.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Copies all that a message on `topic` goes to into `out`, if that is not there already.
    pub fn matches(&self, topic: &str, choose: Choose<'_, T>, out: &mut Matches<T>) {
        // Before the filters are read: what changes from here on makes the outcome an old one.
        let generation = self.generation.load(Ordering::Acquire);
        if out.generation == generation && out.found_for == out.sender && out.topic == topic {
            return;
        }
        out.clear();
        if let Some(stripe) = self.stripe(topic)
            && let Some(subscribers) = stripe.read().get(topic)
        {
            subscribers.collect(choose, out);
        }
        self.wild.read().collect(topic, choose, out);
        if self.one_copy && out.lists > 1 {
            keep_best(&mut out.direct, out.sender);
        }
        out.remember(topic, generation);
    }
}

/// One route for each target, of the highest QoS [MQTT-3.3.4-2]. What No Local keeps from the sender does not count for it.
fn keep_best<T: Target>(routes: &mut Vec<Route<T>>, sender: u64) {
    routes.retain(|route| !(route.no_local && route.target.id() == sender));
    routes.sort_unstable_by_key(|route| (route.target.id(), std::cmp::Reverse(route.qos as u8)));
    // [MQTT-3.3.4-4] the one copy carries the identifiers of all.
    routes.dedup_by(|other, best| {
        let same = other.target.id() == best.target.id();
        if same {
            best.identifiers.append(&mut other.identifiers);
        }
        same
    });
}

#[cfg(test)]
mod tests;
