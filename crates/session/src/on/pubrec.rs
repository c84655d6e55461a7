//! PUBREC of a QoS 2 message that we sent.

use mqtt::{Ack, ReasonCode};

use crate::session::exactly_once::Recorded;
use crate::{Session, Step};

/// [MQTT-4.3.3-4] the answer is a PUBREL, unless the client refused the message: that ends its delivery. To an
/// identifier that is not in use too, so that the client can let go of it (MQTT 5.0, 3.6.2.1: 0x92).
pub(crate) fn receive(session: &mut Session, ack: &Ack) -> Step {
    let packet_id = ack.packet_id;
    let accepted = ack.code.code() < ReasonCode::UnspecifiedError.code();
    match session.record(packet_id, accepted) {
        Recorded::Release => Step::Recorded { packet_id, known: true },
        Recorded::Over => Step::Acknowledged,
        Recorded::Unknown if accepted => Step::Recorded { packet_id, known: false },
        Recorded::Unknown => Step::Nothing,
    }
}
