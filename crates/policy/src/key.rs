//! The catalogue of condition keys and policy variables.
//!
//! Sources: developer guide, *Basic AWS IoT Core policy variables*, *Thing policy variables*, *X.509 certificate
//! AWS IoT Core policy variables*, *Connect policy examples*; service authorization reference, *Actions, resources, and
//! condition keys for AWS IoT*. Names are compared without regard to case, as in
//! IAM; the names of thing attributes are not.

use identity::{AlternativeName, DnAttribute};

/// A key as a document spells it, and what it means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct KeyName {
    pub(crate) text: Box<str>,
    pub(crate) key: Key,
}

impl KeyName {
    pub(crate) fn parse(text: &str) -> Self {
        Self { text: text.into(), key: Key::parse(text).unwrap_or(Key::Unknown) }
    }
}

/// What a key asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Key {
    ClientId,
    SourceIp,
    DomainName,
    CertificateId,
    Thing(ThingKey),
    Certificate(CertificateKey),
    Iam(IamKey),
    Momentary(MomentaryKey),
    /// Not in the catalogue: it never has a value.
    Unknown,
}

/// What is asked of the connection's thing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ThingKey {
    Name,
    TypeName,
    IsAttached,
    Attribute(Box<str>),
}

/// What is asked of whoever signed: IAM's keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum IamKey {
    Username,
    UserId,
    PrincipalType,
    PrincipalArn,
    PrincipalAccount,
    CognitoSub,
    CognitoAud,
    CognitoAmr,
    TokenIssueTime,
    DeviceThingName,
    DeviceThingTypeName,
    DeviceCertificateId,
}

/// What is asked of the client certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CertificateKey {
    SerialNumber,
    AvailableKeys,
    Name { party: Party, field: Field, pick: Pick },
}

/// Whose name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Party {
    Subject,
    Issuer,
}

impl Party {
    pub(crate) const ALL: [Self; 2] = [Self::Subject, Self::Issuer];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Subject => "Subject",
            Self::Issuer => "Issuer",
        }
    }
}

/// Which part of a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Field {
    Attribute(DnAttribute),
    Alternative(AlternativeName),
}

/// Which of several values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pick {
    /// The suffix `.N`, from 0; no suffix is 0.
    Index(usize),
    /// The suffix `.List`.
    List,
}

/// Keys whose value belongs to a request and not to the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MomentaryKey {
    ConnectAttributes,
    LastWillTopic,
    Topic,
    IncludeSocketInformation,
    ThingArn,
    CurrentTime,
    EpochTime,
}

impl Key {
    fn parse(text: &str) -> Option<Self> {
        if let Some(key) = PLAIN.iter().find(|(name, _)| name.eq_ignore_ascii_case(text)) {
            return Some(key.1.clone());
        }
        if let Some(rest) = strip(text, "iot:Connection.Thing.Attributes[") {
            return rest.strip_suffix(']').map(|name| Self::Thing(ThingKey::Attribute(name.into())));
        }
        strip(text, "iot:Certificate.").and_then(CertificateKey::parse).map(Self::Certificate)
    }
}

const PLAIN: [(&str, Key); 26] = [
    ("iot:ClientId", Key::ClientId),
    ("aws:SourceIp", Key::SourceIp),
    ("iot:DomainName", Key::DomainName),
    ("iot:CertificateId", Key::CertificateId),
    ("iot:Connection.Thing.ThingName", Key::Thing(ThingKey::Name)),
    ("iot:Connection.Thing.ThingTypeName", Key::Thing(ThingKey::TypeName)),
    ("iot:Connection.Thing.IsAttached", Key::Thing(ThingKey::IsAttached)),
    ("iot:ConnectAttributes", Key::Momentary(MomentaryKey::ConnectAttributes)),
    ("iot:LastWillTopic", Key::Momentary(MomentaryKey::LastWillTopic)),
    ("iot:Topic", Key::Momentary(MomentaryKey::Topic)),
    ("iot:IncludeSocketInformation", Key::Momentary(MomentaryKey::IncludeSocketInformation)),
    ("iot:ThingArn", Key::Momentary(MomentaryKey::ThingArn)),
    ("aws:CurrentTime", Key::Momentary(MomentaryKey::CurrentTime)),
    ("aws:EpochTime", Key::Momentary(MomentaryKey::EpochTime)),
    ("aws:username", Key::Iam(IamKey::Username)),
    ("aws:userid", Key::Iam(IamKey::UserId)),
    ("aws:PrincipalType", Key::Iam(IamKey::PrincipalType)),
    ("aws:PrincipalArn", Key::Iam(IamKey::PrincipalArn)),
    ("aws:PrincipalAccount", Key::Iam(IamKey::PrincipalAccount)),
    ("aws:TokenIssueTime", Key::Iam(IamKey::TokenIssueTime)),
    ("cognito-identity.amazonaws.com:sub", Key::Iam(IamKey::CognitoSub)),
    ("cognito-identity.amazonaws.com:aud", Key::Iam(IamKey::CognitoAud)),
    ("cognito-identity.amazonaws.com:amr", Key::Iam(IamKey::CognitoAmr)),
    ("credentials-iot:ThingName", Key::Iam(IamKey::DeviceThingName)),
    ("credentials-iot:ThingTypeName", Key::Iam(IamKey::DeviceThingTypeName)),
    ("credentials-iot:AwsCertificateId", Key::Iam(IamKey::DeviceCertificateId)),
];

impl CertificateKey {
    fn parse(text: &str) -> Option<Self> {
        let plain = [("SerialNumber", Self::SerialNumber), ("AvailableKeys", Self::AvailableKeys)];
        if let Some((_, key)) = plain.into_iter().find(|(name, _)| name.eq_ignore_ascii_case(text)) {
            return Some(key);
        }
        let mut parts = text.split('.');
        let party = parts.next()?;
        let party = Party::ALL.into_iter().find(|p| p.name().eq_ignore_ascii_case(party))?;
        let field = parts.next()?;
        let field = if field.eq_ignore_ascii_case("AlternativeName") {
            let kind = parts.next()?;
            Field::Alternative(
                AlternativeName::ALL.into_iter().find(|k| k.name().eq_ignore_ascii_case(kind))?,
            )
        } else {
            Field::Attribute(DnAttribute::ALL.into_iter().find(|a| a.name().eq_ignore_ascii_case(field))?)
        };
        let pick = parts.next().map_or(Some(Pick::Index(0)), Pick::parse)?;
        parts.next().is_none().then_some(Self::Name { party, field, pick })
    }
}

impl Pick {
    fn parse(suffix: &str) -> Option<Self> {
        if suffix.eq_ignore_ascii_case("List") {
            return Some(Self::List);
        }
        let digits = !suffix.is_empty() && suffix.bytes().all(|b| b.is_ascii_digit());
        if digits { suffix.parse().ok().map(Self::Index) } else { None }
    }
}

fn strip<'a>(text: &'a str, prefix: &str) -> Option<&'a str> {
    let (head, rest) = text.split_at_checked(prefix.len())?;
    head.eq_ignore_ascii_case(prefix).then_some(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn certificate_keys_are_taken_apart() {
        let name = |party, field, pick| Some(Key::Certificate(CertificateKey::Name { party, field, pick }));
        let cn = Field::Attribute(DnAttribute::CommonName);
        let dns = Field::Alternative(AlternativeName::DnsName);
        let parse = Key::parse;
        assert_eq!(parse("iot:Certificate.Subject.CommonName"), name(Party::Subject, cn, Pick::Index(0)));
        assert_eq!(parse("iot:Certificate.Issuer.CommonName.2"), name(Party::Issuer, cn, Pick::Index(2)));
        assert_eq!(parse("IOT:certificate.subject.commonname.list"), name(Party::Subject, cn, Pick::List));
        assert_eq!(
            parse("iot:Certificate.Subject.AlternativeName.DNSName.List"),
            name(Party::Subject, dns, Pick::List)
        );
        for unknown in [
            "iot:Certificate.Subject.CommonName.+1",
            "iot:Certificate.Subject.CommonName.1.1",
            "iot:Certificate.Subject",
            "iot:Certificate.Subject.AlternativeName",
            "iot:Certificate.Subject.CommonName.99999999999999999999999",
            "iot:Thing.ThingName",
            "iot:Connection.Thing.Attributes[x",
            "",
        ] {
            assert_eq!(parse(unknown), None, "{unknown}");
        }
    }

    #[test]
    fn attribute_names_keep_their_case() {
        let expected = Some(Key::Thing(ThingKey::Attribute("rooM".into())));
        assert_eq!(Key::parse("iot:connection.THING.attributes[rooM]"), expected);
    }
}
