//! How much one publisher may have on its way. Deliveries, not acknowledgements, open the window: so QoS 0 is bounded
//! too, and a slow broker slows its publishers instead of dropping what they pour in.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use tokio::sync::Notify;

/// Shared by one publisher and its subscribers.
#[derive(Debug)]
pub struct Window {
    /// Messages that may be on their way.
    limit: u64,
    /// Subscribers that each message goes to; at least 1.
    receivers: u64,
    /// Messages sent.
    sent: AtomicU64,
    /// Deliveries that happened or, seeing a later one, never will.
    settled: AtomicU64,
    changed: Notify,
}

impl Window {
    /// A window for `limit` messages to `receivers` subscribers each.
    pub fn new(limit: u32, receivers: u32) -> Self {
        Self {
            limit: u64::from(limit),
            receivers: u64::from(receivers.max(1)),
            sent: AtomicU64::new(0),
            settled: AtomicU64::new(0),
            changed: Notify::new(),
        }
    }

    /// How many more messages may be sent now.
    pub fn room(&self) -> u64 {
        self.limit.saturating_sub(self.outstanding().div_ceil(self.receivers))
    }

    /// Deliveries that are still to come.
    pub fn outstanding(&self) -> u64 {
        (self.sent() * self.receivers).saturating_sub(self.settled.load(Relaxed))
    }

    /// Messages sent.
    pub fn sent(&self) -> u64 {
        self.sent.load(Relaxed)
    }

    /// Deliveries that a perfect broker makes of what was sent.
    pub fn expected(&self) -> u64 {
        self.sent() * self.receivers
    }

    /// The publisher sent one.
    pub fn send(&self) {
        self.sent.fetch_add(1, Relaxed);
    }

    /// A subscriber settled some. Wakes the publisher only when a whole message is settled.
    pub fn settle(&self, deliveries: u64) {
        let before = self.settled.fetch_add(deliveries, Relaxed);
        if before / self.receivers != (before + deliveries) / self.receivers {
            self.changed.notify_one();
        }
    }

    /// What has settled so far: unchanged while something is outstanding = stalled.
    pub fn settled(&self) -> u64 {
        self.settled.load(Relaxed)
    }

    /// Gives up on everything outstanding, so that the publisher goes on.
    pub fn forgive(&self) {
        self.settled.fetch_max(self.expected(), Relaxed);
        self.changed.notify_one();
    }

    /// Wakes the publisher for another reason.
    pub fn poke(&self) {
        self.changed.notify_one();
    }

    /// Waits until the window may have opened.
    pub async fn changed(&self) {
        self.changed.notified().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_settled_when_all_receivers_have_it() {
        let window = Window::new(2, 3);
        assert_eq!(window.room(), 2);
        window.send();
        window.send();
        assert_eq!((window.room(), window.outstanding(), window.expected()), (0, 6, 6));
        window.settle(2);
        assert_eq!(window.room(), 0);
        window.settle(1);
        assert_eq!(window.room(), 1);
        window.settle(3);
        assert_eq!((window.room(), window.outstanding()), (2, 0));
    }

    #[test]
    fn forgiving_opens_the_window_and_late_arrivals_do_not_overflow() {
        let window = Window::new(1, 1);
        window.send();
        window.forgive();
        assert_eq!(window.room(), 1);
        window.settle(1);
        assert_eq!((window.room(), window.outstanding()), (1, 0));
    }

    #[tokio::test]
    async fn settling_wakes_the_publisher() {
        let window = Window::new(1, 1);
        window.send();
        window.settle(1);
        window.changed().await;
    }
}
