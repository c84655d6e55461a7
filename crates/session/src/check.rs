//! AWS's limits on topics, filters and properties.
//!
//! Sources: general reference, *AWS IoT Core endpoints and quotas*; developer guide, *MQTT topics*, *Reserved topics*.

use std::fmt::Display;

use bytes::Bytes;
use dialect::{Dialect, Divergence, Fault};
use mqtt::{Carried, Message, MessageProperties, QoS, Text, TopicFilter, TopicName};

use crate::Violation;
use crate::mutation::{self, Mutation};

/// The longest filter of a shared subscription by which the store can name the queue of its group.
const STORED_FILTER_BYTES: usize = 960;
/// The longest share name for which there is room beside a stored message.
const STORED_SHARE_BYTES: usize = 200;

/// A topic that a client may publish to: legal, short and shallow enough, not reserved for others.
pub fn publish_topic(topic: Text, retain: bool, dialect: &Dialect) -> Result<TopicName, Violation> {
    let name = TopicName::try_from(topic)
        .map_err(|error| Violation::new(Fault::TopicInvalid, format!("the topic is not valid: {error}")))?;
    lengths("topic", dialect::effective_topic(name.as_str()), Fault::TopicInvalid, dialect)?;
    if name.is_reserved() {
        reserved(&name, retain, dialect)?;
    }
    Ok(name)
}

/// `$` topics are AWS's: few may be published to, none may be retained.
fn reserved(name: &TopicName, retain: bool, dialect: &Dialect) -> Result<(), Violation> {
    if let Err(fault) = dialect.publish_allowed(name.as_str()) {
        let detail = format!("{name} is a reserved topic: {fault}");
        return Err(Violation::new(Fault::ReservedTopicPublish, detail));
    }
    if retain && dialect.has(Divergence::RetainedReservedForbidden) {
        let detail = format!("RETAIN is not allowed on the reserved topic {name}");
        return Err(Violation::new(Fault::RetainOnReservedTopic, detail));
    }
    Ok(())
}

/// A filter that a client may subscribe to.
pub fn subscribe_filter(filter: &Text, dialect: &Dialect) -> Result<TopicFilter, Violation> {
    let filter = TopicFilter::try_from(filter.clone()).map_err(|error| {
        Violation::new(Fault::FilterInvalid, format!("the topic filter is not valid: {error}"))
    })?;
    if let Some(share) = filter.share_name()
        && share.chars().count() > dialect.limits().share_name_chars
    {
        let most = dialect.limits().share_name_chars;
        return Err(Violation::new(
            Fault::FilterInvalid,
            format!("the share name is longer than {most} characters"),
        ));
    }
    stored_share(&filter, dialect)?;
    lengths("topic filter", filter.matcher(), Fault::FilterInvalid, dialect)?;
    if filter.matcher().starts_with('$')
        && let Err(fault) = dialect.subscribe_allowed(filter.matcher())
    {
        let detail = format!("{} is a reserved topic filter: {fault}", filter.as_str());
        return Err(Violation::new(Fault::FilterReserved, detail));
    }
    Ok(filter)
}

/// What is stored of a shared subscription has to fit: where groups queue it is the whole filter, else the name beside each
/// message. AWS's limits are below either, but for a name of many bytes a character.
fn stored_share(filter: &TopicFilter, dialect: &Dialect) -> Result<(), Violation> {
    let Some(share) = filter.share_name() else { return Ok(()) };
    let (what, bytes, most) = match dialect.has(Divergence::SharedGroupQueue) {
        true => ("filter of the shared subscription", filter.as_str().len(), STORED_FILTER_BYTES),
        false => ("share name", share.len(), STORED_SHARE_BYTES),
    };
    match bytes > most {
        true => Err(Violation::new(
            Fault::FilterInvalid,
            format!("the {what} has {bytes} bytes, the store takes {most}"),
        )),
        false => Ok(()),
    }
}

fn lengths(what: &str, text: &str, fault: Fault, dialect: &Dialect) -> Result<(), Violation> {
    let limits = dialect.limits();
    if text.len() > limits.topic_bytes {
        let detail = format!("the {what} has {} bytes, the limit is {}", text.len(), limits.topic_bytes);
        return Err(Violation::new(fault, detail).by(Divergence::TopicLimits));
    }
    let slashes = text.bytes().filter(|byte| *byte == b'/').count();
    if slashes > limits.topic_slashes {
        let detail = format!("the {what} has {slashes} slashes, the limit is {}", limits.topic_slashes);
        return Err(Violation::new(fault, detail).by(Divergence::TopicLimits));
    }
    Ok(())
}

/// What travels with a message: its sizes, and a Response Topic that is a topic name. What passes can be written to the disk and
/// read again.
pub fn properties(properties: &MessageProperties, dialect: &Dialect) -> Result<(), Violation> {
    let limits = dialect.limits();
    let sizes = [
        (
            "Content Type",
            properties.content_type.as_ref().map_or(0, |text| text.len()),
            limits.content_type_bytes,
        ),
        (
            "Correlation Data",
            properties.correlation_data.as_ref().map_or(0, |data| data.len()),
            limits.correlation_data_bytes,
        ),
        (
            "Response Topic",
            properties.response_topic.as_ref().map_or(0, |text| text.len()),
            limits.topic_bytes,
        ),
        ("User Properties", properties.user_properties.byte_len(), limits.user_properties_bytes),
    ];
    for (what, bytes, most) in sizes {
        if bytes > most {
            let detail = format!("{what} has {bytes} bytes, the limit is {most}");
            return Err(Violation::new(Fault::PropertyTooLarge, detail));
        }
    }
    // Over MQTT the decoder has looked; over HTTP nobody has [MQTT-3.3.2-14].
    match properties.response_topic.clone().map(TopicName::try_from) {
        Some(Err(error)) => {
            Err(Violation::new(Fault::TopicInvalid, format!("the Response Topic is not valid: {error}")))
        }
        _ => Ok(()),
    }
}

/// The payload's size.
pub fn payload(bytes: usize, dialect: &Dialect) -> Result<(), Violation> {
    let most = dialect.limits().payload_bytes;
    if bytes > most {
        let detail = format!("the payload has {bytes} bytes, the limit is {most} (PAYLOAD_LIMIT_EXCEEDED)");
        return Err(Violation::new(Fault::PayloadTooLarge, detail));
    }
    Ok(())
}

/// A message of the service itself: QoS 1, without RETAIN.
///
/// # Errors
/// The topic is none, or the payload is larger than a client's may be.
pub fn event(topic: &str, payload: Bytes, dialect: &Dialect) -> Result<Message, Violation> {
    let invalid = |error: &dyn Display| Violation::new(Fault::TopicInvalid, error.to_string());
    let topic = Text::try_from(topic).map_err(|error| invalid(&error))?;
    let topic = TopicName::try_from(topic).map_err(|error| invalid(&error))?;
    self::payload(payload.len(), dialect)?;
    let (qos, properties) = (QoS::AtLeastOnce, Carried::default());
    Ok(Message { topic, payload, qos, retain: false, properties, expires_at: None, published_by_v5: false })
}

/// When a message with this Message Expiry Interval ends, by the dialect's clamp.
pub fn expires_at(interval: Option<u32>, now: identity::Timestamp, dialect: &Dialect) -> Option<u64> {
    let mut seconds = interval?;
    if dialect.has(Divergence::MessageExpiryClamp) {
        seconds = seconds.clamp(dialect.limits().message_expiry_min, dialect.limits().message_expiry_max);
    }
    if mutation::is(Mutation::HalvesExpiry) {
        seconds /= 2;
    }
    Some((now + std::time::Duration::from_secs(seconds.into())).millis())
}
