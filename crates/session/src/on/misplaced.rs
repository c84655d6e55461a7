//! Packets that a client must not send, or not now.

use dialect::Fault;
use mqtt::Packet;

use crate::{Step, Violation};

pub(crate) fn receive(packet: &Packet) -> Step {
    Step::Violated(match packet {
        // [MQTT-3.1.0-2] a second CONNECT is a protocol error.
        Packet::Connect(_) => Violation::new(Fault::SecondConnect, "a second CONNECT on one connection"),
        Packet::Auth(_) => Violation::new(Fault::ProtocolError, "AUTH is not supported (no-auth-packet)"),
        // no-qos2: there is no QoS 2 exchange that these could belong to.
        Packet::PubRec(_) | Packet::PubRel(_) | Packet::PubComp(_) => {
            Violation::new(Fault::ProtocolError, format!("{} belongs to QoS 2 (no-qos2)", packet.name()))
        }
        other => Violation::new(Fault::ProtocolError, format!("a client does not send {}", other.name())),
    })
}
