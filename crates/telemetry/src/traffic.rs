//! Who and what makes the traffic: the busiest clients and topics of the last seconds, estimated.
//!
//! The rule of sampling: of the events that a thread sees in one second the first 64 count as themselves, after that
//! every 64th counts for 64. So a quiet broker is counted exactly, and a busy one pays one thread-local addition for
//! most messages. Of each kind of name the 256 busiest are kept; a newcomer takes the place, and the count, of
//! the least busy one (the space-saving sketch), so shares above 1/256 are never missed.

mod sketch;

#[cfg(test)]
mod tests;

use std::cell::Cell;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use events::{DropReason, Event, Kind, KindSet, Observer};
use identity::Timestamp;
use serde::{Deserialize, Serialize};

use sketch::Sketch;

/// Events of one thread in one second that count as themselves.
const EXACT: u32 = 64;
/// Beyond, one in so many counts for as many.
const STRIDE: u32 = 64;
/// Milliseconds of a window. The last whole one and the present one are shown together.
const WINDOW_MS: u64 = 10_000;
/// Names that are shown of each sort.
const SHOWN: usize = 20;

thread_local! {
    /// Second and number of events in it: messages, and troubles.
    static SEEN: Cell<[(u64, u32); 2]> = const { Cell::new([(0, 0); 2]) };
}

/// Counts messages and troubles by client and topic.
pub struct Traffic {
    windows: Mutex<Windows>,
}

#[derive(Default)]
struct Windows {
    began: u64,
    now: Window,
    before: Option<Window>,
}

#[derive(Default)]
struct Window {
    clients: Sketch,
    topics: Sketch,
}

/// What is counted for a name. Estimates.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Counts {
    /// Messages published.
    pub published: u64,
    /// Messages delivered.
    pub delivered: u64,
    /// Bytes of payload, both ways.
    pub bytes: u64,
    /// Messages that could not be delivered because the client reads too slowly or is away too long.
    pub dropped: u64,
    /// Times that it passed a limit of so many in a second.
    pub throttled: u64,
}

impl Counts {
    fn add(&mut self, other: &Self) {
        self.published += other.published;
        self.delivered += other.delivered;
        self.bytes += other.bytes;
        self.dropped += other.dropped;
        self.throttled += other.throttled;
    }

    /// By which the busiest are chosen.
    fn weight(&self) -> u64 {
        self.published + self.delivered + self.dropped + self.throttled
    }
}

/// A client or topic, and what it did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Busy {
    /// Client id or topic.
    pub name: String,
    /// What it did within the seconds of the summary.
    #[serde(flatten)]
    pub counts: Counts,
}

/// The busiest of the last seconds.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct TrafficSummary {
    /// How many seconds the counts are of.
    pub seconds: f64,
    /// By messages.
    pub clients: Vec<Busy>,
    /// By messages.
    pub topics: Vec<Busy>,
    /// Clients that are slow or throttled, worst first.
    pub troubled: Vec<Busy>,
}

impl Traffic {
    /// Nothing happened yet.
    pub fn new() -> Arc<Self> {
        Arc::new(Self { windows: Mutex::default() })
    }

    /// The busiest.
    pub fn summary(&self, now: Timestamp) -> TrafficSummary {
        let mut windows = self.windows();
        windows.turn(now);
        let mut seconds = (now.millis().saturating_sub(windows.began)) as f64 / 1000.0;
        let Windows { now: present, before, .. } = &*windows;
        let mut whole = Window { clients: present.clients.clone(), topics: present.topics.clone() };
        if let Some(before) = before {
            seconds += WINDOW_MS as f64 / 1000.0;
            whole.clients.merge(&before.clients);
            whole.topics.merge(&before.topics);
        }
        drop(windows);
        let clients = whole.clients.sorted();
        let trouble = |busy: &Busy| busy.counts.dropped + busy.counts.throttled;
        let mut troubled: Vec<_> = clients.iter().filter(|busy| trouble(busy) > 0).cloned().collect();
        troubled.sort_by_key(|busy| std::cmp::Reverse(trouble(busy)));
        let first = |mut list: Vec<Busy>| {
            list.truncate(SHOWN);
            list
        };
        TrafficSummary {
            seconds,
            clients: first(clients),
            topics: first(whole.topics.sorted()),
            troubled: first(troubled),
        }
    }

    fn count(&self, at: Timestamp, client: &str, topic: &str, counts: Counts) {
        let mut windows = self.windows();
        windows.turn(at);
        if !client.is_empty() {
            windows.now.clients.add(client, counts);
        }
        if !topic.is_empty() {
            windows.now.topics.add(topic, counts);
        }
    }

    fn windows(&self) -> MutexGuard<'_, Windows> {
        self.windows.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Windows {
    /// Begins a new window if the present one is over.
    fn turn(&mut self, at: Timestamp) {
        let age = at.millis().saturating_sub(self.began);
        if age < WINDOW_MS {
            return;
        }
        let over = std::mem::take(&mut self.now);
        // What is older than a whole window is forgotten.
        self.before = (age < 2 * WINDOW_MS).then_some(over);
        self.began = match self.before {
            Some(_) => self.began + WINDOW_MS,
            None => at.millis(),
        };
    }
}

/// How many events this one stands for; 0 if it is not counted.
fn weight(sort: usize, at: Timestamp) -> u64 {
    let second = at.millis() / 1000;
    SEEN.with(|seen| {
        let mut all = seen.get();
        let Some((current, count)) = all.get_mut(sort) else { return 0 };
        if *current != second {
            (*current, *count) = (second, 0);
        }
        *count = count.saturating_add(1);
        let number = *count;
        seen.set(all);
        match number {
            1..=EXACT => 1,
            n if n % STRIDE == 0 => STRIDE.into(),
            _ => 0,
        }
    })
}

impl Observer for Traffic {
    fn observe(&self, at: Timestamp, event: &Event<'_>) {
        let is_message = matches!(event.kind(), Kind::PublishIn | Kind::PublishOut);
        let weight = weight(usize::from(!is_message), at);
        if weight == 0 {
            return;
        }
        let one = Counts::default();
        let counts = match event {
            Event::PublishIn(e) => Counts { published: weight, bytes: weight * e.bytes as u64, ..one },
            Event::PublishOut(e) => Counts { delivered: weight, bytes: weight * e.bytes as u64, ..one },
            Event::DeliveryDropped(e) if e.why == DropReason::Rate || e.why == DropReason::QueueRate => {
                Counts { throttled: weight, ..one }
            }
            Event::DeliveryDropped(_) => Counts { dropped: weight, ..one },
            Event::ThrottleExceeded(_) => Counts { throttled: weight, ..one },
            _ if event.log_reason().is_some_and(|reason| reason.eq_ignore_ascii_case("throttled")) => {
                Counts { throttled: weight, ..one }
            }
            _ => return,
        };
        self.count(at, event.client_id(), event.topic().unwrap_or_default(), counts);
    }

    fn wanted(&self) -> KindSet {
        [
            Kind::PublishIn,
            Kind::PublishOut,
            Kind::DeliveryDropped,
            Kind::ThrottleExceeded,
            Kind::PublishRefused,
            Kind::SubscribeRefused,
            Kind::ConnectRefused,
        ]
        .into_iter()
        .fold(KindSet::NONE, KindSet::with)
    }
}

impl fmt::Debug for Traffic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Traffic")
    }
}
