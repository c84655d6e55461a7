//! All wildcard filters: by shape as long as there are few shapes, the others in a trie.

use hashbrown::HashMap;
use mqtt::{MatchRules, TopicFilter};

use crate::levels::{Levels, Seed};
use crate::matches::{Matches, Route, Target};
use crate::shapes::{Shape, Shaped, Shapes};
use crate::subscribers::{Choose, Subscribers};
use crate::trie::Trie;

/// So many shapes are looked up for each topic. Filters of more shapes than that go into the trie, where a topic costs a
/// walk: nobody can make a match dearer than both.
pub(crate) const MOST_SHAPES: usize = 32;

/// Wildcard filters to subscribers. All filters of one shape are in one place, so that a filter is never in both.
#[derive(Debug)]
pub(crate) struct Wild<T> {
    shapes: Shapes<T>,
    trie: Trie<T>,
    /// How many subscriptions of a shape are in the trie.
    strange: HashMap<Shape, usize, foldhash::quality::RandomState>,
    /// Subscriptions in the trie.
    in_trie: usize,
    rules: MatchRules,
}

impl<T: Target> Wild<T> {
    pub(crate) fn new(rules: MatchRules, most_shapes: usize) -> Self {
        let (shapes, trie) = (Shapes::new(most_shapes), Trie::new(rules));
        Self { shapes, trie, strange: HashMap::default(), in_trie: 0, rules }
    }

    /// The filter with the shape that it is, or would be, found by; `None` if its place is in the trie.
    fn shaped<'a>(&self, filter: &'a TopicFilter) -> Option<Shaped<'a>> {
        let (shape, path) = Shape::of(filter.matcher())?;
        let has_place =
            self.shapes.has(shape) || (self.shapes.has_room() && !self.strange.contains_key(&shape));
        has_place.then_some((filter, shape, path))
    }

    /// True if the subscription is new, false if it replaced one.
    pub(crate) fn add(&mut self, filter: &TopicFilter, route: Route<T>, seed: &Seed) -> bool {
        if let Some(shaped) = self.shaped(filter) {
            return self.shapes.add(shaped, route, seed);
        }
        let new = self.trie.at(filter.matcher()).add(filter, route);
        self.in_trie += usize::from(new);
        if let Some((shape, _)) = Shape::of(filter.matcher()).filter(|_| new) {
            *self.strange.entry(shape).or_default() += 1;
        }
        new
    }

    /// True if there was one.
    pub(crate) fn remove(&mut self, filter: &TopicFilter, id: u64, seed: &Seed) -> bool {
        if let Some(shaped) = self.shaped(filter) {
            return self.shapes.remove(shaped, id, seed);
        }
        let gone = self.trie.remove(filter.matcher(), filter.share_name(), id);
        self.in_trie -= usize::from(gone);
        if let Some((shape, _)) = Shape::of(filter.matcher()).filter(|_| gone)
            && let Some(count) = self.strange.get_mut(&shape)
        {
            *count -= 1;
            if *count == 0 {
                self.strange.remove(&shape);
            }
        }
        gone
    }

    /// The subscribers of a filter, if there are any.
    pub(crate) fn find(&self, filter: &TopicFilter, seed: &Seed) -> Option<&Subscribers<T>> {
        match self.shaped(filter) {
            Some(shaped) => self.shapes.find(shaped, seed),
            None => self.trie.find(filter.matcher()),
        }
    }

    /// All that a topic goes to.
    pub(crate) fn collect(&self, topic: &Levels<'_>, choose: Choose<'_, T>, out: &mut Matches<T>) {
        self.shapes.collect(topic, self.rules.hash_matches_parent, choose, out);
        if self.in_trie > 0 {
            self.trie.collect(topic.text, choose, out);
        }
    }

    /// True if nothing is left of what was there.
    #[cfg(test)]
    pub(crate) fn is_empty(&self) -> bool {
        self.shapes.is_empty() && self.in_trie == 0 && self.strange.is_empty() && self.trie.live_nodes() == 1
    }
}
