//! A session's subscriptions by their filters. Most clients have few: those stand in a row that is as long as they are, in
//! the order of their filters. A map's first node has room for eleven.

use std::collections::BTreeMap;

use mqtt::Text;

use super::Subscription;
use crate::stored::bytes_of;

/// From how many on they stand in a map: so that one client with very many does not move them all for each new one.
const MANY: usize = 32;

#[derive(Debug)]
pub(super) enum Subscriptions {
    /// In the order of their filters.
    Few(Vec<Subscription>),
    Many(Box<Many>),
}

#[derive(Debug, Default)]
pub(super) struct Many {
    by_filter: BTreeMap<Text, Subscription>,
    /// What all of them are in the store.
    bytes: usize,
}

impl Many {
    fn insert(&mut self, subscription: Subscription) {
        self.bytes += bytes_of(&subscription);
        let before = self.by_filter.insert(subscription.filter.as_text().clone(), subscription);
        self.bytes -= before.as_ref().map_or(0, bytes_of);
    }

    fn remove(&mut self, filter: &str) -> Option<Subscription> {
        self.by_filter.remove(filter).inspect(|gone| self.bytes -= bytes_of(gone))
    }
}

impl Default for Subscriptions {
    fn default() -> Self {
        Self::Few(Vec::new())
    }
}

impl Subscriptions {
    /// In the order of their filters.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Subscription> {
        let (few, many) = match self {
            Self::Few(row) => (Some(row.iter()), None),
            Self::Many(many) => (None, Some(many.by_filter.values())),
        };
        few.into_iter().flatten().chain(many.into_iter().flatten())
    }

    pub(super) fn len(&self) -> usize {
        match self {
            Self::Few(row) => row.len(),
            Self::Many(many) => many.by_filter.len(),
        }
    }

    /// What all of them are in the store.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::Few(row) => row.iter().map(bytes_of).sum(),
            Self::Many(many) => many.bytes,
        }
    }

    pub(super) fn get(&self, filter: &str) -> Option<&Subscription> {
        match self {
            Self::Few(row) => row.get(place(row, filter).ok()?),
            Self::Many(many) => many.by_filter.get(filter),
        }
    }

    /// Adds one, or puts it in the place of the one with its filter.
    pub(super) fn insert(&mut self, subscription: Subscription) {
        match self {
            Self::Many(many) => many.insert(subscription),
            Self::Few(row) => match place(row, subscription.filter.as_str()) {
                Ok(at) => row.get_mut(at).into_iter().for_each(|known| *known = subscription.clone()),
                Err(at) => {
                    // By one: a doubled row would be half empty for as long as the session lasts.
                    row.reserve_exact(1);
                    row.insert(at, subscription);
                    self.settle();
                }
            },
        }
    }

    pub(super) fn remove(&mut self, filter: &str) -> Option<Subscription> {
        match self {
            Self::Few(row) => place(row, filter).ok().map(|at| row.remove(at)),
            Self::Many(many) => many.remove(filter),
        }
    }

    /// Makes a map of a long row.
    fn settle(&mut self) {
        if let Self::Few(row) = self
            && row.len() > MANY
        {
            let mut many = Box::<Many>::default();
            std::mem::take(row).into_iter().for_each(|known| many.insert(known));
            *self = Self::Many(many);
        }
    }
}

/// Where a filter is, or where it would be.
fn place(row: &[Subscription], filter: &str) -> Result<usize, usize> {
    row.binary_search_by(|known| known.filter.as_str().cmp(filter))
}

#[cfg(test)]
mod tests {
    use mqtt::{QoS, TopicFilter};

    use super::*;

    fn to(filter: &str, qos: QoS) -> Subscription {
        let filter = TopicFilter::try_from(Text::try_from(filter).unwrap()).unwrap();
        Subscription { filter, qos, no_local: false, retain_as_published: false, identifier: None }
    }

    /// The row and the map say the same as a plain map, before and after one becomes the other.
    #[test]
    fn few_and_many_are_told_apart_by_nothing() {
        let (mut ours, mut plain) = (Subscriptions::default(), BTreeMap::new());
        for step in 0..4 * MANY {
            let filter = format!("a/{}", step * 7 % (2 * MANY));
            if step % 5 == 4 {
                assert_eq!(ours.remove(&filter), plain.remove(&filter));
            } else {
                let qos = if step % 2 == 0 { QoS::AtMostOnce } else { QoS::AtLeastOnce };
                ours.insert(to(&filter, qos));
                plain.insert(filter.clone(), to(&filter, qos));
            }
            assert_eq!(ours.len(), plain.len());
            assert_eq!(ours.get(&filter), plain.get(&filter));
            assert!(ours.iter().eq(plain.values()));
            assert_eq!(ours.bytes(), plain.values().map(bytes_of).sum());
        }
        assert!(matches!(ours, Subscriptions::Many(_)));
    }
}
