//! SUBSCRIBE, SUBACK, UNSUBSCRIBE, UNSUBACK.

use crate::encode::Sink;
use crate::encode::ack::Reason;
use crate::encode::sink::Block;
use crate::packet::{SubAck, Subscribe, SubscribeRequest, UnsubAck, Unsubscribe};
use crate::properties::Property;
use crate::reason::ReasonCode;
use crate::version::Version;

pub(crate) fn subscribe<S: Sink>(subscribe: &Subscribe, version: Version, out: &mut S) {
    out.packet_id(subscribe.packet_id);
    if version.is_v5() {
        out.section(subscribe);
    }
    for request in &subscribe.filters {
        out.text(&request.filter);
        out.u8(options(request, version));
    }
}

/// The subscription options (MQTT 5.0 section 3.8.3.1); 3.1.1 has the QoS only.
fn options(request: &SubscribeRequest, version: Version) -> u8 {
    let qos = request.qos.number();
    match version {
        Version::V311 => qos,
        Version::V5 => {
            qos | (u8::from(request.no_local) << 2)
                | (u8::from(request.retain_as_published) << 3)
                | ((request.retain_handling as u8) << 4)
        }
    }
}

impl Block for Subscribe {
    fn write<S: Sink>(&self, out: &mut S) {
        out.variable_property(Property::SubscriptionIdentifier, self.subscription_identifier);
        out.user_properties(&self.user_properties);
    }
}

pub(crate) fn suback<S: Sink>(suback: &SubAck, version: Version, out: &mut S) {
    out.packet_id(suback.packet_id);
    if version.is_v5() {
        out.section(&Reason {
            string: suback.reason_string.as_ref(),
            user_properties: &suback.user_properties,
        });
    }
    for code in &suback.codes {
        out.u8(suback_code(*code, version));
    }
}

/// 3.1.1 knows one failure, 0x80 `[MQTT-3.9.3-2]`.
const fn suback_code(code: ReasonCode, version: Version) -> u8 {
    match version {
        Version::V311 if code.is_failure() => ReasonCode::UnspecifiedError.code(),
        _ => code.code(),
    }
}

pub(crate) fn unsubscribe<S: Sink>(unsubscribe: &Unsubscribe, version: Version, out: &mut S) {
    out.packet_id(unsubscribe.packet_id);
    if version.is_v5() {
        out.section(&Reason { string: None, user_properties: &unsubscribe.user_properties });
    }
    for filter in &unsubscribe.filters {
        out.text(filter);
    }
}

pub(crate) fn unsuback<S: Sink>(unsuback: &UnsubAck, version: Version, out: &mut S) {
    out.packet_id(unsuback.packet_id);
    if version.is_v5() {
        out.section(&Reason {
            string: unsuback.reason_string.as_ref(),
            user_properties: &unsuback.user_properties,
        });
        for code in &unsuback.codes {
            out.u8(code.code());
        }
    }
}
