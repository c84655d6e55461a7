//! Stores for tests of what is read, decided and then written: somebody else is faster.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;

use parking_lot::Mutex;

use super::MemoryStore;
use crate::{Batch, Boxed, CommitError, Entry, Feed, Revision, Space, Store, StoreError, Versioned};

/// What the other does before a commit.
type Act = Box<dyn FnOnce(&MemoryStore) + Send>;

/// A store in whose commits somebody else gets in before. Clones are the same store.
#[derive(Clone, Default)]
pub struct Overtaken {
    store: MemoryStore,
    acts: Arc<Mutex<Vec<Act>>>,
}

impl Overtaken {
    /// Over a store, in which nobody is faster yet.
    pub fn new(store: MemoryStore) -> Self {
        Self { store, acts: Arc::default() }
    }

    /// Before the next commit, `act` happens, on the store behind; once for each call, in the order of the calls.
    pub fn overtake(&self, act: impl FnOnce(&MemoryStore) + Send + 'static) {
        self.acts.lock().insert(0, Box::new(act));
    }
}

impl Store for Overtaken {
    fn get<'a>(&'a self, space: Space, key: &'a [u8]) -> Boxed<'a, Result<Option<Versioned>, StoreError>> {
        self.store.get(space, key)
    }

    fn scan<'a>(
        &'a self,
        space: Space,
        prefix: &'a [u8],
        after: Option<&'a [u8]>,
        limit: usize,
    ) -> Boxed<'a, Result<Vec<Entry>, StoreError>> {
        self.store.scan(space, prefix, after, limit)
    }

    fn commit(&self, batch: Batch) -> Boxed<'_, Result<Revision, CommitError>> {
        let act = self.acts.lock().pop();
        if let Some(act) = act {
            act(&self.store);
        }
        self.store.commit(batch)
    }

    fn revision(&self) -> Boxed<'_, Result<Revision, StoreError>> {
        self.store.revision()
    }

    fn feed(&self, after: Revision) -> Box<dyn Feed> {
        self.store.feed(after)
    }
}

/// A store whose every operation lets others go first: it is ready at the second poll.
#[derive(Clone)]
pub struct Interleaved(pub MemoryStore);

async fn step_aside() {
    let mut waited = false;
    poll_fn(|_| if std::mem::replace(&mut waited, true) { Poll::Ready(()) } else { Poll::Pending }).await;
}

impl Store for Interleaved {
    fn get<'a>(&'a self, space: Space, key: &'a [u8]) -> Boxed<'a, Result<Option<Versioned>, StoreError>> {
        Box::pin(async move {
            step_aside().await;
            self.0.get(space, key).await
        })
    }

    fn scan<'a>(
        &'a self,
        space: Space,
        prefix: &'a [u8],
        after: Option<&'a [u8]>,
        limit: usize,
    ) -> Boxed<'a, Result<Vec<Entry>, StoreError>> {
        Box::pin(async move {
            step_aside().await;
            self.0.scan(space, prefix, after, limit).await
        })
    }

    fn commit(&self, batch: Batch) -> Boxed<'_, Result<Revision, CommitError>> {
        Box::pin(async move {
            step_aside().await;
            self.0.commit(batch).await
        })
    }

    fn revision(&self) -> Boxed<'_, Result<Revision, StoreError>> {
        self.0.revision()
    }

    fn feed(&self, after: Revision) -> Box<dyn Feed> {
        self.0.feed(after)
    }
}

/// Polls the futures of several callers on one thread, the one whose turn it is, until all are done. After `turns` they
/// take turns in their order.
pub fn take_turns(callers: Vec<Boxed<'_, ()>>, turns: impl IntoIterator<Item = usize>) {
    let mut running: Vec<Option<Boxed<'_, ()>>> = callers.into_iter().map(Some).collect();
    let round = 0..running.len();
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    for turn in turns.into_iter().chain(round.cycle()) {
        if running.iter().all(Option::is_none) {
            return;
        }
        if let Some(slot) = running.get_mut(turn)
            && slot.as_mut().is_some_and(|caller| caller.as_mut().poll(&mut context).is_ready())
        {
            *slot = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Key, Keyspace, block_on};

    const WORDS: Keyspace<String> = Keyspace::new("words");

    async fn put(store: &dyn Store, key: &Key, word: &str) {
        let mut batch = Batch::new();
        WORDS.put(&mut batch, key, &word.to_owned());
        store.commit(batch).await.unwrap();
    }

    #[test]
    fn each_commit_is_overtaken_once_and_in_order() {
        let (behind, key) = (MemoryStore::new(), Key::of(&["k"]));
        let store = Overtaken::new(behind.clone());
        for word in ["one", "two"] {
            let (key, other) = (key.clone(), Key::of(&["other"]));
            store.overtake(move |store| {
                assert_eq!(block_on(WORDS.get(store, &key)).unwrap().is_some(), word == "two");
                block_on(put(store, &other, word));
            });
        }
        let other = || block_on(WORDS.get(&behind, &Key::of(&["other"]))).unwrap().map(|found| found.value);
        for expected in ["one", "two", "two"] {
            block_on(put(&store, &key, "mine"));
            assert_eq!(other().as_deref(), Some(expected));
        }
    }

    #[test]
    fn callers_go_on_when_it_is_their_turn() {
        let (behind, key) = (MemoryStore::new(), Key::of(&["k"]));
        let store = Interleaved(behind.clone());
        let caller = |word| Box::pin(put(&store, &key, word)) as Boxed<'_, ()>;
        take_turns(vec![caller("first"), caller("second")], [1, 7, 1, 0, 0]);
        assert_eq!(block_on(WORDS.get(&behind, &key)).unwrap().unwrap().value, "first");
    }
}
