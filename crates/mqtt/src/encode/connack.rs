//! CONNACK: reason code and properties in 5.0, a return code in 3.1.1.

use crate::encode::Sink;
use crate::encode::sink::Block;
use crate::packet::{ConnAck, ConnAckProperties};
use crate::properties::Property;
use crate::reason::ReasonCode;
use crate::version::{QoS, Version};

pub(crate) fn connack<S: Sink>(connack: &ConnAck, version: Version, out: &mut S) {
    // [MQTT-3.2.2-6]; 3.1.1 [MQTT-3.2.2-4]: never together with a failure.
    out.u8(u8::from(connack.session_present && connack.code == ReasonCode::Success));
    match version {
        Version::V311 => out.u8(connack.code.connack_return_code()),
        Version::V5 => {
            out.u8(connack.code.code());
            out.section(&connack.properties);
        }
    }
}

impl Block for ConnAckProperties {
    fn write<S: Sink>(&self, out: &mut S) {
        out.u32_property(Property::SessionExpiryInterval, self.session_expiry_interval);
        out.u16_property(Property::ReceiveMaximum, self.receive_maximum);
        // 2 is said by silence (MQTT 5.0 section 3.2.2.3.4).
        let below_two = self.maximum_qos.filter(|qos| *qos != QoS::ExactlyOnce);
        out.flag_property(Property::MaximumQos, below_two.map(|qos| qos == QoS::AtLeastOnce));
        out.flag_property(Property::RetainAvailable, self.retain_available);
        out.u32_property(Property::MaximumPacketSize, self.maximum_packet_size);
        out.text_property(Property::AssignedClientIdentifier, self.assigned_client_identifier.as_ref());
        out.u16_property(Property::TopicAliasMaximum, self.topic_alias_maximum);
        out.text_property(Property::ReasonString, self.reason_string.as_ref());
        out.user_properties(&self.user_properties);
        out.flag_property(Property::WildcardSubscriptionAvailable, self.wildcard_subscription_available);
        out.flag_property(Property::SubscriptionIdentifierAvailable, self.subscription_identifiers_available);
        out.flag_property(Property::SharedSubscriptionAvailable, self.shared_subscription_available);
        out.u16_property(Property::ServerKeepAlive, self.server_keep_alive);
        out.text_property(Property::ResponseInformation, self.response_information.as_ref());
        out.text_property(Property::ServerReference, self.server_reference.as_ref());
        out.text_property(Property::AuthenticationMethod, self.authentication_method.as_ref());
        out.binary_property(Property::AuthenticationData, self.authentication_data.as_ref());
    }
}
