//! What is known of a connection and of one request: the values behind policy variables and condition keys.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use identity::{CertificateFacts, ClientId, ThingName, ThingTypeName};

/// What a policy may know of the thing that a connection is associated with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ThingFacts {
    /// `iot:Connection.Thing.ThingName`.
    pub name: ThingName,
    /// `iot:Connection.Thing.ThingTypeName`.
    pub type_name: Option<ThingTypeName>,
    /// `iot:Connection.Thing.Attributes[NAME]`, names case-sensitive.
    pub attributes: BTreeMap<String, String>,
}

/// All that is fixed while a connection lasts. What is `None` has no value: variables that name it are not
/// substituted, conditions see an absent key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConnectionContext {
    /// `iot:ClientId`; none over HTTP.
    pub client_id: Option<ClientId>,
    /// `aws:SourceIp`. An IPv4 address in IPv6 clothes counts as IPv4.
    pub source_ip: Option<IpAddr>,
    /// `iot:DomainName`: the server name that the client asked for.
    pub domain_name: Option<Arc<str>>,
    /// `iot:CertificateId` and `iot:Certificate.*`.
    pub certificate: Option<Arc<CertificateFacts>>,
    /// `iot:Connection.Thing.*`: the thing named by the client id if the principal is attached to it, or the
    /// thing that holds the principal exclusively. Whoever builds the context applies that rule.
    pub thing: Option<Arc<ThingFacts>>,
    /// `iot:Connection.Thing.IsAttached`; none over HTTP.
    pub is_attached: Option<bool>,
}

/// What only a CONNECT knows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ConnectFacts<'a> {
    /// `PersistentConnect` in `iot:ConnectAttributes`: clean session 0, or a session expiry above zero.
    pub persistent: bool,
    /// `LastWill` in `iot:ConnectAttributes`: the Will flag.
    pub last_will: bool,
    /// `iot:LastWillTopic`, as the plain topic.
    pub last_will_topic: Option<&'a str>,
}
