//! CONNECT (MQTT 5.0 section 3.1, MQTT 3.1.1 section 3.1).

use bytes::Bytes;

use crate::clause;
use crate::decode::publish::message_property;
use crate::decode::reader::Reader;
use crate::decode::section::{Section, misplaced, once};
use crate::malformed::{Flaw, MalformedFault};
use crate::packet::{Connect, ConnectProperties, MessageProperties, Packet, PacketKind, Will};
use crate::properties::{Places, Property};
use crate::version::{QoS, Version};

const PROTOCOL: &[u8] = b"MQTT";
const OLD_PROTOCOL: &[u8] = b"MQIsdp";

/// Protocol name and level `[MQTT-3.1.2-1]`, `[MQTT-3.1.2-2]`. True with MQTT 3.1, if that is taken.
pub(crate) fn protocol(reader: &mut Reader<'_>, takes_mqtt31: bool) -> Result<(Version, bool), Flaw> {
    let protocol = reader.binary()?;
    let level = reader.u8()?;
    let (name, broken) = match &protocol[..] {
        PROTOCOL => ("MQTT", clause::PROTOCOL_LEVEL),
        OLD_PROTOCOL => ("MQIsdp", clause::PROTOCOL_NAME),
        _ => ("another name", clause::PROTOCOL_NAME),
    };
    match (&protocol[..], level) {
        (PROTOCOL, 4) => Ok((Version::V311, false)),
        (PROTOCOL, 5) => Ok((Version::V5, false)),
        (OLD_PROTOCOL, 3) if takes_mqtt31 => Ok((Version::V311, true)),
        _ => Err(Flaw::new(MalformedFault::UnsupportedProtocol { name, level }, broken)),
    }
}

/// What follows the protocol level. The payload's order is fixed `[MQTT-3.1.3-1]`.
pub(crate) fn connect(reader: &mut Reader<'_>, version: Version) -> Result<Packet, Flaw> {
    let flags = Flags::check(reader.u8()?, version)?;
    let keep_alive = reader.u16()?;
    let properties = if version.is_v5() { properties(reader)? } else { ConnectProperties::default() };
    // [MQTT-3.1.3-3]: always there. Empty without a clean session is for the session to refuse [MQTT-3.1.3-8].
    let client_id = reader.text()?;
    let will = if flags.will { Some(Box::new(will(reader, flags, version)?)) } else { None };
    // [MQTT-3.1.2-16] to [MQTT-3.1.2-19]: present exactly when flagged.
    let user_name = if flags.user_name { Some(reader.text()?) } else { None };
    let password = if flags.password { Some(reader.binary()?) } else { None };
    let clean_start = flags.clean_start;
    let connect =
        Connect { version, clean_start, keep_alive, client_id, user_name, password, will, properties };
    Ok(Packet::Connect(Box::new(connect)))
}

/// The connect flags (MQTT 5.0 section 3.1.2.3).
#[derive(Clone, Copy)]
struct Flags {
    clean_start: bool,
    will: bool,
    will_qos: QoS,
    will_retain: bool,
    password: bool,
    user_name: bool,
}

impl Flags {
    fn check(byte: u8, version: Version) -> Result<Self, Flaw> {
        let bit = |number: u8| byte & (1 << number) != 0;
        let will_qos = QoS::from_number((byte >> 3) & 0b11);
        let flags = Self {
            clean_start: bit(1),
            will: bit(2),
            will_qos: will_qos.ok_or(Flaw::new(MalformedFault::WillQos, clause::WILL_QOS))?,
            will_retain: bit(5),
            password: bit(6),
            user_name: bit(7),
        };
        if bit(0) {
            return Err(Flaw::new(MalformedFault::ReservedConnectFlag, clause::CONNECT_RESERVED));
        }
        flags.check_combination(version)
    }

    fn check_combination(self, version: Version) -> Result<Self, Flaw> {
        let flaw = if !self.will && self.will_qos != QoS::AtMostOnce {
            Flaw::new(MalformedFault::WillQosWithoutWill, clause::WILL_QOS_WITHOUT_WILL)
        } else if !self.will && self.will_retain {
            Flaw::new(MalformedFault::WillRetainWithoutWill, clause::WILL_RETAIN_WITHOUT_WILL)
        } else if !version.is_v5() && self.password && !self.user_name {
            Flaw::new(MalformedFault::PasswordWithoutUserName, clause::PASSWORD_WITHOUT_NAME)
        } else {
            return Ok(self);
        };
        Err(flaw)
    }
}

fn properties(reader: &mut Reader<'_>) -> Result<ConnectProperties, Flaw> {
    let mut section = Section::open(reader, Places::of(PacketKind::Connect))?;
    let mut found = ConnectProperties::default();
    while let Some(property) = section.next()? {
        connect_property(&mut found, property, &mut section)?;
    }
    if found.authentication_data.is_some() && found.authentication_method.is_none() {
        return Err(Flaw::new(MalformedFault::DataWithoutMethod, clause::CONNECT_AUTHENTICATION));
    }
    found.user_properties = section.user_properties();
    Ok(found)
}

fn connect_property(
    found: &mut ConnectProperties,
    property: Property,
    section: &mut Section<'_>,
) -> Result<(), Flaw> {
    use Property as P;
    match property {
        P::SessionExpiryInterval => once(&mut found.session_expiry_interval, property, section.u32()?),
        P::ReceiveMaximum => {
            let value = section.positive_u16(property, clause::CONNECT_RECEIVE_MAXIMUM)?;
            once(&mut found.receive_maximum, property, value)
        }
        P::MaximumPacketSize => {
            let value = section.positive_u32(property, clause::CONNECT_PACKET_SIZE)?;
            once(&mut found.maximum_packet_size, property, value)
        }
        P::TopicAliasMaximum => once(&mut found.topic_alias_maximum, property, section.u16()?),
        P::RequestResponseInformation => {
            let value = section.flag(property, clause::REQUEST_RESPONSE)?;
            once(&mut found.request_response_information, property, value)
        }
        P::RequestProblemInformation => {
            let value = section.flag(property, clause::REQUEST_PROBLEM)?;
            once(&mut found.request_problem_information, property, value)
        }
        P::AuthenticationMethod => once(&mut found.authentication_method, property, section.text()?),
        P::AuthenticationData => once(&mut found.authentication_data, property, section.binary()?),
        _ => Err(misplaced(property)),
    }
}

/// The will: properties (5.0), topic, payload `[MQTT-3.1.2-9]`.
fn will(reader: &mut Reader<'_>, flags: Flags, version: Version) -> Result<Will, Flaw> {
    let mut will = Will {
        topic: crate::text::Text::EMPTY,
        payload: Bytes::new(),
        qos: flags.will_qos,
        retain: flags.will_retain,
        delay_interval: None,
        properties: MessageProperties::default(),
        message_expiry_interval: None,
    };
    if version.is_v5() {
        will_properties(&mut will, reader)?;
    }
    will.topic = reader.text()?;
    will.payload = reader.binary()?;
    Ok(will)
}

fn will_properties(will: &mut Will, reader: &mut Reader<'_>) -> Result<(), Flaw> {
    let mut section = Section::open(reader, Places::WILL)?;
    while let Some(property) = section.next()? {
        match property {
            Property::WillDelayInterval => once(&mut will.delay_interval, property, section.u32()?)?,
            Property::MessageExpiryInterval => {
                once(&mut will.message_expiry_interval, property, section.u32()?)?;
            }
            _ => message_property(&mut will.properties, property, &mut section)?,
        }
    }
    will.properties.user_properties = section.user_properties();
    Ok(())
}
