//! An event as it is told to programs and shown to people.

use events::{Event, Origin};
use identity::Timestamp;
use serde::{Deserialize, Serialize};

/// An event in words. Empty fields are left out.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct EventView {
    /// Seconds since 1970, with fractions, as AWS writes times in JSON.
    pub at: f64,
    /// The stable name, for example `publish.denied`.
    pub event: String,
    /// `DEBUG`, `INFO`, `WARN` or `ERROR`.
    pub level: String,
    /// Whether somebody did not get what was wanted.
    pub failure: bool,
    /// Whose client id.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub client_id: String,
    /// Certificate id, access key or name.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub principal: String,
    /// The address of the other end, with port.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub peer: String,
    /// `MQTT` or `HTTP`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub protocol: String,
    /// Topic or filter.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub topic: String,
    /// `reason` of AWS's log entry.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// The row of the table of refusals.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub fault: String,
    /// `disconnectReason` of AWS's event.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub disconnect_reason: String,
    /// The trace id that the client was told.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub trace_id: String,
    /// The sentence.
    pub says: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub remedy: String,
}

impl EventView {
    /// Puts an event into words.
    pub fn of(at: Timestamp, event: &Event<'_>) -> Self {
        let kind = event.kind();
        let origin = event.origin().or_else(|| event.client().map(Origin::Client));
        let principal = origin.and_then(|origin| origin.principal().map(|who| who.identifier().to_owned()));
        let peer = origin.and_then(|origin| origin.peer());
        let ending = match event {
            Event::Disconnected(e) => e.reason.as_str(),
            _ => "",
        };
        Self {
            at: at.seconds(),
            event: kind.name().to_owned(),
            level: kind.level().as_str().to_owned(),
            failure: event.is_failure(),
            client_id: event.client_id().to_owned(),
            principal: principal.or_else(|| own_principal(event)).unwrap_or_default(),
            peer: peer.or_else(|| own_peer(event)).map(|peer| peer.to_string()).unwrap_or_default(),
            protocol: origin.map(|origin| origin.protocol().to_owned()).unwrap_or_default(),
            topic: event.topic().unwrap_or_default().to_owned(),
            reason: event.log_reason().or_else(|| api_error(event)).unwrap_or_default().to_owned(),
            fault: event.fault().map(|fault| fault.name().to_owned()).unwrap_or_default(),
            disconnect_reason: ending.to_owned(),
            trace_id: event.trace().unwrap_or_default().to_owned(),
            says: event.to_string(),
            remedy: event.remedy().map(|remedy| remedy.to_string()).unwrap_or_default(),
        }
    }
}

fn own_principal(event: &Event<'_>) -> Option<String> {
    let text = match event {
        Event::HandshakeFailed(e) => e.certificate_id?,
        Event::PolicyReloaded(e) => e.principal.identifier(),
        Event::CertificateDeactivated(e) => e.principal.identifier(),
        Event::CredentialRevoked(e) => e.principal.identifier(),
        Event::CertificateRegistered(e) => e.certificate_id,
        Event::CertificateNotRegistered(e) => e.certificate_id,
        Event::DeviceProvisioned(e) => e.certificate_id,
        Event::ProvisioningFailed(e) => e.certificate_id,
        Event::ApiCall(e) => e.access_key,
        Event::ApiRefused(e) => e.access_key,
        _ => return None,
    };
    Some(text.to_owned())
}

fn own_peer(event: &Event<'_>) -> Option<std::net::SocketAddr> {
    match event {
        Event::HandshakeFailed(e) => Some(e.peer),
        Event::ConnectionRefusedLimit(e) => Some(e.peer),
        Event::ApiRefused(e) => Some(e.peer),
        _ => None,
    }
}

fn api_error<'a>(event: &Event<'a>) -> Option<&'a str> {
    match event {
        Event::ApiRefused(e) => Some(e.error),
        _ => None,
    }
}
