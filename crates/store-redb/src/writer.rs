//! The only thread that writes: takes what is waiting, commits it as one group, answers when the disk confirmed.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::Waker;
use std::time::Instant;

use redb::{Database, Durability};
use store::recent::{Recent, Remembers};
use store::{Append, Change, CommitError, Key, Position, Revision, Sealed, StoreError};

use crate::answer::Answer;
use crate::backlog::Backlog;
use crate::disk::Watch;
use crate::error::reason;
use crate::layout::{Marks, Tables};
use crate::options::Options;
use crate::queues;
use crate::records::{self, Refusal};
use crate::slot::Slot;
use crate::verify::Left;

/// Something to write, and who waits for it.
pub(crate) enum Job {
    Commit(Sealed, Answer<Result<Revision, CommitError>>),
    Append(Vec<Append>, Answer<Result<Position, StoreError>>),
    /// Answers whether there is more to trim.
    Trim(Key, Position, Answer<Result<bool, StoreError>>),
}

/// What a job will be told if its group becomes durable.
enum Outcome {
    Committed(Revision, Vec<Change>, Answer<Result<Revision, CommitError>>),
    Refused(CommitError, Answer<Result<Revision, CommitError>>),
    Appended(Position, Answer<Result<Position, StoreError>>),
    Trimmed(bool, Answer<Result<bool, StoreError>>),
}

/// What the writer shares with the callers.
pub(crate) struct Shared {
    pub(crate) backlog: Backlog<Job>,
    pub(crate) slot: Slot,
    pub(crate) recent: parking_lot::Mutex<Recent>,
    /// Why the last group was refused, until one is not.
    pub(crate) refused: parking_lot::Mutex<Option<StoreError>>,
    pub(crate) watch: Arc<Watch>,
}

impl Remembers for Shared {
    fn with_recent<R>(&self, look: impl FnOnce(&mut Recent) -> R) -> R {
        look(&mut self.recent.lock())
    }
}

pub(crate) type Reopen = Box<dyn Fn() -> Result<(Database, Left), redb::Error> + Send>;

pub(crate) struct Writer {
    shared: Arc<Shared>,
    options: Options,
    reopen: Reopen,
    marks: Marks,
    /// The last failure, and when to try again.
    failed: Option<(Instant, StoreError)>,
}

/// Ends the store when the writer thread ends, also by a panic: nobody waits for a thread that is gone.
struct Last<'a>(&'a Shared);

impl Drop for Last<'_> {
    fn drop(&mut self) {
        self.0.backlog.close();
        if std::thread::panicking() {
            self.0.slot.abandon("its writer thread failed, which is a defect: restart");
        } else {
            // A failure to flush shows at the next opening, as a repair; nothing acknowledged is at stake.
            let _ = self.0.slot.close("it is closed");
        }
        while self.0.backlog.try_next().is_some() {}
        self.0.with_recent(Recent::close).into_iter().for_each(Waker::wake);
    }
}

impl Writer {
    pub(crate) fn new(shared: Arc<Shared>, options: Options, reopen: Reopen, marks: Marks) -> Self {
        Self { shared, options, reopen, marks, failed: None }
    }

    /// Serves until the backlog is closed and empty.
    pub(crate) fn run(mut self) {
        let shared = Arc::clone(&self.shared);
        let _last = Last(&shared);
        while let Some(first) = shared.backlog.wait() {
            self.serve(first);
        }
    }

    fn serve(&mut self, first: Job) {
        if let Err(error) = self.available() {
            return first.into_outcome().fail(&error);
        }
        let before = self.marks;
        let mut outcomes = Vec::new();
        let committed = self.group(first, &mut outcomes);
        match committed.or_else(|error| self.recover(before, &error)) {
            Ok(()) => self.settle(outcomes),
            Err(error) => outcomes.into_iter().for_each(|outcome| outcome.fail(&error)),
        }
    }

    /// One transaction with the first job and all that are waiting, within the bounds of a group.
    fn group(&mut self, first: Job, outcomes: &mut Vec<Outcome>) -> Result<(), redb::Error> {
        let mut next = Some(first);
        let committed = self.fill(&mut next, outcomes);
        // A job that was taken and could not be tried shares the fate of its group.
        outcomes.extend(next.map(Job::into_outcome));
        committed
    }

    fn fill(&mut self, next: &mut Option<Job>, outcomes: &mut Vec<Outcome>) -> Result<(), redb::Error> {
        let started = Instant::now();
        let mut transaction = self.shared.slot.begin_write()?;
        transaction.set_durability(Durability::Immediate)?;
        let mut tables = Tables::open(&transaction)?;
        let mut wrote = false;
        while let Some(job) = next.take() {
            wrote |= self.apply(job, &mut tables, outcomes)?;
            if outcomes.len() < self.options.group && started.elapsed() < self.options.group_time {
                *next = self.shared.backlog.try_next();
            }
        }
        if !wrote {
            drop(tables);
            return Ok(transaction.abort()?);
        }
        self.marks.group += 1;
        self.marks.write(&mut tables.marks)?;
        drop(tables);
        transaction.commit()?;
        let took = u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX);
        self.shared.watch.commit_microseconds.fetch_add(took, Ordering::Relaxed);
        self.shared.watch.groups.fetch_add(1, Ordering::Relaxed);
        self.shared.watch.writes.fetch_add(outcomes.len() as u64, Ordering::Relaxed);
        Ok(())
    }

    /// Applies one job to the open transaction and notes its outcome, whatever happens. `true`: it wrote something.
    fn apply(
        &mut self,
        job: Job,
        tables: &mut Tables<'_>,
        outcomes: &mut Vec<Outcome>,
    ) -> Result<bool, redb::Error> {
        match job {
            Job::Commit(batch, answer) => self.apply_batch(batch, answer, tables, outcomes),
            Job::Append(appends, answer) => {
                let last = queues::append(tables, appends, self.marks.position);
                let position = *last.as_ref().unwrap_or(&self.marks.position);
                outcomes.push(Outcome::Appended(position, answer));
                let wrote = last? != self.marks.position;
                self.marks.position = position;
                Ok(wrote)
            }
            Job::Trim(session, upto, answer) => {
                let trimmed = queues::trim(tables, &session, upto);
                let more = trimmed.as_ref().is_ok_and(|trimmed| trimmed.more);
                outcomes.push(Outcome::Trimmed(more, answer));
                Ok(trimmed?.dropped > 0)
            }
        }
    }

    fn apply_batch(
        &mut self,
        batch: Sealed,
        answer: Answer<Result<Revision, CommitError>>,
        tables: &mut Tables<'_>,
        outcomes: &mut Vec<Outcome>,
    ) -> Result<bool, redb::Error> {
        let writes = !batch.writes().is_empty();
        let revision = Revision(self.marks.revision.0 + u64::from(writes));
        match records::apply(&mut tables.records, batch, revision) {
            Ok(changes) => {
                self.marks.revision = revision;
                outcomes.push(Outcome::Committed(revision, changes, answer));
                Ok(writes)
            }
            Err(Refusal::Commit(error)) => {
                outcomes.push(Outcome::Refused(error, answer));
                Ok(false)
            }
            Err(Refusal::File(error)) => {
                outcomes.push(Outcome::Committed(revision, Vec::new(), answer));
                Err(error)
            }
        }
    }

    /// The group is durable: tell the feed, then the callers.
    fn settle(&mut self, mut outcomes: Vec<Outcome>) {
        *self.shared.refused.lock() = None;
        let waiting = self.shared.with_recent(|recent| {
            let published = outcomes.iter_mut().filter_map(Outcome::take_changes);
            published.flat_map(|(revision, changes)| recent.publish(revision, changes)).collect::<Vec<_>>()
        });
        waiting.into_iter().for_each(Waker::wake);
        outcomes.into_iter().for_each(Outcome::succeed);
    }

    /// After a failed write: reopens the file and finds out whether the group is in it. `Ok`: it is.
    fn recover(&mut self, before: Marks, error: &redb::Error) -> Result<(), StoreError> {
        let attempted = std::mem::replace(&mut self.marks, before);
        let why = reason(error);
        let error = match self.reopen(&why) {
            Ok(()) if attempted.group != before.group && self.marks == attempted => return Ok(()),
            Ok(()) => StoreError::unavailable(why),
            Err(error) => error,
        };
        self.failed = Some((Instant::now() + self.options.retry_after, error.clone()));
        *self.shared.refused.lock() = Some(error.clone());
        Err(error)
    }

    /// Closes and opens the file again, which brings back the last durable state.
    ///
    /// Not after the disk failed to confirm: the system may then show pages that the disk does not have, and what is
    /// built on them would be lost with them.
    fn reopen(&mut self, why: &Arc<str>) -> Result<(), StoreError> {
        let sync_failed = self.shared.watch.sync_failed();
        let why = if sync_failed {
            Arc::from(format!("{why}; it did not confirm a write: check it, then restart"))
        } else {
            Arc::clone(why)
        };
        // It failed already; what closing it says adds nothing.
        let _ = self.shared.slot.close(Arc::clone(&why));
        if sync_failed {
            return Err(StoreError::unavailable(why));
        }
        let reopened = (self.reopen)().and_then(|(database, _)| Ok((Marks::of(&database)?, database)));
        let (marks, database) = reopened.map_err(|error| StoreError::unavailable(reason(&error)))?;
        self.marks = marks;
        self.shared.slot.reopened(database);
        Ok(())
    }

    /// Whether to try a write at all.
    fn available(&mut self) -> Result<(), StoreError> {
        let Some((retry_at, error)) = &self.failed else { return Ok(()) };
        if self.shared.watch.sync_failed() || Instant::now() < *retry_at {
            return Err(error.clone());
        }
        if let Some(why) = self.shared.slot.down() {
            self.failed = Some((Instant::now() + self.options.retry_after, error.clone()));
            self.reopen(&why)?;
            self.catch_up();
        }
        self.failed = None;
        Ok(())
    }

    /// A group that was in doubt when the file could not be reopened may turn out to have happened: followers of the
    /// feed have to read everything again then.
    fn catch_up(&self) {
        let revision = self.marks.revision;
        let waiting = self.shared.with_recent(|recent| recent.jump(revision));
        waiting.into_iter().for_each(Waker::wake);
    }
}

impl Job {
    /// For a job that was not tried: something to fail.
    fn into_outcome(self) -> Outcome {
        match self {
            Self::Commit(_, answer) => Outcome::Committed(Revision::ZERO, Vec::new(), answer),
            Self::Append(_, answer) => Outcome::Appended(Position::START, answer),
            Self::Trim(_, _, answer) => Outcome::Trimmed(false, answer),
        }
    }
}

impl Outcome {
    fn take_changes(&mut self) -> Option<(Revision, Vec<Change>)> {
        match self {
            Self::Committed(revision, changes, _) if !changes.is_empty() => {
                Some((*revision, std::mem::take(changes)))
            }
            _ => None,
        }
    }

    fn succeed(self) {
        match self {
            Self::Committed(revision, _, answer) => answer.give(Ok(revision)),
            Self::Refused(error, answer) => answer.give(Err(error)),
            Self::Appended(position, answer) => answer.give(Ok(position)),
            Self::Trimmed(more, answer) => answer.give(Ok(more)),
        }
    }

    fn fail(self, error: &StoreError) {
        match self {
            Self::Committed(_, _, answer) | Self::Refused(_, answer) => {
                answer.give(Err(error.clone().into()))
            }
            Self::Appended(_, answer) => answer.give(Err(error.clone())),
            Self::Trimmed(_, answer) => answer.give(Err(error.clone())),
        }
    }
}
