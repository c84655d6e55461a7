//! Why a peer was turned away before MQTT began, in the words of AWS's `Connection.AuthNError` log where it has one.

use std::error::Error as _;
use std::io;

use identity::CertificateId;

/// A peer that did not come in: reason, what happened, what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// AWS's reason code, or a word of ours where AWS's log has no entry.
    pub(crate) reason: &'static str,
    /// What happened.
    pub(crate) detail: String,
    /// What the operator can do about it.
    pub(crate) remedy: Option<String>,
}

impl Refusal {
    pub(crate) fn new(reason: &'static str, detail: impl Into<String>) -> Self {
        Self { reason, detail: detail.into(), remedy: None }
    }

    pub(crate) fn with_remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = Some(remedy.into());
        self
    }

    pub(crate) fn not_registered(id: &CertificateId) -> Self {
        Self::new("DEVICE_CERTIFICATE_NOT_REGISTERED", format!("certificate {id} is not registered")).with_remedy(
            "register it: aws iot register-certificate-without-ca --status ACTIVE --certificate-pem file://cert.pem",
        )
    }

    pub(crate) fn not_active(id: &CertificateId, status: &str) -> Self {
        Self::new("DEVICE_CERTIFICATE_INACTIVE", format!("certificate {id} is {status}"))
            .with_remedy(format!("aws iot update-certificate --certificate-id {id} --new-status ACTIVE"))
    }

    pub(crate) fn revoked(id: &CertificateId) -> Self {
        Self::new("DEVICE_CERTIFICATE_REVOKED", format!("certificate {id} is REVOKED")).with_remedy(
            "revocation is final: give the device a new certificate (aws iot create-keys-and-certificate)",
        )
    }

    /// AWS has no reason code of its own for it.
    pub(crate) fn outside_validity(id: &CertificateId, what: &str) -> Self {
        Self::new("DEVICE_CERTIFICATE_EXPIRED", format!("certificate {id} {what}"))
            .with_remedy("give the device a new certificate, and check the clocks of both sides")
    }

    pub(crate) fn store_failed(error: &dyn std::fmt::Display) -> Self {
        Self::new("INTERNAL_SERVER_ERROR", format!("the registry could not be read: {error}"))
            .with_remedy("see the store's own error above; devices retry by themselves")
    }

    /// The door of port 443 serves MQTT with X.509 only.
    pub(crate) fn door_not_built(offered: &str) -> Self {
        Self::new(
            "NOT_AUTHENTICATED",
            format!("the peer offered {offered}: WebSocket, HTTPS and custom authorizers are not built yet"),
        )
        .with_remedy("use the MQTT port, or offer ALPN x-amzn-mqtt-ca with a client certificate on this one")
    }

    pub(crate) fn too_slow(seconds: f64) -> Self {
        Self::new("HANDSHAKE_TIMEOUT", format!("the TLS handshake was not complete after {seconds} s"))
    }

    /// What rustls found, sorted into what an operator can act on.
    pub(crate) fn from_tls(error: &io::Error) -> Self {
        match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
            Some(fault) => Self::from_rustls(fault),
            None => Self::new("LINK_LOST", format!("the peer went away during the TLS handshake: {error}")),
        }
    }

    fn from_rustls(fault: &rustls::Error) -> Self {
        use rustls::{CertificateError, Error, PeerIncompatible};
        let text = fault.to_string();
        match fault {
            Error::InvalidMessage(_) => {
                Self::new("NOT_TLS", format!("what the peer sent is not TLS ({text})"))
                    .with_remedy("connect with TLS: this port takes no plaintext MQTT and no plain HTTP")
            }
            Error::NoCertificatesPresented => {
                Self::new("NOT_AUTHENTICATED", "the peer presented no client certificate")
                    .with_remedy("give the client its certificate and private key (mosquitto: --cert, --key)")
            }
            Error::InvalidCertificate(CertificateError::Other(other)) => {
                let found = other.source().map_or(text, ToString::to_string);
                Self::new("DEVICE_CERTIFICATE_UNSUPPORTED", found)
            }
            Error::InvalidCertificate(_) => Self::new("DEVICE_CERTIFICATE_UNSUPPORTED", text),
            Error::PeerIncompatible(PeerIncompatible::SupportedVersionsExtensionRequired)
            | Error::PeerIncompatible(PeerIncompatible::Tls12NotOffered)
            | Error::PeerIncompatible(PeerIncompatible::Tls12NotOfferedOrEnabled) => {
                Self::new("TLS_VERSION", text).with_remedy("TLS 1.2 or 1.3 is needed")
            }
            Error::AlertReceived(alert) => {
                Self::new("PEER_ALERT", format!("the peer ended the handshake with alert {alert:?}"))
                    .with_remedy(
                        "if it does not trust the server: give it this broker's CA file; check the host name",
                    )
            }
            Error::NoApplicationProtocol => Self::door_not_built("another ALPN protocol"),
            _ => Self::new("TLS_HANDSHAKE", text),
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
            refusal.remedy.unwrap(),
            format!("aws iot update-certificate --certificate-id {id} --new-status ACTIVE")
        );
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
