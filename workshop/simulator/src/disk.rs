//! The store and the journal of a simulated machine, and all that can befall them.
//!
//! Writes queue in one row, as behind the one writer of the embedded store: each *lands* in order after a while and is
//! *answered* some time later. A crash takes what has not landed: of the row a part from its front survives, and a write
//! that was half-way is gone as a whole. A write that fails may have happened all the same. Reads may be late.

mod operation;
mod ports;

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::task::Waker;
use std::time::Duration;

use identity::Timestamp;
use models::marks::{Mark, Marks};
use parking_lot::Mutex;
use store::memory::{MemoryJournal, MemoryStore};
use store::recent::Memory;
use store::{Journal, Key, Position, Space, StoreError, block_on};

use crate::clock::Clock;
use crate::rng::Rng;
use operation::{Operation, Ticket};

/// How the disk behaves for now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mood {
    /// A write lands after at most so many milliseconds, and is answered after at most as many again.
    pub slowness: u64,
    /// Reads that are late, in a hundred.
    pub late_reads: u64,
    /// Operations that fail, in a hundred.
    pub failures: u64,
}

/// What is deliberately wrong with it, to see whether somebody notices.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flaws {
    /// A crash takes writes that were answered: somebody did not sync.
    pub loses_synced: bool,
    /// Forgets to trim.
    pub never_trims: bool,
    /// Pages of the journal come in the wrong order.
    pub shuffles: bool,
    /// Now and then a change is missing from the feed.
    pub deaf_feed: bool,
}

struct State {
    store: MemoryStore,
    journal: Arc<MemoryJournal>,
    /// All that landed, in order: kept only by a disk that is to forget some of it.
    log: Vec<Operation>,
    mood: Mood,
    flaws: Flaws,
    rng: Rng,
    row: VecDeque<Pending>,
    lands_last: Timestamp,
    /// Writes that landed and wait for their answer, reads that are late: when, and whom to wake.
    alarms: Vec<(Timestamp, Waker)>,
    answers: Vec<(Timestamp, Arc<Mutex<Ticket>>)>,
    /// Every queue of the journal that was ever written to.
    queues: BTreeSet<Vec<u8>>,
    keys: Vec<Key>,
    /// Spaces that were written to since somebody asked.
    touched: BTreeSet<Space>,
}

struct Pending {
    operation: Operation,
    lands: Timestamp,
    answers: Timestamp,
    /// It answers that it failed, although it lands, or does not land.
    fails: Option<bool>,
    ticket: Arc<Mutex<Ticket>>,
}

/// The disk. It survives the processes that use it; clones are the same disk.
#[derive(Clone)]
pub struct Disk {
    state: Arc<Mutex<State>>,
    clock: Clock,
    marks: Marks,
}

impl Disk {
    /// An empty one. Its feed remembers little, so that a busy follower falls behind now and then.
    pub fn new(clock: Clock, marks: Marks, flaws: Flaws) -> Self {
        let state = State {
            store: empty(),
            journal: Arc::new(MemoryJournal::new()),
            log: Vec::new(),
            mood: Mood::default(),
            flaws,
            rng: Rng::new(0),
            row: VecDeque::new(),
            lands_last: Timestamp::default(),
            alarms: Vec::new(),
            answers: Vec::new(),
            queues: BTreeSet::new(),
            keys: Vec::new(),
            touched: BTreeSet::new(),
        };
        Self { state: Arc::new(Mutex::new(state)), clock, marks }
    }

    /// The records as they are, without delay: for models and tests.
    pub fn records(&self) -> MemoryStore {
        self.state.lock().store.clone()
    }

    fn messages(&self) -> Arc<MemoryJournal> {
        self.state.lock().journal.clone()
    }

    /// From now on its fate depends on this seed.
    pub fn reseed(&self, seed: u64) {
        self.state.lock().rng = Rng::new(seed);
    }

    /// From now on it behaves so.
    pub fn set_mood(&self, mood: Mood) {
        self.state.lock().mood = mood;
    }

    /// True if nothing is on its way to it or from it.
    pub fn is_idle(&self) -> bool {
        let state = self.state.lock();
        state.row.is_empty() && state.alarms.is_empty() && state.answers.is_empty()
    }

    /// When it has something to do next.
    pub fn next(&self) -> Timestamp {
        let state = self.state.lock();
        let lands = state.row.front().map(|pending| pending.lands);
        let wakes = state.alarms.iter().map(|(when, _)| *when).min();
        let answers = state.answers.iter().map(|(when, _)| *when).min();
        [lands, wakes, answers].into_iter().flatten().min().unwrap_or(Timestamp::NEVER)
    }

    /// The spaces that were written to since the last call.
    pub fn take_touched(&self) -> BTreeSet<Space> {
        std::mem::take(&mut self.state.lock().touched)
    }

    /// Does what is due: true if anything was.
    pub fn turn(&self) -> bool {
        let now = self.clock.now();
        let mut moved = false;
        while let Some(pending) = self.take_due(now) {
            self.land(pending);
            moved = true;
        }
        let (answered, woken) = {
            let mut state = self.state.lock();
            let answered: Vec<_> = state.answers.extract_if(.., |(when, _)| *when <= now).collect();
            let woken: Vec<_> = state.alarms.extract_if(.., |(when, _)| *when <= now).collect();
            (answered, woken)
        };
        moved |= !answered.is_empty() || !woken.is_empty();
        for (_, ticket) in answered {
            let waker = ticket.lock().open();
            waker.into_iter().for_each(Waker::wake);
        }
        woken.into_iter().for_each(|(_, waker)| waker.wake());
        moved
    }

    fn take_due(&self, now: Timestamp) -> Option<Pending> {
        let mut state = self.state.lock();
        state.row.front().filter(|pending| pending.lands <= now)?;
        state.row.pop_front()
    }

    fn land(&self, pending: Pending) {
        let Pending { operation, answers, fails, ticket, .. } = pending;
        let mut state = self.state.lock();
        state.touched.extend(operation.spaces());
        if state.flaws.loses_synced && fails != Some(false) {
            state.log.push(operation.clone());
        }
        let (store, journal) = (state.store.clone(), state.journal.clone());
        drop(state);
        let refused = operation.refused();
        let outcome = match fails {
            Some(false) => refused,
            Some(true) => {
                let _lost = operation.carry_out(&store, &journal);
                refused
            }
            None => operation.carry_out(&store, &journal),
        };
        ticket.lock().fill(outcome);
        self.state.lock().answers.push((answers, ticket));
    }

    /// The machine loses power: of what has not landed, a part from the front of the row survives.
    pub fn crash(&self) {
        let survivors = {
            let mut state = self.state.lock();
            let count = state.row.len() as u64;
            let survivors = state.rng.below(count + 1) as usize;
            if survivors < state.row.len() {
                self.marks.hit(Mark::UnsyncedLost);
                if survivors > 0 {
                    self.marks.hit(Mark::LastWriteTorn);
                }
            }
            let row = std::mem::take(&mut state.row);
            state.alarms.clear();
            state.answers.clear();
            state.lands_last = Timestamp::default();
            row.into_iter().take(survivors).collect::<Vec<_>>()
        };
        for pending in survivors {
            self.land(Pending { fails: pending.fails.filter(|happens| !happens), ..pending });
        }
        let mut state = self.state.lock();
        state.answers.clear();
        if state.flaws.loses_synced {
            state.forget_the_last();
        }
    }

    /// How many records of the journal there are: in queues of sessions, and in those of shared groups.
    pub fn waiting(&self) -> (usize, usize) {
        let journal = self.messages();
        let keys = self.state.lock().keys.clone();
        let count =
            |key: &&Key| block_on(journal.read(key, Position::START, 1000)).map_or(0, |page| page.len());
        let is_group = |key: &&Key| key.parts().first().is_some_and(|first| first == "$group");
        let (groups, sessions): (Vec<&Key>, Vec<&Key>) = keys.iter().partition(is_group);
        (sessions.iter().map(count).sum(), groups.iter().map(count).sum())
    }

    fn note_queues<'a>(&self, keys: impl Iterator<Item = &'a Key>) {
        let mut state = self.state.lock();
        for key in keys {
            if state.queues.insert(key.as_bytes().to_vec()) {
                state.keys.push(key.clone());
            }
        }
    }

    /// Puts a write into the row.
    fn submit(&self, operation: Operation) -> Arc<Mutex<Ticket>> {
        let now = self.clock.now();
        let mut state = self.state.lock();
        let slowness = state.mood.slowness;
        let failures = state.mood.failures;
        let lands = now + Duration::from_millis(state.rng.below(slowness + 1));
        let lands = lands.max(state.lands_last);
        state.lands_last = lands;
        let answers = lands + Duration::from_millis(state.rng.below(slowness + 1));
        if lands > now {
            self.marks.hit(Mark::WriteLate);
        }
        let fails = state.rng.chance(failures).then(|| state.rng.chance(50));
        if let Some(happens) = fails {
            self.marks.hit(if happens { Mark::WriteFailedButHappened } else { Mark::WriteFailed });
        }
        let ticket = Arc::new(Mutex::new(Ticket::default()));
        state.row.push_back(Pending { operation, lands, answers, fails, ticket: ticket.clone() });
        ticket
    }

    /// What a read meets: how late it is, or its failure.
    fn read(&self) -> Result<Option<Timestamp>, StoreError> {
        let mut state = self.state.lock();
        let Mood { failures, late_reads, slowness } = state.mood;
        if state.rng.chance(failures) {
            self.marks.hit(Mark::ReadFailed);
            return Err(StoreError::unavailable("the simulated disk does not answer"));
        }
        let late = slowness > 0 && state.rng.chance(late_reads);
        if late {
            self.marks.hit(Mark::ReadLate);
        }
        let until = late.then(|| self.clock.now() + Duration::from_millis(1 + state.rng.below(slowness)));
        Ok(until)
    }
}

impl State {
    /// What a disk does that did not sync: the last things that it answered for are not there.
    fn forget_the_last(&mut self) {
        let forgotten = 1 + self.rng.place(4);
        let kept = self.log.len().saturating_sub(forgotten);
        self.log.truncate(kept);
        self.store = empty();
        self.journal = Arc::new(MemoryJournal::new());
        for operation in self.log.clone() {
            let _as_before = operation.carry_out(&self.store, &self.journal);
        }
    }
}

fn empty() -> MemoryStore {
    MemoryStore::with_limits(MemoryStore::DEFAULT_CAPACITY, Memory { changes: 24, bytes: 1 << 20 })
}
