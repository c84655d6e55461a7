//! PUBCOMP of a QoS 2 message that we sent.

use mqtt::Ack;

use crate::{Session, Step};

/// [MQTT-4.3.3-5] only now the identifier is free. One that is not in use is ignored.
pub(crate) fn receive(session: &mut Session, ack: &Ack) -> Step {
    if session.complete(ack.packet_id) { Step::Acknowledged } else { Step::Nothing }
}
