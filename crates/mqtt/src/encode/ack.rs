//! PUBACK, PUBREC, PUBREL, PUBCOMP in their shortest form (MQTT 5.0 section 3.4.2.1).

use crate::encode::Sink;
use crate::encode::sink::Block;
use crate::packet::Ack;
use crate::properties::{Property, UserProperties};
use crate::reason::ReasonCode;
use crate::text::Text;
use crate::version::Version;

pub(crate) fn ack<S: Sink>(ack: &Ack, version: Version, out: &mut S) {
    out.packet_id(ack.packet_id);
    let reason = Reason { string: ack.reason_string.as_ref(), user_properties: &ack.user_properties };
    if !version.is_v5() || (ack.code == ReasonCode::Success && reason.is_empty()) {
        return;
    }
    out.u8(ack.code.code());
    if !reason.is_empty() {
        out.section(&reason);
    }
}

/// The section of acknowledgements: a reason string and user properties.
pub(crate) struct Reason<'a> {
    pub(crate) string: Option<&'a Text>,
    pub(crate) user_properties: &'a UserProperties,
}

impl Reason<'_> {
    fn is_empty(&self) -> bool {
        self.string.is_none() && self.user_properties.is_empty()
    }
}

impl Block for Reason<'_> {
    fn write<S: Sink>(&self, out: &mut S) {
        out.text_property(Property::ReasonString, self.string);
        out.user_properties(self.user_properties);
    }
}
