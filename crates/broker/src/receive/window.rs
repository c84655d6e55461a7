//! The Receive Maximum, for messages of QoS 1: how many may wait for their PUBACK [MQTT-3.3.4-9].
//!
//! Only the disk makes PUBACKs wait. While nothing does, whatever comes is acknowledged at once and there is no limit to
//! hold against the client; what it cannot know yet, it is not blamed for: an acknowledgement counts as given when it is
//! in the outbox. For QoS 2 `session` counts.

use dialect::{Dialect, Fault};
use mqtt::{Packet, QoS, Version};
use session::Violation;

use crate::cell::Live;

/// What is left of the window.
pub(super) struct Window {
    most: u16,
    /// More messages that fit. `None`: as many as come.
    left: Option<usize>,
}

impl Window {
    /// As it is for a client. One of MQTT 3.1.1 knows of none: it is only not read while too much waits.
    pub fn of(live: &Live, dialect: &Dialect) -> Self {
        let most = dialect.limits().inflight_in;
        let counts = live.talk.terms().version == Version::V5 && live.owed > 0;
        Self { most, left: counts.then(|| usize::from(most).saturating_sub(live.owed)) }
    }

    /// One more packet; the violation if it is one message too many.
    pub fn take(&mut self, packet: &Packet) -> Result<(), Violation> {
        let Some(left) = &mut self.left else { return Ok(()) };
        if !matches!(packet, Packet::Publish(publish) if publish.qos == QoS::AtLeastOnce) {
            return Ok(());
        }
        let Some(fewer) = left.checked_sub(1) else {
            let detail = format!("more than {} messages of QoS 1 wait for their PUBACK", self.most);
            return Err(Violation::new(Fault::ReceiveMaximumExceeded, detail));
        };
        *left = fewer;
        Ok(())
    }
}
