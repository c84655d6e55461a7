//! Messages of one wake that follow each other and go to the same clients: the cell of each client is entered once for all
//! of them.

use std::sync::Arc;

use dialect::Divergence;
use identity::Timestamp;
use policy::Permit;
use session::Parcel;

use super::Sender;
use super::route::{Outcome, Waiting};
use crate::broker::Inner;
use crate::cell::Subscriber;

/// Messages that wait for each other at most: a client's lock is held for so many.
const MOST: usize = 64;

/// What waits, and where it goes.
pub(crate) type Volley = router::Volley<Subscriber, Arc<Parcel>>;

impl Inner {
    /// One more message that waits. Its permit is the proof that it may be published.
    pub(super) fn line_up(
        &self,
        _proof: Permit<policy::Publish>,
        parcel: Arc<Parcel>,
        (sender, volley): (Sender<'_>, &mut Volley),
        outcome: &mut Outcome,
        now: Timestamp,
    ) {
        if volley.load(parcel) >= MOST {
            self.fire(sender, volley, outcome, now);
        }
    }

    /// Delivers what waits.
    pub fn fire(&self, sender: Sender<'_>, volley: &mut Volley, outcome: &mut Outcome, now: Timestamp) {
        let (parcels, mut offered) = (volley.messages(), Vec::new());
        // By the place of the message in the row.
        let mut waiting: Vec<(usize, Waiting)> = Vec::new();
        for route in &volley.matches().direct {
            match parcels {
                [] => return,
                [parcel] => {
                    let waits = self.deliver(route, None, parcel, (sender, &mut outcome.wakes), now);
                    waiting.extend(waits.map(|waits| (0, waits)));
                }
                parcels => {
                    let to = (sender, &mut outcome.wakes);
                    self.deliver_all(route, parcels, to, (&mut offered, &mut waiting), now);
                }
            }
        }
        if !waiting.is_empty() {
            let mut rows: Vec<Vec<Waiting>> = parcels.iter().map(|_| Vec::new()).collect();
            for (at, waits) in waiting {
                if let Some(row) = rows.get_mut(at) {
                    row.push(waits);
                }
            }
            let copies = self.dialect.has(Divergence::OverlappingSubscriptionsCopies);
            for (parcel, row) in parcels.iter().zip(rows) {
                outcome.enqueue(&parcel.message, row, copies);
            }
        }
        volley.clear();
    }
}
