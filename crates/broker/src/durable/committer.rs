//! The committer: everything that must be on disk before somebody is told goes through here, in order, in groups.
//!
//! Producers hand in [`Job`]s and go on; one loop ([`Inner::commit_jobs`]) writes what has gathered and then does what
//! each job says comes after. So an acknowledgement never waits alone for a disk, and nothing depends on the
//! connection that caused a write being there when it is done.

use std::collections::{BTreeMap, VecDeque};
use std::future::poll_fn;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::task::{Poll, Waker};

use dialect::Divergence;
use futures_util::future::{join_all, join3};
use hashbrown::HashMap;
use identity::Timestamp;
use parking_lot::Mutex;
use session::Session;
use session::mutation::{self, Mutation};
use store::{Append, Batch, CommitError, Key, Position, StoreError, Ticket, append_all};

use super::save;
use crate::Clock;
use crate::broker::{Durability, Inner};
use crate::cell::{Cell, Seat};
use crate::publish::Waits;
use crate::receive::Acknowledgement;

/// Bytes that wait above which clients' input is not read.
const MOST_BYTES: usize = 64 << 20;
/// What one group takes at most, unless its first job has more: see [`append_all`].
const GROUP_RECORDS: usize = 4_000;
const GROUP_BYTES: usize = 8 << 20;
/// Retained messages that are written with one job when they are written for themselves.
const TOPICS: usize = 100;

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
    fn seal(&self, session: &mut Session) {
        if let Self::Settle { acknowledgements, .. } = self {
            acknowledgements.iter().for_each(|one| one.seal(session));
        }
    }
}

impl Job {
    /// Nothing yet.
    pub(crate) fn new(then: Then) -> Self {
        Self { appends: vec![], saves: vec![], logs: None, retained: vec![], is_will: false, then }
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
    /// Wills, and how much they are.
    wills: Vec<Job>,
    bytes: usize,
}

/// What is written at once, by job where it is not said otherwise.
#[derive(Default)]
struct Group {
    /// Of all.
    appends: Vec<Append>,
    targets: Vec<Waits>,
    /// What is retained, and records if they need not wait for it.
    batches: Vec<Vec<Batch>>,
    /// Records that do.
    later: Vec<Batch>,
    logs: Vec<(Key, u64)>,
    saved: Vec<Vec<(Arc<Cell>, Vec<Key>)>>,
    /// A will of it has to wait for an earlier one of its client.
    blocked: Vec<bool>,
    /// There is a will: the record of that goes when the will is where it has to be.
    wills: bool,
}

#[derive(Default)]
struct Waiting {
    jobs: VecDeque<Job>,
    bytes: usize,
    /// Journals to be trimmed with the next group; the furthest place counts.
    trims: BTreeMap<Key, u64>,
    unsaved: Unsaved,
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
        let unsaved = unsaved.cells.len() + unsaved.topics.len() + unsaved.wills.len();
        (waiting.jobs.len() + unsaved, waiting.bytes)
    }

    /// Cells and topics whose records are to be written again. After the end the loop has them, as its last work.
    fn take_unsaved(&self, at_the_end: bool) -> Unsaved {
        let mut waiting = self.waiting.lock();
        if waiting.closed != at_the_end { Unsaved::default() } else { std::mem::take(&mut waiting.unsaved) }
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
    fn relieve(&self) {
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

    /// Loses what waits behind the first job, as if the process had ended there.
    #[cfg(test)]
    pub(crate) fn forget_all_but_the_first(&self) {
        self.waiting.lock().jobs.truncate(1);
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
    async fn next(&self) -> Option<(Vec<Job>, BTreeMap<Key, u64>)> {
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
            let group = waiting.group();
            self.congested.store(waiting.bytes > MOST_BYTES, Ordering::Relaxed);
            Poll::Ready(Some((group, std::mem::take(&mut waiting.trims))))
        })
        .await
    }
}

impl Waiting {
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

impl Inner {
    /// Writes until the committer is closed and empty.
    pub async fn commit_jobs(&self, clock: Clock<'_>) {
        while let Some((jobs, trims)) = self.committer.next().await {
            self.committer.relieve();
            self.write(jobs, trims, clock).await;
        }
        // One more try for what failed before.
        let again = self.unsaved_again(true);
        if !again.is_empty() {
            self.write(again, BTreeMap::new(), clock).await;
        }
    }

    async fn write(&self, mut jobs: Vec<Job>, trims: BTreeMap<Key, u64>, clock: Clock<'_>) {
        let Some(journal) = self.journal.clone() else { return };
        let Group { appends, mut targets, batches, later, logs, saved, blocked, wills } =
            self.put_together(&mut jobs);
        let trimming = join_all(trims.iter().map(|(key, upto)| journal.trim(key, Position(*upto))));
        let committing = join_all(batches.into_iter().map(|batches| self.commit_all(batches)));
        // In this order: what a message retains is there before the message counts as taken, and what a trim forgets is
        // not needed any more.
        let appending = append_all(&*journal, appends);
        let (committed, appended, trimmed) = join3(committing, appending, trimming).await;
        let will_failed = appended.as_ref().err().filter(|_| wills);
        let commit_later = |(first, batch): (Result<(), StoreError>, Batch)| async {
            first.and(will_failed.map_or(Ok(()), |error| Err(error.clone())))?;
            self.commit(batch).await
        };
        let committed = join_all(committed.into_iter().zip(later).map(commit_later)).await;
        let now = clock();
        if committed.iter().all(Result::is_ok) {
            logs.into_iter().for_each(|(key, upto)| self.committer.trim(key, upto));
        }
        self.trimmed(trims, trimmed, now);
        if appended.is_ok() {
            let wills = jobs.iter_mut().flat_map(|job| job.appends.drain(..));
            targets.extend(wills.flat_map(|(_, cells)| cells));
        }
        self.announce(&appended, targets, now);
        let mut failed = Vec::new();
        let saved = saved.into_iter().zip(blocked);
        for ((job, committed), (saved, blocked)) in jobs.into_iter().zip(committed).zip(saved) {
            let waits = || StoreError::unavailable("an earlier will of the client waits for the disk");
            let committed = committed.and_then(|()| if blocked { Err(waits()) } else { Ok(()) });
            let committed = committed.and_then(|()| depends(&saved, &failed));
            if let Err(error) = &committed {
                failed.extend(saved.iter().map(|(cell, _)| (Arc::as_ptr(cell), error.clone())));
            }
            let cells: Vec<_> = saved.iter().filter(|_| job.is_will).map(|(cell, _)| cell.clone()).collect();
            self.saved(saved, committed.is_ok());
            match &committed {
                Err(_) if job.is_will => self.will_again(job.appends, job.retained, cells),
                Err(_) if !mutation::is(Mutation::SavesOnce) => {
                    self.committer.waiting.lock().unsaved.topics.extend(job.retained);
                }
                _ => {}
            }
            if let (Some(cell), Ok(Some(place))) = (&job.logs, &appended) {
                with_session(cell, |session| {
                    session.logged(place.0);
                    job.then.seal(session);
                });
            }
            let outcome = appended.as_ref().map(|_| ()).map_err(Clone::clone).and(committed);
            self.after(job.then, outcome, now);
        }
    }

    /// What a group writes: of the records what they are now.
    fn put_together(&self, jobs: &mut [Job]) -> Group {
        let mut group = Group { wills: jobs.iter().any(|job| job.is_will), ..Group::default() };
        // Records go in their order, also where some have to wait for what is retained.
        let waits = group.wills || jobs.iter().any(|job| !job.retained.is_empty());
        for job in jobs {
            if job.is_will {
                // It may have to be written again.
                group.appends.extend(job.appends.iter().map(|(append, _)| append.clone()));
            } else {
                for (append, cells) in job.appends.drain(..) {
                    group.appends.push(append);
                    group.targets.extend(cells);
                }
            }
            let (mut records, mut added, mut is_blocked) = (Batch::new(), Vec::new(), false);
            for cell in job.saves.drain(..) {
                if job.is_will {
                    cell.enter(Seat::will_done);
                }
                let save::Added { log, abandoned, blocked } = save::add(&cell, &mut records);
                is_blocked |= blocked;
                group.logs.extend(log);
                added.push((cell, abandoned));
            }
            group.saved.push(added);
            group.blocked.push(is_blocked);
            let mut first = self.retained_records(&job.retained);
            group.later.push(if waits { std::mem::take(&mut records) } else { Batch::new() });
            first.push(records);
            group.batches.push(first);
        }
        group
    }

    /// A will that could not be written is written again, and its record goes after that. There is a bound on how much waits
    /// for that: beyond it a will is given up.
    fn will_again(
        &self,
        appends: Vec<(Append, Vec<Waits>)>,
        retained: Vec<(Box<str>, usize)>,
        saves: Vec<Arc<Cell>>,
    ) {
        let job = Job { appends, retained, saves, is_will: true, ..Job::new(Then::Rest) };
        let bytes = self.committer.waiting.lock().unsaved.bytes + job.bytes();
        if bytes > MOST_BYTES || mutation::is(Mutation::SavesOnce) {
            return self.missed(job.appends.into_iter().flat_map(|(_, cells)| cells).collect());
        }
        job.saves.iter().for_each(|cell| cell.enter(|seat| seat.wills = seat.wills.saturating_add(1)));
        let unsaved = &mut self.committer.waiting.lock().unsaved;
        unsaved.bytes = bytes;
        unsaved.wills.push(job);
    }

    /// Records were written: journals of sessions that are over may be forgotten. Or they were not: what a session has
    /// become is not on the disk, and it would come back as it was after a restart.
    fn saved(&self, cells: Vec<(Arc<Cell>, Vec<Key>)>, is_written: bool) {
        for (cell, abandoned) in cells {
            let is_done = cell.enter(|seat| {
                seat.writing = seat.writing.saturating_sub(1);
                // Of one that has left the directory nothing was to be written.
                if is_written || seat.retired {
                    return true;
                }
                seat.abandoned.extend(abandoned.iter().cloned());
                // What the store holds of it is not known.
                seat.saved = super::Saved { session: true, will: true };
                false
            });
            if is_done {
                abandoned.into_iter().for_each(|key| self.committer.trim(key, u64::MAX));
                self.vacate(&cell);
            } else if !mutation::is(Mutation::SavesOnce) {
                let client_id = cell.client_id.as_str().into();
                self.committer.waiting.lock().unsaved.cells.insert(client_id, cell);
            }
        }
    }

    /// Writes again the records that could not be written.
    pub fn save_again(&self) {
        self.unsaved_again(false).into_iter().for_each(|job| self.committer.submit(job));
    }

    fn unsaved_again(&self, at_the_end: bool) -> Vec<Job> {
        let Unsaved { cells, topics, wills, .. } = self.committer.take_unsaved(at_the_end);
        let saves = cells.values().map(|cell| Job::save(cell, Then::Rest));
        wills.into_iter().chain(saves).chain(Job::retained(topics.into_iter().collect())).collect()
    }

    /// A journal that could not be trimmed is trimmed with the next group: a session that is over leaves nothing behind.
    fn trimmed(&self, trims: BTreeMap<Key, u64>, outcomes: Vec<Result<(), StoreError>>, now: Timestamp) {
        let mut first = None;
        for ((key, upto), outcome) in trims.into_iter().zip(outcomes) {
            match outcome {
                Ok(()) => {
                    self.groups.is_trimmed(&key, upto);
                    self.session_trimmed(&key, upto);
                }
                Err(error) => {
                    if !mutation::is(Mutation::TrimsOnce) {
                        self.committer.trim(key, upto);
                    }
                    first.get_or_insert(error);
                }
            }
        }
        if let Some(error) = first {
            self.store_failed("trimming the queues of sessions", &error, now);
        }
    }

    /// What a session remembers of QoS 2 messages so that its journal does not bring them again is not needed any more.
    fn session_trimmed(&self, key: &Key, upto: u64) {
        let owner = if self.dialect.has(Divergence::NoQos2) { None } else { records::owner(key) };
        let Some((client_id, incarnation)) = owner else { return };
        if *key == records::journal_key(&client_id, &incarnation)
            && let Some(cell) = self.directory.find(client_id.as_str())
        {
            cell.enter(|seat| {
                let kept = seat.kept.as_mut().filter(|kept| *kept.incarnation == *incarnation);
                kept.into_iter().for_each(|kept| kept.session.trimmed(upto));
            });
        }
    }

    /// One after the other, until one fails.
    async fn commit_all(&self, batches: Vec<Batch>) -> Result<(), StoreError> {
        for batch in batches {
            self.commit(batch).await?;
        }
        Ok(())
    }

    pub(super) async fn commit(&self, batch: Batch) -> Result<(), StoreError> {
        if batch.is_empty() {
            return Ok(());
        }
        match self.store.commit(batch).await {
            Ok(_) => Ok(()),
            Err(CommitError::Store(error)) => Err(error),
            Err(conflict) => Err(StoreError::unavailable(conflict.to_string())),
        }
    }

    fn after(&self, then: Then, outcome: Result<(), StoreError>, now: Timestamp) {
        if let Err(error) = &outcome {
            self.take_back(&then);
            self.store_failed("what a client was waiting for", error, now);
        }
        match (then, outcome) {
            (Then::Rest, _) => {}
            (Then::Tell(ticket), outcome) => ticket.punch(outcome),
            (Then::Settle { cell, generation, acknowledgements }, Ok(())) => {
                settle(&cell, generation, acknowledgements)
            }
            (Then::Answer { answer, .. }, Ok(())) => answer(self, now),
            (Then::Settle { cell, generation, .. } | Then::Answer { cell, generation, .. }, Err(error)) => {
                let same = |live: &crate::cell::Live| live.generation == generation;
                self.oust(&cell, same, dialect::Fault::ServerError, &error, now);
            }
        }
    }
}

impl Inner {
    /// What was received is not on disk: when it comes again, it is a new message.
    fn take_back(&self, then: &Then) {
        if let Then::Settle { cell, acknowledgements, .. } = then {
            with_session(cell, |session| acknowledgements.iter().for_each(|one| one.forget(session)));
            self.keep(cell);
        }
    }

    /// Writes a job and waits for it, while no loop is running.
    pub async fn write_now(&self, mut job: Job, now: Timestamp) -> Result<(), StoreError> {
        let ticket = Ticket::new();
        job.then = Then::Tell(ticket.clone());
        self.write(vec![job], BTreeMap::new(), &move || now).await;
        ticket.wait().await
    }

    /// Tells the sessions that the journal has something for them.
    fn announce(&self, appended: &Result<Option<Position>, StoreError>, targets: Vec<Waits>, now: Timestamp) {
        let number = match appended {
            Ok(Some(position)) => position.0,
            Ok(None) => return,
            Err(error) => {
                self.store_failed("messages for persistent sessions", error, now);
                return self.missed(targets);
            }
        };
        let mut seen = HashMap::new();
        for target in targets {
            let (target, journal) = match target {
                Waits::Session(target, journal, _) => (target, journal),
                Waits::Group(group, lane) => {
                    self.arrived_for(&group, lane, number);
                    continue;
                }
            };
            if seen.insert(target.session, ()).is_some() {
                continue;
            }
            let wants = target.cell.enter(|seat| {
                let Some(kept) = seat.kept.as_mut().filter(|kept| kept.id == target.session) else {
                    // It is over, and its journal may have been trimmed before this.
                    seat.abandoned.push(journal);
                    return None;
                };
                kept.session.arrived(number);
                Some(seat.live.is_some() && !std::mem::replace(&mut seat.wants_page, true))
            });
            match wants {
                Some(true) => self.loader.want(target.cell),
                Some(false) => {}
                None => self.keep(&target.cell),
            }
        }
    }

    /// Messages could not be appended: they do not wait. Perhaps they are there all the same: a session finds them with
    /// the next one that comes, a group looks for them.
    fn missed(&self, targets: Vec<Waits>) {
        for target in targets {
            match target {
                Waits::Session(target, _, weight) => target.cell.enter(|seat| {
                    let kept = seat.kept.as_mut().filter(|kept| kept.id == target.session);
                    kept.into_iter().for_each(|kept| kept.session.missed(weight));
                }),
                Waits::Group(group, lane) => self.missed_for(&group, lane),
            }
        }
    }

    /// After something moved in a session: forgets what is settled, asks for the next page.
    pub fn look_after(&self, cell: &Arc<Cell>) {
        let (shares, trim, wants) = cell.enter(|seat| {
            let Some(kept) = &mut seat.kept else { return (Vec::new(), None, false) };
            let shares = kept.session.take_settled();
            if !kept.session.is_journaled() {
                return (shares, None, false);
            }
            let trim = kept.session.trim().map(|upto| (kept.incarnation.clone(), upto));
            let wants = seat.live.is_some() && kept.session.next_read().is_some();
            (shares, trim, wants && !std::mem::replace(&mut seat.wants_page, true))
        });
        self.settle_shares(&shares);
        if let Some((incarnation, upto)) = trim {
            self.committer.trim(records::journal_key(&cell.client_id, &incarnation), upto);
        }
        if wants {
            self.loader.want(cell.clone());
        }
    }

    /// Has the journal of a session that is over forgotten, when the store knows that it is. The cell is to be saved.
    pub fn forget_queue(&self, cell: &Arc<Cell>, over: &crate::cell::Kept) {
        if !over.session.is_journaled() || mutation::is(Mutation::LeavesQueueBehind) {
            return;
        }
        let journal = records::journal_key(&cell.client_id, &over.incarnation);
        let exactly = !self.dialect.has(dialect::Divergence::NoQos2);
        let received = exactly.then(|| records::received_key(&cell.client_id, &over.incarnation));
        cell.enter(|seat| seat.abandoned.extend([journal].into_iter().chain(received)));
    }

    /// True if the store holds a cell's records, or should.
    pub fn is_kept(&self, cell: &Arc<Cell>) -> bool {
        self.journal.is_some()
            && cell.enter(|seat| {
                let journaled = seat.kept.as_ref().is_some_and(|kept| kept.session.is_journaled());
                journaled || seat.is_stored()
            })
    }

    /// Writes a cell's records some time soon.
    pub fn keep(&self, cell: &Arc<Cell>) {
        if self.is_kept(cell) {
            self.committer.submit(Job::save(cell, Then::Rest));
        }
    }

    /// Writes the records of a connection that has just come, before it hears that it has.
    pub async fn remember(&self, connection: &crate::Connection, lasts: bool) -> Result<(), StoreError> {
        let cell = connection.cell();
        if self.journal.is_none() || !(lasts || self.is_kept(cell)) {
            return Ok(());
        }
        let ticket = Ticket::new();
        self.committer.submit(Job::save(cell, Then::Tell(ticket.clone())));
        match self.durability {
            Durability::Group => ticket.wait().await,
            Durability::Relaxed => Ok(()),
        }
    }
}

/// A cell's records are written as a difference to those of the write before: if that failed, this one has not been enough.
fn depends(saved: &[(Arc<Cell>, Vec<Key>)], failed: &[(*const Cell, StoreError)]) -> Result<(), StoreError> {
    let before = failed.iter().find(|(cell, _)| saved.iter().any(|(own, _)| Arc::as_ptr(own) == *cell));
    before.map_or(Ok(()), |(_, error)| Err(error.clone()))
}

fn with_session(cell: &Arc<Cell>, visit: impl FnOnce(&mut Session)) {
    cell.enter(|seat| {
        if let Some(kept) = &mut seat.kept {
            visit(&mut kept.session);
        }
    });
}

/// Acknowledges what is durable now.
fn settle(cell: &Arc<Cell>, generation: u64, mut acknowledgements: Vec<Acknowledgement>) {
    if mutation::is(Mutation::DropsSettle) {
        acknowledgements.pop();
    }
    let waker = cell.enter(|seat| {
        let (live, _) = seat.of(generation)?;
        live.unsettled = live.unsettled.saturating_sub(acknowledgements.len());
        live.owed = live.owed.saturating_sub(acknowledgements.iter().filter(|one| one.is_puback()).count());
        acknowledgements.into_iter().for_each(|one| one.give(&mut live.talk));
        live.waker.take()
    });
    waker.into_iter().filter(|_| !mutation::is(Mutation::LosesWake)).for_each(Waker::wake);
}
