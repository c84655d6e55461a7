//! PUBREL of a QoS 2 message that the client sent.

use mqtt::Ack;

use crate::{Session, Step};

/// [MQTT-4.3.3-11] the answer is always a PUBCOMP; [MQTT-4.3.3-12] after it the identifier stands for a new message.
pub(crate) fn receive(session: &mut Session, ack: &Ack) -> Step {
    let known = session.forget_received(ack.packet_id);
    Step::Released { packet_id: ack.packet_id, known }
}
