//! A one-time answer from the writer thread to a waiting future.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use parking_lot::Mutex;

enum State<T> {
    Waiting(Option<Waker>),
    Given(T),
    /// Taken, or never to come.
    Over,
}

/// The writer's end. Dropping it unused tells the waiting side that nothing comes.
pub(crate) struct Answer<T>(Option<Arc<Mutex<State<T>>>>);

/// The caller's end: `None` when the writer went away without an answer.
pub(crate) struct Awaited<T>(Arc<Mutex<State<T>>>);

pub(crate) fn pair<T>() -> (Answer<T>, Awaited<T>) {
    let state = Arc::new(Mutex::new(State::Waiting(None)));
    (Answer(Some(Arc::clone(&state))), Awaited(state))
}

impl<T> Answer<T> {
    pub(crate) fn give(mut self, value: T) {
        self.end(State::Given(value));
    }

    fn end(&mut self, state: State<T>) {
        let Some(shared) = self.0.take() else { return };
        let before = std::mem::replace(&mut *shared.lock(), state);
        if let State::Waiting(Some(waker)) = before {
            waker.wake();
        }
    }
}

impl<T> Drop for Answer<T> {
    fn drop(&mut self) {
        self.end(State::Over);
    }
}

impl<T> Future for Awaited<T> {
    type Output = Option<T>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<T>> {
        let mut state = self.0.lock();
        match std::mem::replace(&mut *state, State::Over) {
            State::Given(value) => Poll::Ready(Some(value)),
            State::Over => Poll::Ready(None),
            State::Waiting(_) => {
                *state = State::Waiting(Some(context.waker().clone()));
                Poll::Pending
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use store::block_on;

    use super::*;

    #[test]
    fn an_answer_arrives_from_another_thread() {
        let (answer, awaited) = pair();
        let writer = thread::spawn(move || answer.give(7));
        assert_eq!(block_on(awaited), Some(7));
        writer.join().unwrap();
    }

    #[test]
    fn a_dropped_answer_ends_the_wait() {
        let (answer, awaited) = pair::<u8>();
        let writer = thread::spawn(move || drop(answer));
        assert_eq!(block_on(awaited), None);
        writer.join().unwrap();
    }
}
