//! May this be published? Asked for every message, by the policies in force now.

use std::fmt;
use std::sync::Arc;

use identity::Timestamp;
use mqtt::Message;
use policy::Permit;
use session::mutation::{self, Mutation};

use crate::broker::Inner;
use standing::{Standing, View};

/// The proofs that a publish needs.
pub(crate) struct Permits {
    pub publish: Permit<policy::Publish>,
    /// Needed when the message is to be retained.
    pub retain: Option<Permit<policy::RetainPublish>>,
}

/// A publish that the policies do not allow. The reason is worked out when somebody reads it.
pub(crate) struct Denied<'a> {
    view: Arc<View>,
    /// `iot:Publish` or `iot:RetainPublish`.
    pub action: &'static str,
    pub topic: &'a str,
    /// A change of the policies could not be read.
    is_unread: bool,
    now: Timestamp,
}

impl Denied<'_> {
    /// The decision once more: it is the same as long as the view is.
    fn denial(&self) -> Option<policy::Denial<'_>> {
        let authorizer = &self.view.authorizer;
        if self.action == "iot:Publish" {
            authorizer.publish(self.topic, self.now).err()
        } else {
            authorizer.retain_publish(self.topic, self.now).err()
        }
    }
}

/// What would have allowed it.
pub(crate) struct WayOut<'a>(pub &'a Denied<'a>);

impl fmt::Display for WayOut<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.denial() {
            Some(denial) => denial.remedy().fmt(f),
            None => write!(f, "allow {} on topic/{}", self.0.action, self.0.topic),
        }
    }
}

impl fmt::Display for Denied<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.denial() {
            _ if self.is_unread => {
                write!(
                    f,
                    "{} on topic/{} is not allowed: its policies could not be read",
                    self.action, self.topic
                )
            }
            Some(denial) => denial.fmt(f),
            None => write!(f, "{} on topic/{} is not allowed", self.action, self.topic),
        }
    }
}

impl Inner {
    /// The permits for a will, whose client is gone: nobody ends it when a change of its policies cannot be read.
    pub fn authorise_will<'a>(
        &self,
        standing: &Standing,
        message: &'a Message,
        now: Timestamp,
    ) -> Result<Permits, Denied<'a>> {
        if standing.is_stale() || mutation::is(Mutation::WithholdsWill) {
            let (action, topic) = ("iot:Publish", message.topic.as_str());
            return Err(Denied { view: standing.view_full(), action, topic, is_unread: true, now });
        }
        self.authorise_publish(&standing.view(), message, now)
    }

    /// The permits for a message, by the view of its publisher's standing.
    pub fn authorise_publish<'a>(
        &self,
        view: &Arc<View>,
        message: &'a Message,
        now: Timestamp,
    ) -> Result<Permits, Denied<'a>> {
        let mut topic = message.topic.as_str();
        if mutation::is(Mutation::PublishesAnything) {
            topic = "free/x";
        }
        let denied = |action| Denied { view: view.clone(), action, topic, is_unread: false, now };
        let publish = view.authorizer.publish(topic, now).map_err(|_| denied("iot:Publish"))?;
        let retain = match message.retain {
            true => {
                let topic = if mutation::is(Mutation::RetainsAnything) { "free/x" } else { topic };
                Some(view.authorizer.retain_publish(topic, now).map_err(|_| denied("iot:RetainPublish"))?)
            }
            false => None,
        };
        Ok(Permits { publish, retain })
    }
}
