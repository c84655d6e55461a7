//! What the private CA issues, as other implementations read it; requests as another implementation writes them.

use aws_lc_rs::signature::{RSA_PKCS1_SHA256, RsaKeyPair, UnparsedPublicKey};
use rcgen::{CertificateParams, DnType, KeyPair, PublicKeyData as _};

use super::*;
use crate::KeyKind;

const NOW: Timestamp = Timestamp(1_800_000_000_000);

fn serial(byte: u8) -> Serial {
    Serial::from_random([byte; 16])
}

fn authority() -> CertificateAuthority {
    CertificateAuthority::generate("test CA", serial(1), NOW).unwrap()
}

fn verifies(certificate: &Certificate, authority: &CertificateAuthority) -> bool {
    let read = crate::facts::parse(certificate.der()).unwrap();
    let root = crate::facts::parse(authority.certificate().der()).unwrap();
    // x509-parser's own check, not ours.
    read.verify_signature(Some(root.public_key())).is_ok()
}

#[test]
fn the_ca_signs_itself_and_comes_back_from_its_files() {
    let made = authority();
    assert!(made.certificate().is_ca());
    assert!(verifies(made.certificate(), &made));
    assert_eq!(made.certificate().facts().not_after, ISSUED_UNTIL);
    assert_eq!(made.certificate().facts().subject.to_string(), "Organization=thingcore, CommonName=test CA");
    let key = made.private_key().unwrap();
    let again = CertificateAuthority::from_pem(&made.certificate_pem(), key.pem()).unwrap();
    let server = again.issue_server(&["localhost"], serial(2), NOW).unwrap();
    assert_eq!(server.certificate.verify_signed_by(made.certificate()), Ok(()));
    let other = authority().private_key().unwrap();
    assert!(matches!(
        CertificateAuthority::from_pem(&made.certificate_pem(), other.pem()),
        Err(PkiFault::KeyMismatch)
    ));
}

#[test]
fn a_server_certificate_names_hosts_and_addresses() {
    let ca = authority();
    let names = ["localhost", "127.0.0.1", "::1", "*.iot.example"];
    let server = ca.issue_server(&names, serial(2), NOW).unwrap();
    assert!(verifies(&server.certificate, &ca));
    let facts = server.certificate.facts();
    let listed: Vec<&str> = facts.subject.alternative_names.iter().map(|(_, name)| name.as_str()).collect();
    assert_eq!(listed, ["localhost", "127.0.0.1", "::1", "*.iot.example"]);
    assert_eq!(facts.issuer.attributes, ca.certificate().facts().subject.attributes);
    assert!(facts.is_valid_at(NOW));
    assert_eq!(facts.not_after, Timestamp(NOW.millis() + SERVER_MS));
    let read = crate::facts::parse(server.certificate.der()).unwrap();
    assert!(read.extended_key_usage().unwrap().unwrap().value.server_auth);
    assert!(read.key_usage().unwrap().unwrap().value.digital_signature());
    for bad in [&["no spaces allowed"][..], &[""], &["-a.example"], &[]] {
        assert!(matches!(ca.issue_server(bad, serial(2), NOW), Err(PkiFault::Name { .. })), "{bad:?}");
    }
}

#[test]
fn device_keys_belong_to_the_certificate() {
    let ca = authority();
    let issued = ca.issue_device(serial(3), NOW).unwrap();
    assert!(verifies(&issued.certificate, &ca));
    assert_eq!(issued.certificate.common_name(), Some("AWS IoT Certificate"));
    assert_eq!(issued.certificate.facts().not_after, ISSUED_UNTIL);
    assert_eq!(issued.certificate.facts().serial_number, "43".to_owned() + &"03".repeat(15));
    assert_eq!(issued.certificate.check_key(), Ok(KeyKind::Rsa(2048)));
    let private = pem::decode(&[pem::RSA_PRIVATE_KEY], issued.keys.private_key().pem()).unwrap();
    let pair = RsaKeyPair::from_der(&private).unwrap();
    let mut signature = vec![0; pair.public_modulus_len()];
    pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), b"hello", &mut signature).unwrap();
    let read = crate::facts::parse(issued.certificate.der()).unwrap();
    let key = UnparsedPublicKey::new(
        &aws_lc_rs::signature::RSA_PKCS1_2048_8192_SHA256,
        read.public_key().subject_public_key.data.as_ref(),
    );
    assert!(key.verify(b"hello", &signature).is_ok());
    let public = pem::decode(&[pem::PUBLIC_KEY], &issued.keys.public_key_pem()).unwrap();
    assert_eq!(public, issued.certificate.public_key());
}

#[test]
fn keys_are_not_shown_by_accident() {
    let ca = authority();
    let issued = ca.issue_device(serial(3), NOW).unwrap();
    let shown = format!("{ca:?} {issued:?} {:?}", ca.private_key());
    assert!(shown.contains("hidden") && !shown.contains("PRIVATE KEY-----"), "{shown}");
}

fn request(key: &KeyPair, change: impl FnOnce(&mut CertificateParams)) -> String {
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    change(&mut params);
    params.serialize_request(key).unwrap().pem().unwrap()
}

#[test]
fn a_request_keeps_its_subject_and_key() {
    let ca = authority();
    for (algorithm, kind) in [
        (&rcgen::PKCS_ECDSA_P256_SHA256, KeyKind::P256),
        (&rcgen::PKCS_ECDSA_P384_SHA384, KeyKind::P384),
        (&rcgen::PKCS_ECDSA_P521_SHA512, KeyKind::P521),
        (&rcgen::PKCS_RSA_SHA256, KeyKind::Rsa(2048)),
    ] {
        let key = KeyPair::generate_for(algorithm).unwrap();
        let text = request(&key, |params| {
            params.distinguished_name.push(DnType::CommonName, "mine");
            params.subject_alt_names.push(rcgen::SanType::DnsName("ignored.example".try_into().unwrap()));
        });
        let read = SigningRequest::from_pem(&text).unwrap();
        assert_eq!(read.key_kind(), kind);
        let certificate = ca.sign_request(&read, serial(4), NOW).unwrap();
        assert!(verifies(&certificate, &ca));
        assert_eq!(certificate.common_name(), Some("mine"));
        assert!(certificate.facts().subject.alternative_names.is_empty());
        assert_eq!(certificate.public_key(), key.subject_public_key_info());
        let other = ca.sign_request(&read, serial(5), NOW).unwrap();
        assert_ne!(certificate.id(), other.id());
    }
}

#[test]
fn a_request_without_subject_gets_one() {
    let key = KeyPair::generate().unwrap();
    let read = SigningRequest::from_pem(&request(&key, |_| {})).unwrap();
    let certificate = authority().sign_request(&read, serial(4), NOW).unwrap();
    assert_eq!(certificate.common_name(), Some("AWS IoT Certificate"));
}

#[test]
fn bad_requests_say_what_is_wrong() {
    let key = KeyPair::generate().unwrap();
    let good = request(&key, |params| params.distinguished_name.push(DnType::CommonName, "mine"));
    let der = pem::decode(&[pem::REQUEST], &good).unwrap();
    let mut forged = der.clone();
    let at = forged.windows(4).position(|four| four == b"mine").unwrap();
    forged[at] = b'M';
    let as_text = |der: &[u8]| pem::encode(pem::REQUEST, der);
    assert!(matches!(SigningRequest::from_pem(&as_text(&forged)), Err(PkiFault::Signature { .. })));
    assert!(matches!(SigningRequest::from_pem(&as_text(&der[..50])), Err(PkiFault::Malformed { .. })));
    assert!(matches!(SigningRequest::from_pem("nothing"), Err(PkiFault::Pem { .. })));
    assert!(matches!(SigningRequest::from_pem(&authority().certificate_pem()), Err(PkiFault::Pem { .. })));
    let edwards = KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
    let text = request(&edwards, |_| {});
    assert!(matches!(SigningRequest::from_pem(&text), Err(PkiFault::Key { .. })));
}
