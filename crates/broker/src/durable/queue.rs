//! What waits to be made durable, and what could not be: the committer's queue.

use std::collections::{BTreeMap, VecDeque};
use std::future::poll_fn;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::task::{Poll, Waker};
use std::time::Duration;

use hashbrown::HashMap;
use identity::Timestamp;
use parking_lot::Mutex;
use session::Session;
use store::{Append, Key, StoreError, Ticket};

use crate::broker::Inner;
use crate::cell::Cell;
use crate::publish::Waits;
use crate::receive::Acknowledgement;

/// Bytes that wait above which clients' input is not read.
const MOST_BYTES: usize = 64 << 20;
/// What one group takes at most, unless its first job has more: see [`append_all`].
const GROUP_RECORDS: usize = 4_000;
const GROUP_BYTES: usize = 8 << 20;
/// Retained messages that are written with one job when they are written for themselves.
const TOPICS: usize = 100;
/// So many times [`Inner::save_again`] finds a CONNECT that waits for an earlier will of its client, and then it is refused.
pub(super) const PATIENCE: u8 = 2;
const BETWEEN_TRIES: Duration = Duration::from_secs(1);

/// A thing to be made durable.
pub(crate) struct Job {
    /// Messages, with those who wait for them.
    pub appends: Vec<(Append, Vec<Waits>)>,
    /// Cells whose records are to be written as they are when the write happens.
    pub saves: Vec<Arc<Cell>>,
    /// The cell of which identifiers of QoS 2 messages are among the appends.
    pub logs: Option<Arc<Cell>>,
    /// Topics of which the retained message is to be written as it is when the write happens, and how much it is.
    pub retained: Vec<(Box<str>, usize)>,
    /// It publishes a will: the record of that goes later.
    pub is_will: bool,
    /// What it publishes is the broker's own, a will or a tiding: nobody sends it again, so it is written until the disk has
    /// it. It may come twice if the disk had it and said that it had not.
    pub is_own: bool,
    /// How often it was found waiting for an earlier will of its client.
    pub waited: u8,
    /// What comes after.
    pub then: Then,
}

/// What is told when the disk has it.
pub(crate) type LateAnswer = Box<dyn FnOnce(&Inner, Timestamp) + Send>;

/// What comes after a write.
pub(crate) enum Then {
    /// Nothing.
    Rest,
    /// PUBACKs and their like of a connection.
    Settle { cell: Arc<Cell>, generation: u64, acknowledgements: Vec<Acknowledgement> },
    /// SUBACK or UNSUBACK and what follows it.
    Answer { cell: Arc<Cell>, generation: u64, answer: LateAnswer },
    /// Somebody waits.
    Tell(Arc<Ticket>),
}

impl Then {
    /// What was logged with it counts.
    pub(super) fn seal(&self, session: &mut Session) {
        if let Self::Settle { acknowledgements, .. } = self {
            acknowledgements.iter().for_each(|one| one.seal(session));
        }
    }
}

impl Job {
    /// Nothing yet.
    pub(crate) fn new(then: Then) -> Self {
        let (appends, saves, retained) = (Vec::new(), Vec::new(), Vec::new());
        Self { appends, saves, logs: None, retained, is_will: false, is_own: false, waited: 0, then }
    }

    /// Only the records of a cell.
    pub(crate) fn save(cell: &Arc<Cell>, then: Then) -> Self {
        Self { saves: vec![cell.clone()], ..Self::new(then) }
    }

    /// Only the retained messages of topics.
    pub(crate) fn retained(mut topics: Vec<(Box<str>, usize)>) -> impl Iterator<Item = Self> {
        std::iter::from_fn(move || {
            let some = topics.split_off(topics.len().saturating_sub(TOPICS));
            (!some.is_empty()).then(|| Self { retained: some, ..Self::new(Then::Rest) })
        })
    }

    /// Records of the journal, about.
    fn count(&self) -> usize {
        self.appends.iter().map(|(append, _)| append.to.len()).sum::<usize>() + 1
    }

    fn bytes(&self) -> usize {
        let retained = self.retained.iter().map(|(topic, bytes)| topic.len() + bytes);
        self.appends.iter().map(|(append, _)| append.bytes()).chain(retained).sum::<usize>() + 64
    }
}

/// Jobs that wait.
#[derive(Default)]
pub(crate) struct Committer {
    waiting: Mutex<Waiting>,
    /// More than [`MOST_BYTES`] waited when jobs came or went: every connection asks at every read, and mostly nothing does.
    congested: AtomicBool,
}

/// What could not be written, and is written again at the next [`Inner::save_again`].
#[derive(Default)]
struct Unsaved {
    /// Cells with their records.
    cells: BTreeMap<Box<str>, Arc<Cell>>,
    /// Topics with their retained messages, and how much these are.
    topics: BTreeMap<Box<str>, usize>,
    /// What the broker itself published, and how much it is.
    own: Vec<Job>,
    bytes: usize,
}

impl Unsaved {
    fn jobs(self) -> impl Iterator<Item = Job> {
        let saves = self.cells.into_values().map(|cell| Job::save(&cell, Then::Rest));
        self.own.into_iter().chain(saves).chain(Job::retained(self.topics.into_iter().collect()))
    }
}

#[derive(Default)]
struct Waiting {
    jobs: VecDeque<Job>,
    bytes: usize,
    /// Journals to be trimmed with the next group; the furthest place counts.
    trims: BTreeMap<Key, u64>,
    /// When what could not be written was handed in again last.
    retried: Timestamp,
    unsaved: Unsaved,
    /// CONNECTs with a will that wait for an earlier one of their client: they go with the next group.
    aside: Vec<Job>,
    nudged: bool,
    waker: Option<Waker>,
    closed: bool,
    /// Connections, by generation, that are not read from until the disk has caught up.
    paused: HashMap<u64, Weak<Cell>>,
}

impl Committer {
    /// Hands in a job. After the end it is lost, as everything is that was not acknowledged.
    pub(crate) fn submit(&self, job: Job) {
        let mut waiting = self.waiting.lock();
        if waiting.closed {
            drop(waiting);
            if let Then::Tell(ticket) = job.then {
                ticket.punch(Err(StoreError::unavailable("the broker is going down")));
            }
            return;
        }
        waiting.bytes += job.bytes();
        waiting.jobs.push_back(job);
        self.congested.store(waiting.bytes > MOST_BYTES, Ordering::Relaxed);
        let waker = waiting.waker.take();
        drop(waiting);
        waker.into_iter().for_each(Waker::wake);
    }

    /// What waits: jobs and bytes. A record that could not be written counts as a job.
    pub(crate) fn size(&self) -> (usize, usize) {
        let waiting = self.waiting.lock();
        let unsaved = &waiting.unsaved;
        let unsaved = unsaved.cells.len() + unsaved.topics.len() + unsaved.own.len();
        (waiting.jobs.len() + waiting.aside.len() + unsaved, waiting.bytes)
    }

    /// Hands in again what could not be written. After the end the loop has it, as its last work.
    /// Not more often than once a second: time passes in smaller steps, too.
    pub(super) fn retry(&self, now: Timestamp) {
        let mut waiting = self.waiting.lock();
        let is_soon = now >= waiting.retried && now.since(waiting.retried) < BETWEEN_TRIES;
        if waiting.closed || is_soon {
            return;
        }
        waiting.retried = now;
        for job in waiting.again(1) {
            waiting.bytes += job.bytes();
            waiting.jobs.push_back(job);
        }
        self.congested.store(waiting.bytes > MOST_BYTES, Ordering::Relaxed);
        let waker = if waiting.jobs.is_empty() { None } else { waiting.waker.take() };
        drop(waiting);
        waker.into_iter().for_each(Waker::wake);
    }

    /// What is left to be tried at the end.
    pub(super) fn last(&self) -> Vec<Job> {
        self.waiting.lock().again(PATIENCE)
    }

    /// Has a cell's records written again.
    pub(super) fn keep_cell(&self, cell: Arc<Cell>) {
        self.waiting.lock().unsaved.cells.insert(cell.client_id.as_str().into(), cell);
    }

    /// Has the retained messages of topics written again.
    pub(super) fn keep_topics(&self, topics: Vec<(Box<str>, usize)>) {
        self.waiting.lock().unsaved.topics.extend(topics);
    }

    /// True if what waits to be written again leaves room for a message of the broker's own.
    pub(super) fn has_room_for_own(&self, job: &Job) -> bool {
        self.waiting.lock().unsaved.bytes + job.bytes() <= MOST_BYTES
    }

    /// Has a message of the broker's own written again.
    pub(super) fn keep_own(&self, job: Job) {
        let unsaved = &mut self.waiting.lock().unsaved;
        unsaved.bytes += job.bytes();
        unsaved.own.push(job);
    }

    /// A CONNECT waits for an earlier will of its client: it goes with the next group.
    pub(super) fn put_aside(&self, job: Job) {
        self.waiting.lock().aside.push(job);
    }

    /// Forgets a session's messages up to `upto`, with the next group or at the next [`Committer::nudge`].
    pub(crate) fn trim(&self, session: Key, upto: u64) {
        let mut waiting = self.waiting.lock();
        let place = waiting.trims.entry(session).or_insert(0);
        *place = upto.max(*place);
    }

    /// Trims what waits although nothing else is to be written.
    pub(crate) fn nudge(&self) {
        let mut waiting = self.waiting.lock();
        if waiting.trims.is_empty() {
            return;
        }
        waiting.nudged = true;
        let waker = waiting.waker.take();
        drop(waiting);
        waker.into_iter().for_each(Waker::wake);
    }

    /// True if the disk does not keep up; then the connection is woken when it has caught up.
    pub(crate) fn pauses(&self, cell: &Arc<Cell>, generation: u64) -> bool {
        if !self.congested.load(Ordering::Relaxed) {
            return false;
        }
        let mut waiting = self.waiting.lock();
        let congested = waiting.bytes > MOST_BYTES;
        if congested {
            waiting.paused.insert(generation, Arc::downgrade(cell));
        }
        congested
    }

    /// Wakes whom the disk does not hold up any more.
    pub(super) fn relieve(&self) {
        let mut waiting = self.waiting.lock();
        if waiting.bytes > MOST_BYTES || waiting.paused.is_empty() {
            return;
        }
        let paused = std::mem::take(&mut waiting.paused);
        drop(waiting);
        for (generation, cell) in paused {
            let waker = cell.upgrade().and_then(|cell| {
                cell.enter(|seat| seat.of(generation).and_then(|(live, _)| live.waker.take()))
            });
            waker.into_iter().for_each(Waker::wake);
        }
    }

    /// Loses what waits behind the first jobs, as if the process had ended there, or they had not been handed in yet.
    #[cfg(test)]
    pub(crate) fn forget_all_but(&self, first: usize) {
        self.waiting.lock().jobs.truncate(first);
    }

    /// Ends the loop when all that waits is written.
    pub(crate) fn close(&self) {
        let mut waiting = self.waiting.lock();
        waiting.closed = true;
        let waker = waiting.waker.take();
        drop(waiting);
        waker.into_iter().for_each(Waker::wake);
    }

    /// True from the end on.
    pub(crate) fn is_closed(&self) -> bool {
        self.waiting.lock().closed
    }

    /// The next group; `None` at the end.
    pub(super) async fn next(&self) -> Option<(Vec<Job>, BTreeMap<Key, u64>)> {
        poll_fn(|cx| {
            let mut waiting = self.waiting.lock();
            if waiting.jobs.is_empty() && !waiting.nudged {
                if waiting.closed {
                    return Poll::Ready(None);
                }
                waiting.waker = Some(cx.waker().clone());
                return Poll::Pending;
            }
            waiting.nudged = false;
            let mut group = waiting.group();
            group.append(&mut waiting.aside);
            self.congested.store(waiting.bytes > MOST_BYTES, Ordering::Relaxed);
            Poll::Ready(Some((group, std::mem::take(&mut waiting.trims))))
        })
        .await
    }
}

impl Waiting {
    /// What is to be tried again, and who had to wait so much longer.
    fn again(&mut self, longer: u8) -> Vec<Job> {
        let aside = std::mem::take(&mut self.aside).into_iter();
        let aside = aside.map(|job| Job { waited: job.waited.saturating_add(longer), ..job });
        std::mem::take(&mut self.unsaved).jobs().chain(aside).collect()
    }

    fn group(&mut self) -> Vec<Job> {
        let (mut group, mut records, mut bytes) = (Vec::new(), 0, 0);
        while let Some(job) = self.jobs.front() {
            let (count, weight) = (job.count(), job.bytes());
            if !group.is_empty() && (records + count > GROUP_RECORDS || bytes + weight > GROUP_BYTES) {
                break;
            }
            records += count;
            bytes += weight;
            group.extend(self.jobs.pop_front());
        }
        self.bytes = self.bytes.saturating_sub(bytes);
        group
    }
}
