//! What is remembered for a while of clients that went: by client id, for a time and up to a number.

use std::collections::VecDeque;
use std::time::Duration;

use hashbrown::HashMap;
use identity::{ClientId, Timestamp};
use parking_lot::Mutex;

/// Places in the order that may be out of date, however few clients are known.
const SLACK: usize = 64;

/// What is known of clients that went lately.
#[derive(Debug)]
pub(crate) struct Lately<T> {
    lasts: Duration,
    most: usize,
    known: Mutex<Known<T>>,
}

#[derive(Debug)]
struct Known<T> {
    by_client: HashMap<ClientId, Gone<T>>,
    /// In the order in which they went: when, and its number. A client that came back, or went again, still stands here
    /// from before, until that is looked at or [`Known::tidy`] takes it out.
    order: VecDeque<(Timestamp, u64, ClientId)>,
    count: u64,
}

#[derive(Clone, Debug)]
struct Gone<T> {
    at: Timestamp,
    nth: u64,
    what: T,
}

impl<T> Known<T> {
    /// Takes out of the order what is out of date, as soon as that is more than half of it: devices that come and go
    /// all day shall not be remembered once for each time.
    fn tidy(&mut self) {
        if self.order.len() <= 2 * self.by_client.len() + SLACK {
            return;
        }
        let by_client = &self.by_client;
        self.order
            .retain(|(_, nth, client_id)| by_client.get(client_id).is_some_and(|gone| gone.nth == *nth));
        self.order.shrink_to(2 * self.order.len() + SLACK);
    }
}

impl<T> Lately<T> {
    /// Remembers each for `lasts`, of `most` at a time; beyond that the oldest is forgotten early.
    pub(crate) fn new(lasts: Duration, most: usize) -> Self {
        let known = Known { by_client: HashMap::new(), order: VecDeque::new(), count: 0 };
        Self { lasts, most, known: Mutex::new(known) }
    }

    /// A client went. Forgets what is too old or too much.
    pub(crate) fn remember(&self, client_id: &ClientId, what: T, now: Timestamp) {
        let mut known = self.known.lock();
        known.count += 1;
        let nth = known.count;
        known.by_client.insert(client_id.clone(), Gone { at: now, nth, what });
        known.order.push_back((now, nth, client_id.clone()));
        known.tidy();
        while known.by_client.len() > self.most
            || known.order.front().is_some_and(|(went, ..)| now.since(*went) > self.lasts)
        {
            let Some((_, nth, client_id)) = known.order.pop_front() else { break };
            if known.by_client.get(&client_id).is_some_and(|gone| gone.nth == nth) {
                known.by_client.remove(&client_id);
            }
        }
    }

    /// What is known of a client, and nothing is from now on.
    pub(crate) fn take(&self, client_id: &str, now: Timestamp) -> Option<T> {
        let gone = self.known.lock().by_client.remove(client_id)?;
        (now.since(gone.at) <= self.lasts).then_some(gone.what)
    }
}

impl<T: Clone> Lately<T> {
    /// When a client went, and what is known of it.
    pub(crate) fn find(&self, client_id: &str, now: Timestamp) -> Option<(Timestamp, T)> {
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
        assert_eq!(lately.take("a", START + HOUR), Some(3));
        assert_eq!(lately.take("a", START), None, "it is taken once");
        lately.remember(&id("a"), 4, START);
        assert_eq!(lately.find("a", START + HOUR + Duration::from_secs(1)), None);
        assert_eq!(lately.take("a", START + HOUR + Duration::from_secs(1)), None);
    }

    #[test]
    fn who_comes_and_goes_all_day_is_remembered_once() {
        let lately = Lately::new(HOUR, 1_000);
        for turn in 0..10_000_u32 {
            let device = id(&(turn % 10).to_string());
            lately.take(device.as_str(), START);
            lately.remember(&device, turn, START);
        }
        let known = lately.known.lock();
        assert_eq!(known.by_client.len(), 10);
        assert!(known.order.len() <= 2 * 10 + SLACK, "{}", known.order.len());
        assert!(known.order.capacity() <= 4 * (2 * 10 + SLACK), "{}", known.order.capacity());
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
        assert!(known.order.len() <= 2 * 10 + SLACK && known.by_client.len() <= 10);
    }
}
