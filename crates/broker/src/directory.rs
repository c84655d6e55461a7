//! Client id to cell, striped.

use std::hash::BuildHasher;
use std::sync::Arc;

use hashbrown::HashMap;
use identity::ClientId;
use parking_lot::Mutex;

use crate::cell::Cell;

const STRIPES: usize = 64;

type Stripe = Mutex<HashMap<ClientId, Arc<Cell>, foldhash::quality::RandomState>>;

/// All clients that are connected or have a session.
#[derive(Debug)]
pub(crate) struct Directory {
    stripes: Box<[Stripe]>,
    hasher: foldhash::quality::RandomState,
}

impl Directory {
    pub(crate) fn new() -> Self {
        Self {
            stripes: (0..STRIPES).map(|_| Mutex::new(HashMap::default())).collect(),
            hasher: foldhash::quality::RandomState::default(),
        }
    }

    fn stripe(&self, client_id: &str) -> Option<&Stripe> {
        self.stripes.get(self.hasher.hash_one(client_id) as usize % STRIPES)
    }

    /// The cell of a client, made if there is none.
    pub(crate) fn claim(&self, client_id: &ClientId) -> Arc<Cell> {
        let make = || Arc::new(Cell::new(client_id.clone()));
        match self.stripe(client_id.as_str()) {
            Some(stripe) => stripe.lock().entry(client_id.clone()).or_insert_with(make).clone(),
            None => make(),
        }
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
        }
    }

    /// All cells, for the rare jobs that concern everybody. Copied stripe by stripe.
    pub(crate) fn all(&self) -> Vec<Arc<Cell>> {
        self.stripes.iter().flat_map(|stripe| stripe.lock().values().cloned().collect::<Vec<_>>()).collect()
    }
}
