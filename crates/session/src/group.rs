//! The queue of a shared subscription's group: what is unread in its journal, what waits in memory, what is on its way
//! to members, and how fast it may drain.
//!
//! Source: developer guide, *MQTT*, shared subscriptions. Each group has two rows in the journal. *Live* messages found
//! a member that could take them when they were published; they are there only until that member has acknowledged them.
//! *Queued* ones found none: they drain to each member at a pace of their own, and what a member leaves unacknowledged
//! when it goes joins them.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use dialect::Rate;
use identity::Timestamp;

use crate::Offer;

/// After how many settled records a trim is worth its write.
const TRIM_EVERY: usize = 32;

/// One of the two rows of a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Lane {
    /// Messages that go out at once.
    Live,
    /// Messages that wait.
    Queued,
}

/// A message's place in the queue of a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupPlace {
    /// The group: the whole filter.
    pub group: Arc<str>,
    /// The row.
    pub lane: Lane,
    /// Its number there.
    pub number: u64,
    /// Until when it is kept.
    pub until: Timestamp,
}

/// Records read and not settled, and where to read on.
#[derive(Debug, Default)]
struct Row {
    /// The last record that was read, and not unloaded again.
    after: u64,
    /// The last record that was ever read.
    read: u64,
    /// The greatest number known to be in the journal.
    last: u64,
    /// False until the end was seen once: a restart may have left records.
    last_is_known: bool,
    /// Read and not settled.
    open: BTreeSet<u64>,
    /// Read last, in order, and not with a member yet.
    loaded: VecDeque<Offer>,
    /// Came back from a member that went.
    returned: BTreeMap<u64, Offer>,
    /// On their way into the journal or unread there; an estimate after a restart.
    unread: usize,
    trimmed: u64,
    settled_since: usize,
}

impl Row {
    fn is_unread(&self) -> bool {
        !self.last_is_known || self.after < self.last
    }

    fn waiting(&self) -> usize {
        self.unread + self.loaded.len() + self.returned.len()
    }

    fn settle(&mut self, number: u64) {
        if self.open.remove(&number) {
            self.settled_since += 1;
        }
    }

    /// A record that is read once more was settled meanwhile, or is in memory all the same.
    fn is_done_with(&self, number: u64) -> bool {
        number <= self.read && (!self.open.contains(&number) || self.returned.contains_key(&number))
    }

    fn unload(&mut self) {
        let Some(first) = self.loaded.front().and_then(number) else { return };
        self.unread += self.loaded.len();
        self.after = first.saturating_sub(1);
        self.loaded = VecDeque::new();
    }

    fn trim(&mut self) -> Option<u64> {
        let waits = || self.open.first().is_some_and(|first| *first <= self.after);
        if self.settled_since == 0 || (self.settled_since < TRIM_EVERY && waits()) {
            return None;
        }
        let upto = self.open.first().map_or(self.after, |first| first.saturating_sub(1).min(self.after));
        if upto <= self.trimmed {
            return None;
        }
        self.trimmed = upto;
        self.settled_since = 0;
        Some(upto)
    }
}

fn number(offer: &Offer) -> Option<u64> {
    offer.group.as_ref().map(|place| place.number)
}

/// A read that is under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reading {
    /// Read what is after this record.
    pub after: u64,
    /// What was known to be there at least.
    last: u64,
}

/// A message that is to go to a member now.
#[derive(Debug)]
pub struct Due {
    /// The message.
    pub offer: Offer,
    was_returned: bool,
}

/// The queue of one group.
#[derive(Debug, Default)]
pub struct Queue {
    live: Row,
    queued: Row,
    /// A live message found no member in the end: later ones do not overtake it.
    stuck: bool,
    /// When each member may be sent its next queued message.
    drains: HashMap<u64, Timestamp>,
}

impl Queue {
    /// The queue of a new group whose rows may still hold records up to these numbers: of an earlier group of its name.
    pub fn after(live: u64, queued: u64) -> Self {
        let mut queue = Self::default();
        for (row, last) in [(&mut queue.live, live), (&mut queue.queued, queued)] {
            (row.after, row.last, row.trimmed) = (last, last, last);
        }
        queue
    }

    fn row(&self, lane: Lane) -> &Row {
        match lane {
            Lane::Live => &self.live,
            Lane::Queued => &self.queued,
        }
    }

    fn row_mut(&mut self, lane: Lane) -> &mut Row {
        match lane {
            Lane::Live => &mut self.live,
            Lane::Queued => &mut self.queued,
        }
    }

    /// The row for a new message, if there is a member that can take it or if there is none.
    pub fn lane(&self, someone_ready: bool) -> Lane {
        if someone_ready && !self.stuck { Lane::Live } else { Lane::Queued }
    }

    /// A message is on its way into the journal. False if the queue is full: it is not.
    pub fn announce(&mut self, lane: Lane, most: usize) -> bool {
        if lane == Lane::Queued && self.waiting() >= most {
            return false;
        }
        self.row_mut(lane).unread += 1;
        true
    }

    /// The journal holds records of a row up to `number`.
    pub fn arrived(&mut self, lane: Lane, number: u64) {
        let row = self.row_mut(lane);
        row.last = row.last.max(number);
    }

    /// A write into the journal failed, and may have happened all the same: what is there has to be looked for.
    pub fn doubt(&mut self, lane: Lane) {
        let row = self.row_mut(lane);
        row.unread = row.unread.saturating_sub(1);
        row.last_is_known = false;
    }

    /// What to read; nothing while enough is in memory.
    pub fn next_read(&self, lane: Lane) -> Option<Reading> {
        let row = self.row(lane);
        let (after, last) = (row.after, row.last);
        (row.loaded.is_empty() && row.is_unread()).then_some(Reading { after, last })
    }

    /// Takes a page that was read. A record that could not be understood is settled. A page that comes too late is not
    /// taken.
    pub fn take_page(&mut self, lane: Lane, reading: Reading, page: Vec<(u64, Option<Offer>)>) {
        let row = self.row_mut(lane);
        if row.after != reading.after || !row.loaded.is_empty() {
            return;
        }
        if page.is_empty() {
            row.last_is_known = true;
            // What came while the read was under way may not be in the page: it is read next.
            row.after = row.after.max(reading.last);
            row.last = row.last.max(row.after);
        }
        for (number, offer) in page {
            row.after = row.after.max(number);
            row.last = row.last.max(number);
            if row.is_done_with(number) {
                continue;
            }
            row.unread = row.unread.saturating_sub(1);
            row.open.insert(number);
            match offer {
                Some(offer) => row.loaded.push_back(offer),
                None => row.settle(number),
            }
        }
        row.read = row.read.max(row.after);
    }

    /// The next live message. Give it back through [`Queue::give_back`] or settle it when it is done with.
    pub fn next_live(&mut self) -> Option<Due> {
        let next = self.live.loaded.pop_front();
        self.stuck &= next.is_some();
        next.map(|offer| Due { offer, was_returned: false })
    }

    /// The next queued message: first what came back from members.
    pub fn next_queued(&mut self) -> Option<Due> {
        let returned = self.queued.returned.pop_first().or_else(|| self.live.returned.pop_first());
        if let Some((_, offer)) = returned {
            return Some(Due { offer, was_returned: true });
        }
        let offer = self.queued.loaded.pop_front()?;
        Some(Due { offer, was_returned: false })
    }

    /// Nobody can take it now.
    pub fn give_back(&mut self, due: Due) {
        let Due { offer, was_returned } = due;
        let Some(place) = offer.group.clone() else { return };
        let is_live = place.lane == Lane::Live && !was_returned;
        let row = self.row_mut(place.lane);
        if was_returned {
            row.returned.insert(place.number, offer);
        } else {
            row.loaded.push_front(offer);
        }
        self.stuck |= is_live;
    }

    /// A member went before it acknowledged the message.
    pub fn come_back(&mut self, offer: Offer) {
        let Some(place) = offer.group.clone() else { return };
        let row = self.row_mut(place.lane);
        // What was settled meanwhile, or belongs to an earlier queue of that name, is not waited for. What was unloaded
        // meanwhile is read again.
        let is_read_again =
            place.number > row.after || row.loaded.iter().any(|one| number(one) == Some(place.number));
        if row.open.contains(&place.number) && !is_read_again {
            row.returned.insert(place.number, offer);
        }
    }

    /// Takes out and settles what is in memory and has been kept long enough.
    pub fn expire(&mut self, now: Timestamp) -> Vec<Offer> {
        let is_over = |offer: &Offer| offer.group.as_ref().is_some_and(|place| place.until <= now);
        let mut over = Vec::new();
        for row in [&mut self.live, &mut self.queued] {
            row.loaded.iter().chain(row.returned.values()).filter(|offer| is_over(offer)).for_each(|offer| {
                over.push(offer.clone());
            });
            row.loaded.retain(|offer| !is_over(offer));
            row.returned.retain(|_, offer| !is_over(offer));
        }
        over.iter().filter_map(|offer| offer.group.as_deref()).for_each(|place| self.settle(place));
        over
    }

    /// A message is done with: acknowledged, expired, not allowed.
    pub fn settle(&mut self, place: &GroupPlace) {
        self.row_mut(place.lane).settle(place.number);
    }

    /// When a member may be sent a queued message.
    pub fn drains_at(&self, member: u64) -> Timestamp {
        self.drains.get(&member).copied().unwrap_or_default()
    }

    /// A member was sent a queued message.
    pub fn drained(&mut self, member: u64, rate: Rate, now: Timestamp) {
        let Some(limit) = rate.limit() else { return };
        let pause = Duration::from_millis(1000_u64.checked_div(limit.into()).unwrap_or(u64::from(u32::MAX)));
        self.drains.insert(member, now + pause);
    }

    /// Forgets the pace of those who are no members any more.
    pub fn keep_members(&mut self, is_member: impl Fn(u64) -> bool) {
        self.drains.retain(|member, _| is_member(*member));
    }

    /// Nobody is there: what was read goes back to the journal. What members left unacknowledged stays.
    pub fn unload(&mut self) {
        self.live.unload();
        self.queued.unload();
        self.stuck = false;
        self.drains.clear();
    }

    /// Messages in memory that are with no member.
    pub fn in_memory(&self) -> usize {
        [&self.live, &self.queued].iter().map(|row| row.loaded.len() + row.returned.len()).sum()
    }

    /// Messages that wait; after a restart only those that were seen since.
    pub fn waiting(&self) -> usize {
        self.live.waiting() + self.queued.waiting()
    }

    /// True if there is something to read or to hand out.
    pub fn has_work(&self) -> bool {
        self.live.is_unread() || self.queued.is_unread() || self.in_memory() > 0
    }

    /// Up to where the journal may forget a row, if it is worth a write now.
    pub fn trim(&mut self, lane: Lane) -> Option<u64> {
        self.row_mut(lane).trim()
    }

    /// The last known record of a row, for forgetting them all.
    pub fn last(&self, lane: Lane) -> u64 {
        let row = self.row(lane);
        row.last.max(row.after)
    }
}

/// The members to try, in order: from a random one on, in a circle. Everybody is equally likely to be the first.
pub fn from_random<T>(members: &[T], random: u64) -> impl Iterator<Item = &T> {
    let start = random.checked_rem(members.len() as u64).unwrap_or(0) as usize;
    members.iter().cycle().skip(start).take(members.len())
}

#[cfg(test)]
mod tests;
