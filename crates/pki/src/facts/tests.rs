//! Certificates made by another implementation (rcgen), and one v1 certificate put together by hand.

use rcgen::{BasicConstraints, CertificateParams, DnType, DnValue, IsCa, KeyPair, SanType};

use super::*;
use crate::{Certificate, der};

fn params() -> CertificateParams {
    let mut params = CertificateParams::new(vec!["device.example".to_owned()]).unwrap();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, "sensor 7");
    params.distinguished_name.push(DnType::OrganizationName, DnValue::BmpString("Ünit".try_into().unwrap()));
    params.distinguished_name.push(DnType::CountryName, "DE");
    params.subject_alt_names.push(SanType::IpAddress("127.0.0.1".parse().unwrap()));
    params.subject_alt_names.push(SanType::IpAddress("::1".parse().unwrap()));
    params.subject_alt_names.push(SanType::URI("urn:x:1".try_into().unwrap()));
    params.subject_alt_names.push(SanType::Rfc822Name("a@b.example".try_into().unwrap()));
    params.not_before = rcgen::date_time_ymd(2024, 2, 29);
    params.not_after = rcgen::date_time_ymd(2051, 1, 1);
    params.serial_number = Some(vec![0x00, 0x0A, 0xBC].into());
    params
}

#[test]
fn facts_are_what_the_certificate_says() {
    let key = KeyPair::generate().unwrap();
    let made = params().self_signed(&key).unwrap();
    let facts = facts(made.der()).unwrap();
    assert_eq!(facts.id, certificate_id(made.der()));
    assert_eq!(facts.serial_number, "abc");
    assert_eq!(
        facts.subject.attributes,
        [
            (DnAttribute::CommonName, "sensor 7".to_owned()),
            (DnAttribute::Organization, "Ünit".to_owned()),
            (DnAttribute::Country, "DE".to_owned()),
        ]
    );
    assert_eq!(facts.issuer.attributes, facts.subject.attributes);
    let names: Vec<_> =
        facts.subject.alternative_names.iter().map(|(kind, name)| (kind.name(), name.as_str())).collect();
    assert_eq!(
        names,
        [
            ("DNSName", "device.example"),
            ("IPAddress", "127.0.0.1"),
            ("IPAddress", "::1"),
            ("UniformResourceIdentifier", "urn:x:1"),
            ("RFC822Name", "a@b.example"),
        ]
    );
    assert_eq!(facts.not_before, Timestamp(1_709_164_800_000));
    assert_eq!(facts.not_after, Timestamp(2_556_144_000_000));
    assert!(facts.is_valid_at(Timestamp(1_709_164_800_000)));
}

#[test]
fn the_facts_of_a_text_are_those_of_its_certificate() {
    let made = params().self_signed(&KeyPair::generate().unwrap()).unwrap();
    let text = crate::pem::encode(crate::pem::CERTIFICATE, made.der());
    assert_eq!(facts_in_pem(&text).unwrap(), facts(made.der()).unwrap());
    assert!(facts(text.as_bytes()).is_err(), "the text is not the certificate");
    for bad in ["", "-----BEGIN CERTIFICATE-----", &text.repeat(2)] {
        assert!(facts_in_pem(bad).is_err(), "{bad}");
    }
}

#[test]
fn a_certificate_is_read_whole_or_not_at_all() {
    let made = params().self_signed(&KeyPair::generate().unwrap()).unwrap();
    let mut longer = made.der().to_vec();
    longer.push(0);
    assert!(matches!(facts(&longer), Err(PkiFault::Malformed { .. })));
    for length in [0, 1, 10, made.der().len() - 1] {
        assert!(facts(&made.der()[..length]).is_err(), "{length}");
    }
}

#[test]
fn names_are_compared_without_case_or_white_space_or_string_type() {
    let name_of = |text: DnValue| {
        let mut params = CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, text);
        let made = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
        Certificate::from_der(made.der()).unwrap().subject_fingerprint().to_owned()
    };
    let one = name_of(DnValue::Utf8String("My  Root CA".into()));
    assert_eq!(one, name_of(DnValue::PrintableString("my root ca".try_into().unwrap())));
    assert_ne!(one, name_of(DnValue::Utf8String("My Root CB".into())));
}

#[test]
fn certificate_authorities_say_so() {
    let mut params = params();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    assert!(Certificate::from_der(params.self_signed(&key).unwrap().der()).unwrap().is_ca());
    assert!(!Certificate::from_der(self::params().self_signed(&key).unwrap().der()).unwrap().is_ca());
}

/// What `openssl x509 -req` makes without an extension file: no version field, no extensions.
pub(crate) fn version_1(subject: &[u8], issuer: &[u8], device: &KeyPair, authority: &KeyPair) -> Vec<u8> {
    use rcgen::{PublicKeyData as _, SigningKey as _};
    let algorithm = der::value(der::SEQUENCE, &der::object("1.2.840.10045.4.3.2"));
    let validity =
        der::of(der::SEQUENCE, &[&der::time(Timestamp(0)), &der::time(Timestamp(4_000_000_000_000))]);
    let serial = der::value(der::INTEGER, &[7]);
    let key = device.subject_public_key_info();
    let body = der::of(der::SEQUENCE, &[&serial, &algorithm, issuer, &validity, subject, &key]);
    let signature = authority.sign(&body).unwrap();
    der::of(der::SEQUENCE, &[&body, &algorithm, &der::bits(&signature)])
}

#[test]
fn version_1_is_read_and_verified() {
    let (device, authority_key) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
    let name = crate::issue::name(&[("2.5.4.3", "old"), ("2.5.4.11", "one"), ("2.5.4.11", "two")]);
    let old = Certificate::from_der(&version_1(&name, &name, &device, &authority_key)).unwrap();
    assert_eq!(old.facts().subject.attributes.len(), 3);
    assert_eq!(old.common_name(), Some("old"));
    assert!(!old.is_ca());
    assert!(old.check_key().is_ok());
    let authority = CertificateParams::default().self_signed(&authority_key).unwrap();
    assert_eq!(old.verify_signed_by(&Certificate::from_der(authority.der()).unwrap()), Ok(()));
    let stranger = CertificateParams::default().self_signed(&device).unwrap();
    let stranger = Certificate::from_der(stranger.der()).unwrap();
    assert_eq!(old.verify_signed_by(&stranger), Err(PkiFault::Signature { what: "certificate" }));
}

proptest::proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..200)) {
        let _ = facts(&bytes);
    }

    #[test]
    fn no_damage_makes_it_panic(at in 0..400_usize, to in proptest::prelude::any::<u8>()) {
        static MADE: std::sync::LazyLock<Vec<u8>> =
            std::sync::LazyLock::new(|| params().self_signed(&KeyPair::generate().unwrap()).unwrap().der().to_vec());
        let mut damaged = MADE.clone();
        if let Some(byte) = damaged.get_mut(at) {
            *byte = to;
        }
        let _ = Certificate::from_der(&damaged);
    }
}

#[test]
fn what_is_around_the_signed_part_is_not_believed() {
    use der::value;
    let key = KeyPair::generate().unwrap();
    let authority = &Certificate::from_der(params().self_signed(&key).unwrap().der()).unwrap();
    let (_, content, _) = der::read(authority.der()).unwrap();
    let (tag, signed, rest) = der::read(content).unwrap();
    let (_, algorithm, signature) = der::read(rest).unwrap();
    assert_eq!(authority.signed_fingerprint(), sha256_hex(&value(tag, signed)));
    let (_, object, _) = der::read(algorithm).unwrap();
    let object = value(der::OBJECT, object);
    for parameters in [&[][..], &[5, 0], &[4, 1, 7]] {
        let other = value(der::SEQUENCE, &[&object, parameters].concat());
        let whole = value(der::SEQUENCE, &[&value(tag, signed)[..], &other, signature].concat());
        let Ok(read) = Certificate::from_der(&whole) else { continue };
        assert_eq!(read.signed_fingerprint(), authority.signed_fingerprint());
        let same = whole == authority.der();
        assert_eq!(read.verify_signed_by(authority).is_ok(), same, "{parameters:?}");
        assert_eq!(read.check_signature_algorithm().is_ok(), same, "{parameters:?}");
    }
}
