//! What a certificate says of itself, for policies and for people.

use std::net::IpAddr;

use aws_lc_rs::digest;
use identity::{AlternativeName, CertificateFacts, CertificateId, DistinguishedName, DnAttribute, Timestamp};
use x509_parser::prelude::{
    ASN1Time, AttributeTypeAndValue, FromDer, GeneralName, ParsedExtension, X509Certificate, X509Name,
};

use crate::{PkiFault, pem};

/// The id under which AWS IoT knows a certificate: the SHA-256 of its DER form.
pub fn certificate_id(der: &[u8]) -> CertificateId {
    id_of_digest(&sha256_hex(der))
}

fn id_of_digest(digest: &str) -> CertificateId {
    // 64 lower-case hexadecimal digits are a valid id by construction, so the second arm is never taken.
    CertificateId::new(digest).unwrap_or_else(|_| unreachable!("a SHA-256 has 64 hexadecimal digits"))
}

pub(crate) fn sha256_hex(bytes: &[u8]) -> String {
    hex(digest::digest(&digest::SHA256, bytes).as_ref())
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Reads the facts of a certificate in DER form; v1 certificates too.
///
/// # Errors
/// [`PkiFault::Malformed`]: not a certificate, or something follows it.
pub fn facts(der: &[u8]) -> Result<CertificateFacts, PkiFault> {
    Ok(facts_of(&parse(der)?, der))
}

/// Reads the facts of the one certificate of a PEM text: what the registry keeps.
///
/// # Errors
/// [`PkiFault::TooLong`], [`PkiFault::Pem`], [`PkiFault::Malformed`].
pub fn facts_in_pem(text: &str) -> Result<CertificateFacts, PkiFault> {
    facts(&pem::decode(&[pem::CERTIFICATE], text)?)
}

pub(crate) fn parse(der: &[u8]) -> Result<X509Certificate<'_>, PkiFault> {
    let (after, certificate) =
        X509Certificate::from_der(der).map_err(|error| PkiFault::malformed("certificate", error))?;
    if after.is_empty() {
        return Ok(certificate);
    }
    Err(PkiFault::malformed("certificate", "bytes follow it"))
}

pub(crate) fn facts_of(certificate: &X509Certificate<'_>, der: &[u8]) -> CertificateFacts {
    let mut subject = name(certificate.subject());
    let mut issuer = name(certificate.issuer());
    for extension in certificate.extensions() {
        match extension.parsed_extension() {
            ParsedExtension::SubjectAlternativeName(names) => {
                subject.alternative_names.extend(names.general_names.iter().filter_map(alternative_name));
            }
            ParsedExtension::IssuerAlternativeName(names) => {
                issuer.alternative_names.extend(names.general_names.iter().filter_map(alternative_name));
            }
            _ => {}
        }
    }
    let validity = certificate.validity();
    CertificateFacts {
        id: certificate_id(der),
        serial_number: hex(certificate.raw_serial()).trim_start_matches('0').to_owned(),
        subject,
        issuer,
        not_before: moment(validity.not_before),
        not_after: moment(validity.not_after),
    }
}

fn moment(time: ASN1Time) -> Timestamp {
    // Before 1970 counts as 1970.
    Timestamp(u64::try_from(time.timestamp()).unwrap_or_default().saturating_mul(1000))
}

fn name(name: &X509Name<'_>) -> DistinguishedName {
    let attributes = name.iter_attributes().filter_map(|attribute| {
        let oid = attribute.attr_type().to_id_string();
        let kind = DnAttribute::ALL.into_iter().find(|kind| kind.oid() == oid)?;
        Some((kind, text(attribute)))
    });
    DistinguishedName { attributes: attributes.collect(), alternative_names: Vec::new() }
}

/// The value of an attribute as text, whichever of the ASN.1 string types it has.
pub(crate) fn text(attribute: &AttributeTypeAndValue<'_>) -> String {
    const BMP_STRING: u32 = 30;
    const UNIVERSAL_STRING: u32 = 28;
    let bytes = attribute.as_slice();
    match attribute.attr_value().tag().0 {
        BMP_STRING => {
            let units = bytes.chunks_exact(2).map(be);
            char::decode_utf16(units.map(|unit| u16::try_from(unit).unwrap_or_default()))
                .map(|unit| unit.unwrap_or(char::REPLACEMENT_CHARACTER))
                .collect()
        }
        UNIVERSAL_STRING => bytes
            .chunks_exact(4)
            .map(|four| char::from_u32(be(four)).unwrap_or(char::REPLACEMENT_CHARACTER))
            .collect(),
        _ => String::from_utf8_lossy(bytes).into_owned(),
    }
}

fn be(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0, |sum, byte| sum << 8 | u32::from(*byte))
}

fn alternative_name(name: &GeneralName<'_>) -> Option<(AlternativeName, String)> {
    match name {
        GeneralName::RFC822Name(text) => Some((AlternativeName::Rfc822Name, (*text).to_owned())),
        GeneralName::DNSName(text) => Some((AlternativeName::DnsName, (*text).to_owned())),
        GeneralName::DirectoryName(name) => Some((AlternativeName::DirectoryName, name.to_string())),
        GeneralName::URI(text) => Some((AlternativeName::UniformResourceIdentifier, (*text).to_owned())),
        GeneralName::IPAddress(bytes) => Some((AlternativeName::IpAddress, address(bytes)?)),
        _ => None,
    }
}

fn address(bytes: &[u8]) -> Option<String> {
    let address = match bytes.len() {
        4 => IpAddr::from(<[u8; 4]>::try_from(bytes).ok()?),
        16 => IpAddr::from(<[u8; 16]>::try_from(bytes).ok()?),
        _ => return None,
    };
    Some(address.to_string())
}

#[cfg(test)]
mod tests;
