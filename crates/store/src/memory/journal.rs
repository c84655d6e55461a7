//! Queues per session in ordered maps; bodies are shared.

use std::collections::BTreeMap;
use std::ops::Bound;

use bytes::Bytes;
use parking_lot::Mutex;

use crate::port::page_takes_more;
use crate::{Append, Boxed, Journal, Key, Position, Record, StoreError};

/// A [`Journal`] in memory.
#[derive(Default)]
pub struct MemoryJournal {
    state: Mutex<State>,
    capacity: Option<usize>,
}

#[derive(Default)]
struct State {
    last: u64,
    bytes: usize,
    sessions: BTreeMap<Key, BTreeMap<Position, (Bytes, Bytes)>>,
}

impl MemoryJournal {
    /// The bytes of records that [`MemoryJournal::new`] has room for; a shared body counts once per recipient.
    pub const DEFAULT_CAPACITY: usize = 1 << 30;

    /// An empty journal.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty journal with room for `capacity` bytes.
    #[must_use]
    pub fn with_capacity(capacity: usize) -> Self {
        Self { state: Mutex::default(), capacity: Some(capacity) }
    }

    fn append_now(&self, appends: Vec<Append>) -> Result<Position, StoreError> {
        Append::admit(&appends)?;
        let capacity = self.capacity.unwrap_or(Self::DEFAULT_CAPACITY);
        let mut state = self.state.lock();
        let asked: usize = appends
            .iter()
            .flat_map(|append| append.to.iter().map(|to| record_bytes(&to.tag, &append.body)))
            .sum();
        if state.bytes + asked > capacity {
            return Err(StoreError::unavailable(format!("the in-memory journal is full ({capacity} bytes)")));
        }
        for append in appends {
            state.add(append);
        }
        Ok(Position(state.last))
    }
}

fn record_bytes(tag: &Bytes, body: &Bytes) -> usize {
    tag.len() + body.len()
}

impl State {
    fn add(&mut self, append: Append) {
        self.last += 1;
        let position = Position(self.last);
        for to in append.to {
            let queue = self.sessions.entry(to.session).or_default();
            let added = record_bytes(&to.tag, &append.body);
            // A session named twice by one append gets the message once.
            let before = queue.insert(position, (to.tag, append.body.clone()));
            self.bytes += added;
            self.bytes -= before.map_or(0, |(tag, body)| record_bytes(&tag, &body));
        }
    }

    fn page(&self, session: &Key, after: Position, limit: usize) -> Vec<Record> {
        let Some(first) = after.0.checked_add(1) else { return Vec::new() };
        let mut page = Vec::new();
        let mut bytes = 0;
        let queue = self.sessions.get(session).into_iter();
        for (position, (tag, body)) in queue.flat_map(|queue| queue.range(Position(first)..)) {
            if !page_takes_more(limit, page.len(), bytes) {
                break;
            }
            bytes += body.len();
            page.push(Record { position: *position, tag: tag.clone(), body: body.clone() });
        }
        page
    }

    fn queues(&self, after: Option<&Key>, limit: usize) -> Vec<Key> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let names = self.sessions.range::<Key, _>((from, Bound::Unbounded)).map(|(name, _)| name);
        names.take(limit).cloned().collect()
    }

    fn trim(&mut self, session: &Key, upto: Position) {
        let Some(queue) = self.sessions.get_mut(session) else { return };
        let kept = upto.0.checked_add(1).map(|next| queue.split_off(&Position(next))).unwrap_or_default();
        let dropped = std::mem::replace(queue, kept);
        if queue.is_empty() {
            self.sessions.remove(session);
        }
        self.bytes -= dropped.values().map(|(tag, body)| record_bytes(tag, body)).sum::<usize>();
    }
}

impl Journal for MemoryJournal {
    fn append(&self, appends: Vec<Append>) -> Boxed<'_, Result<Position, StoreError>> {
        Box::pin(async move { self.append_now(appends) })
    }

    fn read<'a>(
        &'a self,
        session: &'a Key,
        after: Position,
        limit: usize,
    ) -> Boxed<'a, Result<Vec<Record>, StoreError>> {
        Box::pin(async move { Ok(self.state.lock().page(session, after, limit)) })
    }

    fn queues<'a>(&'a self, after: Option<&'a Key>, limit: usize) -> Boxed<'a, Result<Vec<Key>, StoreError>> {
        Box::pin(async move { Ok(self.state.lock().queues(after, limit)) })
    }

    fn trim<'a>(&'a self, session: &'a Key, upto: Position) -> Boxed<'a, Result<(), StoreError>> {
        Box::pin(async move {
            self.state.lock().trim(session, upto);
            Ok(())
        })
    }
}
