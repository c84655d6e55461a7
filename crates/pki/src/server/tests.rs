//! What people bring, made with another library than ours.

use rcgen::{
    CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, PKCS_ECDSA_P256_SHA256,
    PKCS_ECDSA_P384_SHA384,
};

use super::*;

struct Made {
    pem: String,
    ca: String,
    key: String,
}

fn made(names: &[&str]) -> Made {
    let ca_key = KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384).unwrap();
    let mut ca = CertificateParams::new(Vec::new()).unwrap();
    ca.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let authority = ca.self_signed(&ca_key).unwrap();
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut leaf = CertificateParams::new(names).unwrap();
    leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let leaf = leaf.signed_by(&key, &Issuer::from_params(&ca, &ca_key)).unwrap();
    Made { pem: leaf.pem(), ca: authority.pem(), key: key.serialize_pem() }
}

#[test]
fn a_certificate_its_chain_and_its_key_belong_together() {
    let one = made(&["iot.example.com", "*.dev.example.com"]);
    let read = ServerCertificate::read(&one.pem, Some(&one.ca), &one.key).unwrap();
    assert_eq!((read.key_kind, read.chain.len()), (KeyKind::P256, 1));
    assert_eq!(server_names(&read.leaf), ["iot.example.com", "*.dev.example.com"]);
    assert_eq!(purposes(&read.leaf).unwrap(), Some(Purposes { server: true, client: false }));
    assert_eq!(read.chain_pem().matches("BEGIN CERTIFICATE").count(), 2);
    assert!(!format!("{read:?}").contains("PRIVATE KEY"));
    assert!(ServerCertificate::read(&one.pem, None, &one.key).is_ok());
    let other = made(&["iot.example.com"]);
    let refused = |chain: &str, key: &str| ServerCertificate::read(&one.pem, Some(chain), key).unwrap_err();
    assert_eq!(refused(&one.ca, &other.key), PkiFault::KeyMismatch);
    assert!(matches!(refused(&other.ca, &one.key), PkiFault::Signature { .. }));
    assert!(matches!(refused("rubbish", &one.key), PkiFault::Pem { .. }));
    assert!(matches!(
        refused(&one.ca.repeat(17), &one.key),
        PkiFault::Pem { .. } | PkiFault::Signature { .. }
    ));
    assert!(matches!(refused(&one.ca, "rubbish"), PkiFault::Pem { .. }));
    assert!(matches!(refused(&one.ca, &"x".repeat(MAX_KEY_BYTES + 1)), PkiFault::TooLong { .. }));
    let encrypted = one.key.replace("PRIVATE KEY", "ENCRYPTED PRIVATE KEY");
    assert!(matches!(refused(&one.ca, &encrypted), PkiFault::Pem { .. }));
}

#[test]
fn names_cover_hosts() {
    for (name, host, expected) in [
        ("iot.example.com", "IOT.example.com", true),
        ("*.example.com", "iot.example.com", true),
        ("*.example.com", "a.iot.example.com", false),
        ("*.example.com", "example.com", false),
        ("*.example.com", ".example.com", false),
        ("iot.example.com", "example.com", false),
        ("*", "com", false),
    ] {
        assert_eq!(covers(name, host), expected, "{name} {host}");
    }
}

#[test]
fn keys_of_every_form_are_read() {
    let keys = crate::DeviceKeys::generate().unwrap();
    let der = pem::decode(&[pem::RSA_PRIVATE_KEY], keys.private_key().pem()).unwrap();
    assert!(rsa_public(pem::RSA_PRIVATE_KEY, &der).is_ok());
    assert_eq!(rsa_public(pem::EC_PRIVATE_KEY, &der), Err(PkiFault::KeyMismatch));
    let parameters =
        format!("{}{}", pem::encode("EC PARAMETERS", b"x"), pem::encode(pem::EC_PRIVATE_KEY, b"y"));
    assert_eq!(decode_key(&parameters).unwrap(), (pem::EC_PRIVATE_KEY, b"y".to_vec()));
}
