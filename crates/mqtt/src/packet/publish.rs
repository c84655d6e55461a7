//! PUBLISH, and the part of it that travels from publisher to subscriber unchanged.

use std::cell::RefCell;
use std::ops::{Deref, DerefMut};

use bytes::Bytes;
use smallvec::SmallVec;

use crate::properties::UserProperties;
use crate::text::Text;
use crate::version::{PacketId, QoS};

/// A message on the wire (MQTT 5.0 section 3.3).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Publish {
    /// Possibly sent before.
    pub dup: bool,
    /// Quality of service.
    pub qos: QoS,
    /// To be retained (from a client), was retained (from a server).
    pub retain: bool,
    /// The topic: no wildcards; empty only with a topic alias (MQTT 5.0).
    pub topic: Text,
    /// Present exactly when the quality of service is 1 or 2 `[MQTT-2.2.1-2]`.
    pub packet_id: Option<PacketId>,
    /// The application's bytes.
    pub payload: Bytes,
    /// A number that stands for the topic; never 0 `[MQTT-3.3.2-8]`.
    pub topic_alias: Option<u16>,
    /// Seconds that the message has left to live.
    pub message_expiry_interval: Option<u32>,
    /// The identifiers of the matching subscriptions; only from server to client `[MQTT-3.3.4-6]`.
    pub subscription_identifiers: SmallVec<[u32; 1]>,
    /// What travels end to end.
    pub properties: Carried,
}

/// The parts of a PUBLISH, borrowed from wherever they are: what is needed to write one. For the fields see [`Publish`].
#[derive(Clone, Copy, Debug)]
pub struct PublishParts<'a> {
    /// Possibly sent before.
    pub dup: bool,
    /// Quality of service.
    pub qos: QoS,
    /// Was retained.
    pub retain: bool,
    /// The topic.
    pub topic: &'a Text,
    /// Present exactly when the quality of service is 1 or 2.
    pub packet_id: Option<PacketId>,
    /// The application's bytes.
    pub payload: &'a Bytes,
    /// A number that stands for the topic.
    pub topic_alias: Option<u16>,
    /// Seconds that the message has left to live.
    pub message_expiry_interval: Option<u32>,
    /// The identifiers of the matching subscriptions.
    pub subscription_identifiers: &'a [u32],
    /// What travels end to end.
    pub properties: &'a MessageProperties,
}

impl Publish {
    /// The same, borrowed.
    #[must_use]
    pub fn parts(&self) -> PublishParts<'_> {
        PublishParts {
            dup: self.dup,
            qos: self.qos,
            retain: self.retain,
            topic: &self.topic,
            packet_id: self.packet_id,
            payload: &self.payload,
            topic_alias: self.topic_alias,
            message_expiry_interval: self.message_expiry_interval,
            subscription_identifiers: &self.subscription_identifiers,
            properties: &self.properties,
        }
    }
}

/// Boxes that a thread keeps for the next packets: as many as a connection decodes at once.
const MOST_SPARE: usize = 64;

/// An allocation that a packet had.
struct Spare(Box<Publish>);

thread_local! {
    static BOXES: RefCell<Vec<Spare>> = const { RefCell::new(Vec::new()) };
}

impl Publish {
    /// An empty one. A busy thread's comes from [`Publish::recycle`], not from the allocator.
    #[must_use]
    pub fn fresh() -> Box<Self> {
        let kept = BOXES.try_with(|boxes| boxes.try_borrow_mut().ok().and_then(|mut boxes| boxes.pop()));
        kept.ok().flatten().map_or_else(Box::default, |spare| spare.0)
    }

    /// Gives back what is not needed any more; what it holds is dropped now.
    pub fn recycle(mut self: Box<Self>) {
        *self = Self::default();
        // A thread that ends has no use for it.
        let _ended = BOXES.try_with(|boxes| {
            if let Ok(mut boxes) = boxes.try_borrow_mut()
                && boxes.len() < MOST_SPARE
            {
                boxes.push(Spare(self));
            }
        });
    }
}

impl PublishParts<'_> {
    /// True if the section of properties is empty.
    pub(crate) fn is_bare(&self) -> bool {
        self.message_expiry_interval.is_none()
            && self.topic_alias.is_none()
            && self.subscription_identifiers.is_empty()
            && self.properties.is_empty()
    }
}

/// The properties that a server forwards unaltered (MQTT 5.0 section 3.3.2.3). Empty ones allocate nothing;
/// a clone shares everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MessageProperties {
    /// Payload Format Indicator: `true` = the payload says it is UTF-8 text.
    pub payload_format_utf8: Option<bool>,
    /// The MIME type, or whatever the applications agreed on.
    pub content_type: Option<Text>,
    /// Where the receiver shall answer; no wildcards `[MQTT-3.3.2-14]`.
    pub response_topic: Option<Text>,
    /// What the answer shall carry; at most 65 535 bytes.
    pub correlation_data: Option<Bytes>,
    /// User properties, in order `[MQTT-3.3.2-18]`.
    pub user_properties: UserProperties,
}

impl MessageProperties {
    /// True when there is nothing to send.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.payload_format_utf8.is_none()
            && self.content_type.is_none()
            && self.response_topic.is_none()
            && self.correlation_data.is_none()
            && self.user_properties.is_empty()
    }

    /// Bytes of the values that an application chose the length of: names and lengths on the wire not counted.
    #[must_use]
    pub fn byte_len(&self) -> usize {
        if self.is_empty() {
            return 0;
        }
        self.content_type.as_ref().map_or(0, |text| text.len())
            + self.response_topic.as_ref().map_or(0, |text| text.len())
            + self.correlation_data.as_ref().map_or(0, Bytes::len)
            + self.user_properties.byte_len()
    }

    /// A copy that keeps no read buffer alive; see [`Text::detached`].
    #[must_use]
    pub fn detached(&self) -> Self {
        Self {
            payload_format_utf8: self.payload_format_utf8,
            content_type: self.content_type.as_ref().map(Text::detached),
            response_topic: self.response_topic.as_ref().map(Text::detached),
            correlation_data: self.correlation_data.as_ref().map(|data| Bytes::copy_from_slice(data)),
            user_properties: self.user_properties.detached(),
        }
    }
}

/// The [`MessageProperties`] that a message carries, mostly none: those take no room then.
#[derive(Clone, Debug, Default)]
pub struct Carried(Option<Box<MessageProperties>>);

static NOTHING: MessageProperties = MessageProperties {
    payload_format_utf8: None,
    content_type: None,
    response_topic: None,
    correlation_data: None,
    user_properties: UserProperties::EMPTY,
};

impl Carried {
    /// A copy that keeps no read buffer alive; see [`Text::detached`].
    #[must_use]
    pub fn detached(&self) -> Self {
        Self(self.0.as_ref().map(|properties| Box::new(properties.detached())))
    }
}

impl Deref for Carried {
    type Target = MessageProperties;
    fn deref(&self) -> &MessageProperties {
        self.0.as_deref().unwrap_or(&NOTHING)
    }
}

/// Makes room for properties.
impl DerefMut for Carried {
    fn deref_mut(&mut self) -> &mut MessageProperties {
        self.0.get_or_insert_default()
    }
}

impl From<MessageProperties> for Carried {
    fn from(properties: MessageProperties) -> Self {
        Self((!properties.is_empty()).then(|| Box::new(properties)))
    }
}

impl PartialEq for Carried {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl Eq for Carried {}
