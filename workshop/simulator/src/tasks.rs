//! What stands for a runtime: futures that are polled when they were woken, and only then, so that a lost wake is seen.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

/// Set by a waker.
#[derive(Debug)]
pub struct Flag(AtomicBool);

impl Flag {
    /// A flag that is up: everything is polled once to begin with.
    pub fn raised() -> Arc<Self> {
        Arc::new(Self(AtomicBool::new(true)))
    }

    /// True if it was up; it is down now.
    pub fn take(&self) -> bool {
        self.0.swap(false, Ordering::Relaxed)
    }

    /// Whether it is up.
    pub fn is_up(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// Puts it up.
    pub fn raise(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.raise();
    }
}

/// A future with its flag.
pub struct Task<T> {
    future: Pin<Box<dyn Future<Output = T> + Send>>,
    flag: Arc<Flag>,
}

impl<T> Task<T> {
    /// To be polled soon.
    pub fn new(future: impl Future<Output = T> + Send + 'static) -> Self {
        Self { future: Box::pin(future), flag: Flag::raised() }
    }

    /// True if it wants to be polled.
    pub fn is_woken(&self) -> bool {
        self.flag.is_up()
    }

    /// Polls it, if it was woken. Nothing if it was not, or is not done.
    pub fn turn(&mut self) -> Option<T> {
        if !self.flag.take() {
            return None;
        }
        let waker = Waker::from(self.flag.clone());
        match self.future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(done) => Some(done),
            Poll::Pending => None,
        }
    }
}
