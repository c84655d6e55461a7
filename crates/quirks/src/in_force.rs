//! The rules in force: a snapshot that is exchanged as a whole.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

use arc_swap::ArcSwapOption;

use crate::Rules;

/// The rules in force. Asking whether there are any is one load.
#[derive(Debug, Default)]
pub struct Quirks {
    now: ArcSwapOption<(u64, Arc<Rules>)>,
    editions: AtomicU64,
    /// A hint that costs less to read than the list.
    on: AtomicBool,
}

impl Quirks {
    /// These rules, from the start.
    pub fn new(rules: Rules) -> Self {
        let new = Self::default();
        new.replace(rules);
        new
    }

    /// Puts other rules in force. Every client's sequence begins again.
    pub fn replace(&self, rules: Rules) {
        let edition = self.editions.fetch_add(1, Relaxed);
        let on = !rules.is_empty();
        self.now.store(on.then(|| Arc::new((edition, Arc::new(rules)))));
        self.on.store(on, Relaxed);
    }

    /// True if nothing is provoked.
    #[inline]
    pub fn is_off(&self) -> bool {
        !self.on.load(Relaxed)
    }

    /// The rules in force.
    pub fn rules(&self) -> Arc<Rules> {
        self.in_force().1
    }

    pub(crate) fn in_force(&self) -> (u64, Arc<Rules>) {
        self.now.load().as_deref().map_or_else(Default::default, |now| (now.0, Arc::clone(&now.1)))
    }
}
