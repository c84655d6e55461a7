//! What the store keeps of sessions and wills, and where it keeps the messages of sessions, groups and retained topics.
//!
//! Invariant: what one version of the program has written the next one reads: fields that came later have a default, and
//! what cannot be read is told of by its absence, never guessed. The messages themselves are
//! [`session::stored`]'s. Nothing here reads or writes: that is the broker's business.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use dialect::Dialect;
use identity::{ClientId, CustomPrincipal, IamPrincipal, Principal, Timestamp};
use mqtt::{QoS, TopicFilter, Version};
use serde::{Deserialize, Serialize};
use session::mutation::{self, Mutation};
use session::{ExactlyOnce, Session, Subscription, WillPlan, stored};
use store::{Key, Keyspace, Space};

use standing::{Bearer, Grant, Granted, GrantedDocument};

mod readable;
mod retained;

pub use readable::{client_of, readable, unreadable, with_remedy};
pub use retained::RetainedRecord;

/// Key: client id. Persistent sessions without their messages, which are in the journal.
pub const SESSIONS: Keyspace<SessionRecord> = Keyspace::new("sessions");
/// Key: client id. Wills of connected clients, and those that wait for their delay.
pub const WILLS: Keyspace<WillRecord> = Keyspace::new("wills");
/// Key: topic. Retained messages: [`RetainedRecord`].
pub const RETAINED: Space = Space::new("retained");

/// A persistent session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionRecord {
    /// Tells one session of a client from its next.
    pub incarnation: String,
    /// 4 for MQTT 3.1.1, 5 for MQTT 5.
    pub version: u8,
    /// How long it outlives a connection, seconds.
    pub expiry: u32,
    /// When its connection ended; none while there is one.
    pub ended: Option<Timestamp>,
    /// Its subscriptions, with what was granted.
    pub subscriptions: Vec<SubscriptionRecord>,
    /// Identifiers of QoS 2 messages from the client that it has not released.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub received: Vec<u16>,
    /// Up to which place of [`received_key`]'s log that is right.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub seen: u64,
    /// Identifiers of QoS 2 messages to the client that it has not completed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub released: Vec<u16>,
    /// Places in the journal of QoS 2 messages that the client has.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub finished: Vec<u64>,
    /// `versionNumber` of its client's next connection; 0 if it is not known.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub next_version: u64,
    /// The connection that it has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connection: Option<ConnectionRecord>,
}

/// A connection: if the process dies its end is told of at the next start.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConnectionRecord {
    /// Who it is.
    pub principal: PrincipalRecord,
    /// The client's address.
    pub peer: std::net::SocketAddr,
    /// `sessionIdentifier` of its lifecycle events.
    pub identifier: String,
}

impl ConnectionRecord {
    /// As it is kept.
    pub fn of(bearer: &Bearer, identifier: &str) -> Self {
        let principal = PrincipalRecord::of(&bearer.principal);
        Self { principal, peer: bearer.peer, identifier: identifier.to_owned() }
    }

    /// Whose it was, as far as its end tells of it. `None` if it names nobody.
    pub fn bearer(&self, client_id: &ClientId) -> Option<Bearer> {
        Some(Bearer {
            principal: self.principal.principal()?,
            certificate: None,
            client_id: Some(client_id.clone()),
            peer: self.peer,
            server_name: None,
            grant: None,
        })
    }
}

/// A subscription of a persistent session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SubscriptionRecord {
    /// The whole filter, with `$share/...`.
    pub filter: String,
    /// As granted: 0, 1 or 2.
    pub qos: u8,
    /// The client does not want its own messages.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub no_local: bool,
    /// RETAIN comes as it was published.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub retain_as_published: bool,
    /// Its subscription identifier.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identifier: Option<u32>,
}

/// A will that is to be published if the process dies.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WillRecord {
    /// Whose permissions count: a certificate id or a name.
    pub principal: PrincipalRecord,
    /// The client's address, for policies that ask for it.
    pub peer: std::net::SocketAddr,
    /// The name by which it asked for the server, for policies that ask for it.
    pub server_name: Option<String>,
    /// Seconds from the disconnect.
    pub expiry: Option<u32>,
    /// Will Delay Interval, seconds from the disconnect.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub delay: u64,
    /// When it is due, if its connection has ended and it waits for its delay.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due: Option<Timestamp>,
    /// What a custom authorizer granted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grant: Option<GrantRecord>,
    /// The message, as in the journal.
    #[serde(with = "hexadecimal")]
    pub message: Vec<u8>,
}

/// What a custom authorizer granted: nobody can be asked again after the process died.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GrantRecord {
    /// Its name.
    pub authorizer: String,
    /// The policy documents, as it wrote them.
    pub documents: Vec<String>,
}

impl GrantRecord {
    /// As it is kept.
    pub fn of(grant: &Grant) -> Self {
        let documents = grant.documents.iter().map(|granted| granted.text.as_ref().to_owned()).collect();
        Self { authorizer: grant.authorizer.as_ref().to_owned(), documents }
    }

    /// `None` if one of the documents cannot be read: it might have denied something.
    pub fn grant(&self) -> Option<Grant> {
        let document = |text: &String| {
            let document = Arc::new(policy::Document::parse(text).ok()?);
            Some(GrantedDocument { text: text.as_str().into(), document })
        };
        let documents: Option<Vec<_>> = self.documents.iter().map(document).collect();
        Some(Grant {
            authorizer: self.authorizer.as_str().into(),
            documents: documents?.into(),
            refresh_at: Timestamp::NEVER,
            renewal: None,
        })
    }
}

/// Who somebody is, by the credential.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum PrincipalRecord {
    /// A certificate's id.
    Certificate(String),
    /// The id of an access key of the account.
    AccessKey(String),
    /// The name of a client without a credential.
    Plain(String),
    /// An IAM identity.
    Iam(Box<IamPrincipal>),
    /// Whom a custom authorizer let in.
    Custom(CustomPrincipal),
}

mod hexadecimal {
    //! Bytes as text in JSON.
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        let text: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        serializer.serialize_str(&text)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        let text = String::deserialize(deserializer)?;
        let is_pair = |pair: &&str| pair.bytes().all(|digit| digit.is_ascii_hexdigit());
        let pair = |at: usize| text.get(at..at + 2).filter(is_pair);
        let digit = |at: usize| pair(at).and_then(|pair| u8::from_str_radix(pair, 16).ok());
        let bytes: Option<Vec<u8>> = (0..text.len()).step_by(2).map(digit).collect();
        bytes.ok_or_else(|| serde::de::Error::custom("not hexadecimal"))
    }
}

/// The key of a client's records.
pub fn client_key(client_id: &ClientId) -> Key {
    Key::of(&[client_id.as_str()])
}

/// The journal of a session.
pub fn journal_key(client_id: &ClientId, incarnation: &str) -> Key {
    Key::of(&[client_id.as_str(), incarnation])
}

/// The log of identifiers of QoS 2 messages from a session's client: written with the messages, all or nothing. A client
/// id is never empty, so this is nobody's journal.
pub fn received_key(client_id: &ClientId, incarnation: &str) -> Key {
    Key::of(&["", client_id.as_str(), incarnation])
}

/// Whose a journal is: a client and an incarnation. `None` if it is neither [`journal_key`]'s nor [`received_key`]'s.
pub fn owner(journal: &Key) -> Option<(ClientId, String)> {
    let mut parts = journal.parts();
    if parts.len() == 3 && parts.first().is_some_and(String::is_empty) {
        parts.remove(0);
    }
    let [client_id, incarnation] = <[String; 2]>::try_from(parts).ok()?;
    Some((ClientId::new(&client_id).ok()?, incarnation))
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

impl PrincipalRecord {
    /// As it is kept.
    pub fn of(principal: &Principal) -> Self {
        match principal {
            Principal::Certificate(id) => Self::Certificate(id.as_str().to_owned()),
            Principal::AccessKey(id) => Self::AccessKey(id.as_ref().to_owned()),
            Principal::Plain(name) => Self::Plain(name.as_ref().to_owned()),
            Principal::Iam(who) => Self::Iam(Box::new(IamPrincipal::clone(who))),
            Principal::Custom(who) => Self::Custom(CustomPrincipal::clone(who)),
        }
    }

    /// The principal again; `None` if it is not one.
    pub fn principal(&self) -> Option<Principal> {
        Some(match self {
            Self::Certificate(id) => Principal::Certificate(identity::CertificateId::new(id).ok()?),
            Self::AccessKey(id) => Principal::AccessKey(id.as_str().into()),
            Self::Plain(name) => Principal::Plain(name.as_str().into()),
            Self::Iam(who) => Principal::Iam(Arc::from(who.clone())),
            Self::Custom(who) => Principal::Custom(Arc::new(who.clone())),
        })
    }
}

impl SessionRecord {
    /// As it is kept, but for [`Self::next_version`] and [`Self::connection`]; `ended` is when its connection ended, none while there is one.
    pub fn of(session: &Session, incarnation: &str, ended: Option<Timestamp>) -> Self {
        let subscription = |known: &Subscription| SubscriptionRecord {
            filter: known.filter.as_str().to_owned(),
            qos: known.qos as u8,
            no_local: known.no_local,
            retain_as_published: known.retain_as_published,
            identifier: known.identifier,
        };
        let forgotten = usize::from(mutation::is(Mutation::ForgetsSubscription));
        let ExactlyOnce { received, seen, released, finished } = session.exactly_once();
        Self {
            incarnation: incarnation.to_owned(),
            version: if session.version() == Version::V5 { 5 } else { 4 },
            expiry: session.expiry,
            ended,
            subscriptions: session.subscriptions().skip(forgotten).map(subscription).collect(),
            received,
            seen,
            released,
            finished,
            next_version: 0,
            connection: None,
        }
    }

    fn exactly_once(&self) -> ExactlyOnce {
        ExactlyOnce {
            received: self.received.clone(),
            seen: self.seen,
            released: self.released.clone(),
            finished: self.finished.clone(),
        }
    }

    /// The session again, with nothing known of its journal. A filter that the dialect would not let a client subscribe to
    /// any more is none of its faults.
    ///
    /// # Errors
    /// What of it is not what a session has.
    pub fn session(&self, dialect: &Dialect) -> Result<Session, String> {
        let version = match self.version {
            4 => Version::V311,
            5 => Version::V5,
            other => return Err(format!("there is no version {other} of MQTT")),
        };
        if self.connection.as_ref().is_some_and(|connection| connection.principal.principal().is_none()) {
            return Err("its connection names nobody".to_owned());
        }
        let mut session = Session::recovered(version, self.expiry, dialect);
        self.subscriptions
            .iter()
            .filter_map(SubscriptionRecord::subscription)
            .for_each(|known| session.subscribe(known));
        let lost = self.subscriptions.len().saturating_sub(session.subscription_count());
        if lost > 0 {
            return Err(format!("{lost} of its subscriptions are not valid"));
        }
        session.restore_exactly_once(&self.exactly_once());
        Ok(session)
    }
}

impl SubscriptionRecord {
    fn subscription(&self) -> Option<Subscription> {
        let filter = TopicFilter::try_from(self.filter.as_str()).ok()?;
        let Self { no_local, retain_as_published, identifier, .. } = *self;
        Some(Subscription {
            filter,
            qos: QoS::from_number(self.qos)?,
            no_local,
            retain_as_published,
            identifier,
        })
    }
}

impl WillRecord {
    /// Whose it is, without what a certificate says, and the will.
    ///
    /// # Errors
    /// What of it cannot be read.
    pub fn will(&self, client_id: ClientId) -> Result<(Bearer, WillPlan), String> {
        let message = stored::decode(&Bytes::copy_from_slice(&self.message));
        let granted = |grant: &GrantRecord| grant.grant().ok_or("a policy of its grant cannot be read");
        let bearer = Bearer {
            principal: self.principal.principal().ok_or("it names nobody")?,
            certificate: None,
            client_id: Some(client_id),
            peer: self.peer,
            server_name: self.server_name.as_deref().map(Arc::from),
            grant: self.grant.as_ref().map(granted).transpose()?.map(Granted::new),
        };
        let message = message.ok_or("its message cannot be read")?;
        Ok((bearer, WillPlan::restored(message, Duration::from_secs(self.delay), self.expiry)))
    }
}

#[cfg(test)]
mod tests;
