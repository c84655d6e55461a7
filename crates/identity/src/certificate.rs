//! What a certificate says of itself, in the terms of AWS IoT policy variables.
//!
//! Source: developer guide, *X.509 certificate AWS IoT Core policy variables*.

use std::fmt;

use crate::{CertificateId, Timestamp};

/// An attribute of a distinguished name that a policy variable can name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DnAttribute {
    /// `DistinguishedNameQualifier`
    DistinguishedNameQualifier,
    /// `Country`
    Country,
    /// `Organization`
    Organization,
    /// `OrganizationalUnit`
    OrganizationalUnit,
    /// `State`
    State,
    /// `CommonName`
    CommonName,
    /// `SerialNumber`
    SerialNumber,
    /// `Title`
    Title,
    /// `Surname`
    Surname,
    /// `GivenName`
    GivenName,
    /// `Initials`
    Initials,
    /// `Pseudonym`
    Pseudonym,
    /// `GenerationQualifier`
    GenerationQualifier,
}

impl DnAttribute {
    /// All of them, in the order of AWS's list.
    pub const ALL: [Self; 13] = [
        Self::DistinguishedNameQualifier,
        Self::Country,
        Self::Organization,
        Self::OrganizationalUnit,
        Self::State,
        Self::CommonName,
        Self::SerialNumber,
        Self::Title,
        Self::Surname,
        Self::GivenName,
        Self::Initials,
        Self::Pseudonym,
        Self::GenerationQualifier,
    ];

    /// The spelling inside `iot:Certificate.Subject.NAME`.
    pub fn name(self) -> &'static str {
        match self {
            Self::DistinguishedNameQualifier => "DistinguishedNameQualifier",
            Self::Country => "Country",
            Self::Organization => "Organization",
            Self::OrganizationalUnit => "OrganizationalUnit",
            Self::State => "State",
            Self::CommonName => "CommonName",
            Self::SerialNumber => "SerialNumber",
            Self::Title => "Title",
            Self::Surname => "Surname",
            Self::GivenName => "GivenName",
            Self::Initials => "Initials",
            Self::Pseudonym => "Pseudonym",
            Self::GenerationQualifier => "GenerationQualifier",
        }
    }

    /// The attribute's object identifier (RFC 5280, X.520).
    pub fn oid(self) -> &'static str {
        match self {
            Self::DistinguishedNameQualifier => "2.5.4.46",
            Self::Country => "2.5.4.6",
            Self::Organization => "2.5.4.10",
            Self::OrganizationalUnit => "2.5.4.11",
            Self::State => "2.5.4.8",
            Self::CommonName => "2.5.4.3",
            Self::SerialNumber => "2.5.4.5",
            Self::Title => "2.5.4.12",
            Self::Surname => "2.5.4.4",
            Self::GivenName => "2.5.4.42",
            Self::Initials => "2.5.4.43",
            Self::Pseudonym => "2.5.4.65",
            Self::GenerationQualifier => "2.5.4.44",
        }
    }
}

/// A kind of alternative name that a policy variable can name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AlternativeName {
    /// `RFC822Name`
    Rfc822Name,
    /// `DNSName`
    DnsName,
    /// `DirectoryName`
    DirectoryName,
    /// `UniformResourceIdentifier`
    UniformResourceIdentifier,
    /// `IPAddress`
    IpAddress,
}

impl AlternativeName {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Rfc822Name,
        Self::DnsName,
        Self::DirectoryName,
        Self::UniformResourceIdentifier,
        Self::IpAddress,
    ];

    /// The spelling inside `iot:Certificate.Subject.AlternativeName.KIND`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Rfc822Name => "RFC822Name",
            Self::DnsName => "DNSName",
            Self::DirectoryName => "DirectoryName",
            Self::UniformResourceIdentifier => "UniformResourceIdentifier",
            Self::IpAddress => "IPAddress",
        }
    }
}

/// The attributes of a subject or issuer, in the order in which the certificate has them, values unescaped.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DistinguishedName {
    /// Attribute and value. An attribute may stand several times.
    pub attributes: Vec<(DnAttribute, String)>,
    /// The alternative names of the same party (subject alternative name, issuer alternative name).
    pub alternative_names: Vec<(AlternativeName, String)>,
}

/// What a policy, a log line or DescribeCertificate may want to know of a certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateFacts {
    /// SHA-256 of the DER form.
    pub id: CertificateId,
    /// The serial number as lower-case hexadecimal without leading zeros.
    pub serial_number: String,
    /// Whom it names.
    pub subject: DistinguishedName,
    /// Who signed it.
    pub issuer: DistinguishedName,
    /// First moment of validity.
    pub not_before: Timestamp,
    /// Last moment of validity.
    pub not_after: Timestamp,
}

impl CertificateFacts {
    /// True while the certificate may be used.
    pub fn is_valid_at(&self, now: Timestamp) -> bool {
        self.not_before <= now && now <= self.not_after
    }
}

impl fmt::Display for DistinguishedName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (attribute, value)) in self.attributes.iter().enumerate() {
            write!(f, "{}{}={value}", if index == 0 { "" } else { ", " }, attribute.name())?;
        }
        Ok(())
    }
}
