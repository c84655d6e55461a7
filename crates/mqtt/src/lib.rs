//! The language of MQTT 3.1.1 and 5.0, both directions, without I/O.
//!
//! Invariant: what [`Decoder`] returns obeys every rule of the standard that one packet can obey or break on its
//! own, and [`encode`] writes it back so that it decodes to an equal packet. Rules that need a connection's
//! history (who may send what when) and a broker's own limits belong to the session.

mod clause;
mod decode;
mod encode;
mod frame;
mod malformed;
mod message;
mod packet;
mod properties;
mod reason;
mod text;
mod topic;
mod version;

pub use decode::Decoder;
pub use encode::{
    PACKET_MAX, TooLong, encode, encode_puback, encode_publish, encode_publish_head, encoded_len, publish_len,
};
pub use frame::{PublishFlags, PublishFrame};
pub use malformed::{Malformed, MalformedFault};
pub use message::Message;
pub use packet::{
    Ack, Auth, Carried, ConnAck, ConnAckProperties, Connect, ConnectProperties, Disconnect,
    MessageProperties, Packet, PacketKind, Publish, PublishParts, SubAck, Subscribe, SubscribeRequest,
    UnsubAck, Unsubscribe, Will,
};
pub use properties::{Places, Property, PropertyType, UserProperties, UserPropertiesIter};
pub use reason::{ReasonCode, UnknownReasonCode};
pub use text::{InvalidText, TEXT_MAX, Text};
pub use topic::{InvalidTopic, MatchRules, SEPARATOR, TopicFilter, TopicName, matches};
pub use version::{PacketId, QoS, RetainHandling, Version};
