//! `PublishFrame`: one outgoing PUBLISH, encoded once and sent to many.

use bytes::{Bytes, BytesMut};

use crate::encode::{Count, PUBLISH, Sink, TooLong, body_head, first_byte, frame_length};
use crate::packet::PublishParts;
use crate::version::{PacketId, QoS, Version};

/// The bits of a PUBLISH that differ from receiver to receiver.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PublishFlags {
    /// Possibly sent before.
    pub dup: bool,
    /// The message was retained, or the subscription keeps the flag as published.
    pub retain: bool,
}

/// A PUBLISH encoded once per version, quality of service and set of properties.
///
/// Packet identifier, flags and message expiry are patched while it is written. The payload stays a shared
/// [`Bytes`], so that a thousand receivers hold it once. Cheap to clone.
#[derive(Clone, Debug)]
pub struct PublishFrame {
    /// Fixed header, topic, packet identifier, properties.
    head: Bytes,
    payload: Bytes,
    qos: QoS,
    /// Where the two bytes of the packet identifier stand in the head; 0 = it has none.
    packet_id_at: usize,
    /// Where the four bytes of the message expiry stand in the head; 0 = it has none.
    expiry_at: usize,
}

impl PublishFrame {
    /// Encodes. Of `publish`, the flags `dup` and `retain` and the packet identifier do not matter: they are given
    /// with every write. Without a message expiry here, none can be written later.
    ///
    /// # Errors
    /// [`TooLong`], when MQTT cannot carry the packet.
    pub fn new(publish: &PublishParts<'_>, version: Version) -> Result<Self, TooLong> {
        let mut count = Count::default();
        body_head(publish, version, &mut count);
        count.skip(publish.payload.len());
        let remaining = count.finish(PUBLISH)?;

        let length = frame_length(remaining);
        let mut head = BytesMut::with_capacity(length - publish.payload.len());
        head.u8(first_byte(false, publish.qos, false));
        head.variable(remaining);
        let body_at = length - remaining;
        body_head(publish, version, &mut head);

        let topic_end = body_at + 2 + publish.topic.as_bytes().len();
        let packet_id_at = if publish.qos == QoS::AtMostOnce { 0 } else { topic_end };
        Ok(Self {
            packet_id_at,
            expiry_at: expiry_at(publish, version, topic_end),
            head: head.freeze(),
            payload: publish.payload.clone(),
            qos: publish.qos,
        })
    }

    /// The quality of service that the frame was encoded for.
    #[must_use]
    pub const fn qos(&self) -> QoS {
        self.qos
    }

    /// Bytes of the whole packet.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.head.len() + self.payload.len()
    }

    /// Never: a packet has at least two bytes.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The payload, for writers that send head and payload as two slices.
    #[must_use]
    pub const fn payload(&self) -> &Bytes {
        &self.payload
    }

    /// Appends the packet. The identifier is needed for QoS 1 and 2 and not written for QoS 0; the message expiry
    /// (seconds) replaces the encoded one if the frame has one.
    pub fn write_into(
        &self,
        out: &mut BytesMut,
        packet_id: Option<PacketId>,
        flags: PublishFlags,
        message_expiry: Option<u32>,
    ) {
        out.reserve(self.len());
        self.write_head_into(out, packet_id, flags, message_expiry);
        out.extend_from_slice(&self.payload);
    }

    /// Appends everything before the payload; see [`PublishFrame::write_into`].
    pub fn write_head_into(
        &self,
        out: &mut BytesMut,
        packet_id: Option<PacketId>,
        flags: PublishFlags,
        message_expiry: Option<u32>,
    ) {
        debug_assert!(
            self.qos == QoS::AtMostOnce || packet_id.is_some(),
            "QoS 1 and 2 need a packet identifier"
        );
        let start = out.len();
        out.extend_from_slice(&self.head);
        let Some(head) = out.get_mut(start..) else { return };
        patch(head, 0, [first_byte(flags.dup, self.qos, flags.retain)]);
        if let (Some(id), 1..) = (packet_id, self.packet_id_at) {
            patch(head, self.packet_id_at, id.get().to_be_bytes());
        }
        if let (Some(seconds), 1..) = (message_expiry, self.expiry_at) {
            patch(head, self.expiry_at, seconds.to_be_bytes());
        }
    }
}

/// Where the value of the message expiry stands: behind the packet identifier, the section's length and the
/// property's identifier, because it is written first.
fn expiry_at(publish: &PublishParts<'_>, version: Version, topic_end: usize) -> usize {
    if !version.is_v5() || publish.message_expiry_interval.is_none() {
        return 0;
    }
    let packet_id = if publish.qos == QoS::AtMostOnce { 0 } else { 2 };
    let mut before = Count::default();
    before.section(publish);
    let mut inside = Count::default();
    crate::encode::Block::write(publish, &mut inside);
    topic_end + packet_id + (before.bytes_written() - inside.bytes_written()) + 1
}

fn patch<const N: usize>(head: &mut [u8], at: usize, value: [u8; N]) {
    if let Some(slot) = head.get_mut(at..).and_then(|tail| tail.first_chunk_mut()) {
        *slot = value;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet::Publish;
    use crate::text::Text;

    fn publish(qos: QoS) -> Publish {
        Publish {
            qos,
            topic: Text::from_static("t"),
            payload: Bytes::from_static(b"hi"),
            message_expiry_interval: Some(9),
            ..Publish::default()
        }
    }

    fn written(frame: &PublishFrame, id: u16, expiry: u32) -> Vec<u8> {
        let mut out = BytesMut::new();
        frame.write_into(&mut out, PacketId::new(id), PublishFlags { dup: true, retain: true }, Some(expiry));
        out.to_vec()
    }

    #[test]
    fn one_frame_serves_many_receivers() {
        let frame = PublishFrame::new(&publish(QoS::AtLeastOnce).parts(), Version::V5).unwrap();
        assert_eq!(written(&frame, 1, 8), b"\x3b\x0d\0\x01t\0\x01\x05\x02\0\0\0\x08hi");
        assert_eq!(written(&frame, 0x0203, 7), b"\x3b\x0d\0\x01t\x02\x03\x05\x02\0\0\0\x07hi");
        assert_eq!(frame.len(), 15);
    }

    /// `[MQTT-2.2.1-2]`, `[MQTT-3.3.1-2]`; 3.1.1 has no expiry.
    #[test]
    fn what_a_frame_does_not_have_is_not_patched() {
        let frame = PublishFrame::new(&publish(QoS::AtMostOnce).parts(), Version::V311).unwrap();
        assert_eq!(written(&frame, 1, 8), b"\x31\x05\0\x01thi");
    }

    #[test]
    fn the_payload_is_shared() {
        let publish = publish(QoS::AtMostOnce);
        let frame = PublishFrame::new(&publish.parts(), Version::V5).unwrap();
        assert_eq!(frame.payload().as_ptr(), publish.payload.as_ptr());
        let mut head = BytesMut::new();
        frame.write_head_into(&mut head, None, PublishFlags::default(), None);
        assert_eq!(head.len() + frame.payload().len(), frame.len());
    }

    #[test]
    fn a_frame_that_mqtt_cannot_carry_is_refused() {
        let mut publish = publish(QoS::AtMostOnce);
        publish.properties.correlation_data = Some(Bytes::from(vec![0; 65_536]));
        assert!(PublishFrame::new(&publish.parts(), Version::V5).is_err());
    }
}
