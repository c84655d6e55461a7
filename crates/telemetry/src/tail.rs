//! Live events for those who read along: a bounded queue for each reader, filled only with what it asked for.
//!
//! Invariant: nobody waits for a reader. What finds its queue full is counted, and the reader is told how many. An event
//! that no reader asks for costs one bit test; it is put into words only for those whom it fits.

mod filter;

#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::fmt;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use events::{Event, Kind, KindSet, Observer};
use identity::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;

pub use filter::{ReadyFilter, TailFilter, UnknownKind};

use crate::EventView;

/// Readers at a time; one more is refused.
pub const MOST_READERS: usize = 16;
/// Events that wait for one reader; more are counted and lost.
pub const MOST_WAITING: usize = 1000;
/// Bytes of text that wait for one reader, roughly; more are counted and lost.
pub const MOST_WAITING_BYTES: usize = 1024 * 1024;
/// The longest that a call may wait for events.
pub const LONGEST_WAIT: Duration = Duration::from_secs(20);
/// How long a reader may still hear of the end of connections when the server stops.
const LAST_WORDS: Duration = Duration::from_millis(500);
/// A reader that did not call for so long is forgotten.
const FORGOTTEN: Duration = Duration::from_secs(60);

/// Those who read along.
pub struct Tail {
    readers: RwLock<Vec<Arc<Reader>>>,
    /// What any of them wants.
    wanted: AtomicU64,
    closed: AtomicBool,
    /// Calls that wait for something to happen.
    waiting: AtomicUsize,
    names: RandomState,
    named: AtomicU64,
}

struct Reader {
    id: String,
    filter: ReadyFilter,
    waiting: Mutex<Waiting>,
    news: Notify,
}

#[derive(Default)]
struct Waiting {
    events: VecDeque<EventView>,
    bytes: usize,
    lost: u64,
    asked: Timestamp,
}

/// The answer to a reader.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct TailAnswer {
    /// Whom to name at the next call.
    pub reader: String,
    /// What happened since the last one, oldest first.
    pub events: Vec<EventView>,
    /// Events that there was no room for since the last call.
    pub lost: u64,
    /// The server stops: no more will come.
    pub ended: bool,
}

/// A call that could not be answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TailRefused {
    /// As many readers as may be are there.
    TooMany,
    /// No such reader: it did not call for a minute, or never was.
    Forgotten,
}

impl fmt::Display for TailRefused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooMany => write!(
                f,
                "{MOST_READERS} readers read along already: end one of them, or wait a minute for one that went away"
            ),
            Self::Forgotten => f.write_str(
                "there is no such reader: it did not call for a minute; begin anew without `reader`",
            ),
        }
    }
}

impl Tail {
    /// Nobody reads.
    pub fn new() -> Arc<Self> {
        Arc::new(Self {
            readers: RwLock::default(),
            wanted: AtomicU64::new(0),
            closed: AtomicBool::new(false),
            waiting: AtomicUsize::new(0),
            names: RandomState::new(),
            named: AtomicU64::new(0),
        })
    }

    /// Begins to read along: from now on what fits is kept for this reader.
    ///
    /// # Errors
    /// There are too many.
    pub fn open(&self, filter: ReadyFilter, now: Timestamp) -> Result<String, TailRefused> {
        let mut readers = self.readers.write().unwrap_or_else(PoisonError::into_inner);
        readers.retain(|reader| now.since(reader.lock().asked) < FORGOTTEN);
        if readers.len() >= MOST_READERS {
            return Err(TailRefused::TooMany);
        }
        let id = format!("{:016x}", self.names.hash_one(self.named.fetch_add(1, Relaxed)));
        let waiting = Mutex::new(Waiting { asked: now, ..Waiting::default() });
        readers.push(Arc::new(Reader { id: id.clone(), filter, waiting, news: Notify::new() }));
        self.want(&readers);
        Ok(id)
    }

    /// What waits for a reader; if nothing does, waits for something for `wait` at most.
    ///
    /// # Errors
    /// There is no such reader.
    pub async fn read(&self, id: &str, wait: Duration, now: Timestamp) -> Result<TailAnswer, TailRefused> {
        let reader = self.reader(id).ok_or(TailRefused::Forgotten)?;
        reader.lock().asked = now;
        let end = tokio::time::Instant::now() + wait.min(LONGEST_WAIT);
        loop {
            let news = reader.news.notified();
            if self.closed.load(Relaxed) {
                // What the end brings about is told too.
                tokio::time::sleep(LAST_WORDS).await;
                return Ok(reader.take(true));
            }
            let answer = reader.take(false);
            if answer.lost > 0 || !answer.events.is_empty() {
                return Ok(answer);
            }
            let waits = Waits::begin(&self.waiting);
            let late = tokio::time::timeout_at(end, news).await.is_err();
            drop(waits);
            if late {
                return Ok(reader.take(self.closed.load(Relaxed)));
            }
        }
    }

    /// Readers that are there.
    pub fn readers(&self) -> usize {
        self.readers.read().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Calls of readers that wait for something to happen now.
    pub fn waiting(&self) -> usize {
        self.waiting.load(Relaxed)
    }

    fn reader(&self, id: &str) -> Option<Arc<Reader>> {
        let readers = self.readers.read().unwrap_or_else(PoisonError::into_inner);
        readers.iter().find(|reader| reader.id == id).cloned()
    }

    fn want(&self, readers: &[Arc<Reader>]) {
        let wanted = readers.iter().fold(KindSet::NONE, |all, reader| all.union(reader.filter.kinds()));
        self.wanted.store(wanted.bits(), Relaxed);
    }

    /// Tells readers. Those who did not call for a minute and have no room any more are forgotten.
    fn tell(&self, at: Timestamp, event: &Event<'_>) {
        let readers = self.readers.read().unwrap_or_else(PoisonError::into_inner);
        let mut gone = false;
        for reader in readers.iter().filter(|reader| reader.filter.fits(event)) {
            gone |= !reader.put(at, event);
        }
        drop(readers);
        if gone {
            let mut readers = self.readers.write().unwrap_or_else(PoisonError::into_inner);
            readers.retain(|reader| at.since(reader.lock().asked) < FORGOTTEN);
            self.want(&readers);
        }
    }

    /// Wakes everybody up to say that no more will come.
    fn close(&self) {
        self.closed.store(true, Relaxed);
        let readers = self.readers.read().unwrap_or_else(PoisonError::into_inner);
        readers.iter().for_each(|reader| reader.news.notify_waiters());
    }
}

/// Counts a call that waits, also if its caller goes away meanwhile.
struct Waits<'a>(&'a AtomicUsize);

impl<'a> Waits<'a> {
    fn begin(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Relaxed);
        Self(count)
    }
}

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

impl Reader {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// False if nobody comes for what waits any more.
    fn put(&self, at: Timestamp, event: &Event<'_>) -> bool {
        let mut waiting = self.lock();
        if waiting.events.len() >= MOST_WAITING || waiting.bytes >= MOST_WAITING_BYTES {
            waiting.lost += 1;
            return at.since(waiting.asked) < FORGOTTEN;
        }
        let view = EventView::of(at, event);
        waiting.bytes += size(&view);
        waiting.events.push_back(view);
        drop(waiting);
        self.news.notify_waiters();
        true
    }

    fn take(&self, ended: bool) -> TailAnswer {
        let mut waiting = self.lock();
        waiting.bytes = 0;
        let events = std::mem::take(&mut waiting.events).into();
        TailAnswer { reader: self.id.clone(), events, lost: std::mem::take(&mut waiting.lost), ended }
    }
}

fn size(view: &EventView) -> usize {
    size_of::<EventView>() + view.says.len() + view.remedy.len() + view.topic.len() + 256
}

impl Observer for Tail {
    fn observe(&self, at: Timestamp, event: &Event<'_>) {
        if KindSet::from_bits(self.wanted.load(Relaxed)).has(event.kind()) {
            self.tell(at, event);
        }
        if event.kind() == Kind::Stopping {
            self.close();
        }
    }
}

impl fmt::Debug for Tail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tail({} readers)", self.readers())
    }
}
