//! PINGREQ.

use mqtt::Packet;

use crate::{Conversation, Step};

/// [MQTT-3.12.4-1] the answer is a PINGRESP.
pub(crate) fn receive(live: &mut Conversation) -> Step {
    live.answer(Packet::PingResp);
    Step::Nothing
}
