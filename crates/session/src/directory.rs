//! Client id to whatever is kept of a client, striped.

use std::hash::BuildHasher;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use hashbrown::HashMap;
use identity::ClientId;
use parking_lot::Mutex;

const STRIPES: usize = 64;

type Stripe<T> = Mutex<HashMap<ClientId, Arc<T>, foldhash::quality::RandomState>>;

/// What a directory holds.
pub trait Named {
    /// Nothing is kept of this client yet.
    fn new(client_id: ClientId) -> Self;
    /// Whose it is.
    fn client_id(&self) -> &ClientId;
}

/// All clients of whom something is kept.
#[derive(Debug)]
pub struct Directory<T> {
    stripes: Box<[Stripe<T>]>,
    hasher: foldhash::quality::RandomState,
    count: AtomicUsize,
    most: usize,
}

impl<T: Named> Directory<T> {
    /// An empty directory for at most `most` clients.
    pub fn new(most: usize) -> Self {
        Self {
            stripes: (0..STRIPES).map(|_| Mutex::new(HashMap::default())).collect(),
            hasher: foldhash::quality::RandomState::default(),
            count: AtomicUsize::new(0),
            most,
        }
    }

    fn stripe(&self, client_id: &str) -> Option<&Stripe<T>> {
        self.stripes.get(self.hasher.hash_one(client_id) as usize % STRIPES)
    }

    /// What is kept of a client, made if there is none; `None` if the directory is full.
    pub fn claim(&self, client_id: &ClientId) -> Option<Arc<T>> {
        self.place(client_id, self.most)
    }

    /// The same for a client whose session is stored: it has its place, whatever the limit has become since.
    pub fn restore(&self, client_id: &ClientId) -> Option<Arc<T>> {
        self.place(client_id, usize::MAX)
    }

    fn place(&self, client_id: &ClientId, most: usize) -> Option<Arc<T>> {
        let mut cells = self.stripe(client_id.as_str())?.lock();
        if let Some(cell) = cells.get(client_id) {
            return Some(cell.clone());
        }
        if self.count.load(Ordering::Relaxed) >= most {
            return None;
        }
        self.count.fetch_add(1, Ordering::Relaxed);
        let cell = Arc::new(T::new(client_id.clone()));
        cells.insert(client_id.clone(), cell.clone());
        Some(cell)
    }

    /// What is kept of a client, if anything is.
    pub fn find(&self, client_id: &str) -> Option<Arc<T>> {
        self.stripe(client_id)?.lock().get(client_id).cloned()
    }

    /// Takes it out, if it is this one.
    pub fn remove(&self, cell: &Arc<T>) {
        let Some(stripe) = self.stripe(cell.client_id().as_str()) else { return };
        let mut cells = stripe.lock();
        if cells.get(cell.client_id()).is_some_and(|known| Arc::ptr_eq(known, cell)) {
            cells.remove(cell.client_id());
            self.count.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// All of them, for the rare jobs that concern everybody. Copied stripe by stripe.
    pub fn all(&self) -> Vec<Arc<T>> {
        self.stripes.iter().flat_map(|stripe| stripe.lock().values().cloned().collect::<Vec<_>>()).collect()
    }
}
