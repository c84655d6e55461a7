//! The HTTP data plane's side of the broker: publishing without a client id, reading retained messages.
//!
//! Source: API reference, *Publish*, *GetRetainedMessage*, *ListRetainedMessages*.

use std::sync::Arc;

use bytes::Bytes;
use dialect::Fault;
use events::Origin;
use identity::Timestamp;
use mqtt::{Message, MessageProperties, QoS, Text};
use policy::{CallFacts, Outcome};
use session::{Parcel, Violation, check};

use crate::Broker;
use crate::durable::{Then, Ticket};
use crate::publish::{Kept, Sender};
use standing::{HttpOrigin, Standing, Supposition};

/// A message from the HTTP data plane.
#[derive(Clone, Debug)]
pub struct PublishRequest {
    /// The topic, decoded.
    pub topic: String,
    /// The body.
    pub payload: Bytes,
    /// 0 or 1.
    pub qos: QoS,
    /// RETAIN.
    pub retain: bool,
    /// The MQTT 5 properties that the headers and the query carry.
    pub properties: MessageProperties,
    /// `messageExpiry`, in seconds.
    pub expiry: Option<u32>,
    /// Who asks.
    pub origin: HttpOrigin,
}

/// Why a message was not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PublishRefusal {
    /// The request breaks a rule of topics, sizes or properties: 400, or 413 for the payload.
    Invalid {
        /// The rule.
        fault: Fault,
        /// For people.
        message: String,
    },
    /// The policies do not allow it: 403.
    Forbidden(String),
    /// A quota: 429.
    Throttled(String),
    /// The store does not answer: 503.
    Unavailable(String),
}

/// A retained message as the API tells of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RetainedMessage {
    /// The topic.
    pub topic: String,
    /// The payload.
    pub payload: Bytes,
    /// The QoS with which it was published.
    pub qos: QoS,
    /// When it was stored.
    pub last_modified: Timestamp,
    /// Its user properties, in order.
    pub user_properties: Vec<(String, String)>,
}

impl RetainedMessage {
    fn of(kept: &Kept) -> Self {
        let message = &kept.parcel.message;
        Self {
            topic: message.topic.as_str().to_owned(),
            payload: message.payload.clone(),
            qos: kept.qos,
            last_modified: kept.stored,
            user_properties: message
                .properties
                .user_properties
                .iter()
                .map(|(key, value)| (key.to_string(), value.to_string()))
                .collect(),
        }
    }
}

impl Broker {
    /// Publishes a message that came over HTTP.
    ///
    /// # Errors
    /// The refusal.
    pub async fn publish(&self, request: PublishRequest, now: Timestamp) -> Result<(), PublishRefusal> {
        let inner = &self.0;
        let origin =
            Origin::Http { principal: &request.origin.credential.principal, peer: Some(request.origin.peer) };
        let trace = inner.uuid();
        let message = self.message(&request, now).map_err(|violation| {
            inner.report_publish_refused(origin, &request.topic, &violation, &trace, now);
            PublishRefusal::Invalid { fault: violation.fault, message: violation.detail.into_owned() }
        })?;
        let standing = self.http_standing(&request.origin, now).await?;
        let permits = inner.authorise_publish(&standing.view(), &message, now).map_err(|denied| {
            inner.report_publish_denied(origin, &denied, &trace, now);
            PublishRefusal::Forbidden(denied.to_string())
        })?;
        let admitted = inner.throttles.publish(message.qos, inner.dialect.limits(), now);
        admitted.and_then(|()| inner.admit_retained(&message, now)).map_err(|violation| {
            inner.report_publish_refused(origin, &request.topic, &violation, &trace, now);
            PublishRefusal::Throttled(violation.detail.into_owned())
        })?;
        inner.report_publish_in(origin, &message, (None, 0), now);
        let (parcel, sender) = (Arc::new(Parcel::new(message)), Sender { origin, session: 0 });
        let outcome = inner.distribute(permits, parcel, sender, now);
        if outcome.is_empty() {
            return Ok(());
        }
        let ticket = Ticket::new();
        inner.committer.submit(outcome.job(Then::Tell(ticket.clone())));
        ticket.wait().await.map_err(|error| PublishRefusal::Unavailable(error.to_string()))
    }

    /// Whether a custom authorizer may be asked about one more HTTPS request: counted, and limited like CONNECT.
    pub fn may_ask_for_request(&self, now: Timestamp) -> bool {
        self.0.throttles.ask_for_request(now)
    }

    /// May a principal do this by the API? `arn` is the resource, `*` for an operation without one; `facts` are what
    /// condition keys may ask of the call.
    ///
    /// # Errors
    /// The store does not answer: nothing is known of anybody.
    pub async fn decide(
        &self,
        origin: &HttpOrigin,
        action: &str,
        arn: &str,
        facts: CallFacts<'_>,
        now: Timestamp,
    ) -> Result<policy::Decision, store::StoreError> {
        let view = self.0.principals.view(&origin.bearer()).await;
        let view = view.map_err(|unread| self.0.unread(unread, now))?;
        Ok(view.authorizer.decide_arn(action, arn, facts, now))
    }

    /// Whether a caller's policies allow an action on a resource of the site (`topic`, `a/b`), or on `*`.
    ///
    /// # Errors
    /// Forbidden with the reason; Unavailable.
    pub async fn authorise_call(
        &self,
        origin: &HttpOrigin,
        action: &str,
        resource: Option<(&str, &str)>,
        now: Timestamp,
    ) -> Result<(), PublishRefusal> {
        let standing = self.http_standing(origin, now).await?;
        let view = standing.view();
        // No operation that comes here has keys of its own.
        let facts = CallFacts::default();
        let decision = match resource {
            Some((kind, name)) => view.authorizer.decide(action, kind, name, facts, now),
            None => view.authorizer.decide_arn(action, "*", facts, now),
        };
        match decision.outcome {
            Outcome::Allowed => Ok(()),
            _ => Err(PublishRefusal::Forbidden(decision.explanation.unwrap_or_default())),
        }
    }

    /// What somebody might do who is not connected, by the store's present state: for questions about policies.
    ///
    /// # Errors
    /// Unavailable: the store fails, or a policy stands in it that is not understood.
    pub async fn suppose(
        &self,
        supposition: &Supposition,
        now: Timestamp,
    ) -> Result<policy::Authorizer, PublishRefusal> {
        let supposed = self.0.principals.suppose(supposition).await;
        supposed.map_err(|unread| PublishRefusal::Unavailable(self.0.unread(unread, now).to_string()))
    }

    async fn http_standing(
        &self,
        origin: &HttpOrigin,
        now: Timestamp,
    ) -> Result<Arc<Standing>, PublishRefusal> {
        let standing = self.0.principals.momentary(origin.bearer()).await.map_err(|unread| {
            let error = self.0.unread(unread, now);
            PublishRefusal::Unavailable(error.to_string())
        })?;
        if !standing.is_active() {
            return Err(PublishRefusal::Forbidden("the certificate is not ACTIVE any more".to_owned()));
        }
        Ok(standing)
    }

    fn message(&self, request: &PublishRequest, now: Timestamp) -> Result<Message, Violation> {
        let dialect = &self.0.dialect;
        let topic = Text::try_from(request.topic.as_str()).map_err(|error| {
            Violation::new(Fault::TopicInvalid, format!("the topic is not valid: {error}"))
        })?;
        let topic = check::publish_topic(topic, request.retain, dialect)?;
        check::payload(request.payload.len(), dialect)?;
        check::properties(&request.properties, dialect)?;
        Ok(Message {
            topic,
            payload: request.payload.clone(),
            qos: request.qos,
            retain: request.retain,
            properties: request.properties.clone().into(),
            expires_at: check::expires_at(request.expiry, now, dialect),
            published_by_v5: true,
        })
    }

    /// The retained message of a topic.
    pub fn retained(&self, topic: &str, now: Timestamp) -> Option<RetainedMessage> {
        self.0.retained_at(topic, now).map(|kept| RetainedMessage::of(&kept))
    }

    /// A page of retained messages in the order of their topics.
    pub fn retained_page(&self, after: Option<&str>, limit: usize, now: Timestamp) -> Vec<RetainedMessage> {
        let mut found = Vec::new();
        let mut after = after.map(Box::from);
        // What has expired is stepped over, so that only the end of the list gives a short page.
        while found.len() < limit {
            let page = self.0.retained.page(after.as_deref(), limit - found.len());
            let Some((last, _)) = page.last() else { break };
            after = Some(last.clone());
            let alive = page.iter().filter(|(_, kept)| !kept.parcel.is_expired(now));
            found.extend(alive.map(|(_, kept)| RetainedMessage::of(kept)));
        }
        found
    }
}
