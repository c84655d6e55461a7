//! What a CONNECT agrees on: the greeting, before anybody asks a policy.
//!
//! Sources: developer guide, *MQTT*; general reference, *AWS IoT Core endpoints and quotas*.

use std::time::Duration;

use dialect::{Dialect, Divergence, Fault};
use identity::ClientId;
use mqtt::{ConnAck, ConnAckProperties, Connect, QoS, ReasonCode, Text, Version};

use crate::mutation::{self, Mutation};
use crate::will::WillPlan;
use crate::{Note, Notes, Violation, check};

/// The widest window to a client, whatever it and the dialect allow. Beyond [`NARROW_WINDOW`] the bytes on their way count
/// too.
const WIDEST_WINDOW: u16 = 8192;
/// As many messages may be on their way to a client that lets them, whatever they weigh.
pub(crate) const NARROW_WINDOW: usize = 128;

/// The agreed terms of one connection.
#[derive(Clone, Debug)]
pub struct Terms {
    /// The protocol's version.
    pub version: Version,
    /// The client's own identifier; `None` if the broker must assign one.
    pub client_id: Option<ClientId>,
    /// An earlier session is to be thrown away.
    pub clean_start: bool,
    /// The keep-alive interval in force, in seconds; 0 means none (only where the dialect allows it).
    pub keep_alive: u16,
    /// The keep-alive interval that the client asked for, in seconds.
    pub asked_keep_alive: u16,
    /// How long the session outlives the connection, in seconds; 0 ends it with the connection.
    pub session_expiry: u32,
    /// The client asked for a longer session than it gets.
    session_expiry_lowered: bool,
    /// How many messages of QoS 1 and 2 may be on their way to the client.
    pub send_window: u16,
    /// The largest packet that the client takes, in bytes.
    pub client_packet_max: u32,
    /// How many topic aliases the broker may use towards the client.
    pub topic_aliases: u16,
    /// The client wants reason strings and user properties on more than CONNACK and DISCONNECT.
    pub problem_information: bool,
    /// What to publish if the client goes without saying goodbye.
    pub will: Option<Box<WillPlan>>,
}

impl Terms {
    /// Reads a CONNECT by the rules of the dialect.
    pub fn agree(connect: &Connect, dialect: &Dialect, notes: &mut Notes) -> Result<Self, Violation> {
        if connect.properties.authentication_method.is_some() {
            return Err(Violation::new(
                Fault::AuthenticationMethodUnsupported,
                "AUTH exchanges are not supported",
            ));
        }
        size(connect, dialect)?;
        let client_id = client_id(connect, dialect)?;
        let client_packet_max = client_packet_max(connect, dialect)?;
        let (session_expiry, session_expiry_lowered) = session_expiry(connect, dialect, notes);
        let will = connect
            .will
            .as_deref()
            .map(|will| WillPlan::agree(will, connect.version, dialect, notes).map(Box::new))
            .transpose()?;
        Ok(Self {
            version: connect.version,
            client_id,
            clean_start: connect.clean_start,
            keep_alive: keep_alive(connect.keep_alive, dialect, notes),
            asked_keep_alive: connect.keep_alive,
            session_expiry,
            session_expiry_lowered,
            send_window: send_window(connect, dialect),
            client_packet_max,
            topic_aliases: match dialect.has(Divergence::OutboundTopicAliases) {
                true => connect.properties.topic_alias_maximum.unwrap_or(0),
                false => 0,
            },
            problem_information: connect.properties.request_problem_information.unwrap_or(true),
            will,
        })
    }

    /// True if the session outlives the connection.
    pub fn is_persistent(&self) -> bool {
        self.session_expiry > 0
    }

    /// How long the client may be silent: one and a half times the interval [MQTT-3.1.2-22].
    pub fn silence(&self) -> Option<Duration> {
        (self.keep_alive > 0).then(|| Duration::from_millis(u64::from(self.keep_alive) * 1500))
    }

    /// The acknowledgement of success, with exactly the properties that AWS sends (*MQTT*, CONNACK properties).
    pub fn connack(&self, session_present: bool, assigned: Option<&ClientId>, dialect: &Dialect) -> ConnAck {
        let limits = dialect.limits();
        let mut properties = ConnAckProperties::default();
        if self.version == Version::V5 {
            properties.session_expiry_interval = self.session_expiry_lowered.then_some(self.session_expiry);
            properties.receive_maximum = Some(limits.inflight_in);
            // [MQTT-3.2.2-9] without it, QoS 2 is there.
            properties.maximum_qos = dialect.has(Divergence::NoQos2).then_some(QoS::AtLeastOnce);
            properties.retain_available = Some(true);
            properties.maximum_packet_size = Some(limits.packet_bytes);
            properties.assigned_client_identifier = assigned.and_then(|id| Text::try_from(id.as_str()).ok());
            properties.topic_alias_maximum = Some(limits.topic_alias_max);
            properties.wildcard_subscription_available = Some(true);
            properties.subscription_identifiers_available =
                Some(!dialect.has(Divergence::NoSubscriptionIdentifier));
            properties.shared_subscription_available = Some(true);
            properties.server_keep_alive = Some(self.keep_alive);
        }
        ConnAck { session_present, code: ReasonCode::Success, properties }
    }
}

/// CONNECT as a whole is held to the payload's limit, and its user properties to theirs.
fn size(connect: &Connect, dialect: &Dialect) -> Result<(), Violation> {
    let will = connect.will.as_deref().map_or(0, |will| will.payload.len() + will.topic.len());
    let password = connect.password.as_ref().map_or(0, |password| password.len());
    let user_name = connect.user_name.as_ref().map_or(0, |name| name.len());
    let user_properties = connect.properties.user_properties.byte_len();
    let bytes = will + password + user_name + user_properties + connect.client_id.len();
    let most = dialect.limits().payload_bytes;
    if bytes > most {
        let detail = format!("CONNECT carries {bytes} bytes, the limit is {most}");
        return Err(Violation::new(Fault::ConnectTooLarge, detail));
    }
    let most = dialect.limits().user_properties_bytes;
    if user_properties > most {
        let detail = format!("User Properties has {user_properties} bytes, the limit is {most}");
        return Err(Violation::new(Fault::ConnectPropertyTooLarge, detail));
    }
    Ok(())
}

/// [MQTT-3.1.3-5] leaves longer and stranger identifiers to the server: AWS takes 128 bytes and no leading `$`.
fn client_id(connect: &Connect, dialect: &Dialect) -> Result<Option<ClientId>, Violation> {
    let text = &*connect.client_id;
    if text.is_empty() {
        // [MQTT-3.1.3-8] (3.1.1) an empty identifier needs a clean session.
        if connect.version == Version::V311 && !connect.clean_start {
            return Err(Violation::new(Fault::ClientIdNotValid, "an empty client id needs a clean session"));
        }
        if connect.version == Version::V311 && dialect.has(Divergence::EmptyClientIdV3Refused) {
            let empty = Violation::new(Fault::ClientIdNotValid, "the client id is empty");
            return Err(empty.by(Divergence::EmptyClientIdV3Refused));
        }
        return Ok(None);
    }
    let most = dialect.limits().client_id_bytes;
    if text.len() > most {
        let detail = format!("the client id has {} bytes, the limit is {most}", text.len());
        return Err(Violation::new(Fault::ClientIdNotValid, detail).by(Divergence::ClientIdDollar));
    }
    if text.starts_with('$') && dialect.has(Divergence::ClientIdDollar) {
        let reserved = Violation::new(Fault::ClientIdNotValid, "client ids that start with $ are reserved");
        return Err(reserved.by(Divergence::ClientIdDollar));
    }
    ClientId::new(text).map(Some).map_err(|error| Violation::new(Fault::ClientIdNotValid, error.to_string()))
}

fn send_window(connect: &Connect, dialect: &Dialect) -> u16 {
    let asked = connect.properties.receive_maximum.unwrap_or(u16::MAX);
    asked.min(dialect.limits().inflight_out).min(WIDEST_WINDOW)
}

fn client_packet_max(connect: &Connect, dialect: &Dialect) -> Result<u32, Violation> {
    let asked = connect.properties.maximum_packet_size.unwrap_or(u32::MAX);
    let least = dialect.limits().client_packet_bytes_min;
    if asked < least {
        let detail = format!("Maximum Packet Size is {asked}, the least is {least}");
        return Err(Violation::new(Fault::ClientPacketSizeTooSmall, detail));
    }
    Ok(asked)
}

fn keep_alive(asked: u16, dialect: &Dialect, notes: &mut Notes) -> u16 {
    if !dialect.has(Divergence::KeepaliveClamp) {
        return asked;
    }
    let limits = dialect.limits();
    let effective = if asked == 0 {
        limits.keep_alive_max
    } else {
        asked.clamp(limits.keep_alive_min, limits.keep_alive_max)
    };
    if effective != asked {
        let detail = format!("asked for a keep-alive of {asked} s, {effective} s is in force");
        notes.push(Note::new(Divergence::KeepaliveClamp, "CONNECT", detail));
    }
    effective
}

/// The expiry in force, and whether the client asked for more.
fn session_expiry(connect: &Connect, dialect: &Dialect, notes: &mut Notes) -> (u32, bool) {
    let most = dialect.limits().session_expiry_max;
    if connect.version == Version::V311 {
        if connect.clean_start {
            return (0, false);
        }
        if dialect.has(Divergence::V3SessionExpires) {
            return (most, false);
        }
        return (u32::MAX, false);
    }
    let asked = connect.properties.session_expiry_interval.unwrap_or(0);
    if asked > most && dialect.has(Divergence::SessionExpiryCap) {
        let detail = format!("asked for a session of {asked} s, {most} s is in force");
        notes.push(Note::new(Divergence::SessionExpiryCap, "CONNECT", detail));
        return (most, true);
    }
    (asked, false)
}

/// Checks shared with the will.
pub(crate) fn message_limits(
    payload: usize,
    properties: &mqtt::MessageProperties,
    dialect: &Dialect,
) -> Result<(), Violation> {
    check::payload(payload, dialect)?;
    check::properties(properties, dialect)
}

/// Bytes of a CONNECT that count for the bill: names, password and will, and the texts of the properties.
pub fn connect_bytes(connect: &Connect) -> usize {
    let properties = &connect.properties;
    let will = connect
        .will
        .as_deref()
        .filter(|_| !mutation::is(Mutation::OmitsWill))
        .map_or(0, |will| will.topic.len() + will.payload.len() + will.properties.byte_len());
    connect.client_id.len()
        + connect.user_name.as_ref().map_or(0, |text| text.len())
        + connect.password.as_ref().map_or(0, |bytes| bytes.len())
        + properties.user_properties.byte_len()
        + properties.authentication_method.as_ref().map_or(0, |text| text.len())
        + properties.authentication_data.as_ref().map_or(0, |bytes| bytes.len())
        + will
}

#[cfg(test)]
mod tests;
