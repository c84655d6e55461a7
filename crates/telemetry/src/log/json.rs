//! Lines for machines: the fields of AWS's log entries, and `event`, `remedy` beside them.
//!
//! Source: developer guide, *CloudWatch Logs AWS IoT log entries*.

use events::{Client, Event, Level, Origin};
use identity::Timestamp;
use serde_json::{Map, Value, json};

use super::levels::level;

/// One entry.
pub(super) fn line(at: Timestamp, event: &Event<'_>, account: &str, trace: &str) -> String {
    let mut entry = start(at, level(event).as_str(), account);
    put(&mut entry, "traceId", trace);
    put(&mut entry, "status", if event.is_failure() { "Failure" } else { "Success" });
    let kind = event.kind();
    put(&mut entry, "eventType", event.log_type().map_or(kind.name(), |log| log.as_str()));
    who(&mut entry, event);
    what(&mut entry, event);
    if event.is_failure() {
        put(&mut entry, "reason", event.log_reason().unwrap_or("FAILURE"));
        if let Some(remedy) = event.remedy() {
            put(&mut entry, "remedy", &remedy.to_string());
        }
    }
    put(&mut entry, "details", &event.to_string());
    put(&mut entry, "event", kind.name());
    finish(entry)
}

/// An entry about the log itself.
pub(super) fn remark(at: Timestamp, text: &str, account: &str) -> String {
    let mut entry = start(at, Level::Warn.as_str(), account);
    put(&mut entry, "status", "Success");
    put(&mut entry, "eventType", "log.summary");
    put(&mut entry, "details", text);
    put(&mut entry, "event", "log.summary");
    finish(entry)
}

fn start(at: Timestamp, level: &str, account: &str) -> Map<String, Value> {
    let mut entry = Map::new();
    let time = super::utc(at).strftime("%Y-%m-%d %H:%M:%S%.3f").to_string();
    put(&mut entry, "timestamp", &time);
    put(&mut entry, "logLevel", level);
    put(&mut entry, "accountId", account);
    entry
}

fn finish(entry: Map<String, Value>) -> String {
    let mut line = Value::Object(entry).to_string();
    line.push('\n');
    line
}

fn put(entry: &mut Map<String, Value>, key: &str, value: &str) {
    entry.insert(key.to_owned(), Value::from(value));
}

fn who(entry: &mut Map<String, Value>, event: &Event<'_>) {
    let origin = event.origin().or_else(|| event.client().map(Origin::Client));
    if let Some(origin) = origin {
        put(entry, "protocol", origin.protocol());
        if let Some(principal) = origin.principal() {
            put(entry, "principalId", principal.identifier());
        }
        if let Some(peer) = origin.peer() {
            put(entry, "sourceIp", &peer.ip().to_string());
            entry.insert("sourcePort".into(), json!(peer.port()));
        }
    }
    if !event.client_id().is_empty() {
        put(entry, "clientId", event.client_id());
    }
    if let Some(topic) = event.topic() {
        put(entry, "topicName", topic);
    }
}

fn certificate(entry: &mut Map<String, Value>, id: &str, ca: &str) {
    for (name, value) in [("certificateId", id), ("caCertificateId", ca)] {
        if !value.is_empty() {
            put(entry, name, value);
        }
    }
}

fn what(entry: &mut Map<String, Value>, event: &Event<'_>) {
    match event {
        Event::HandshakeFailed(e) => handshake(entry, e),
        Event::Connected(e) => {
            if !e.thing_name.is_empty() {
                put(entry, "thingName", e.thing_name);
            }
            entry.insert("keepAliveDuration".into(), json!(e.keep_alive));
            entry.insert("sessionExpiry".into(), json!(e.session_expiry));
            entry.insert("cleanSession".into(), json!(e.clean));
        }
        Event::Disconnected(e) => put(entry, "disconnectReason", e.reason.as_str()),
        Event::PublishIn(e) if e.retain => put(entry, "retain", "True"),
        Event::Queued(_) => put(entry, "qos", "1"),
        Event::Subscribed(e) => subscription(entry, &e.client, e.filter, e.qos as u8),
        Event::SubscribeDenied(e) => subscription(entry, &e.client, e.filter, 0x87),
        Event::SubscribeRefused(e) => {
            let code = e.fault.answer(mqtt::Version::V5).code().map_or(0x80, |code| code as u8);
            subscription(entry, &e.client, e.filter, code);
        }
        Event::DivergenceObserved(e) => {
            put(entry, "divergence", e.divergence.id());
            put(entry, "standard", e.divergence.row().standard);
        }
        Event::CertificateRegistered(e) => certificate(entry, e.certificate_id, e.ca_certificate_id),
        Event::CertificateNotRegistered(e) => certificate(entry, e.certificate_id, ""),
        Event::DeviceProvisioned(e) => certificate(entry, e.certificate_id, e.ca_certificate_id),
        Event::ProvisioningFailed(e) => certificate(entry, e.certificate_id, e.ca_certificate_id),
        Event::ApiCall(e) => put(entry, "operation", e.operation),
        Event::DeviceCall(e) => {
            put(entry, "protocol", "HTTP");
            e.asked.iter().for_each(|(name, value)| put(entry, name, value));
            put(entry, "principalId", e.caller);
            put(entry, "sourceIp", &e.peer.ip().to_string());
            entry.insert("sourcePort".into(), json!(e.peer.port()));
        }
        Event::ApiRefused(e) => {
            put(entry, "operation", e.operation);
            put(entry, "sourceIp", &e.peer.ip().to_string());
            entry.insert("sourcePort".into(), json!(e.peer.port()));
        }
        _ => {}
    }
}

fn handshake(entry: &mut Map<String, Value>, e: &events::HandshakeFailed<'_>) {
    put(entry, "authenticationType", e.authentication);
    put(entry, "sourceIp", &e.peer.ip().to_string());
    entry.insert("sourcePort".into(), json!(e.peer.port()));
    if let Some(local) = e.local {
        put(entry, "targetIp", &local.ip().to_string());
        entry.insert("targetPort".into(), json!(local.port()));
    }
    if let Some(id) = e.certificate_id {
        put(entry, "certificateId", id);
    }
    if let Some(name) = e.server_name {
        put(entry, "serverNameIndication", name);
    }
}

/// MQTT 5 adds the code of each filter.
fn subscription(entry: &mut Map<String, Value>, client: &Client<'_>, filter: &str, code: u8) {
    if client.version == Some(mqtt::Version::V5) {
        entry.insert("subscriptions".into(), json!([{ "topicName": filter, "reasonCode": code }]));
    }
}
