//! PUBLISH. The part before the payload is also what [`crate::PublishFrame`] keeps.

use crate::encode::Sink;
use crate::encode::sink::Block;
use crate::packet::{MessageProperties, PacketKind, PublishParts};
use crate::properties::Property;
use crate::version::{QoS, Version};

/// Type, DUP, QoS, RETAIN (MQTT 5.0 section 3.3.1).
pub(crate) const fn first_byte(dup: bool, qos: QoS, retain: bool) -> u8 {
    // [MQTT-3.3.1-2]: QoS 0 is never a duplicate.
    let dup = dup && !matches!(qos, QoS::AtMostOnce);
    (PacketKind::Publish.number() << 4) | ((dup as u8) << 3) | (qos.number() << 1) | retain as u8
}

pub(crate) fn publish<S: Sink>(publish: &PublishParts<'_>, version: Version, out: &mut S) {
    body_head(publish, version, out);
    out.raw(publish.payload);
}

/// Topic, packet identifier, properties: what stands between fixed header and payload.
///
/// A missing packet identifier is a programmer's error; it is written as 0, which the peer refuses.
pub(crate) fn body_head<S: Sink>(publish: &PublishParts<'_>, version: Version, out: &mut S) {
    out.text(publish.topic);
    // [MQTT-2.2.1-2]: none with QoS 0.
    if publish.qos != QoS::AtMostOnce {
        out.u16(publish.packet_id.map_or(0, crate::PacketId::get));
    }
    if version.is_v5() && publish.is_bare() {
        out.u8(0);
    } else if version.is_v5() {
        out.section(publish);
    }
}

/// The message expiry comes first: [`crate::PublishFrame`] patches it there.
impl Block for PublishParts<'_> {
    fn write<S: Sink>(&self, out: &mut S) {
        out.u32_property(Property::MessageExpiryInterval, self.message_expiry_interval);
        out.u16_property(Property::TopicAlias, self.topic_alias);
        for identifier in self.subscription_identifiers {
            out.variable_property(Property::SubscriptionIdentifier, Some(*identifier));
        }
        message_properties(self.properties, out);
    }
}

/// What a server forwards unaltered, user properties in order `[MQTT-3.3.2-18]`.
pub(crate) fn message_properties<S: Sink>(properties: &MessageProperties, out: &mut S) {
    out.flag_property(Property::PayloadFormatIndicator, properties.payload_format_utf8);
    out.text_property(Property::ContentType, properties.content_type.as_ref());
    out.text_property(Property::ResponseTopic, properties.response_topic.as_ref());
    out.binary_property(Property::CorrelationData, properties.correlation_data.as_ref());
    out.user_properties(&properties.user_properties);
}
