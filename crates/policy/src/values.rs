//! From keys to values: what a connection and a request answer to the keys of a policy.
//!
//! Sources: developer guide, *X.509 certificate AWS IoT Core policy variables* (first value, index, list, at most
//! five values, 1024 characters, unsubstitutable characters, escaping), *Thing policy variables*.

use std::borrow::Cow;

use identity::{CertificateFacts, Site, Timestamp};
use smallvec::{SmallVec, smallvec};

use crate::key::{CertificateKey, Field, IamKey, Key, MomentaryKey, Party, Pick, ThingKey};
use crate::scalar::{date, format_date, number};
use crate::{CallFacts, ConnectFacts, ConnectionContext, IamFacts, RequestFacts};

/// Values of a certificate's attribute beyond this many are ignored.
const LONGEST_LIST: usize = 5;
/// Certificate values with more characters than this are not substituted.
const LONGEST_VALUE: usize = 1024;

/// One value of a key.
#[derive(Clone, Debug)]
pub(crate) enum Value<'a> {
    Text(Cow<'a, str>),
    Date(Timestamp),
    EpochTime(Timestamp),
}

/// All values of a key that is present.
pub(crate) type Values<'a> = SmallVec<[Value<'a>; 2]>;

impl Value<'_> {
    pub(crate) fn text(&self) -> Cow<'_, str> {
        match self {
            Self::Text(text) => Cow::Borrowed(text),
            Self::Date(at) => format_date(at.millis()).into(),
            Self::EpochTime(now) => (now.millis() / 1000).to_string().into(),
        }
    }

    pub(crate) fn number(&self) -> Option<f64> {
        match self {
            Self::Text(text) => number(text),
            Self::Date(_) => None,
            Self::EpochTime(now) => Some(now.seconds().floor()),
        }
    }

    pub(crate) fn date(&self) -> Option<i64> {
        match self {
            Self::Text(text) => date(text),
            Self::Date(at) | Self::EpochTime(at) => i64::try_from(at.millis()).ok(),
        }
    }
}

/// What belongs to one request.
#[derive(Clone, Copy)]
pub(crate) struct Moment<'a> {
    pub(crate) site: &'a Site,
    pub(crate) request: Option<RequestFacts<'a>>,
    pub(crate) now: Timestamp,
}

/// The values of `iot:ConnectAttributes`.
pub(crate) fn connect_attributes<'v>(facts: ConnectFacts<'_>) -> Values<'v> {
    let names = [(facts.persistent, "PersistentConnect"), (facts.last_will, "LastWill")];
    names.into_iter().filter(|(present, _)| *present).map(|(_, name)| text(name)).collect()
}

impl<'a> Moment<'a> {
    fn connect(&self) -> Option<ConnectFacts<'a>> {
        match self.request {
            Some(RequestFacts::Connect(facts)) => Some(facts),
            _ => None,
        }
    }

    fn call(&self) -> Option<CallFacts<'a>> {
        match self.request {
            Some(RequestFacts::Call(facts)) => Some(facts),
            _ => None,
        }
    }

    /// The values of a key that belongs to the request.
    pub(crate) fn values(&self, key: MomentaryKey) -> Option<Values<'_>> {
        match key {
            MomentaryKey::ConnectAttributes => Some(connect_attributes(self.connect()?)),
            MomentaryKey::LastWillTopic => {
                let topic = self.connect()?.last_will_topic?;
                Some(smallvec![Value::Text(self.site.arn("topic", topic).into())])
            }
            MomentaryKey::Topic => Some(smallvec![text(self.call()?.topic?)]),
            MomentaryKey::IncludeSocketInformation => {
                Some(smallvec![text(truth(self.call()?.include_socket_information?))])
            }
            MomentaryKey::ThingArn => {
                Some(smallvec![Value::Text(self.site.arn("thing", self.call()?.thing?).into())])
            }
            MomentaryKey::CurrentTime => Some(smallvec![Value::Date(self.now)]),
            MomentaryKey::EpochTime => Some(smallvec![Value::EpochTime(self.now)]),
        }
    }
}

fn text(text: &str) -> Value<'_> {
    Value::Text(text.into())
}

fn truth(is: bool) -> &'static str {
    if is { "true" } else { "false" }
}

impl ConnectionContext {
    /// The values of a key, `None` if the key is absent.
    pub(crate) fn values<'a>(&'a self, key: &Key, moment: &'a Moment<'_>) -> Option<Values<'a>> {
        match key {
            Key::Momentary(key) => moment.values(*key),
            fixed => self.fixed_values(fixed),
        }
    }

    /// The values of a key that the connection fixes.
    pub(crate) fn fixed_values(&self, key: &Key) -> Option<Values<'_>> {
        match key {
            Key::Certificate(key) => key.values(self.certificate.as_deref()?),
            // To the millisecond: a text would have whole seconds.
            Key::Iam(IamKey::TokenIssueTime) => {
                Some(smallvec![Value::Date(self.iam.as_deref()?.token_issued?)])
            }
            other => Some(smallvec![Value::Text(self.plain_value(other)?)]),
        }
    }

    /// What a variable is replaced by, if it can be. Lists and keys of the moment cannot stand in a text.
    pub(crate) fn variable(&self, key: &Key) -> Option<Cow<'_, str>> {
        let Key::Certificate(key) = key else { return self.plain_value(key) };
        if key.is_list() {
            return None;
        }
        match key.values(self.certificate.as_deref()?)?.into_iter().next()? {
            Value::Text(text) if is_substitutable(&text) => Some(text),
            _ => None,
        }
    }

    fn plain_value(&self, key: &Key) -> Option<Cow<'_, str>> {
        let thing = self.thing.as_deref();
        match key {
            Key::ClientId => self.client_id.as_ref().map(|id| id.as_str().into()),
            Key::SourceIp => self.source_ip.map(|ip| ip.to_canonical().to_string().into()),
            Key::DomainName => self.domain_name.as_deref().map(Into::into),
            Key::CertificateId => self.certificate.as_ref().map(|c| c.id.as_str().into()),
            Key::Thing(ThingKey::Name) => thing.map(|thing| thing.name.as_str().into()),
            Key::Thing(ThingKey::TypeName) => thing?.type_name.as_ref().map(|name| name.as_str().into()),
            Key::Thing(ThingKey::Attribute(name)) => thing?.attributes.get(&**name).map(Into::into),
            Key::Thing(ThingKey::IsAttached) => self.is_attached.map(|is| truth(is).into()),
            Key::Iam(key) => key.value(self.iam.as_deref()?),
            Key::Certificate(_) | Key::Momentary(_) | Key::Unknown => None,
        }
    }
}

impl IamKey {
    fn value(self, facts: &IamFacts) -> Option<Cow<'_, str>> {
        let text = match self {
            Self::TokenIssueTime => return facts.token_issued.map(|at| format_date(at.millis()).into()),
            Self::Username => facts.username.as_deref(),
            Self::UserId => Some(facts.user_id.as_str()),
            Self::PrincipalType => Some(facts.principal_type),
            Self::PrincipalArn => Some(facts.principal_arn.as_str()),
            Self::PrincipalAccount => Some(facts.account.as_str()),
            Self::CognitoSub => facts.cognito_sub.as_deref(),
            Self::CognitoAud => facts.cognito_aud.as_deref(),
            Self::CognitoAmr => facts.cognito_amr,
            Self::DeviceThingName => facts.device_thing_name.as_deref(),
            Self::DeviceThingTypeName => facts.device_thing_type_name.as_deref(),
            Self::DeviceCertificateId => facts.device_certificate_id.as_deref(),
        };
        text.map(Into::into)
    }
}

/// AWS leaves `${...}` standing for values with these characters, so that no value brings wildcards with it.
fn is_substitutable(value: &str) -> bool {
    !value.contains(['*', '$', '+', '?', '#']) && value.chars().count() <= LONGEST_VALUE
}

impl CertificateKey {
    fn is_list(self) -> bool {
        matches!(self, Self::AvailableKeys | Self::Name { pick: Pick::List, .. })
    }

    fn values(self, facts: &CertificateFacts) -> Option<Values<'_>> {
        match self {
            Self::SerialNumber => Some(smallvec![text(&facts.serial_number)]),
            Self::AvailableKeys => Some(available_keys(facts)),
            Self::Name { party, field, pick } => {
                let mut values = party.values(field, facts).map(Value::Text);
                match pick {
                    Pick::Index(index) => Some(smallvec![values.nth(index)?]),
                    Pick::List => Some(values.collect::<Values<'_>>()).filter(|values| !values.is_empty()),
                }
            }
        }
    }
}

impl Party {
    fn values(self, field: Field, facts: &CertificateFacts) -> impl Iterator<Item = Cow<'_, str>> {
        let name = match self {
            Self::Subject => &facts.subject,
            Self::Issuer => &facts.issuer,
        };
        let attributes =
            name.attributes.iter().filter(move |(attribute, _)| field == Field::Attribute(*attribute));
        let others =
            name.alternative_names.iter().filter(move |(kind, _)| field == Field::Alternative(*kind));
        let attributes = attributes.map(|(_, value)| escape(value));
        attributes.chain(others.map(|(_, value)| value.into())).take(LONGEST_LIST)
    }
}

/// The names of all certificate variables that have a value, indices and lists left out.
fn available_keys(facts: &CertificateFacts) -> Values<'_> {
    let mut keys: Values<'_> = smallvec![text("iot:CertificateId"), text("iot:Certificate.SerialNumber")];
    for party in Party::ALL {
        let attributes = identity::DnAttribute::ALL.map(|a| (Field::Attribute(a), "", a.name()));
        let others = identity::AlternativeName::ALL;
        let others = others.map(|kind| (Field::Alternative(kind), "AlternativeName.", kind.name()));
        for (field, infix, name) in attributes.into_iter().chain(others) {
            if party.values(field, facts).next().is_some() {
                keys.push(Value::Text(format!("iot:Certificate.{}.{infix}{name}", party.name()).into()));
            }
        }
    }
    keys
}

/// Special characters of distinguished names appear with a backslash.
fn escape(value: &str) -> Cow<'_, str> {
    const SPECIAL: [char; 8] = [',', '"', '\\', '+', '=', '<', '>', ';'];
    if !value.contains(SPECIAL) {
        return value.into();
    }
    let escaped = value.chars().flat_map(|c| SPECIAL.contains(&c).then_some('\\').into_iter().chain([c]));
    escaped.collect::<String>().into()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use identity::{AlternativeName, CertificateId, DistinguishedName, DnAttribute};

    use super::*;
    use crate::key::KeyName;

    fn context() -> ConnectionContext {
        let many = (0..7).map(|n| (DnAttribute::OrganizationalUnit, format!("u{n}")));
        let mut attributes = vec![
            (DnAttribute::CommonName, "dev1".to_owned()),
            (DnAttribute::CommonName, "dev*".to_owned()),
            (DnAttribute::Organization, "O=Amazon, \"x\"".to_owned()),
            (DnAttribute::Title, "x".repeat(1025)),
        ];
        attributes.extend(many);
        let alternative_names = vec![(AlternativeName::DnsName, "a.example".to_owned())];
        let certificate = CertificateFacts {
            id: CertificateId::new(&"0a".repeat(32)).unwrap(),
            serial_number: "0a1b".into(),
            subject: DistinguishedName { attributes, alternative_names },
            issuer: DistinguishedName::default(),
            not_before: Timestamp(0),
            not_after: Timestamp(0),
        };
        ConnectionContext { certificate: Some(Arc::new(certificate)), ..Default::default() }
    }

    fn variable(name: &str) -> Option<String> {
        context().variable(&KeyName::parse(name).key).map(Cow::into_owned)
    }

    fn values(name: &str) -> Option<Vec<String>> {
        let context = context();
        let values = context.fixed_values(&KeyName::parse(name).key)?;
        Some(values.iter().map(|value| value.text().into_owned()).collect())
    }

    #[test]
    fn certificate_values_follow_their_rules() {
        let cn = "iot:Certificate.Subject.CommonName";
        assert_eq!(variable(cn).as_deref(), Some("dev1"));
        assert_eq!(variable(&format!("{cn}.0")).as_deref(), Some("dev1"));
        assert_eq!(variable(&format!("{cn}.1")), None, "a wildcard is not substituted");
        assert_eq!(variable(&format!("{cn}.2")), None, "a missing index is not substituted");
        assert_eq!(variable(&format!("{cn}.List")), None, "a list is not a text");
        assert_eq!(values(&format!("{cn}.1")).unwrap(), ["dev*"]);
        assert_eq!(values(&format!("{cn}.List")).unwrap(), ["dev1", "dev*"]);
        assert_eq!(variable("iot:Certificate.Subject.Organization").unwrap(), r#"O\=Amazon\, \"x\""#);
        assert_eq!(variable("iot:Certificate.Subject.Title"), None, "too long");
        let units = values("iot:Certificate.Subject.OrganizationalUnit.List").unwrap();
        assert_eq!(units, ["u0", "u1", "u2", "u3", "u4"]);
        assert_eq!(variable("iot:Certificate.Subject.OrganizationalUnit.5"), None);
        let dns = variable("iot:Certificate.Subject.AlternativeName.DNSName");
        assert_eq!(dns.as_deref(), Some("a.example"));
        assert_eq!(variable("iot:Certificate.SerialNumber").as_deref(), Some("0a1b"));
        assert_eq!(values("iot:Certificate.Issuer.CommonName.List"), None);
    }

    #[test]
    fn the_time_of_a_session_is_a_date_to_the_millisecond() {
        let facts = IamFacts { token_issued: Some(Timestamp(1_234_567)), ..IamFacts::default() };
        let context = ConnectionContext { iam: Some(Arc::new(facts)), ..Default::default() };
        let key = KeyName::parse("aws:tokenissuetime").key;
        let value = context.fixed_values(&key).unwrap().remove(0);
        assert_eq!((value.date(), value.number()), (Some(1_234_567), None));
        assert_eq!(context.variable(&key).as_deref(), Some("1970-01-01T00:20:34Z"));
        let none = ConnectionContext { iam: Some(Arc::default()), ..Default::default() };
        assert!(none.fixed_values(&key).is_none() && none.variable(&key).is_none());
    }

    #[test]
    fn available_keys_are_listed() {
        let keys = values("iot:Certificate.AvailableKeys").unwrap();
        for key in ["iot:Certificate.Subject.CommonName", "iot:Certificate.Subject.AlternativeName.DNSName"] {
            assert!(keys.iter().any(|k| k == key), "{keys:?}");
        }
        assert!(!keys.iter().any(|k| k.contains("Issuer")));
    }
}
