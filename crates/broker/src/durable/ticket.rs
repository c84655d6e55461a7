//! A ticket: somebody waits for one write.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Poll, Waker};

use parking_lot::Mutex;
use store::StoreError;

/// Punched once, waited for by one.
#[derive(Default)]
pub(crate) struct Ticket(Mutex<State>);

#[derive(Default)]
struct State {
    outcome: Option<Result<(), StoreError>>,
    waker: Option<Waker>,
}

impl Ticket {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self::default())
    }

    /// The write is done, or failed.
    pub(crate) fn punch(&self, outcome: Result<(), StoreError>) {
        let mut state = self.0.lock();
        state.outcome = Some(outcome);
        let waker = state.waker.take();
        drop(state);
        waker.into_iter().for_each(Waker::wake);
    }

    /// Waits for it.
    pub(crate) async fn wait(&self) -> Result<(), StoreError> {
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
