//! Why a peer was turned away before MQTT began, in the words of AWS's `Connection.AuthNError` log where it has one.

use std::borrow::Cow;
use std::error::Error as _;
use std::io;

use identity::CertificateId;

/// What TLS tells a peer that is turned away after its ClientHello.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Alert {
    /// The server name is not served now.
    AccessDenied,
    /// The server cannot tell.
    InternalError,
    /// What the peer speaks is not spoken here.
    NoApplicationProtocol,
}

impl Alert {
    /// [RFC 8446, 6]; [RFC 7301, 3.2].
    pub(crate) fn number(self) -> u8 {
        match self {
            Self::AccessDenied => 49,
            Self::InternalError => 80,
            Self::NoApplicationProtocol => 120,
        }
    }
}

/// A peer that did not come in: reason, what happened, what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// How the peer was to show who it is, in AWS's word.
    pub(crate) authentication: &'static str,
    /// AWS's reason code, or a word of ours where AWS's log has no entry.
    pub(crate) reason: &'static str,
    /// What happened.
    pub(crate) detail: String,
    /// What the operator can do about it.
    pub(crate) remedy: Cow<'static, str>,
    /// The certificate that the peer showed, once it is known.
    pub(crate) certificate_id: Option<CertificateId>,
    /// What TLS tells the peer, if the handshake has not begun.
    pub(crate) alert: Alert,
}

/// The certificates that devices may have.
pub(crate) const SUPPORTED: &str = "give the device an X.509 certificate with an RSA key of at least 2048 bits or an ECC key (P-256, \
     P-384, P-521), for example from aws iot create-keys-and-certificate";

impl Refusal {
    /// There is none without a remedy.
    pub(crate) fn new(
        reason: &'static str,
        detail: impl Into<String>,
        remedy: impl Into<Cow<'static, str>>,
    ) -> Self {
        let (detail, remedy) = (detail.into(), remedy.into());
        Self {
            authentication: "AWS_X509",
            reason,
            detail,
            remedy,
            certificate_id: None,
            alert: Alert::NoApplicationProtocol,
        }
    }

    fn told_by(self, alert: Alert) -> Self {
        Self { alert, ..self }
    }

    /// The same about a certificate that the peer showed.
    pub(crate) fn of(mut self, id: &CertificateId) -> Self {
        self.certificate_id = Some(id.clone());
        self
    }

    /// The same of another kind of authentication.
    pub(crate) fn by(mut self, authentication: &'static str) -> Self {
        self.authentication = authentication;
        self
    }

    pub(crate) fn no_certificate() -> Self {
        Self::new(
            "NOT_AUTHENTICATED",
            "the peer presented no client certificate",
            "give the client its certificate and private key (mosquitto: --cert, --key)",
        )
    }

    pub(crate) fn not_registered(id: &CertificateId) -> Self {
        Self::new(
            "DEVICE_CERTIFICATE_NOT_REGISTERED",
            format!("certificate {id} is not registered"),
            "register it: aws iot register-certificate-without-ca --status ACTIVE --certificate-pem file://cert.pem",
        )
    }

    /// Its CA is registered, but the first contact failed.
    pub(crate) fn not_let_in(id: &CertificateId, registered: bool, reason: &str, remedy: String) -> Self {
        let code = match registered {
            true => "DEVICE_CERTIFICATE_INACTIVE",
            false => "DEVICE_CERTIFICATE_NOT_REGISTERED",
        };
        Self::new(code, format!("certificate {id} was not let in at its first contact: {reason}"), remedy)
    }

    /// AWS has no reason code of its own for it.
    pub(crate) fn provisioned(id: &CertificateId) -> Self {
        Self::new(
            "DEVICE_CERTIFICATE_INACTIVE",
            format!("certificate {id} was just provisioned"),
            "nothing: the device connects again by itself, and is let in",
        )
    }

    pub(crate) fn not_active(id: &CertificateId, status: &str) -> Self {
        Self::new(
            "DEVICE_CERTIFICATE_INACTIVE",
            format!("certificate {id} is {status}"),
            format!("aws iot update-certificate --certificate-id {id} --new-status ACTIVE"),
        )
    }

    pub(crate) fn revoked(id: &CertificateId) -> Self {
        Self::new(
            "DEVICE_CERTIFICATE_REVOKED",
            format!("certificate {id} is REVOKED"),
            "revocation is final: give the device a new certificate (aws iot create-keys-and-certificate)",
        )
    }

    /// AWS has no reason code of its own for it.
    pub(crate) fn outside_validity(id: &CertificateId, what: &str) -> Self {
        Self::new(
            "DEVICE_CERTIFICATE_EXPIRED",
            format!("certificate {id} {what}"),
            "give the device a new certificate, and check the clocks of both sides",
        )
    }

    pub(crate) fn store_failed(error: &dyn std::fmt::Display) -> Self {
        Self::new(
            "INTERNAL_SERVER_ERROR",
            format!("the registry could not be read: {error}"),
            "see the store's own error above; devices retry by themselves",
        )
        .told_by(Alert::InternalError)
    }

    /// A protocol that AWS's port 443 does not know.
    pub(crate) fn unknown_alpn(offered: &str) -> Self {
        Self::new(
            "NOT_AUTHENTICATED",
            format!("the peer offered only unknown ALPN protocols: {offered}"),
            "offer x-amzn-mqtt-ca (MQTT with a client certificate), mqtt (MQTT with a custom authorizer), \
             x-amzn-http-ca (HTTPS with a client certificate), or none (WebSocket and HTTPS)",
        )
    }

    /// The endpoint's applicationProtocol is not spoken on this port.
    pub(crate) fn wrong_port_for(protocol: &str) -> Self {
        Self::new(
            "PROTOCOL_MISMATCH",
            format!("the domain configuration's applicationProtocol {protocol} is not spoken on this port"),
            "SECURE_MQTT is on 8883 and 443, MQTT_WSS on 443, HTTPS on 443 and 8443",
        )
    }

    /// A domain configuration that nobody can use as it came.
    pub(crate) fn impossible_endpoint() -> Self {
        Self::new(
            "DOMAIN_CONFIGURATION_INVALID",
            "the domain configuration's authenticationType does not fit the protocol that the peer speaks",
            "client certificates go with SECURE_MQTT and HTTPS, AWS_SIGV4 with MQTT_WSS and HTTPS",
        )
    }

    /// The domain configuration is switched off.
    pub(crate) fn disabled_domain(name: &str) -> Self {
        Self::new(
            "DOMAIN_CONFIGURATION_DISABLED",
            format!("the domain configuration of {name} is DISABLED"),
            "aws iot update-domain-configuration --domain-configuration-status ENABLED --domain-configuration-name ...",
        )
        .told_by(Alert::AccessDenied)
    }

    /// The domain configuration is another than at the handshake.
    pub(crate) fn endpoint_changed(name: &str) -> Self {
        Self::new(
            "DOMAIN_CONFIGURATION_CHANGED",
            format!("the domain configuration of {name} was changed after the TLS handshake"),
            "nothing: the client connects again by itself, on the new terms",
        )
    }

    /// The certificate in service for an endpoint cannot be used.
    pub(crate) fn unusable_certificate(name: &str, why: &dyn std::fmt::Display) -> Self {
        Self::new(
            "DOMAIN_CONFIGURATION_INVALID",
            format!("the endpoint {name}: {why}"),
            "import a server certificate that fits its key and covers the name",
        )
        .told_by(Alert::InternalError)
    }

    /// The domain's function does not want the certificate.
    pub(crate) fn callback_refused(arn: &str, why: &str) -> Self {
        let detail = format!("clientCertificateCallbackArn {arn}: {why}");
        Self::new(
            "NOT_AUTHENTICATED",
            detail,
            "look at the function of the domain's clientCertificateConfig: it must answer isAuthenticated true",
        )
    }

    /// A certificate without account needs the account's endpoint as server name.
    pub(crate) fn server_name_needed(id: &CertificateId) -> Self {
        Self::new(
            "SNI_MISUSED",
            format!(
                "certificate {id} was registered without its CA's proof (SNI_ONLY), and the peer asked for no endpoint of this server"
            ),
            "connect by a name of the server certificate (SNI), not by an address; see --server-name",
        )
    }

    /// The endpoint is not for MQTT over WebSocket.
    pub(crate) fn no_websocket_here() -> Self {
        Self::new(
            "PROTOCOL_MISMATCH",
            "a WebSocket was asked for where there are none",
            "MQTT over WebSocket is on port 443 without a client certificate: sign the request, or use a custom authorizer",
        )
    }

    /// A page of elsewhere could have sent it, and the server's access key is public.
    pub(crate) fn foreign_page(why: &str) -> Self {
        Self::new(
            "NOT_AUTHENTICATED",
            format!("the WebSocket was asked for {why}, and the server runs with --dev"),
            "connect to localhost or a loopback address, or run without --dev, whose access key is public",
        )
        .by("AWS_SIGV4")
    }

    /// Nothing says who it is.
    pub(crate) fn no_credential() -> Self {
        Self::new(
            "NOT_AUTHENTICATED",
            "the request has no signature, and its endpoint takes nothing else",
            "sign it with Signature Version 4 (service iotdevicegateway)",
        )
        .by("AWS_SIGV4")
    }

    /// What came is no HTTP/1.1. The library has answered as far as it could.
    pub(crate) fn not_http(error: &dyn std::fmt::Display) -> Self {
        Self::new(
            "PROTOCOL_MISMATCH",
            format!("what the peer sent is no HTTP/1.1 request: {error}"),
            "for MQTT on port 443 offer ALPN x-amzn-mqtt-ca (client certificate) or mqtt (custom authorizer), or use \
             port 8883; without them the port speaks HTTP and WebSocket",
        )
    }

    /// The peer speaks another protocol than its ALPN said.
    pub(crate) fn wrong_speech(detail: impl Into<String>) -> Self {
        Self::new(
            "PROTOCOL_MISMATCH",
            detail,
            "speak what the port and the ALPN say: MQTT, MQTT over WebSocket (GET /mqtt, subprotocol mqtt) or HTTPS",
        )
    }

    pub(crate) fn too_slow(seconds: f64) -> Self {
        Self::new(
            "HANDSHAKE_TIMEOUT",
            format!("the TLS handshake was not complete after {seconds} s"),
            "connect with TLS at once; on very slow links raise limits.handshake_seconds",
        )
    }

    /// What rustls found, sorted into what an operator can act on.
    pub(crate) fn from_tls(error: &io::Error) -> Self {
        match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
            Some(fault) => Self::from_rustls(fault),
            None => Self::new(
                "LINK_LOST",
                format!("the peer went away during the TLS handshake: {error}"),
                "look at the client: it gave up, often because it does not trust the server (give it this broker's CA file) or \
                 asks for another host name than the certificate has",
            ),
        }
    }

    fn from_rustls(fault: &rustls::Error) -> Self {
        use rustls::{CertificateError, Error, PeerIncompatible};
        let text = fault.to_string();
        match fault {
            Error::InvalidMessage(_) => Self::new(
                "NOT_TLS",
                format!("what the peer sent is not TLS ({text})"),
                "connect with TLS: this port takes no plaintext MQTT and no plain HTTP",
            ),
            Error::NoCertificatesPresented => Self::no_certificate(),
            Error::InvalidCertificate(CertificateError::Other(other)) => {
                let found = other.source().map_or(text, ToString::to_string);
                Self::new("DEVICE_CERTIFICATE_UNSUPPORTED", found, SUPPORTED)
            }
            Error::InvalidCertificate(_) => Self::new("DEVICE_CERTIFICATE_UNSUPPORTED", text, SUPPORTED),
            Error::PeerIncompatible(PeerIncompatible::SupportedVersionsExtensionRequired)
            | Error::PeerIncompatible(PeerIncompatible::Tls12NotOffered)
            | Error::PeerIncompatible(PeerIncompatible::Tls12NotOfferedOrEnabled) => {
                Self::new("TLS_VERSION", text, "TLS 1.2 or 1.3 is needed")
            }
            Error::AlertReceived(alert) => Self::new(
                "PEER_ALERT",
                format!("the peer ended the handshake with alert {alert:?}"),
                "if it does not trust the server: give it this broker's CA file; check the host name",
            ),
            Error::NoApplicationProtocol => Self::unknown_alpn("others"),
            _ => Self::new(
                "TLS_HANDSHAKE",
                text,
                "use a TLS library with TLS 1.2 or 1.3 and the usual suites; the details name what did not fit",
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_that_may_not_enter_names_the_way_in() {
        let id = CertificateId::new(&"ab".repeat(32)).unwrap();
        let refusal = Refusal::not_active(&id, "INACTIVE");
        assert_eq!(refusal.reason, "DEVICE_CERTIFICATE_INACTIVE");
        assert_eq!(
            refusal.remedy,
            format!("aws iot update-certificate --certificate-id {id} --new-status ACTIVE")
        );
    }

    #[test]
    fn the_alert_says_whose_fault_it_is() {
        assert_eq!(Refusal::disabled_domain("a").alert.number(), 49);
        assert_eq!(Refusal::store_failed(&"x").alert.number(), 80);
        assert_eq!(Refusal::unusable_certificate("a", &"x").alert.number(), 80);
        assert_eq!(Refusal::unknown_alpn("h2").alert.number(), 120);
        assert_eq!(Refusal::wrong_port_for("HTTPS").alert.number(), 120);
    }

    #[test]
    fn plaintext_on_a_tls_port_is_called_by_its_name() {
        let error = rustls::Error::InvalidMessage(rustls::InvalidMessage::InvalidContentType);
        let refusal = Refusal::from_tls(&io::Error::new(io::ErrorKind::InvalidData, error));
        assert_eq!(refusal.reason, "NOT_TLS");
    }

    #[test]
    fn a_lost_link_is_not_a_protocol_fault() {
        let refusal = Refusal::from_tls(&io::ErrorKind::ConnectionReset.into());
        assert_eq!(refusal.reason, "LINK_LOST");
    }
}
