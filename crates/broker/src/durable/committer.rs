//! The committer: everything that must be on disk before somebody is told goes through here, in order, in groups.
//!
//! Producers hand in [`Job`]s and go on; one loop ([`Inner::commit_jobs`]) writes what has gathered and then does what
//! each job says comes after. So an acknowledgement never waits alone for a disk, and nothing depends on the
//! connection that caused a write being there when it is done.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::task::Waker;

use dialect::Divergence;
use futures_util::future::{join_all, join3};
use hashbrown::HashMap;
use identity::Timestamp;
use session::Session;
use session::mutation::{self, Mutation};
use store::{Append, Batch, CommitError, Key, Position, StoreError, Ticket, append_all};

use super::queue::{Job, PATIENCE, Then};
use super::save;
use crate::Clock;
use crate::broker::{Durability, Inner};
use crate::cell::{Cell, Seat};
use crate::publish::Waits;
use crate::receive::Acknowledgement;

/// What is written at once, by job where it is not said otherwise.
#[derive(Default)]
struct Group {
    /// Of all, and how many they are of each.
    appends: Vec<Append>,
    counts: Vec<usize>,
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

impl Inner {
    /// Writes until the committer is closed and empty.
    pub async fn commit_jobs(&self, clock: Clock<'_>) {
        while let Some((jobs, trims)) = self.committer.next().await {
            self.committer.relieve();
            self.write(jobs, trims, clock).await;
        }
        // One more try for what failed before.
        let again = self.committer.last();
        if !again.is_empty() {
            self.write(again, BTreeMap::new(), clock).await;
        }
    }

    async fn write(&self, mut jobs: Vec<Job>, trims: BTreeMap<Key, u64>, clock: Clock<'_>) {
        let Some(journal) = self.journal.clone() else { return };
        let Group { appends, counts, mut targets, batches, later, logs, saved, blocked, wills } =
            self.put_together(&mut jobs);
        let trimming = join_all(trims.iter().map(|(key, upto)| journal.trim(key, Position(*upto))));
        let committing = join_all(batches.into_iter().map(|batches| self.commit_all(batches)));
        // In this order: what a message retains is there before the message counts as taken, and what a trim forgets is
        // not needed any more.
        let appending = append_all(&*journal, appends);
        let (committed, taken, trimmed) = join3(committing, appending, trimming).await;
        let appended = taken.all();
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
        let own = taken_of(&mut jobs, counts, taken.taken);
        match &appended {
            Ok(_) => targets.extend(own),
            Err(_) => self.announce(&Ok(taken.last), own, now),
        }
        self.announce(&appended, targets, now);
        let mut failed = Vec::new();
        let saved = saved.into_iter().zip(blocked);
        for ((mut job, committed), (saved, blocked)) in jobs.into_iter().zip(committed).zip(saved) {
            let committed = committed.and_then(|()| depends(&saved, &failed));
            if let Err(error) = &committed {
                failed.extend(saved.iter().map(|(cell, _)| (Arc::as_ptr(cell), error.clone())));
            }
            let cells =
                saved.iter().filter(|_| job.is_will || blocked).map(|(cell, _)| cell.clone()).collect();
            self.saved(saved, committed.as_ref().err());
            if let (Some(cell), Ok(Some(place))) = (&job.logs, &appended) {
                with_session(cell, |session| {
                    session.logged(place.0);
                    job.then.seal(session);
                });
            }
            let is_written = committed.is_ok();
            let outcome = appended.as_ref().map(|_| ()).map_err(Clone::clone).and(committed);
            let done = match &outcome {
                Ok(()) if blocked => self.put_aside(job, cells),
                Err(error) if job.is_own => {
                    let then = std::mem::replace(&mut job.then, Then::Rest);
                    self.own_again(Job { saves: cells, ..job }, error, now);
                    Some((then, outcome))
                }
                _ => {
                    if !is_written && !mutation::is(Mutation::SavesOnce) {
                        self.committer.keep_topics(job.retained);
                    }
                    Some((job.then, outcome))
                }
            };
            if let Some((then, outcome)) = done {
                self.after(then, outcome, now);
            }
        }
    }

    /// The records of a client are written, but for its will: there is one record of it, and it is still that of an earlier
    /// one, which is in somebody's hands. A CONNECT waits for that one, though not for ever; anything else goes on, and the
    /// record is written later.
    fn put_aside(&self, job: Job, cells: Vec<Arc<Cell>>) -> Option<(Then, Result<(), StoreError>)> {
        if !matches!(job.then, Then::Tell(_)) {
            cells.into_iter().for_each(|cell| self.committer.keep_cell(cell));
            return Some((job.then, Ok(())));
        }
        if job.waited < PATIENCE && !mutation::is(Mutation::SavesOnce) {
            self.committer.put_aside(Job { saves: cells, ..job });
            return None;
        }
        let error = StoreError::unavailable("an earlier will of the client waits for the disk");
        Some((job.then, Err(error)))
    }

    /// What a group writes: of the records what they are now.
    fn put_together(&self, jobs: &mut [Job]) -> Group {
        let mut group = Group { wills: jobs.iter().any(|job| job.is_will), ..Group::default() };
        // Records go in their order, also where some have to wait for what is retained.
        let waits = group.wills || jobs.iter().any(|job| !job.retained.is_empty());
        for job in jobs {
            group.counts.push(job.appends.len());
            if job.is_own {
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

    /// What the broker itself published and could not write is written again; the record of a will goes after that. There is
    /// a bound on how much waits: beyond it a message is given up for those who are away.
    fn own_again(&self, job: Job, error: &StoreError, now: Timestamp) {
        if !is_for_later(error) || !self.committer.has_room_for_own(&job) {
            self.store_failed("a will or an event for those who are away: it is given up", error, now);
            if is_for_later(error) {
                self.committer.keep_topics(job.retained);
            }
            return self.missed(job.appends.into_iter().flat_map(|(_, cells)| cells).collect());
        }
        job.saves.iter().for_each(|cell| cell.enter(|seat| seat.wills = seat.wills.saturating_add(1)));
        self.committer.keep_own(job);
    }

    /// Records were written: journals of sessions that are over may be forgotten. Or they were not: what a session has
    /// become is not on the disk, and it would come back as it was after a restart.
    fn saved(&self, cells: Vec<(Arc<Cell>, Vec<Key>)>, error: Option<&StoreError>) {
        let is_written = error.is_none();
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
            } else if error.is_some_and(is_for_later) {
                self.committer.keep_cell(cell);
            }
        }
    }

    /// Writes again what could not be written.
    pub fn save_again(&self, now: Timestamp) {
        self.committer.retry(now);
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
                if !settle(&cell, generation, acknowledgements) {
                    let same = |live: &crate::cell::Live| live.generation == generation;
                    let detail = &"a message of QoS 2 came again before it was known what became of it: it may come once more";
                    self.oust(&cell, same, dialect::Fault::ServerError, detail, now);
                }
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
        (job.then, job.is_own) = (Then::Tell(ticket.clone()), false);
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

/// False if another try would bring the same.
fn is_for_later(error: &StoreError) -> bool {
    !matches!(error, StoreError::Limit { .. }) && !mutation::is(Mutation::SavesOnce)
}

/// Takes out what of the broker's own messages is in the journal, and says for whom: so many of all appends are, from the
/// first on.
fn taken_of(jobs: &mut [Job], counts: Vec<usize>, taken: usize) -> Vec<Waits> {
    let (mut before, mut targets) = (0, Vec::new());
    for (job, count) in jobs.iter_mut().zip(counts) {
        let there = taken.saturating_sub(before).min(job.appends.len());
        targets.extend(job.appends.drain(..there).flat_map(|(_, cells)| cells));
        before += count;
    }
    targets
}

fn with_session(cell: &Arc<Cell>, visit: impl FnOnce(&mut Session)) {
    cell.enter(|seat| {
        if let Some(kept) = &mut seat.kept {
            visit(&mut kept.session);
        }
    });
}

/// Acknowledges what is durable now. False if one of them would promise what nobody can keep.
fn settle(cell: &Arc<Cell>, generation: u64, mut acknowledgements: Vec<Acknowledgement>) -> bool {
    if mutation::is(Mutation::DropsSettle) {
        acknowledgements.pop();
    }
    let waker = cell.enter(|seat| {
        let Some((live, kept)) = seat.of(generation) else { return Ok(None) };
        if acknowledgements.iter().any(|one| one.is_unfounded(&kept.session)) {
            return Err(());
        }
        live.unsettled = live.unsettled.saturating_sub(acknowledgements.len());
        live.owed = live.owed.saturating_sub(acknowledgements.iter().filter(|one| one.is_puback()).count());
        acknowledgements.into_iter().for_each(|one| one.give(&mut live.talk));
        Ok(live.waker.take())
    });
    let founded = waker.is_ok();
    waker.into_iter().flatten().filter(|_| !mutation::is(Mutation::LosesWake)).for_each(Waker::wake);
    founded
}
