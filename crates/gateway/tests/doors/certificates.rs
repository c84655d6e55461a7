//! Who may come in by TLS, and what is said of who may not.

use std::sync::Arc;

use crate::house::{ALLOW_ALL, AnyServer, Device, House, connect_packet};
use events::Kind;
use mqtt::{Packet, ReasonCode, Version};
use registry::CertificateStatus;
use rustls::version::{TLS12, TLS13};
use rustls::{DEFAULT_VERSIONS, SupportedProtocolVersion};
use thingcore_gateway::Limits;
use tokio_rustls::TlsConnector;

async fn comes_in(house: &House, device: &Device, versions: &[&'static SupportedProtocolVersion]) {
    let answer = house.connect(house.mqtt, Some(device), &[], versions).await;
    let Some(Packet::ConnAck(connack)) = &answer else {
        panic!("{answer:?}; events: {:?}", house.recorder.seen())
    };
    assert_eq!(connack.code, ReasonCode::Success);
}

/// Closed without CONNACK, and the one event says so.
async fn is_refused(house: &House, device: &Device) -> String {
    let answer = house.connect(house.mqtt, Some(device), &[], DEFAULT_VERSIONS).await;
    assert!(answer.is_none(), "{answer:?}");
    house.told(Kind::HandshakeFailed).await.remove(0)
}

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_of_registered_certificate_comes_in_by_both_versions_of_tls() {
    let house = House::open(Limits::default()).await;
    let devices = [
        Device::new(&rcgen::PKCS_ECDSA_P256_SHA256),
        Device::new(&rcgen::PKCS_ECDSA_P384_SHA384),
        Device::new(&rcgen::PKCS_ECDSA_P521_SHA512),
        Device::of_unknown_ca(),
        Device::version_one(),
    ];
    for device in &devices {
        house.register(device, CertificateStatus::Active).await;
        comes_in(&house, device, &[&TLS12]).await;
        comes_in(&house, device, &[&TLS13]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unregistered_certificate_has_its_own_reason() {
    let house = House::open(Limits::default()).await;
    let text = is_refused(&house, &Device::new(&rcgen::PKCS_ECDSA_P256_SHA256)).await;
    assert!(text.contains("DEVICE_CERTIFICATE_NOT_REGISTERED"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn inactive_and_revoked_certificates_have_their_own_reasons() {
    for (status, reason) in [
        (CertificateStatus::Inactive, "DEVICE_CERTIFICATE_INACTIVE"),
        (CertificateStatus::PendingActivation, "DEVICE_CERTIFICATE_INACTIVE"),
        (CertificateStatus::Revoked, "DEVICE_CERTIFICATE_REVOKED"),
    ] {
        let house = House::open(Limits::default()).await;
        let device = Device::new(&rcgen::PKCS_ECDSA_P256_SHA256);
        house.register(&device, status).await;
        let text = is_refused(&house, &device).await;
        assert!(text.contains(reason), "{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_status_that_changes_counts_for_the_next_connection() {
    let house = House::open(Limits::default()).await;
    let device = Device::new(&rcgen::PKCS_ECDSA_P256_SHA256);
    house.register(&device, CertificateStatus::Active).await;
    comes_in(&house, &device, DEFAULT_VERSIONS).await;
    house.register(&device, CertificateStatus::Inactive).await;
    let text = is_refused(&house, &device).await;
    assert!(text.contains("DEVICE_CERTIFICATE_INACTIVE"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn certificates_outside_their_validity_are_refused() {
    for (from, until, word) in
        [((2020, 1, 1), (2021, 1, 1), "expired"), ((2090, 1, 1), (2091, 1, 1), "not valid yet")]
    {
        let house = House::open(Limits::default()).await;
        let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
        let device = Device::with_key(key, |params| {
            params.not_before = rcgen::date_time_ymd(from.0, from.1, from.2);
            params.not_after = rcgen::date_time_ymd(until.0, until.1, until.2);
        });
        house.register(&device, CertificateStatus::Active).await;
        let text = is_refused(&house, &device).await;
        assert!(text.contains(word), "{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_certificate_is_no_way_in() {
    let house = House::open(Limits::default()).await;
    for versions in [&[&TLS12][..], &[&TLS13][..]] {
        house.recorder.clear();
        assert!(house.connect(house.mqtt, None, &[], versions).await.is_none());
        let text = house.told(Kind::HandshakeFailed).await.remove(0);
        assert!(text.contains("no client certificate"), "{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registered_certificate_without_its_key_is_no_way_in() {
    let house = House::open(Limits::default()).await;
    for algorithm in [&rcgen::PKCS_ECDSA_P256_SHA256, &rcgen::PKCS_RSA_SHA256] {
        let device = Device::new(algorithm);
        house.register(&device, CertificateStatus::Active).await;
        let thief = Device { certificate: device.certificate, ..Device::new(algorithm) };
        for versions in [&[&TLS12][..], &[&TLS13][..]] {
            house.recorder.clear();
            assert!(house.connect(house.mqtt, Some(&thief), &[], versions).await.is_none());
            let text = house.told(Kind::HandshakeFailed).await.remove(0);
            assert!(text.contains("BadSignature"), "{text}");
        }
    }
}

fn authority(params: &mut rcgen::CertificateParams) {
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
}

/// A device, and what stands for its CA, which is no CA if `is_ca` is false.
fn device_and_issuer(is_ca: bool) -> (Device, Device) {
    let (key, device_key) = (rcgen::KeyPair::generate().unwrap(), rcgen::KeyPair::generate().unwrap());
    let mut params = rcgen::CertificateParams::new(Vec::new()).unwrap();
    params.distinguished_name.push(rcgen::DnType::CommonName, "issuer");
    if is_ca {
        authority(&mut params);
    }
    let issuer = Device {
        certificate: params.self_signed(&key).unwrap().pem(),
        key: key.serialize_pem(),
        behind: Vec::new(),
    };
    let signed = rcgen::CertificateParams::new(Vec::new())
        .unwrap()
        .signed_by(&device_key, &rcgen::Issuer::new(params, key))
        .unwrap();
    let device = Device { certificate: signed.pem(), key: device_key.serialize_pem(), behind: Vec::new() };
    (device, issuer)
}

/// What a device sends behind its certificate is not looked at once the certificate is registered.
#[tokio::test(flavor = "multi_thread")]
async fn a_registered_certificate_comes_in_with_a_chain_of_any_shape() {
    let house = House::open(Limits::default()).await;
    let stranger = || Device::new(&rcgen::PKCS_ECDSA_P256_SHA256).der();
    for is_ca in [true, false] {
        let (mut device, issuer) = device_and_issuer(is_ca);
        house.register(&device, CertificateStatus::Active).await;
        let shapes = [
            ("its issuer", vec![issuer.der()]),
            ("itself", vec![device.der(), device.der()]),
            ("unrelated ones", vec![stranger(), stranger()]),
            ("the wrong order", vec![stranger(), issuer.der(), device.der()]),
            ("garbage", vec![b"garbage".to_vec(), vec![0x30, 0x84, 0xff, 0xff, 0xff, 0xff]]),
            ("many", vec![stranger(); 100]),
        ];
        for (shape, behind) in shapes {
            device.behind = behind;
            for versions in [&[&TLS12][..], &[&TLS13][..]] {
                let answer = house.connect(house.mqtt, Some(&device), &[], versions).await;
                assert!(matches!(answer, Some(Packet::ConnAck(_))), "{shape}: {answer:?}");
            }
        }
    }
}

/// Longer than a handshake message may be: refused before it is all there.
#[tokio::test(flavor = "multi_thread")]
async fn a_chain_beyond_a_handshake_message_is_refused() {
    let house = House::open(Limits::default()).await;
    let mut device = Device::new(&rcgen::PKCS_ECDSA_P256_SHA256);
    house.register(&device, CertificateStatus::Active).await;
    device.behind = vec![vec![0; 60_000]; 20];
    for versions in [&[&TLS12][..], &[&TLS13][..]] {
        house.recorder.clear();
        assert!(house.connect(house.mqtt, Some(&device), &[], versions).await.is_none());
        house.told(Kind::HandshakeFailed).await;
    }
}

/// Behind a stranger's certificate there is nothing that lets it in.
#[tokio::test(flavor = "multi_thread")]
async fn no_chain_lets_an_unregistered_certificate_in() {
    let house = House::open(Limits::default()).await;
    for is_ca in [true, false] {
        let (mut device, issuer) = device_and_issuer(is_ca);
        house.register(&issuer, CertificateStatus::Active).await;
        let shapes = [
            (vec![issuer.der()], "NOT_REGISTERED"),
            (vec![device.der(), issuer.der()], "NOT_REGISTERED"),
            (vec![b"garbage".to_vec(), issuer.der()], "NOT_REGISTERED"),
            (vec![issuer.der(); 100], "101 certificates"),
        ];
        for (behind, reason) in shapes {
            device.behind = behind;
            house.recorder.clear();
            let text = is_refused(&house, &device).await;
            assert!(text.contains(reason), "{reason}: {text}");
        }
    }
}

/// The first certificate is the peer's own, whatever follows: a device that sends its CA's first has not its key.
#[tokio::test(flavor = "multi_thread")]
async fn a_chain_that_begins_with_the_ca_is_refused() {
    let house = House::open(Limits::default()).await;
    let (device, issuer) = device_and_issuer(true);
    house.register(&device, CertificateStatus::Active).await;
    let behind = vec![device.der()];
    let upside_down = Device { certificate: issuer.certificate.clone(), key: device.key, behind };
    let answer = house.connect(house.mqtt, Some(&upside_down), &[], DEFAULT_VERSIONS).await;
    assert!(answer.is_none(), "{answer:?}");
    let text = house.told(Kind::HandshakeFailed).await.remove(0);
    assert!(text.contains("BadSignature"), "{text}");
    // The CA itself is as good a device as any, if its certificate is registered as one, and no other way.
    house.recorder.clear();
    let text = is_refused(&house, &issuer).await;
    assert!(text.contains("NOT_REGISTERED"), "{text}");
    house.register(&issuer, CertificateStatus::Active).await;
    comes_in(&house, &issuer, DEFAULT_VERSIONS).await;
}

/// What is no certificate in the first place ends the handshake.
#[tokio::test(flavor = "multi_thread")]
async fn garbage_in_the_place_of_the_certificate_is_refused() {
    let house = House::open(Limits::default()).await;
    let device = Device::new(&rcgen::PKCS_ECDSA_P256_SHA256);
    house.register(&device, CertificateStatus::Active).await;
    let tail = [&device.der()[..], b"more"].concat();
    for own in [b"garbage".to_vec(), Vec::new(), tail] {
        house.recorder.clear();
        let pem = pki::pem::encode(pki::pem::CERTIFICATE, &own);
        let broken = Device { certificate: pem, key: device.key.clone(), behind: vec![device.der()] };
        let answer = house.connect(house.mqtt, Some(&broken), &[], DEFAULT_VERSIONS).await;
        assert!(answer.is_none(), "{answer:?}");
        house.told(Kind::HandshakeFailed).await;
    }
}

/// `iot:DomainName` is the name of the server that was asked for, if the server has it.
#[tokio::test(flavor = "multi_thread")]
async fn a_peer_cannot_make_up_the_domain_name_of_a_policy() {
    let house = House::open(Limits::default()).await;
    let device = Device::new(&rcgen::PKCS_ECDSA_P256_SHA256);
    for (name, comes_in) in [("localhost", true), ("vip.example", false)] {
        let document = format!(
            r#"{{"Version":"2012-10-17","Statement":[{{"Effect":"Allow","Action":"iot:*","Resource":"*",
                "Condition":{{"StringEquals":{{"iot:DomainName":"{name}"}}}}}}]}}"#
        );
        house.register_with(&device, CertificateStatus::Active, &document).await;
        let connector = house.connector(Some(&device), &[], DEFAULT_VERSIONS);
        let mut config = rustls::ClientConfig::clone(connector.config());
        config.dangerous().set_certificate_verifier(Arc::new(AnyServer));
        let answer = house.connect_by_name(house.mqtt, name, TlsConnector::from(Arc::new(config))).await;
        let Some(Packet::ConnAck(connack)) = answer else { panic!("{answer:?}") };
        assert_eq!(connack.code == ReasonCode::Success, comes_in, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_aws_does_not_take_is_not_even_offered_a_scheme() {
    let house = House::open(Limits::default()).await;
    let device = Device::new(&rcgen::PKCS_ED25519);
    house.register(&device, CertificateStatus::Active).await;
    assert!(house.connect(house.mqtt, Some(&device), &[], DEFAULT_VERSIONS).await.is_none());
    house.told(Kind::HandshakeFailed).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_443_door_asks_for_the_mqtt_alpn() {
    let house = House::open(Limits::default()).await;
    let device = Device::new(&rcgen::PKCS_ECDSA_P256_SHA256);
    house.register(&device, CertificateStatus::Active).await;
    let answer = house.connect(house.tls, Some(&device), &["x-amzn-mqtt-ca"], DEFAULT_VERSIONS).await;
    assert!(matches!(answer, Some(Packet::ConnAck(_))), "{answer:?}");
    // By ALPN mqtt a custom authorizer decides, and there is none.
    house.recorder.clear();
    let answer = house.connect(house.tls, Some(&device), &["mqtt"], DEFAULT_VERSIONS).await;
    let Some(Packet::ConnAck(connack)) = answer else { panic!("{answer:?}") };
    assert_eq!(connack.code, ReasonCode::NotAuthorized);
    let text = house.told(Kind::HandshakeFailed).await.remove(0);
    assert!(text.contains("CUSTOM_AUTHORIZER_NOT_FOUND"), "{text}");
    house.recorder.clear();
    assert!(house.connect(house.tls, Some(&device), &["h2"], DEFAULT_VERSIONS).await.is_none());
    let text = house.told(Kind::HandshakeFailed).await.remove(0);
    assert!(text.contains("unknown ALPN"), "{text}");
}

/// Where HTTP is spoken, MQTT is a bad request.
#[tokio::test(flavor = "multi_thread")]
async fn mqtt_without_its_alpn_finds_http() {
    let house = House::open(Limits::default()).await;
    let device = Device::new(&rcgen::PKCS_ECDSA_P256_SHA256);
    house.register(&device, CertificateStatus::Active).await;
    for (address, alpn) in [(house.tls, &[][..]), (house.tls, &["x-amzn-http-ca"]), (house.https, &[])] {
        let connector = house.connector(Some(&device), alpn, DEFAULT_VERSIONS);
        let answer = house.say(address, connector, &connect_packet(Version::V5, "device")).await;
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 400"), "{alpn:?}: {answer}");
        let text = house.told(Kind::HandshakeFailed).await.remove(0);
        assert!(text.contains("no HTTP/1.1 request"), "{text}");
        house.recorder.clear();
    }
}

/// A certificate that its CA's owner did not vouch for may be several accounts': the endpoint names the one.
#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_without_proof_needs_the_endpoints_name() {
    let house = House::open(Limits::default()).await;
    let device = Device::new(&rcgen::PKCS_ECDSA_P256_SHA256);
    let mode = registry::CertificateMode::SniOnly;
    house.register_as(&device, (CertificateStatus::Active, mode), ALLOW_ALL).await;
    for (name, comes_in) in [("localhost", true), ("127.0.0.1", false), ("vip.example", false)] {
        house.recorder.clear();
        let connector = house.connector(Some(&device), &[], DEFAULT_VERSIONS);
        let mut config = rustls::ClientConfig::clone(connector.config());
        config.dangerous().set_certificate_verifier(Arc::new(AnyServer));
        let answer = house.connect_by_name(house.mqtt, name, TlsConnector::from(Arc::new(config))).await;
        assert_eq!(answer.is_some(), comes_in, "{name}");
        if !comes_in {
            assert!(house.told(Kind::HandshakeFailed).await.remove(0).contains("SNI_MISUSED"));
        }
    }
}

/// A client certificate is proof on the HTTPS ways in that ask for one, and only there.
#[tokio::test(flavor = "multi_thread")]
async fn https_requests_come_with_the_certificate_of_their_connection() {
    let house = House::open(Limits::default()).await;
    let device = Device::new(&rcgen::PKCS_ECDSA_P256_SHA256);
    house.register(&device, CertificateStatus::Active).await;
    let request =
        b"POST /topics/a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    for (address, alpn, who) in [
        (house.https, &[][..], "by certificate"),
        (house.tls, &["x-amzn-http-ca"], "by certificate"),
        (house.tls, &["h2", "http/1.1"], "by nobody"),
    ] {
        let connector = house.connector(Some(&device), alpn, DEFAULT_VERSIONS);
        let answer = house.say(address, connector, request).await;
        assert!(answer.starts_with("HTTP/1.1 200") && answer.contains(who), "{alpn:?}: {answer}");
    }
    let stranger = Device::new(&rcgen::PKCS_ECDSA_P256_SHA256);
    let connector = house.connector(Some(&stranger), &[], DEFAULT_VERSIONS);
    assert_eq!(house.say(house.https, connector, request).await, "");
    assert!(house.told(Kind::HandshakeFailed).await.remove(0).contains("NOT_REGISTERED"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_mqtt_door_does_not_care_for_alpn() {
    let house = House::open(Limits::default()).await;
    let device = Device::new(&rcgen::PKCS_ECDSA_P256_SHA256);
    house.register(&device, CertificateStatus::Active).await;
    for alpn in [&["x-amzn-mqtt-ca"][..], &["mqtt"], &["h2", "http/1.1"]] {
        let answer = house.connect(house.mqtt, Some(&device), alpn, DEFAULT_VERSIONS).await;
        assert!(matches!(answer, Some(Packet::ConnAck(_))), "{alpn:?}: {answer:?}");
    }
}
