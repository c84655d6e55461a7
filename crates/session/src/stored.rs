//! What of a session's messages outlives the process: a message as the journal and the retained space keep it (a small head,
//! then a PUBLISH of MQTT 5), and what is particular to one session's copy. Where it is kept is not known here.

use std::sync::Arc;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use mqtt::{Decoder, Message, Packet, PacketId, Publish, QoS, TopicName, Version};
use smallvec::SmallVec;

use crate::{Offer, Parcel, Place, Subscription};

/// The most bytes of a session's subscriptions: half of what the store takes for one record, which has the identifiers of
/// messages beside them.
pub const SUBSCRIPTIONS_BYTES: usize = 512 << 10;
/// A subscription without its filter and options, and these.
const PLAIN: usize = 22;
const NO_LOCAL: usize = 16;
const RETAIN_AS_PUBLISHED: usize = 27;
const IDENTIFIER: usize = 23;

/// How many bytes a subscription is in the record of its session, at most. The record is JSON, which spells control
/// characters with six letters.
pub(crate) fn bytes_of(subscription: &Subscription) -> usize {
    let spelled = |byte: u8| match byte {
        0..0x20 => 6,
        b'"' | b'\\' => 2,
        _ => 1,
    };
    let options = if subscription.no_local { NO_LOCAL } else { 0 }
        + if subscription.retain_as_published { RETAIN_AS_PUBLISHED } else { 0 }
        + subscription.identifier.map_or(0, |_| IDENTIFIER);
    PLAIN + options + subscription.filter.as_str().bytes().map(spelled).sum::<usize>()
}

const FORMAT: u8 = 1;
const RETAIN: u8 = 0b0000_0001;
const FROM_V5: u8 = 0b0000_0010;
const EXPIRES: u8 = 0b0000_0100;
/// Format, flags, expiry.
const HEAD: usize = 10;

/// Encodes a message.
pub fn encode(message: &Message) -> Bytes {
    let publish = Publish {
        qos: message.qos,
        topic: message.topic.as_text().clone(),
        packet_id: (message.qos != QoS::AtMostOnce).then_some(PacketId::FIRST),
        payload: message.payload.clone(),
        properties: message.properties.clone(),
        ..Publish::default()
    };
    let packet = Packet::Publish(Box::new(publish));
    let mut out = BytesMut::with_capacity(HEAD + mqtt::encoded_len(&packet, Version::V5));
    out.put_u8(FORMAT);
    let mut flags = 0;
    flags |= if message.retain { RETAIN } else { 0 };
    flags |= if message.published_by_v5 { FROM_V5 } else { 0 };
    flags |= if message.expires_at.is_some() { EXPIRES } else { 0 };
    out.put_u8(flags);
    out.put_u64(message.expires_at.unwrap_or(0));
    // A message that came in a packet fits into one.
    let _too_long = mqtt::encode(&packet, Version::V5, &mut out);
    out.freeze()
}

/// Decodes what [`encode`] made. `None`: it is not of this format, which the caller reports.
pub fn decode(body: &Bytes) -> Option<Message> {
    if body.len() < HEAD || body.first() != Some(&FORMAT) {
        return None;
    }
    let mut rest = BytesMut::from(&body[..]);
    rest.advance(1);
    let flags = rest.get_u8();
    let expiry = rest.get_u64();
    let decoded = Decoder::for_client(Version::V5, u32::MAX).decode(&mut rest).ok()??;
    let Packet::Publish(publish) = decoded else { return None };
    Some(Message {
        topic: TopicName::try_from(publish.topic).ok()?,
        payload: publish.payload,
        qos: publish.qos,
        retain: flags & RETAIN != 0,
        properties: publish.properties,
        expires_at: (flags & EXPIRES != 0).then_some(expiry),
        published_by_v5: flags & FROM_V5 != 0,
    })
}

/// What was stored for one session, as an offer; `None` if it is not readable.
pub fn offer(body: &Bytes, tag: &Bytes, place: Place) -> Option<Offer> {
    decode(body).zip(Tag::decode(tag)).map(|(message, tag)| Offer {
        parcel: Arc::new(Parcel::new(message)),
        qos: tag.qos,
        retain: tag.retain,
        share_name: tag.share_name.map(Arc::from),
        place: Some(place),
        group: None,
        identifiers: tag.identifiers,
    })
}

/// What is particular to one session's copy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tag {
    /// The granted QoS.
    pub qos: QoS,
    /// The RETAIN flag to send.
    pub retain: bool,
    /// The share name.
    pub share_name: Option<Box<str>>,
    /// The identifiers of the subscriptions.
    pub identifiers: SmallVec<[u32; 1]>,
}

const TAG_RETAIN: u8 = 0b01;
const TAG_IDENTIFIERS: u8 = 0b10;

impl Tag {
    /// Encodes it into `most` bytes; identifiers that have no room are left out.
    pub fn encode(&self, most: usize) -> Bytes {
        let share = self.share_name.as_deref().unwrap_or_default();
        let mut out = BytesMut::with_capacity(2 + share.len());
        out.put_u8(self.qos as u8);
        // More than a tag has room for are not sent when the message waited.
        let room = most.saturating_sub(4 + share.len()) / 4;
        let identifiers = self.identifiers.get(..room).unwrap_or(&self.identifiers);
        let mut flags = if self.retain { TAG_RETAIN } else { 0 };
        flags |= if identifiers.is_empty() { 0 } else { TAG_IDENTIFIERS };
        out.put_u8(flags);
        if !identifiers.is_empty() {
            out.put_u16(u16::try_from(identifiers.len()).unwrap_or(u16::MAX));
            identifiers.iter().for_each(|identifier| out.put_u32(*identifier));
        }
        out.extend_from_slice(share.as_bytes());
        out.freeze()
    }

    /// Decodes what [`Tag::encode`] made. `None`: it is something else.
    pub fn decode(mut tag: &[u8]) -> Option<Self> {
        let qos = QoS::from_number(tag.try_get_u8().ok()?)?;
        let flags = tag.try_get_u8().ok()?;
        let count = if flags & TAG_IDENTIFIERS == 0 { 0 } else { tag.try_get_u16().ok()? };
        let identifiers: Option<_> = (0..count).map(|_| tag.try_get_u32().ok()).collect();
        let share = std::str::from_utf8(tag).ok()?;
        let share_name = (!share.is_empty()).then(|| share.into());
        Some(Self { qos, retain: flags & TAG_RETAIN != 0, share_name, identifiers: identifiers? })
    }
}

#[cfg(test)]
mod tests {
    use mqtt::{MessageProperties, Text};
    use proptest::prelude::*;

    use super::*;
    use crate::check;

    proptest! {
        #[test]
        fn messages_come_back(
            topic in "[a-z/]{1,20}", payload in proptest::collection::vec(any::<u8>(), 0..200), qos in 0u8..3,
            retain in any::<bool>(), expires_at in proptest::option::of(any::<u64>()), published_by_v5 in any::<bool>(),
            content_type in proptest::option::of("[a-z]{0,10}"),
        ) {
            let content_type = content_type.map(|text| Text::try_from(text).unwrap());
            let message = Message {
                topic: TopicName::try_from(topic.as_str()).unwrap(),
                payload: payload.into(),
                qos: QoS::from_number(qos).unwrap(),
                retain,
                properties: MessageProperties { content_type, ..MessageProperties::default() }.into(),
                expires_at,
                published_by_v5,
            };
            prop_assert_eq!(decode(&encode(&message)), Some(message));
        }

        /// Who publishes over HTTP has no decoder before him.
        #[test]
        fn what_may_be_published_can_be_read_again(
            response_topic in proptest::option::of("[a/+#$]{0,4}"), content_type in proptest::option::of("[ -~]{0,9}"),
            correlation in proptest::option::of(proptest::collection::vec(any::<u8>(), 0..9)),
            payload in proptest::collection::vec(any::<u8>(), 0..9), utf8 in proptest::option::of(any::<bool>()),
        ) {
            let text = |text: String| Text::try_from(text).unwrap();
            let properties = MessageProperties {
                payload_format_utf8: utf8,
                content_type: content_type.map(text),
                response_topic: response_topic.map(text),
                correlation_data: correlation.map(Bytes::from),
                ..MessageProperties::default()
            };
            let passes = check::properties(&properties, &dialect::Dialect::aws()).is_ok();
            let message = Message {
                topic: TopicName::try_from("t").unwrap(),
                payload: payload.into(),
                qos: QoS::AtLeastOnce,
                retain: true,
                properties: properties.into(),
                expires_at: None,
                published_by_v5: true,
            };
            prop_assert_eq!(decode(&encode(&message)), passes.then_some(message));
        }

        #[test]
        fn anything_else_is_refused(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let _ = decode(&bytes.clone().into());
            let _ = Tag::decode(&bytes);
        }
    }

    #[test]
    fn tags_come_back() {
        for share_name in [None, Some("group".into())] {
            for identifiers in [SmallVec::new(), SmallVec::from_slice(&[7, 268_435_455])] {
                let tag =
                    Tag { qos: QoS::ExactlyOnce, retain: true, share_name: share_name.clone(), identifiers };
                assert_eq!(Tag::decode(&tag.encode(64)), Some(tag));
            }
        }
    }

    #[test]
    fn identifiers_without_room_are_left_out() {
        let identifiers = SmallVec::from_slice(&[1, 2, 3]);
        let tag = Tag { qos: QoS::AtLeastOnce, retain: false, share_name: None, identifiers };
        let bytes = tag.encode(12);
        assert!(bytes.len() <= 12);
        assert_eq!(Tag::decode(&bytes).unwrap().identifiers[..], [1, 2]);
    }
}
