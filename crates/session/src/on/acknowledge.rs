//! PUBACK of a message that we sent.

use mqtt::Ack;

use crate::{Session, Step};

/// Any code ends the delivery [MQTT-4.3.2-5]; an identifier that is not in use is ignored.
pub(crate) fn receive(session: &mut Session, ack: &Ack) -> Step {
    if session.acknowledge(ack.packet_id) { Step::Acknowledged } else { Step::Nothing }
}
