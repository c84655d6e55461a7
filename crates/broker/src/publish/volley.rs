//! Messages of one wake that follow each other and go to the same clients: the cell of each client is entered once for all
//! of them.

use std::sync::Arc;

use identity::Timestamp;
use policy::Permit;
use router::{Matches, Route};
use session::Parcel;
use smallvec::SmallVec;

use super::Sender;
use super::deliver::Offered;
use super::route::{Outcome, Waiting};
use crate::broker::Inner;
use crate::cell::Subscriber;

/// Messages that wait for each other at most: a client's lock is held for so many.
const MOST: usize = 64;

/// What waits, and where it goes.
#[derive(Default)]
pub(crate) struct Volley {
    /// Where all of it goes.
    matches: Matches<Subscriber>,
    /// Where the next message goes, if something waits that may go elsewhere.
    next: Matches<Subscriber>,
    parcels: SmallVec<[Arc<Parcel>; 4]>,
    /// Room for what comes of them at one client.
    offered: Vec<Offered>,
}

impl Volley {
    /// With what is known from the wake before.
    pub(crate) fn new(matches: Matches<Subscriber>) -> Self {
        Self { matches, ..Self::default() }
    }

    /// What the next wake may know.
    pub(crate) fn end(mut self) -> Matches<Subscriber> {
        self.matches.release();
        self.matches
    }

    /// True if something waits.
    pub(crate) fn is_loaded(&self) -> bool {
        !self.parcels.is_empty()
    }

    /// Where what waits goes.
    pub(super) const fn matches(&self) -> &Matches<Subscriber> {
        &self.matches
    }

    /// Where the next match is to be put.
    pub(super) fn next(&mut self) -> &mut Matches<Subscriber> {
        if self.is_loaded() { &mut self.next } else { &mut self.matches }
    }

    /// Whether the next message may wait with the others: all go to one client, by subscriptions that differ in nothing.
    pub(super) fn goes_the_same_way(&self) -> bool {
        let alone = |matches: &Matches<Subscriber>| matches.shared.is_empty();
        if !self.is_loaded() {
            return true;
        }
        match (&*self.matches.direct, &*self.next.direct) {
            ([one], [other]) => alone(&self.matches) && alone(&self.next) && is_same(one, other),
            _ => false,
        }
    }

    /// What was found for the next message counts, now that nothing waits.
    pub(super) fn turn(&mut self) {
        std::mem::swap(&mut self.matches, &mut self.next);
    }
}

fn is_same(one: &Route<Subscriber>, other: &Route<Subscriber>) -> bool {
    one.target.session == other.target.session
        && one.target.from == other.target.from
        && (one.qos, one.no_local, one.retain_as_published)
            == (other.qos, other.no_local, other.retain_as_published)
        && one.identifiers == other.identifiers
}

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
        volley.parcels.push(parcel);
        if volley.parcels.len() >= MOST {
            self.fire(sender, volley, outcome, now);
        }
    }

    /// Delivers what waits.
    pub fn fire(&self, sender: Sender<'_>, volley: &mut Volley, outcome: &mut Outcome, now: Timestamp) {
        let Volley { matches, parcels, offered, .. } = volley;
        // By the place of the message in the row.
        let mut waiting: Vec<(usize, Waiting)> = Vec::new();
        for route in &matches.direct {
            match &**parcels {
                [] => return,
                [parcel] => {
                    let waits = self.deliver(route, None, parcel, (sender, &mut outcome.wakes), now);
                    waiting.extend(waits.map(|waits| (0, waits)));
                }
                parcels => {
                    let to = (sender, &mut outcome.wakes);
                    self.deliver_all(route, parcels, to, (offered, &mut waiting), now);
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
            for (parcel, row) in parcels.iter().zip(rows) {
                outcome.enqueue(&parcel.message, row);
            }
        }
        parcels.clear();
    }
}
