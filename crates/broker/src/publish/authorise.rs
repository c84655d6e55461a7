//! May this be published? Asked for every message, by the policies in force now.

use std::fmt;
use std::sync::Arc;

use identity::Timestamp;
use mqtt::Message;
use policy::Permit;

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
    now: Timestamp,
}

impl fmt::Display for Denied<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let authorizer = &self.view.authorizer;
        let denial = if self.action == "iot:Publish" {
            authorizer.publish(self.topic, self.now).err()
        } else {
            authorizer.retain_publish(self.topic, self.now).err()
        };
        match denial {
            Some(denial) => denial.fmt(f),
            None => write!(f, "{} on topic/{} is not allowed", self.action, self.topic),
        }
    }
}

impl Inner {
    /// The permits for a message of a standing.
    pub fn authorise_publish<'a>(
        &self,
        standing: &Standing,
        message: &'a Message,
        now: Timestamp,
    ) -> Result<Permits, Denied<'a>> {
        let topic = message.topic.as_str();
        let view = standing.view();
        let denied = |action| Denied { view: standing.view_full(), action, topic, now };
        let publish = view.authorizer.publish(topic, now).map_err(|_| denied("iot:Publish"))?;
        let retain = match message.retain {
            true => {
                Some(view.authorizer.retain_publish(topic, now).map_err(|_| denied("iot:RetainPublish"))?)
            }
            false => None,
        };
        Ok(Permits { publish, retain })
    }
}
