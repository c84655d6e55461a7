//! The disk as the ports `Store` and `Journal`.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;

use identity::Timestamp;
use models::marks::Mark;
use parking_lot::Mutex;
use store::{
    Append, Batch, Boxed, Change, CommitError, Entry, Feed, FeedError, Journal, Key, Position, Record,
    Revision, Space, Store, StoreError, Versioned,
};

use super::Disk;
use super::operation::{Operation, Outcome, Ticket};

/// The write's answer.
async fn answer(ticket: Arc<Mutex<Ticket>>) -> Option<Outcome> {
    poll_fn(|cx| ticket.lock().poll(cx.waker())).await
}

fn lost() -> StoreError {
    StoreError::unavailable("the simulated disk lost an answer")
}

impl Disk {
    /// Waits until then.
    async fn until(&self, then: Timestamp) {
        poll_fn(|cx| {
            if self.clock.now() >= then {
                return Poll::Ready(());
            }
            self.state.lock().alarms.push((then, cx.waker().clone()));
            Poll::Pending
        })
        .await;
    }

    async fn late(&self) -> Result<(), StoreError> {
        if let Some(then) = self.read()? {
            self.until(then).await;
        }
        Ok(())
    }
}

impl Store for Disk {
    fn get<'a>(&'a self, space: Space, key: &'a [u8]) -> Boxed<'a, Result<Option<Versioned>, StoreError>> {
        Box::pin(async move {
            self.late().await?;
            self.records().get(space, key).await
        })
    }

    fn scan<'a>(
        &'a self,
        space: Space,
        prefix: &'a [u8],
        after: Option<&'a [u8]>,
        limit: usize,
    ) -> Boxed<'a, Result<Vec<Entry>, StoreError>> {
        Box::pin(async move {
            self.late().await?;
            self.records().scan(space, prefix, after, limit).await
        })
    }

    fn commit(&self, batch: Batch) -> Boxed<'_, Result<Revision, CommitError>> {
        Box::pin(async move {
            let sealed = batch.clone().seal()?;
            let spaces = sealed.writes().iter().map(|write| write.space).collect();
            match answer(self.submit(Operation::Commit(batch, spaces))).await {
                Some(Outcome::Committed(outcome)) => outcome,
                _ => Err(lost().into()),
            }
        })
    }

    fn revision(&self) -> Boxed<'_, Result<Revision, StoreError>> {
        Box::pin(async move { self.records().revision().await })
    }

    fn feed(&self, after: Revision) -> Box<dyn Feed> {
        Box::new(Hearing { feed: self.records().feed(after), disk: self.clone() })
    }
}

/// The feed, and perhaps one that does not hear everything.
struct Hearing {
    feed: Box<dyn Feed>,
    disk: Disk,
}

impl Feed for Hearing {
    fn next(&mut self) -> Boxed<'_, Result<Vec<Change>, FeedError>> {
        Box::pin(async move {
            loop {
                let answer = self.feed.next().await;
                if matches!(answer, Err(FeedError::Lagged)) {
                    self.disk.marks.hit(Mark::FeedLagged);
                }
                let deaf = self.disk.state.lock().flaws.deaf_feed;
                let misses =
                    |changes: &Vec<Change>| changes.iter().any(|change| change.space.as_str() == "policies");
                if deaf && answer.as_ref().is_ok_and(misses) {
                    continue;
                }
                return answer;
            }
        })
    }
}

impl Journal for Disk {
    fn append(&self, appends: Vec<Append>) -> Boxed<'_, Result<Position, StoreError>> {
        Box::pin(async move {
            self.note_queues(appends.iter().flat_map(|append| append.to.iter().map(|to| &to.session)));
            match answer(self.submit(Operation::Append(appends))).await {
                Some(Outcome::Appended(outcome)) => outcome,
                _ => Err(lost()),
            }
        })
    }

    fn read<'a>(
        &'a self,
        session: &'a Key,
        after: Position,
        limit: usize,
    ) -> Boxed<'a, Result<Vec<Record>, StoreError>> {
        Box::pin(async move {
            self.late().await?;
            let mut page = self.messages().read(session, after, limit).await?;
            if self.state.lock().flaws.shuffles
                && let [.., first, second] = &mut page[..]
            {
                std::mem::swap(&mut first.body, &mut second.body);
                std::mem::swap(&mut first.tag, &mut second.tag);
            }
            Ok(page)
        })
    }

    fn queues<'a>(&'a self, after: Option<&'a Key>, limit: usize) -> Boxed<'a, Result<Vec<Key>, StoreError>> {
        Box::pin(async move {
            self.late().await?;
            self.messages().queues(after, limit).await
        })
    }

    fn trim<'a>(&'a self, session: &'a Key, upto: Position) -> Boxed<'a, Result<(), StoreError>> {
        Box::pin(async move {
            if self.state.lock().flaws.never_trims {
                return Ok(());
            }
            match answer(self.submit(Operation::Trim(session.clone(), upto))).await {
                Some(Outcome::Trimmed(outcome)) => outcome,
                _ => Err(lost()),
            }
        })
    }
}
