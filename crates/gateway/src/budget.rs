//! How many peers at once.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Places for open sockets. A place is given back when its holder is dropped.
#[derive(Clone, Debug)]
pub(crate) struct Places {
    free: Arc<Semaphore>,
    all: u32,
}

/// One open socket's place.
pub(crate) type Place = OwnedSemaphorePermit;

impl Places {
    pub(crate) fn new(places: usize) -> Self {
        let all = u32::try_from(places.clamp(1, Semaphore::MAX_PERMITS)).unwrap_or(u32::MAX);
        Self { free: Arc::new(Semaphore::new(all as usize)), all }
    }

    /// A place, unless all are taken.
    pub(crate) fn take(&self) -> Option<Place> {
        Arc::clone(&self.free).try_acquire_owned().ok()
    }

    /// Waits until nobody holds a place, at most `limit`. How many are still held.
    pub(crate) async fn empty(&self, limit: Duration) -> usize {
        let _ = tokio::time::timeout(limit, self.free.acquire_many(self.all)).await;
        self.taken()
    }

    pub(crate) fn taken(&self) -> usize {
        (self.all as usize).saturating_sub(self.free.available_permits())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn places_are_counted_and_given_back() {
        let places = Places::new(2);
        let first = places.take().unwrap();
        let second = places.take().unwrap();
        assert!(places.take().is_none());
        drop(first);
        assert_eq!(places.empty(Duration::from_secs(5)).await, 1);
        drop(second);
        assert_eq!(places.empty(Duration::from_secs(5)).await, 0);
    }
}
