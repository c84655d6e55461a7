//! What is remembered for a while of clients that went: by client id, for a time and up to a number.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use identity::{ClientId, Timestamp};
use parking_lot::Mutex;

/// What is known of clients that went lately.
#[derive(Debug)]
pub struct Lately<T> {
    lasts: Duration,
    most: usize,
    known: Mutex<Known<T>>,
}

#[derive(Debug)]
struct Known<T> {
    by_client: HashMap<ClientId, Gone<T>>,
    /// By number, which is the order in which they went. One place for each client, however often it comes and goes.
    order: BTreeMap<u64, (Timestamp, ClientId)>,
}

#[derive(Clone, Debug)]
struct Gone<T> {
    at: Timestamp,
    nth: u64,
    what: T,
}

impl<T> Known<T> {
    fn forget(&mut self, client_id: &str) -> Option<Gone<T>> {
        self.by_client.remove(client_id).inspect(|gone| drop(self.order.remove(&gone.nth)))
    }
}

impl<T> Lately<T> {
    /// Remembers each for `lasts`, of `most` at a time; beyond that the oldest is forgotten early.
    pub fn new(lasts: Duration, most: usize) -> Self {
        let known = Known { by_client: HashMap::new(), order: BTreeMap::new() };
        Self { lasts, most, known: Mutex::new(known) }
    }

    /// A client went. Forgets what is too old or too much.
    pub fn remember(&self, client_id: &ClientId, what: T, now: Timestamp) {
        let mut known = self.known.lock();
        known.forget(client_id.as_str());
        self.add(&mut known, client_id, what, now);
    }

    fn add(&self, known: &mut Known<T>, client_id: &ClientId, what: T, now: Timestamp) {
        let nth = known.order.last_key_value().map_or(0, |(last, _)| last + 1);
        known.by_client.insert(client_id.clone(), Gone { at: now, nth, what });
        known.order.insert(nth, (now, client_id.clone()));
        while let Some((_, (went, oldest))) = known.order.first_key_value()
            && (known.order.len() > self.most || now.since(*went) > self.lasts)
        {
            let oldest = oldest.clone();
            known.forget(oldest.as_str());
        }
    }
}

impl<T: Ord> Lately<T> {
    /// [`Self::remember`], or what is known of the client if that is greater: two of its ends may be told in either order.
    pub fn remember_greatest(&self, client_id: &ClientId, what: T, now: Timestamp) {
        let mut known = self.known.lock();
        let before = known.forget(client_id.as_str()).filter(|gone| now.since(gone.at) <= self.lasts);
        let what = before.into_iter().map(|gone| gone.what).fold(what, T::max);
        self.add(&mut known, client_id, what, now);
    }

    /// Forgets what is known of a client, unless it is greater.
    pub fn forget(&self, client_id: &str, what: &T) {
        let mut known = self.known.lock();
        if known.by_client.get(client_id).is_some_and(|gone| gone.what <= *what) {
            known.forget(client_id);
        }
    }
}

impl<T: Clone> Lately<T> {
    /// When a client went, and what is known of it.
    pub fn find(&self, client_id: &str, now: Timestamp) -> Option<(Timestamp, T)> {
        let found = self.known.lock().by_client.get(client_id).cloned();
        found.filter(|gone| now.since(gone.at) <= self.lasts).map(|gone| (gone.at, gone.what))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);
    const START: Timestamp = Timestamp(1_000_000);

    fn id(text: &str) -> ClientId {
        ClientId::new(text).unwrap()
    }

    #[test]
    fn a_client_is_remembered_for_an_hour() {
        let lately = Lately::new(HOUR, 10);
        lately.remember(&id("a"), 3, START);
        assert_eq!(lately.find("a", START + HOUR), Some((START, 3)));
        assert_eq!(lately.find("a", START + HOUR + Duration::from_secs(1)), None);
    }

    #[test]
    fn the_greatest_counts_and_is_forgotten_with_what_is_less() {
        let lately = Lately::new(HOUR, 10);
        let known = |at| lately.find("a", at).map(|(_, what)| what);
        lately.remember_greatest(&id("a"), 3, START);
        lately.remember_greatest(&id("a"), 2, START);
        assert_eq!(known(START), Some(3));
        lately.forget("a", &2);
        assert_eq!(known(START), Some(3), "it is greater");
        lately.forget("a", &3);
        assert_eq!(known(START), None);
        lately.forget("a", &3);
        lately.remember_greatest(&id("a"), 9, START);
        let later = START + HOUR + Duration::from_secs(1);
        lately.remember_greatest(&id("a"), 0, later);
        assert_eq!(known(later), Some(0), "what is too old does not count");
    }

    #[test]
    fn who_comes_and_goes_all_day_is_remembered_once() {
        let lately = Lately::new(HOUR, 1_000);
        for turn in 0..10_000_u32 {
            let device = id(&(turn % 10).to_string());
            lately.forget(device.as_str(), &turn);
            lately.remember(&device, turn, START);
        }
        let known = lately.known.lock();
        assert_eq!(known.by_client.len(), 10);
        assert_eq!(known.order.len(), 10);
        drop(known);
        (0..10).for_each(|device| assert!(lately.find(&device.to_string(), START).is_some(), "{device}"));
    }

    #[test]
    fn who_comes_and_goes_pushes_out_nobody_else() {
        let lately = Lately::new(HOUR, 10);
        lately.remember(&id("quiet"), 0, START);
        (0..100).for_each(|turn| lately.remember(&id("busy"), turn, START));
        assert_eq!(lately.find("quiet", START), Some((START, 0)));
    }

    #[test]
    fn too_many_push_out_the_oldest() {
        let lately = Lately::new(HOUR, 10);
        (0..10).for_each(|number| lately.remember(&id(&number.to_string()), number, START));
        lately.remember(&id("one more"), 10, START);
        assert_eq!(lately.find("0", START), None, "the oldest is forgotten");
        assert_eq!(lately.find("1", START), Some((START, 1)));
        assert_eq!(lately.find("one more", START), Some((START, 10)));
        let later = START + Duration::from_millis(1);
        (0..100).for_each(|number| lately.remember(&id("again"), number, later));
        assert_eq!(lately.find("again", later), Some((later, 99)));
        let known = lately.known.lock();
        assert!(known.order.len() <= 10 && known.by_client.len() <= 10);
    }
}
