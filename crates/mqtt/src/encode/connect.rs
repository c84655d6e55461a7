//! CONNECT, in the version that it asks for.

use crate::encode::Sink;
use crate::encode::publish::message_properties;
use crate::encode::sink::Block;
use crate::packet::{Connect, ConnectProperties, Will};
use crate::properties::Property;

pub(crate) fn connect<S: Sink>(connect: &Connect, out: &mut S) {
    out.binary(b"MQTT");
    out.u8(connect.version.level());
    out.u8(flags(connect));
    out.u16(connect.keep_alive);
    if connect.version.is_v5() {
        out.section(&connect.properties);
    }
    out.text(&connect.client_id);
    if let Some(will) = &connect.will {
        if connect.version.is_v5() {
            out.section(will.as_ref());
        }
        out.text(&will.topic);
        out.binary(&will.payload);
    }
    if let Some(user_name) = &connect.user_name {
        out.text(user_name);
    }
    if let Some(password) = &connect.password {
        out.binary(password);
    }
}

/// The connect flags (MQTT 5.0 section 3.1.2.3).
fn flags(connect: &Connect) -> u8 {
    let bit = |set: bool, number: u8| u8::from(set) << number;
    let will =
        connect.will.as_ref().map_or(0, |will| bit(true, 2) | (will.qos.number() << 3) | bit(will.retain, 5));
    bit(connect.clean_start, 1)
        | will
        | bit(connect.password.is_some(), 6)
        | bit(connect.user_name.is_some(), 7)
}

impl Block for ConnectProperties {
    fn write<S: Sink>(&self, out: &mut S) {
        out.u32_property(Property::SessionExpiryInterval, self.session_expiry_interval);
        out.u16_property(Property::ReceiveMaximum, self.receive_maximum);
        out.u32_property(Property::MaximumPacketSize, self.maximum_packet_size);
        out.u16_property(Property::TopicAliasMaximum, self.topic_alias_maximum);
        out.flag_property(Property::RequestResponseInformation, self.request_response_information);
        out.flag_property(Property::RequestProblemInformation, self.request_problem_information);
        out.text_property(Property::AuthenticationMethod, self.authentication_method.as_ref());
        out.binary_property(Property::AuthenticationData, self.authentication_data.as_ref());
        out.user_properties(&self.user_properties);
    }
}

impl Block for Will {
    fn write<S: Sink>(&self, out: &mut S) {
        out.u32_property(Property::WillDelayInterval, self.delay_interval);
        out.u32_property(Property::MessageExpiryInterval, self.message_expiry_interval);
        message_properties(&self.properties, out);
    }
}
