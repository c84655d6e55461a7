//! Which way leads in: what a ClientHello, the door it came to and the endpoint it asked for decide together.
//!
//! Sources: developer guide, *Device communication protocols* (port, ALPN and authentication of the default endpoints),
//! *Configurable endpoints* (authentication type and application protocol of a domain configuration).

use registry::domain_configurations::{ApplicationProtocol, AuthenticationType};

use crate::refusal::Refusal;

/// ALPN protocol of MQTT with an X.509 client certificate.
pub(crate) const ALPN_MQTT_X509: &[u8] = b"x-amzn-mqtt-ca";
/// ALPN protocol of HTTPS with an X.509 client certificate.
pub(crate) const ALPN_HTTP_X509: &[u8] = b"x-amzn-http-ca";
/// ALPN protocol of MQTT with a custom authorizer.
pub(crate) const ALPN_MQTT_CUSTOM: &[u8] = b"mqtt";
/// ALPN protocol of everything that is plain HTTP/1.1, WebSocket among it.
pub(crate) const ALPN_HTTP: &[u8] = b"http/1.1";

/// A TLS port of AWS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Port {
    /// 8883.
    Mqtt,
    /// 443.
    Shared,
    /// 8443.
    Https,
}

/// What is spoken after the handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Speech {
    /// MQTT.
    Mqtt,
    /// MQTT, or MQTT over WebSocket: the first byte tells.
    MqttOrWebSocket,
    /// HTTP/1.1: requests, or the upgrade to a WebSocket, as far as they are admitted.
    Http {
        /// HTTPS requests.
        requests: bool,
        /// The upgrade to MQTT over WebSocket.
        websocket: bool,
    },
}

/// By what a peer shows who it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Authentication {
    /// A registered client certificate.
    X509,
    /// A registered client certificate, and a custom authorizer that agrees.
    CustomX509,
    /// A custom authorizer.
    Custom,
    /// A signature.
    SigV4,
    /// A signature, or without one a custom authorizer.
    SigV4OrCustom,
}

impl Authentication {
    /// Whether TLS asks for a client certificate, and does without none.
    pub(crate) fn takes_certificate(self) -> bool {
        matches!(self, Self::X509 | Self::CustomX509)
    }

    /// Whether a signature counts.
    pub(crate) fn takes_signature(self) -> bool {
        matches!(self, Self::SigV4 | Self::SigV4OrCustom)
    }

    /// Whether a custom authorizer may be asked.
    pub(crate) fn takes_authorizer(self) -> bool {
        matches!(self, Self::Custom | Self::CustomX509 | Self::SigV4OrCustom)
    }
}

/// A way in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Way {
    pub(crate) speech: Speech,
    pub(crate) authentication: Authentication,
    /// The ALPN protocol that is confirmed.
    pub(crate) alpn: Option<&'static [u8]>,
}

/// The way for a peer that came to `port`, offers `offered` and asked for an endpoint of these settings.
pub(crate) fn choose(
    port: Port,
    offered: &[&[u8]],
    authentication: AuthenticationType,
    protocol: ApplicationProtocol,
) -> Result<Way, Refusal> {
    let way = match protocol {
        ApplicationProtocol::Default => by_port(port, offered)?,
        explicit => by_protocol(port, offered, explicit)?,
    };
    restrict(way, authentication)
}

/// The matrix of the default endpoints.
fn by_port(port: Port, offered: &[&[u8]]) -> Result<Way, Refusal> {
    let offers = |name: &[u8]| offered.contains(&name);
    let way = |speech, authentication, alpn| Ok(Way { speech, authentication, alpn });
    let requests = Speech::Http { requests: true, websocket: false };
    let both = Speech::Http { requests: true, websocket: true };
    match port {
        Port::Mqtt => {
            let alpn = offers(ALPN_MQTT_X509).then_some(ALPN_MQTT_X509);
            way(Speech::Mqtt, Authentication::X509, alpn)
        }
        Port::Https => way(requests, Authentication::X509, http_alpn(offered)),
        Port::Shared if offers(ALPN_MQTT_X509) => {
            way(Speech::Mqtt, Authentication::X509, Some(ALPN_MQTT_X509))
        }
        Port::Shared if offers(ALPN_HTTP_X509) => way(requests, Authentication::X509, Some(ALPN_HTTP_X509)),
        Port::Shared if offers(ALPN_MQTT_CUSTOM) => {
            way(Speech::MqttOrWebSocket, Authentication::Custom, Some(ALPN_MQTT_CUSTOM))
        }
        Port::Shared if offered.is_empty() || offers(ALPN_HTTP) => {
            way(both, Authentication::SigV4OrCustom, http_alpn(offered))
        }
        Port::Shared => Err(Refusal::unknown_alpn(&offer_text(offered))),
    }
}

/// An endpoint that is for one protocol needs no ALPN, and takes no other protocol. An offer that it does not know is left
/// unconfirmed, and the peer goes on (developer guide, *Configurable endpoints*: the dependency on ALPN is removed).
fn by_protocol(port: Port, offered: &[&[u8]], protocol: ApplicationProtocol) -> Result<Way, Refusal> {
    let (speech, authentication, ports): (_, _, &[Port]) = match protocol {
        ApplicationProtocol::SecureMqtt if offered.contains(&ALPN_MQTT_CUSTOM) => {
            (Speech::Mqtt, Authentication::Custom, &[Port::Mqtt, Port::Shared])
        }
        ApplicationProtocol::SecureMqtt => (Speech::Mqtt, Authentication::X509, &[Port::Mqtt, Port::Shared]),
        ApplicationProtocol::MqttWss => {
            let websocket = Speech::Http { requests: false, websocket: true };
            (websocket, Authentication::SigV4OrCustom, &[Port::Shared])
        }
        ApplicationProtocol::Https | ApplicationProtocol::Default => {
            let requests = Speech::Http { requests: true, websocket: false };
            let by_certificate = port == Port::Https || offered.contains(&ALPN_HTTP_X509);
            let authentication =
                if by_certificate { Authentication::X509 } else { Authentication::SigV4OrCustom };
            (requests, authentication, &[Port::Shared, Port::Https])
        }
    };
    if !ports.contains(&port) {
        return Err(Refusal::wrong_port_for(protocol.as_str()));
    }
    let alpn = match speech {
        Speech::Mqtt | Speech::MqttOrWebSocket => {
            [ALPN_MQTT_X509, ALPN_MQTT_CUSTOM].into_iter().find(|name| offered.contains(name))
        }
        Speech::Http { .. } if offered.contains(&ALPN_HTTP_X509) => Some(ALPN_HTTP_X509),
        Speech::Http { .. } => http_alpn(offered),
    };
    Ok(Way { speech, authentication, alpn })
}

/// Holds the way to the authentication that the endpoint is for.
fn restrict(way: Way, authentication: AuthenticationType) -> Result<Way, Refusal> {
    let is_websocket = matches!(way.speech, Speech::Http { requests: false, .. });
    let authentication = match authentication {
        AuthenticationType::Default => return Ok(way),
        AuthenticationType::AwsX509 => Authentication::X509,
        AuthenticationType::CustomAuthX509 => Authentication::CustomX509,
        AuthenticationType::CustomAuth => Authentication::Custom,
        AuthenticationType::AwsSigv4 => Authentication::SigV4,
    };
    let speech = match way.speech {
        // A client certificate authenticates no WebSocket.
        Speech::Http { requests: true, .. } if authentication.takes_certificate() => {
            Speech::Http { requests: true, websocket: false }
        }
        Speech::Http { .. } if is_websocket && authentication.takes_certificate() => {
            return Err(Refusal::impossible_endpoint());
        }
        Speech::Mqtt | Speech::MqttOrWebSocket if authentication == Authentication::SigV4 => {
            return Err(Refusal::impossible_endpoint());
        }
        Speech::MqttOrWebSocket if authentication.takes_certificate() => Speech::Mqtt,
        other => other,
    };
    Ok(Way { speech, authentication, ..way })
}

fn http_alpn(offered: &[&[u8]]) -> Option<&'static [u8]> {
    offered.contains(&ALPN_HTTP).then_some(ALPN_HTTP)
}

fn offer_text(offered: &[&[u8]]) -> String {
    const SHOWN: usize = 5;
    let names: Vec<_> = offered.iter().take(SHOWN).map(|name| name.escape_ascii().to_string()).collect();
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    const REQUESTS: Speech = Speech::Http { requests: true, websocket: false };
    const BOTH: Speech = Speech::Http { requests: true, websocket: true };

    fn default(port: Port, offered: &[&[u8]]) -> Option<(Speech, Authentication)> {
        let way = choose(port, offered, AuthenticationType::Default, ApplicationProtocol::Default).ok()?;
        assert!(way.alpn.is_none_or(|alpn| offered.contains(&alpn)), "only what was offered is confirmed");
        Some((way.speech, way.authentication))
    }

    #[test]
    fn the_default_endpoints_have_the_matrix_of_the_documentation() {
        use Authentication::{Custom, SigV4OrCustom, X509};
        assert_eq!(default(Port::Mqtt, &[]), Some((Speech::Mqtt, X509)));
        assert_eq!(default(Port::Mqtt, &[b"anything"]), Some((Speech::Mqtt, X509)));
        assert_eq!(default(Port::Shared, &[ALPN_MQTT_X509]), Some((Speech::Mqtt, X509)));
        assert_eq!(default(Port::Shared, &[b"h2", ALPN_HTTP_X509]), Some((REQUESTS, X509)));
        assert_eq!(default(Port::Shared, &[b"mqtt"]), Some((Speech::MqttOrWebSocket, Custom)));
        assert_eq!(default(Port::Shared, &[]), Some((BOTH, SigV4OrCustom)));
        assert_eq!(default(Port::Shared, &[b"h2", b"http/1.1"]), Some((BOTH, SigV4OrCustom)));
        assert_eq!(default(Port::Https, &[]), Some((REQUESTS, X509)));
        assert_eq!(default(Port::Https, &[b"h2", b"http/1.1"]), Some((REQUESTS, X509)));
        for unknown in [b"h2".as_slice(), b"", b"MQTT", b"x-amzn-mqtt-ca2"] {
            assert_eq!(default(Port::Shared, &[unknown]), None, "{}", unknown.escape_ascii());
        }
    }

    #[test]
    fn an_endpoint_for_one_protocol_needs_no_alpn_and_takes_no_other() {
        use ApplicationProtocol::{Https, MqttWss, SecureMqtt};
        use AuthenticationType::{AwsSigv4, AwsX509, CustomAuth, CustomAuthX509};
        let websocket = Speech::Http { requests: false, websocket: true };
        for (port, authentication, protocol, speech) in [
            (Port::Shared, AwsX509, SecureMqtt, Speech::Mqtt),
            (Port::Mqtt, AwsX509, SecureMqtt, Speech::Mqtt),
            (Port::Shared, CustomAuthX509, SecureMqtt, Speech::Mqtt),
            (Port::Shared, CustomAuth, SecureMqtt, Speech::Mqtt),
            (Port::Shared, AwsSigv4, MqttWss, websocket),
            (Port::Shared, CustomAuth, MqttWss, websocket),
            (Port::Shared, AwsX509, Https, REQUESTS),
            (Port::Https, CustomAuthX509, Https, REQUESTS),
            (Port::Shared, AwsSigv4, Https, REQUESTS),
            (Port::Shared, CustomAuth, Https, REQUESTS),
        ] {
            let way = choose(port, &[], authentication, protocol).unwrap();
            assert_eq!((way.speech, way.alpn), (speech, None), "{authentication:?} {protocol:?}");
            assert_eq!(
                way.authentication.takes_certificate(),
                matches!(authentication, AwsX509 | CustomAuthX509)
            );
        }
        for (port, authentication, protocol) in [
            (Port::Https, AwsX509, SecureMqtt),
            (Port::Mqtt, AwsSigv4, MqttWss),
            (Port::Mqtt, AwsX509, Https),
            (Port::Shared, AwsX509, MqttWss),
            (Port::Shared, AwsSigv4, SecureMqtt),
        ] {
            assert!(choose(port, &[], authentication, protocol).is_err(), "{authentication:?} {protocol:?}");
        }
    }

    #[test]
    fn an_endpoint_for_one_protocol_takes_any_offer() {
        use ApplicationProtocol::{Https, MqttWss, SecureMqtt};
        use AuthenticationType::{AwsSigv4, AwsX509, CustomAuth};
        let websocket = Speech::Http { requests: false, websocket: true };
        for (authentication, protocol, offer, speech) in [
            (AwsSigv4, MqttWss, b"mqtt".as_slice(), websocket),
            (CustomAuth, MqttWss, b"h2", websocket),
            (AwsSigv4, Https, b"h2", REQUESTS),
            (CustomAuth, Https, b"mqtt", REQUESTS),
            (AwsX509, SecureMqtt, b"http/1.1", Speech::Mqtt),
            (CustomAuth, SecureMqtt, b"h2", Speech::Mqtt),
        ] {
            let way = choose(Port::Shared, &[offer], authentication, protocol).unwrap();
            assert_eq!((way.speech, way.alpn), (speech, None), "{authentication:?} {protocol:?}");
        }
    }

    #[test]
    fn an_endpoint_for_one_authentication_leaves_the_protocol_to_port_and_alpn() {
        let chosen = |port, offered: &[&[u8]], authentication| {
            choose(port, offered, authentication, ApplicationProtocol::Default).map(|way| way.speech).ok()
        };
        assert_eq!(chosen(Port::Shared, &[], AuthenticationType::AwsX509), Some(REQUESTS));
        assert_eq!(chosen(Port::Mqtt, &[], AuthenticationType::CustomAuth), Some(Speech::Mqtt));
        assert_eq!(chosen(Port::Mqtt, &[], AuthenticationType::AwsSigv4), None);
    }

    #[test]
    fn the_offer_is_shown_safely_and_briefly() {
        assert_eq!(offer_text(&[b"mqtt".as_slice(), b"h2\n"]), "mqtt, h2\\n");
        assert_eq!(offer_text(&[b"a".as_slice(); 9]), "a, a, a, a, a");
    }
}
