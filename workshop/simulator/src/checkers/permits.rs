//! No delivery, publish, subscription or seat without a permission that held at its epoch; and no denial of what was
//! allowed. A decision may be as old as the last moment in which everything was known to have been followed.

use std::sync::Arc;

use events::Kind;
use identity::Timestamp;

use super::Checker;
use crate::book::Book;
use crate::fact::Fact;
use crate::heard::Heard;
use crate::rules::Rules;

/// The rules that may still be in use, the newest last.
#[derive(Default)]
pub(super) struct Permits {
    rules: Vec<Arc<Rules>>,
}

impl Permits {
    fn some(&self, client: usize, action: &str, what: &str) -> bool {
        self.rules.is_empty() || self.rules.iter().any(|rules| rules.allow(client, action, what))
    }

    fn every(&self, client: usize, action: &str, what: &str) -> bool {
        !self.rules.is_empty() && self.rules.iter().all(|rules| rules.allow(client, action, what))
    }

    fn judge(&self, heard: &Heard) -> Result<(), String> {
        let Some(client) = Book::client(&heard.client) else { return Ok(()) };
        let (topic, id) = (heard.topic.as_str(), heard.client.as_str());
        let needed = match heard.kind {
            Kind::PublishOut | Kind::Redelivered => ("Receive", topic),
            Kind::PublishIn | Kind::WillPublished => ("Publish", topic),
            Kind::Connected => ("Connect", id),
            Kind::Subscribed => ("Subscribe", filter(topic)),
            _ => return self.denied(client, heard),
        };
        let (action, what) = needed;
        if !self.some(client, action, what) {
            return Err(format!(
                "{} of {id} on {what} without permission for iot:{action}",
                heard.kind.name()
            ));
        }
        if heard.flag && action == "Publish" && !self.some(client, "RetainPublish", what) {
            return Err(format!(
                "{id} retained a message on {what} without permission for iot:RetainPublish"
            ));
        }
        Ok(())
    }

    fn denied(&self, client: usize, heard: &Heard) -> Result<(), String> {
        let topic = heard.topic.as_str();
        let (action, what) = match heard.kind {
            Kind::ReceiveDenied => ("Receive", topic),
            Kind::SubscribeDenied => ("Subscribe", filter(topic)),
            Kind::PublishDenied => (heard.action.trim_start_matches("iot:"), topic),
            _ => return Ok(()),
        };
        match self.every(client, action, what) {
            true => {
                Err(format!("iot:{action} of {} on {what} was denied although it is allowed", heard.client))
            }
            false => Ok(()),
        }
    }
}

/// The filter without the prefix of a shared subscription. The simulated policies speak of both alike.
fn filter(text: &str) -> &str {
    text
}

impl Checker for Permits {
    fn name(&self) -> &'static str {
        "permits"
    }

    fn see(&mut self, _now: Timestamp, fact: &Fact, _book: &Book) -> Result<(), String> {
        match fact {
            Fact::Ruled(rules) => self.rules.push(rules.clone()),
            Fact::Idle => {
                let old = self.rules.len().saturating_sub(1);
                self.rules.drain(..old);
            }
            Fact::Heard(heard) => return self.judge(heard),
            _ => {}
        }
        Ok(())
    }
}
