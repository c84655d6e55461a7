//! PUBLISH (MQTT 5.0 section 3.3, MQTT 3.1.1 section 3.3): the hot path. Topic and payload share the buffer.

use bytes::{Buf, Bytes};

use crate::clause;
use crate::decode::Setting;
use crate::decode::reader::Reader;
use crate::decode::section::{Section, bad_value, misplaced, once};
use crate::malformed::{Flaw, MalformedFault};
use crate::packet::{MessageProperties, Packet, PacketKind, Publish};
use crate::properties::{Places, Property};
use crate::text::Text;
use crate::topic::has_wildcard;
use crate::version::QoS;

/// `body` is what follows the fixed header; what is left of it behind the properties is the payload.
pub(crate) fn publish(mut body: Bytes, flags: u8, setting: Setting) -> Result<Packet, Flaw> {
    let reader = &mut Reader::new(&body);
    let qos = QoS::from_number((flags >> 1) & 0b11).ok_or(Flaw::new(MalformedFault::Qos, clause::QOS))?;
    let topic = topic(reader)?;
    let mut publish = Publish::fresh();
    (publish.dup, publish.retain) = (flags & 0b1000 != 0, flags & 0b0001 != 0);
    (publish.qos, publish.topic) = (qos, topic);
    if qos != QoS::AtMostOnce {
        publish.packet_id = Some(reader.packet_id()?);
    }
    if setting.version.is_v5() {
        properties(&mut publish, reader, setting)?;
    }
    check_named(&publish, setting)?;
    let head = reader.position();
    body.advance(head);
    publish.payload = body;
    Ok(Packet::Publish(publish))
}

/// The topic name: no wildcards `[MQTT-3.3.2-2]`.
fn topic(reader: &mut Reader<'_>) -> Result<Text, Flaw> {
    let topic = reader.text()?;
    if has_wildcard(topic.as_bytes()) {
        return Err(Flaw::new(MalformedFault::WildcardInTopic, clause::TOPIC_WILDCARD));
    }
    Ok(topic)
}

/// A topic has at least one character `[MQTT-4.7.3-1]`, unless an alias stands for it (MQTT 5.0 section 3.3.2.1).
fn check_named(publish: &Publish, setting: Setting) -> Result<(), Flaw> {
    if !publish.topic.as_bytes().is_empty() || publish.topic_alias.is_some() {
        Ok(())
    } else if setting.version.is_v5() {
        Err(Flaw::new(MalformedFault::TopicMissing, clause::TOPIC_MISSING))
    } else {
        Err(Flaw::new(MalformedFault::EmptyTopic, clause::TOPIC_EMPTY))
    }
}

fn properties(publish: &mut Publish, reader: &mut Reader<'_>, setting: Setting) -> Result<(), Flaw> {
    let mut section = Section::open(reader, Places::of(PacketKind::Publish))?;
    while let Some(property) = section.next()? {
        match property {
            Property::MessageExpiryInterval => {
                once(&mut publish.message_expiry_interval, property, section.u32()?)?;
            }
            Property::TopicAlias => {
                let alias = section.positive_u16(property, clause::TOPIC_ALIAS)?;
                once(&mut publish.topic_alias, property, alias)?;
            }
            Property::SubscriptionIdentifier => {
                publish.subscription_identifiers.push(subscription_identifier(&mut section, setting)?);
            }
            _ => message_property(&mut publish.properties, property, &mut section)?,
        }
    }
    let user_properties = section.user_properties();
    if !user_properties.is_empty() {
        publish.properties.user_properties = user_properties;
    }
    Ok(())
}

/// Never from a client `[MQTT-3.3.4-6]`, never 0.
fn subscription_identifier(section: &mut Section<'_>, setting: Setting) -> Result<u32, Flaw> {
    let property = Property::SubscriptionIdentifier;
    if !setting.sent_by_server() {
        let fault = MalformedFault::PropertyDirection { property };
        return Err(Flaw::new(fault, clause::IDENTIFIER_FROM_CLIENT));
    }
    section.positive_variable(property, clause::PUBLISH_IDENTIFIER)
}

/// The properties that PUBLISH and will have in common.
pub(crate) fn message_property(
    found: &mut MessageProperties,
    property: Property,
    section: &mut Section<'_>,
) -> Result<(), Flaw> {
    use Property as P;
    match property {
        P::PayloadFormatIndicator => {
            let value = section.flag(property, clause::PAYLOAD_FORMAT)?;
            once(&mut found.payload_format_utf8, property, value)
        }
        P::ContentType => once(&mut found.content_type, property, section.text()?),
        P::ResponseTopic => once(&mut found.response_topic, property, response_topic(section)?),
        P::CorrelationData => once(&mut found.correlation_data, property, section.binary()?),
        _ => Err(misplaced(property)),
    }
}

/// A topic name, hence without wildcards `[MQTT-3.3.2-14]` and not empty `[MQTT-4.7.3-1]`.
fn response_topic(section: &mut Section<'_>) -> Result<Text, Flaw> {
    let topic = section.text()?;
    if has_wildcard(topic.as_bytes()) {
        Err(Flaw::new(MalformedFault::WildcardInTopic, clause::RESPONSE_TOPIC))
    } else if topic.as_bytes().is_empty() {
        Err(bad_value(Property::ResponseTopic, clause::TOPIC_EMPTY))
    } else {
        Ok(topic)
    }
}
