//! DISCONNECT and AUTH (MQTT 5.0 sections 3.14 and 3.15).

use crate::clause;
use crate::decode::Setting;
use crate::decode::ack::reason_code;
use crate::decode::reader::Reader;
use crate::decode::section::{Section, misplaced, once};
use crate::malformed::{Flaw, MalformedFault};
use crate::packet::{Auth, Disconnect, Packet, PacketKind};
use crate::properties::{Places, Property, UserProperties};
use crate::reason::ReasonCode;

/// 0 bytes (normal disconnection), 1 byte (no properties), or more. 3.1.1 has 0 bytes only.
pub(crate) fn disconnect(reader: &mut Reader<'_>, setting: Setting) -> Result<Packet, Flaw> {
    let mut disconnect = Disconnect::new(ReasonCode::Success);
    if setting.version.is_v5() && !reader.is_at_end() {
        let (kind, by_server) = (PacketKind::Disconnect, setting.sent_by_server());
        disconnect.code = reason_code(kind, reader.u8()?, by_server, clause::DISCONNECT_CODE)?;
    }
    if setting.version.is_v5() && !reader.is_at_end() {
        disconnect_properties(&mut disconnect, reader, setting)?;
    }
    Ok(Packet::Disconnect(disconnect))
}

fn disconnect_properties(
    disconnect: &mut Disconnect,
    reader: &mut Reader<'_>,
    setting: Setting,
) -> Result<(), Flaw> {
    let mut section = Section::open(reader, Places::of(PacketKind::Disconnect))?;
    while let Some(property) = section.next()? {
        match property {
            // [MQTT-3.14.2-2]
            Property::SessionExpiryInterval if setting.sent_by_server() => {
                let fault = MalformedFault::PropertyDirection { property };
                return Err(Flaw::new(fault, clause::EXPIRY_FROM_SERVER));
            }
            Property::SessionExpiryInterval => {
                once(&mut disconnect.session_expiry_interval, property, section.u32()?)?;
            }
            Property::ReasonString => once(&mut disconnect.reason_string, property, section.text()?)?,
            Property::ServerReference => once(&mut disconnect.server_reference, property, section.text()?)?,
            _ => return Err(misplaced(property)),
        }
    }
    disconnect.user_properties = section.user_properties();
    Ok(())
}

/// 0 bytes (success) or code and properties; the method is then required (MQTT 5.0 section 3.15.2.2.2).
pub(crate) fn auth(reader: &mut Reader<'_>, setting: Setting) -> Result<Packet, Flaw> {
    let mut auth = Auth {
        code: ReasonCode::Success,
        authentication_method: None,
        authentication_data: None,
        reason_string: None,
        user_properties: UserProperties::EMPTY,
    };
    if !reader.is_at_end() {
        let (kind, by_server) = (PacketKind::Auth, setting.sent_by_server());
        auth.code = reason_code(kind, reader.u8()?, by_server, clause::AUTH_CODE)?;
        auth_properties(&mut auth, reader)?;
    }
    Ok(Packet::Auth(auth))
}

fn auth_properties(auth: &mut Auth, reader: &mut Reader<'_>) -> Result<(), Flaw> {
    let mut section = Section::open(reader, Places::of(PacketKind::Auth))?;
    while let Some(property) = section.next()? {
        match property {
            Property::AuthenticationMethod => {
                once(&mut auth.authentication_method, property, section.text()?)?;
            }
            Property::AuthenticationData => once(&mut auth.authentication_data, property, section.binary()?)?,
            Property::ReasonString => once(&mut auth.reason_string, property, section.text()?)?,
            _ => return Err(misplaced(property)),
        }
    }
    auth.user_properties = section.user_properties();
    if auth.authentication_method.is_none() {
        return Err(Flaw::new(MalformedFault::MethodMissing, clause::AUTH_METHOD));
    }
    Ok(())
}
