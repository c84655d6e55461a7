//! A hash table of filters whose keys are worked out by who asks.

use hashbrown::hash_table::{Entry, HashTable};
use mqtt::TopicFilter;

use crate::matches::{Route, Target};
use crate::subscribers::Subscribers;

/// A filter with its subscribers. The key is kept, so that a growing table reads no filters.
#[derive(Debug)]
struct Filed<T> {
    key: u64,
    filter: Box<str>,
    subscribers: Subscribers<T>,
}

/// Filters by key, each at most once.
#[derive(Debug)]
pub(crate) struct Shelf<T>(HashTable<Filed<T>>);

impl<T> Default for Shelf<T> {
    fn default() -> Self {
        Self(HashTable::new())
    }
}

impl<T: Target> Shelf<T> {
    #[cfg(test)]
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The subscribers of the filter with this key of which this holds: of no more than one.
    pub(crate) fn find(&self, key: u64, is_it: impl Fn(&str) -> bool) -> Option<&Subscribers<T>> {
        let found = self.0.find(key, |filed| filed.key == key && is_it(&filed.filter));
        found.map(|filed| &filed.subscribers)
    }

    /// Whether the filter is new, and whether the subscription is: else it replaced one.
    pub(crate) fn add(&mut self, key: u64, filter: &TopicFilter, route: Route<T>) -> (bool, bool) {
        match self.0.entry(key, |filed| *filed.filter == *filter.matcher(), |filed| filed.key) {
            Entry::Occupied(mut known) => (false, known.get_mut().subscribers.add(filter, route)),
            Entry::Vacant(vacant) => {
                let mut subscribers = Subscribers::default();
                subscribers.add(filter, route);
                vacant.insert(Filed { key, filter: filter.matcher().into(), subscribers });
                (true, true)
            }
        }
    }

    /// Whether the filter has gone with its last subscriber, and whether there was such a subscription.
    pub(crate) fn remove(&mut self, key: u64, filter: &TopicFilter, id: u64) -> (bool, bool) {
        let is_it = |filed: &Filed<T>| *filed.filter == *filter.matcher();
        let Ok(mut known) = self.0.find_entry(key, is_it) else { return (false, false) };
        let gone = known.get_mut().subscribers.remove(filter.share_name(), id);
        let empty = known.get().subscribers.is_empty();
        if empty {
            known.remove();
        }
        (empty, gone)
    }
}
