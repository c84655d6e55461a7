//! The bounded queue in front of the writer thread: callers wait asynchronously, the writer waits on its thread.

use std::collections::{BTreeMap, VecDeque};
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use parking_lot::{Condvar, Mutex};

/// Work for one thread, within a number of items and of bytes.
pub(crate) struct Backlog<T> {
    state: Mutex<State<T>>,
    filled: Condvar,
    items: usize,
    bytes: usize,
}

struct State<T> {
    queue: VecDeque<(T, usize)>,
    bytes: usize,
    waiting: BTreeMap<u64, Waker>,
    next_ticket: u64,
    closed: bool,
}

impl<T> Backlog<T> {
    pub(crate) fn new(items: usize, bytes: usize) -> Self {
        let state = State {
            queue: VecDeque::new(),
            bytes: 0,
            waiting: BTreeMap::new(),
            next_ticket: 0,
            closed: false,
        };
        Self { state: Mutex::new(state), filled: Condvar::new(), items: items.max(1), bytes }
    }

    /// Adds an item, waiting for room. `false`: the backlog is closed and the item was dropped.
    pub(crate) fn push(&self, item: T, bytes: usize) -> Push<'_, T> {
        Push { backlog: self, item: Some((item, bytes)), ticket: None }
    }

    /// Waits for an item; `None` when the backlog is closed and empty.
    pub(crate) fn wait(&self) -> Option<T> {
        let mut state = self.state.lock();
        while state.queue.is_empty() && !state.closed {
            self.filled.wait(&mut state);
        }
        self.take(state)
    }

    /// How many items wait.
    pub(crate) fn len(&self) -> usize {
        self.state.lock().queue.len()
    }

    /// The next item, if one is there.
    pub(crate) fn try_next(&self) -> Option<T> {
        self.take(self.state.lock())
    }

    fn take(&self, mut state: parking_lot::MutexGuard<'_, State<T>>) -> Option<T> {
        let (item, bytes) = state.queue.pop_front()?;
        state.bytes -= bytes;
        // Waking only at half full keeps a crowd of waiters from being woken for each single place.
        let room = state.queue.len() <= self.items / 2 && state.bytes <= self.bytes / 2;
        let waiting = if room { std::mem::take(&mut state.waiting) } else { BTreeMap::new() };
        drop(state);
        waiting.into_values().for_each(Waker::wake);
        Some(item)
    }

    /// Refuses items from now on. What is queued can still be taken.
    pub(crate) fn close(&self) {
        let waiting = {
            let mut state = self.state.lock();
            state.closed = true;
            std::mem::take(&mut state.waiting)
        };
        self.filled.notify_all();
        waiting.into_values().for_each(Waker::wake);
    }
}

/// Waits for room in a [`Backlog`].
pub(crate) struct Push<'a, T> {
    backlog: &'a Backlog<T>,
    item: Option<(T, usize)>,
    ticket: Option<u64>,
}

impl<T> Unpin for Push<'_, T> {}

impl<T> Future for Push<'_, T> {
    type Output = bool;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<bool> {
        let this = self.get_mut();
        let mut state = this.backlog.state.lock();
        let Some((_, bytes)) = this.item.as_ref() else { return Poll::Ready(false) };
        if state.closed {
            return Poll::Ready(false);
        }
        let fits = state.queue.len() < this.backlog.items && state.bytes + bytes <= this.backlog.bytes;
        if fits || state.queue.is_empty() {
            state.bytes += bytes;
            state.queue.extend(this.item.take());
            drop(state);
            this.backlog.filled.notify_one();
            return Poll::Ready(true);
        }
        let ticket = *this.ticket.get_or_insert_with(|| {
            state.next_ticket += 1;
            state.next_ticket
        });
        state.waiting.insert(ticket, context.waker().clone());
        Poll::Pending
    }
}

impl<T> Drop for Push<'_, T> {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket {
            let waker = self.backlog.state.lock().waiting.remove(&ticket);
            drop(waker);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use store::block_on;

    use super::*;

    fn poll(push: &mut Push<'_, u32>) -> Poll<bool> {
        Pin::new(push).poll(&mut Context::from_waker(Waker::noop()))
    }

    #[test]
    fn never_holds_more_than_its_bounds() {
        let backlog = Backlog::new(2, 100);
        assert!(block_on(backlog.push(1, 10)) && block_on(backlog.push(2, 10)));
        let mut third = backlog.push(3, 10);
        assert!(poll(&mut third).is_pending());
        assert_eq!(backlog.try_next(), Some(1));
        let mut large = backlog.push(4, 91);
        assert!(poll(&mut large).is_pending(), "too many bytes");
        assert_eq!(poll(&mut third), Poll::Ready(true));
        assert_eq!((backlog.try_next(), backlog.try_next(), backlog.try_next()), (Some(2), Some(3), None));
        assert_eq!(poll(&mut large), Poll::Ready(true));
    }

    #[test]
    fn an_item_larger_than_the_bound_passes_alone() {
        let backlog = Backlog::new(2, 100);
        assert!(block_on(backlog.push(1, 1_000)));
        assert!(poll(&mut backlog.push(2, 1)).is_pending());
        assert_eq!(backlog.wait(), Some(1));
    }

    #[test]
    fn waiting_callers_get_through() {
        let backlog = Backlog::new(3, 1_000);
        thread::scope(|scope| {
            for caller in 0..20 {
                let backlog = &backlog;
                scope.spawn(move || (0..50).for_each(|_| assert!(block_on(backlog.push(caller, 1)))));
            }
            for _ in 0..20 * 50 {
                assert!(backlog.wait().is_some());
            }
        });
        assert_eq!(backlog.try_next(), None);
    }

    #[test]
    fn closing_ends_both_sides() {
        let backlog = Backlog::new(1, 1_000);
        assert!(block_on(backlog.push(1, 1)));
        thread::scope(|scope| {
            let waiter = scope.spawn(|| block_on(backlog.push(2, 1)));
            backlog.close();
            assert!(!waiter.join().unwrap());
        });
        assert_eq!((backlog.wait(), backlog.wait()), (Some(1), None));
    }

    #[test]
    fn a_caller_that_gives_up_leaves_no_trace() {
        let backlog = Backlog::new(1, 1_000);
        assert!(block_on(backlog.push(1, 1)));
        let mut second = backlog.push(2, 1);
        assert!(poll(&mut second).is_pending());
        drop(second);
        assert!(backlog.state.lock().waiting.is_empty());
    }
}
