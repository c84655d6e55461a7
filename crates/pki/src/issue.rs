//! The certificate that is to be signed: RFC 5280, v3, the few extensions that are needed.

use std::net::IpAddr;

use aws_lc_rs::digest;
use identity::Timestamp;

use crate::{PkiFault, der};

/// A certificate's serial number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Serial([u8; 16]);

impl Serial {
    /// A positive number of 16 bytes from random bytes: 126 of the bits stay (RFC 5280 section 4.1.2.2).
    pub fn from_random(mut bytes: [u8; 16]) -> Self {
        if let Some(first) = bytes.first_mut() {
            *first = *first & 0x3F | 0x40;
        }
        Self(bytes)
    }
}

/// What the key of a new certificate is for.
pub(crate) enum Role<'a> {
    Authority,
    Device,
    Server(&'a [Host]),
}

/// A name under which a server is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Host {
    Dns(String),
    Address(IpAddr),
}

impl Host {
    pub(crate) fn parse(name: &str) -> Result<Self, PkiFault> {
        if let Ok(address) = name.parse() {
            return Ok(Self::Address(address));
        }
        let label = |label: &str| {
            !label.is_empty()
                && label.len() <= 63
                && !label.starts_with('-')
                && !label.ends_with('-')
                && label.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_')
        };
        let rest = name.strip_prefix("*.").unwrap_or(name);
        if name.len() <= 253 && rest.split('.').all(label) {
            return Ok(Self::Dns(name.to_owned()));
        }
        Err(PkiFault::Name { name: name.to_owned() })
    }
}

/// Everything in a certificate but the signature.
pub(crate) struct Draft<'a> {
    pub serial: Serial,
    /// DER of the name.
    pub issuer: &'a [u8],
    /// DER of the name.
    pub subject: &'a [u8],
    /// DER of the SubjectPublicKeyInfo.
    pub key: &'a [u8],
    /// The issuer's SubjectPublicKeyInfo.
    pub issuer_key: &'a [u8],
    pub not_before: Timestamp,
    pub not_after: Timestamp,
    pub role: Role<'a>,
}

/// `ecdsa-with-SHA256`: what the private CA signs with.
pub(crate) fn signature_algorithm() -> Vec<u8> {
    der::value(der::SEQUENCE, &der::object("1.2.840.10045.4.3.2"))
}

/// The TBSCertificate.
pub(crate) fn to_be_signed(draft: &Draft<'_>) -> Vec<u8> {
    let version = der::value(0xA0, &der::value(der::INTEGER, &[2]));
    let serial = der::value(der::INTEGER, &draft.serial.0);
    let validity = der::of(der::SEQUENCE, &[&der::time(draft.not_before), &der::time(draft.not_after)]);
    let extensions = der::value(0xA3, &der::value(der::SEQUENCE, &extensions(draft)));
    der::of(
        der::SEQUENCE,
        &[
            &version,
            &serial,
            &signature_algorithm(),
            draft.issuer,
            &validity,
            draft.subject,
            draft.key,
            &extensions,
        ],
    )
}

/// A name of UTF-8 strings, from object identifiers and values.
pub(crate) fn name(attributes: &[(&str, &str)]) -> Vec<u8> {
    let sets: Vec<u8> = attributes
        .iter()
        .flat_map(|(oid, text)| {
            let pair =
                der::of(der::SEQUENCE, &[&der::object(oid), &der::value(der::UTF8_STRING, text.as_bytes())]);
            der::value(der::SET, &pair)
        })
        .collect();
    der::value(der::SEQUENCE, &sets)
}

fn extensions(draft: &Draft<'_>) -> Vec<u8> {
    const DIGITAL_SIGNATURE: &[u8] = &[7, 0x80];
    const SIGN_CERTIFICATES_AND_LISTS: &[u8] = &[1, 0x06];
    let is_authority = matches!(draft.role, Role::Authority);
    let constraints: &[u8] = if is_authority { &[0x01, 0x01, 0xFF] } else { &[] };
    let usage = if is_authority { SIGN_CERTIFICATES_AND_LISTS } else { DIGITAL_SIGNATURE };
    let authority = der::value(der::SEQUENCE, &der::value(0x80, &key_identifier(draft.issuer_key)));
    let subject = der::value(der::OCTET_STRING, &key_identifier(draft.key));
    let mut all = [
        extension("2.5.29.35", false, &authority),
        extension("2.5.29.14", false, &subject),
        extension("2.5.29.19", true, &der::value(der::SEQUENCE, constraints)),
        extension("2.5.29.15", true, &der::value(der::BIT_STRING, usage)),
    ]
    .concat();
    if let Role::Server(hosts) = &draft.role {
        let purpose = der::value(der::SEQUENCE, &der::object("1.3.6.1.5.5.7.3.1"));
        all.extend(extension("2.5.29.37", false, &purpose));
        all.extend(extension("2.5.29.17", false, &alternative_names(hosts)));
    }
    all
}

fn alternative_names(hosts: &[Host]) -> Vec<u8> {
    let names: Vec<u8> = hosts
        .iter()
        .flat_map(|host| match host {
            Host::Dns(name) => der::value(0x82, name.as_bytes()),
            Host::Address(IpAddr::V4(address)) => der::value(0x87, &address.octets()),
            Host::Address(IpAddr::V6(address)) => der::value(0x87, &address.octets()),
        })
        .collect();
    der::value(der::SEQUENCE, &names)
}

fn extension(oid: &str, critical: bool, content: &[u8]) -> Vec<u8> {
    let flag: &[u8] = if critical { &[0x01, 0x01, 0xFF] } else { &[] };
    der::of(der::SEQUENCE, &[&der::object(oid), flag, &der::value(der::OCTET_STRING, content)])
}

/// The leftmost 160 bits of the SHA-256 of the key (RFC 7093 method 1, on the whole SubjectPublicKeyInfo).
fn key_identifier(key: &[u8]) -> Vec<u8> {
    digest::digest(&digest::SHA256, key).as_ref().iter().copied().take(20).collect()
}
