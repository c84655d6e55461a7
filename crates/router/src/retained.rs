//! The index of retained messages: one for each topic, the last writer wins.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use mqtt::MatchRules;
use parking_lot::RwLock;

/// The index holds as many topics as the quota allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full;

/// A retained message knows what it weighs.
pub trait Weighed {
    /// Bytes that it keeps in memory.
    fn weight(&self) -> usize;
}

/// Topic to retained message, ordered by topic.
#[derive(Debug)]
pub struct RetainedIndex<M> {
    held: RwLock<Held<M>>,
    most: usize,
    most_bytes: usize,
}

#[derive(Debug)]
struct Held<M> {
    topics: BTreeMap<Box<str>, Arc<M>>,
    bytes: usize,
}

impl<M: Weighed> RetainedIndex<M> {
    /// An empty index that will hold at most `most` topics and about `most_bytes` of messages.
    pub fn new(most: usize, most_bytes: usize) -> Self {
        Self { held: RwLock::new(Held { topics: BTreeMap::new(), bytes: 0 }), most, most_bytes }
    }

    /// Stores or replaces. Refused when the index is full; what was there before stays then.
    pub fn store(&self, topic: &str, message: Arc<M>) -> Result<(), Full> {
        let mut held = self.held.write();
        let before = held.topics.get(topic).map(|known| known.weight());
        let bytes = held.bytes - before.unwrap_or(0) + message.weight();
        if bytes > self.most_bytes || (before.is_none() && held.topics.len() >= self.most) {
            return Err(Full);
        }
        held.bytes = bytes;
        held.topics.insert(topic.into(), message);
        Ok(())
    }

    /// One that is stored already has its place, whatever the limits have become since.
    pub fn restore(&self, topic: &str, message: Arc<M>) {
        let mut held = self.held.write();
        held.bytes += message.weight();
        let before = held.topics.insert(topic.into(), message);
        held.bytes -= before.map_or(0, |before| before.weight());
    }

    /// True if there was one.
    pub fn delete(&self, topic: &str) -> bool {
        self.held.write().remove(topic)
    }

    /// Deletes the message of a topic if it is still this one.
    pub fn delete_if_same(&self, topic: &str, message: &Arc<M>) -> bool {
        let mut held = self.held.write();
        held.topics.get(topic).is_some_and(|known| Arc::ptr_eq(known, message)) && held.remove(topic)
    }

    /// Deletes what is not wanted any more; returns its topics.
    pub fn sweep(&self, wanted: impl Fn(&M) -> bool) -> Vec<Box<str>> {
        let mut held = self.held.write();
        let gone: Vec<Box<str>> = held
            .topics
            .iter()
            .filter(|(_, message)| !wanted(message))
            .map(|(topic, _)| topic.clone())
            .collect();
        gone.iter().for_each(|topic| {
            held.remove(topic);
        });
        gone
    }

    /// The message of exactly this topic.
    pub fn get(&self, topic: &str) -> Option<Arc<M>> {
        self.held.read().topics.get(topic).cloned()
    }

    /// A page of the topics after `after`, in order.
    pub fn page(&self, after: Option<&str>, limit: usize) -> Vec<(Box<str>, Arc<M>)> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let held = self.held.read();
        let range = held.topics.range::<str, _>((from, Bound::Unbounded));
        range.take(limit).map(|(topic, message)| (topic.clone(), message.clone())).collect()
    }

    /// All that a filter matches, up to `limit`. It walks the topics that share the filter's literal beginning.
    pub fn matching(&self, filter: &str, rules: MatchRules, limit: usize) -> Vec<Arc<M>> {
        let held = self.held.read();
        let found = held.near(filter).filter(|(topic, _)| mqtt::matches(filter, topic, rules));
        found.take(limit).map(|(_, message)| message.clone()).collect()
    }

    /// True if a filter matches a message that is wanted, as far as `most` topics tell: it looks at no more of those that
    /// share the filter's literal beginning, and says no although there may be one behind them.
    pub fn finds(&self, filter: &str, rules: MatchRules, most: usize, wanted: impl Fn(&M) -> bool) -> bool {
        let held = self.held.read();
        let mut looked_at = held.near(filter).take(most);
        looked_at.any(|(topic, message)| mqtt::matches(filter, topic, rules) && wanted(message))
    }

    /// How many topics have a retained message.
    pub fn len(&self) -> usize {
        self.held.read().topics.len()
    }

    /// True if no topic has one.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<M: Weighed> Held<M> {
    /// The topics that share a filter's literal beginning.
    fn near<'a>(&'a self, filter: &'a str) -> impl Iterator<Item = (&'a str, &'a Arc<M>)> {
        let literal = filter.split(['+', '#']).next().unwrap_or_default();
        let start = literal.strip_suffix('/').unwrap_or(literal);
        self.topics
            .range::<str, _>((Bound::Included(start), Bound::Unbounded))
            .map(|(topic, message)| (&**topic, message))
            .take_while(move |(topic, _)| topic.starts_with(start))
    }

    fn remove(&mut self, topic: &str) -> bool {
        let gone = self.topics.remove(topic);
        self.bytes -= gone.as_ref().map_or(0, |gone| gone.weight());
        gone.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Weighed for i32 {
        fn weight(&self) -> usize {
            usize::try_from(*self).unwrap()
        }
    }

    impl Weighed for &str {
        fn weight(&self) -> usize {
            self.len()
        }
    }

    const AWS: MatchRules = MatchRules { hash_matches_parent: false };

    #[test]
    fn the_last_writer_wins_and_the_cap_lets_replacements_pass() {
        let index = RetainedIndex::new(2, 100);
        index.store("a", Arc::new(1)).unwrap();
        index.store("b", Arc::new(2)).unwrap();
        assert_eq!(index.store("c", Arc::new(3)), Err(Full));
        index.store("a", Arc::new(4)).unwrap();
        assert_eq!(index.get("a").as_deref(), Some(&4));
        assert!(index.delete("a"));
        assert!(!index.delete("a"));
        assert_eq!(index.len(), 1);
        assert_eq!(index.store("b", Arc::new(101)), Err(Full), "too heavy");
        index.store("b", Arc::new(100)).unwrap();
        assert_eq!(index.store("d", Arc::new(1)), Err(Full), "no room beside it");
    }

    #[test]
    fn what_is_stored_has_its_place_whatever_the_limits_are() {
        let index = RetainedIndex::new(1, 3);
        for (topic, message) in [("a", 2), ("b", 3), ("b", 4)] {
            index.restore(topic, Arc::new(message));
        }
        assert_eq!((index.len(), index.get("b").as_deref()), (2, Some(&4)));
        assert_eq!(index.store("c", Arc::new(1)), Err(Full));
        assert!(index.delete("b") && index.delete("a"));
        index.store("c", Arc::new(3)).unwrap();
    }

    #[test]
    fn pages_follow_each_other() {
        let index = RetainedIndex::new(10, 100);
        for topic in ["b", "a", "c"] {
            index.store(topic, Arc::new(topic)).unwrap();
        }
        let first = index.page(None, 2);
        assert_eq!(first.iter().map(|(t, _)| &**t).collect::<Vec<_>>(), ["a", "b"]);
        let second = index.page(Some("b"), 2);
        assert_eq!(second.iter().map(|(t, _)| &**t).collect::<Vec<_>>(), ["c"]);
    }

    #[test]
    fn a_filter_finds_its_topics() {
        let index = RetainedIndex::new(10, 100);
        for topic in ["a", "a/b", "a/b/c", "ab", "$x/b"] {
            index.store(topic, Arc::new(topic)).unwrap();
        }
        let found = |filter, rules| index.matching(filter, rules, 10).iter().map(|m| **m).collect::<Vec<_>>();
        assert_eq!(found("a/#", AWS), ["a/b", "a/b/c"]);
        assert_eq!(found("a/#", MatchRules { hash_matches_parent: true }), ["a", "a/b", "a/b/c"]);
        assert_eq!(found("+/b", AWS), ["a/b"]);
        assert_eq!(found("#", AWS), ["a", "a/b", "a/b/c", "ab"]);
    }

    #[test]
    fn a_look_for_one_ends_after_so_many_topics() {
        let index = RetainedIndex::new(10, 100);
        for topic in ["a/1", "a/2", "a/3/x", "b"] {
            index.store(topic, Arc::new(topic)).unwrap();
        }
        let looked_at = std::cell::Cell::new(0);
        let finds = |filter, most| index.finds(filter, AWS, most, |_| true);
        assert!(finds("a/+/x", 3) && !finds("a/+/x", 2), "it is the third");
        assert!(finds("#", 1) && !finds("c/#", 10));
        let unwanted = |_: &&str| {
            looked_at.set(looked_at.get() + 1);
            false
        };
        assert!(!index.finds("#", AWS, 3, unwanted));
        assert_eq!(looked_at.get(), 3);
    }
}
