//! A ticket: somebody waits for one thing, a write most of the time.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Poll, Waker};

use crate::error::StoreError;
use parking_lot::Mutex;

/// Punched once, waited for by one.
#[derive(Debug)]
pub struct Ticket<T = Result<(), StoreError>>(Mutex<State<T>>);

#[derive(Debug)]
struct State<T> {
    outcome: Option<T>,
    waker: Option<Waker>,
}

impl<T> Ticket<T> {
    /// One that is not punched yet.
    pub fn new() -> Arc<Self> {
        Arc::new(Self(Mutex::new(State { outcome: None, waker: None })))
    }

    /// It is done, or failed. What comes first counts.
    pub fn punch(&self, outcome: T) {
        let mut state = self.0.lock();
        state.outcome.get_or_insert(outcome);
        let waker = state.waker.take();
        drop(state);
        waker.into_iter().for_each(Waker::wake);
    }

    /// Waits for it.
    pub async fn wait(&self) -> T {
        poll_fn(|cx| {
            let mut state = self.0.lock();
            match state.outcome.take() {
                Some(outcome) => Poll::Ready(outcome),
                None => {
                    state.waker = Some(cx.waker().clone());
                    Poll::Pending
                }
            }
        })
        .await
    }
}
