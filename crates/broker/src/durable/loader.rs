//! The loader: reads a session's journal back, a page at a time, while its client is there and has room.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Poll, Waker};
use std::time::Duration;

use identity::Timestamp;
use parking_lot::Mutex;
use session::stored;
use session::tape::Reading;
use session::{Offer, PAGE, Place};
use store::{Journal, Key, Position, Record};

use crate::Clock;
use crate::broker::Inner;
use crate::cell::Cell;
use crate::groups::Group;

/// After which time a queue is read again that could not be read.
const READ_AGAIN: Duration = Duration::from_secs(1);

/// Cells and groups that want a page.
#[derive(Default)]
pub(crate) struct Loader {
    wanting: Mutex<Wanting>,
}

#[derive(Default)]
struct Wanting {
    /// Each at most once: see `Seat::wants_page` and `Group::want`.
    queue: VecDeque<Wanted>,
    waker: Option<Waker>,
    closed: bool,
}

/// Who wants a page.
enum Wanted {
    Cell(Arc<Cell>),
    Group(Arc<Group>),
}

impl Loader {
    /// A page for a session, or for the member of a group.
    pub(crate) fn want(&self, cell: Arc<Cell>) {
        self.push(Wanted::Cell(cell));
    }

    /// A look after a group.
    pub(crate) fn want_group(&self, group: Arc<Group>) {
        if group.want() {
            self.push(Wanted::Group(group));
        }
    }

    fn push(&self, wanted: Wanted) {
        let mut wanting = self.wanting.lock();
        wanting.queue.push_back(wanted);
        let waker = wanting.waker.take();
        drop(wanting);
        waker.into_iter().for_each(Waker::wake);
    }

    pub(crate) fn close(&self) {
        let mut wanting = self.wanting.lock();
        wanting.closed = true;
        let waker = wanting.waker.take();
        drop(wanting);
        waker.into_iter().for_each(Waker::wake);
    }

    async fn next(&self) -> Option<Wanted> {
        poll_fn(|cx| {
            let mut wanting = self.wanting.lock();
            if wanting.closed {
                return Poll::Ready(None);
            }
            match wanting.queue.pop_front() {
                Some(wanted) => Poll::Ready(Some(wanted)),
                None => {
                    wanting.waker = Some(cx.waker().clone());
                    Poll::Pending
                }
            }
        })
        .await
    }
}

impl Inner {
    /// Serves cells until the loader is closed.
    pub async fn load_pages(&self, clock: Clock<'_>) {
        let Some(journal) = self.journal.clone() else { return };
        while let Some(wanted) = self.loader.next().await {
            match wanted {
                Wanted::Cell(cell) => self.load(&cell, &*journal, clock).await,
                Wanted::Group(group) => self.serve_group(&group, &*journal, clock).await,
            }
        }
    }

    /// One page. If there is more and room for it, the cell queues again behind the others.
    async fn load(&self, cell: &Arc<Cell>, journal: &dyn Journal, clock: Clock<'_>) {
        let wanted = cell.enter(|seat| {
            seat.wants_page = false;
            let kept = seat.kept.as_ref().filter(|_| seat.live.is_some() && seat.accepted)?;
            Some((
                kept.session.next_read()?,
                kept.id,
                records::journal_key(&cell.client_id, &kept.incarnation),
            ))
        });
        let Some((reading, session, key)) = wanted else { return };
        match read(journal, &key, reading).await {
            Ok(records) => {
                let page = records.into_iter().map(|record| offer(record, reading)).collect();
                self.hand_over_page(cell, session, reading, page, clock());
            }
            Err(error) => {
                self.arm(cell, clock() + READ_AGAIN);
                self.store_failed(&format!("reading the queue of client {}", cell.client_id), &error, clock())
            }
        }
    }

    fn hand_over_page(
        &self,
        cell: &Arc<Cell>,
        session: u64,
        reading: Reading,
        page: Vec<(u64, Option<Offer>)>,
        now: Timestamp,
    ) {
        let (reports, waker) = cell.enter(|seat| {
            // One that may still be refused is handed nothing; it asks again when it is accepted.
            let (Some(kept), Some(live), true) = (&mut seat.kept, &mut seat.live, seat.accepted) else {
                return (Vec::new(), None);
            };
            if kept.id != session || !kept.session.take_page(reading, page) {
                return (Vec::new(), None);
            }
            let reports = self.pump(&mut kept.session, &mut live.talk, &live.standing, now);
            // The driver also has to learn when the next message of the backlog is due.
            (reports, live.waker.take())
        });
        waker.into_iter().for_each(Waker::wake);
        self.report_all(&cell.client_id, &reports, now);
        self.look_after(cell);
    }
}

async fn read(journal: &dyn Journal, key: &Key, reading: Reading) -> Result<Vec<Record>, store::StoreError> {
    journal.read(key, Position(reading.part.after), PAGE).await
}

/// A record as an offer; `None` in its place if it is not readable.
fn offer(record: Record, reading: Reading) -> (u64, Option<Offer>) {
    let number = record.position.0;
    let place = Place { number, is_backlog: reading.is_backlog };
    (number, stored::offer(&record.body, &record.tag, place))
}
