//! What the function gets.
//!
//! Source: developer guide, *Defining your Lambda function*. Members that do not apply are left out.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::Serialize;

use crate::presented::{HttpPart, MqttPart, Presented, TlsPart};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Event<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<&'a str>,
    signature_verified: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    protocols: Vec<&'static str>,
    #[serde(skip_serializing_if = "Data::is_empty")]
    protocol_data: Data<'a>,
    connection_metadata: Metadata<'a>,
}

#[derive(Serialize)]
struct Metadata<'a> {
    id: &'a str,
}

#[derive(Serialize)]
struct Data<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    tls: Option<Tls<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    http: Option<Http<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mqtt: Option<Mqtt<'a>>,
}

impl Data<'_> {
    fn is_empty(&self) -> bool {
        self.tls.is_none() && self.http.is_none() && self.mqtt.is_none()
    }
}

#[derive(Serialize)]
struct Tls<'a> {
    #[serde(rename = "serverName", skip_serializing_if = "Option::is_none")]
    server_name: Option<&'a str>,
    #[serde(rename = "x509CertificatePem", skip_serializing_if = "Option::is_none")]
    certificate_pem: Option<&'a str>,
    #[serde(rename = "principalId", skip_serializing_if = "Option::is_none")]
    principal_id: Option<&'a str>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Http<'a> {
    headers: BTreeMap<&'a str, String>,
    query_string: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Mqtt<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    username: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    password: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_id: Option<&'a str>,
}

/// The event for a client. `verified` is the token whose signature was verified, if the authorizer wants one.
///
/// # Errors
/// None that a client can cause: the writer's, as text.
pub fn event(presented: &Presented, verified: Option<&str>) -> Result<Bytes, String> {
    let data = Data {
        tls: presented.tls.as_ref().map(tls),
        http: presented.http.as_ref().map(http),
        mqtt: presented.mqtt.as_ref().map(mqtt),
    };
    let present = [("tls", data.tls.is_some()), ("http", data.http.is_some()), ("mqtt", data.mqtt.is_some())];
    let event = Event {
        token: verified,
        signature_verified: verified.is_some(),
        protocols: present.into_iter().filter(|(_, there)| *there).map(|(name, _)| name).collect(),
        protocol_data: data,
        connection_metadata: Metadata { id: &presented.connection_id },
    };
    serde_json::to_vec(&event).map(Bytes::from).map_err(|error| error.to_string())
}

fn tls(part: &TlsPart) -> Tls<'_> {
    Tls {
        server_name: part.server_name.as_deref(),
        certificate_pem: part.certificate_pem.as_deref(),
        principal_id: part.principal_id.as_deref(),
    }
}

/// A header that comes several times is one with commas, as HTTP says.
fn http(part: &HttpPart) -> Http<'_> {
    let mut headers: BTreeMap<&str, String> = BTreeMap::new();
    for (name, value) in &part.headers {
        let all = headers.entry(name).or_default();
        if !all.is_empty() {
            all.push_str(", ");
        }
        all.push_str(value);
    }
    Http { headers, query_string: &part.query }
}

fn mqtt(part: &MqttPart) -> Mqtt<'_> {
    Mqtt {
        username: part.username.as_deref(),
        password: part.password.as_ref().map(|password| STANDARD.encode(password)),
        client_id: part.client_id.as_deref(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(presented: &Presented, verified: Option<&str>) -> String {
        String::from_utf8(event(presented, verified).unwrap().to_vec()).unwrap()
    }

    fn everything() -> Presented {
        Presented {
            tls: Some(TlsPart {
                server_name: Some("iot.test".into()),
                certificate_pem: Some("PEM".into()),
                principal_id: Some("ab12".into()),
            }),
            http: Some(HttpPart {
                headers: vec![("b".into(), "1".into()), ("a".into(), "2".into()), ("b".into(), "3".into())],
                query: "x=%20".into(),
            }),
            mqtt: Some(MqttPart {
                username: Some("me?x=1".into()),
                password: Some(Bytes::from_static(b"\xFFp")),
                client_id: Some("c".into()),
            }),
            connection_id: "id".into(),
        }
    }

    #[test]
    fn the_whole_event_is_as_the_page_shows_it() {
        let expected = concat!(
            r#"{"token":"t","signatureVerified":true,"protocols":["tls","http","mqtt"],"protocolData":{"#,
            r#""tls":{"serverName":"iot.test","x509CertificatePem":"PEM","principalId":"ab12"},"#,
            r#""http":{"headers":{"a":"2","b":"1, 3"},"queryString":"x=%20"},"#,
            r#""mqtt":{"username":"me?x=1","password":"/3A=","clientId":"c"}},"connectionMetadata":{"id":"id"}}"#
        );
        assert_eq!(text(&everything(), Some("t")), expected);
    }

    #[test]
    fn what_does_not_apply_is_left_out() {
        let bare = Presented { connection_id: "id".into(), ..Presented::default() };
        assert_eq!(text(&bare, None), r#"{"signatureVerified":false,"connectionMetadata":{"id":"id"}}"#);
        let mqtt = Some(MqttPart { client_id: Some("c".into()), ..MqttPart::default() });
        let expected = concat!(
            r#"{"signatureVerified":false,"protocols":["mqtt"],"#,
            r#""protocolData":{"mqtt":{"clientId":"c"}},"connectionMetadata":{"id":"id"}}"#
        );
        assert_eq!(text(&Presented { mqtt, ..bare }, None), expected);
    }
}
