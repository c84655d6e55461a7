//! What the broker itself tells under `$aws/events/`.
//!
//! Source: developer guide, *Event messages*, *Reserved topics*.

use bytes::Bytes;
use identity::{PolicyName, Timestamp};
use mqtt::Message;
use policy::{Authorizer, ConnectionContext, PolicySet};
use session::{Parcel, check};
use std::sync::Arc;

use crate::broker::Inner;
use crate::durable::{Job, Then, Ticket};
use crate::publish::{Outcome, Permits, Sender};
use crate::{Broker, PublishRefusal};

impl Broker {
    /// Publishes a message of the service itself, at QoS 1 and without RETAIN, to whoever subscribed to the topic and
    /// may receive it. It counts against no quota of the account.
    ///
    /// # Errors
    /// Invalid for a topic or payload beyond the limits of a publish; Unavailable when the store does not answer.
    pub async fn publish_event(
        &self,
        topic: &str,
        payload: Bytes,
        now: Timestamp,
    ) -> Result<(), PublishRefusal> {
        let inner = &self.0;
        let outcome = inner.distribute_tiding(topic, payload, now)?;
        if outcome.is_empty() {
            return Ok(());
        }
        let ticket = Ticket::new();
        inner.committer.submit(outcome.job(Then::Tell(ticket.clone())));
        ticket.wait().await.map_err(|error| PublishRefusal::Unavailable(error.to_string()))
    }
}

impl Inner {
    /// The same without waiting for the disk. What does not fit a message is told of and not sent.
    pub fn publish_tiding(&self, topic: &str, payload: Bytes, now: Timestamp) {
        match self.distribute_tiding(topic, payload, now) {
            Ok(outcome) if outcome.is_empty() => {}
            Ok(outcome) => self.committer.submit(Job { is_own: true, ..outcome.job(Then::Rest) }),
            Err(refusal) => self.store_failed(&format!("the event {topic}"), &format!("{refusal:?}"), now),
        }
    }

    fn distribute_tiding(
        &self,
        topic: &str,
        payload: Bytes,
        now: Timestamp,
    ) -> Result<Outcome, PublishRefusal> {
        let message = check::event(topic, payload, &self.dialect).map_err(|violation| {
            let (fault, message) = (violation.fault, violation.detail.into_owned());
            PublishRefusal::Invalid { fault, message }
        })?;
        let permits = own_permits(self, &message, now)?;
        let parcel = Arc::new(Parcel::new(message));
        Ok(self.distribute(permits, parcel, Sender::service(), now))
    }
}

/// The broker's own permission: even for it there is no way into the router without a policy.
fn own_permits(inner: &Inner, message: &Message, now: Timestamp) -> Result<Permits, PublishRefusal> {
    let set = match PolicyName::new("service") {
        Ok(name) => PolicySet::allow_all(name),
        Err(_) => PolicySet::compile(Vec::new()),
    };
    let epoch = inner.principals.next_epoch();
    let authorizer = Authorizer::new(inner.site.clone(), Arc::new(set), ConnectionContext::default(), epoch);
    let publish = authorizer.publish(message.topic.as_str(), now);
    let publish = publish.map_err(|denial| PublishRefusal::Forbidden(denial.to_string()))?;
    Ok(Permits { publish, retain: None })
}
