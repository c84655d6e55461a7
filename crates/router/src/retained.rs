//! The index of retained messages: one for each topic, the last writer wins.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use mqtt::MatchRules;
use parking_lot::RwLock;

/// The index holds as many topics as the quota allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full;

/// Topic to retained message, ordered by topic.
#[derive(Debug)]
pub struct RetainedIndex<M> {
    topics: RwLock<BTreeMap<Box<str>, Arc<M>>>,
    most: usize,
}

impl<M> RetainedIndex<M> {
    /// An empty index that will hold at most `most` topics.
    pub fn new(most: usize) -> Self {
        Self { topics: RwLock::new(BTreeMap::new()), most }
    }

    /// Stores or replaces. A new topic is refused when the index is full; a replacement never is.
    pub fn store(&self, topic: &str, message: Arc<M>) -> Result<(), Full> {
        let mut topics = self.topics.write();
        if let Some(known) = topics.get_mut(topic) {
            *known = message;
            return Ok(());
        }
        if topics.len() >= self.most {
            return Err(Full);
        }
        topics.insert(topic.into(), message);
        Ok(())
    }

    /// True if there was one.
    pub fn delete(&self, topic: &str) -> bool {
        self.topics.write().remove(topic).is_some()
    }

    /// Deletes the message of a topic if it is still this one.
    pub fn delete_if_same(&self, topic: &str, message: &Arc<M>) -> bool {
        let mut topics = self.topics.write();
        if topics.get(topic).is_some_and(|known| Arc::ptr_eq(known, message)) {
            topics.remove(topic);
            return true;
        }
        false
    }

    /// The message of exactly this topic.
    pub fn get(&self, topic: &str) -> Option<Arc<M>> {
        self.topics.read().get(topic).cloned()
    }

    /// A page of the topics after `after`, in order.
    pub fn page(&self, after: Option<&str>, limit: usize) -> Vec<(Box<str>, Arc<M>)> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let topics = self.topics.read();
        let range = topics.range::<str, _>((from, Bound::Unbounded));
        range.take(limit).map(|(topic, message)| (topic.clone(), message.clone())).collect()
    }

    /// All that a filter matches, up to `limit`. It walks the topics that share the filter's literal beginning.
    pub fn matching(&self, filter: &str, rules: MatchRules, limit: usize) -> Vec<Arc<M>> {
        let literal = filter.split(['+', '#']).next().unwrap_or_default();
        let start = literal.strip_suffix('/').unwrap_or(literal);
        let topics = self.topics.read();
        topics
            .range::<str, _>((Bound::Included(start), Bound::Unbounded))
            .take_while(|(topic, _)| topic.starts_with(start))
            .filter(|(topic, _)| mqtt::matches(filter, topic, rules))
            .take(limit)
            .map(|(_, message)| message.clone())
            .collect()
    }

    /// How many topics have a retained message.
    pub fn len(&self) -> usize {
        self.topics.read().len()
    }

    /// True if no topic has one.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AWS: MatchRules = MatchRules { hash_matches_parent: false };

    #[test]
    fn the_last_writer_wins_and_the_cap_lets_replacements_pass() {
        let index = RetainedIndex::new(2);
        index.store("a", Arc::new(1)).unwrap();
        index.store("b", Arc::new(2)).unwrap();
        assert_eq!(index.store("c", Arc::new(3)), Err(Full));
        index.store("a", Arc::new(4)).unwrap();
        assert_eq!(index.get("a").as_deref(), Some(&4));
        assert!(index.delete("a"));
        assert!(!index.delete("a"));
        assert_eq!(index.len(), 1);
    }

    #[test]
    fn pages_follow_each_other() {
        let index = RetainedIndex::new(10);
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
        let index = RetainedIndex::new(10);
        for topic in ["a", "a/b", "a/b/c", "ab", "$x/b"] {
            index.store(topic, Arc::new(topic)).unwrap();
        }
        let found = |filter, rules| index.matching(filter, rules, 10).iter().map(|m| **m).collect::<Vec<_>>();
        assert_eq!(found("a/#", AWS), ["a/b", "a/b/c"]);
        assert_eq!(found("a/#", MatchRules { hash_matches_parent: true }), ["a", "a/b", "a/b/c"]);
        assert_eq!(found("+/b", AWS), ["a/b"]);
        assert_eq!(found("#", AWS), ["a", "a/b", "a/b/c", "ab"]);
    }
}
