//! CONNACK (MQTT 5.0 section 3.2, MQTT 3.1.1 section 3.2).

use crate::clause;
use crate::decode::reader::Reader;
use crate::decode::section::{Section, misplaced, once};
use crate::malformed::{Flaw, MalformedFault};
use crate::packet::{ConnAck, ConnAckProperties, Packet, PacketKind};
use crate::properties::{Places, Property};
use crate::reason::ReasonCode;
use crate::version::{QoS, Version};

pub(crate) fn connack(reader: &mut Reader<'_>, version: Version) -> Result<Packet, Flaw> {
    let flags = reader.u8()?;
    if flags > 1 {
        return Err(Flaw::new(MalformedFault::ConnAckFlags { flags }, clause::CONNACK_FLAGS));
    }
    let session_present = flags == 1;
    let code = code(reader.u8()?, version)?;
    if session_present && code != ReasonCode::Success {
        return Err(Flaw::new(MalformedFault::SessionPresentWithFailure, clause::SESSION_PRESENT));
    }
    let properties = if version.is_v5() { properties(reader)? } else { ConnAckProperties::default() };
    Ok(Packet::ConnAck(Box::new(ConnAck { session_present, code, properties })))
}

/// A return code of 3.1.1 or a reason code of 5.0 `[MQTT-3.2.2-8]`.
fn code(code: u8, version: Version) -> Result<ReasonCode, Flaw> {
    let known = match version {
        Version::V311 => ReasonCode::from_connack_return_code(code),
        Version::V5 => ReasonCode::from_code(code).filter(|code| code.allowed_in(PacketKind::ConnAck, true)),
    };
    known.ok_or(Flaw::new(MalformedFault::ReasonCode { code }, clause::CONNACK_CODE))
}

fn properties(reader: &mut Reader<'_>) -> Result<ConnAckProperties, Flaw> {
    let mut section = Section::open(reader, Places::of(PacketKind::ConnAck))?;
    let mut found = ConnAckProperties::default();
    while let Some(property) = section.next()? {
        match property {
            Property::MaximumQos
            | Property::RetainAvailable
            | Property::WildcardSubscriptionAvailable
            | Property::SubscriptionIdentifierAvailable
            | Property::SharedSubscriptionAvailable => capability(&mut found, property, &mut section)?,
            _ => connack_property(&mut found, property, &mut section)?,
        }
    }
    if found.authentication_data.is_some() && found.authentication_method.is_none() {
        return Err(Flaw::new(MalformedFault::DataWithoutMethod, clause::CONNACK_AUTHENTICATION));
    }
    found.user_properties = section.user_properties();
    Ok(found)
}

/// What the server can do: bytes that are 0 or 1.
fn capability(
    found: &mut ConnAckProperties,
    property: Property,
    section: &mut Section<'_>,
) -> Result<(), Flaw> {
    let (slot, clause) = match property {
        Property::MaximumQos => return maximum_qos(found, section),
        Property::RetainAvailable => (&mut found.retain_available, clause::RETAIN_AVAILABLE),
        Property::WildcardSubscriptionAvailable => {
            (&mut found.wildcard_subscription_available, clause::WILDCARD_AVAILABLE)
        }
        Property::SubscriptionIdentifierAvailable => {
            (&mut found.subscription_identifiers_available, clause::IDENTIFIERS_AVAILABLE)
        }
        Property::SharedSubscriptionAvailable => {
            (&mut found.shared_subscription_available, clause::SHARED_AVAILABLE)
        }
        _ => return Err(misplaced(property)),
    };
    once(slot, property, section.flag(property, clause)?)
}

/// 0 or 1; a server that takes QoS 2 says nothing (MQTT 5.0 section 3.2.2.3.4).
fn maximum_qos(found: &mut ConnAckProperties, section: &mut Section<'_>) -> Result<(), Flaw> {
    let property = Property::MaximumQos;
    let one = section.flag(property, clause::MAXIMUM_QOS)?;
    once(&mut found.maximum_qos, property, if one { QoS::AtLeastOnce } else { QoS::AtMostOnce })
}

fn connack_property(
    found: &mut ConnAckProperties,
    property: Property,
    section: &mut Section<'_>,
) -> Result<(), Flaw> {
    use Property as P;
    match property {
        P::SessionExpiryInterval => once(&mut found.session_expiry_interval, property, section.u32()?),
        P::ReceiveMaximum => {
            let value = section.positive_u16(property, clause::CONNACK_RECEIVE_MAXIMUM)?;
            once(&mut found.receive_maximum, property, value)
        }
        P::MaximumPacketSize => {
            let value = section.positive_u32(property, clause::CONNACK_PACKET_SIZE)?;
            once(&mut found.maximum_packet_size, property, value)
        }
        P::AssignedClientIdentifier => once(&mut found.assigned_client_identifier, property, section.text()?),
        P::TopicAliasMaximum => once(&mut found.topic_alias_maximum, property, section.u16()?),
        P::ReasonString => once(&mut found.reason_string, property, section.text()?),
        P::ServerKeepAlive => once(&mut found.server_keep_alive, property, section.u16()?),
        P::ResponseInformation => once(&mut found.response_information, property, section.text()?),
        P::ServerReference => once(&mut found.server_reference, property, section.text()?),
        P::AuthenticationMethod => once(&mut found.authentication_method, property, section.text()?),
        P::AuthenticationData => once(&mut found.authentication_data, property, section.binary()?),
        _ => Err(misplaced(property)),
    }
}
