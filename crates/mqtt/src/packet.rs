//! The packets, version-neutral: 3.1.1 is a packet without properties. One file per family below.

mod ack;
mod connack;
mod connect;
mod farewell;
mod publish;
mod subscribe;

use std::fmt;

pub use ack::Ack;
pub use connack::{ConnAck, ConnAckProperties};
pub use connect::{Connect, ConnectProperties, Will};
pub use farewell::{Auth, Disconnect};
pub use publish::{MessageProperties, Publish, PublishParts};
pub use subscribe::{SubAck, Subscribe, SubscribeRequest, UnsubAck, Unsubscribe};

/// One MQTT control packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Packet {
    /// Client asks to connect.
    Connect(Box<Connect>),
    /// Server answers a CONNECT.
    ConnAck(Box<ConnAck>),
    /// A message.
    Publish(Box<Publish>),
    /// QoS 1 is acknowledged.
    PubAck(Ack),
    /// QoS 2, second step.
    PubRec(Ack),
    /// QoS 2, third step.
    PubRel(Ack),
    /// QoS 2, last step.
    PubComp(Ack),
    /// Client subscribes.
    Subscribe(Subscribe),
    /// Server answers a SUBSCRIBE.
    SubAck(SubAck),
    /// Client unsubscribes.
    Unsubscribe(Unsubscribe),
    /// Server answers an UNSUBSCRIBE.
    UnsubAck(UnsubAck),
    /// Client asks for a sign of life.
    PingReq,
    /// Server gives a sign of life.
    PingResp,
    /// Either side says goodbye (3.1.1: the client only).
    Disconnect(Disconnect),
    /// Enhanced authentication (MQTT 5.0 only).
    Auth(Auth),
}

impl Packet {
    /// Which of the fifteen packets it is.
    #[must_use]
    pub const fn kind(&self) -> PacketKind {
        match self {
            Self::Connect(_) => PacketKind::Connect,
            Self::ConnAck(_) => PacketKind::ConnAck,
            Self::Publish(_) => PacketKind::Publish,
            Self::PubAck(_) => PacketKind::PubAck,
            Self::PubRec(_) => PacketKind::PubRec,
            Self::PubRel(_) => PacketKind::PubRel,
            Self::PubComp(_) => PacketKind::PubComp,
            Self::Subscribe(_) => PacketKind::Subscribe,
            Self::SubAck(_) => PacketKind::SubAck,
            Self::Unsubscribe(_) => PacketKind::Unsubscribe,
            Self::UnsubAck(_) => PacketKind::UnsubAck,
            Self::PingReq => PacketKind::PingReq,
            Self::PingResp => PacketKind::PingResp,
            Self::Disconnect(_) => PacketKind::Disconnect,
            Self::Auth(_) => PacketKind::Auth,
        }
    }

    /// The standard's name for it, such as `PUBLISH`.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.kind().name()
    }
}

/// The type of a control packet (MQTT 5.0 section 2.1.2): the upper half of its first byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum PacketKind {
    /// CONNECT
    Connect = 1,
    /// CONNACK
    ConnAck = 2,
    /// PUBLISH
    Publish = 3,
    /// PUBACK
    PubAck = 4,
    /// PUBREC
    PubRec = 5,
    /// PUBREL
    PubRel = 6,
    /// PUBCOMP
    PubComp = 7,
    /// SUBSCRIBE
    Subscribe = 8,
    /// SUBACK
    SubAck = 9,
    /// UNSUBSCRIBE
    Unsubscribe = 10,
    /// UNSUBACK
    UnsubAck = 11,
    /// PINGREQ
    PingReq = 12,
    /// PINGRESP
    PingResp = 13,
    /// DISCONNECT
    Disconnect = 14,
    /// AUTH
    Auth = 15,
}

impl PacketKind {
    /// All fifteen, by number.
    pub const ALL: [Self; 15] = [
        Self::Connect,
        Self::ConnAck,
        Self::Publish,
        Self::PubAck,
        Self::PubRec,
        Self::PubRel,
        Self::PubComp,
        Self::Subscribe,
        Self::SubAck,
        Self::Unsubscribe,
        Self::UnsubAck,
        Self::PingReq,
        Self::PingResp,
        Self::Disconnect,
        Self::Auth,
    ];

    /// The number, 1 to 15.
    #[must_use]
    pub const fn number(self) -> u8 {
        self as u8
    }

    /// The type with this number; 0 and everything above 15 is none.
    #[must_use]
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.get(usize::from(number).checked_sub(1)?).copied()
    }

    /// The standard's name, such as `PUBLISH`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Connect => "CONNECT",
            Self::ConnAck => "CONNACK",
            Self::Publish => "PUBLISH",
            Self::PubAck => "PUBACK",
            Self::PubRec => "PUBREC",
            Self::PubRel => "PUBREL",
            Self::PubComp => "PUBCOMP",
            Self::Subscribe => "SUBSCRIBE",
            Self::SubAck => "SUBACK",
            Self::Unsubscribe => "UNSUBSCRIBE",
            Self::UnsubAck => "UNSUBACK",
            Self::PingReq => "PINGREQ",
            Self::PingResp => "PINGRESP",
            Self::Disconnect => "DISCONNECT",
            Self::Auth => "AUTH",
        }
    }
}

impl fmt::Display for PacketKind {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.pad(self.name())
    }
}

#[cfg(test)]
mod tests {
    use std::mem::size_of;

    use super::*;

    #[test]
    fn kinds_and_numbers_agree() {
        for kind in PacketKind::ALL {
            assert_eq!(PacketKind::from_number(kind.number()), Some(kind));
        }
        assert_eq!(PacketKind::from_number(0), None);
        assert_eq!(PacketKind::from_number(16), None);
        assert_eq!(Packet::PingReq.name(), "PINGREQ");
    }

    /// What one more packet in a queue costs; grow it knowingly.
    #[test]
    fn packets_are_small() {
        assert!(size_of::<Packet>() <= 144, "{}", size_of::<Packet>());
        assert!(size_of::<Publish>() <= 272, "{}", size_of::<Publish>());
        assert!(size_of::<MessageProperties>() <= 136, "{}", size_of::<MessageProperties>());
    }
}
