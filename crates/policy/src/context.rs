//! What is known of a connection and of one request: the values behind policy variables and condition keys.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use identity::{
    CertificateFacts, ClientId, IamKind, IamPrincipal, Site, ThingName, ThingTypeName, Timestamp,
};

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
    /// `aws:username`, `cognito-identity.amazonaws.com:sub` and their like: for IAM policies only.
    pub iam: Option<Arc<IamFacts>>,
}

/// What an IAM policy may know of who signed.
///
/// Source: IAM user guide, *AWS global condition context keys*, *Available keys for AWS web identity federation*;
/// developer guide, *Authorizing direct calls to AWS services using AWS IoT Core credential provider*.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IamFacts {
    /// `aws:username`; a user only.
    pub username: Option<String>,
    /// `aws:userid`: `AIDA...`, or `AROA...:SESSION`.
    pub user_id: String,
    /// `aws:PrincipalType`: `User` or `AssumedRole`.
    pub principal_type: &'static str,
    /// `aws:PrincipalArn`: the user, or the role without its session.
    pub principal_arn: String,
    /// `aws:PrincipalAccount`.
    pub account: String,
    /// `aws:TokenIssueTime`: when the session was made; a session only.
    pub token_issued: Option<Timestamp>,
    /// `cognito-identity.amazonaws.com:sub`: the identity's id.
    pub cognito_sub: Option<String>,
    /// `cognito-identity.amazonaws.com:aud`: the pool's id.
    pub cognito_aud: Option<String>,
    /// `cognito-identity.amazonaws.com:amr`: `authenticated` or `unauthenticated`.
    pub cognito_amr: Option<&'static str>,
    /// `credentials-iot:ThingName`.
    pub device_thing_name: Option<String>,
    /// `credentials-iot:ThingTypeName`.
    pub device_thing_type_name: Option<String>,
    /// `credentials-iot:AwsCertificateId`.
    pub device_certificate_id: Option<String>,
}

impl IamFacts {
    /// Of whoever signed, in the account of a site.
    pub fn new(who: &IamPrincipal, site: &Site) -> Self {
        let (username, principal_type, resource) = match &who.kind {
            IamKind::User(name) => (Some(name.clone()), "User", format!("user/{name}")),
            IamKind::Role { name, .. } => (None, "AssumedRole", format!("role/{name}")),
        };
        let (cognito, device) = (who.cognito.as_ref(), who.device.as_ref());
        Self {
            username,
            user_id: who.unique_id.clone(),
            principal_type,
            principal_arn: format!("arn:{}:iam::{}:{resource}", site.partition(), site.account),
            account: site.account.to_string(),
            token_issued: who.token_issued(),
            cognito_sub: cognito.map(|identity| identity.id.clone()),
            cognito_aud: cognito.map(|identity| identity.pool_id.clone()),
            cognito_amr: cognito.map(|identity| match identity.authenticated {
                true => "authenticated",
                false => "unauthenticated",
            }),
            device_thing_name: device.and_then(|device| device.thing_name.clone()),
            device_thing_type_name: device.and_then(|device| device.thing_type_name.clone()),
            device_certificate_id: device.map(|device| device.certificate_id.clone()),
        }
    }
}

/// What only one request knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestFacts<'a> {
    /// Counts for `iot:Connect` only.
    Connect(ConnectFacts<'a>),
    /// Of a call of the API.
    Call(CallFacts<'a>),
}

impl<'a> From<ConnectFacts<'a>> for RequestFacts<'a> {
    fn from(facts: ConnectFacts<'a>) -> Self {
        Self::Connect(facts)
    }
}

impl<'a> From<CallFacts<'a>> for RequestFacts<'a> {
    fn from(facts: CallFacts<'a>) -> Self {
        Self::Call(facts)
    }
}

/// What condition keys ask of a call of the API.
///
/// Source: service authorization reference, *Actions, resources, and condition keys for AWS IoT*.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CallFacts<'a> {
    /// `iot:Topic` of SendDirectMessage, as the plain topic.
    pub topic: Option<&'a str>,
    /// `iot:IncludeSocketInformation` of GetConnection.
    pub include_socket_information: Option<bool>,
    /// `iot:ThingArn` of AttachThingPrincipal and DetachThingPrincipal, as the thing's name.
    pub thing: Option<&'a str>,
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
