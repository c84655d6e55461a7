//! Client id to cell, striped.

use std::hash::BuildHasher;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use hashbrown::HashMap;
use identity::ClientId;
use parking_lot::Mutex;

use crate::cell::Cell;

const STRIPES: usize = 64;

type Stripe = Mutex<HashMap<ClientId, Arc<Cell>, foldhash::quality::RandomState>>;

/// All clients that are connected or have a session, or had one as far as the disk knows.
#[derive(Debug)]
pub(crate) struct Directory {
    stripes: Box<[Stripe]>,
    hasher: foldhash::quality::RandomState,
    count: AtomicUsize,
    most: usize,
}

impl Directory {
    /// An empty directory for at most `most` clients, connected or with a session.
    pub(crate) fn new(most: usize) -> Self {
        Self {
            stripes: (0..STRIPES).map(|_| Mutex::new(HashMap::default())).collect(),
            hasher: foldhash::quality::RandomState::default(),
            count: AtomicUsize::new(0),
            most,
        }
    }

    fn stripe(&self, client_id: &str) -> Option<&Stripe> {
        self.stripes.get(self.hasher.hash_one(client_id) as usize % STRIPES)
    }

    /// The cell of a client, made if there is none; `None` if the directory is full.
    pub(crate) fn claim(&self, client_id: &ClientId) -> Option<Arc<Cell>> {
        self.place(client_id, self.most)
    }

    /// The cell of a client whose session is stored: it has its place, whatever the limit has become since.
    pub(crate) fn restore(&self, client_id: &ClientId) -> Option<Arc<Cell>> {
        self.place(client_id, usize::MAX)
    }

    fn place(&self, client_id: &ClientId, most: usize) -> Option<Arc<Cell>> {
        let mut cells = self.stripe(client_id.as_str())?.lock();
        if let Some(cell) = cells.get(client_id) {
            return Some(cell.clone());
        }
        if self.count.load(Ordering::Relaxed) >= most {
            return None;
        }
        self.count.fetch_add(1, Ordering::Relaxed);
        let cell = Arc::new(Cell::new(client_id.clone()));
        cells.insert(client_id.clone(), cell.clone());
        Some(cell)
    }

    /// The cell of a client, if it has one.
    pub(crate) fn find(&self, client_id: &str) -> Option<Arc<Cell>> {
        self.stripe(client_id)?.lock().get(client_id).cloned()
    }

    /// Takes a cell out, if it is this one. The caller has marked it as retired.
    pub(crate) fn remove(&self, cell: &Arc<Cell>) {
        let Some(stripe) = self.stripe(cell.client_id.as_str()) else { return };
        let mut cells = stripe.lock();
        if cells.get(&cell.client_id).is_some_and(|known| Arc::ptr_eq(known, cell)) {
            cells.remove(&cell.client_id);
            self.count.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// All cells, for the rare jobs that concern everybody. Copied stripe by stripe.
    pub(crate) fn all(&self) -> Vec<Arc<Cell>> {
        self.stripes.iter().flat_map(|stripe| stripe.lock().values().cloned().collect::<Vec<_>>()).collect()
    }
}
