//! The route table: exact filters in striped hash maps, wildcard filters by their shape.
//!
//! Most fleets subscribe to exact topics. A publish hashes the levels of its topic once; sums of those hashes find the exact
//! filter and the wildcard filters, one look for each shape that they have.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use hashbrown::HashMap;
use mqtt::{MatchRules, TopicFilter};
use parking_lot::{Mutex, RwLock};

use crate::levels::{Levels, Seed};
use crate::matches::{Matches, Route, Target, keep_best};
use crate::shelf::Shelf;
use crate::subscribers::Choose;
use crate::wild::{MOST_SHAPES, Wild};

const STRIPES: usize = 64;

/// Filters to subscribers.
#[derive(Debug)]
pub struct RouteTable<T> {
    exact: Box<[RwLock<Shelf<T>>]>,
    wild: RwLock<Wild<T>>,
    seed: Seed,
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
        Self::with_shapes(rules, one_copy, MOST_SHAPES)
    }

    fn with_shapes(rules: MatchRules, one_copy: bool, most_shapes: usize) -> Self {
        Self {
            exact: (0..STRIPES).map(|_| RwLock::default()).collect(),
            wild: RwLock::new(Wild::new(rules, most_shapes)),
            seed: Seed::default(),
            one_copy,
            count: AtomicUsize::new(0),
            generation: AtomicU64::new(1),
            groups: Mutex::new(HashMap::default()),
        }
    }

    /// The key of an exact filter, or of a topic, and the stripe that has it.
    fn stripe(&self, levels: &Levels<'_>) -> Option<(u64, &RwLock<Shelf<T>>)> {
        let key = levels.path(levels.len());
        // By bits that the shelf itself does not look at.
        Some((key, self.exact.get((key >> 40) as usize % STRIPES)?))
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
            return self.wild.write().add(filter, route, &self.seed);
        }
        let Some((key, stripe)) = self.stripe(&Levels::of(filter.matcher(), &self.seed)) else {
            return false;
        };
        let (_, new) = stripe.write().add(key, filter, route);
        new
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
        if filter.has_wildcard() {
            return self.wild.write().remove(filter, id, &self.seed);
        }
        let Some((key, stripe)) = self.stripe(&Levels::of(filter.matcher(), &self.seed)) else {
            return false;
        };
        let (_, gone) = stripe.write().remove(key, filter, id);
        gone
    }

    /// The members of a shared subscription's group.
    pub fn group(&self, filter: &TopicFilter) -> Vec<Route<T>> {
        let Some(share) = filter.share_name() else { return Vec::new() };
        if filter.has_wildcard() {
            let wild = self.wild.read();
            return wild.find(filter, &self.seed).map(|known| known.members(share)).unwrap_or_default();
        }
        let levels = Levels::of(filter.matcher(), &self.seed);
        let Some((key, stripe)) = self.stripe(&levels) else { return Vec::new() };
        let stripe = stripe.read();
        let known = stripe.find(key, |known| known == filter.matcher());
        known.map(|known| known.members(share)).unwrap_or_default()
    }

    /// How many subscriptions there are.
    pub fn len(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }

    /// True if nobody subscribes to anything.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether `out` holds what a match of this topic would give now.
    pub fn is_known(&self, topic: &str, out: &Matches<T>) -> bool {
        out.serves(topic, self.generation.load(Ordering::Acquire))
    }

    /// Copies all that a message on `topic` goes to into `out`, if that is not there already.
    pub fn matches(&self, topic: &str, choose: Choose<'_, T>, out: &mut Matches<T>) {
        // Before the filters are read: what changes from here on makes the outcome an old one.
        let generation = self.generation.load(Ordering::Acquire);
        if out.serves(topic, generation) {
            return;
        }
        out.clear();
        let levels = Levels::of(topic, &self.seed);
        out.key = levels.path(levels.len());
        if let Some((key, stripe)) = self.stripe(&levels)
            && let Some(subscribers) = stripe.read().find(key, |filter| filter == topic)
        {
            subscribers.collect(choose, out);
        }
        self.wild.read().collect(&levels, choose, out);
        if self.one_copy && out.lists > 1 {
            keep_best(&mut out.direct, out.sender);
        }
        out.remember(topic, generation);
    }
}

#[cfg(test)]
mod tests;
