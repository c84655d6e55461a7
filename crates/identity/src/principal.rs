//! Who is asking.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::{CertificateId, Timestamp};

/// An authenticated identity.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Principal {
    /// An X.509 client certificate registered with the account.
    Certificate(CertificateId),
    /// An access key of the account's owner: everything is allowed.
    AccessKey(Arc<str>),
    /// An IAM user, or a session of an IAM role.
    Iam(Arc<IamPrincipal>),
    /// Whoever a custom authorizer says it is.
    Custom(Arc<CustomPrincipal>),
    /// The nameless neighbour of the plaintext test listener, under the name the operator gave it.
    Plain(Arc<str>),
}

/// Who signed with an access key that is not the owner's.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct IamPrincipal {
    /// The key: `AKIA...` of a user, `ASIA...` of a session.
    pub access_key_id: String,
    /// `aws:userid`: `AIDA...` of a user, `AROA...:SESSION` of a session.
    pub unique_id: String,
    /// Whose policies count.
    pub kind: IamKind,
    /// The Amazon Cognito identity that the credentials were given to, if they were.
    pub cognito: Option<CognitoIdentity>,
    /// The device that the credentials provider gave the credentials to, if it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<DeviceSession>,
    /// A policy document that narrows the session down: what it does not allow, nothing does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session_policy: Option<String>,
    /// When the session was made. None for a user's own key, and for sessions that were made before it was noted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issued: Option<Timestamp>,
}

/// Whose IAM policies count.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum IamKind {
    /// A user by name.
    User(String),
    /// A role, assumed.
    Role {
        /// The role's name.
        name: String,
        /// The session's name.
        session: String,
    },
}

/// An identity of an Amazon Cognito identity pool.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct CognitoIdentity {
    /// `REGION:UUID`: `cognito-identity.amazonaws.com:sub`, and the target of AttachPolicy.
    pub id: String,
    /// `REGION:UUID` of the pool: `cognito-identity.amazonaws.com:aud`.
    pub pool_id: String,
    /// An authenticated identity also needs IoT policies that are attached to it.
    pub authenticated: bool,
}

/// What a session of the credentials provider knows of its device: the `credentials-iot:` keys of IAM policies.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct DeviceSession {
    /// `credentials-iot:ThingName`: the thing that the request named, if it named one.
    pub thing_name: Option<String>,
    /// `credentials-iot:ThingTypeName`: that thing's type.
    pub thing_type_name: Option<String>,
    /// `credentials-iot:AwsCertificateId`.
    pub certificate_id: String,
}

/// Who a custom authorizer says that a client is.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct CustomPrincipal {
    /// `principalId` of the authorizer's answer.
    pub principal_id: String,
    /// The authorizer's name.
    pub authorizer: String,
}

impl IamPrincipal {
    /// `aws:TokenIssueTime`: when the session was made, none for a user's own key. A session whose time was not noted is as
    /// old as can be: whoever revokes sessions means it too.
    pub fn token_issued(&self) -> Option<Timestamp> {
        let is_session = self.access_key_id.starts_with("ASIA");
        is_session.then(|| self.issued.unwrap_or(Timestamp(0)))
    }

    /// Its ARN in an account, as STS's GetCallerIdentity tells it.
    pub fn arn(&self, account: &str) -> String {
        match &self.kind {
            IamKind::User(name) => format!("arn:aws:iam::{account}:user/{name}"),
            IamKind::Role { name, session } => {
                format!("arn:aws:sts::{account}:assumed-role/{name}/{session}")
            }
        }
    }
}

impl Principal {
    /// What lifecycle events and logs call `principalIdentifier`: the certificate id, or the credential's id.
    pub fn identifier(&self) -> &str {
        match self {
            Self::Certificate(id) => id.as_str(),
            Self::AccessKey(id) | Self::Plain(id) => id,
            Self::Iam(who) => &who.unique_id,
            Self::Custom(who) => &who.principal_id,
        }
    }
}

impl fmt::Display for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Certificate(id) => write!(f, "certificate {id}"),
            Self::AccessKey(id) => write!(f, "access key {id}"),
            Self::Plain(name) => write!(f, "plaintext principal {name}"),
            Self::Iam(who) => match (&who.kind, &who.cognito) {
                (_, Some(identity)) => write!(f, "Cognito identity {}", identity.id),
                (IamKind::User(name), None) => write!(f, "IAM user {name}"),
                (IamKind::Role { name, session }, None) => write!(f, "IAM role {name} (session {session})"),
            },
            Self::Custom(who) => write!(f, "{} (authorizer {})", who.principal_id, who.authorizer),
        }
    }
}
